/*
 * The kernel's limits of inotify, and the text that says which of them is
 * short and what would be enough.  Watch worker: opened with start-up rights,
 * read again whenever something is said, since people raise limits while we
 * run.
 */
#include <sys/inotify.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/watch/watch.h"

#define ENOUGH_WATCHES   524288
#define ENOUGH_INSTANCES 1024

/* In the order of enum watch_limit; the second of each pair: per namespace. */
static const char *const names[LIMIT_MAX][2] = {
	[LIMIT_WATCHES] = { "fs.inotify.max_user_watches",
	    "user.max_inotify_watches" },
	[LIMIT_INSTANCES] = { "fs.inotify.max_user_instances",
	    "user.max_inotify_instances" },
};

void
watch_limits_open(struct watch_inotify *in)
{
	char *path;

	for (int i = 0; i < LIMIT_MAX; i++)
		for (int k = 0; k < 2; k++) {
			path = xasprintf("/proc/sys/%s", names[i][k]);
			for (char *p = path + strlen("/proc/sys/"); *p; p++)
				if (*p == '.')
					*p = '/';
			in->limits[i][k] = open(path, O_RDONLY | O_CLOEXEC);
			free(path);
		}
}

void
watch_limits_close(struct watch_inotify *in)
{
	for (int i = 0; i < LIMIT_MAX; i++)
		for (int k = 0; k < 2; k++)
			if (in->limits[i][k] != -1)
				close(in->limits[i][k]);
}

static uint64_t
limit_value(int fd)
{
	char line[32];
	const char *err;
	long long value;
	ssize_t n;

	if (fd == -1 || (n = pread(fd, line, sizeof(line) - 1, 0)) <= 0)
		return (LIMIT_UNKNOWN);
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	value = strtonum(line, 0, INT64_MAX, &err);
	return (err == NULL ? (uint64_t)value : LIMIT_UNKNOWN);
}

/* A value to set, for that many that are needed. */
static uint64_t
watch_limit_enough(enum watch_limit which, uint64_t need)
{
	uint64_t n = which == LIMIT_WATCHES ? ENOUGH_WATCHES : ENOUGH_INSTANCES;

	while (n < need && n < (UINT64_C(1) << 40))
		n *= 2;
	return (n);
}

char *
watch_limit_text(enum watch_limit which, uint64_t system, uint64_t ns,
    uint64_t held, uint64_t wanted)
{
	/* all user namespaces above count as well: the lower one is short */
	bool inner = ns < system;
	uint64_t value = inner ? ns : system, need = wanted;
	const char *name = names[which][inner];

	if (value == LIMIT_UNKNOWN)
		return (xasprintf("%s is too low", name));
	/* what others of the same user hold is needed, too */
	if (value > held)
		need += value - held;
	return (xasprintf("%s is %" PRIu64 ", about %" PRIu64
			  " are needed: sysctl %s=%" PRIu64,
	    name, value, need, name, watch_limit_enough(which, need * 2)));
}

/* What this worker holds, and what it wants. */
static char *
limit_why(const struct watch_inotify *in, enum watch_limit which)
{
	uint64_t held = in->fd != -1, wanted = 1;
	const struct watch_tree *t;

	if (which == LIMIT_WATCHES) {
		held = in->watches;
		/* a directory of several trees has one */
		wanted = held;
		TAILQ_FOREACH (t, &in->trees, all)
			wanted += t->gone ? 0 : t->nodes - t->watches;
	}
	return (watch_limit_text(which, limit_value(in->limits[which][0]),
	    limit_value(in->limits[which][1]), held, wanted));
}

bool
watch_tree_lacks(const struct watch_tree *t)
{
	return (!t->gone && (t->in->fd == -1 || t->npolled > t->nremote));
}

char *
watch_tree_lack(const struct watch_tree *t)
{
	if (!watch_tree_lacks(t))
		return (NULL);
	if (t->in->fd != -1)
		return (limit_why(t->in, LIMIT_WATCHES));
	if (t->in->err != EMFILE)
		return (xasprintf("inotify: %s", strerror(t->in->err)));
	return (limit_why(t->in, LIMIT_INSTANCES));
}

const char *
watch_tree_backend(const struct watch_tree *t)
{
	const struct watch_node *n = t->root->node;

	return (t->in->fd == -1 || (n != NULL && (n->flags & NODE_REMOTE)) ?
		"poll" :
		"inotify");
}

/* One more reason behind the others. */
static void
why_add(struct buf *b, char *text)
{
	if (text == NULL)
		return;
	if (b->len > 0)
		buf_add(b, "; ", 2);
	buf_add(b, text, strlen(text));
	free(text);
}

char *
watch_tree_why(const struct watch_tree *t)
{
	const struct watch_node *n = TAILQ_FIRST(&t->unreadable);
	char path[TREE_PATH_MAX];
	struct buf b = { 0 };

	if (t->gone)
		return (NULL);
	why_add(&b, watch_tree_lack(t));
	if (t->nremote > 0)
		why_add(&b,
		    xasprintf("%s: a file system (%s) that others may change",
			*t->remote_path != '\0' ? t->remote_path : "all of it",
			t->remote_fs));
	if (t->npolled > 0)
		why_add(&b,
		    xasprintf("compared every %" PRId64 ".%" PRId64 " s",
			t->poll_ms / 1000, t->poll_ms % 1000 / 100));
	if (n != NULL && watch_node_path(n, NULL, path) == 0)
		why_add(&b,
		    xasprintf("unreadable: %s%s",
			*path != '\0' ? path : "all of it",
			t->nunreadable > 1 ? ", and others" : ""));
	if (b.len == 0)
		return (NULL);
	buf_add(&b, "", 1);
	return ((char *)b.data);
}
