/*
 * What inotify says of the directories of a tree.  Watch worker, called by
 * inotify.c.
 */
#include <sys/inotify.h>
#include <string.h>

#include "workers/watch/watch.h"

static struct watch_node *
moved_by_cookie(struct watch_tree *t, uint32_t cookie)
{
	struct watch_node *n;

	if (cookie == 0)
		return (NULL);
	TAILQ_FOREACH (n, &t->moved, moved)
		if (n->cookie == cookie)
			return (n);
	return (NULL);
}

/* The directory goes away; where to, the next event may tell. */
static void
dir_leaves(struct watch_tree *t, struct watch_node *n, uint32_t cookie)
{
	if (cookie == 0)
		return;
	if (n->cookie == 0)
		TAILQ_INSERT_TAIL(&t->moved, n, moved);
	n->cookie = cookie;
}

/* The rules may say something else of a directory that has moved. */
static void
dir_judge(struct watch_tree *t, struct watch_node *n, struct watch_hold *h)
{
	struct watch_job *j;

	if (!watch_rules_any(t))
		return;
	j = watch_job_new(t, true, true);
	watch_job_wait(j, h);
	watch_hold_due(t, h, MONO_NEVER);
	j->left++;
	watch_scan_queue(t, n, j, true);
	j->left--;
	watch_job_check(t, j);
}

/* It arrives: what is known of it, and its watches, go on under e. */
static void
dir_arrives(struct watch_tree *t, struct watch_node *n, struct watch_entry *e)
{
	struct watch_entry *from = n->entry;

	if (from == e)
		return;
	watch_node_free(t, e->node);
	watch_link_remove(t, e);
	watch_node_move(t, n, e);
	e->snap = from->snap;
	e->hold->flags |= HOLD_TREE | HOLD_CAME;
	if (from->hold != NULL) {
		/* there is nothing to be read any more where it was */
		watch_job_wait(NULL, from->hold);
		watch_hold_due(t, from->hold,
		    mono_add_ms(mono_now(), WATCH_HOLD_MS));
	}
	dir_judge(t, n, e->hold);
}

/* A directory is made here, or arrives from elsewhere. */
static void
event_dir_comes(struct watch_tree *t, struct watch_node *dir,
    struct watch_entry *e, uint32_t mask, uint32_t cookie)
{
	struct watch_node *n =
	    mask & IN_MOVED_TO ? moved_by_cookie(t, cookie) : NULL;

	/* read by a scan before its event was */
	if ((mask & IN_CREATE) && e->node != NULL && e->snap.type == TREE_DIR &&
	    !(e->hold != NULL && (e->hold->flags & HOLD_GONE)))
		return;
	watch_hold_event(t, e, mask);
	if (n != NULL && !watch_node_below(dir, n)) {
		dir_arrives(t, n, e);
		return;
	}
	e->hold->flags |= HOLD_TREE;
	watch_scan_new(t, e, e->hold);
}

/* An unreadable directory may have been opened up. */
static void
event_dir_attr(struct watch_tree *t, struct watch_entry *e)
{
	struct watch_job *j;

	if (e->node == NULL || !(e->node->flags & NODE_UNREADABLE))
		return;
	j = watch_job_new(t, false, false);
	j->left++;
	watch_scan_queue(t, e->node, j, true);
	j->left--;
	watch_job_check(t, j);
}

static void
event_name(struct watch_tree *t, struct watch_node *dir, const char *name,
    uint32_t mask, uint32_t cookie)
{
	struct watch_entry *e = watch_entry_find(dir, name);
	bool is_dir = (mask & IN_ISDIR) != 0;

	if (e == NULL && (mask & (IN_DELETE | IN_MOVED_FROM)))
		return;
	if (mask & (IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE))
		watch_tree_git(t, dir, name);
	if ((e == NULL || (mask & (IN_CREATE | IN_MOVED_TO))) &&
	    !watch_rules_want(t, dir, name, is_dir)) {
		/* something known becomes something unwanted: a dir, a file */
		if (e != NULL)
			watch_hold_event(t, e, IN_DELETE);
		return;
	}
	if (e == NULL)
		e = watch_entry_get(t, dir, name);
	if (is_dir && (mask & (IN_CREATE | IN_MOVED_TO))) {
		event_dir_comes(t, dir, e, mask, cookie);
		return;
	}
	watch_hold_event(t, e, mask);
	if (is_dir && (mask & IN_MOVED_FROM) && e->node != NULL)
		dir_leaves(t, e->node, cookie);
	if (is_dir && (mask & IN_ATTRIB))
		event_dir_attr(t, e);
}

/* About the watched directory itself. */
static void
event_self(struct watch_tree *t, struct watch_node *n, uint32_t mask)
{
	struct watch_hold *h;
	bool is_root = n->entry->dir == NULL;

	if (is_root && (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)))
		t->lost = true;
	if (mask & IN_IGNORED)
		watch_node_unwatch(n, false);
	if (!is_root && (mask & IN_UNMOUNT)) {
		/* what it covered is in sight again */
		h = watch_hold_touch(t, n->entry, HOLD_TREE | HOLD_GONE);
		watch_scan_new(t, n->entry, h);
	}
}

void
watch_event_lost(struct watch_tree *t)
{
	struct watch_sub *s;

	if (t->ops->overflow != NULL && mono_now().ns >= t->lost_again.ns)
		t->ops->overflow(t->arg);
	t->lost_again = mono_add_ms(mono_now(), WATCH_LOST_MS);
	t->changes++;
	TAILQ_FOREACH (s, &t->subs, link)
		watch_sub_lost(s, t->changes);
	watch_scan_compare(t);
}

void
watch_event_one(struct watch_tree *t, struct watch_node *n,
    const struct inotify_event *ev, const char *name)
{
	if (*name != '\0')
		event_name(t, n, name, ev->mask, ev->cookie);
	else
		event_self(t, n, ev->mask);
}
