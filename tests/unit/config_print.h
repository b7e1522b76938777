/*
 * The normal form of what wharf-config has read, before the supervisor has
 * added its options.
 */
#ifndef WHARF_CONFIG_PRINT_H
#define WHARF_CONFIG_PRINT_H

#include "workers/config/config.h"

/*
 * Append a wharfd.yaml of one file that comes to the same, every default
 * written out.  After config_check without errors.
 */
void config_print(const struct config *c, struct buf *out);

#endif
