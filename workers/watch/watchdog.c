/*
 * What happens by the clock: comparing what has no watch, trying unreadable
 * directories again.  Watch worker.
 */
#include <stdlib.h>

#include "buf.h"
#include "workers/watch/watch.h"

mono_t
watch_tick(mono_t when, int64_t ms)
{
	int64_t ns = ms * 1000000;

	return ((mono_t) { (when.ns + ns - 1) / ns * ns });
}

/* Compare the directories of a list, each without going down. */
static void
poll_list(struct watch_tree *t, struct watch_nodes *list, struct watch_job *j)
{
	struct watch_node *n;

	TAILQ_FOREACH (n, list, slow)
		watch_scan_queue(t, n, j, false);
}

void
watch_poll_now(struct watch_tree *t)
{
	struct watch_job *j;

	if (t->npolled == 0)
		return;
	/* the limit may have been raised, or watches have come free */
	t->no_watches = false;
	/* and so may an inotify instance */
	if (t->in->fd == -1 && t->ops->inotify != NULL)
		t->ops->inotify(t->arg);
	j = watch_job_new(t, false, false);
	t->poll_seq = j->seq;
	t->poll_begun = mono_now();
	j->left++;
	poll_list(t, &t->polled, j);
	j->left--;
	watch_job_check(t, j);
}

void
watch_poll_done(struct watch_tree *t)
{
	t->poll_ms = mono_diff_ms(mono_now(), t->poll_begun) * WATCH_POLL_SHARE;
	if (t->poll_ms < WATCH_POLL_MS)
		t->poll_ms = WATCH_POLL_MS;
	if (t->poll_ms > WATCH_POLL_MAX_MS)
		t->poll_ms = WATCH_POLL_MAX_MS;
	t->poll_next = mono_add_ms(mono_now(), t->poll_ms);
	t->poll_seq = 0;
}

/* Directories that have no watch are there, and none of them is being read. */
static bool
poll_wanted(const struct watch_tree *t)
{
	return (t->scanned && t->poll_seq == 0 && t->npolled > 0);
}

/* Say it when watches are missing, once it is known how many, for all. */
static void
limit_tell(struct watch_tree *t, mono_t now)
{
	const struct watch_tree *o;
	unsigned long long n = 0;
	char *lack, *text;

	if (!watch_tree_lacks(t) || now.ns < t->in->limit_again.ns)
		return;
	TAILQ_FOREACH (o, &t->in->trees, all) {
		if (o->gone)
			continue;
		if (!o->scanned || watch_scan_busy(o))
			return;
		n += o->npolled;
	}
	t->in->limit_again = mono_add_ms(now, WATCH_TELL_MS);
	lack = watch_tree_lack(t);
	text = xasprintf("%s; until then %llu directories are compared every "
			 "now and then",
	    lack, n);
	watch_tree_warn(t, "", 0, text);
	free(text);
	free(lack);
}

void
watch_poll_tick(struct watch_tree *t, mono_t now)
{
	struct watch_job *j;

	limit_tell(t, now);
	if (poll_wanted(t) && now.ns >= t->poll_next.ns)
		watch_poll_now(t);
	if (t->nunreadable > 0 && now.ns >= t->retry_next.ns) {
		t->retry_next = mono_add_ms(now, WATCH_RETRY_MS);
		j = watch_job_new(t, false, false);
		j->left++;
		poll_list(t, &t->unreadable, j);
		j->left--;
		watch_job_check(t, j);
	}
}

mono_t
watch_poll_next(const struct watch_tree *t)
{
	/* the first that comes after retry_next is early enough for it */
	mono_t next = t->check_next, poll;

	if (poll_wanted(t)) {
		poll = watch_tick(t->poll_next, WATCH_TICK_MS);
		if (poll.ns < next.ns)
			next = poll;
	}
	return (next);
}
