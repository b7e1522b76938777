/*
 * Tree against manifest, see compare.h.  Push worker.
 *
 * A subtree is a merge of two sorted runs: the walk of the tree and the
 * manifest's entries, which keep the same order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "workers/push/compare.h"

#define COMPARE_AGAIN_MAX 1000

struct todo {
	char *path;
	bool subtree;
};

struct names {
	char **v;
	size_t n;
};

struct compare {
	struct compare_opts o;
	struct todo *todo;
	size_t ntodo;
	size_t at;
	size_t given; /* todo from here on was found on the way */
	bool ready;   /* todo is sorted */

	struct tree_walk *walk;    /* of todo[at] */
	char after[TREE_PATH_MAX]; /* the manifest's entry handled last */
	bool have_after;
	int error; /* ends it */

	int fd; /* content being compared, or -1 */
	char path[TREE_PATH_MAX];
	struct tree_stat st;
	int64_t scanned_ns;
	struct hash hash;

	struct changes changes;
	struct names blind; /* not, or not wholly, seen */
	int blind_errno;    /* of the first that is not transient */
	char *blind_first;
	struct names again;
};

static void
names_add(struct names *l, const char *s)
{
	if ((l->n & (l->n - 1)) == 0)
		l->v = xreallocarray(l->v, l->n == 0 ? 1 : l->n * 2,
		    sizeof(*l->v));
	l->v[l->n++] = xstrdup(s);
}

static void
names_free(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

struct compare *
compare_new(const struct compare_opts *opts)
{
	struct compare *c = xcalloc(1, sizeof(*c));

	c->o = *opts;
	c->fd = -1;
	return (c);
}

void
compare_free(struct compare *c)
{
	if (c == NULL)
		return;
	if (c->fd != -1)
		close(c->fd);
	tree_walk_free(c->walk);
	for (size_t i = 0; i < c->ntodo; i++)
		free(c->todo[i].path);
	free(c->todo);
	changes_free(&c->changes);
	names_free(&c->blind);
	free(c->blind_first);
	names_free(&c->again);
	free(c);
}

static void
todo_push(struct compare *c, char *path, bool subtree)
{
	c->todo = xreallocarray(c->todo, c->ntodo + 1, sizeof(*c->todo));
	c->todo[c->ntodo++] = (struct todo) { path, subtree };
}

int
compare_add(struct compare *c, const char *path, size_t len, bool subtree)
{
	char *s;

	if (len >= TREE_PATH_MAX || memchr(path, '\0', len) != NULL)
		return (-1);
	s = xstrndup(path, len);
	if (!tree_path_ok(s)) {
		free(s);
		return (-1);
	}
	todo_push(c, s, subtree || len == 0);
	return (0);
}

static int
todo_cmp(const void *a, const void *b)
{
	const struct todo *x = a, *y = b;
	int r = tree_path_cmp(x->path, y->path);

	return (r != 0 ? r : (int)y->subtree - (int)x->subtree);
}

/* Sorted, and without what a subtree before it covers. */
static void
todo_settle(struct compare *c)
{
	const char *cover = NULL, *last = NULL;
	size_t n = 0;

	c->ready = true;
	if (c->ntodo > 0)
		qsort(c->todo, c->ntodo, sizeof(*c->todo), todo_cmp);
	for (size_t i = 0; i < c->ntodo; i++) {
		struct todo t = c->todo[i];

		if ((cover != NULL && tree_path_below(t.path, cover)) ||
		    (last != NULL && strcmp(last, t.path) == 0)) {
			free(t.path);
			continue;
		}
		last = t.path;
		if (t.subtree)
			cover = t.path;
		c->todo[n++] = t;
	}
	c->ntodo = c->given = n;
}

static void
compare_look_again(struct compare *c, const char *path)
{
	if (c->again.n < COMPARE_AGAIN_MAX)
		names_add(&c->again, path);
}

static void
compare_on_error(void *arg, const char *path, int err)
{
	struct compare *c = arg;

	if (err == ESTALE || err == ENOENT)
		compare_look_again(c, path);
	else if (c->blind_errno == 0) {
		c->blind_errno = err;
		c->blind_first = xstrdup(path);
	}
	names_add(&c->blind, path);
}

static void
compare_changed(struct compare *c, const char *path,
    const struct manifest_entry *e, const struct tree_stat *st,
    int64_t scanned_ns)
{
	struct change *ch = changes_add(&c->changes, path,
	    e != NULL ? e->type : TREE_ABSENT, st->type);

	ch->st = *st;
	ch->scanned_ns = scanned_ns;
	log_debug("%s is %s", path, e != NULL ? "not as delivered" : "new");
}

static void
compare_gone(struct compare *c, const char *path,
    const struct manifest_entry *e)
{
	changes_add(&c->changes, path, e->type, TREE_ABSENT);
	log_debug("%s was delivered and is gone", path);
}

/* The content is as delivered: from now on the new stat proves it. */
static void
compare_same(struct compare *c, const char *path, const struct tree_stat *st,
    int64_t scanned_ns)
{
	const struct manifest_entry *e = manifest_get(c->o.manifest, path);
	struct manifest_entry new;

	if (e == NULL)
		return;
	manifest_from_stat(&new, st, scanned_ns);
	new.epoch = e->epoch;
	memcpy(new.sha256, e->sha256, HASH_LEN);
	/* a full region is the manifest's to remember */
	(void)manifest_set(c->o.manifest, path, &new);
}

static void
compare_link(struct compare *c, const char *path,
    const struct manifest_entry *e, const struct tree_stat *st,
    int64_t scanned_ns)
{
	char target[TREE_PATH_MAX];
	uint8_t sha[HASH_LEN];
	long n = tree_readlink(c->o.rootfd, path, target, sizeof(target));

	if (n == -1) {
		compare_look_again(c, path);
		return;
	}
	hash_buf(target, (size_t)n, sha);
	if (memcmp(sha, e->sha256, HASH_LEN) == 0)
		compare_same(c, path, st, scanned_ns);
	else
		compare_changed(c, path, e, st, scanned_ns);
}

/* Begin to compare a file's content with its hash. */
static void
compare_content(struct compare *c, const char *path)
{
	c->scanned_ns = wall_now_ns();
	c->fd = tree_open_file(c->o.rootfd, path, &c->st);
	if (c->fd == -1) {
		compare_on_error(c, path, errno == ENXIO ? ENOENT : errno);
		return;
	}
	memcpy(c->path, path, strlen(path) + 1);
	hash_init(&c->hash);
}

/* One path that is there and is not left out. */
static void
compare_judge(struct compare *c, const char *path, const struct tree_stat *st,
    int64_t scanned_ns)
{
	const struct manifest_entry *e = manifest_get(c->o.manifest, path);

	if (st->type != TREE_REG && st->type != TREE_DIR &&
	    st->type != TREE_LINK) {
		/* sockets, FIFOs and devices: not in a build either */
		if (e != NULL)
			compare_gone(c, path, e);
	} else if (c->o.whole || e == NULL || e->state == MANIFEST_UNKNOWN ||
	    e->type != st->type)
		compare_changed(c, path, e, st, scanned_ns);
	else if (st->type == TREE_DIR) {
		if (e->mode != st->mode)
			compare_changed(c, path, e, st, scanned_ns);
	} else if (manifest_same_stat(e, st))
		return;
	else if (e->mode != st->mode || e->size != st->size)
		compare_changed(c, path, e, st, scanned_ns);
	else if (st->type == TREE_LINK)
		compare_link(c, path, e, st, scanned_ns);
	else
		compare_content(c, path);
}

/* Read on in c->fd.  False: the deadline has passed. */
static bool
compare_read(struct compare *c, mono_t deadline)
{
	const struct manifest_entry *e = manifest_get(c->o.manifest, c->path);
	uint8_t piece[32768], sha[HASH_LEN];
	struct tree_stat now;
	ssize_t n;

	while ((n = read(c->fd, piece, sizeof(piece))) > 0) {
		hash_add(&c->hash, piece, (size_t)n);
		if (mono_now().ns >= deadline.ns)
			return (false);
	}
	hash_end(&c->hash, sha);
	if (n == -1)
		compare_on_error(c, c->path, errno);
	else if (tree_stat_fd(c->fd, &now) == -1 || e == NULL ||
	    now.mtime_ns != c->st.mtime_ns || now.size != e->size ||
	    memcmp(sha, e->sha256, HASH_LEN) != 0)
		compare_changed(c, c->path, e, &c->st, c->scanned_ns);
	else if (c->st.mode != e->mode)
		compare_changed(c, c->path, e, &c->st, c->scanned_ns);
	else
		compare_same(c, c->path, &c->st, c->scanned_ns);
	close(c->fd);
	c->fd = -1;
	return (true);
}

/*
 * Subtrees.
 */

/* What the manifest has before `path` (NULL: to the end) is gone. */
static void
compare_merge(struct compare *c, const char *path)
{
	const char *dir = c->todo[c->at].path, *p;
	const struct manifest_entry *e;
	int r;

	while ((e = manifest_next(c->o.manifest, dir,
		    c->have_after ? c->after : NULL, &p)) != NULL) {
		r = path == NULL ? -1 : tree_path_cmp(p, path);
		if (r > 0)
			return;
		memcpy(c->after, p, strlen(p) + 1);
		c->have_after = true;
		if (r == 0)
			return;
		compare_gone(c, p, e);
	}
}

static enum tree_verdict
compare_on_entry(void *arg, const struct tree_entry *e)
{
	struct compare *c = arg;

	compare_merge(c, e->path);
	compare_judge(c, e->path, &e->st, e->scanned_ns);
	return (c->fd != -1 ? TREE_PAUSE : TREE_GO);
}

static enum tree_verdict
compare_on_enter(void *arg, const struct tree_entry *e)
{
	/* one that is left out is entered for what is kept below it */
	if (!e->excluded)
		return (compare_on_entry(arg, e));
	return (TREE_GO);
}

static void
compare_end_subtree(struct compare *c)
{
	compare_merge(c, NULL);
	tree_walk_free(c->walk);
	c->walk = NULL;
	c->at++;
}

static void
compare_subtree(struct compare *c, mono_t deadline)
{
	struct tree_walk_opts o = { .rootfd = c->o.rootfd,
		.start = c->todo[c->at].path,
		.ignore = c->o.ignore,
		.arg = c,
		.entry = compare_on_entry,
		.enter = compare_on_enter,
		.error = compare_on_error };
	int r;

	if (c->walk == NULL) {
		c->have_after = false;
		c->walk = tree_walk_new(&o);
	}
	r = c->walk == NULL ? -1 : tree_walk_step(c->walk, 0, deadline);
	if (r == -1 && (errno == EBADMSG || *o.start == '\0'))
		c->error = errno;
	else if (r == -1) {
		compare_on_error(c, o.start, errno);
		r = TREE_WALK_DONE;
	}
	/* the last entry's content comes first */
	if (r == TREE_WALK_DONE && c->fd == -1)
		compare_end_subtree(c);
}

/*
 * Single paths.
 */

/* 1 left out, 0 not, -1: the rule cannot be matched, and all ends. */
static int
compare_excluded(struct compare *c, const char *path)
{
	struct ignore_match m;

	if (c->o.ignore == NULL)
		return (0);
	if (ignore_path(c->o.ignore, path, strlen(path), &m, NULL) == -1) {
		c->error = EBADMSG;
		return (-1);
	}
	return (m.excluded);
}

/* Compare all of dir, unless that is to be done or done already. */
static void
compare_found_subtree(struct compare *c, const char *dir)
{
	for (size_t i = c->given; i < c->ntodo; i++)
		if (tree_path_below(dir, c->todo[i].path))
			return;
	todo_push(c, xstrdup(dir), true);
}

/*
 * A path whose parent was not delivered as a directory, or is none: then the
 * parent is what has changed.  True when the path need not be looked at.
 */
static bool
compare_parents(struct compare *c, const char *path)
{
	char dir[TREE_PATH_MAX];
	const struct manifest_entry *e;
	struct tree_stat st;
	int out;

	memcpy(dir, path, strlen(path) + 1);
	for (char *p = dir; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		e = manifest_get(c->o.manifest, dir);
		if (tree_stat_at(c->o.rootfd, dir, &st) == -1) {
			compare_on_error(c, dir, errno);
			return (true);
		}
		if (e != NULL && e->type == TREE_DIR && st.type == TREE_DIR)
			continue;
		if ((out = compare_excluded(c, dir)) == -1)
			return (true);
		if (out && st.type == TREE_DIR && e == NULL)
			continue;
		compare_found_subtree(c, dir);
		return (true);
	}
	return (false);
}

static void
compare_path(struct compare *c, const char *path)
{
	const struct manifest_entry *e;
	struct tree_stat st;
	int64_t scanned_ns = wall_now_ns();
	int out;

	if (compare_parents(c, path))
		return;
	if (tree_stat_at(c->o.rootfd, path, &st) == -1) {
		compare_on_error(c, path, errno);
		return;
	}
	if ((out = compare_excluded(c, path)) == -1)
		return;
	e = manifest_get(c->o.manifest, path);
	if (st.type == TREE_DIR && !out && e != NULL && e->type == TREE_DIR)
		compare_judge(c, path, &st, scanned_ns);
	else if (st.type == TREE_DIR || (e != NULL && e->type == TREE_DIR) ||
	    (e == NULL && manifest_next(c->o.manifest, path, NULL, NULL)))
		compare_found_subtree(c, path);
	else if (st.type != TREE_ABSENT && !out)
		compare_judge(c, path, &st, scanned_ns);
	else if (e != NULL)
		compare_gone(c, path, e);
}

static int
names_cmp(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return (tree_path_cmp(*x, *y));
}

/* Nothing is deleted that was not looked for.  The changes are settled. */
static void
compare_drop_blind(struct compare *c)
{
	struct names *l = &c->blind;
	const char *last = NULL; /* the top one of those at or before here */
	size_t n = 0, k = 0;

	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), names_cmp);
	for (size_t i = 0; i < c->changes.n; i++) {
		struct change ch = c->changes.v[i];

		for (; k < l->n && tree_path_cmp(l->v[k], ch.path) <= 0; k++)
			if (last == NULL || !tree_path_below(l->v[k], last))
				last = l->v[k];
		if (ch.now == TREE_ABSENT && last != NULL &&
		    tree_path_below(ch.path, last))
			free(ch.path);
		else
			c->changes.v[n++] = ch;
	}
	c->changes.n = n;
}

int
compare_step(struct compare *c, mono_t deadline)
{
	char *path;

	if (!c->ready)
		todo_settle(c);
	while (c->error == 0 && (c->fd != -1 || c->at < c->ntodo)) {
		if (c->fd != -1) {
			if (!compare_read(c, deadline))
				return (COMPARE_MORE);
		} else if (c->todo[c->at].subtree)
			compare_subtree(c, deadline);
		else {
			path = c->todo[c->at].path;
			compare_path(c, path);
			c->at++;
		}
		if (mono_now().ns >= deadline.ns &&
		    (c->fd != -1 || c->at < c->ntodo))
			return (COMPARE_MORE);
	}
	if (c->error != 0) {
		errno = c->error;
		return (-1);
	}
	changes_settle(&c->changes);
	compare_drop_blind(c);
	return (COMPARE_DONE);
}

void
compare_take(struct compare *c, struct changes *out)
{
	*out = c->changes;
	memset(&c->changes, 0, sizeof(c->changes));
}

const char *
compare_unreadable(const struct compare *c, int *err)
{
	if (c->blind_errno == 0)
		return (NULL);
	*err = c->blind_errno;
	return (c->blind_first);
}

size_t
compare_again(const struct compare *c, char *const **paths)
{
	*paths = c->again.v;
	return (c->again.n);
}
