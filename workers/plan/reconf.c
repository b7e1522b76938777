/*
 * Services come and go with reloads.  A retired one ends what it does and
 * makes way; one that stands in its place begins when it has gone.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/plan/plan.h"

/* What watch has told of a tree, for services that come later. */
struct plan_tree {
	struct plan_tree *next;
	struct msg_tree m;
};

static void
tree_apply(struct service *s, uint32_t generation, const struct msg_tree *m)
{
	batch_watch_is(s, generation);
	s->tree_upto = m->changes;
	s->root_gone = (m->flags & TREE_ROOT_GONE) != 0;
	s->held = (m->flags & TREE_HELD) != 0;
	if (m->flags & TREE_SCANNED)
		s->scanned = true;
}

static void
trees_free(struct plan *p)
{
	struct plan_tree *t;

	while ((t = p->trees) != NULL) {
		p->trees = t->next;
		free(t);
	}
}

static struct plan_tree *
tree_find(const struct plan *p, uint32_t tree)
{
	struct plan_tree *t;

	for (t = p->trees; t != NULL; t = t->next)
		if (t->m.tree == tree)
			break;
	return (t);
}

void
plan_tree_is(struct plan *p, uint32_t generation, const struct msg_tree *m)
{
	struct plan_tree *t;

	/* a new watch tells of all its trees */
	if (p->watch_gen != generation)
		trees_free(p);
	p->watch_gen = generation;
	if ((t = tree_find(p, m->tree)) == NULL) {
		t = xcalloc(1, sizeof(*t));
		t->next = p->trees;
		p->trees = t;
	}
	t->m = *m;
	for (size_t i = 0; i < p->n; i++)
		if (p->services[i]->conf->tree == m->tree) {
			tree_apply(p->services[i], generation, m);
			plan_next(p->services[i]);
		}
}

static struct service *
service_new(struct plan *p, const struct conf_service *conf)
{
	struct service *s = xcalloc(1, sizeof(*s));
	const struct plan_tree *t = tree_find(p, conf->tree);

	s->w = p->w;
	s->conf = conf;
	s->manifest_fd = -1;
	s->retiring = conf_is_retired(conf);
	s->engine_up = p->engine[conf->engine % PLAN_ENGINES] == PLAN_UP;
	if (t != NULL)
		tree_apply(s, p->watch_gen, &t->m);
	p->services =
	    xreallocarray(p->services, p->n + 1, sizeof(*p->services));
	p->services[p->n++] = s;
	return (s);
}

static void
service_free(struct service *s)
{
	if (s == NULL)
		return;
	loop_timer_cancel(&s->timer);
	loop_timer_cancel(&s->take_timer);
	loop_timer_cancel(&s->aside_timer);
	while (s->work != NULL)
		work_free(s, s->work);
	verbs_forget(s);
	buf_free(&s->set_aside);
	buf_free(&s->builds);
	if (s->manifest_fd != -1)
		close(s->manifest_fd);
	free(s);
}

void
plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		service_free(p->services[i]);
	free(p->services);
	trees_free(p);
	free(p);
}

/* Both would have to do with the same container. */
static bool
service_conflicts(const struct conf_service *a, const struct conf_service *b)
{
	return (strcmp(a->name, b->name) == 0 ||
	    (a->engine == b->engine &&
		(strcmp(a->container, b->container) == 0 ||
		    strcmp(a->dir, b->dir) == 0)));
}

bool
plan_must_wait(const struct service *s)
{
	const struct plan *p = s->w->state;

	for (size_t i = 0; i < p->n; i++) {
		const struct service *o = p->services[i];

		if (o == s || !o->retiring || o->ended)
			continue;
		/* of two that go the elder is first */
		if (s->retiring && o->conf->service > s->conf->service)
			continue;
		if (service_conflicts(s->conf, o->conf))
			return (true);
	}
	return (false);
}

bool
plan_is_taken_over(const struct service *s)
{
	const struct conf_service *c = s->conf, *o;
	const struct plan *p = s->w->state;

	for (size_t i = 0; i < p->n; i++) {
		o = p->services[i]->conf;
		/* found by its labels: name and directory */
		if (!conf_is_retired(o) && o->engine == c->engine &&
		    strcmp(o->name, c->name) == 0 &&
		    strcmp(o->dir, c->dir) == 0 &&
		    strcmp(o->container, c->container) == 0)
			return (true);
	}
	return (false);
}

bool
plan_is_replaced(const struct service *s)
{
	const struct conf_service *c = s->conf, *o;
	const struct plan *p = s->w->state;

	for (size_t i = 0; i < p->n; i++) {
		o = p->services[i]->conf;
		if (!conf_is_retired(o) &&
		    (strcmp(o->name, c->name) == 0 ||
			(o->engine == c->engine &&
			    strcmp(o->container, c->container) == 0)))
			return (true);
	}
	return (false);
}

bool
plan_is_ending(const struct service *s)
{
	return (s->w->stopping || s->retiring);
}

/* Cut long work short; calls to the engine are awaited. */
void
plan_cut_short(struct service *s)
{
	if (s->job_id == 0)
		return;
	rpc_cancel(s->w->rpc, s->job_id);
	act_cancelled(s);
	s->builds.len = 0;
	plan_op_end(s);
}

/* The engine does not answer any more: forget what it was asked. */
void
plan_abandon(struct service *s)
{
	if (s->op == OP_NONE || s->job_id != 0)
		return;
	eng_forget(s->w, s);
	replace_abandon(s);
	plan_op_end(s);
}

static void
service_retire(struct service *s)
{
	s->retiring = true;
	log_info("%s: the configuration has changed: ending it", s->conf->name);
	if (s->take_id != 0)
		rpc_cancel(s->w->rpc, s->take_id);
	s->take_id = 0;
	s->take_held = false;
	loop_timer_cancel(&s->take_timer);
	loop_timer_cancel(&s->aside_timer);
	loop_timer_cancel(&s->timer);
	s->retries = 0;
	s->retry_at = (mono_t) { 0 };
	verbs_retired(s);
	plan_cut_short(s);
	if (!s->engine_up)
		plan_abandon(s);
	plan_next(s);
}

void
plan_retired(struct service *s)
{
	struct msg_num m = { .n = s->conf->service };
	struct plan *p = s->w->state;

	channel_send(s->w->ch, MSG_SERVICE_GONE, 0, 0, &m, NULL, 0, -1);
	/* who waited for it begins */
	for (size_t i = 0; i < p->n; i++)
		if (p->services[i] != s)
			plan_next(p->services[i]);
}

/* The configuration has forgotten it, as a rule after SERVICE_GONE. */
static void
service_drop(struct plan *p, size_t i)
{
	struct service *s = p->services[i];

	if (!s->ended) {
		s->retiring = true;
		plan_cut_short(s);
		plan_abandon(s);
		if (s->take_id != 0)
			rpc_cancel(s->w->rpc, s->take_id);
		end_done(s);
	}
	memmove(&p->services[i], &p->services[i + 1],
	    (--p->n - i) * sizeof(*p->services));
	service_free(s);
}

static struct service *
service_of(const struct plan *p, const struct conf_service *conf)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->services[i]->conf == conf)
			return (p->services[i]);
	return (NULL);
}

/* Begin with one that is new. */
static void
service_start(struct service *s)
{
	if (s->retiring)
		/* of a plan before this one: what is there is looked up */
		log_debug("%s: is still to be ended", s->conf->name);
	else
		batch_take(s);
	if (s->w->stopping)
		s->ended = true;
	plan_next(s);
}

int
plan_start(struct worker *w)
{
	struct plan *p = xcalloc(1, sizeof(*p));

	w->state = p;
	p->w = w;
	/* jobs of different generations must not be taken for one another */
	p->jobs = (uint64_t)w->generation * 1000000;
	for (size_t i = 0; i < w->conf.nservices; i++)
		service_new(p, w->conf.services[i]);
	for (size_t i = 0; i < p->n; i++)
		service_start(p->services[i]);
	return (0);
}

void
plan_reconf(struct worker *w)
{
	struct plan *p = w->state;
	struct conf *c = &w->conf;
	size_t old;

	for (size_t i = p->n; i-- > 0;)
		if (conf_service(c, p->services[i]->conf->service) == NULL)
			service_drop(p, i);
	/* another engine may get the number */
	for (uint32_t i = 0; i < PLAN_ENGINES; i++)
		if (conf_engine(c, i) == NULL)
			p->engine[i] = PLAN_UNKNOWN;
	old = p->n;
	/* all that is new is there before anything retires */
	for (size_t i = 0; i < c->nservices; i++)
		if (service_of(p, c->services[i]) == NULL)
			service_new(p, c->services[i]);
	for (size_t i = 0; i < old && !w->stopping; i++)
		if (conf_is_retired(p->services[i]->conf) &&
		    !p->services[i]->retiring)
			service_retire(p->services[i]);
	for (size_t i = old; i < p->n; i++)
		service_start(p->services[i]);
}
