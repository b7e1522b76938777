/*
 * The watch worker's inside: one watch_tree per root.  Runs in the watch
 * worker; main.c ties it to the channel and the loop, the tests drive it
 * without either.
 *
 * A change goes three ways.  An event (event.c) or a scan (scan.c) touches an
 * entry, which then has a hold (hold.c): it waits there until it is due.  Then
 * the path is looked at, compared with the snapshot (node.c), and put into the
 * dirty set of each subscription that wants it (dirty.c), from where batches
 * are taken, kept until acknowledged, and offered again when they were not.
 */
#ifndef WHARF_WATCH_H
#define WHARF_WATCH_H

#include <sys/queue.h>
#include <sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "workers/shared/ignore.h"
#include "workers/shared/tree.h"
#include "workers/watch/inotify.h"

#define WATCH_HOLD_MS     30   /* new names, deletes, rename sources */
#define WATCH_REMADE_MS   5    /* a known name that was made anew */
#define WATCH_STORM_MS    1000 /* a file that is written all the time */
#define WATCH_QUIET_MS    150  /* without a write: the storm is over */
#define WATCH_SLICE_MS    20
#define WATCH_SLICE       2000   /* entries, or held changes, at a time */
#define WATCH_POLL_MS     1000   /* what has no watch is compared, at most */
#define WATCH_POLL_MAX_MS 30000  /* so often, and at least so often */
#define WATCH_POLL_SHARE  20     /* a pass takes a 20th of the time, or less */
#define WATCH_RETRY_MS    10000  /* unreadable directories */
#define WATCH_CHECK_MS    1000   /* is the root still there? */
#define WATCH_TICK_MS     100    /* see watch_tick() */
#define WATCH_TELL_MS     600000 /* the same limit is told so often */
#define WATCH_LOST_MS     10000  /* and that events were lost */
#define WATCH_WARN_BURST  20     /* warnings in a row, then one in so long */
#define WATCH_WARN_MS     3000
#define WATCH_READ_MAX    65536
#define WATCH_BATCH_PATHS 2000
#define WATCH_BATCH_BYTES (200 * 1024)

struct watch_tree;
struct watch_node;
struct watch_hold;
struct watch_job;

/* What was last seen of an entry. */
struct watch_snap {
	int64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint64_t ino;
	uint32_t dev;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint8_t type; /* enum tree_type; TREE_ABSENT: a name that is held */
	uint8_t racy; /* changed so lately that a second change may not show */
};

/* A name in a directory.  1,000,000 of them must fit: no path is stored. */
struct watch_entry {
	RB_ENTRY(watch_entry) link;
	struct watch_node *dir;  /* that holds it; NULL for the root */
	struct watch_node *node; /* what it holds; NULL: no directory */
	struct watch_hold *hold; /* a change of it that waits */
	struct watch_snap snap;
	uint8_t seen;   /* by the scan that reads its directory */
	uint8_t linked; /* stands in the index of hard links */
	char name[];
};
RB_HEAD(watch_names, watch_entry);

#define NODE_UNREADABLE 0x1
#define NODE_POLLED     0x2 /* compared every now and then */
#define NODE_REMOTE     0x4 /* polled, since others change it as well */

struct watch_node {
	struct watch_tree *tree;
	struct watch_entry *entry;
	struct watch_names names;
	struct watch_node *wd_next;
	int wd; /* -1: not watched */
	uint32_t flags;
	uint32_t cookie;       /* moved away under this cookie; 0: not */
	struct watch_job *job; /* that will read it; NULL: none */
	TAILQ_ENTRY(watch_node) queue;
	TAILQ_ENTRY(watch_node) moved;
	TAILQ_ENTRY(watch_node) slow; /* unreadable or polled */
};
TAILQ_HEAD(watch_nodes, watch_node);

/* Directories that are read for one reason; done when none is left. */
struct watch_job {
	TAILQ_ENTRY(watch_job) link;
	struct watch_hold *hold; /* that waits for it; NULL: none */
	uint64_t seq;
	size_t left;
	bool quiet; /* what is found is news that `hold` tells as a whole */
	bool deep;  /* goes down into directories that are known */
	mono_t begun;
};
TAILQ_HEAD(watch_jobs, watch_job);

#define HOLD_WRITE 0x01  /* the content may differ */
#define HOLD_ATTR  0x02  /* mode, owner or time may differ */
#define HOLD_GONE  0x04  /* it was deleted or renamed away */
#define HOLD_MADE  0x08  /* it was made or renamed to */
#define HOLD_TREE  0x10  /* all below is news */
#define HOLD_SCAN  0x20  /* made by the first scan */
#define HOLD_LINK  0x40  /* written through another name of the file */
#define HOLD_CAME  0x80  /* a known directory, from another place */
#define HOLD_FOUND 0x100 /* by a comparison: it may have been seen before */

struct watch_hold {
	RB_ENTRY(watch_hold) due_link;
	TAILQ_ENTRY(watch_hold) order; /* by number; while number is not 0 */
	struct watch_entry *entry;
	struct watch_job *job;  /* must be done first; NULL: none */
	struct watch_snap base; /* as it was before */
	uint64_t number;        /* of the first change; 0: nothing to tell */
	int64_t seen_ns;        /* when that was */
	int64_t closed_ns;      /* last complete write */
	int64_t told_ns;        /* last time it was told; 0: not yet */
	mono_t due;
	uint32_t flags;
	unsigned streak; /* complete writes in a row */
};
RB_HEAD(watch_dues, watch_hold);
TAILQ_HEAD(watch_holds, watch_hold);

/* A name of a file that has several. */
struct watch_link {
	RB_ENTRY(watch_link) link;
	struct watch_entry *entry;
};
RB_HEAD(watch_links, watch_link);

#define DIRTY_TREE 0x1 /* compare all below */
#define DIRTY_SCAN 0x2
#define DIRTY_GONE 0x4 /* is absent now: there is nothing below */

struct watch_dirty {
	RB_ENTRY(watch_dirty) by_path;
	RB_ENTRY(watch_dirty) by_number;
	uint64_t number;
	int64_t seen_ns;
	uint32_t flags;
	char path[];
};
RB_HEAD(watch_paths, watch_dirty);
RB_HEAD(watch_numbers, watch_dirty);

#define WATCH_UNKNOWN UINT64_MAX

struct watch_batch {
	TAILQ_ENTRY(watch_batch) link;
	uint64_t id;
	uint64_t upto;
	/*
	 * Number of the last change that can have been before its ack;
	 * WATCH_UNKNOWN while events of that time may be unread.
	 */
	uint64_t acked_at;
	int64_t seen_ns;
	bool scan; /* has what the first scan made */
	struct watch_dirty **v;
	size_t n;
};
TAILQ_HEAD(watch_batches, watch_batch);

/* The ignore rules of one service; see rules.c. */
struct watch_rules {
	struct ignore *ignore;      /* NULL: there are none */
	struct ignore_state *state; /* of the tree's rules_node */
	char *text;
	size_t len;
	char *keep[3]; /* Dockerfile, its own ignore file, the common one */
};

struct watch_sub {
	TAILQ_ENTRY(watch_sub) link;
	struct watch_tree *tree;
	uint32_t service;
	struct watch_rules rules;
	struct watch_paths paths;
	struct watch_numbers numbers;
	size_t ndirty;
	struct watch_batches flying; /* offered, not yet acknowledged */
	struct watch_batches recent; /* changes are held since before the ack */
	uint64_t last_batch;
	uint64_t told; /* highest number that the consumer may wait for */
	uint64_t sent; /* highest upto that it was given */
	uint32_t take; /* id of the standing TAKE; 0: none */
};
TAILQ_HEAD(watch_subs, watch_sub);

struct watch_ops {
	/* Text about a path ("" for the root); err may be 0. */
	void (*warning)(void *arg, const char *path, int err, const char *text);
	/* The first scan is complete. */
	void (*scanned)(void *arg, uint64_t entries, uint64_t us);
	void (*overflow)(void *arg);
	/* The root is gone; nothing more will come from this tree. */
	void (*gone)(void *arg);
	/* A name ".git", whatever the rules say of it. */
	void (*git)(void *arg, const char *path);
	/* There is no inotify instance: try to open it.  -1: none still. */
	int (*inotify)(void *arg);
};

/* The directory that is being read. */
struct watch_scan {
	struct watch_node *node; /* NULL: none */
	int fd;
	bool sweeping;
	struct watch_entry *next; /* to be swept */
	size_t off;
	size_t len;
	char buf[32768] __attribute__((aligned(8)));
};

struct watch_tree {
	const struct watch_ops *ops;
	void *arg;
	int rootfd; /* borrowed */
	struct watch_inotify *in;
	TAILQ_ENTRY(watch_tree) all;
	TAILQ_ENTRY(watch_tree) stirred;
	bool is_stirred;
	char *home; /* the root's own path, from itself: ../../a/b; or NULL */
	mono_t home_next;
	bool lost; /* the root was moved, deleted or unmounted */
	bool gone; /* and that has been told */
	bool scanned;
	bool links_stale;
	bool no_watches; /* the limit is reached */
	mono_t lost_again;
	mono_t warn_since; /* warnings have been counted since then */
	unsigned warned, unwarned;
	struct watch_entry *root;
	struct watch_subs subs;
	uint64_t changes; /* number of the last change */
	uint64_t entries;
	uint64_t nodes;
	uint64_t watches; /* nodes that have one */
	uint64_t nunreadable;
	uint64_t npolled;
	uint64_t nremote;
	const char *remote_fs;    /* the file system of the first of these */
	char *remote_path;        /* where it begins */
	struct watch_nodes queue; /* to be read */
	struct watch_nodes moved; /* seen to go, not yet to arrive */
	struct watch_nodes unreadable;
	struct watch_nodes polled;
	struct watch_jobs jobs;
	uint64_t job_seq;
	uint64_t first_seq; /* the first scan's job */
	uint64_t poll_seq;  /* the last poll's */
	mono_t poll_begun;
	mono_t poll_next;
	int64_t poll_ms; /* from pass to pass */
	mono_t retry_next;
	mono_t check_next;
	struct watch_dues dues;
	struct watch_holds order;
	struct watch_links links;
	struct watch_scan scan;
	const struct watch_node *rules_node; /* whose states are at hand */
	bool rules_there;
	char path[TREE_PATH_MAX];
	char rules_path[TREE_PATH_MAX];
};

/* wtree.c: the tree as a whole */

/*
 * Takes nothing: rootfd and the instance stay the caller's and must outlive
 * the tree.  rootfd -1: the root is gone.
 */
struct watch_tree *watch_tree_new(int rootfd, struct watch_inotify *in,
    const struct watch_ops *ops, void *arg);
void watch_tree_free(struct watch_tree *t);

/* Add a subscription; dockerfile relative to the root, or NULL. */
struct watch_sub *watch_tree_subscribe(struct watch_tree *t, uint32_t service,
    const char *dockerfile);
struct watch_sub *watch_tree_sub(struct watch_tree *t, uint32_t service);

/*
 * The same in a tree that has been started: it is offered the whole tree
 * once, and what only its rules want is read.  The others are offered nothing
 * because of it.
 */
struct watch_sub *watch_tree_join(struct watch_tree *t, uint32_t service,
    const char *dockerfile);

/* End a subscription; what the others have yet to see stays. */
void watch_tree_leave(struct watch_tree *t, struct watch_sub *s);

/* Begin the first scan. */
void watch_tree_start(struct watch_tree *t);

/* One slice of work: scans, held changes that are due, polls. */
void watch_tree_step(struct watch_tree *t);

/* Something was mounted there, or is no longer: compare. */
void watch_tree_mounted(struct watch_tree *t, const char *path);

/*
 * The way from the root directory to itself by all names of its absolute
 * `path` ("../../a/b"), for t->home: so it is noticed when another directory
 * stands there, whichever parent was renamed or mounted over.  The caller
 * frees; NULL: it does not lead there now.
 */
char *watch_home_new(int rootfd, const char *path);

/* When the next step is wanted. */
mono_t watch_tree_next(const struct watch_tree *t);

/*
 * The barrier: reads the queue empty and returns a token.  When it is done,
 * all that had changed before has a number <= *upto.
 */
uint64_t watch_tree_sync(struct watch_tree *t);
bool watch_tree_synced(struct watch_tree *t, uint64_t token, uint64_t *upto);

/* The name is seen in the directory: does it say where a repository is? */
void watch_tree_git(struct watch_tree *t, const struct watch_node *dir,
    const char *name);

void watch_tree_warn(struct watch_tree *t, const char *path, int err,
    const char *text);

struct inotify_event;

/* event.c: what inotify says: of a directory; that events were lost */
void watch_event_one(struct watch_tree *t, struct watch_node *n,
    const struct inotify_event *ev, const char *name);
void watch_event_lost(struct watch_tree *t);

/* node.c: the snapshot */
int watch_entry_cmp(const struct watch_entry *a, const struct watch_entry *b);
RB_PROTOTYPE(watch_names, watch_entry, link, watch_entry_cmp)

/* The entry of that name; NULL: there is none. */
struct watch_entry *watch_entry_find(struct watch_node *dir, const char *name);

/* The same, made when there is none (its type is TREE_ABSENT then). */
struct watch_entry *watch_entry_get(struct watch_tree *t,
    struct watch_node *dir, const char *name);

/* Forget an entry, what it holds, its hold and its watches. Takes NULL. */
void watch_entry_free(struct watch_tree *t, struct watch_entry *e);

/* Record what was seen; keeps the index of hard links. */
void watch_entry_record(struct watch_tree *t, struct watch_entry *e,
    const struct tree_stat *st);

/*
 * The path into dst (TREE_PATH_MAX bytes); with name: of that name in the
 * directory.  -1: too long.
 */
int watch_entry_path(const struct watch_entry *e, char *dst);
int watch_node_path(const struct watch_node *n, const char *name, char *dst);

/* Make the entry a directory that is not yet read. */
struct watch_node *watch_node_new(struct watch_tree *t, struct watch_entry *e);
void watch_node_free(struct watch_tree *t, struct watch_node *n);

/* Give the directory to another entry, which must hold none. */
void watch_node_move(struct watch_tree *t, struct watch_node *n,
    struct watch_entry *to);

/* Whether the node is top, or lies below it. */
bool watch_node_below(const struct watch_node *n, const struct watch_node *top);

/* The directory lies in a file system of that name; NULL: in a local one. */
void watch_node_remote(struct watch_tree *t, struct watch_node *n,
    const char *fs);

/* Turn one of the flags on or off, with its list and its count. */
void watch_node_flag(struct watch_tree *t, struct watch_node *n, uint32_t flag,
    bool on);

/* snap.c: what is compared */
void watch_snap_from(struct watch_snap *s, const struct tree_stat *st);

/* Nothing differs; `times`: ctime counts as well. */
bool watch_snap_same(const struct watch_snap *a, const struct watch_snap *b,
    bool times);

/* links.c: hard links */
int watch_link_cmp(const struct watch_link *a, const struct watch_link *b);
RB_PROTOTYPE(watch_links, watch_link, link, watch_link_cmp)
void watch_link_add(struct watch_tree *t, struct watch_entry *e);
void watch_link_remove(struct watch_tree *t, struct watch_entry *e);

/* Call fn for the other names of e's file. */
void watch_link_others(struct watch_tree *t, struct watch_entry *e,
    void (*fn)(struct watch_tree *, struct watch_entry *, void *), void *arg);

/* scan.c: reading directories */

/* A job without directories yet; ended by watch_job_check. */
struct watch_job *watch_job_new(struct watch_tree *t, bool quiet, bool deep);

/* End it when nothing is left. */
void watch_job_check(struct watch_tree *t, struct watch_job *j);
void watch_job_wait(struct watch_job *j, struct watch_hold *h);

/* Read the directory for this job; `soon`: before the others. */
void watch_scan_queue(struct watch_tree *t, struct watch_node *n,
    struct watch_job *j, bool soon);
void watch_scan_unqueue(struct watch_tree *t, struct watch_node *n);

/* A slice: until the deadline, or so many entries. */
void watch_scan_step(struct watch_tree *t, mono_t deadline, size_t most);
bool watch_scan_busy(const struct watch_tree *t);

/* Whether the directory, or one below it, is still to be read. */
bool watch_scan_below(const struct watch_tree *t, const struct watch_node *n);

/* Compare everything below the root with the snapshot. */
void watch_scan_compare(struct watch_tree *t);

/* A directory is new here: read it, and tell it as a whole. */
void watch_scan_new(struct watch_tree *t, struct watch_entry *e,
    struct watch_hold *h);

/* watchdog.c: what happens by the clock */

/*
 * The next multiple of so many ms: what is done every now and then is done
 * for all trees in one wake-up.
 */
mono_t watch_tick(mono_t when, int64_t ms);
void watch_poll_tick(struct watch_tree *t, mono_t now);
void watch_poll_now(struct watch_tree *t);
void watch_poll_done(struct watch_tree *t);
mono_t watch_poll_next(const struct watch_tree *t);

/* fstype.c: file systems that others change, without an event here */

/* The name of such a type (statfs(2)), of the one that fd is in; or NULL. */
const char *watch_fs_remote(uint32_t type);
const char *watch_fs_of(int fd);

/* limits.c: what the kernel allows, and what would be enough */

/* Open the sysctls, which needs a path, and close them. */
void watch_limits_open(struct watch_inotify *in);
void watch_limits_close(struct watch_inotify *in);

/*
 * Which sysctl is too low, its value, the need and the way out; the caller
 * frees.  system and ns: its values for the system and for this user
 * namespace; held, wanted: by this process.
 */
char *watch_limit_text(enum watch_limit which, uint64_t system, uint64_t ns,
    uint64_t held, uint64_t wanted);

/* Whether directories have no watch for want of one. */
bool watch_tree_lacks(const struct watch_tree *t);

/* The text for that, or NULL.  The caller frees, as with watch_tree_why(). */
char *watch_tree_lack(const struct watch_tree *t);

/* All that is not as it should be with the watching, for status; or NULL. */
char *watch_tree_why(const struct watch_tree *t);
const char *watch_tree_backend(const struct watch_tree *t);

/* hold.c: changes that wait */
int watch_due_cmp(const struct watch_hold *a, const struct watch_hold *b);
RB_PROTOTYPE(watch_dues, watch_hold, due_link, watch_due_cmp)

/* The entry has changed: its hold, with a number. */
struct watch_hold *watch_hold_touch(struct watch_tree *t, struct watch_entry *e,
    uint32_t flags);
void watch_hold_due(struct watch_tree *t, struct watch_hold *h, mono_t due);

/* An inotify mask that names the entry: touch it, and decide when it is due. */
void watch_hold_event(struct watch_tree *t, struct watch_entry *e,
    uint32_t mask);
void watch_hold_free(struct watch_tree *t, struct watch_hold *h);

/* Put what is due into the dirty sets, at most so many. */
void watch_hold_release(struct watch_tree *t, mono_t now, size_t most);

/* rules.c: which service wants which path */
void watch_rules_init(struct watch_tree *t, struct watch_sub *s,
    const char *dockerfile);
void watch_rules_free(struct watch_rules *r);

/* Whether all that s wants is wanted by another subscription, too. */
bool watch_rules_covered(const struct watch_tree *t, const struct watch_sub *s);

/* Read the rule files again; true when they say something else now. */
bool watch_rules_reload(struct watch_tree *t);

/* Whether a rule file of one of the services is at that path. */
bool watch_rules_is_file(const struct watch_tree *t, const char *path);

/* Whether any service, or this one, wants the name in the directory. */
bool watch_rules_want(struct watch_tree *t, const struct watch_node *dir,
    const char *name, bool is_dir);
bool watch_rules_sub_wants(struct watch_tree *t, struct watch_sub *s,
    const struct watch_entry *e, bool is_dir);
bool watch_rules_any(const struct watch_tree *t);

/* Directories have moved, or are gone: forget what was worked out. */
void watch_rules_forget(struct watch_tree *t);

/* dirty.c: the dirty set of a subscription, and its batches */
int watch_path_cmp(const struct watch_dirty *a, const struct watch_dirty *b);
int watch_number_cmp(const struct watch_dirty *a, const struct watch_dirty *b);
RB_PROTOTYPE(watch_paths, watch_dirty, by_path, watch_path_cmp)
RB_PROTOTYPE(watch_numbers, watch_dirty, by_number, watch_number_cmp)

struct watch_sub *watch_sub_new(struct watch_tree *t, uint32_t service);
void watch_sub_free(struct watch_sub *s);

/* A change that is due. */
void watch_dirty_add(struct watch_sub *s, const char *path, uint32_t flags,
    uint64_t number, int64_t seen_ns);

/* True: told as SUBTREE, false: as PATH. */
bool watch_dirty_is_tree(const struct watch_dirty *d);

/*
 * What a TAKE says: batches up to acked are done, above it up to taken are in
 * work, the rest goes back.  Numbers that were never given are those of
 * another generation and count as 0.  -1: taken < acked.
 */
int watch_sub_take(struct watch_sub *s, uint64_t acked, uint64_t taken);

/* The next batch, which stays the subscription's; NULL: nothing to offer. */
struct watch_batch *watch_sub_next(struct watch_sub *s);

/*
 * Whether the consumer may have looked at the path after the change with this
 * number: it may know what it was in between.
 */
bool watch_sub_looked(struct watch_sub *s, const char *path, uint64_t number);

/* All events up to now have been read. */
void watch_sub_drained(struct watch_sub *s);

/*
 * Events were lost: what the consumer has looked at meanwhile may have been
 * otherwise, and is told once more.
 */
void watch_sub_lost(struct watch_sub *s, uint64_t number);

/* Forget all that is to be told: the root is gone. */
void watch_sub_clear(struct watch_sub *s);

/* Changes up to this number are out. */
uint64_t watch_sub_upto(const struct watch_sub *s);

#endif
