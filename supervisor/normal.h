/*
 * wharfd -nv: what the command line and the environment come to.
 */
#ifndef WHARF_NORMAL_H
#define WHARF_NORMAL_H

#include "options.h"

/* Print the settings to standard output, one "key: value" a line. */
void normal_print(const struct options *o);

#endif
