/*
 * A directory as the push planner's context, for "wharfctl explain push".
 * Runs in wharfctl alone.
 */
#ifndef SUPERVISOR_CTL_EXPLAIN_CONTEXT_H
#define SUPERVISOR_CTL_EXPLAIN_CONTEXT_H

#include <stddef.h>
#include <stdio.h>

#include "workers/shared/copyplan.h"

struct explain_paths {
	const char **v; /* clean, relative to the context */
	size_t n;
};

/* Clean and keep a path as given on the command line. */
void explain_paths_add(struct explain_paths *, const char *);
void explain_paths_free(struct explain_paths *);

struct explain_context;

/*
 * Open the directory, find the ignore file that applies, and drop from both
 * lists what it leaves out.  The lists must outlive the result; what is in
 * changed counts as a file where the directory has no such path, what is in
 * deleted does not exist.  Returns 0 or an exit code, having complained.
 */
int explain_context_open(const char *dir, const char *dockerfile,
    struct explain_paths *changed, struct explain_paths *deleted,
    struct explain_context **, FILE *err);
void explain_context_close(struct explain_context *);

/* Set the oracle and the names of the Dockerfile and the ignore file. */
void explain_context_fill(struct explain_context *, struct copyplan_options *);

#endif
