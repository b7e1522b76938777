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
	p->jobs = (uint64_t)w->generation << 32;
	for (size_t i = 0; i < p->n; i++) {
		p->services[i].w = w;
		p->services[i].conf = &w->conf.services[i];
		p->services[i].manifest_fd = -1;
		batch_take(&p->services[i]);
	}
	return (0);
}

static void
plan_on_eng_state(struct worker *w, struct frame *f)
{
	const struct msg_eng_state *m = frame_fixed(f);
	struct plan *p = w->state;

	for (size_t i = 0; i < p->n; i++) {
		struct service *s = &p->services[i];

		if (s->conf->engine != m->engine)
			continue;
		s->engine_up = m->state == ENG_STATE_UP;
		if (s->engine_up) {
			/* what is there now is looked up, not remembered */
			s->listed = false;
			s->blocked = false;
			s->why[0] = '\0';
			s->retries = 0;
			loop_timer_cancel(&s->timer);
		}
		plan_next(s);
	}
}

/* Something was done to a container of ours, perhaps by ourselves. */
static void
plan_on_eng_event(struct worker *w, struct frame *f)
{
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
			s->need_inspect = true;
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
		s->root_gone = (m->flags & TREE_ROOT_GONE) != 0;
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

		/* long work is cut short; a call to the engine is awaited */
		if (s->job_id != 0) {
			rpc_cancel(w->rpc, s->job_id);
			plan_op_end(s);
		}
		plan_next(s);
	}
	if (p->n == 0)
		worker_end(w, EX_OK);
}

static const struct worker_handler handlers[] = {
	{ MSG_ENG_STATE, plan_on_eng_state },
	{ MSG_ENG_EVENT, plan_on_eng_event },
	{ MSG_TREE, plan_on_tree },
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
