/*
 * What reaches the plan worker from others, and its start and end.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "workers/plan/plan.h"

static struct service *
service_by_id(struct plan *p, uint32_t id)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->services[i].conf->service == id)
			return (&p->services[i]);
	return (NULL);
}

static int
plan_start(struct worker *w)
{
	struct plan *p = xcalloc(1, sizeof(*p));

	w->state = p;
	p->w = w;
	p->n = w->conf.nservices;
	p->services = xcalloc(p->n + 1, sizeof(*p->services));
	/* jobs of different generations must not be taken for one another */
	p->jobs = (uint64_t)w->generation * 1000000;
	for (size_t i = 0; i < p->n; i++) {
		p->services[i].w = w;
		p->services[i].conf = w->conf.services[i];
		p->services[i].manifest_fd = -1;
		batch_take(&p->services[i]);
	}
	return (0);
}

void
plan_free(struct plan *p)
{
	struct service *s;

	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++) {
		s = &p->services[i];
		loop_timer_cancel(&s->timer);
		loop_timer_cancel(&s->take_timer);
		while (s->work != NULL)
			work_free(s, s->work);
		verbs_forget(s);
		buf_free(&s->set_aside);
		buf_free(&s->builds);
		if (s->manifest_fd != -1)
			close(s->manifest_fd);
	}
	free(p->services);
	free(p);
}

static void
plan_engine_is(struct worker *w, uint32_t engine, bool up)
{
	struct plan *p = w->state;

	for (size_t i = 0; i < p->n; i++) {
		struct service *s = &p->services[i];

		if (s->conf->engine != engine)
			continue;
		s->engine_up = up;
		if (up) {
			/* what is there now is looked up, not remembered */
			s->listed = false;
			plan_unblock(s);
			s->retries = 0;
			s->retry_at = (mono_t) { 0 };
		} else if (w->stopping)
			end_give_up(s);
		plan_next(s);
	}
}

static void
plan_on_eng_state(struct worker *w, struct frame *f)
{
	const struct msg_eng_state *m = frame_fixed(f);

	plan_engine_is(w, m->engine, m->state == ENG_STATE_UP);
}

/* Without its worker nobody knows how an engine is; the next one tells. */
static void
plan_on_peer(struct worker *w, struct frame *f)
{
	const struct msg_peer *m = frame_fixed(f);

	if (m->role == PROC_ENGINE && m->state == PEER_DOWN)
		plan_engine_is(w, m->instance, false);
}

static void
plan_tell_exit(struct service *s, struct frame *f)
{
	struct buf b = { 0 };
	struct field code;

	fields_add_str(&b, F_CONTAINER_ID, s->id);
	if (fields_get(&f->tail, F_EXIT_CODE, &code))
		fields_add_i64(&b, F_EXIT_CODE, code.i64);
	worker_event(s->w, EVENT_CONTAINER_EXIT, s->conf, 0, &b);
	buf_free(&b);
}

/* Something was done to a container of ours, perhaps by ourselves. */
static void
plan_on_eng_event(struct worker *w, struct frame *f)
{
	/* what may change whether and since when it runs */
	static const char *const heeded[] = { "die", "start", "restart",
		"destroy", "pause", "unpause", "stop", "kill", "oom" };
	const struct msg_eng_event *m = frame_fixed(f);
	struct service *s = service_by_id(w->state, m->service);
	struct field id, action;

	if (s == NULL || !fields_get(&f->tail, F_CONTAINER_ID, &id) ||
	    !fields_get(&f->tail, F_ACTION, &action) ||
	    id.len != strlen(s->id) || memcmp(id.str, s->id, id.len) != 0)
		return;
	for (size_t i = 0; i < sizeof(heeded) / sizeof(heeded[0]); i++)
		if (strlen(heeded[i]) == action.len &&
		    memcmp(heeded[i], action.str, action.len) == 0)
			s->recheck = true;
	if (action.len == 3 && memcmp(action.str, "die", 3) == 0)
		plan_tell_exit(s, f);
	plan_next(s);
}

static void
plan_on_tree(struct worker *w, struct frame *f)
{
	const struct msg_tree *m = frame_fixed(f);
	struct plan *p = w->state;

	for (size_t i = 0; i < p->n; i++) {
		struct service *s = &p->services[i];

		if (s->conf->tree != m->tree)
			continue;
		batch_watch_is(s, f->head.generation);
		s->tree_upto = m->changes;
		s->root_gone = (m->flags & TREE_ROOT_GONE) != 0;
		s->held = (m->flags & TREE_HELD) != 0;
		if (m->flags & TREE_SCANNED)
			s->scanned = true;
		plan_next(s);
	}
}

static void
plan_stop(struct worker *w)
{
	struct plan *p = w->state;

	p->removing = p->n;
	for (size_t i = 0; i < p->n; i++) {
		struct service *s = &p->services[i];

		/*
		 * Long work is cut short; a call to the engine is awaited,
		 * unless the engine is away.
		 */
		if (s->job_id != 0) {
			rpc_cancel(w->rpc, s->job_id);
			act_cancelled(s);
			plan_op_end(s);
		}
		if (!s->engine_up)
			end_give_up(s);
		plan_next(s);
	}
	if (p->n == 0)
		worker_end(w, EX_OK);
}

static const struct worker_handler handlers[] = {
	{ MSG_ENG_STATE, plan_on_eng_state },
	{ MSG_ENG_EVENT, plan_on_eng_event },
	{ MSG_TREE, plan_on_tree },
	{ MSG_PEER, plan_on_peer },
	{ MSG_DO, verbs_do },
	{ MSG_CANCEL, verbs_cancel },
	{ MSG_STATUS_PLAN, verbs_status },
	{ MSG_NONE, NULL },
};

const struct worker_ops plan_ops = {
	.role = PROC_PLAN,
	.start = plan_start,
	.stop = plan_stop,
	.handlers = handlers,
};
