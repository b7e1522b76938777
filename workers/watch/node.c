/*
 * The snapshot of a tree: names and directories.  Pure memory, but that a
 * directory's watch goes with it.  Watch worker.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/watch/watch.h"

int
watch_entry_cmp(const struct watch_entry *a, const struct watch_entry *b)
{
	return (strcmp(a->name, b->name));
}

RB_GENERATE(watch_names, watch_entry, link, watch_entry_cmp)

/* As RB_FIND, which would want an entry to compare with. */
struct watch_entry *
watch_entry_find(struct watch_node *dir, const char *name)
{
	struct watch_entry *e = RB_ROOT(&dir->names);
	int c;

	while (e != NULL && (c = strcmp(name, e->name)) != 0)
		e = c < 0 ? RB_LEFT(e, link) : RB_RIGHT(e, link);
	return (e);
}

static struct watch_entry *
entry_new(struct watch_tree *t, struct watch_node *dir, const char *name)
{
	size_t len = strlen(name) + 1;
	struct watch_entry *e;

	e = xcalloc(1, offsetof(struct watch_entry, name) + len);
	memcpy(e->name, name, len);
	e->dir = dir;
	e->seen = 1;
	t->entries++;
	return (e);
}

struct watch_entry *
watch_entry_get(struct watch_tree *t, struct watch_node *dir, const char *name)
{
	struct watch_entry *e;

	if (dir == NULL)
		return (entry_new(t, NULL, name));
	if ((e = watch_entry_find(dir, name)) != NULL)
		return (e);
	e = entry_new(t, dir, name);
	RB_INSERT(watch_names, &dir->names, e);
	return (e);
}

/* All of an entry but its node. */
static void
entry_drop(struct watch_tree *t, struct watch_entry *e)
{
	if (t->scan.next == e)
		t->scan.next = e->dir != NULL ?
		    RB_NEXT(watch_names, &e->dir->names, e) :
		    NULL;
	if (e->dir != NULL)
		RB_REMOVE(watch_names, &e->dir->names, e);
	watch_hold_free(t, e->hold);
	watch_link_remove(t, e);
	t->entries--;
	free(e);
}

void
watch_entry_free(struct watch_tree *t, struct watch_entry *e)
{
	if (e == NULL)
		return;
	watch_node_free(t, e->node);
	entry_drop(t, e);
}

void
watch_entry_record(struct watch_tree *t, struct watch_entry *e,
    const struct tree_stat *st)
{
	struct watch_snap now;

	watch_snap_from(&now, st);
	if (e->linked &&
	    (now.ino != e->snap.ino || now.dev != e->snap.dev ||
		now.type != TREE_REG || st->nlink < 2))
		watch_link_remove(t, e);
	e->snap = now;
	if (!e->linked && now.type == TREE_REG && st->nlink > 1)
		watch_link_add(t, e);
}

/* Put s before what dst[*at] begins with.  -1: no room. */
static int
path_prepend(char *dst, size_t *at, const char *s)
{
	size_t len = strlen(s), slash = dst[*at] != '\0';

	if (len + slash > *at)
		return (-1);
	if (slash)
		dst[--*at] = '/';
	*at -= len;
	memcpy(dst + *at, s, len);
	return (0);
}

int
watch_node_path(const struct watch_node *n, const char *name, char *dst)
{
	const struct watch_entry *e;
	size_t at = TREE_PATH_MAX - 1;

	dst[0] = dst[at] = '\0';
	if (name != NULL && path_prepend(dst, &at, name) == -1)
		return (-1);
	for (; n != NULL; n = e->dir) {
		e = n->entry;
		if (e->dir != NULL && path_prepend(dst, &at, e->name) == -1)
			return (-1);
	}
	memmove(dst, dst + at, TREE_PATH_MAX - at);
	return (0);
}

int
watch_entry_path(const struct watch_entry *e, char *dst)
{
	return (watch_node_path(e->dir, e->dir != NULL ? e->name : NULL, dst));
}

struct watch_node *
watch_node_new(struct watch_tree *t, struct watch_entry *e)
{
	struct watch_node *n = xcalloc(1, sizeof(*n));

	n->tree = t;
	n->entry = e;
	n->wd = -1;
	RB_INIT(&n->names);
	e->node = n;
	t->nodes++;
	return (n);
}

bool
watch_node_below(const struct watch_node *n, const struct watch_node *top)
{
	for (; n != NULL; n = n->entry->dir)
		if (n == top)
			return (true);
	return (false);
}

static void
node_forget_move(struct watch_tree *t, struct watch_node *n)
{
	if (n->cookie == 0)
		return;
	TAILQ_REMOVE(&t->moved, n, moved);
	n->cookie = 0;
}

/* One node, whose names are gone already. */
static void
node_drop(struct watch_tree *t, struct watch_node *n)
{
	watch_scan_unqueue(t, n);
	watch_node_unwatch(n, true);
	watch_node_flag(t, n, NODE_UNREADABLE, false);
	watch_node_remote(t, n, NULL);
	watch_node_flag(t, n, NODE_POLLED, false);
	node_forget_move(t, n);
	watch_rules_forget(t);
	n->entry->node = NULL;
	t->nodes--;
	free(n);
}

/* Goes down and up without recursion: a tree may be as deep as it likes. */
void
watch_node_free(struct watch_tree *t, struct watch_node *top)
{
	struct watch_node *n = top, *up;
	struct watch_entry *e;

	while (n != NULL) {
		if ((e = RB_ROOT(&n->names)) != NULL && e->node != NULL) {
			n = e->node;
			continue;
		}
		if (e != NULL) {
			entry_drop(t, e);
			continue;
		}
		up = n == top ? NULL : n->entry->dir;
		node_drop(t, n);
		n = up;
	}
}

void
watch_node_move(struct watch_tree *t, struct watch_node *n,
    struct watch_entry *to)
{
	node_forget_move(t, n);
	n->entry->node = NULL;
	n->entry = to;
	to->node = n;
	watch_rules_forget(t);
}

void
watch_node_flag(struct watch_tree *t, struct watch_node *n, uint32_t flag,
    bool on)
{
	struct watch_nodes *list =
	    flag == NODE_POLLED ? &t->polled : &t->unreadable;
	uint64_t *count = flag == NODE_POLLED ? &t->npolled : &t->nunreadable;

	if (((n->flags & flag) != 0) == on)
		return;
	/* one list at a time: what cannot be read cannot be watched either */
	if (on)
		watch_node_flag(t, n,
		    flag == NODE_POLLED ? NODE_UNREADABLE : NODE_POLLED, false);
	n->flags ^= flag;
	if (on) {
		TAILQ_INSERT_TAIL(list, n, slow);
		++*count;
	} else {
		TAILQ_REMOVE(list, n, slow);
		--*count;
	}
}

void
watch_node_remote(struct watch_tree *t, struct watch_node *n, const char *fs)
{
	if (((n->flags & NODE_REMOTE) != 0) == (fs != NULL))
		return;
	n->flags ^= NODE_REMOTE;
	if (fs == NULL) {
		t->nremote--;
		return;
	}
	if (t->nremote++ == 0) {
		free(t->remote_path);
		t->remote_path = xstrdup(t->path);
		t->remote_fs = fs;
	}
}
