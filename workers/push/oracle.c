/*
 * Answers for the push planner, see oracle.h.  Push worker.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/push/oracle.h"
#include "workers/shared/path_clean.h"

#define ORACLE_LINKS_MAX 40

static enum tree_type
oracle_tree_type(const struct oracle *o, const char *path)
{
	const struct change *ch = NULL;
	const struct manifest_entry *e;
	size_t i;

	if (*path == '\0')
		return (TREE_DIR);
	if (o->changes != NULL) {
		i = changes_from(o->changes, path);
		if (i < o->changes->n) {
			ch = &o->changes->v[i];
			if (strcmp(ch->path, path) == 0)
				return (ch->now);
			/* kept below a directory that is left out itself */
			if (ch->now != TREE_ABSENT &&
			    tree_path_below(ch->path, path))
				return (TREE_DIR);
		}
	}
	e = manifest_get(o->manifest, path);
	if (e != NULL)
		return (e->type);
	return (manifest_next(o->manifest, path, NULL, NULL) != NULL ?
		TREE_DIR :
		TREE_ABSENT);
}

static enum copyplan_type
oracle_type(void *arg, const char *path)
{
	switch (oracle_tree_type(arg, path)) {
	case TREE_ABSENT:
		return (COPYPLAN_ABSENT);
	case TREE_DIR:
		return (COPYPLAN_DIR);
	default:
		return (COPYPLAN_FILE);
	}
}

struct listing {
	const struct oracle *o;
	size_t skip; /* bytes of the directory's path, and its '/' */
	int (*fn)(void *, const char *, bool);
	void *fnarg;
	char last[TREE_PATH_MAX]; /* the child that was told last */
	bool known;               /* leave out what the manifest has */
	int stop;
};

/* A path somewhere below the directory: tell its child, once. */
static int
oracle_tell(struct listing *l, const char *path)
{
	char child[TREE_PATH_MAX];
	size_t n;
	enum tree_type t;

	if (strlen(path) <= l->skip)
		return (0);
	n = l->skip + strcspn(path + l->skip, "/");
	memcpy(child, path, n);
	child[n] = '\0';
	if (strcmp(child, l->last) == 0)
		return (0);
	memcpy(l->last, child, n + 1);
	if (l->known && manifest_next(l->o->manifest, child, NULL, NULL))
		return (0);
	t = oracle_tree_type(l->o, child);
	if (t != TREE_ABSENT)
		l->stop = l->fn(l->fnarg, child + l->skip, t == TREE_DIR);
	return (l->stop);
}

static int
oracle_tell_entry(void *arg, const char *path, const struct manifest_entry *e)
{
	return (oracle_tell(arg, path));
}

static void
oracle_list(void *arg, const char *dir, int (*fn)(void *, const char *, bool),
    void *fnarg)
{
	const struct oracle *o = arg;
	struct listing l = { .o = o,
		.fn = fn,
		.fnarg = fnarg,
		.skip = *dir == '\0' ? 0 : strlen(dir) + 1 };

	manifest_iter_below(o->manifest, dir, oracle_tell_entry, &l);
	l.last[0] = '\0';
	l.known = true;
	if (l.stop != 0 || o->changes == NULL)
		return;
	for (size_t i = changes_from(o->changes, dir); i < o->changes->n &&
	     l.stop == 0 && tree_path_below(o->changes->v[i].path, dir);
	     i++)
		if (o->changes->v[i].now != TREE_ABSENT)
			oracle_tell(&l, o->changes->v[i].path);
}

/* Follow the first link in path: the new path, or NULL when there is none. */
static char *
oracle_follow(const struct oracle *o, const char *path)
{
	char head[TREE_PATH_MAX], target[TREE_PATH_MAX];
	char *joined, *clean, *up;
	const char *s = path;
	size_t n;

	if (strlen(path) >= sizeof(head))
		return (NULL);
	for (; *s != '\0'; s += *s == '/') {
		s += strcspn(s, "/");
		memcpy(head, path, (size_t)(s - path));
		head[s - path] = '\0';
		if (oracle_tree_type(o, head) == TREE_LINK)
			break;
		if (*s == '\0')
			return (NULL);
	}
	if (*path == '\0' ||
	    tree_readlink(o->rootfd, head, target, sizeof(target)) == -1)
		return (NULL);
	up = strrchr(head, '/');
	joined = *target == '/' ?
	    xasprintf("%s%s", target, s) :
	    xasprintf("/%.*s/%s%s", up == NULL ? 0 : (int)(up - head), head,
		target, s);
	clean = path_clean(joined, strlen(joined), &n);
	free(joined);
	if (clean != NULL)
		memmove(clean, clean + 1, n);
	return (clean);
}

static char *
oracle_resolve(void *arg, const char *path)
{
	char *now = NULL, *next;

	for (int i = 0; i < ORACLE_LINKS_MAX; i++) {
		next = oracle_follow(arg, now == NULL ? path : now);
		if (next == NULL)
			break;
		free(now);
		now = next;
	}
	return (now); /* a circle: whatever it says is not there */
}

/* moby pkg/archive: what ADD unpacks. */
static enum copyplan_answer
oracle_archive(void *arg, const char *path)
{
	static const struct {
		size_t at, n;
		const char *magic;
	} kinds[] = { { 0, 2, "\x1f\x8b" }, { 0, 3, "BZh" },
		{ 0, 6,
		    "\xfd"
		    "7zXZ" },
		{ 0, 4, "\x28\xb5\x2f\xfd" }, { 257, 5, "ustar" } };
	const struct oracle *o = arg;
	char head[512];
	ssize_t n;
	int fd = tree_open_file(o->rootfd, path, NULL);

	if (fd == -1)
		return (COPYPLAN_UNKNOWN);
	n = read(fd, head, sizeof(head));
	close(fd);
	for (size_t i = 0; n > 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].at + kinds[i].n <= (size_t)n &&
		    memcmp(head + kinds[i].at, kinds[i].magic, kinds[i].n) == 0)
			return (COPYPLAN_YES);
	return (COPYPLAN_NO);
}

static enum copyplan_answer
oracle_destdir(void *arg, const char *path)
{
	struct oracle *o = arg;

	for (size_t i = 0; i < o->ndests; i++)
		if (strcmp(o->dests[i].path, path) == 0)
			return (o->dests[i].isdir);
	o->dests = xreallocarray(o->dests, o->ndests + 1, sizeof(*o->dests));
	o->dests[o->ndests].path = xstrdup(path);
	o->dests[o->ndests++].isdir = COPYPLAN_UNKNOWN;
	return (COPYPLAN_UNKNOWN);
}

void
oracle_fill(struct oracle *o, struct copyplan_oracle *out)
{
	out->arg = o;
	out->type = oracle_type;
	out->list = oracle_list;
	out->resolve = oracle_resolve;
	out->archive = oracle_archive;
	out->destdir = oracle_destdir;
}

struct dest *
oracle_unknown(struct oracle *o)
{
	for (size_t i = 0; i < o->ndests; i++)
		if (o->dests[i].isdir == COPYPLAN_UNKNOWN)
			return (&o->dests[i]);
	return (NULL);
}

void
oracle_clear(struct oracle *o)
{
	for (size_t i = 0; i < o->ndests; i++)
		free(o->dests[i].path);
	free(o->dests);
	o->dests = NULL;
	o->ndests = 0;
}
