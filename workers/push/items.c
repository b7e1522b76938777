/*
 * From a push plan to what is sent and deleted, see items.h.  Push worker;
 * pure.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "log.h"
#include "workers/push/items.h"
#include "workers/shared/path_clean.h"

void
paths_add(struct paths *l, const char *s)
{
	if ((l->n & (l->n - 1)) == 0)
		l->v = xreallocarray(l->v, l->n == 0 ? 1 : l->n * 2,
		    sizeof(*l->v));
	l->v[l->n++] = xstrdup(s);
}

static int
paths_cmp(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return (tree_path_cmp(*x, *y));
}

void
paths_settle(struct paths *l)
{
	size_t n = 0;

	if (l->n == 0)
		return;
	qsort(l->v, l->n, sizeof(*l->v), paths_cmp);
	for (size_t i = 0; i < l->n; i++) {
		if (n > 0 && tree_path_below(l->v[i], l->v[n - 1]))
			free(l->v[i]);
		else
			l->v[n++] = l->v[i];
	}
	l->n = n;
}

void
paths_free(struct paths *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	memset(l, 0, sizeof(*l));
}

static void
items_add(struct items *l, const char *from, const char *to, bool dir,
    size_t step)
{
	struct item *it;

	if ((l->n & (l->n - 1)) == 0)
		l->v = xreallocarray(l->v, l->n == 0 ? 1 : l->n * 2,
		    sizeof(*l->v));
	it = &l->v[l->n];
	memset(it, 0, sizeof(*it));
	it->from = xstrdup(from);
	it->to = xstrdup(to);
	it->dir = dir;
	it->step = step;
	it->order = l->n++;
}

uint32_t
items_mode(uint32_t mode)
{
	mode &= ~(uint32_t)S_ISUID;
	return (mode & S_IXGRP ? mode & ~(uint32_t)S_ISGID : mode);
}

char *
items_link_root(const char *to, const char *target, const char *root)
{
	char *joined, *clean, *up;
	size_t n;

	/* an absolute one is taken for one below the link */
	if (*target == '/' || strcmp(root, "/") == 0)
		return (NULL);
	joined = xasprintf("%.*s/%s", (int)(strrchr(to, '/') - to), to, target);
	clean = path_clean(joined, strlen(joined), &n);
	free(joined);
	if (clean == NULL || tree_path_below(clean, root)) {
		free(clean);
		return (NULL);
	}
	up = xstrdup(root);
	while (strcmp(up, "/") != 0 && !tree_path_below(clean, up))
		up[strrchr(up, '/') == up ? 1 : strrchr(up, '/') - up] = '\0';
	free(clean);
	return (up);
}

static void
item_free(struct item *it)
{
	free(it->from);
	free(it->to);
	free(it->root);
}

void
effects_free(struct effects *e)
{
	for (size_t i = 0; i < e->items.n; i++)
		item_free(&e->items.v[i]);
	free(e->items.v);
	paths_free(&e->erase);
	paths_free(&e->hollow);
	paths_free(&e->skipped);
	memset(e, 0, sizeof(*e));
	e->pending = -1;
}

/* The first reason counts, and climbing counts more than failing. */
static void __attribute__((format(printf, 3, 4)))
effects_refuse(struct effects *e, int verdict, const char *fmt, ...)
{
	va_list ap;

	if (e->verdict == EFFECTS_CLIMB ||
	    (e->verdict == EFFECTS_FAIL && verdict != EFFECTS_CLIMB))
		return;
	e->verdict = verdict;
	va_start(ap, fmt);
	vsnprintf(e->reason, sizeof(e->reason), fmt, ap);
	va_end(ap);
}

/* What a directory was before it became a file, or the other way round. */
static void
effects_swap(struct effects *e, struct copyplan *p, const struct dockerfile *df,
    const struct change *ch)
{
	struct copyplan_place *places;
	const struct copyplan_step *s;
	size_t n;

	copyplan_map(p, ch->path, ch->old == TREE_DIR, &places, &n);
	for (size_t i = 0; i < n; i++) {
		s = copyplan_step(p, places[i].step);
		if (!copyplan_step_in_target(p, places[i].step) ||
		    !places[i].wins)
			continue;
		if (strcmp(places[i].dest, s->dest) == 0)
			effects_refuse(e, EFFECTS_CLIMB,
			    "%s: %s at line %u names it, and it is no longer "
			    "of the same type",
			    ch->path,
			    dockerfile_kind_name(df->instrs[s->instr].kind),
			    s->line);
		else
			paths_add(&e->erase, places[i].dest);
	}
	copyplan_places_free(places, n);
}

/* Whether something is at or below a context path when all is done. */
static bool
effects_anything(const struct changes *changes, const struct manifest *m,
    const char *dir)
{
	const char *p = NULL;
	const struct change *ch;

	for (size_t i = changes_from(changes, dir);
	     i < changes->n && tree_path_below(changes->v[i].path, dir); i++)
		if (changes->v[i].now != TREE_ABSENT)
			return (true);
	while (manifest_next(m, dir, p, &p) != NULL) {
		ch = changes_find(changes, p);
		if (ch == NULL || ch->now != TREE_ABSENT)
			return (true);
	}
	return (false);
}

/*
 * A directory of the context is gone: what it was goes if it is empty now.
 * One that no rule includes (`implied`) is nobody else's.
 */
static void
effects_hollow_dir(struct effects *e, struct copyplan *p, const char *dir,
    bool implied)
{
	struct copyplan_place *places;
	size_t n;

	copyplan_map(p, dir, true, &places, &n);
	for (size_t i = 0; i < n; i++)
		if (copyplan_step_in_target(p, places[i].step) &&
		    places[i].wins &&
		    strcmp(places[i].dest,
			copyplan_step(p, places[i].step)->dest) != 0 &&
		    (implied || !copyplan_dir_stays(p, places[i].dest)))
			paths_add(&e->hollow, places[i].dest);
	copyplan_places_free(places, n);
}

/* The directory of a deleted path, where nothing but its entries made it. */
static void
effects_hollow(struct effects *e, struct copyplan *p, const char *path,
    const struct changes *changes, const struct manifest *m)
{
	char *dir = xstrdup(path), *slash;

	while ((slash = strrchr(dir, '/')) != NULL) {
		*slash = '\0';
		if (manifest_get(m, dir) != NULL ||
		    changes_find(changes, dir) != NULL ||
		    effects_anything(changes, m, dir))
			break;
		effects_hollow_dir(e, p, dir, true);
	}
	free(dir);
}

/*
 * Each once, a directory before what is in it, and none that goes with one of
 * the settled paths.
 */
static void
paths_unique(struct paths *l, const struct paths *settled)
{
	size_t n = 0, k = 0;

	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), paths_cmp);
	for (size_t i = 0; i < l->n; i++) {
		while (k + 1 < settled->n &&
		    tree_path_cmp(settled->v[k + 1], l->v[i]) <= 0)
			k++;
		if ((n > 0 && strcmp(l->v[i], l->v[n - 1]) == 0) ||
		    (k < settled->n && tree_path_below(l->v[i], settled->v[k])))
			free(l->v[i]);
		else
			l->v[n++] = l->v[i];
	}
	l->n = n;
}

static void
effects_copy(struct effects *e, const struct copyplan *p,
    const struct push_op *op)
{
	const struct copyplan_step *s = copyplan_step(p, op->step);

	for (size_t i = 0; i < op->nfiles; i++) {
		const struct push_file *f = &op->files[i];

		/* COPY DIR DEST fills DEST and leaves its mode alone */
		if (f->dir && strcmp(f->to, s->dest) == 0)
			continue;
		items_add(&e->items, f->from, f->to, f->dir, op->step);
	}
}

static void
effects_op(struct effects *e, struct copyplan *p, const struct dockerfile *df,
    const struct push_op *op, const char *reason)
{
	const struct copyplan_step *s = copyplan_step(p, op->step);
	const char *kind = dockerfile_kind_name(df->instrs[s->instr].kind);

	if (!copyplan_step_in_target(p, op->step)) {
		effects_refuse(e, EFFECTS_CLIMB,
		    "%s, in a stage that is copied from", reason);
		return;
	}
	switch (op->kind) {
	case PUSH_COPY:
		effects_copy(e, p, op);
		break;
	case PUSH_DELETE:
		for (size_t i = 0; i < op->npaths; i++)
			paths_add(&e->erase, op->paths[i]);
		break;
	case PUSH_RUN:
		if (e->pending == -1 || (size_t)e->pending > s->instr)
			e->pending = (int32_t)s->instr;
		break;
	case PUSH_STAGECOPY:
		effects_refuse(e, EFFECTS_CLIMB,
		    "%s; %s --from at line %u would follow it", reason, kind,
		    op->line);
		break;
	}
}

void
effects_plan(struct effects *e, struct copyplan *p, const struct dockerfile *df,
    const struct push_plan *pp, const struct changes *changes,
    const struct manifest *m)
{
	effects_free(e);
	if (pp->rebuild) {
		effects_refuse(e, EFFECTS_CLIMB, "%s", pp->reason);
		return;
	}
	copyplan_rescan(p);
	for (size_t i = 0; i < changes->n; i++)
		if (change_swaps_dir(&changes->v[i]))
			effects_swap(e, p, df, &changes->v[i]);
		else if (changes->v[i].now == TREE_ABSENT) {
			if (changes->v[i].old == TREE_DIR)
				effects_hollow_dir(e, p, changes->v[i].path,
				    false);
			effects_hollow(e, p, changes->v[i].path, changes, m);
		}
	for (size_t i = 0; i < pp->nstages; i++)
		for (size_t k = 0; k < pp->stages[i].nops; k++)
			effects_op(e, p, df, &pp->stages[i].ops[k], pp->reason);
	paths_settle(&e->erase);
	paths_unique(&e->hollow, &e->erase);
}

struct refresh {
	struct effects *e;
	size_t step;
};

static int
effects_file(void *arg, const char *from, const char *to)
{
	struct refresh *r = arg;

	items_add(&r->e->items, from, to, false, r->step);
	return (0);
}

void
effects_step(struct effects *e, struct copyplan *p, size_t step)
{
	struct refresh r = { e, step };

	effects_free(e);
	copyplan_rescan(p);
	copyplan_files(p, step, effects_file, &r);
}

/* Where the engine unpacks: an item's path below it must have no links. */
static char *
item_root(const struct item *it, const struct copyplan_step *s,
    const struct mount *m)
{
	size_t n = strlen(s->dest),
	       up = (size_t)(strrchr(it->to, '/') - it->to);
	char *root;

	if (strcmp(s->dest, "/") == 0 ||
	    (tree_path_below(it->to, s->dest) && it->to[n] == '/'))
		root = xstrdup(s->dest);
	else
		root = xstrndup(it->to, up == 0 ? 1 : up);
	/* below a read-only root only the mount itself can be unpacked to */
	if (m != NULL && strlen(m->dest) > strlen(root) &&
	    strcmp(m->dest, it->to) != 0) {
		free(root);
		root = xstrdup(m->dest);
	}
	return (root);
}

/* False: leave the path alone. */
static bool
effects_allow(struct effects *e, const struct facts *f, const char *path)
{
	const struct mount *m = facts_mount(f, path);

	if (m != NULL && m->kind == MOUNT_BIND) {
		/* what a user mounted is not ours, and hides the image's */
		paths_add(&e->skipped, path);
		return (false);
	}
	if (m != NULL && m->kind == MOUNT_TMPFS)
		effects_refuse(e, EFFECTS_FAIL,
		    "%.200s lies in the tmpfs %s "
		    "of the container, which the engine cannot write to",
		    path, m->dest);
	else if (m != NULL && m->read_only)
		effects_refuse(e, EFFECTS_FAIL,
		    "%.200s lies in %s, which is mounted read-only", path,
		    m->dest);
	else if (m == NULL && f->read_only)
		effects_refuse(e, EFFECTS_CLIMB,
		    "%.200s: the container's "
		    "root file system is read-only",
		    path);
	return (true);
}

static int
item_cmp_to(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = tree_path_cmp(x->to, y->to);

	return (r != 0 ? r : (x->order > y->order) - (x->order < y->order));
}

static int
item_cmp_root(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = tree_path_cmp(x->root, y->root);

	return (r != 0 ? r : item_cmp_to(a, b));
}

bool
items_same(const struct manifest_entry *a, const struct manifest_entry *b)
{
	return (a->type == b->type && a->mode == b->mode &&
	    memcmp(a->sha256, b->sha256, HASH_LEN) == 0);
}

static int
hex_value(const char *s)
{
	const char *digits = "0123456789abcdef", *a, *b;

	if (s[0] == '\0' || (a = strchr(digits, s[0])) == NULL ||
	    s[1] == '\0' || (b = strchr(digits, s[1])) == NULL)
		return (-1);
	return ((int)((a - digits) * 16 + (b - digits)));
}

/* The text in the first quotes, the caller's to free.  NULL: none. */
static char *
items_unquote(const char *s)
{
	static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
	struct buf b = { 0 };
	const char *p;
	int v;

	if ((s = strchr(s, '"')) == NULL)
		return (NULL);
	for (s++; *s != '"' && *s != '\0'; s++) {
		char c = *s;

		if (c == '\\' && *++s == 'x' && (v = hex_value(s + 1)) >= 0) {
			c = (char)v;
			s += 2;
		} else if (c == '\\' && *s != '\0')
			c = (char)((p = strchr(from, *s)) != NULL ?
				to[p - from] :
				*s);
		if (*s == '\0')
			break;
		buf_add(&b, &c, 1);
	}
	if (*s != '"') {
		buf_free(&b);
		return (NULL);
	}
	buf_add(&b, "", 1);
	return ((char *)b.data);
}

/* How many bytes at the end of path are those of to behind its root. */
static size_t
items_match(const char *path, const char *to, const char *root)
{
	const char *rel = to + (strcmp(root, "/") == 0 ? 1 : strlen(root) + 1);
	size_t n = strlen(path), m = strlen(rel);

	if (strcmp(path, to) == 0)
		return (SIZE_MAX);
	if (n < m || strcmp(path + n - m, rel) != 0 ||
	    (n > m && path[n - m - 1] != '/'))
		return (0);
	return (m);
}

const struct item *
items_named(const struct item *v, size_t n, const char *message)
{
	char *path = items_unquote(message);
	const struct item *best = NULL;
	size_t longest = 0, m;

	for (size_t i = 0; path != NULL && i < n; i++)
		if ((m = items_match(path, v[i].to, v[i].root)) > longest) {
			longest = m;
			best = &v[i];
		}
	free(path);
	return (best);
}

/* What still has to be sent comes last, by root. */
static int
item_cmp_left(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return (x->moved != y->moved ? (int)x->moved - (int)y->moved :
				       item_cmp_root(a, b));
}

size_t
items_moved(struct items *l)
{
	size_t i = l->n;

	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), item_cmp_left);
	while (i > 0 && l->v[i - 1].moved && !l->v[i - 1].sent)
		i--;
	return (i);
}

/* One of each destination, the last; and only what may be written. */
static void
items_settle(struct effects *e, const struct copyplan *p, const struct facts *f)
{
	struct items *l = &e->items;
	size_t n = 0;

	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), item_cmp_to);
	for (size_t i = 0; i < l->n; i++) {
		struct item *it = &l->v[i];

		if ((i + 1 < l->n && strcmp(it->to, it[1].to) == 0) ||
		    !effects_allow(e, f, it->to)) {
			item_free(it);
			continue;
		}
		it->root = item_root(it, copyplan_step(p, it->step),
		    facts_mount(f, it->to));
		l->v[n++] = *it;
	}
	l->n = n;
	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), item_cmp_root);
}

/* Drop the paths that are not ours to touch. */
static void
paths_allow(struct effects *e, struct paths *l, const struct facts *f)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		/* never all of a container */
		if (strcmp(l->v[i], "/") == 0 || !effects_allow(e, f, l->v[i]))
			free(l->v[i]);
		else
			l->v[n++] = l->v[i];
	l->n = n;
}

void
effects_place(struct effects *e, const struct copyplan *p,
    const struct facts *f)
{
	const struct mount *m;

	items_settle(e, p, f);
	paths_allow(e, &e->erase, f);
	paths_allow(e, &e->hollow, f);
	for (size_t i = 0; i < e->erase.n; i++)
		if ((m = facts_mount_below(f, e->erase.v[i])) != NULL)
			effects_refuse(e, EFFECTS_CLIMB,
			    "%.200s is to be "
			    "deleted, and %.200s is mounted in it",
			    e->erase.v[i], m->dest);
}
