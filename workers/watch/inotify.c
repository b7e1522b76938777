/*
 * The inotify instance and the table of its watches, see inotify.h.  Watch
 * worker; the records come from the kernel, their names from whoever writes
 * to the trees.
 */
#include <sys/inotify.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/watch/git.h"
#include "workers/watch/watch.h"

#define WD_HASH 4096

struct watch_inotify *
watch_inotify_new(void)
{
	struct watch_inotify *in = xcalloc(1, sizeof(*in));

	in->fd = -1;
	TAILQ_INIT(&in->trees);
	TAILQ_INIT(&in->stirred);
	watch_limits_open(in);
	return (in);
}

void
watch_inotify_free(struct watch_inotify *in)
{
	if (in == NULL)
		return;
	watch_inotify_close(in);
	watch_limits_close(in);
	free(in->wds);
	free(in);
}

int
watch_inotify_open(struct watch_inotify *in)
{
	in->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	in->err = in->fd == -1 ? errno : 0;
	return (in->fd == -1 ? -1 : 0);
}

void
watch_inotify_close(struct watch_inotify *in)
{
	if (in->fd != -1)
		close(in->fd);
	in->fd = -1;
}

int
watch_inotify_add(struct watch_inotify *in, uint32_t mask)
{
	/* what others want of the same directory stays */
	return (inotify_add_watch(in->fd, ".", mask | IN_MASK_ADD));
}

void
watch_inotify_release(struct watch_inotify *in, int wd)
{
	if (in->fd == -1 || watch_node_by_wd(in, wd, 0) != NULL ||
	    (in->git != NULL && watch_git_has(in->git, wd)))
		return;
	inotify_rm_watch(in->fd, wd);
}

/*
 * The table.
 */

static struct watch_node **
wd_chain(struct watch_inotify *in, int wd)
{
	return (&in->wds[(unsigned)wd & (in->nwds - 1)]);
}

/* Watches are numbered one after the other: the number is its own hash. */
static void
wd_grow(struct watch_inotify *in)
{
	struct watch_node **old = in->wds, *n, *next, **head;
	size_t nold = in->nwds;

	in->nwds = nold == 0 ? WD_HASH : nold * 2;
	in->wds = xcalloc(in->nwds, sizeof(struct watch_node *));
	for (size_t i = 0; i < nold; i++)
		for (n = old[i]; n != NULL; n = next) {
			next = n->wd_next;
			head = wd_chain(in, n->wd);
			n->wd_next = *head;
			*head = n;
		}
	free(old);
}

struct watch_node *
watch_node_by_wd(struct watch_inotify *in, int wd, unsigned nth)
{
	struct watch_node *n;

	if (wd < 0 || in->nwds == 0)
		return (NULL);
	for (n = *wd_chain(in, wd); n != NULL; n = n->wd_next)
		if (n->wd == wd && nth-- == 0)
			return (n);
	return (NULL);
}

void
watch_node_set_wd(struct watch_node *n, int wd)
{
	struct watch_inotify *in = n->tree->in;
	struct watch_node **head;

	if (n->wd == wd)
		return;
	watch_node_unwatch(n, true);
	if (in->nodes >= in->nwds)
		wd_grow(in);
	if (watch_node_by_wd(in, wd, 0) == NULL)
		in->watches++;
	n->wd = wd;
	head = wd_chain(in, wd);
	n->wd_next = *head;
	*head = n;
	in->nodes++;
	n->tree->watches++;
}

void
watch_node_unwatch(struct watch_node *n, bool remove)
{
	struct watch_inotify *in = n->tree->in;
	struct watch_node **p;
	int wd = n->wd;

	if (wd == -1)
		return;
	for (p = wd_chain(in, wd); *p != n; p = &(*p)->wd_next)
		;
	*p = n->wd_next;
	n->wd_next = NULL;
	n->wd = -1;
	in->nodes--;
	n->tree->watches--;
	if (watch_node_by_wd(in, wd, 0) != NULL)
		return;
	in->watches--;
	if (remove)
		watch_inotify_release(in, wd);
}

/*
 * The events.
 */

static void
tree_stir(struct watch_tree *t)
{
	if (t->is_stirred)
		return;
	t->is_stirred = true;
	TAILQ_INSERT_TAIL(&t->in->stirred, t, stirred);
}

struct watch_tree *
watch_inotify_stirred(struct watch_inotify *in)
{
	struct watch_tree *t = TAILQ_FIRST(&in->stirred);

	if (t != NULL) {
		TAILQ_REMOVE(&in->stirred, t, stirred);
		t->is_stirred = false;
	}
	return (t);
}

/* Whose events they were is not known. */
static void
inotify_overflow(struct watch_inotify *in)
{
	struct watch_tree *t;

	TAILQ_FOREACH (t, &in->trees, all) {
		/* without a watch there was nothing to lose */
		if (t->watches == 0)
			continue;
		tree_stir(t);
		watch_event_lost(t);
	}
}

static void
inotify_event(struct watch_inotify *in, const struct inotify_event *ev,
    const char *name)
{
	struct watch_node *n;

	/* a lock is seen before what was changed under it */
	if (in->git != NULL)
		watch_git_event(in->git, ev, name);
	if (ev->mask & IN_Q_OVERFLOW) {
		inotify_overflow(in);
		return;
	}
	for (unsigned i = 0; (n = watch_node_by_wd(in, ev->wd, i)) != NULL;) {
		tree_stir(n->tree);
		watch_event_one(n->tree, n, ev, name);
		/* unless it is gone by now */
		if (watch_node_by_wd(in, ev->wd, i) == n)
			i++;
	}
}

void
watch_inotify_feed(struct watch_inotify *in, const void *buf, size_t len)
{
	const char *p = buf;
	struct inotify_event ev;
	char name[256];
	size_t n;

	while (len >= sizeof(ev)) {
		memcpy(&ev, p, sizeof(ev));
		p += sizeof(ev);
		len -= sizeof(ev);
		if (ev.len > len)
			return;
		n = strnlen(p, ev.len);
		if (n < sizeof(name)) {
			memcpy(name, p, n);
			name[n] = '\0';
			if (strchr(name, '/') == NULL)
				inotify_event(in, &ev, name);
		}
		p += ev.len;
		len -= ev.len;
	}
}

/* The queue is empty: all that has happened has its number. */
static bool
inotify_drained(struct watch_inotify *in)
{
	struct watch_tree *t;
	struct watch_sub *s;

	TAILQ_FOREACH (t, &in->trees, all)
		TAILQ_FOREACH (s, &t->subs, link)
			watch_sub_drained(s);
	return (true);
}

bool
watch_inotify_read(struct watch_inotify *in, size_t most)
{
	static char buf[WATCH_READ_MAX];
	size_t done = 0;
	ssize_t n;

	if (in->fd == -1)
		return (inotify_drained(in));
	while (done < most) {
		n = read(in->fd, buf, sizeof(buf));
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return (inotify_drained(in));
		done += (size_t)n;
		watch_inotify_feed(in, buf, (size_t)n);
	}
	return (false);
}
