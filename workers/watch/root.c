/*
 * A root of the watch worker, see root.h: what its tree says is told to those
 * whom it concerns.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/watch/root.h"

#define MOUNTS_MS   20   /* mounts come and go in groups */
#define MOUNTS_COST 20   /* a 20th of the time goes into reading them */
#define TURNS_MS    20   /* of a pass of the loop */
#define GONE_MS     1000 /* readers are replaced so often at most */

static void root_check_git(struct root *r);
static void root_on_timer(void *arg);

void
root_fields(struct buf *b, const struct root *r)
{
	fields_add_str(b, F_ROOT, r->conf->path);
}

static void
root_event(struct root *r, enum event_kind kind, struct buf *more)
{
	struct buf b = { 0 };

	root_fields(&b, r);
	if (more != NULL)
		buf_add(&b, more->data, more->len);
	worker_event(r->w, kind, NULL, 0, &b);
	buf_free(&b);
}

static void
root_send_tree(struct root *r)
{
	struct msg_tree m = { .tree = r->conf->tree, .changes = r->numbers };

	if (r->held)
		m.flags |= TREE_HELD;
	if (r->tree->gone)
		m.flags |= TREE_ROOT_GONE;
	else if (r->tree->scanned)
		m.flags |= TREE_SCANNED;
	channel_send(r->w->ch, MSG_TREE, 0, 0, &m, NULL, 0, -1);
}

void
root_tell_tree(struct root *r)
{
	struct watch_sub *s;

	r->numbers = r->tree->changes;
	/* plan may wait for the number that it reads here */
	TAILQ_FOREACH (s, &r->tree->subs, link)
		if (s->told < r->numbers)
			s->told = r->numbers;
	root_send_tree(r);
}

static void
root_on_git_timer(void *arg)
{
	root_check_git(arg);
}

/* Tell plan when git begins to work on the tree, and when it is done. */
static void
root_check_git(struct root *r)
{
	struct state *st = r->w->state;
	mono_t next;
	bool held;

	held = watch_git_held(st->git, r->conf->tree, &next);
	if (next.ns == MONO_NEVER.ns)
		loop_timer_cancel(&r->git_timer);
	else
		loop_timer_set(r->w->loop, &r->git_timer, next,
		    root_on_git_timer, r);
	if (held == r->held)
		return;
	r->held = held;
	/* nobody acts before the first scan is told */
	if (r->told_scanned && !r->tree->gone)
		root_send_tree(r);
}

/* Locks may have come and gone. */
static void
watch_check_git(struct worker *w)
{
	struct state *st = w->state;

	if (!watch_git_stirred(st->git))
		return;
	for (size_t i = 0; i < st->nroots; i++)
		root_check_git(&st->roots[i]);
}

static void
root_on_git(void *arg, const char *path)
{
	struct root *r = arg;
	struct state *st = r->w->state;

	watch_git_below(st->git, r->conf->tree, r->conf->fd, path);
	root_check_git(r);
}

static void
root_on_warning(void *arg, const char *path, int err, const char *text)
{
	struct root *r = arg;
	struct buf b = { 0 };
	char *line;

	line =
	    err != 0 ? xasprintf("%s: %s", text, strerror(err)) : xstrdup(text);
	log_warnx("%s/%s: %s", r->conf->path, path, line);
	fields_add_str(&b, F_PATH, path);
	fields_add_str(&b, F_TEXT, line);
	root_event(r, EVENT_WATCH_WARNING, &b);
	buf_free(&b);
	free(line);
}

static void
root_on_scanned(void *arg, uint64_t entries, uint64_t us)
{
	struct root *r = arg;
	struct buf b = { 0 };

	log_debug("%s: %llu entries read in %llu us", r->conf->path,
	    (unsigned long long)entries, (unsigned long long)us);
	fields_add_u64(&b, F_FILES, entries);
	fields_add_u64(&b, F_US, us);
	root_event(r, EVENT_WATCH_SCANNED, &b);
	buf_free(&b);
}

static void
root_on_overflow(void *arg)
{
	struct root *r = arg;
	struct state *st = r->w->state;

	/* all of them lose them at the same time */
	if (mono_now().ns >= st->lost_again.ns)
		log_warnx("events were lost (sysctl "
			  "fs.inotify.max_queued_events); comparing the trees");
	st->lost_again = mono_add_ms(mono_now(), WATCH_LOST_MS);
	root_event(r, EVENT_WATCH_OVERFLOW, NULL);
}

static void
root_send_gone(void *arg)
{
	struct root *r = arg;
	struct msg_num m = { .n = r->conf->tree };

	channel_send(r->w->ch, MSG_ROOT_GONE, 0, 0, &m, NULL, 0, -1);
}

static void
root_on_gone(void *arg)
{
	struct root *r = arg;
	struct state *st = r->w->state;
	mono_t when = mono_add_ms(st->begun, GONE_MS);

	log_warnx("%s: the directory is gone", r->conf->path);
	root_event(r, EVENT_WATCH_ROOT_GONE, NULL);
	root_tell_tree(r);
	/* each time the readers are replaced: one that flaps has to wait */
	if (mono_now().ns >= when.ns)
		root_send_gone(r);
	else
		loop_timer_set(r->w->loop, &r->gone_timer, when, root_send_gone,
		    r);
}

/* An instance has come free, or the limit was raised. */
static int
root_on_inotify(void *arg)
{
	struct root *r = arg;

	return (watch_open_inotify(r->w));
}

const struct watch_ops root_ops = {
	.warning = root_on_warning,
	.scanned = root_on_scanned,
	.overflow = root_on_overflow,
	.gone = root_on_gone,
	.git = root_on_git,
	.inotify = root_on_inotify,
};

static void
root_send_batch(struct root *r, struct watch_sub *s, struct watch_batch *b)
{
	struct msg_batch m = { .tree = r->conf->tree,
		.batch = b->id,
		.upto = b->upto,
		.seen_ns = b->seen_ns,
		.flags = b->scan ? BATCH_SCAN : 0 };
	struct buf tail = { 0 };

	for (size_t i = 0; i < b->n; i++)
		fields_add_str(&tail,
		    watch_dirty_is_tree(b->v[i]) ? F_SUBTREE : F_PATH,
		    b->v[i]->path);
	rpc_answer(r->w->ch, s->take, MSG_WATCH_BATCH, 0, &m, &tail, -1);
	s->take = 0;
	buf_free(&tail);
}

static void
root_answer_takes(struct root *r)
{
	struct watch_batch *b;
	struct watch_sub *s;

	TAILQ_FOREACH (s, &r->tree->subs, link) {
		if (s->take == 0 || r->tree->gone ||
		    (b = watch_sub_next(s)) == NULL)
			continue;
		/* a lock is told before what was changed under it */
		watch_read(r->w);
		root_send_batch(r, s, b);
	}
}

static void
root_answer_syncs(struct root *r)
{
	struct msg_watch_sync m = { 0 };
	struct wait *q;

	while ((q = TAILQ_FIRST(&r->waits)) != NULL &&
	    watch_tree_synced(r->tree, q->token, &m.upto)) {
		m.flags = r->tree->gone ? TREE_ROOT_GONE : TREE_SCANNED;
		rpc_answer(r->w->ch, q->id, MSG_WATCH_SYNC_OK, 0, &m, NULL, -1);
		TAILQ_REMOVE(&r->waits, q, link);
		free(q);
	}
}

void
root_turn(struct root *r)
{
	mono_t next;

	watch_tree_step(r->tree);
	if (r->tree->scanned && !r->told_scanned && !r->tree->gone) {
		r->told_scanned = true;
		root_tell_tree(r);
	}
	root_answer_syncs(r);
	root_answer_takes(r);
	next = watch_tree_next(r->tree);
	if (next.ns == MONO_NEVER.ns)
		loop_timer_cancel(&r->timer);
	else
		loop_timer_set(r->w->loop, &r->timer, next, root_on_timer, r);
}

/* The next pass begins. */
static void
watch_on_spent(void *arg)
{
	struct state *st = arg;

	st->spent = 0;
}

/*
 * Many trees may have much to do at the same time: those that come too late
 * for this pass are first in the next, after what others ask.
 */
static void
root_on_timer(void *arg)
{
	struct root *r = arg;
	struct state *st = r->w->state;
	int64_t begun = mono_now().ns;

	if (st->spent >= TURNS_MS * INT64_C(1000000)) {
		loop_timer_set(r->w->loop, &r->timer, r->timer.when,
		    root_on_timer, r);
		loop_timer_set(r->w->loop, &st->spent_timer, (mono_t) { 0 },
		    watch_on_spent, st);
		return;
	}
	root_turn(r);
	st->spent += mono_now().ns - begun;
}

void
root_soon(struct root *r)
{
	mono_t now = mono_now();

	if (!loop_timer_is_set(&r->timer) || r->timer.when.ns > now.ns)
		loop_timer_set(r->w->loop, &r->timer, now, root_on_timer, r);
}

void
watch_read(struct worker *w)
{
	struct state *st = w->state;
	struct watch_tree *t;

	watch_inotify_read(st->in, READ_BURST);
	watch_check_git(w);
	while ((t = watch_inotify_stirred(st->in)) != NULL)
		root_soon(t->arg);
}

static void
watch_on_events(void *arg, uint32_t events)
{
	watch_read(arg);
}

int
watch_open_inotify(struct worker *w)
{
	struct watch_inotify *in = ((struct state *)w->state)->in;

	if (in->fd == -1 && watch_inotify_open(in) == -1) {
		errno = in->err;
		return (-1);
	}
	if (loop_fd_set(w->loop, in->fd, EPOLLIN, watch_on_events, w) == 0)
		return (0);
	in->err = errno;
	watch_inotify_close(in);
	return (-1);
}

static void
root_on_mount(void *arg, const char *path)
{
	struct root *r = arg;

	log_debug("%s: mounts have changed", r->conf->path);
	if (r->tree == NULL)
		return;
	watch_tree_mounted(r->tree, path);
	root_soon(r);
}

void
watch_read_mounts(struct worker *w)
{
	struct state *st = w->state;
	mono_t begun = mono_now();
	struct watch_mounts *now;
	size_t len;
	char *text = watch_mounts_read(st->mounts_fd, &len);

	loop_timer_cancel(&st->mounts_timer);
	if (text == NULL) {
		log_warn("mountinfo");
		return;
	}
	for (size_t i = 0; i < st->nroots; i++) {
		struct root *r = &st->roots[i];

		if (r->path == NULL)
			continue;
		now = watch_mounts_parse(text, len, r->path);
		if (r->mounts != NULL)
			watch_mounts_diff(r->mounts, now, root_on_mount, r);
		watch_mounts_free(r->mounts);
		r->mounts = now;
	}
	free(text);
	st->mounts_next = mono_add_ms(mono_now(),
	    MOUNTS_MS + mono_diff_ms(mono_now(), begun) * MOUNTS_COST);
}

static void
watch_on_mounts_timer(void *arg)
{
	watch_read_mounts(arg);
}

void
watch_on_mounts(void *arg, uint32_t events)
{
	struct worker *w = arg;
	struct state *st = w->state;
	mono_t when = mono_add_ms(mono_now(), MOUNTS_MS);

	if (loop_timer_is_set(&st->mounts_timer))
		return;
	if (when.ns < st->mounts_next.ns)
		when = st->mounts_next;
	loop_timer_set(w->loop, &st->mounts_timer, when, watch_on_mounts_timer,
	    w);
}

void
watch_sync_mounts(struct worker *w)
{
	struct state *st = w->state;
	struct pollfd p = { .fd = st->mounts_fd, .events = POLLPRI };

	if (st->mounts_fd != -1 &&
	    ((poll(&p, 1, 0) == 1 && (p.revents & POLLPRI)) ||
		loop_timer_is_set(&st->mounts_timer)))
		watch_read_mounts(w);
}
