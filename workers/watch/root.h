/*
 * The roots of the watch worker: each has a tree, and tells plan, control and
 * the supervisor what becomes of it.  main.c and root.c only.
 */
#ifndef WHARF_WATCH_ROOT_H
#define WHARF_WATCH_ROOT_H

#include "workers/common/worker.h"
#include "workers/watch/git.h"
#include "workers/watch/mounts.h"
#include "workers/watch/watch.h"

#define READ_BURST (1024 * 1024) /* bytes of events in one turn */

struct wait {
	TAILQ_ENTRY(wait) link;
	uint32_t id; /* of the WATCH_SYNC */
	uint64_t token;
};
TAILQ_HEAD(waits, wait);

struct root {
	struct worker *w;
	const struct conf_root *conf;
	bool told_scanned;
	bool held;        /* by git */
	uint64_t numbers; /* the last that plan was told of */
	struct loop_timer git_timer;
	char *path; /* without symbolic links */
	char *home; /* see watch_home_new() */
	struct watch_mounts *mounts;
	struct loop_timer gone_timer;
	struct watch_tree *tree;
	struct waits waits;
	struct loop_timer timer;
};

struct state {
	struct watch_inotify *in;
	struct watch_git *git;
	mono_t lost_again; /* lost events are not logged before */
	/* A pass of the loop has so much time for the trees' work, ns. */
	int64_t spent;
	struct loop_timer spent_timer;
	int mounts_fd;
	struct loop_timer mounts_timer;
	mono_t mounts_next;
	mono_t begun;
	struct root *roots;
	size_t nroots;
};

/* What the trees call; their argument is the root. */
extern const struct watch_ops root_ops;

/* The fields of an event or a status item that say which root it is. */
void root_fields(struct buf *b, const struct root *r);

/* Tell plan how the tree is, and up to which number it may wait. */
void root_tell_tree(struct root *r);

/* One turn: work, answer, and say when the next turn is wanted. */
void root_turn(struct root *r);

/* It has its turn in the next pass of the loop. */
void root_soon(struct root *r);

/* Read events of all roots, see to git's locks, and have them dealt with. */
void watch_read(struct worker *w);

/* Open the instance, and read from it in the loop.  -1 with errno. */
int watch_open_inotify(struct worker *w);

/* Callback of the loop. */
void watch_on_mounts(void *arg, uint32_t events);

/* Which mounts there are now; what came or went is compared. */
void watch_read_mounts(struct worker *w);

/* A barrier: what was mounted before is compared before it is answered. */
void watch_sync_mounts(struct worker *w);

#endif
