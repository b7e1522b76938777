/*
 * A set of changes, see changes.h.  Push worker; pure.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/push/changes.h"

struct change *
changes_add(struct changes *c, const char *path, enum tree_type old,
    enum tree_type now)
{
	struct change *e;

	if ((c->n & (c->n - 1)) == 0)
		c->v = xreallocarray(c->v, c->n == 0 ? 1 : c->n * 2,
		    sizeof(*c->v));
	e = &c->v[c->n++];
	memset(e, 0, sizeof(*e));
	e->path = xstrdup(path);
	e->old = old;
	e->now = now;
	return (e);
}

static int
changes_cmp(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	return (tree_path_cmp(x->path, y->path));
}

void
changes_settle(struct changes *c)
{
	size_t n = 0;

	if (c->n == 0)
		return;
	qsort(c->v, c->n, sizeof(*c->v), changes_cmp);
	for (size_t i = 0; i < c->n; i++) {
		if (n > 0 && strcmp(c->v[n - 1].path, c->v[i].path) == 0)
			free(c->v[i].path);
		else
			c->v[n++] = c->v[i];
	}
	c->n = n;
}

size_t
changes_from(const struct changes *c, const char *path)
{
	size_t lo = 0, hi = c->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (tree_path_cmp(c->v[mid].path, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo);
}

const struct change *
changes_find(const struct changes *c, const char *path)
{
	size_t i = changes_from(c, path);

	if (i < c->n && strcmp(c->v[i].path, path) == 0)
		return (&c->v[i]);
	return (NULL);
}

bool
change_swaps_dir(const struct change *c)
{
	return (c->old != TREE_ABSENT && c->now != TREE_ABSENT &&
	    c->old != c->now && (c->old == TREE_DIR || c->now == TREE_DIR));
}

void
changes_free(struct changes *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].path);
	free(c->v);
	memset(c, 0, sizeof(*c));
}
