/*
 * Locks of git repositories, see git.h.  Watch worker.
 */
#include <sys/inotify.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "workers/shared/path_clean.h"
#include "workers/shared/tree.h"
#include "workers/watch/git.h"
#include "workers/watch/inotify.h"

#define GIT_MASK \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)
#define GIT_LOCK "index.lock"

struct repo {
	TAILQ_ENTRY(repo) link;
	uint32_t tree;
	int wd;
	int fd;      /* of the repository above the root, or -1 */
	int rootfd;  /* borrowed, for one below it */
	char *found; /* the .git below the root */
	char *dir;   /* the repository below the root */
	bool locked;
	mono_t since; /* it is locked, or free */
};
TAILQ_HEAD(repos, repo);

struct watch_git {
	struct watch_inotify *in;
	bool stirred;
	struct repos repos;
};

struct watch_git *
watch_git_new(struct watch_inotify *in)
{
	struct watch_git *g = xcalloc(1, sizeof(*g));

	g->in = in;
	in->git = g;
	TAILQ_INIT(&g->repos);
	return (g);
}

static void
repo_free(struct watch_git *g, struct repo *r)
{
	TAILQ_REMOVE(&g->repos, r, link);
	watch_inotify_release(g->in, r->wd);
	if (r->fd != -1)
		close(r->fd);
	free(r->found);
	free(r->dir);
	free(r);
}

void
watch_git_free(struct watch_git *g)
{
	struct repo *r;

	if (g == NULL)
		return;
	while ((r = TAILQ_FIRST(&g->repos)) != NULL)
		repo_free(g, r);
	g->in->git = NULL;
	free(g);
}

bool
watch_git_has(const struct watch_git *g, int wd)
{
	const struct repo *r;

	TAILQ_FOREACH (r, &g->repos, link)
		if (r->wd == wd)
			return (true);
	return (false);
}

/* Look whether it is locked now. */
static void
repo_look(struct repo *r)
{
	char path[TREE_PATH_MAX + sizeof(GIT_LOCK)];
	struct tree_stat st = { 0 };
	struct stat sb;
	bool locked;

	if (r->fd != -1)
		locked =
		    fstatat(r->fd, GIT_LOCK, &sb, AT_SYMLINK_NOFOLLOW) == 0;
	else {
		strlcpy(path, r->dir, sizeof(path));
		if (strlcat(path, "/" GIT_LOCK, sizeof(path)) >= TREE_PATH_MAX)
			return;
		locked = tree_stat_at(r->rootfd, path, &st) == 0 &&
		    st.type != TREE_ABSENT;
	}
	if (locked == r->locked)
		return;
	r->locked = locked;
	r->since = mono_now();
}

static struct repo *
repo_new(struct watch_git *g, uint32_t tree, int wd)
{
	struct repo *r = xcalloc(1, sizeof(*r));

	r->tree = tree;
	r->wd = wd;
	r->fd = r->rootfd = -1;
	r->since.ns = INT64_MIN / 2;
	TAILQ_INSERT_TAIL(&g->repos, r, link);
	return (r);
}

char *
watch_git_dir(const char *text, size_t len)
{
	static const char key[] = "gitdir: ";
	const size_t n = sizeof(key) - 1;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len <= n || strncmp(text, key, n) != 0 ||
	    memchr(text, '\0', len) != NULL)
		return (NULL);
	return (xstrndup(text + n, len - n));
}

/* What the .git file that is open as fd names; closes it. */
static char *
git_file_dir(int fd)
{
	char text[PATH_MAX + 16];
	ssize_t n = read(fd, text, sizeof(text));

	close(fd);
	return (n > 0 ? watch_git_dir(text, (size_t)n) : NULL);
}

/*
 * Above the root, with start-up rights.
 */

/* The repository of `dir`/.git for searching.  -1: there is none. */
static int
above_open(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;
	char *to, *full;
	int fd;

	if (snprintf(path, sizeof(path), "%s/.git", dir) >= (int)sizeof(path))
		return (-1);
	if ((fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) != -1 ||
	    errno != ENOTDIR)
		return (fd);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return (-1);
	}
	if ((to = git_file_dir(fd)) == NULL)
		return (-1);
	full = *to == '/' ? xstrdup(to) : xasprintf("%s/%s", dir, to);
	fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(full);
	free(to);
	return (fd);
}

/* A repository of a stranger must not slow us down. */
static bool
above_is_ours(int fd, uid_t owner)
{
	struct stat st;

	return (fstat(fd, &st) == 0 &&
	    (st.st_uid == owner || st.st_uid == 0 || st.st_uid == geteuid()));
}

/* inotify_add_watch(2) by a descriptor that may be for searching only. */
static int
git_watch(struct watch_git *g, int fd, int back)
{
	int wd = -1;

	if (fchdir(fd) == 0)
		wd = watch_inotify_add(g->in, GIT_MASK);
	if (fchdir(back) == -1)
		log_debug("the directory before cannot be entered");
	return (wd);
}

static bool
above_add(struct watch_git *g, uint32_t tree, int fd, uid_t owner)
{
	struct repo *r;
	int back, wd = -1;

	back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (above_is_ours(fd, owner) && back != -1)
		wd = git_watch(g, fd, back);
	if (back != -1)
		close(back);
	if (wd == -1) {
		close(fd);
		return (false);
	}
	r = repo_new(g, tree, wd);
	r->fd = fd;
	repo_look(r);
	return (true);
}

bool
watch_git_above(struct watch_git *g, uint32_t tree, const char *path)
{
	char dir[PATH_MAX], *slash;
	struct stat root, st;
	int fd;

	if (g->in->fd == -1 || *path != '/' ||
	    strlcpy(dir, path, sizeof(dir)) >= sizeof(dir) ||
	    stat(dir, &root) == -1)
		return (false);
	for (;;) {
		if (stat(*dir != '\0' ? dir : "/", &st) == -1 ||
		    st.st_dev != root.st_dev)
			return (false);
		if ((fd = above_open(dir)) != -1)
			return (above_add(g, tree, fd, root.st_uid));
		if ((slash = strrchr(dir, '/')) == NULL)
			return (false);
		*slash = '\0';
	}
}

/*
 * Below the root, in the sandbox.
 */

/* The directory that `to` names in the directory of the .git file `path`. */
static char *
below_resolve(const char *path, const char *to)
{
	const char *slash = strrchr(path, '/');
	char *full, *clean;
	size_t len;

	full = xasprintf("%.*s/%s", (int)(slash != NULL ? slash - path : 0),
	    path, to);
	if (*to == '/') {
		free(full);
		return (NULL);
	}
	clean = path_clean(*full == '/' ? full + 1 : full,
	    strlen(*full == '/' ? full + 1 : full), &len);
	free(full);
	if (clean != NULL && !tree_path_ok(clean)) {
		free(clean);
		return (NULL);
	}
	return (clean);
}

/* Where the repository is that `path` stands for; NULL: not below the root. */
static char *
below_dir(int rootfd, const char *path)
{
	struct tree_stat st;
	char *to, *dir;
	int fd;

	if (tree_stat_at(rootfd, path, &st) == -1)
		return (NULL);
	if (st.type == TREE_DIR)
		return (xstrdup(path));
	if (st.type != TREE_REG ||
	    (fd = tree_open_file(rootfd, path, NULL)) == -1 ||
	    (to = git_file_dir(fd)) == NULL)
		return (NULL);
	dir = below_resolve(path, to);
	free(to);
	return (dir);
}

void
watch_git_below(struct watch_git *g, uint32_t tree, int rootfd,
    const char *path)
{
	struct repo *r, *old = NULL;
	size_t n = 0;
	char *dir;
	int fd, wd;

	if (g->in->fd == -1 || (dir = below_dir(rootfd, path)) == NULL)
		return;
	fd = tree_open_dir(rootfd, dir);
	wd = fd != -1 ? git_watch(g, fd, rootfd) : -1;
	if (fd != -1)
		close(fd);
	TAILQ_FOREACH (r, &g->repos, link) {
		if (r->tree != tree || r->found == NULL)
			continue;
		if (strcmp(r->found, path) == 0)
			old = r;
		else
			n++;
	}
	if (wd != -1 && n < WATCH_GIT_MAX &&
	    (old == NULL || old->wd != wd || strcmp(old->dir, dir) != 0)) {
		r = repo_new(g, tree, wd);
		r->rootfd = rootfd;
		r->found = xstrdup(path);
		r->dir = xstrdup(dir);
		repo_look(r);
	} else if (wd != -1) {
		/* it is known, or one too many */
		watch_inotify_release(g->in, wd);
		old = NULL;
	}
	if (old != NULL)
		repo_free(g, old);
	free(dir);
}

/*
 * What they say.
 */

void
watch_git_event(struct watch_git *g, const struct inotify_event *ev,
    const char *name)
{
	bool lost = (ev->mask & IN_Q_OVERFLOW) != 0;
	struct repo *r, *next;

	/* a tree that watches the same directory has all its events sent */
	if (!lost && !(ev->mask & IN_IGNORED) && strcmp(name, GIT_LOCK) != 0)
		return;
	for (r = TAILQ_FIRST(&g->repos); r != NULL; r = next) {
		next = TAILQ_NEXT(r, link);
		if (!lost && r->wd != ev->wd)
			continue;
		g->stirred = true;
		repo_look(r);
		/* removed, and whoever finds another one tells */
		if (ev->mask & IN_IGNORED)
			repo_free(g, r);
	}
}

bool
watch_git_stirred(struct watch_git *g)
{
	bool stirred = g->stirred;

	g->stirred = false;
	return (stirred);
}

bool
watch_git_held(struct watch_git *g, uint32_t tree, mono_t *next)
{
	mono_t now = mono_now(), until;
	struct repo *r;
	bool held = false;

	*next = MONO_NEVER;
	TAILQ_FOREACH (r, &g->repos, link) {
		if (r->tree != tree)
			continue;
		/* a lock that comes and goes is one command's */
		until = mono_add_ms(r->since,
		    r->locked ? WATCH_GIT_STALE_MS : WATCH_GIT_REST_MS);
		if (now.ns >= until.ns)
			continue;
		held = true;
		if (until.ns < next->ns)
			*next = until;
	}
	return (held);
}
