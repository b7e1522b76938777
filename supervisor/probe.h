/*
 * wharfd --probe-sandbox: enter each worker's real sandbox and try what it
 * must refuse.
 */
#ifndef WHARF_PROBE_H
#define WHARF_PROBE_H

#include "sup.h"

/*
 * Try everything and print a table, or JSON with -j.  Returns EX_OK when all
 * was refused, 1 when something was possible, a sysexits code otherwise.
 */
int probe_sandbox(struct options *o);

/* A probe's process has ended; `code` is its wait status. */
void probe_child_gone(struct child *c, int code);

#endif
