/*
 * wharfd -nv: the configuration in its normal form, which wharfd -f reads
 * again to the same.
 */
#ifndef WHARF_NORMAL_H
#define WHARF_NORMAL_H

#include "config.h"

/* Print it to standard output, as wharfd.yaml(5). */
void normal_print(const struct options *o, const struct config *c);

#endif
