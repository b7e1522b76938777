/*
 * Hard links: inotify tells only the name that was written through, so that
 * files with several names are found by their inode.  Watch worker.
 */
#include <stdlib.h>

#include "buf.h"
#include "workers/watch/watch.h"

static int
cmp(uint64_t a, uint64_t b)
{
	return (a < b ? -1 : a > b);
}

/* By file; among its names in any order that stays. */
int
watch_link_cmp(const struct watch_link *a, const struct watch_link *b)
{
	const struct watch_snap *x = &a->entry->snap, *y = &b->entry->snap;
	int c;

	if ((c = cmp(x->ino, y->ino)) != 0 || (c = cmp(x->dev, y->dev)) != 0)
		return (c);
	return (cmp((uintptr_t)a->entry, (uintptr_t)b->entry));
}

RB_GENERATE(watch_links, watch_link, link, watch_link_cmp)

void
watch_link_add(struct watch_tree *t, struct watch_entry *e)
{
	struct watch_link *l = xcalloc(1, sizeof(*l));

	l->entry = e;
	e->linked = 1;
	RB_INSERT(watch_links, &t->links, l);
	/* the first scan sees all names; later, one may be known as single */
	if (t->scanned)
		t->links_stale = true;
}

void
watch_link_remove(struct watch_tree *t, struct watch_entry *e)
{
	struct watch_link key = { .entry = e }, *l;

	if (!e->linked)
		return;
	l = RB_FIND(watch_links, &t->links, &key);
	RB_REMOVE(watch_links, &t->links, l);
	e->linked = 0;
	free(l);
}

/* The first name of the file in the index. */
static struct watch_link *
link_first(struct watch_tree *t, const struct watch_snap *s)
{
	struct watch_link *l = RB_ROOT(&t->links), *best = NULL;
	int c;

	while (l != NULL) {
		c = cmp(s->ino, l->entry->snap.ino);
		if (c == 0)
			c = cmp(s->dev, l->entry->snap.dev);
		if (c == 0)
			best = l;
		l = c <= 0 ? RB_LEFT(l, link) : RB_RIGHT(l, link);
	}
	return (best);
}

/* The entry behind e in a walk of the whole tree; NULL at its end. */
static struct watch_entry *
entry_after(struct watch_entry *e)
{
	struct watch_entry *next;

	if (e->node != NULL &&
	    (next = RB_MIN(watch_names, &e->node->names)) != NULL)
		return (next);
	for (; e->dir != NULL; e = e->dir->entry)
		if ((next = RB_NEXT(watch_names, &e->dir->names, e)) != NULL)
			return (next);
	return (NULL);
}

/*
 * Names that were seen while they were the only one are not in the index.
 * A link(2) tells nothing of the old name, so look for it.
 */
static void
links_complete(struct watch_tree *t)
{
	struct watch_entry *e;

	for (e = t->root; e != NULL; e = entry_after(e))
		if (!e->linked && e->snap.type == TREE_REG &&
		    link_first(t, &e->snap) != NULL)
			watch_link_add(t, e);
	t->links_stale = false;
}

void
watch_link_others(struct watch_tree *t, struct watch_entry *e,
    void (*fn)(struct watch_tree *, struct watch_entry *, void *), void *arg)
{
	struct watch_link *l, *next;

	if (!e->linked)
		return;
	if (t->links_stale)
		links_complete(t);
	for (l = link_first(t, &e->snap); l != NULL; l = next) {
		next = RB_NEXT(watch_links, &t->links, l);
		if (l->entry->snap.ino != e->snap.ino ||
		    l->entry->snap.dev != e->snap.dev)
			break;
		if (l->entry != e)
			fn(t, l->entry, arg);
	}
}
