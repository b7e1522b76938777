/*
 * Reading directories, in slices.  Watch worker, inside its sandbox: it opens
 * beneath the root, enters the directory and watches ".", since there is no
 * path that could be given to inotify_add_watch(2).
 *
 * A directory is watched first and read then, so that nothing made in between
 * is missed.  A quiet job only records; the change that began it is told as a
 * whole when the job is done.  The others compare with the snapshot.
 */
#include <sys/inotify.h>
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/watch/watch.h"

#define SCAN_MASK                                                          \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | \
	    IN_CLOSE_WRITE | IN_ATTRIB | IN_ONLYDIR | IN_EXCL_UNLINK)
#define SCAN_CLOCK 32 /* entries between two looks at the clock */

struct watch_job *
watch_job_new(struct watch_tree *t, bool quiet, bool deep)
{
	struct watch_job *j = xcalloc(1, sizeof(*j));

	j->seq = ++t->job_seq;
	j->quiet = quiet;
	j->deep = deep;
	j->begun = mono_now();
	TAILQ_INSERT_TAIL(&t->jobs, j, link);
	return (j);
}

void
watch_job_wait(struct watch_job *j, struct watch_hold *h)
{
	if (h->job != NULL)
		h->job->hold = NULL;
	if (j != NULL)
		j->hold = h;
	h->job = j;
}

static void
scan_done(struct watch_tree *t, const struct watch_job *j)
{
	int64_t ns = mono_now().ns - j->begun.ns;

	if (j->seq == t->first_seq) {
		t->scanned = true;
		if (t->ops->scanned != NULL)
			t->ops->scanned(t->arg, t->entries - 1,
			    (uint64_t)ns / 1000);
	}
	if (j->seq == t->poll_seq) {
		watch_poll_done(t);
	}
}

void
watch_job_check(struct watch_tree *t, struct watch_job *j)
{
	struct watch_hold *h = j->hold;

	if (j->left > 0)
		return;
	TAILQ_REMOVE(&t->jobs, j, link);
	if (h != NULL) {
		h->job = NULL;
		watch_hold_due(t, h,
		    mono_now().ns > h->seen_ns + WATCH_HOLD_MS * 1000000 ?
			mono_now() :
			mono_add_ms((mono_t) { h->seen_ns }, WATCH_HOLD_MS));
	}
	scan_done(t, j);
	free(j);
}

/* Stop reading the directory at hand. */
static void
scan_close(struct watch_tree *t)
{
	if (t->scan.node == NULL)
		return;
	t->scan.node = NULL;
	t->scan.next = NULL;
	/* do not keep a mount below the root busy */
	if (fchdir(t->rootfd) == -1)
		watch_tree_warn(t, "", errno, "the root cannot be entered");
	if (t->scan.fd != -1)
		close(t->scan.fd);
	t->scan.fd = -1;
}

void
watch_scan_unqueue(struct watch_tree *t, struct watch_node *n)
{
	struct watch_job *j = n->job;

	if (j == NULL)
		return;
	if (t->scan.node == n)
		scan_close(t);
	else
		TAILQ_REMOVE(&t->queue, n, queue);
	n->job = NULL;
	j->left--;
	watch_job_check(t, j);
}

static int
job_strength(const struct watch_job *j)
{
	return ((j->quiet ? 2 : 0) + (j->deep ? 1 : 0));
}

void
watch_scan_queue(struct watch_tree *t, struct watch_node *n,
    struct watch_job *j, bool soon)
{
	struct watch_job *had = n->job;

	if (had != NULL && job_strength(had) >= job_strength(j)) {
		/* read already, in part: once more */
		if (t->scan.node == n) {
			scan_close(t);
			TAILQ_INSERT_HEAD(&t->queue, n, queue);
		}
		return;
	}
	j->left++;
	watch_scan_unqueue(t, n);
	n->job = j;
	if (soon)
		TAILQ_INSERT_HEAD(&t->queue, n, queue);
	else
		TAILQ_INSERT_TAIL(&t->queue, n, queue);
}

bool
watch_scan_busy(const struct watch_tree *t)
{
	return (t->scan.node != NULL || !TAILQ_EMPTY(&t->queue));
}

bool
watch_scan_below(const struct watch_tree *t, const struct watch_node *top)
{
	const struct watch_node *n;

	if (watch_node_below(t->scan.node, top))
		return (true);
	TAILQ_FOREACH (n, &t->queue, queue)
		if (watch_node_below(n, top))
			return (true);
	return (false);
}

void
watch_scan_new(struct watch_tree *t, struct watch_entry *e,
    struct watch_hold *h)
{
	struct watch_job *j;

	watch_node_free(t, e->node);
	watch_link_remove(t, e);
	e->snap.type = TREE_DIR;
	j = watch_job_new(t, true, true);
	watch_scan_queue(t, watch_node_new(t, e), j, true);
	watch_job_wait(j, h);
	watch_hold_due(t, h, MONO_NEVER);
}

void
watch_scan_compare(struct watch_tree *t)
{
	struct watch_job *j = watch_job_new(t, false, true);

	j->left++;
	watch_scan_queue(t, t->root->node, j, false);
	j->left--;
	watch_job_check(t, j);
}

/* Leave a directory as unreadable; said once. */
static void
scan_unreadable(struct watch_tree *t, struct watch_node *n, int err)
{
	if (n->flags & NODE_UNREADABLE)
		return;
	watch_node_flag(t, n, NODE_UNREADABLE, true);
	watch_tree_warn(t, t->path, err,
	    "the directory cannot be read and is not watched");
}

/* Whether others may change what the directory holds, and how it is known. */
static void
scan_remote(struct watch_tree *t, struct watch_node *n,
    const struct tree_stat *st)
{
	const struct watch_node *up = n->entry->dir;
	struct watch_snap now;
	const char *fs;

	watch_snap_from(&now, st);
	if (up != NULL && up->entry->snap.dev == now.dev)
		fs = up->flags & NODE_REMOTE ? t->remote_fs : NULL;
	else
		fs = watch_fs_of(t->scan.fd);
	watch_node_remote(t, n, fs);
}

/* Its content is compared every now and then. */
static void
scan_poll(struct watch_tree *t, struct watch_node *n)
{
	if (t->npolled == 0) {
		t->poll_ms = WATCH_POLL_MS;
		t->poll_next = mono_add_ms(mono_now(), t->poll_ms);
	}
	watch_node_flag(t, n, NODE_POLLED, true);
}

/* Watch the directory that is open as t->scan.fd.  -1: cannot be read. */
static int
scan_watch(struct watch_tree *t, struct watch_node *n)
{
	uint32_t mask = SCAN_MASK;
	int wd;

	if (t->in->fd != -1 && !t->no_watches) {
		if (n->entry->dir == NULL)
			mask |= IN_DELETE_SELF | IN_MOVE_SELF;
		wd = watch_inotify_add(t->in, mask);
		if (wd != -1)
			watch_node_set_wd(n, wd);
		else if (errno == EACCES || errno == EPERM)
			return (-1);
		else if (errno == ENOSPC || errno == ENOMEM)
			t->no_watches = true;
	}
	if (n->wd == -1 || (n->flags & NODE_REMOTE))
		scan_poll(t, n);
	else
		watch_node_flag(t, n, NODE_POLLED, false);
	return (0);
}

/* The directory is open: what is it, and how is it known when it changes? */
static int
scan_enter(struct watch_tree *t, struct watch_node *n, struct tree_stat *st)
{
	/* listed, but not entered: nothing of what is in it can be seen */
	if (tree_stat_fd(t->scan.fd, st) == -1 || fchdir(t->scan.fd) == -1)
		return (-1);
	scan_remote(t, n, st);
	return (scan_watch(t, n));
}

/* Begin with the first directory of the queue. */
static void
scan_open(struct watch_tree *t)
{
	struct watch_node *n = TAILQ_FIRST(&t->queue);
	struct watch_entry *e;
	struct tree_stat st;

	TAILQ_REMOVE(&t->queue, n, queue);
	t->scan.node = n;
	t->scan.off = t->scan.len = 0;
	t->scan.sweeping = false;
	errno = ENAMETOOLONG;
	if (watch_node_path(n, NULL, t->path) == -1 ||
	    (t->scan.fd = tree_open_dir(t->rootfd, t->path)) == -1 ||
	    scan_enter(t, n, &st) == -1) {
		/* what is gone, or no directory now, is told by its event */
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			scan_unreadable(t, n, errno);
		watch_scan_unqueue(t, n);
		return;
	}
	if (n->flags & NODE_UNREADABLE) {
		watch_node_flag(t, n, NODE_UNREADABLE, false);
		if (!n->job->quiet) {
			watch_hold_due(t,
			    watch_hold_touch(t, n->entry, HOLD_TREE),
			    mono_now());
		}
	}
	if (n->job->quiet)
		watch_entry_record(t, n->entry, &st);
	RB_FOREACH (e, watch_names, &n->names)
		e->seen = 0;
}

/* The path has changed without an event; told soon. */
static void
scan_found(struct watch_tree *t, struct watch_entry *e, uint32_t flags,
    int64_t ms)
{
	struct watch_hold *h = e->hold;
	bool held = h != NULL && h->number != 0;

	h = watch_hold_touch(t, e, flags | HOLD_FOUND);
	if (!held)
		watch_hold_due(t, h, mono_add_ms(mono_now(), ms));
}

/* A directory is here now that was not, or is another than it was. */
static void
scan_found_dir(struct watch_tree *t, struct watch_entry *e,
    const struct tree_stat *st)
{
	struct watch_hold *h;

	if (t->scan.node->job->quiet) {
		watch_node_free(t, e->node);
		watch_entry_record(t, e, st);
		watch_scan_queue(t, watch_node_new(t, e), t->scan.node->job,
		    false);
		return;
	}
	h = watch_hold_touch(t, e, HOLD_TREE | HOLD_MADE | HOLD_FOUND);
	watch_scan_new(t, e, h);
}

/* A directory that is known. */
static void
scan_known_dir(struct watch_tree *t, struct watch_entry *e,
    const struct watch_snap *now, const struct tree_stat *st)
{
	struct watch_job *j = t->scan.node->job;

	if (!watch_snap_same(now, &e->snap, true) && !j->quiet)
		scan_found(t, e, HOLD_ATTR, 0);
	if (e->hold == NULL || j->quiet)
		watch_entry_record(t, e, st);
	if (j->deep)
		watch_scan_queue(t, e->node, j, false);
}

static void
scan_entry(struct watch_tree *t, const char *name, const struct tree_stat *st)
{
	struct watch_node *dir = t->scan.node;
	struct watch_entry *e = watch_entry_find(dir, name);
	bool is_dir = st->type == TREE_DIR;
	struct watch_snap now;

	watch_tree_git(t, dir, name);
	if (!watch_rules_want(t, dir, name, is_dir)) {
		watch_entry_free(t, e);
		return;
	}
	watch_snap_from(&now, st);
	if (e == NULL)
		e = watch_entry_get(t, dir, name);
	e->seen = 1;
	if (is_dir &&
	    (e->node == NULL || e->snap.type != TREE_DIR ||
		((e->snap.ino != now.ino || e->snap.dev != now.dev) &&
		    e->snap.ino != 0))) {
		scan_found_dir(t, e, st);
	} else if (is_dir) {
		scan_known_dir(t, e, &now, st);
	} else if (dir->job->quiet) {
		watch_node_free(t, e->node);
		watch_entry_record(t, e, st);
	} else if (e->snap.racy || !watch_snap_same(&now, &e->snap, true)) {
		scan_found(t, e, HOLD_WRITE,
		    e->snap.type == TREE_ABSENT ? WATCH_HOLD_MS : 0);
	}
}

/* A name that is listed and yet cannot be looked at is not gone for that. */
static bool
scan_no_stat(struct watch_tree *t, const char *name, int err)
{
	struct watch_entry *e = watch_entry_find(t->scan.node, name);

	if (err == ENOENT)
		return (true);
	if (e != NULL)
		e->seen = 1;
	if (watch_node_path(t->scan.node, name, t->path) == 0)
		watch_tree_warn(t, t->path, err, "cannot be looked at");
	return (true);
}

/* One name of the buffer; false when it is empty and there are no more. */
static bool
scan_name(struct watch_tree *t)
{
	struct watch_scan *s = &t->scan;
	const struct dirent64 *d;
	struct tree_stat st;
	struct stat sb;
	ssize_t n;

	if (s->off == s->len) {
		n = getdents64(s->fd, s->buf, sizeof(s->buf));
		if (n == -1 && errno != ENOENT &&
		    watch_node_path(s->node, NULL, t->path) == 0)
			watch_tree_warn(t, t->path, errno,
			    "the directory cannot be read to its end");
		if (n <= 0)
			return (false);
		s->off = 0;
		s->len = (size_t)n;
	}
	d = (const struct dirent64 *)(const void *)(s->buf + s->off);
	s->off += d->d_reclen;
	if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
	    d->d_name[0] == '\0' || strchr(d->d_name, '/') != NULL)
		return (true);
	if (fstatat(s->fd, d->d_name, &sb, AT_SYMLINK_NOFOLLOW) == -1)
		return (scan_no_stat(t, d->d_name, errno));
	tree_stat_from(&st, &sb);
	scan_entry(t, d->d_name, &st);
	return (true);
}

/* One name that may not have been there; false at the end. */
static bool
scan_sweep(struct watch_tree *t)
{
	struct watch_entry *e = t->scan.next;
	struct watch_node *dir = t->scan.node;

	if (e == NULL)
		return (false);
	t->scan.next = RB_NEXT(watch_names, &dir->names, e);
	if (e->seen)
		return (true);
	if (!dir->job->quiet && e->snap.type != TREE_ABSENT)
		scan_found(t, e, HOLD_GONE, WATCH_HOLD_MS);
	else if (dir->job->quiet && e->hold == NULL)
		watch_entry_free(t, e);
	return (true);
}

static void
scan_next(struct watch_tree *t)
{
	struct watch_scan *s = &t->scan;

	if (s->node == NULL) {
		scan_open(t);
	} else if (!s->sweeping) {
		if (scan_name(t) || s->node == NULL)
			return;
		s->sweeping = true;
		s->next = RB_MIN(watch_names, &s->node->names);
	} else if (!scan_sweep(t)) {
		watch_scan_unqueue(t, s->node);
	}
}

void
watch_scan_step(struct watch_tree *t, mono_t deadline, size_t most)
{
	for (size_t i = 1; i <= most && watch_scan_busy(t); i++) {
		scan_next(t);
		if (i % SCAN_CLOCK == 0 && mono_now().ns >= deadline.ns)
			break;
	}
}
