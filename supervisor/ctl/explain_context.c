/*
 * A directory as the push planner's context: what is on the disk, less what
 * the ignore rules leave out, with the asked-about changes laid over it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "include/buf.h"
#include "supervisor/ctl/explain_build.h"
#include "supervisor/ctl/explain_context.h"
#include "workers/shared/ignore.h"
#include "workers/shared/path_clean.h"
#include "workers/shared/tree.h"

#define MAX_LINKS 40

struct explain_context {
	int fd;
	struct ignore *ignore; /* NULL: none */
	char *dockerfile;      /* in the context */
	char *ignorefile;
	const struct explain_paths *changed;
	const struct explain_paths *deleted;
};

void
explain_paths_add(struct explain_paths *list, const char *path)
{
	char *s = xasprintf("/%s", path), *clean;
	size_t n;

	clean = path_clean(s, strlen(s), &n);
	free(s);
	if (clean == NULL)
		abort();
	list->v = xreallocarray(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n++] = xstrdup(clean + 1);
	free(clean);
}

static void
drop(struct explain_paths *list, size_t i)
{
	/* The strings are ours, const only for the planner's sake. */
	free((void *)(uintptr_t)list->v[i]);
	list->v[i] = list->v[--list->n];
}

void
explain_paths_free(struct explain_paths *list)
{
	while (list->n > 0)
		drop(list, list->n - 1);
	free(list->v);
	list->v = NULL;
}

static bool
is_ignored(const struct explain_context *ctx, const char *path)
{
	struct ignore_match m;

	if (ctx->ignore == NULL || *path == '\0')
		return (false);
	return (ignore_path(ctx->ignore, path, strlen(path), &m, NULL) == 0 &&
	    m.excluded);
}

/* path is one of the list or below it. */
static bool
is_below(const struct explain_paths *list, const char *path)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (tree_path_below(path, list->v[i]))
			return (true);
	return (false);
}

/* One of the list lies below path. */
static bool
is_above(const struct explain_paths *list, const char *path)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (strcmp(list->v[i], path) != 0 &&
		    tree_path_below(list->v[i], path))
			return (true);
	return (false);
}

static bool
is_listed(const struct explain_paths *list, const char *path)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (strcmp(list->v[i], path) == 0)
			return (true);
	return (false);
}

static enum tree_type
on_disk(const struct explain_context *ctx, const char *path)
{
	struct tree_stat st;

	if (tree_stat_at(ctx->fd, path, &st) == -1)
		return (TREE_ABSENT);
	return (st.type);
}

static enum copyplan_type
type(void *arg, const char *path)
{
	const struct explain_context *ctx = arg;
	enum tree_type disk = on_disk(ctx, path);

	if (is_above(ctx->changed, path))
		return (COPYPLAN_DIR);
	if (is_listed(ctx->changed, path))
		return (disk == TREE_DIR ? COPYPLAN_DIR : COPYPLAN_FILE);
	if (is_below(ctx->deleted, path))
		return (COPYPLAN_ABSENT);
	if (disk == TREE_DIR && is_ignored(ctx, path) &&
	    !ignore_may_include_below(ctx->ignore, path, strlen(path)))
		return (COPYPLAN_ABSENT);
	if (disk == TREE_DIR || is_above(ctx->deleted, path))
		return (COPYPLAN_DIR);
	if (disk == TREE_ABSENT || is_ignored(ctx, path))
		return (COPYPLAN_ABSENT);
	return (COPYPLAN_FILE);
}

static char *
below(const char *dir, const char *name)
{
	return (*dir == '\0' ? xstrdup(name) : xasprintf("%s/%s", dir, name));
}

/* Entries that are only in the list of changes. */
static void
list_changed(struct explain_context *ctx, const char *dir,
    int (*fn)(void *, const char *, bool), void *fnarg)
{
	size_t i, k, n, skip = *dir == '\0' ? 0 : strlen(dir) + 1;
	char *path, *name;
	bool new;

	for (i = 0; i < ctx->changed->n; i++) {
		const char *p = ctx->changed->v[i];

		if (!tree_path_below(p, dir) || strlen(p) <= skip)
			continue;
		n = strcspn(p + skip, "/");
		name = xstrndup(p + skip, n);
		path = below(dir, name);
		new = on_disk(ctx, path) == TREE_ABSENT;
		for (k = 0; k < i && new; k++)
			if (tree_path_below(ctx->changed->v[k], path))
				new = false;
		if (new)
			fn(fnarg, name, p[skip + n] == '/');
		free(path);
		free(name);
	}
}

static void
list(void *arg, const char *dir,
    int (*fn)(void *fnarg, const char *name, bool isdir), void *fnarg)
{
	struct explain_context *ctx = arg;
	enum copyplan_type t;
	struct dirent *de;
	char *path;
	DIR *d = NULL;
	int fd, stop = 0;

	fd = tree_open_dir(ctx->fd, dir);
	if (fd != -1 && (d = fdopendir(fd)) == NULL)
		close(fd);
	while (d != NULL && !stop && (de = readdir(d)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0)
			continue;
		path = below(dir, de->d_name);
		t = type(ctx, path);
		free(path);
		if (t != COPYPLAN_ABSENT)
			stop = fn(fnarg, de->d_name, t == COPYPLAN_DIR);
	}
	if (d != NULL)
		closedir(d);
	if (!stop)
		list_changed(ctx, dir, fn, fnarg);
}

/* Follow the first link in path: the new path, or NULL when there is none. */
static char *
follow(struct explain_context *ctx, const char *path)
{
	char target[TREE_PATH_MAX], *head, *joined, *clean;
	const char *s = path, *up;
	size_t n;

	while (*s != '\0') {
		s += strcspn(s, "/");
		head = xstrndup(path, (size_t)(s - path));
		if (on_disk(ctx, head) != TREE_LINK) {
			free(head);
			s += *s == '/';
			continue;
		}
		if (tree_readlink(ctx->fd, head, target, sizeof(target)) == -1)
			target[0] = '\0';
		up = strrchr(head, '/');
		joined = *target == '/' ?
		    xasprintf("%s%s", target, s) :
		    xasprintf("/%.*s/%s%s", up == NULL ? 0 : (int)(up - head),
			head, target, s);
		clean = path_clean(joined, strlen(joined), &n);
		free(joined);
		free(head);
		if (clean == NULL)
			abort();
		memmove(clean, clean + 1, n);
		return (clean);
	}
	return (NULL);
}

static char *
resolve(void *arg, const char *path)
{
	char *now = NULL, *next;
	int i;

	for (i = 0; i < MAX_LINKS; i++) {
		next = follow(arg, now == NULL ? path : now);
		if (next == NULL)
			return (now);
		free(now);
		now = next;
	}
	return (now); /* a circle: whatever it says is not there */
}

static enum copyplan_answer
archive(void *arg, const char *path)
{
	static const struct {
		size_t at, n;
		const char *magic;
	} kinds[] = {
		{ 0, 2, "\x1f\x8b" },
		{ 0, 3, "BZh" },
		{ 0, 6,
		    "\xfd"
		    "7zXZ" },
		{ 0, 4, "\x28\xb5\x2f\xfd" },
		{ 257, 5, "ustar" },
	};
	struct explain_context *ctx = arg;
	char head[512];
	ssize_t n;
	size_t i;
	int fd;

	if ((fd = tree_open_file(ctx->fd, path, NULL)) == -1)
		return (COPYPLAN_UNKNOWN);
	n = read(fd, head, sizeof(head));
	close(fd);
	for (i = 0; n > 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].at + kinds[i].n <= (size_t)n &&
		    memcmp(head + kinds[i].at, kinds[i].magic, kinds[i].n) == 0)
			return (COPYPLAN_YES);
	return (COPYPLAN_NO);
}

/* The name of a file within the context, or NULL when it lies outside. */
static char *
name_within(const char *dir, const char *path)
{
	char *d = realpath(dir, NULL), *p = realpath(path, NULL), *s = NULL;
	size_t n;

	if (d != NULL && p != NULL) {
		n = strcmp(d, "/") == 0 ? 0 : strlen(d);
		if (strncmp(p, d, n) == 0 && p[n] == '/')
			s = xstrdup(p + n + 1);
	}
	free(d);
	free(p);
	return (s);
}

static int
load_ignore(struct explain_context *ctx, const char *dir, const char *path,
    FILE *err)
{
	struct ignore_error ie;
	struct dockerfile_error e;
	char *name, *text = NULL;
	size_t len;
	int code;

	name = xasprintf("%s.dockerignore", path);
	if (access(name, F_OK) == -1) {
		free(name);
		name = xasprintf("%s/.dockerignore", dir);
	}
	if (access(name, F_OK) == -1) {
		free(name);
		return (0);
	}
	code = explain_read_file(name, IGNORE_FILE_MAX, &text, &len, err);
	if (code == 0 && (ctx->ignore = ignore_parse(text, len, &ie)) == NULL) {
		dockerfile_fail(&e, ie.line, 1, "%s", ie.text);
		code = explain_complain(name, &e, err);
	}
	ctx->ignorefile = name_within(dir, name);
	free(text);
	free(name);
	return (code);
}

static void
filter(const struct explain_context *ctx, struct explain_paths *list_)
{
	size_t i;

	for (i = list_->n; i-- > 0;)
		if (is_ignored(ctx, list_->v[i]) &&
		    (ctx->dockerfile == NULL ||
			strcmp(list_->v[i], ctx->dockerfile) != 0) &&
		    (ctx->ignorefile == NULL ||
			strcmp(list_->v[i], ctx->ignorefile) != 0))
			drop(list_, i);
}

int
explain_context_open(const char *dir, const char *dockerfile,
    struct explain_paths *changed, struct explain_paths *deleted,
    struct explain_context **out, FILE *err)
{
	struct explain_context *ctx = xcalloc(1, sizeof(*ctx));
	int code;

	*out = ctx;
	ctx->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ctx->fd == -1) {
		explain_print_name(dir, err);
		fprintf(err, ": %s\n", strerror(errno));
		return (EX_NOINPUT);
	}
	ctx->changed = changed;
	ctx->deleted = deleted;
	ctx->dockerfile = name_within(dir, dockerfile);
	if ((code = load_ignore(ctx, dir, dockerfile, err)) != 0)
		return (code);
	filter(ctx, changed);
	filter(ctx, deleted);
	return (0);
}

void
explain_context_close(struct explain_context *ctx)
{
	if (ctx == NULL)
		return;
	if (ctx->fd != -1)
		close(ctx->fd);
	ignore_free(ctx->ignore);
	free(ctx->dockerfile);
	free(ctx->ignorefile);
	free(ctx);
}

void
explain_context_fill(struct explain_context *ctx, struct copyplan_options *opt)
{
	opt->dockerfile = ctx->dockerfile;
	opt->ignorefile = ctx->ignorefile;
	opt->oracle.arg = ctx;
	opt->oracle.type = type;
	opt->oracle.list = list;
	opt->oracle.resolve = resolve;
	opt->oracle.archive = archive;
}
