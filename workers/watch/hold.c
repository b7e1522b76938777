/*
 * Changes that wait until they are due, and what becomes of them then.
 * Watch worker.
 *
 * The overwrite of a known name is due when it is complete; what might be an
 * editor's temporary name, or the first half of its save, waits WATCH_HOLD_MS.
 * A path is looked at only when it is due: what was made and is gone again
 * leaves no trace.
 */
#include <sys/inotify.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"
#include "workers/watch/watch.h"

#define MS 1000000

int
watch_due_cmp(const struct watch_hold *a, const struct watch_hold *b)
{
	if (a->due.ns != b->due.ns)
		return (a->due.ns < b->due.ns ? -1 : 1);
	return ((uintptr_t)a < (uintptr_t)b ? -1 : (uintptr_t)a > (uintptr_t)b);
}

RB_GENERATE(watch_dues, watch_hold, due_link, watch_due_cmp)

struct watch_hold *
watch_hold_touch(struct watch_tree *t, struct watch_entry *e, uint32_t flags)
{
	struct watch_hold *h = e->hold;

	if (h == NULL) {
		h = xcalloc(1, sizeof(*h));
		h->entry = e;
		h->due = MONO_NEVER;
		e->hold = h;
		RB_INSERT(watch_dues, &t->dues, h);
	}
	if (h->number == 0) {
		h->number = ++t->changes;
		h->seen_ns = mono_now().ns;
		h->base = e->snap;
		h->flags = 0;
		TAILQ_INSERT_TAIL(&t->order, h, order);
	}
	h->flags |= flags;
	return (h);
}

void
watch_hold_due(struct watch_tree *t, struct watch_hold *h, mono_t due)
{
	RB_REMOVE(watch_dues, &t->dues, h);
	h->due = due;
	RB_INSERT(watch_dues, &t->dues, h);
}

/* It has been told: nothing is left but, maybe, when. */
static void
hold_settle(struct watch_tree *t, struct watch_hold *h)
{
	if (h->number == 0)
		return;
	TAILQ_REMOVE(&t->order, h, order);
	h->number = 0;
	h->flags = 0;
}

void
watch_hold_free(struct watch_tree *t, struct watch_hold *h)
{
	if (h == NULL)
		return;
	hold_settle(t, h);
	if (h->job != NULL)
		h->job->hold = NULL;
	RB_REMOVE(watch_dues, &t->dues, h);
	h->entry->hold = NULL;
	free(h);
}

/* A number that comes before takes its place in the order. */
static void
hold_take_number(struct watch_tree *t, struct watch_hold *to,
    struct watch_hold *from)
{
	if (from->number == 0 || from->number >= to->number)
		return;
	TAILQ_REMOVE(&t->order, to, order);
	TAILQ_INSERT_BEFORE(from, to, order);
	to->number = from->number;
	if (from->seen_ns < to->seen_ns)
		to->seen_ns = from->seen_ns;
}

/* `to` is told instead of `from`, whose number it takes. */
static void
watch_hold_absorb(struct watch_tree *t, struct watch_hold *to,
    struct watch_hold *from)
{
	hold_take_number(t, to, from);
	watch_hold_free(t, from);
}

/*
 * A known file was written and closed, or renamed over.  At once, unless it
 * is written all the time: then when it rests, or once a second.
 */
static int64_t
due_complete(struct watch_hold *h, int64_t now)
{
	int64_t last = h->closed_ns, due, most;

	h->closed_ns = now;
	if (h->told_ns == 0 || now - last >= WATCH_QUIET_MS * MS) {
		h->streak = 0;
		return (now);
	}
	h->streak++;
	due = now + (h->streak == 1 ? WATCH_HOLD_MS : WATCH_QUIET_MS) * MS;
	most = h->told_ns + WATCH_STORM_MS * (int64_t)MS;
	if (due > most)
		due = most;
	return (due > now ? due : now);
}

/* When the change is due. held: the hold had a number already. */
static int64_t
due_of(struct watch_hold *h, uint32_t mask, bool held, int64_t now)
{
	bool known = h->base.type != TREE_ABSENT;
	bool remade = (h->flags & (HOLD_MADE | HOLD_GONE)) != 0;
	int64_t fresh = h->seen_ns + WATCH_HOLD_MS * MS, due = h->due.ns;
	int64_t storm = (h->seen_ns > h->told_ns ? h->seen_ns : h->told_ns) +
	    WATCH_STORM_MS * (int64_t)MS;

	if (mask & (IN_DELETE | IN_MOVED_FROM)) {
		due = now + WATCH_HOLD_MS * MS;
		return (due < storm ? due : storm);
	}
	if (mask & IN_MODIFY)
		return (storm);
	if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) {
		if (!known)
			return (now > fresh ? now : fresh);
		if (remade && !(mask & IN_MOVED_TO))
			return (now + WATCH_REMADE_MS * MS);
		return (due_complete(h, now));
	}
	if (held)
		return (due);
	return ((mask & IN_ATTRIB) && known ? now : fresh);
}

static uint32_t
flags_of(uint32_t mask)
{
	uint32_t flags = 0;

	if (mask & (IN_DELETE | IN_MOVED_FROM))
		flags |= HOLD_GONE;
	if (mask & (IN_CREATE | IN_MOVED_TO))
		flags |= HOLD_MADE;
	if (mask & (IN_MODIFY | IN_CLOSE_WRITE))
		flags |= HOLD_WRITE;
	if (mask & IN_ATTRIB)
		flags |= HOLD_ATTR;
	return (flags);
}

void
watch_hold_event(struct watch_tree *t, struct watch_entry *e, uint32_t mask)
{
	bool held = e->hold != NULL && e->hold->number != 0;
	struct watch_hold *h = watch_hold_touch(t, e, flags_of(mask));
	int64_t due;

	due = due_of(h, mask, held, mono_now().ns);
	/* a directory that is being read is due when that is done */
	if (h->job == NULL)
		watch_hold_due(t, h, (mono_t) { due });
}

static void
report_other_name(struct watch_tree *t, struct watch_entry *e, void *arg)
{
	bool held = e->hold != NULL && e->hold->number != 0;
	struct watch_hold *h = watch_hold_touch(t, e, HOLD_LINK);

	if (!held)
		watch_hold_due(t, h, mono_now());
}

/*
 * The path is as it was.  Unless somebody has looked at it meanwhile, and may
 * have seen it otherwise, that need not be told.
 */
static bool
hold_is_void(struct watch_tree *t, const struct watch_hold *h)
{
	struct watch_sub *s;

	if (h->flags & HOLD_FOUND)
		return (false);
	TAILQ_FOREACH (s, &t->subs, link)
		if (watch_sub_looked(s, t->path, h->number))
			return (false);
	return (true);
}

/* Into the dirty sets of all who want it; t->path is its path. */
static void
hold_tell(struct watch_tree *t, struct watch_hold *h,
    const struct watch_snap *now, bool tree)
{
	const struct watch_snap *base = &h->base;
	bool is_dir = now->type == TREE_DIR || base->type == TREE_DIR;
	uint32_t flags = tree ? DIRTY_TREE : 0;
	struct watch_sub *s;

	if (h->flags & HOLD_SCAN)
		flags |= DIRTY_SCAN;
	if (now->type == TREE_ABSENT)
		flags |= DIRTY_GONE;
	log_debug("change %llu: %s%s", (unsigned long long)h->number,
	    t->path[0] != '\0' ? t->path : ".",
	    flags & DIRTY_GONE ? " is gone" :
		tree           ? " and all below" :
				 "");
	TAILQ_FOREACH (s, &t->subs, link)
		if (watch_rules_sub_wants(t, s, h->entry, is_dir))
			watch_dirty_add(s, t->path, flags, h->number,
			    h->seen_ns);
}

/* What docker build would leave out may be something else now. */
static void
hold_rules_changed(struct watch_tree *t, struct watch_hold *cause)
{
	struct watch_hold *h;
	struct watch_job *j;

	if (!watch_rules_reload(t))
		return;
	h = watch_hold_touch(t, t->root, HOLD_TREE);
	hold_take_number(t, h, cause);
	/* a scan that is under way goes on under the new rules */
	if ((j = h->job) == NULL) {
		j = watch_job_new(t, true, true);
		watch_job_wait(j, h);
		watch_hold_due(t, h, MONO_NEVER);
	}
	watch_scan_queue(t, t->root->node, j, true);
}

/* Something that is no directory: told, unless nothing of it differs. */
static void
release_file(struct watch_tree *t, struct watch_hold *h,
    const struct tree_stat *st, const struct watch_snap *now)
{
	struct watch_entry *e = h->entry;
	bool same = watch_snap_same(now, &h->base, false);
	uint32_t all = h->flags;

	watch_node_free(t, e->node);
	watch_entry_record(t, e, st);
	if ((all & ~(uint32_t)HOLD_ATTR) == 0 && same && hold_is_void(t, h)) {
		watch_hold_free(t, h);
		return;
	}
	hold_tell(t, h, now, false);
	/* another name of a file makes the file no other */
	if (all & (HOLD_WRITE | HOLD_ATTR))
		watch_link_others(t, e, report_other_name, NULL);
	if (watch_rules_is_file(t, t->path))
		hold_rules_changed(t, h);
	hold_settle(t, h);
	if (!(all & HOLD_WRITE)) {
		watch_hold_free(t, h);
		return;
	}
	/* stays for a while, to know a file that is written all the time */
	h->told_ns = mono_now().ns;
	if (h->closed_ns == 0)
		h->closed_ns = h->told_ns;
	watch_hold_due(t, h, mono_add_ms(mono_now(), WATCH_QUIET_MS));
}

static void
release_dir(struct watch_tree *t, struct watch_hold *h,
    const struct tree_stat *st, const struct watch_snap *now)
{
	struct watch_entry *e = h->entry;
	bool other = e->snap.ino != 0 &&
	    (e->snap.ino != now->ino || e->snap.dev != now->dev);

	if (e->node == NULL || (other && e->dir != NULL)) {
		/* it came without an event: read it first */
		h->flags |= HOLD_TREE;
		watch_scan_new(t, e, h);
		return;
	}
	watch_entry_record(t, e, st);
	if ((h->flags & HOLD_TREE) || h->base.type != TREE_DIR)
		hold_tell(t, h, now, true);
	else if (!watch_snap_same(now, &h->base, true) || !hold_is_void(t, h))
		hold_tell(t, h, now, false);
	watch_hold_free(t, h);
}

static void
release_absent(struct watch_tree *t, struct watch_hold *h,
    const struct watch_snap *now)
{
	struct watch_entry *e = h->entry;
	bool rules = watch_rules_is_file(t, t->path);

	if (h->base.type != TREE_ABSENT || !hold_is_void(t, h))
		hold_tell(t, h, now, false);
	if (rules)
		hold_rules_changed(t, h);
	if (e->dir != NULL)
		watch_entry_free(t, e);
	else
		watch_hold_free(t, h);
}

/* A directory above that is told as a whole, and so tells this as well. */
static struct watch_hold *
hold_above(const struct watch_hold *h)
{
	const struct watch_node *n;
	struct watch_hold *up;

	for (n = h->entry->dir; n != NULL; n = n->entry->dir) {
		up = n->entry->hold;
		if (up != NULL && up->number != 0 &&
		    (up->flags & (HOLD_TREE | HOLD_GONE)))
			return (up);
	}
	return (NULL);
}

/*
 * A name below a directory that is about to be told: leave the telling to it.
 * What it is now goes into the snapshot all the same.
 */
static void
release_below(struct watch_tree *t, struct watch_hold *h, struct watch_hold *up)
{
	struct watch_entry *e = h->entry;
	struct tree_stat st;

	if (watch_entry_path(e, t->path) == -1 ||
	    tree_stat_at(t->rootfd, t->path, &st) == -1)
		memset(&st, 0, sizeof(st));
	if (watch_rules_is_file(t, t->path))
		hold_rules_changed(t, h);
	watch_hold_absorb(t, up, h);
	if (st.type == TREE_ABSENT) {
		/* a deletion in a tree that moves away is no news of ours */
		if (!(up->flags & HOLD_GONE))
			watch_entry_free(t, e);
	} else if (st.type != TREE_DIR) {
		watch_node_free(t, e->node);
		watch_entry_record(t, e, &st);
	} else if (e->node != NULL) {
		watch_entry_record(t, e, &st);
	} else {
		watch_scan_new(t, e, watch_hold_touch(t, e, HOLD_TREE));
	}
}

static void
hold_release(struct watch_tree *t, struct watch_hold *h)
{
	struct watch_hold *up;
	struct watch_snap now;
	struct tree_stat st;

	if (h->number == 0) {
		watch_hold_free(t, h);
		return;
	}
	if ((h->flags & HOLD_CAME) && h->entry->node != NULL &&
	    watch_scan_below(t, h->entry->node)) {
		watch_hold_due(t, h, mono_add_ms(mono_now(), WATCH_REMADE_MS));
		return;
	}
	if ((up = hold_above(h)) != NULL) {
		release_below(t, h, up);
		return;
	}
	if (watch_entry_path(h->entry, t->path) == -1) {
		watch_tree_warn(t, t->path, ENAMETOOLONG,
		    "a path is too long to be followed");
		watch_hold_free(t, h);
		return;
	}
	if (tree_stat_at(t->rootfd, t->path, &st) == -1) {
		watch_tree_warn(t, t->path, errno, "cannot be looked at");
		memset(&st, 0, sizeof(st));
	}
	watch_snap_from(&now, &st);
	if (now.type == TREE_ABSENT)
		release_absent(t, h, &now);
	else if (now.type == TREE_DIR)
		release_dir(t, h, &st, &now);
	else
		release_file(t, h, &st, &now);
}

void
watch_hold_release(struct watch_tree *t, mono_t now, size_t most)
{
	struct watch_hold *h;

	while (most-- > 0 && (h = RB_MIN(watch_dues, &t->dues)) != NULL &&
	    h->due.ns <= now.ns)
		hold_release(t, h);
}
