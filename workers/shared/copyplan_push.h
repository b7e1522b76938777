/*
 * Private to the live-push planner: a plan in the making.
 */
#ifndef WORKERS_SHARED_COPYPLAN_PUSH_H
#define WORKERS_SHARED_COPYPLAN_PUSH_H

#include "workers/shared/copyplan_int.h"

struct change {
	char *path;
	bool isdir; /* or was, when it held other changes */
};

struct changes {
	struct change *v;
	size_t n;
};

struct planner {
	struct copyplan *p;
	struct push_plan *out;
	struct changes changed;
	struct changes deleted;
	struct push_stage *stages; /* one for each of the graph */
	size_t *owner;             /* the line a stage is in */
	bool *touched;             /* lines, by head */
	/* of the line at hand: */
	bool dirty;   /* something had an effect */
	bool ran;     /* a RUN was replayed */
	char **dests; /* touched so far */
	size_t ndests;
	char cause[256]; /* the first path */
};

/*
 * Say why.  The first reason stays, but that a reason to rebuild takes the
 * place of another.
 */
void copyplan_reason(struct planner *, bool rebuild, const char *fmt, ...)
    __attribute__((__format__(printf, 3, 4)));

/* Orders paths so that what a directory holds follows it. */
int copyplan_path_cmp(const char *, const char *);

void copyplan_op_clear(struct push_op *);

/* One step of the line at hand. */
void copyplan_do_copy(struct planner *, size_t step);
void copyplan_do_stagecopy(struct planner *, size_t step);
void copyplan_do_imagecopy(struct planner *, size_t step);
void copyplan_do_run(struct planner *, size_t step);

#endif
