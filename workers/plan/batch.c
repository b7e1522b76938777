/*
 * Changes: the standing TAKE, what is in work, what is done.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/plan/plan.h"

#define QUIET_FIRST_MS 50   /* after a single save */
#define QUIET_LAST_MS  800  /* while changes keep coming */
#define HURRY_MS       5000 /* but actions wait no longer than that */
#define CRASHES_HALVE  2
#define CRASHES_ASIDE  3
#define TAKE_AGAIN_MS  1000 /* when watch refuses */
#define WORK_AWAY_MAX  64   /* batches that wait for the engine */
#define TAKE_SOON_MS   100  /* when it does not know the service */
/* how long a path is set aside: longer each time, until something changes */
#define ASIDE_FIRST_MS 10000
#define ASIDE_LAST_MS  600000

static void batch_on_answer(void *arg, struct frame *f);

void
batch_take(struct service *s)
{
	struct msg_take m = { .tree = s->conf->tree,
		.service = s->conf->service,
		.acked = s->acked,
		.taken = s->batch };

	if (s->take_id != 0)
		rpc_cancel(s->w->rpc, s->take_id);
	s->take_id =
	    rpc_ask(s->w->rpc, MSG_TAKE, 0, &m, NULL, -1, batch_on_answer, s);
}

void
batch_resume(struct service *s)
{
	if (!s->take_held)
		return;
	s->take_held = false;
	batch_take(s);
}

/* As much waits for an engine that is away as is kept here. */
static bool
batch_has_to_wait(struct service *s)
{
	unsigned n = 0;

	for (const struct work *k = s->work; k != NULL; k = k->next)
		n++;
	s->take_held = !s->engine_up && n >= WORK_AWAY_MAX;
	return (s->take_held);
}

/*
 * A new watch counts from one.  What was in work stays in work: the new one
 * offers the whole tree, which covers what of it is not done.
 */
static void
batch_forget(struct service *s)
{
	s->batch = s->applied = s->acked = 0;
	s->upto = s->applied_upto = s->acked_upto = s->tree_upto = 0;
	s->scanned = s->held = false;
	verbs_watch_restarted(s);
}

/*
 * A frame of watch has come.  A TAKE that is cancelled for a newer one just
 * when watch dies brings no ERR_WORKER_LOST, so the generation tells.
 */
void
batch_watch_is(struct service *s, uint32_t generation)
{
	if (s->watch_gen == generation)
		return;
	if (s->watch_gen != 0)
		batch_forget(s);
	s->watch_gen = generation;
}

/* All that was taken is in the container. */
void
batch_applied(struct service *s)
{
	if (s->work != NULL)
		return;
	s->applied = s->batch;
	s->applied_upto = s->upto;
}

void
batch_ack(struct service *s)
{
	if (s->acked == s->applied)
		return;
	s->acked = s->applied;
	s->acked_upto = s->applied_upto;
	batch_take(s);
}

/* Something changed: actions wait anew, a blocked service tries again. */
static void
batch_touch(struct service *s)
{
	mono_t now = mono_now();

	if (now.ns >= s->quiet_at.ns) {
		s->quiet_ms = QUIET_FIRST_MS;
		s->hurry_at = mono_add_ms(now, HURRY_MS);
	} else if (s->quiet_ms < QUIET_LAST_MS)
		s->quiet_ms *= 2;
	s->quiet_at = mono_add_ms(now, s->quiet_ms);
	if (s->quiet_at.ns > s->hurry_at.ns)
		s->quiet_at = s->hurry_at;
	s->op_touched = true;
	plan_unblock(s);
}

struct work *
work_add(struct service *s, const struct buf *paths, int64_t seen_ns)
{
	struct work **p, *k = xcalloc(1, sizeof(*k));
	struct fields t = { paths->data, paths->len };

	buf_add(&k->paths, paths->data, paths->len);
	k->npaths = fields_count(&t, F_PATH) + fields_count(&t, F_SUBTREE);
	k->seen_ns = seen_ns;
	for (p = &s->work; *p != NULL; p = &(*p)->next)
		continue;
	*p = k;
	return (k);
}

void
work_free(struct service *s, struct work *k)
{
	struct work **p;

	for (p = &s->work; *p != NULL; p = &(*p)->next)
		if (*p == k) {
			*p = k->next;
			break;
		}
	buf_free(&k->paths);
	free(k);
}

/*
 * Once more, each by itself: the worker may as well have been killed from
 * outside, or for want of memory, while an innocent path was in its hands.
 */
static void
work_on_aside(void *arg)
{
	struct service *s = arg;
	struct fields t = { s->set_aside.data, s->set_aside.len };
	struct buf one = { 0 };
	struct field f;
	size_t off = 0;

	while (field_next(&t, &off, &f) == 1) {
		one.len = 0;
		fields_add_mem(&one, F_PATH, f.str, f.len);
		work_add(s, &one, 0)->crashes = CRASHES_ASIDE - 1;
	}
	buf_free(&one);
	buf_free(&s->set_aside);
	plan_next(s);
}

static void
work_set_aside(struct service *s, struct work *k)
{
	struct fields t = { k->paths.data, k->paths.len };
	char *path = fields_dup(&t, F_PATH);
	char esc[512];

	log_warnx("%s: set aside: %s kills the worker that reads it",
	    s->conf->name, log_escape(esc, sizeof(esc), path, strlen(path)));
	fields_add_str(&s->set_aside, F_SET_ASIDE, path);
	free(path);
	work_free(s, k);
	if (loop_timer_is_set(&s->aside_timer))
		return;
	s->aside_ms = s->aside_ms == 0      ? ASIDE_FIRST_MS :
	    s->aside_ms < ASIDE_LAST_MS / 2 ? s->aside_ms * 2 :
					      ASIDE_LAST_MS;
	loop_timer_in_ms(s->w->loop, &s->aside_timer, s->aside_ms,
	    work_on_aside, s);
}

/* Split k in the middle, so that the path that kills is found. */
static void
work_halve(struct service *s, struct work *k)
{
	struct fields t = { k->paths.data, k->paths.len };
	struct buf halves[2] = { { 0 }, { 0 } };
	struct field f;
	size_t off = 0, n = 0;
	struct work *h;

	while (field_next(&t, &off, &f) == 1)
		fields_add_mem(&halves[n++ >= k->npaths / 2], f.key, f.str,
		    f.len);
	for (size_t i = 0; i < 2; i++) {
		h = work_add(s, &halves[i], k->seen_ns);
		h->crashes = 1;
		buf_free(&halves[i]);
	}
	work_free(s, k);
}

/* Let the others go first. */
static void
work_last(struct service *s, struct work *k)
{
	struct work **p;

	for (p = &s->work; *p != k; p = &(*p)->next)
		continue;
	*p = k->next;
	while (*p != NULL)
		p = &(*p)->next;
	k->next = NULL;
	*p = k;
}

/* What has killed over and over goes behind the rest. */
void
work_sort(struct service *s)
{
	size_t n = 0;

	for (const struct work *k = s->work; k != NULL; k = k->next)
		n++;
	for (; n > 0 && s->work->crashes >= CRASHES_ASIDE; n--)
		work_last(s, s->work);
}

/*
 * A worker died while k was in flight.  False when nothing is left but to
 * stop trying: a subtree that cannot be split kills whoever compares it.
 */
bool
work_crashed(struct service *s, struct work *k)
{
	struct fields t = { k->paths.data, k->paths.len };

	k->crashes++;
	if (k->npaths > 1 && k->crashes >= CRASHES_HALVE)
		work_halve(s, k);
	else if (k->npaths == 1 && k->crashes >= CRASHES_ASIDE &&
	    fields_count(&t, F_PATH) == 1)
		work_set_aside(s, k);
	work_sort(s);
	return (s->work == NULL || s->work->npaths > 1 ||
	    s->work->crashes < CRASHES_ASIDE);
}

/* A path that changed again gets another chance. */
static void
batch_unset_aside(struct service *s, const struct field *path)
{
	struct fields t = { s->set_aside.data, s->set_aside.len };
	struct buf rest = { 0 };
	struct field f;
	size_t off = 0;

	while (field_next(&t, &off, &f) == 1)
		if (f.len != path->len || memcmp(f.str, path->str, f.len) != 0)
			fields_add_mem(&rest, f.key, f.str, f.len);
	buf_free(&s->set_aside);
	s->set_aside = rest;
}

static void
batch_accept(struct service *s, struct frame *f)
{
	const struct msg_batch *m = frame_fixed(f);
	struct buf paths = { 0 };
	struct field fl;
	size_t off = 0;

	while (field_next(&f->tail, &off, &fl) == 1) {
		if (fl.key != F_PATH && fl.key != F_SUBTREE)
			continue;
		fields_add_mem(&paths, fl.key, fl.str, fl.len);
		if (s->set_aside.len > 0)
			batch_unset_aside(s, &fl);
	}
	s->batch = m->batch;
	s->upto = m->upto;
	if (paths.len > 0) {
		work_add(s, &paths, m->seen_ns);
		s->aside_ms = 0;
		batch_touch(s);
	} else
		/* only the number moves: somebody may wait for it */
		batch_applied(s);
	buf_free(&paths);
}

static void
batch_on_timer(void *arg)
{
	batch_take(arg);
}

static void
batch_on_answer(void *arg, struct frame *f)
{
	struct service *s = arg;

	s->take_id = 0;
	if (f->source == PROC_WATCH)
		batch_watch_is(s, f->head.generation);
	if (rpc_err(f) == ERR_WORKER_LOST)
		batch_forget(s);
	else if (f->head.type == MSG_WATCH_BATCH)
		batch_accept(s, f);
	else if (rpc_err(f) == ERR_NOT_FOUND) {
		/* a watch that knows the new tree is on its way */
		loop_timer_in_ms(s->w->loop, &s->take_timer, TAKE_SOON_MS,
		    batch_on_timer, s);
		return;
	} else {
		log_warnx("%s: watch does not answer: %s", s->conf->name,
		    err_name(rpc_err(f)));
		loop_timer_in_ms(s->w->loop, &s->take_timer, TAKE_AGAIN_MS,
		    batch_on_timer, s);
		return;
	}
	if (!batch_has_to_wait(s))
		batch_take(s);
	plan_next(s);
}
