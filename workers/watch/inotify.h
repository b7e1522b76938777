/*
 * The one inotify instance of the watch worker, which all its trees and the
 * repositories of git.h share: users have few instances (128 by default), and
 * many watches.
 *
 * A directory that lies in several trees, or is there twice in one (mounted
 * twice, or seen where it was moved to), has one watch in the instance.  Its
 * events go to each node that stands for it, and the kernel's watch goes with
 * the last of them.
 */
#ifndef WHARF_WATCH_INOTIFY_H
#define WHARF_WATCH_INOTIFY_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"

struct watch_tree;
struct watch_node;
struct watch_git;

enum watch_limit { LIMIT_WATCHES, LIMIT_INSTANCES, LIMIT_MAX };
#define LIMIT_UNKNOWN UINT64_MAX

TAILQ_HEAD(watch_trees, watch_tree);

struct watch_inotify {
	int fd;                     /* -1: everything is polled */
	int err;                    /* errno, while there is none */
	int limits[LIMIT_MAX][2];   /* sysctl: fs.inotify, user; -1: none */
	struct watch_trees trees;   /* all that share it */
	struct watch_trees stirred; /* those that were told of events */
	struct watch_git *git;      /* borrowed, or NULL */
	struct watch_node **wds;    /* chains, grown with the watches */
	size_t nwds;
	size_t nodes;       /* in the chains */
	size_t watches;     /* that these have, each counted once */
	mono_t limit_again; /* the limit is not told before */
};

/* Not open yet; the limits' sysctls, which need a path, are. */
struct watch_inotify *watch_inotify_new(void);

/* After its trees and the repositories; takes NULL. */
void watch_inotify_free(struct watch_inotify *in);

/* Get the instance, non-blocking.  -1: in->err says why not. */
int watch_inotify_open(struct watch_inotify *in);

/* Let go of an instance that no directory has a watch in. */
void watch_inotify_close(struct watch_inotify *in);

/*
 * Watch the working directory for these events as well.  The watch, which may
 * be another's, too; -1 with errno.
 */
int watch_inotify_add(struct watch_inotify *in, uint32_t mask);

/* Nobody here has the watch any more: the kernel's goes, too. */
void watch_inotify_release(struct watch_inotify *in, int wd);

/*
 * Read events: until there are none, at most `most` bytes.  True when the
 * queue was read empty.
 */
bool watch_inotify_read(struct watch_inotify *in, size_t most);

/* What was read; buf is whole records. */
void watch_inotify_feed(struct watch_inotify *in, const void *buf, size_t len);

/* One that was told of events since it was last returned; NULL: none. */
struct watch_tree *watch_inotify_stirred(struct watch_inotify *in);

/* The node number `nth` that has this watch; NULL: there are no more. */
struct watch_node *watch_node_by_wd(struct watch_inotify *in, int wd,
    unsigned nth);
void watch_node_set_wd(struct watch_node *n, int wd);

/* Forget the watch of a node; `remove`: the kernel's, too. */
void watch_node_unwatch(struct watch_node *n, bool remove);

#endif
