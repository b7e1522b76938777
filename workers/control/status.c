/*
 * Status: asked from the processes that know, told to every client that
 * waits.  Process: control.
 *
 * One gathering runs at a time.  Who asks while it runs is answered by the
 * next, because its answer must not be older than its question.  A process
 * that does not answer within STATUS_WAIT_MS is named in the answer, and what
 * the configuration knows of its part stands in as unknown, so that silence
 * never looks like "nothing wrong".
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "log.h"
#include "workers/control/control.h"

#define STATUS_SLICE_MS 20
#define STATUS_QUEUE    (256 * 1024) /* bytes that may wait in a channel */

#define KIND(k) (1u << STATUS_##k)

/* Whom to ask, and what each may speak of; the supervisor is the first. */
static const struct {
	enum msg_type type;
	enum proc proc;
	uint32_t kinds;
} sources[] = {
	{ MSG_STATUS_SUP, PROC_SUP,
	    KIND(DAEMON) | KIND(WORKER) | KIND(TREE) | KIND(ENGINE) },
	{ MSG_STATUS_ENGINE, PROC_ENGINE, KIND(ENGINE) },
	{ MSG_STATUS_WATCH, PROC_WATCH, KIND(TREE) },
	{ MSG_STATUS_PLAN, PROC_PLAN,
	    KIND(SERVICE) | KIND(CONTAINER) | KIND(LAST) | KIND(BUILD) },
};
#define NSOURCES (sizeof(sources) / sizeof(sources[0]))

/* The order in which kinds are told; those of one line stay in theirs. */
static const uint32_t ranks[] = {
	KIND(DAEMON),
	KIND(WORKER),
	KIND(ENGINE),
	KIND(TREE),
	KIND(SERVICE) | KIND(CONTAINER) | KIND(LAST),
	KIND(BUILD),
};
#define NRANKS (sizeof(ranks) / sizeof(ranks[0]))

struct item {
	struct item *next;
	struct msg_status m;
	struct buf fields;
};

struct part {
	struct gather *g;
	size_t source;
	uint32_t engine; /* of PROC_ENGINE: its number */
	uint32_t asked;
	bool done;   /* the last answer is there */
	bool failed; /* and it was an error, or none came in time */
	struct item *items;
	struct item **tail;
	struct loop_timer again;
};

struct gather {
	struct control *ct;
	enum { IDLE, ASKING, TELLING } state;
	uint64_t round;     /* of the gathering that runs, or ran last */
	struct part *parts; /* each source; one for each engine */
	size_t nparts;
	size_t bytes;
	bool cut; /* more items came than are kept */
	struct loop_timer timer;
};

static void gather_start(struct gather *g);
static void gather_tell(void *arg);
static void part_ask(void *arg);

static void
part_clear(struct part *p)
{
	struct item *it;

	while ((it = p->items) != NULL) {
		p->items = it->next;
		p->g->bytes -= sizeof(*it) + it->fields.len;
		buf_free(&it->fields);
		free(it);
	}
	p->tail = &p->items;
}

static void
part_add(struct part *p, uint32_t kind, const void *fields, size_t len)
{
	struct gather *g = p->g;
	struct item *it;

	if (g->bytes + sizeof(*it) + len > STATUS_BYTES_MAX) {
		g->cut = true;
		return;
	}
	it = xcalloc(1, sizeof(*it));
	it->m.kind = kind;
	buf_add(&it->fields, fields, len);
	g->bytes += sizeof(*it) + len;
	*p->tail = it;
	p->tail = &it->next;
}

/* An item as it came, if its sender may speak of such a thing. */
static void
part_take(struct part *p, struct frame *f)
{
	const struct msg_status *m = frame_fixed(f);
	uint32_t bit = m->kind < 32 ? 1u << m->kind : 0;

	if ((sources[p->source].kinds & bit) == 0)
		log_debug("%s reports a status of kind %u",
		    proc_name(f->source), m->kind);
	else if ((bit & (KIND(CONTAINER) | KIND(LAST))) != 0 &&
	    p->items == NULL)
		log_debug("%s reports a container of no service",
		    proc_name(f->source));
	else
		part_add(p, m->kind, f->tail.data, f->tail.len);
}

static void
gather_finish(struct gather *g)
{
	for (size_t i = 0; i < g->nparts; i++)
		if (!g->parts[i].done)
			return;
	loop_timer_cancel(&g->timer);
	g->state = TELLING;
	gather_tell(g);
}

static void
part_on_answer(void *arg, struct frame *f)
{
	struct part *p = arg;
	struct loop *l = p->g->ct->w->loop;

	if (f->head.type == MSG_STATUS_ITEM)
		part_take(p, f);
	if (f->head.flags & F_MORE)
		return;
	p->asked = 0;
	if (rpc_err(f) == ERR_WORKER_LOST) {
		/* its successor starts in milliseconds: within our time */
		part_clear(p);
		loop_timer_in_ms(l, &p->again, 1, part_ask, p);
		return;
	}
	p->done = true;
	p->failed = f->head.type == MSG_ERR;
	gather_finish(p->g);
}

static void
part_ask(void *arg)
{
	struct part *p = arg;
	struct msg_num m = { .n = p->engine };

	/* of these only STATUS_ENGINE has a fixed part */
	p->asked = rpc_ask(p->g->ct->w->rpc, sources[p->source].type, 0, &m,
	    NULL, -1, part_on_answer, p);
	if (p->asked == 0)
		p->done = p->failed = true; /* the whole daemon is ending */
}

static void
part_end(struct part *p)
{
	if (p->asked != 0)
		rpc_cancel(p->g->ct->w->rpc, p->asked);
	p->asked = 0;
	loop_timer_cancel(&p->again);
}

/* The supervisor has said that this process is not there. */
static bool
part_is_down(const struct part *p)
{
	const char *name = proc_name(sources[p->source].proc);
	struct fields t;
	struct field f;

	for (const struct item *it = p->g->parts[0].items; it != NULL;
	     it = it->next) {
		t = (struct fields) { it->fields.data, it->fields.len };
		if (it->m.kind == STATUS_WORKER && fields_get(&t, F_NAME, &f) &&
		    f.len == strlen(name) && memcmp(f.str, name, f.len) == 0 &&
		    fields_u64(&t, F_INSTANCE, 0) == p->engine)
			return (fields_u64(&t, F_PID, 1) == 0);
	}
	return (false);
}

static void
gather_give_up(struct gather *g, bool all)
{
	for (size_t i = 0; i < g->nparts; i++) {
		if (g->parts[i].done || (!all && !part_is_down(&g->parts[i])))
			continue;
		part_end(&g->parts[i]);
		g->parts[i].done = g->parts[i].failed = true;
	}
	gather_finish(g);
}

static void
gather_on_timeout(void *arg)
{
	gather_give_up(arg, true);
}

/* A restart takes milliseconds: who is still down now stays down. */
static void
gather_on_first_timeout(void *arg)
{
	struct gather *g = arg;

	loop_timer_in_ms(g->ct->w->loop, &g->timer,
	    STATUS_WAIT_MS - STATUS_DOWN_MS, gather_on_timeout, g);
	gather_give_up(g, false);
}

static void
gather_clear(struct gather *g)
{
	for (size_t i = 0; i < g->nparts; i++) {
		part_end(&g->parts[i]);
		part_clear(&g->parts[i]);
	}
	free(g->parts);
	g->parts = NULL;
	g->nparts = 0;
}

static void
gather_add(struct gather *g, size_t source, uint32_t engine)
{
	struct part *p = &g->parts[g->nparts++];

	p->g = g;
	p->source = source;
	p->engine = engine;
	p->tail = &p->items;
}

/* Whom to ask changes with the configuration. */
static void
gather_start(struct gather *g)
{
	const struct conf *c = &g->ct->w->conf;

	gather_clear(g);
	g->parts = xcalloc(NSOURCES + c->nengines, sizeof(*g->parts));
	for (size_t i = 0; i < NSOURCES; i++)
		if (sources[i].proc != PROC_ENGINE)
			gather_add(g, i, 0);
		else
			for (size_t j = 0; j < c->nengines; j++)
				gather_add(g, i, c->engines[j]->instance);
	g->state = ASKING;
	g->round++;
	g->cut = false;
	loop_timer_in_ms(g->ct->w->loop, &g->timer, STATUS_DOWN_MS,
	    gather_on_first_timeout, g);
	for (size_t i = 0; i < g->nparts; i++)
		part_ask(&g->parts[i]);
}

/* Standing in for a process that did not answer. */

static void
stand_in_daemon(struct part *p, struct buf *b)
{
	fields_add_str(b, F_RUN, p->g->ct->w->conf.run);
	fields_add_u64(b, F_PID, (uint64_t)getppid());
	part_add(p, STATUS_DAEMON, b->data, b->len);
}

static void
stand_in_engine(struct part *p, struct buf *b)
{
	const struct conf_engine *e =
	    conf_engine(&p->g->ct->w->conf, p->engine);

	if (e == NULL)
		return;
	fields_add_str(b, F_NAME, e->name);
	fields_add_str(b, F_HOST, e->host);
	fields_add_str(b, F_STATE, "unknown");
	part_add(p, STATUS_ENGINE, b->data, b->len);
}

static void
stand_in_watch(struct part *p, struct buf *b)
{
	const struct conf *c = &p->g->ct->w->conf;

	for (size_t i = 0; i < c->nroots; i++) {
		b->len = 0;
		fields_add_str(b, F_ROOT, c->roots[i]->path);
		part_add(p, STATUS_TREE, b->data, b->len);
	}
}

static void
stand_in_plan(struct part *p, struct buf *b)
{
	const struct conf *c = &p->g->ct->w->conf;
	const struct conf_engine *e;

	for (size_t i = 0; i < c->nservices; i++) {
		if (conf_is_retired(c->services[i]))
			continue;
		b->len = 0;
		e = conf_engine(c, c->services[i]->engine);
		fields_add_str(b, F_NAME, c->services[i]->name);
		if (e != NULL)
			fields_add_str(b, F_ENGINE, e->name);
		fields_add_bool(b, F_IN_STEP, false);
		fields_add_str(b, F_WHY, "unknown: plan does not answer");
		part_add(p, STATUS_SERVICE, b->data, b->len);
	}
}

static void
part_stand_in(struct part *p)
{
	struct buf b = { 0 };

	part_clear(p);
	switch (sources[p->source].proc) {
	case PROC_SUP:
		stand_in_daemon(p, &b);
		break;
	case PROC_ENGINE:
		stand_in_engine(p, &b);
		break;
	case PROC_WATCH:
		stand_in_watch(p, &b);
		break;
	default:
		stand_in_plan(p, &b);
		break;
	}
	buf_free(&b);
}

/* Telling. */

static void
tell_items(const struct gather *g, struct request *r, uint32_t kinds)
{
	for (size_t i = 0; i < g->nparts; i++)
		for (const struct item *it = g->parts[i].items; it != NULL;
		     it = it->next)
			if (kinds & (1u << it->m.kind))
				rpc_answer(r->client->ch, r->id, MSG_CTL_ITEM,
				    F_MORE, &it->m, &it->fields, -1);
}

static void
tell_counter(void *arg, const struct buf *fields)
{
	struct request *r = arg;
	struct msg_status m = { .kind = STATUS_COUNTER };

	rpc_answer(r->client->ch, r->id, MSG_CTL_ITEM, F_MORE, &m, fields, -1);
}

/* What control itself knows of now. */
static void
tell_gauges(const struct gather *g, struct request *r)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_NAME, "clients");
	fields_add_u64(&b, F_COUNT, g->ct->nclients);
	tell_counter(r, &b);
	b.len = 0;
	fields_add_str(&b, F_NAME, "events");
	fields_add_u64(&b, F_COUNT, ring_next(g->ct->ring) - 1);
	tell_counter(r, &b);
	buf_free(&b);
}

/* WORKER in the last answer names who did not answer us. */
static void
end_make(const struct gather *g, struct request *r)
{
	uint32_t named = 0;
	enum proc who;

	r->tail.len = 0;
	for (size_t i = 0; i < g->nparts; i++) {
		who = sources[g->parts[i].source].proc;
		if (g->parts[i].failed && !(named & PROC_BIT(who)))
			fields_add_str(&r->tail, F_WORKER, proc_name(who));
		if (g->parts[i].failed)
			named |= PROC_BIT(who);
	}
	if (g->cut)
		fields_add_str(&r->tail, F_TEXT, "too much to show: cut");
}

static void
end_tell(struct request *r)
{
	struct msg_num m = { .n = EX_OK };

	rpc_answer(r->client->ch, r->id, MSG_CTL_OK, 0, &m, &r->tail, -1);
	request_free(r);
}

void
status_feed(struct request *r)
{
	struct control *ct = r->client->ct;

	while (channel_queued(r->client->ch) < STATUS_QUEUE)
		if (!metrics_tell(ct->metrics, r->counted++, tell_counter, r)) {
			end_tell(r);
			return;
		}
}

/* The counters are told as fast as they are read: there may be many. */
static void
tell_metrics(const struct gather *g, struct request *r)
{
	tell_gauges(g, r);
	r->round = 0; /* of no gathering any more */
	r->counting = true;
	status_feed(r);
}

static struct request *
gather_find(const struct gather *g, uint64_t round)
{
	for (struct client *c = g->ct->clients; c != NULL; c = c->next)
		for (struct request *r = c->requests; r != NULL; r = r->next)
			if ((r->type == MSG_CTL_STATUS ||
				r->type == MSG_CTL_METRICS) &&
			    r->round == round)
				return (r);
	return (NULL);
}

static void
gather_tell(void *arg)
{
	struct gather *g = arg;
	mono_t start = mono_now();
	struct request *r;

	for (size_t i = 0; i < g->nparts; i++)
		if (g->parts[i].failed && g->parts[i].items == NULL)
			part_stand_in(&g->parts[i]);
	while ((r = gather_find(g, g->round)) != NULL) {
		for (size_t i = 0; i < NRANKS; i++)
			tell_items(g, r, ranks[i]);
		end_make(g, r);
		if (r->type == MSG_CTL_METRICS)
			tell_metrics(g, r);
		else
			end_tell(r);
		if (mono_diff_ms(mono_now(), start) >= STATUS_SLICE_MS) {
			loop_timer_in_ms(g->ct->w->loop, &g->timer, 0,
			    gather_tell, g);
			return;
		}
	}
	g->state = IDLE;
	if (gather_find(g, g->round + 1) != NULL)
		gather_start(g);
}

void
status_ask(struct request *r)
{
	struct gather *g = r->client->ct->gather;

	r->round = g->round + 1;
	if (g->state == IDLE)
		gather_start(g);
}

struct gather *
gather_new(struct control *ct)
{
	struct gather *g = xcalloc(1, sizeof(*g));

	g->ct = ct;
	return (g);
}

void
gather_free(struct gather *g)
{
	if (g == NULL)
		return;
	loop_timer_cancel(&g->timer);
	gather_clear(g);
	free(g);
}
