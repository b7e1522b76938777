/*
 * What happens by the clock: comparing what has no watch, trying unreadable
 * directories again.  Watch worker.
 */
#include "workers/watch/watch.h"

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

	if (t->npolled == 0 && !t->remote)
		return;
	/* the limit may have been raised, or watches have come free */
	t->no_watches = false;
	j = watch_job_new(t, false, t->remote);
	t->poll_seq = j->seq;
	t->poll_begun = mono_now();
	j->left++;
	if (t->remote)
		watch_scan_queue(t, t->root->node, j, false);
	else
		poll_list(t, &t->polled, j);
	j->left--;
	watch_job_check(t, j);
}

/* Directories that have no watch are there, and none of them is being read. */
static bool
poll_wanted(const struct watch_tree *t)
{
	return (
	    t->scanned && t->poll_seq == 0 && (t->npolled > 0 || t->remote));
}

void
watch_poll_tick(struct watch_tree *t, mono_t now)
{
	struct watch_job *j;

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
	mono_t next = t->check_next;

	if (poll_wanted(t) && t->poll_next.ns < next.ns)
		next = t->poll_next;
	if (t->nunreadable > 0 && t->retry_next.ns < next.ns)
		next = t->retry_next;
	return (next);
}
