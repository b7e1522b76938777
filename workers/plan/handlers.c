/*
 * What reaches the plan worker from others, and its start and end.
 */
#include <string.h>
#include <sysexits.h>

#include "workers/plan/plan.h"

static struct service *
service_by_id(struct plan *p, uint32_t id)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->services[i]->conf->service == id)
			return (p->services[i]);
	return (NULL);
}

static void
plan_engine_is(struct worker *w, uint32_t engine, bool up)
{
	struct plan *p = w->state;

	if (engine >= PLAN_ENGINES)
		return;
	p->engine[engine] = up ? PLAN_UP : PLAN_DOWN;
	for (size_t i = 0; i < p->n; i++) {
		struct service *s = p->services[i];

		if (s->conf->engine != engine)
			continue;
		s->engine_up = up;
		if (up) {
			/* what is there now is looked up, not remembered */
			s->listed = false;
			plan_unblock(s);
			s->retries = 0;
			s->retry_at = (mono_t) { 0 };
			if (!s->retiring)
				batch_resume(s);
		} else if (w->stopping)
			end_give_up(s);
		else if (s->retiring)
			plan_abandon(s);
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

	plan_tree_is(w->state, f->head.generation, m);
}

static void
plan_stop(struct worker *w)
{
	struct plan *p = w->state;
	size_t removing;

	p->removing = 0;
	for (size_t i = 0; i < p->n; i++)
		p->removing += !p->services[i]->ended;
	removing = p->removing;
	for (size_t i = 0; i < p->n; i++) {
		struct service *s = p->services[i];

		/*
		 * Long work is cut short; a call to the engine is awaited,
		 * unless the engine is away.
		 */
		plan_cut_short(s);
		if (!s->engine_up)
			end_give_up(s);
		plan_next(s);
	}
	if (removing == 0)
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
	.reconf = plan_reconf,
	.handlers = handlers,
};
