/*
 * The walker of tree.h.  Runs in the workers that read trees.
 *
 * A level is a directory that was entered: its names, read once and sorted,
 * and a descriptor to reach them.  Only the deepest max_fds levels keep their
 * descriptor; the others are opened again by path when the walk comes back,
 * and must then be the same directory.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/shared/ignore.h"
#include "workers/shared/tree.h"

#define WALK_MAX_FDS 64
#define WALK_DENTS   32768

struct level {
	int fd; /* -1: closed to save descriptors */
	int reading;
	int root;
	uint64_t dev;
	uint64_t ino;
	size_t pathlen;
	struct ignore_state *rules; /* what its entries need; NULL: none */
	struct buf names;           /* NUL-terminated, one behind the other */
	size_t *at;                 /* where each begins, sorted */
	size_t n;
	size_t next;
};

struct tree_walk {
	struct tree_walk_opts o;
	char *start;
	int started;
	int open; /* levels with a descriptor */
	struct level *levels;
	size_t depth;
	size_t cap;
	struct ignore_state *spare; /* of the directory at hand */
	int error;                  /* ends the walk */
	enum tree_verdict verdict;
	char path[TREE_PATH_MAX];
	char dents[WALK_DENTS] __attribute__((aligned(8)));
};

struct tree_walk *
tree_walk_new(const struct tree_walk_opts *opts)
{
	struct tree_walk *w;
	const char *start = opts->start != NULL ? opts->start : "";

	if (!tree_path_ok(start)) {
		errno = EINVAL;
		return (NULL);
	}
	w = xcalloc(1, sizeof(*w));
	w->o = *opts;
	w->start = xstrdup(start);
	if (w->o.max_fds <= 0)
		w->o.max_fds = WALK_MAX_FDS;
	return (w);
}

static void
level_close(struct tree_walk *w, struct level *l)
{
	if (l->fd == -1)
		return;
	close(l->fd);
	l->fd = -1;
	w->open--;
}

static void
level_pop(struct tree_walk *w)
{
	struct level *l = &w->levels[--w->depth];

	level_close(w, l);
	ignore_state_free(l->rules);
	buf_free(&l->names);
	free(l->at);
}

void
tree_walk_free(struct tree_walk *w)
{
	if (w == NULL)
		return;
	while (w->depth > 0)
		level_pop(w);
	ignore_state_free(w->spare);
	free(w->levels);
	free(w->start);
	free(w);
}

static void
walk_error(struct tree_walk *w, int err)
{
	if (w->o.error != NULL)
		w->o.error(w->o.arg, w->path, err);
}

/* Gives up the descriptor of the level farthest from the present one. */
static void
walk_make_room(struct tree_walk *w)
{
	size_t i;

	for (i = 0; w->open >= w->o.max_fds && i < w->depth; i++)
		level_close(w, &w->levels[i]);
}

/* Enters the directory w->path, open as fd (-1: it cannot be read). */
static struct level *
level_push(struct tree_walk *w, int fd)
{
	struct level *l;
	struct tree_stat st;

	if (w->depth == w->cap) {
		w->cap = w->cap == 0 ? 16 : w->cap * 2;
		w->levels =
		    xreallocarray(w->levels, w->cap, sizeof(*w->levels));
	}
	walk_make_room(w);
	l = &w->levels[w->depth++];
	memset(l, 0, sizeof(*l));
	l->fd = fd;
	l->pathlen = strlen(w->path);
	l->rules = w->spare;
	w->spare = NULL;
	if (fd == -1)
		return (l);
	w->open++;
	l->reading = 1;
	if (tree_stat_fd(fd, &st) == 0) {
		l->dev = st.dev;
		l->ino = st.ino;
	}
	return (l);
}

/* The descriptor of the level, opened again if it was given up.  -1: the
 * directory is no longer what it was; the rest of it is left out. */
static int
level_fd(struct tree_walk *w, struct level *l)
{
	struct tree_stat st;
	int fd;

	if (l->fd != -1)
		return (l->fd);
	w->path[l->pathlen] = '\0';
	if ((fd = tree_open_dir(w->o.rootfd, w->path)) == -1) {
		walk_error(w,
		    errno == ENOENT || errno == ENOTDIR || errno == ELOOP ?
			ESTALE :
			errno);
		return (-1);
	}
	if (tree_stat_fd(fd, &st) == -1 || st.dev != l->dev ||
	    st.ino != l->ino) {
		close(fd);
		walk_error(w, ESTALE);
		return (-1);
	}
	l->fd = fd;
	w->open++;
	return (fd);
}

static int
name_cmp(const void *a, const void *b, void *names)
{
	const char *s = names;

	return (strcmp(s + *(const size_t *)a, s + *(const size_t *)b));
}

static void
level_sort(struct level *l)
{
	size_t off, i;

	l->reading = 0;
	l->at = xreallocarray(NULL, l->n + 1, sizeof(*l->at));
	for (off = 0, i = 0; i < l->n; i++) {
		l->at[i] = off;
		off += strlen((char *)l->names.data + off) + 1;
	}
	if (l->n > 1)
		qsort_r(l->at, l->n, sizeof(*l->at), name_cmp, l->names.data);
}

/* Reads one buffer of names; sorts them when there are no more. */
static void
level_read(struct tree_walk *w, struct level *l)
{
	const struct dirent64 *d;
	ssize_t n, off;

	n = getdents64(l->fd, w->dents, sizeof(w->dents));
	if (n == -1) {
		w->path[l->pathlen] = '\0';
		walk_error(w, errno);
	}
	for (off = 0; off < n; off += d->d_reclen) {
		d = (const struct dirent64 *)(const void *)(w->dents + off);
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		/* A broken file system may hold what is not a name. */
		if (d->d_name[0] == '\0' || strchr(d->d_name, '/') != NULL)
			continue;
		buf_add(&l->names, d->d_name, strlen(d->d_name) + 1);
		l->n++;
	}
	if (n <= 0)
		level_sort(l);
}

/* 1 when a path that must be reported is path itself or lies below it. */
static int
walk_kept(const struct tree_walk *w, const char *path, int below)
{
	size_t i;

	for (i = 0; i < w->o.nkeep; i++) {
		if (below && tree_path_below(w->o.keep[i], path))
			return (1);
		if (!below && strcmp(w->o.keep[i], path) == 0)
			return (1);
	}
	return (0);
}

/* Ends the walk with an errno. */
static void
walk_fail(struct tree_walk *w, int err)
{
	w->error = err;
	w->verdict = TREE_STOP;
}

/*
 * Asks the ignore rules about w->path and leaves in w->spare what the entries
 * of a directory need.  1: report it, 0: leave it out.
 */
static int
walk_judge(struct tree_walk *w, const struct ignore_state *parent,
    struct tree_entry *e)
{
	struct ignore_match m;
	size_t len = strlen(w->path);
	int dir = e->st.type == TREE_DIR;

	if (w->o.ignore == NULL)
		return (1);
	if (dir && w->spare == NULL &&
	    (w->spare = ignore_state_new(w->o.ignore)) == NULL) {
		walk_fail(w, ENOMEM);
		return (0);
	}
	if (ignore_walk(w->o.ignore, parent, w->path, len,
		dir ? w->spare : NULL, &m) == -1) {
		walk_fail(w, EBADMSG);
		return (0);
	}
	if (!m.excluded)
		return (1);
	if (!dir)
		return (e->kept = walk_kept(w, w->path, 0));
	e->excluded = 1;
	return (walk_kept(w, w->path, 1) ||
	    ignore_may_include_below(w->o.ignore, w->path, len));
}

static void
walk_enter(struct tree_walk *w, struct tree_entry *e, int dirfd)
{
	int fd;

	w->verdict = w->o.enter != NULL ? w->o.enter(w->o.arg, e) : TREE_GO;
	if (w->verdict == TREE_SKIP || w->verdict == TREE_STOP)
		return;
	if (dirfd != -1)
		fd = openat(dirfd, e->name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK |
			O_CLOEXEC);
	else
		fd = tree_open_dir(w->o.rootfd, e->path);
	if (fd == -1 && errno != ENOENT)
		walk_error(w,
		    errno == ENOTDIR || errno == ELOOP ? ESTALE : errno);
	level_push(w, fd);
}

/* Handles what w->path names and e->st describes. */
static void
walk_entry(struct tree_walk *w, struct tree_entry *e, int dirfd,
    const struct ignore_state *parent)
{
	e->path = w->path;
	if (!walk_judge(w, parent, e))
		return;
	if (e->st.type == TREE_DIR)
		walk_enter(w, e, dirfd);
	else if (w->o.entry != NULL)
		w->verdict = w->o.entry(w->o.arg, e);
}

/* Puts the level's name at the end of its path.  -1: too long. */
static int
walk_join(struct tree_walk *w, const struct level *l, const char *name)
{
	size_t len = l->pathlen, namelen = strlen(name);

	if (len + (len > 0) + namelen + 1 > sizeof(w->path)) {
		w->path[len] = '\0';
		return (-1);
	}
	if (len > 0)
		w->path[len++] = '/';
	memcpy(w->path + len, name, namelen + 1);
	return (0);
}

static void
walk_child(struct tree_walk *w, struct level *l)
{
	struct tree_entry e = { 0 };
	struct stat sb;
	int fd;

	if ((fd = level_fd(w, l)) == -1) {
		l->next = l->n;
		return;
	}
	e.name = (const char *)l->names.data + l->at[l->next++];
	if (walk_join(w, l, e.name) == -1) {
		walk_error(w, ENAMETOOLONG);
		return;
	}
	e.scanned_ns = wall_now_ns();
	if (fstatat(fd, e.name, &sb, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno != ENOENT)
			walk_error(w, errno);
		return;
	}
	tree_stat_from(&e.st, &sb);
	walk_entry(w, &e, fd, l->rules);
}

static void
walk_leave(struct tree_walk *w, struct level *l)
{
	int root = l->root;

	w->path[l->pathlen] = '\0';
	level_pop(w);
	if (!root && w->o.leave != NULL)
		w->verdict = w->o.leave(w->o.arg, w->path);
}

/* The rules as they stand in the directory that holds the start.  -1: the
 * start lies in a tree that is left out, or the walk has failed. */
static int
walk_start_rules(struct tree_walk *w, struct ignore_state **rules)
{
	struct tree_entry e = { .st = { .type = TREE_DIR } };
	char *slash = w->path;

	while ((slash = strchr(slash, '/')) != NULL) {
		*slash = '\0';
		e.excluded = 0;
		if (!walk_judge(w, *rules, &e))
			return (-1);
		ignore_state_free(*rules);
		*rules = w->spare;
		w->spare = NULL;
		*slash++ = '/';
	}
	return (0);
}

/* The root, or whatever the walk begins with. */
static int
walk_start(struct tree_walk *w)
{
	struct tree_entry e = { 0 };
	struct ignore_state *rules = NULL;
	const char *slash;
	int fd;

	w->started = 1;
	memcpy(w->path, w->start, strlen(w->start) + 1);
	if (w->start[0] == '\0') {
		if ((fd = tree_open_dir(w->o.rootfd, "")) == -1)
			return (-1);
		level_push(w, fd)->root = 1;
		return (0);
	}
	e.scanned_ns = wall_now_ns();
	if (tree_stat_at(w->o.rootfd, w->start, &e.st) == -1)
		return (-1);
	if (e.st.type == TREE_ABSENT)
		return (0);
	slash = strrchr(w->path, '/');
	e.name = slash != NULL ? slash + 1 : w->path;
	if (walk_start_rules(w, &rules) == 0)
		walk_entry(w, &e, -1, rules);
	ignore_state_free(rules);
	return (0);
}

int
tree_walk_step(struct tree_walk *w, size_t max, mono_t deadline)
{
	struct level *l;
	size_t done = 0;

	w->verdict = TREE_GO;
	if (!w->started && walk_start(w) == -1)
		return (-1);
	while (w->depth > 0 && w->verdict != TREE_STOP) {
		if (w->verdict == TREE_PAUSE || (max != 0 && done == max))
			return (TREE_WALK_MORE);
		if (done > 0 && deadline.ns != MONO_NEVER.ns &&
		    mono_now().ns >= deadline.ns)
			return (TREE_WALK_MORE);
		w->verdict = TREE_GO;
		done++;
		l = &w->levels[w->depth - 1];
		if (l->reading)
			level_read(w, l);
		else if (l->next < l->n)
			walk_child(w, l);
		else
			walk_leave(w, l);
	}
	if (w->verdict == TREE_STOP) {
		while (w->depth > 0)
			level_pop(w);
		errno = w->error != 0 ? w->error : ECANCELED;
		return (-1);
	}
	return (TREE_WALK_DONE);
}
