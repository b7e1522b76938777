/*
 * What control asks: sync, push, restart, rebuild, status.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "workers/plan/plan.h"

static void verbs_on_synced(void *arg, struct frame *f);

/* How many are not on their way out. */
static size_t
verbs_count(const struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += !p->services[i]->retiring;
	return (n);
}

/* One service less to wait for; the last one answers. */
static void
order_leave(struct worker *w, struct order *o, bool answer)
{
	struct msg_num m = { .n = (uint64_t)o->code };
	struct buf b = { 0 };

	if (--o->left > 0)
		return;
	if (answer) {
		if (o->text[0] != '\0')
			fields_add_str(&b, F_TEXT, o->text);
		rpc_answer(w->ch, o->id, MSG_OK, 0, &m, &b, -1);
		buf_free(&b);
	}
	free(o);
}

static void
waiter_drop(struct service *s, struct waiter **p, bool answer)
{
	struct waiter *v = *p;

	if (v->sync_id != 0)
		rpc_cancel(s->w->rpc, v->sync_id);
	*p = v->next;
	order_leave(s->w, v->order, answer);
	free(v);
}

static void
waiter_answer(struct service *s, struct waiter **p, int code, const char *text)
{
	struct plan *plan = s->w->state;
	struct order *o = (*p)->order;
	bool several = verbs_count(plan) > 1;

	if (code != EX_OK && o->code == EX_OK) {
		o->code = code;
		snprintf(o->text, sizeof(o->text), "%s%s%s",
		    several ? s->conf->name : "", several ? ": " : "", text);
	}
	waiter_drop(s, p, true);
}

/* Answer who waits for what is now so. */
void
verbs_settle(struct service *s)
{
	struct waiter **p = &s->waiters;
	bool in_step = plan_in_step(s), stuck = plan_is_stuck(s);

	while (*p != NULL) {
		struct waiter *v = *p;

		if (v->synced && in_step && s->acked_upto >= v->upto)
			waiter_answer(s, p, EX_OK, "");
		else if (v->synced && stuck &&
		    (s->upto >= v->upto || s->root_gone))
			waiter_answer(s, p, EX_UNAVAILABLE, plan_why(s));
		else
			p = &v->next;
	}
}

static void
waiter_sync(struct service *s, struct waiter *v)
{
	struct msg_num m = { .n = s->conf->tree };

	v->synced = false;
	v->sync_id = rpc_ask(s->w->rpc, MSG_WATCH_SYNC, 0, &m, NULL, -1,
	    verbs_on_synced, s);
}

static void
verbs_on_synced(void *arg, struct frame *f)
{
	struct service *s = arg;
	const struct msg_watch_sync *m = frame_fixed(f);
	struct waiter **p, *v;

	if (f->source == PROC_WATCH)
		batch_watch_is(s, f->head.generation);
	for (p = &s->waiters; (v = *p) != NULL; p = &v->next)
		if (v->sync_id == f->head.id)
			break;
	if (v == NULL)
		return;
	v->sync_id = 0;
	if (rpc_err(f) == ERR_WORKER_LOST)
		/* a new watch will answer; the barrier is asked for again */
		waiter_sync(s, v);
	else if (f->head.type != MSG_WATCH_SYNC_OK)
		waiter_answer(s, p, EX_UNAVAILABLE,
		    "the watch worker does not say what it has seen");
	else {
		v->synced = true;
		v->upto = m->upto;
		verbs_settle(s);
	}
}

/* The numbers of a new watch are others: ask again where the barrier is. */
void
verbs_watch_restarted(struct service *s)
{
	for (struct waiter *v = s->waiters; v != NULL; v = v->next)
		if (v->sync_id == 0)
			waiter_sync(s, v);
}

static void
waiter_add(struct service *s, struct order *o)
{
	struct waiter *v = xcalloc(1, sizeof(*v));

	v->order = o;
	o->left++;
	v->next = s->waiters;
	s->waiters = v;
	waiter_sync(s, v);
}

static void
verbs_do_one(struct service *s, enum do_verb verb, struct order *o)
{
	waiter_add(s, o);
	if (verb == DO_SYNC)
		return;
	plan_unblock(s);
	s->retry_at = (mono_t) { 0 };
	if (verb == DO_PUSH)
		s->whole = true;
	if (verb == DO_RESTART)
		s->force_restart = true;
	if (verb == DO_REBUILD) {
		s->need_rebuild = s->no_cache = true;
		strlcpy(s->climbed, "asked for", sizeof(s->climbed));
	}
	plan_next(s);
}

void
verbs_do(struct worker *w, struct frame *f)
{
	const struct msg_do *m = frame_fixed(f);
	struct plan *p = w->state;
	char *name = fields_dup(&f->tail, F_SERVICE);
	struct order *o = xcalloc(1, sizeof(*o));

	o->id = f->head.id;
	o->left = 1; /* while it is being handed out */
	for (size_t i = 0; i < p->n; i++)
		if (!p->services[i]->retiring &&
		    (name == NULL ||
			strcmp(p->services[i]->conf->name, name) == 0))
			if (m->verb >= DO_SYNC && m->verb <= DO_REBUILD)
				verbs_do_one(p->services[i], m->verb, o);
	if (m->verb < DO_SYNC || m->verb > DO_REBUILD)
		rpc_answer_err(w->ch, o->id, ERR_INVALID, 0, "no such verb");
	else if (o->left == 1 && name != NULL)
		rpc_answer_err(w->ch, o->id, ERR_NOT_FOUND, 0,
		    "no such service");
	order_leave(w, o,
	    name == NULL && m->verb >= DO_SYNC && m->verb <= DO_REBUILD);
	free(name);
}

/* Nobody waits any more; what was ordered is done all the same. */
void
verbs_cancel(struct worker *w, struct frame *f)
{
	struct plan *p = w->state;
	struct waiter **v;
	bool found = false;

	for (size_t i = 0; i < p->n; i++)
		for (v = &p->services[i]->waiters; *v != NULL;)
			if ((*v)->order->id == f->head.id) {
				waiter_drop(p->services[i], v, false);
				found = true;
			} else
				v = &(*v)->next;
	if (found)
		rpc_answer_err(w->ch, f->head.id, ERR_CANCELLED, 0,
		    "cancelled");
}

void
verbs_retired(struct service *s)
{
	while (s->waiters != NULL)
		waiter_answer(s, &s->waiters, EX_UNAVAILABLE,
		    "the configuration of the service has changed");
}

void
verbs_forget(struct service *s)
{
	while (s->waiters != NULL)
		waiter_drop(s, &s->waiters, false);
}

/* Status. */

static void
status_item(struct worker *w, uint32_t id, enum status_kind kind, struct buf *b)
{
	struct msg_status m = { .kind = kind };

	rpc_answer(w->ch, id, MSG_STATUS_ITEM, F_MORE, &m, b, -1);
	b->len = 0;
}

static uint64_t
status_pending(const struct service *s)
{
	uint64_t n = 0;

	for (const struct work *k = s->work; k != NULL; k = k->next)
		n += k->npaths;
	return (n + s->need_steps + s->need_rebuild + s->need_start +
	    plan_wants_restart(s));
}

static void
status_service(struct service *s, uint32_t id)
{
	const struct conf_engine *e = conf_engine(&s->w->conf, s->conf->engine);
	struct buf b = { 0 };

	fields_add_str(&b, F_NAME, s->conf->name);
	if (e != NULL)
		fields_add_str(&b, F_ENGINE, e->name);
	fields_add_bool(&b, F_IN_STEP, plan_in_step(s));
	fields_add_str(&b, F_WHY, plan_why(s));
	fields_add_u64(&b, F_PENDING, status_pending(s));
	buf_add(&b, s->set_aside.data, s->set_aside.len);
	status_item(s->w, id, STATUS_SERVICE, &b);
	if (s->id[0] != '\0') {
		fields_add_str(&b, F_CONTAINER_ID, s->id);
		fields_add_str(&b, F_NAME, s->conf->container);
		fields_add_str(&b, F_IMAGE, s->conf->image);
		fields_add_str(&b, F_IMAGE_ID, s->image_id);
		fields_add_str(&b, F_TRANSPORT, "archive");
		fields_add_str(&b, F_WHY, plan_why(s));
		fields_add_bool(&b, F_IN_STEP, plan_in_step(s));
		fields_add_bool(&b, F_RUNNING, s->running);
		status_item(s->w, id, STATUS_CONTAINER, &b);
	}
	if (s->last.job != 0) {
		fields_add_u64(&b, F_JOB, s->last.job);
		fields_add_str(&b, F_ACTION, s->last.action);
		fields_add_u64(&b, F_FILES, s->last.files);
		fields_add_u64(&b, F_DELETED, s->last.deleted);
		fields_add_u64(&b, F_BYTES, s->last.bytes);
		fields_add_u64(&b, F_US, s->last.us);
		fields_add_str(&b, F_RESULT, s->last.result);
		status_item(s->w, id, STATUS_LAST, &b);
	}
	buf_free(&b);
}

void
verbs_status(struct worker *w, struct frame *f)
{
	struct plan *p = w->state;
	struct buf b = { 0 };

	/* of a retired service its successor tells */
	for (size_t i = 0; i < p->n; i++)
		if (!p->services[i]->retiring)
			status_service(p->services[i], f->head.id);
	for (size_t i = 0; i < p->n; i++)
		if (p->services[i]->builds.len > 0) {
			buf_add(&b, p->services[i]->builds.data,
			    p->services[i]->builds.len);
			status_item(w, f->head.id, STATUS_BUILD, &b);
		}
	buf_free(&b);
	rpc_answer_ok(w->ch, f->head.id, 0);
}
