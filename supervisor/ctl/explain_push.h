/*
 * "wharfctl explain push": what a live push would do with these changes.
 * Runs in wharfctl alone.
 */
#ifndef SUPERVISOR_CTL_EXPLAIN_PUSH_H
#define SUPERVISOR_CTL_EXPLAIN_PUSH_H

#include <stdio.h>

/* argv[0] is "push".  Returns the exit code, sysexits. */
int explain_push(int, char **, FILE *out, FILE *err);

#endif
