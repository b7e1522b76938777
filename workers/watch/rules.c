/*
 * Which service wants which path: the ignore rules of docker build, one set
 * for each service of the tree.  Watch worker.
 *
 * The rule file is <Dockerfile>.dockerignore, or else .dockerignore of the
 * root.  It, the Dockerfile and the other one are always reported, whatever
 * the rules say of them: docker build reads them all the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/shared/path_clean.h"
#include "workers/watch/watch.h"

enum { KEEP_DOCKERFILE, KEEP_OWN, KEEP_COMMON, KEEP_MAX };

/* The path as it stands below the root; NULL when it does not. */
static char *
keep_path(const char *path)
{
	size_t len;
	char *p;

	if (path == NULL)
		return (NULL);
	p = path_clean(path, strlen(path), &len);
	if (p != NULL &&
	    (len == 0 || strcmp(p, ".") == 0 || !tree_path_ok(p))) {
		free(p);
		p = NULL;
	}
	return (p);
}

void
watch_rules_free(struct watch_rules *r)
{
	ignore_state_free(r->state);
	ignore_free(r->ignore);
	free(r->text);
	for (int i = 0; i < KEEP_MAX; i++)
		free(r->keep[i]);
	memset(r, 0, sizeof(*r));
}

/*
 * The whole of a rule file.  NULL: there is none, or it cannot be used, which
 * has been said.
 */
static char *
rules_read(struct watch_tree *t, const char *path, size_t *len)
{
	struct tree_stat st;
	struct buf b = { 0 };
	ssize_t n = 0;
	int fd;

	if (path == NULL)
		return (NULL);
	if ((fd = tree_open_file(t->rootfd, path, &st)) == -1) {
		if (errno != ENOENT)
			watch_tree_warn(t, path, errno,
			    "the ignore rules cannot be read");
		return (NULL);
	}
	while (b.len <= IGNORE_FILE_MAX &&
	    (n = read(fd, buf_reserve(&b, 65536), 65536)) > 0)
		b.len += (size_t)n;
	if (n == -1)
		watch_tree_warn(t, path, errno,
		    "the ignore rules cannot be read");
	close(fd);
	buf_add(&b, "", 1);
	*len = b.len - 1;
	return ((char *)b.data);
}

/* Read one service's rules.  True when they are others than before. */
static bool
rules_load(struct watch_tree *t, struct watch_rules *r)
{
	struct ignore_error err = { 0 };
	const char *path = r->keep[KEEP_OWN];
	size_t len = 0;
	char *text, *why;

	text = rules_read(t, path, &len);
	if (text == NULL) {
		path = r->keep[KEEP_COMMON];
		text = rules_read(t, path, &len);
	}
	if ((text == NULL && r->text == NULL) ||
	    (text != NULL && r->text != NULL && len == r->len &&
		memcmp(text, r->text, len) == 0)) {
		free(text);
		return (false);
	}
	ignore_state_free(r->state);
	ignore_free(r->ignore);
	free(r->text);
	r->state = NULL;
	r->ignore = NULL;
	r->text = text;
	r->len = len;
	if (text == NULL)
		return (true);
	r->ignore = ignore_parse(text, len, &err);
	if (r->ignore == NULL) {
		why = xasprintf("line %u: %s: nothing is left out", err.line,
		    err.text);
		watch_tree_warn(t, path, 0, why);
		free(why);
	}
	return (true);
}

void
watch_rules_init(struct watch_tree *t, struct watch_sub *s,
    const char *dockerfile)
{
	struct ignore_names names = { 0 };
	struct watch_rules *r = &s->rules;

	r->keep[KEEP_DOCKERFILE] = keep_path(dockerfile);
	if (r->keep[KEEP_DOCKERFILE] != NULL &&
	    ignore_names(r->keep[KEEP_DOCKERFILE], &names) == 0) {
		r->keep[KEEP_OWN] = keep_path(names.own);
		free(names.own);
	}
	r->keep[KEEP_COMMON] = keep_path(".dockerignore");
	if (t->rootfd != -1)
		rules_load(t, r);
	watch_rules_forget(t);
}

static bool
rules_same_str(const char *a, const char *b)
{
	return (a == NULL || b == NULL ? a == b : strcmp(a, b) == 0);
}

static bool
rules_same(const struct watch_rules *a, const struct watch_rules *b)
{
	for (int i = 0; i < KEEP_MAX; i++)
		if (!rules_same_str(a->keep[i], b->keep[i]))
			return (false);
	return (a->text != NULL && b->text != NULL && a->len == b->len &&
	    memcmp(a->text, b->text, a->len) == 0);
}

bool
watch_rules_covered(const struct watch_tree *t, const struct watch_sub *s)
{
	const struct watch_sub *o;

	TAILQ_FOREACH (o, &t->subs, link)
		if (o != s &&
		    (o->rules.ignore == NULL ||
			rules_same(&o->rules, &s->rules)))
			return (true);
	return (false);
}

bool
watch_rules_reload(struct watch_tree *t)
{
	struct watch_sub *s;
	bool other = false;

	TAILQ_FOREACH (s, &t->subs, link)
		other |= rules_load(t, &s->rules);
	watch_rules_forget(t);
	return (other);
}

bool
watch_rules_is_file(const struct watch_tree *t, const char *path)
{
	const struct watch_sub *s;

	TAILQ_FOREACH (s, &t->subs, link)
		for (int i = KEEP_OWN; i < KEEP_MAX; i++)
			if (s->rules.keep[i] != NULL &&
			    strcmp(s->rules.keep[i], path) == 0)
				return (true);
	return (false);
}

bool
watch_rules_any(const struct watch_tree *t)
{
	const struct watch_sub *s;

	TAILQ_FOREACH (s, &t->subs, link)
		if (s->rules.ignore != NULL)
			return (true);
	return (false);
}

void
watch_rules_forget(struct watch_tree *t)
{
	t->rules_node = NULL;
	t->rules_there = false;
}

/* Work out what the rules need to know of the directory t->rules_path. */
static void
rules_enter(struct watch_tree *t, struct watch_rules *r)
{
	const struct ignore_state *parent = NULL;
	struct ignore_match m;
	char *p = t->rules_path, *slash;

	if (*p == '\0')
		return;
	if (r->state == NULL)
		r->state = ignore_state_new(r->ignore);
	if (r->state == NULL)
		return;
	do {
		slash = strchr(p, '/');
		if (slash != NULL)
			*slash = '\0';
		ignore_walk(r->ignore, parent, t->rules_path,
		    strlen(t->rules_path), r->state, &m);
		parent = r->state;
		if (slash != NULL) {
			*slash = '/';
			p = slash + 1;
		}
	} while (slash != NULL);
}

/* Leaves the directory's path in t->rules_path.  -1: too long. */
static int
rules_prepare(struct watch_tree *t, const struct watch_node *dir)
{
	struct watch_sub *s;

	if (watch_node_path(dir, NULL, t->rules_path) == -1)
		return (-1);
	if (t->rules_there && t->rules_node == dir)
		return (0);
	TAILQ_FOREACH (s, &t->subs, link)
		if (s->rules.ignore != NULL)
			rules_enter(t, &s->rules);
	t->rules_node = dir;
	t->rules_there = true;
	return (0);
}

/* The path is to be reported always, or leads to one that is. */
static bool
rules_keep(const struct watch_rules *r, const char *path, bool is_dir)
{
	for (int i = 0; i < KEEP_MAX; i++) {
		if (r->keep[i] == NULL)
			continue;
		if (is_dir ? tree_path_below(r->keep[i], path) :
			     strcmp(r->keep[i], path) == 0)
			return (true);
	}
	return (false);
}

/* What t->rules_path says to one service, its directory being prepared. */
static bool
rules_judge(struct watch_tree *t, const struct watch_rules *r, bool top,
    bool is_dir)
{
	size_t len = strlen(t->rules_path);
	struct ignore_match m;

	if (r->ignore == NULL)
		return (true);
	/* a pattern that fails: docker build fails too, and leaves out none */
	if (ignore_walk(r->ignore, top ? NULL : r->state, t->rules_path, len,
		NULL, &m) == -1 ||
	    !m.excluded)
		return (true);
	return (rules_keep(r, t->rules_path, is_dir) ||
	    (is_dir &&
		ignore_may_include_below(r->ignore, t->rules_path, len)));
}

static bool
rules_want(struct watch_tree *t, const struct watch_sub *only,
    const struct watch_node *dir, const char *name, bool is_dir)
{
	const struct watch_sub *s;
	size_t len, add = strlen(name);

	if (rules_prepare(t, dir) == -1)
		return (false);
	len = strlen(t->rules_path);
	if (len + add + 2 > sizeof(t->rules_path))
		return (false);
	if (len > 0)
		t->rules_path[len++] = '/';
	memcpy(t->rules_path + len, name, add + 1);
	TAILQ_FOREACH (s, &t->subs, link)
		if ((only == NULL || s == only) &&
		    rules_judge(t, &s->rules, dir->entry->dir == NULL, is_dir))
			return (true);
	return (false);
}

bool
watch_rules_want(struct watch_tree *t, const struct watch_node *dir,
    const char *name, bool is_dir)
{
	const struct watch_sub *s;

	TAILQ_FOREACH (s, &t->subs, link)
		if (s->rules.ignore == NULL)
			return (true);
	return (rules_want(t, NULL, dir, name, is_dir));
}

bool
watch_rules_sub_wants(struct watch_tree *t, struct watch_sub *s,
    const struct watch_entry *e, bool is_dir)
{
	if (s->rules.ignore == NULL || e->dir == NULL)
		return (true);
	return (rules_want(t, s, e->dir, e->name, is_dir));
}
