/*
 * See control_fake.h.  Tests only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "tests/unit/control_fake.h"

/* The supervisor's end. */

static void
sup_send(struct desk *d, enum proc source, enum msg_type type, uint16_t flags,
    uint32_t id, const void *fixed, const struct buf *tail)
{
	struct frame_head h = { .type = (uint16_t)type,
		.flags = flags,
		.source = (uint8_t)source,
		.id = id };
	struct buf b = { 0 };

	buf_add(&b, fixed, msg_def(type)->fixed);
	if (tail != NULL)
		buf_add(&b, tail->data, tail->len);
	assert_int_equal(channel_forward(d->sup, &h, b.data, b.len, -1), 0);
	buf_free(&b);
}

static void
sup_item(struct desk *d, enum proc source, uint32_t id, uint32_t kind)
{
	struct msg_status m = { .kind = kind };
	struct buf b = { 0 };

	fields_add_str(&b, F_NAME, kind == STATUS_WORKER ? "plan" : "x");
	fields_add_u64(&b, F_PID, d->down ? 0 : 99);
	sup_send(d, source, MSG_STATUS_ITEM, F_MORE, id, &m, &b);
	buf_free(&b);
}

static void
sup_on_status(struct desk *d, struct frame *f, enum proc who,
    const uint32_t *kinds)
{
	struct msg_num ok = { 0 };

	if (d->silent[who])
		return;
	for (; *kinds != 0; kinds++)
		sup_item(d, who, f->head.id, *kinds);
	sup_send(d, who, MSG_OK, 0, f->head.id, &ok, NULL);
}

static void
sup_on_do(struct desk *d, struct frame *f)
{
	struct msg_err lost = { .code = ERR_WORKER_LOST };
	struct msg_num ok = { .n = 69 };

	d->orders++;
	d->last = *(const struct msg_do *)frame_fixed(f);
	if (d->hold)
		return;
	if (d->lost > 0) {
		d->lost--;
		sup_send(d, PROC_SUP, MSG_ERR, 0, f->head.id, &lost, NULL);
	} else
		sup_send(d, PROC_PLAN, MSG_OK, 0, f->head.id, &ok, NULL);
}

static void
sup_on_reload(struct desk *d, struct frame *f)
{
	struct msg_err busy = { .code = ERR_BUSY };
	struct msg_num m = { .n = 65 };
	struct buf b = { 0 };

	d->reloads++;
	if (d->reloading) {
		fields_add_str(&b, F_ERROR, "a reload is under way");
		sup_send(d, PROC_SUP, MSG_ERR, 0, f->head.id, &busy, &b);
	} else {
		fields_add_str(&b, F_TEXT, "wharfd.yaml:3:1: what is this");
		fields_add_str(&b, F_TEXT, "wharfd.yaml:9:1: and that");
		sup_send(d, PROC_SUP, MSG_OK, 0, f->head.id, &m, &b);
	}
	buf_free(&b);
}

/* The supervisor asks the engine's own process, by its number. */
static void
sup_on_engine(struct desk *d, struct frame *f, const uint32_t *kinds)
{
	const struct msg_num *m = frame_fixed(f);

	d->engines_asked |= 1u << m->n;
	if (m->n != d->silent_engine)
		sup_on_status(d, f, PROC_ENGINE, kinds);
}

static void
sup_on_frame(void *arg, struct frame *f)
{
	static const uint32_t sup[] = { STATUS_DAEMON, STATUS_WORKER, 0 };
	static const uint32_t watch[] = { STATUS_TREE, STATUS_WORKER, 0 };
	static const uint32_t engine[] = { STATUS_ENGINE, 0 };
	static const uint32_t plan[] = { STATUS_BUILD, STATUS_SERVICE,
		STATUS_CONTAINER, STATUS_LAST, 0 };
	struct msg_num ok = { 0 };
	struct desk *d = arg;

	switch (f->head.type) {
	case MSG_STATUS_SUP:
		sup_on_status(d, f, PROC_SUP, sup);
		break;
	case MSG_STATUS_WATCH:
		sup_on_status(d, f, PROC_WATCH, watch);
		break;
	case MSG_STATUS_ENGINE:
		sup_on_engine(d, f, engine);
		break;
	case MSG_STATUS_PLAN:
		sup_on_status(d, f, PROC_PLAN, plan);
		break;
	case MSG_DO:
		sup_on_do(d, f);
		break;
	case MSG_CANCEL:
		d->cancels++;
		break;
	case MSG_RELOAD:
		sup_on_reload(d, f);
		break;
	case MSG_DAEMON_STOP:
		d->stops++;
		sup_send(d, PROC_SUP, MSG_OK, 0, f->head.id, &ok, NULL);
		break;
	}
}

static void
end_is_a_failure(void *arg, enum channel_end how, const char *why)
{
	fail_msg("channel ended: %s", why);
}

static void
desk_on_frame(void *arg, struct frame *f)
{
	struct desk *d = arg;

	if (f->def->kind == MSG_KIND_REP)
		rpc_dispatch(d->w.rpc, f);
	else if (f->head.type == MSG_EVENT)
		control_on_event(&d->w, f);
}

static void
desk_listen(struct desk *d)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* an address of the kernel's choosing, without a file */
	d->addr.sun_family = AF_UNIX;
	assert_int_equal(bind(fd, (struct sockaddr *)&d->addr,
			     sizeof(sa_family_t)),
	    0);
	d->addr_len = sizeof(d->addr);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&d->addr,
			     &d->addr_len),
	    0);
	assert_int_equal(listen(fd, 128), 0);
	d->w.conf.listener = fd;
}

static void
desk_configure(struct desk *d)
{
	struct conf *c = &d->w.conf;
	char web[] = "web", name[] = "default", host[] = "unix:///e";

	c->run = xstrdup("run-1");
	d->service.name = xstrdup(web);
	d->engine.name = xstrdup(name);
	d->engine.host = xstrdup(host);
	d->root.path = xstrdup("/srv");
	d->silent_engine = UINT32_MAX;
	d->mem = (struct conf_mem) { .kind = MEM_COUNTER,
		.size = sizeof(d->counter),
		.map = &d->counter };
	d->services[0] = &d->service;
	c->services = d->services;
	c->nservices = 1;
	d->engines[0] = &d->engine;
	c->engines = d->engines;
	c->nengines = 1;
	d->roots[0] = &d->root;
	c->roots = d->roots;
	c->nroots = 1;
	d->mems[0] = &d->mem;
	c->mems = d->mems;
	c->nmems = 1;
}

int
desk_up(void **state)
{
	static const struct channel_ops sup_ops = { .frame = sup_on_frame,
		.end = end_is_a_failure };
	static const struct channel_ops desk_ops = { .frame = desk_on_frame,
		.end = end_is_a_failure };
	struct desk *d = xcalloc(1, sizeof(*d));
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
	    0);
	d->w.loop = loop_new();
	d->w.ch =
	    channel_new(d->w.loop, sv[0], PROC_CONTROL, PROC_SUP, &desk_ops, d);
	d->sup =
	    channel_new(d->w.loop, sv[1], PROC_SUP, PROC_CONTROL, &sup_ops, d);
	d->w.rpc = rpc_new(d->w.ch);
	desk_configure(d);
	desk_listen(d);
	assert_int_equal(control_setup(&d->w), 0);
	assert_non_null(d->w.state = control_new(&d->w));
	*state = d;
	return (0);
}

int
desk_down(void **state)
{
	struct desk *d = *state;

	control_free(d->w.state);
	rpc_free(d->w.rpc);
	channel_free(d->w.ch);
	channel_free(d->sup);
	close(d->w.conf.listener);
	loop_free(d->w.loop);
	free(d->w.conf.run);
	free(d->service.name);
	free(d->engine.name);
	free(d->engine.host);
	free(d->root.path);
	free(d);
	return (0);
}

/* Clients. */

int
desk_connect(struct desk *d, uid_t uid)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    r;

	if (uid != 0)
		assert_int_equal(seteuid(uid), 0);
	r = connect(fd, (struct sockaddr *)&d->addr, d->addr_len);
	if (uid != 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, 0);
	return (fd);
}

static void
peer_on_event(struct peer *p, struct frame *f)
{
	const struct msg_ctl_event *m = frame_fixed(f);

	if (p->nevents > 0 && m->seq <= p->seq)
		p->order_broken = true;
	p->seq = m->seq;
	p->nevents++;
	if (m->kind == EVENT_MONITOR_LOST) {
		p->lost_from = fields_u64(&f->tail, F_FROM, 0);
		p->lost_to = fields_u64(&f->tail, F_TO, 0);
		p->nlost += p->lost_to - p->lost_from + 1;
	}
}

void
peer_on_answer(void *arg, struct frame *f)
{
	struct peer *p = arg;
	const struct msg_status *m = frame_fixed(f);

	if (f->head.type == MSG_CTL_EVENT)
		peer_on_event(p, f);
	if (f->head.type == MSG_CTL_ITEM && p->nkinds < 64) {
		p->kinds[p->nkinds++] = m->kind;
		p->engines += m->kind == STATUS_ENGINE;
		if (m->kind == STATUS_SERVICE &&
		    fields_count(&f->tail, F_WHY) > 0)
			p->unknown = true;
	}
	if (f->head.flags & F_MORE)
		return;
	p->answers++;
	p->err = rpc_err(f);
	if (f->head.type == MSG_CTL_OK) {
		p->code = ((const struct msg_num *)frame_fixed(f))->n;
		p->missing = (unsigned)fields_count(&f->tail, F_WORKER);
		p->texts = (unsigned)fields_count(&f->tail, F_TEXT);
	}
}

static void
peer_on_frame(void *arg, struct frame *f)
{
	struct peer *p = arg;

	if (!rpc_dispatch(p->rpc, f))
		p->refused = rpc_err(f);
}

static void
peer_on_end(void *arg, enum channel_end how, const char *why)
{
	struct peer *p = arg;

	p->ended = true;
}

struct peer *
peer_new(struct desk *d, uid_t uid)
{
	static const struct channel_ops ops = { .frame = peer_on_frame,
		.end = peer_on_end };
	struct peer *p = xcalloc(1, sizeof(*p));

	p->d = d;
	p->ch = channel_new(d->w.loop, desk_connect(d, uid), PROC_CLIENT,
	    PROC_CONTROL, &ops, p);
	p->rpc = rpc_new(p->ch);
	return (p);
}

void
peer_free(struct peer *p)
{
	rpc_free(p->rpc);
	channel_free(p->ch);
	free(p);
}

void
peer_ask(struct peer *p, enum msg_type type, const void *fixed)
{
	assert_int_not_equal(rpc_ask(p->rpc, type, 0, fixed, NULL, -1,
				 peer_on_answer, p),
	    0);
}

void
peer_do(struct peer *p, enum do_verb verb, uint64_t timeout_ms)
{
	struct msg_do m = { .verb = verb, .timeout_ms = timeout_ms };

	peer_ask(p, MSG_CTL_DO, &m);
}

void
peer_do_one(struct peer *p, const char *service)
{
	struct msg_do m = { .verb = DO_SYNC };
	struct buf b = { 0 };

	fields_add_str(&b, F_SERVICE, service);
	assert_int_not_equal(rpc_ask(p->rpc, MSG_CTL_DO, 0, &m, &b, -1,
				 peer_on_answer, p),
	    0);
	buf_free(&b);
}

/* Run the loop for so long. */
void
desk_run_ms(struct desk *d, int64_t ms)
{
	mono_t end = mono_add_ms(mono_now(), ms);

	do
		assert_int_equal(loop_once(d->w.loop, 1), 0);
	while (mono_now().ns < end.ns);
}

/* Run the loop until the peer has so many answers, 5 s at most. */
void
peer_run(struct peer *p, unsigned n)
{
	mono_t end = mono_add_ms(mono_now(), 5000);

	while (p->answers < n && !p->ended && mono_now().ns < end.ns)
		assert_int_equal(loop_once(p->d->w.loop, 10), 0);
	assert_int_equal(p->answers, n);
}

void
desk_event(struct desk *d, size_t text_len)
{
	struct msg_event m = { .kind = EVENT_PUSH_OUTPUT };
	struct buf b = { 0 };
	char *text = xcalloc(1, text_len + 1);

	memset(text, 'x', text_len);
	fields_add_str(&b, F_OUTPUT, text);
	sup_send(d, PROC_PUSH, MSG_EVENT, 0, 0, &m, &b);
	buf_free(&b);
	free(text);
}

size_t
desk_clients(const struct desk *d)
{
	return (((const struct control *)d->w.state)->nclients);
}
