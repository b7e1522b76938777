/*
 * See plan_fake.h.  Tests only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/unit/plan_fake.h"

#define NOT_ENDED 77

static mono_t bench_now;
char bench_hash[CONFIG_HASH_SIZE];

/* What plan sends. */

static void
got_fill(struct got *g, struct frame *f)
{
	buf_free(&g->tail);
	memset(g, 0, sizeof(*g));
	g->head = f->head;
	memcpy(g->fixed, frame_fixed(f), f->def->fixed);
	buf_add(&g->tail, f->tail.data, f->tail.len);
	g->fd = f->fd != -1;
}

static void
bench_on_cancel(struct bench *b, uint32_t id)
{
	if (b->taking && b->take.head.id == id)
		b->taking = false;
	for (size_t i = 0; i < b->n; i++)
		if (b->got[i].head.id == id)
			b->got[i].cancelled = true;
}

static void
bench_on_frame(void *arg, struct frame *f)
{
	struct bench *b = arg;
	const struct msg_event *e = frame_fixed(f);
	struct msg_take t;

	switch (f->head.type) {
	case MSG_TAKE:
		memcpy(&t, frame_fixed(f), sizeof(t));
		if (t.service != b->serving)
			break; /* the others are there to be asked */
		assert_false(b->taking);
		b->taking = true;
		got_fill(&b->take, f);
		break;
	case MSG_EVENT:
		b->events[e->kind]++;
		b->event[e->kind].len = 0;
		buf_add(&b->event[e->kind], f->tail.data, f->tail.len);
		break;
	case MSG_CANCEL:
		bench_on_cancel(b, f->head.id);
		break;
	default:
		assert_true(b->n < BENCH_FRAMES);
		got_fill(&b->got[b->n++], f);
	}
}

/* What worker.c does with a frame. */
static void
plan_on_frame(void *arg, struct frame *f)
{
	struct bench *b = arg;
	const struct worker_handler *h;

	if (f->def->kind == MSG_KIND_REP) {
		rpc_dispatch(b->w.rpc, f);
		return;
	}
	for (h = plan_ops.handlers; h->type != MSG_NONE; h++)
		if (h->type == f->head.type) {
			h->fn(&b->w, f);
			return;
		}
	fail_msg("%s is not handled", f->def->name);
}

static void
end_is_a_failure(void *arg, enum channel_end how, const char *why)
{
	fail_msg("channel ended: %s", why);
}

static void
bench_connect(struct bench *b)
{
	static const struct channel_ops sup_ops = { .frame = bench_on_frame,
		.end = end_is_a_failure };
	static const struct channel_ops plan_side = { .frame = plan_on_frame,
		.end = end_is_a_failure };
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
	    0);
	b->w.loop = loop_new();
	b->w.ch =
	    channel_new(b->w.loop, sv[0], PROC_PLAN, PROC_SUP, &plan_side, b);
	b->sup =
	    channel_new(b->w.loop, sv[1], PROC_SUP, PROC_PLAN, &sup_ops, b);
	b->w.rpc = rpc_new(b->w.ch);
	b->w.generation++;
	assert_int_equal(plan_ops.start(&b->w), 0);
	bench_settle(b);
}

static void
bench_disconnect(struct bench *b)
{
	/* what it still asks for when it goes is nobody's */
	plan_free(b->w.state);
	rpc_free(b->w.rpc);
	channel_free(b->w.ch);
	channel_free(b->sup);
	loop_free(b->w.loop);
	for (size_t i = 0; i < b->n; i++)
		buf_free(&b->got[i].tail);
	b->n = 0;
	b->taking = false;
}

struct bench *
bench_new(size_t nservices)
{
	static char web[] = "web", db[] = "db", dir[] = "/srv/web",
		    df[] = "Dockerfile", image[] = "web:latest", app[] = "app",
		    app2[] = "app2", name[] = "default", host[] = "unix:///e";
	struct bench *b = xcalloc(1, sizeof(*b));

	bench_now.ns = 1000000000000;
	mono_fake(&bench_now);
	for (size_t i = 0; i < 2; i++)
		b->services[i] =
		    (struct conf_service) { .service = (uint32_t)i + 1,
			    .tree = (uint32_t)i + 1,
			    .name = i == 0 ? web : db,
			    .dir = dir,
			    .dockerfile = df,
			    .image = image,
			    .container = i == 0 ? app : app2 };
	plan_config_hash(&b->services[0], bench_hash);
	b->engine = (struct conf_engine) { .name = name, .host = host };
	b->w.ops = &plan_ops;
	for (size_t i = 0; i < BENCH_SERVICES; i++)
		b->service_list[i] = &b->services[i];
	b->engine_list[0] = &b->engine;
	b->w.conf.services = b->service_list;
	b->w.conf.nservices = nservices;
	b->w.conf.engines = b->engine_list;
	b->w.conf.nengines = 1;
	b->watch_gen = b->serving = 1;
	bench_connect(b);
	return (b);
}

void
bench_restart(struct bench *b)
{
	bench_disconnect(b);
	bench_connect(b);
	b->batch = 0;
}

void
bench_free(struct bench *b)
{
	bench_disconnect(b);
	buf_free(&b->take.tail);
	for (size_t i = 0; i < EVENT_MAX; i++)
		buf_free(&b->event[i]);
	free(b);
	mono_fake(NULL);
}

struct service *
bench_service(struct bench *b)
{
	return (((struct plan *)b->w.state)->services[0]);
}

void
bench_settle(struct bench *b)
{
	for (int i = 0; i < 12; i++)
		assert_int_equal(loop_once(b->w.loop, 0), 0);
}

void
bench_ms(struct bench *b, int64_t ms)
{
	bench_settle(b);
	bench_now = mono_add_ms(bench_now, ms);
	bench_settle(b);
}

/* Looking at what has come. */

/* A barrier is asked for beside everything else. */
static struct got *
bench_next(struct bench *b, bool sync)
{
	bench_settle(b);
	for (size_t i = 0; i < b->n; i++)
		if (!b->got[i].done &&
		    (b->got[i].head.type == MSG_WATCH_SYNC) == sync &&
		    msg_def(b->got[i].head.type)->kind == MSG_KIND_REQ)
			return (&b->got[i]);
	return (NULL);
}

struct got *
bench_expect(struct bench *b, enum msg_type type)
{
	struct got *g = bench_next(b, type == MSG_WATCH_SYNC);

	if (g == NULL)
		fail_msg("%s does not come", msg_def(type)->name);
	if (g->head.type != type)
		fail_msg("%s comes, not %s", msg_def(g->head.type)->name,
		    msg_def(type)->name);
	g->done = true;
	return (g);
}

struct got *
bench_expect_eng(struct bench *b, enum msg_type type, enum eng_op op)
{
	struct got *g = bench_expect(b, type);
	struct msg_eng m;

	memcpy(&m, g->fixed, sizeof(m));
	assert_int_equal(m.op, op);
	return (g);
}

void
bench_quiet(struct bench *b)
{
	struct got *g = bench_next(b, false);

	if (g == NULL)
		g = bench_next(b, true);
	if (g != NULL)
		fail_msg("%s comes", msg_def(g->head.type)->name);
}

static struct got *
bench_find_answer(struct bench *b, uint32_t id)
{
	bench_settle(b);
	for (size_t i = 0; i < b->n; i++)
		if (b->got[i].head.id == id &&
		    (b->got[i].head.type == MSG_OK ||
			b->got[i].head.type == MSG_ERR))
			return (&b->got[i]);
	return (NULL);
}

bool
bench_is_answered(struct bench *b, uint32_t id)
{
	return (bench_find_answer(b, id) != NULL);
}

int
bench_answered(struct bench *b, uint32_t id, char *text, size_t size)
{
	struct got *g = bench_find_answer(b, id);
	struct msg_num m;
	struct fields t;
	char *s;

	assert_non_null(g);
	assert_int_equal(g->head.type, MSG_OK);
	memcpy(&m, g->fixed, sizeof(m));
	t = (struct fields) { g->tail.data, g->tail.len };
	s = fields_dup(&t, F_TEXT);
	if (text != NULL)
		strlcpy(text, s != NULL ? s : "", size);
	free(s);
	return ((int)m.n);
}

bool
got_has(const struct got *g, enum field_key key, const char *value)
{
	struct fields t = { g->tail.data, g->tail.len };
	struct field f;
	size_t off = 0;

	while (field_next(&t, &off, &f) == 1)
		if (f.key == key && f.len == strlen(value) &&
		    memcmp(f.str, value, f.len) == 0)
			return (true);
	return (false);
}

/* Sending. */

static void
bench_send(struct bench *b, enum proc source, enum msg_type type,
    uint16_t flags, uint32_t id, const void *fixed, const struct buf *tail,
    int fd)
{
	struct frame_head h = { .type = (uint16_t)type,
		.flags = flags,
		.source = (uint8_t)source,
		.id = id,
		.generation = source == PROC_WATCH ? b->watch_gen : 1 };
	struct buf p = { 0 };

	if (fixed != NULL)
		buf_add(&p, fixed, msg_def(type)->fixed);
	if (tail != NULL)
		buf_add(&p, tail->data, tail->len);
	assert_int_equal(channel_forward(b->sup, &h, p.data, p.len, fd), 0);
	buf_free(&p);
}

void
bench_reply(struct bench *b, enum proc source, const struct got *g,
    enum msg_type type, uint16_t flags, const void *fixed,
    const struct buf *tail, int fd)
{
	bench_send(b, source, type, flags, g->head.id, fixed, tail, fd);
	bench_settle(b);
}

void
bench_note(struct bench *b, enum proc source, enum msg_type type, uint32_t id,
    const void *fixed, const struct buf *tail)
{
	bench_send(b, source, type, 0, id, fixed, tail, -1);
	bench_settle(b);
}

void
bench_err(struct bench *b, const struct got *g, enum err_code code)
{
	struct msg_err m = { .code = code };

	bench_reply(b, PROC_SUP, g, MSG_ERR, 0, &m, NULL, -1);
}

void
bench_lost(struct bench *b, const struct got *g)
{
	bench_err(b, g, ERR_WORKER_LOST);
}

/* Control and the supervisor. */

uint32_t
control_do(struct bench *b, enum do_verb verb, const char *service)
{
	static uint32_t id = 9000; /* apart from the ids that plan makes */
	struct msg_do m = { .verb = verb };
	struct buf t = { 0 };

	if (service != NULL)
		fields_add_str(&t, F_SERVICE, service);
	bench_note(b, PROC_CONTROL, MSG_DO, ++id, &m, &t);
	buf_free(&t);
	return (id);
}

struct conf_service *
bench_add(struct bench *b, uint32_t id)
{
	struct conf *c = &b->w.conf;
	struct conf_service *s = &b->services[id - 1];

	assert_true(id > c->nservices && id <= BENCH_SERVICES);
	*s = b->services[0];
	s->service = id;
	s->flags = 0;
	c->services[c->nservices++] = s;
	return (s);
}

void
bench_retire(struct bench *b, uint32_t id)
{
	b->services[id - 1].flags |= SERVICE_RETIRED;
}

void
bench_drop(struct bench *b, uint32_t id)
{
	struct conf *c = &b->w.conf;
	size_t n = 0;

	for (size_t i = 0; i < c->nservices; i++)
		if (c->services[i]->service != id)
			c->services[n++] = c->services[i];
	c->nservices = n;
}

void
bench_reconf(struct bench *b)
{
	plan_ops.reconf(&b->w);
	bench_settle(b);
}

unsigned
bench_gone(struct bench *b, uint32_t id)
{
	unsigned n = 0;
	struct msg_num m;

	bench_settle(b);
	for (size_t i = 0; i < b->n; i++) {
		memcpy(&m, b->got[i].fixed, sizeof(m));
		n += b->got[i].head.type == MSG_SERVICE_GONE && m.n == id;
	}
	return (n);
}

void
bench_stop(struct bench *b)
{
	b->w.stopping = true;
	plan_ops.stop(&b->w);
	bench_settle(b);
}

static void
bench_on_limit(void *arg)
{
	struct bench *b = arg;

	loop_stop(b->w.loop, NOT_ENDED);
}

bool
bench_ended(struct bench *b)
{
	struct loop_timer t = { 0 };
	int code;

	bench_settle(b);
	loop_timer_in_ms(b->w.loop, &t, 0, bench_on_limit, b);
	code = loop_run(b->w.loop);
	loop_timer_cancel(&t);
	return (code == 0);
}
