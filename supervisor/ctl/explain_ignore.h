/*
 * wharfctl explain ignore: which paths a build leaves out, and why.
 * Process: wharfctl.  Needs neither engine nor daemon.
 */

#ifndef WHARF_CTL_EXPLAIN_IGNORE_H
#define WHARF_CTL_EXPLAIN_IGNORE_H

#include <stdio.h>

/*
 * argv[0] is "ignore": ignore [-C CONTEXT] [-f DOCKERFILE] PATH...
 * One JSON line per PATH on `out`, complaints on `err`; returns the exit code
 * (EX_OK, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_IOERR, EX_OSERR).
 */
int explain_ignore(int argc, char **argv, FILE *out, FILE *err);

#endif
