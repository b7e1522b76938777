/*
 * A watched tree as a whole, see watch.h.  Watch worker.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/watch/watch.h"

void
watch_tree_warn(struct watch_tree *t, const char *path, int err,
    const char *text)
{
	mono_t now = mono_now();
	char *more = NULL;

	/* a burst, and then one every now and then */
	for (;
	     t->warned > 0 && mono_diff_ms(now, t->warn_since) >= WATCH_WARN_MS;
	     t->warned--)
		t->warn_since = mono_add_ms(t->warn_since, WATCH_WARN_MS);
	if (t->warned == 0)
		t->warn_since = now;
	if (t->warned >= WATCH_WARN_BURST) {
		t->unwarned++;
		return;
	}
	t->warned++;
	if (t->unwarned > 0)
		more = xasprintf("%s (%u warnings before this were left out)",
		    text, t->unwarned);
	t->unwarned = 0;
	if (t->ops->warning != NULL)
		t->ops->warning(t->arg, path, err, more != NULL ? more : text);
	free(more);
}

void
watch_tree_git(struct watch_tree *t, const struct watch_node *dir,
    const char *name)
{
	char path[TREE_PATH_MAX];

	if (t->ops->git != NULL && strcmp(name, ".git") == 0 &&
	    watch_node_path(dir, name, path) == 0)
		t->ops->git(t->arg, path);
}

struct watch_tree *
watch_tree_new(int rootfd, struct watch_inotify *in,
    const struct watch_ops *ops, void *arg)
{
	struct watch_tree *t = xcalloc(1, sizeof(*t));

	t->ops = ops;
	t->arg = arg;
	t->rootfd = rootfd;
	t->in = in;
	t->gone = rootfd == -1;
	t->scan.fd = -1;
	TAILQ_INSERT_TAIL(&in->trees, t, all);
	TAILQ_INIT(&t->subs);
	TAILQ_INIT(&t->queue);
	TAILQ_INIT(&t->moved);
	TAILQ_INIT(&t->unreadable);
	TAILQ_INIT(&t->polled);
	TAILQ_INIT(&t->jobs);
	TAILQ_INIT(&t->order);
	RB_INIT(&t->dues);
	RB_INIT(&t->links);
	t->root = watch_entry_get(t, NULL, "");
	t->root->snap.type = TREE_DIR;
	watch_node_new(t, t->root);
	return (t);
}

void
watch_tree_free(struct watch_tree *t)
{
	struct watch_sub *s;

	if (t == NULL)
		return;
	watch_entry_free(t, t->root);
	while ((s = TAILQ_FIRST(&t->subs)) != NULL) {
		TAILQ_REMOVE(&t->subs, s, link);
		watch_sub_free(s);
	}
	TAILQ_REMOVE(&t->in->trees, t, all);
	if (t->is_stirred)
		TAILQ_REMOVE(&t->in->stirred, t, stirred);
	free(t->remote_path);
	free(t->home);
	free(t);
}

struct watch_sub *
watch_tree_subscribe(struct watch_tree *t, uint32_t service,
    const char *dockerfile)
{
	struct watch_sub *s = watch_sub_new(t, service);

	TAILQ_INSERT_TAIL(&t->subs, s, link);
	watch_rules_init(t, s, dockerfile);
	return (s);
}

struct watch_sub *
watch_tree_sub(struct watch_tree *t, uint32_t service)
{
	struct watch_sub *s;

	TAILQ_FOREACH (s, &t->subs, link)
		if (s->service == service)
			return (s);
	return (NULL);
}

struct watch_sub *
watch_tree_join(struct watch_tree *t, uint32_t service, const char *dockerfile)
{
	struct watch_sub *s = watch_tree_subscribe(t, service, dockerfile);

	if (t->gone)
		return (s);
	/* no new number: nothing has changed for the others */
	if (t->scanned)
		watch_dirty_add(s, "", DIRTY_TREE | DIRTY_SCAN, t->changes,
		    mono_now().ns);
	if (!watch_rules_covered(t, s))
		watch_scan_compare(t);
	return (s);
}

void
watch_tree_leave(struct watch_tree *t, struct watch_sub *s)
{
	TAILQ_REMOVE(&t->subs, s, link);
	watch_sub_free(s);
	watch_rules_forget(t);
}

static mono_t
tree_next_check(mono_t now)
{
	return (watch_tick((mono_t) { now.ns + 1 }, WATCH_CHECK_MS));
}

void
watch_tree_start(struct watch_tree *t)
{
	struct watch_hold *h;
	struct watch_job *j;

	if (t->gone)
		return;
	h = watch_hold_touch(t, t->root, HOLD_TREE | HOLD_SCAN);
	j = watch_job_new(t, true, true);
	t->first_seq = j->seq;
	watch_job_wait(j, h);
	watch_scan_queue(t, t->root->node, j, false);
	t->check_next = tree_next_check(mono_now());
}

/* A vanished root is not a mass delete: what was held is forgotten. */
static void
tree_gone(struct watch_tree *t)
{
	struct watch_hold *h;
	struct watch_sub *s;

	t->gone = true;
	watch_node_free(t, t->root->node);
	while ((h = RB_MIN(watch_dues, &t->dues)) != NULL)
		watch_hold_free(t, h);
	TAILQ_FOREACH (s, &t->subs, link)
		watch_sub_clear(s);
	if (t->ops->gone != NULL)
		t->ops->gone(t->arg);
}

void
watch_tree_mounted(struct watch_tree *t, const char *path)
{
	struct watch_node *dir = t->root->node;
	struct watch_entry *e;
	struct watch_job *j;
	char name[NAME_MAX + 1];
	const char *end;

	for (; dir != NULL && *(end = strchrnul(path, '/')) == '/';
	     path = end + 1) {
		if ((size_t)(end - path) >= sizeof(name))
			return;
		memcpy(name, path, (size_t)(end - path));
		name[end - path] = '\0';
		e = watch_entry_find(dir, name);
		dir = e != NULL ? e->node : NULL;
	}
	if (dir == NULL || t->gone)
		return;
	j = watch_job_new(t, false, false);
	j->left++;
	watch_scan_queue(t, dir, j, true);
	j->left--;
	watch_job_check(t, j);
}

/* 1: it is the root, 0: it is not, -1: that cannot be told. */
static int
home_is_root(int rootfd, const char *home)
{
	struct stat here, there;

	if (fstat(rootfd, &here) == -1)
		return (-1);
	if (fstatat(rootfd, home, &there, AT_SYMLINK_NOFOLLOW) == -1)
		return (errno == ENOENT || errno == ENOTDIR ? 0 : -1);
	return (here.st_ino == there.st_ino && here.st_dev == there.st_dev);
}

char *
watch_home_new(int rootfd, const char *path)
{
	struct buf b = { 0 };
	char *home;

	if (*path != '/' || path[1] == '\0')
		return (NULL);
	for (const char *p = path; *p != '\0'; p++)
		if (*p == '/')
			buf_add(&b, "../", 3);
	buf_add(&b, path + 1, strlen(path));
	home = (char *)b.data;
	/* below a root directory of our own, say: it cannot be told by this */
	if (home_is_root(rootfd, home) != 1) {
		free(home);
		return (NULL);
	}
	return (home);
}

/* Open, so that a deletion is not told by IN_DELETE_SELF: look. */
static bool
tree_check_root(struct watch_tree *t, mono_t now)
{
	t->check_next = tree_next_check(now);
	if (t->home != NULL && now.ns >= t->home_next.ns) {
		t->home_next = t->check_next;
		if (home_is_root(t->rootfd, t->home) == 0)
			t->lost = true;
	}
	if (t->lost || tree_root_gone(t->rootfd) != 0)
		tree_gone(t);
	return (!t->gone);
}

void
watch_tree_step(struct watch_tree *t)
{
	mono_t now = mono_now();

	if (t->gone || !tree_check_root(t, now))
		return;
	watch_poll_tick(t, now);
	watch_scan_step(t, mono_add_ms(now, WATCH_SLICE_MS), WATCH_SLICE);
	watch_hold_release(t, mono_now(), WATCH_SLICE);
}

mono_t
watch_tree_next(const struct watch_tree *t)
{
	const struct watch_hold *h = RB_ROOT(&t->dues);
	mono_t next;

	if (t->gone)
		return (MONO_NEVER);
	if (watch_scan_busy(t))
		return (mono_now());
	next = watch_poll_next(t);
	while (h != NULL && RB_LEFT(h, due_link) != NULL)
		h = RB_LEFT(h, due_link);
	if (h != NULL && h->due.ns < next.ns)
		next = h->due;
	return (next);
}

uint64_t
watch_tree_sync(struct watch_tree *t)
{
	/* more than the kernel's queue holds: all that is in it now */
	watch_inotify_read(t->in, (size_t)16 << 20);
	if (!t->gone && t->scanned)
		watch_poll_now(t);
	return (t->job_seq);
}

bool
watch_tree_synced(struct watch_tree *t, uint64_t token, uint64_t *upto)
{
	const struct watch_job *j = TAILQ_FIRST(&t->jobs);
	struct watch_sub *s;

	*upto = t->changes;
	if (t->gone)
		return (true);
	if (!t->scanned || (j != NULL && j->seq <= token))
		return (false);
	TAILQ_FOREACH (s, &t->subs, link)
		if (s->told < *upto)
			s->told = *upto;
	return (true);
}
