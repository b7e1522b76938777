/*
 * What the "explain" verbs that read a Dockerfile have in common.
 * Runs in wharfctl alone.
 */
#ifndef SUPERVISOR_CTL_EXPLAIN_BUILD_H
#define SUPERVISOR_CTL_EXPLAIN_BUILD_H

#include <stdio.h>

#include "workers/shared/dockerfile.h"
#include "workers/shared/dockerfile_env.h"

/*
 * Read a file of at most max bytes; *text (freed by the caller) gets a NUL
 * behind it.  Returns 0 or an exit code, having complained.
 */
int explain_read_file(const char *path, size_t max, char **text, size_t *len,
    FILE *err);

/* Read and parse a Dockerfile, the caller's to free.  As above. */
int explain_dockerfile(const char *path, struct dockerfile **, FILE *err);

/*
 * Take a --build-arg, NAME=VALUE or NAME, which means this process's own
 * variable of that name, if there is one.  As above.
 */
int explain_build_arg(struct dockerfile_env *, const char *, FILE *err);

/* "file:line:column: text"; what is not printable is escaped.  EX_DATAERR. */
int explain_complain(const char *path, const struct dockerfile_error *,
    FILE *err);

/* A name for people: unprintable bytes as \ooo. */
void explain_print_name(const char *, FILE *);

#endif
