/*
 * A tree on disk that is watched, for the tests of the watch worker: without
 * channel and loop, with the real inotify.
 */
#ifndef TESTS_UNIT_WATCH_WORLD_H
#define TESTS_UNIT_WATCH_WORLD_H

#include "workers/watch/watch.h"

struct world {
	bool inside;  /* of another world, whose instance it shares */
	char dir[64]; /* holds root/ and what is outside of it */
	char root[80];
	int rootfd;
	struct watch_inotify *in;
	bool no_inotify; /* there is no other instance */
	struct watch_tree *tree;
	struct watch_sub *sub;
	uint64_t taken; /* last batch */
	unsigned warnings, scans, overflows, gone;
	char warning[512]; /* the last */
};

/* Where worlds are made; tests that make many files change it. */
extern const char *world_base;

/* An empty root, neither watched nor subscribed to. */
struct world *world_new(void);

/*
 * A world whose root is a directory in that of another one, which must outlive
 * it.  They share its instance: whoever reads the events reads those of both.
 */
struct world *world_inside(struct world *outer, const char *path);

/* Its tree, which is not yet being watched. */
void world_tree(struct world *w);

/* Subscribe and begin the first scan. */
void world_begin(struct world *w, const char *dockerfile);

/* Watch it with one subscription, and swallow the first SUBTREE "". */
void world_start(struct world *w, const char *dockerfile);

/* A new one that this shell command (or NULL) has filled, and started. */
struct world *world_with(const char *prepare);
void world_free(struct world *w);

/* Let the tree work for so long, or until nothing is held or being read. */
void world_run(struct world *w, int64_t ms);
void world_settle(struct world *w);

/*
 * What is offered now, all batches acknowledged: "P:path" and "S:path" in
 * order of paths, separated by spaces.  The text is good until the next call.
 */
const char *world_offered(struct world *w, struct watch_sub *s);

/* Settle, then expect exactly this. */
void world_expect(struct world *w, const char *what);

/* Run a shell command in the root; it must succeed. */
void world_sh(struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Write a file as an editor does in place. */
void world_write(struct world *w, const char *path, const char *text);

#endif
