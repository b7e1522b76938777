/*
 * The front desk with a supervisor and clients that are made up here, all on
 * one loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "workers/control/control.h"

#define OTHER_UID 65534

struct desk {
	struct worker w;
	struct channel *sup; /* the far end of the desk's channel */
	struct sockaddr_un addr;
	socklen_t addr_len;
	struct conf_service service;
	struct conf_engine engine;
	struct conf_root root;
	struct conf_mem mem;
	uint64_t counter;
	bool silent[PROC_MAX]; /* does not answer STATUS */
	unsigned lost;	 /* orders that are answered WORKER_LOST */
	bool hold;	 /* orders are not answered at all */
	unsigned orders; /* that came */
	unsigned cancels;
	unsigned stops;
	struct msg_do last;
};

struct peer {
	struct desk *d;
	struct channel *ch;
	struct rpc *rpc;
	bool ended;
	unsigned answers; /* last ones */
	unsigned err;	  /* code of the last error */
	unsigned refused; /* code of an error under id 0 */
	uint64_t code;	  /* of the last CTL_OK */
	unsigned missing; /* WORKER fields in it */
	uint32_t kinds[64];
	size_t nkinds;
	bool unknown;	/* a service was shown as not in step */
	uint64_t seq;	/* of the last event */
	uint64_t nevents, lost_from, lost_to, nlost;
	bool order_broken;
};

/* The supervisor's end. */

static void
sup_send(struct desk *d, enum proc source, enum msg_type type, uint16_t flags,
    uint32_t id, const void *fixed, const struct buf *tail)
{
	struct frame_head h = { .type = (uint16_t)type, .flags = flags,
		.source = (uint8_t)source, .id = id };
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

	fields_add_str(&b, F_NAME, "x");
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
		sup_on_status(d, f, PROC_ENGINE, engine);
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
	    sizeof(sa_family_t)), 0);
	d->addr_len = sizeof(d->addr);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&d->addr,
	    &d->addr_len), 0);
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
	d->mem = (struct conf_mem) { .kind = MEM_COUNTER,
		.size = sizeof(d->counter), .map = &d->counter };
	c->services = &d->service;
	c->nservices = 1;
	c->engines = &d->engine;
	c->nengines = 1;
	c->roots = &d->root;
	c->nroots = 1;
	c->mems = &d->mem;
	c->nmems = 1;
}

static int
desk_up(void **state)
{
	static const struct channel_ops sup_ops = { .frame = sup_on_frame,
		.end = end_is_a_failure };
	static const struct channel_ops desk_ops = { .frame = desk_on_frame,
		.end = end_is_a_failure };
	struct desk *d = xcalloc(1, sizeof(*d));
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    sv), 0);
	d->w.loop = loop_new();
	d->w.ch = channel_new(d->w.loop, sv[0], PROC_CONTROL, PROC_SUP,
	    &desk_ops, d);
	d->sup = channel_new(d->w.loop, sv[1], PROC_SUP, PROC_CONTROL,
	    &sup_ops, d);
	d->w.rpc = rpc_new(d->w.ch);
	desk_configure(d);
	desk_listen(d);
	assert_int_equal(control_setup(&d->w), 0);
	assert_non_null(d->w.state = control_new(&d->w));
	*state = d;
	return (0);
}

static int
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

static int
connect_as(struct desk *d, uid_t uid)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0), r;

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

static void
peer_on_answer(void *arg, struct frame *f)
{
	struct peer *p = arg;
	const struct msg_status *m = frame_fixed(f);

	if (f->head.type == MSG_CTL_EVENT)
		peer_on_event(p, f);
	if (f->head.type == MSG_CTL_ITEM && p->nkinds < 64) {
		p->kinds[p->nkinds++] = m->kind;
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

static struct peer *
peer_new(struct desk *d, uid_t uid)
{
	static const struct channel_ops ops = { .frame = peer_on_frame,
		.end = peer_on_end };
	struct peer *p = xcalloc(1, sizeof(*p));

	p->d = d;
	p->ch = channel_new(d->w.loop, connect_as(d, uid), PROC_CLIENT,
	    PROC_CONTROL, &ops, p);
	p->rpc = rpc_new(p->ch);
	return (p);
}

static void
peer_free(struct peer *p)
{
	rpc_free(p->rpc);
	channel_free(p->ch);
	free(p);
}

static void
peer_ask(struct peer *p, enum msg_type type, const void *fixed)
{
	assert_int_not_equal(rpc_ask(p->rpc, type, 0, fixed, NULL, -1,
	    peer_on_answer, p), 0);
}

static void
peer_do(struct peer *p, enum do_verb verb, uint64_t timeout_ms)
{
	struct msg_do m = { .verb = verb, .timeout_ms = timeout_ms };

	peer_ask(p, MSG_CTL_DO, &m);
}

/* Run the loop for so long. */
static void
run_ms(struct desk *d, int64_t ms)
{
	mono_t end = mono_add_ms(mono_now(), ms);

	do
		assert_int_equal(loop_once(d->w.loop, 1), 0);
	while (mono_now().ns < end.ns);
}

/* Run the loop until the peer has so many answers, 5 s at most. */
static void
run_answers(struct peer *p, unsigned n)
{
	mono_t end = mono_add_ms(mono_now(), 5000);

	while (p->answers < n && !p->ended && mono_now().ns < end.ns)
		assert_int_equal(loop_once(p->d->w.loop, 10), 0);
	assert_int_equal(p->answers, n);
}

static void
event(struct desk *d, size_t text_len)
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

static size_t
clients(const struct desk *d)
{
	return (((const struct control *)d->w.state)->nclients);
}

/* Tests. */

static void
status_comes_whole_and_in_order(void **state)
{
	static const uint32_t want[] = { STATUS_DAEMON, STATUS_WORKER,
		STATUS_ENGINE, STATUS_TREE, STATUS_SERVICE, STATUS_CONTAINER,
		STATUS_LAST, STATUS_BUILD };
	struct desk *d = *state;
	struct peer *p[10];

	for (int i = 0; i < 10; i++) {
		p[i] = peer_new(d, 0);
		peer_ask(p[i], MSG_CTL_STATUS, NULL);
	}
	for (int i = 0; i < 10; i++) {
		run_answers(p[i], 1);
		assert_int_equal(p[i]->err, 0);
		assert_int_equal(p[i]->missing, 0);
		/* watch's tale about a worker is not among them */
		assert_int_equal(p[i]->nkinds, 8);
		assert_memory_equal(p[i]->kinds, want, sizeof(want));
		peer_free(p[i]);
	}
}

static void
silence_is_shown_as_unknown(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);
	mono_t start = mono_now();

	d->silent[PROC_PLAN] = true;
	peer_ask(p, MSG_CTL_STATUS, NULL);
	run_answers(p, 1);
	assert_in_range(mono_diff_ms(mono_now(), start), 900, 2500);
	assert_int_equal(p->missing, 1);
	assert_true(p->unknown);
	assert_int_equal(p->nkinds, 5);
	peer_free(p);
}

static void
orders_need_the_right_user(void **state)
{
	struct desk *d = *state;
	struct peer *p;

	if (geteuid() != 0)
		skip();
	d->w.owner = 4711;
	p = peer_new(d, OTHER_UID);
	peer_do(p, DO_PUSH, 0);
	run_answers(p, 1);
	assert_int_equal(p->err, ERR_REFUSED);
	peer_ask(p, MSG_CTL_STOP, NULL);
	run_answers(p, 2);
	assert_int_equal(p->err, ERR_REFUSED);
	assert_int_equal(d->orders, 0);
	assert_int_equal(d->stops, 0);
	peer_do(p, DO_SYNC, 0);
	run_answers(p, 3);
	assert_int_equal(p->code, 69);
	peer_ask(p, MSG_CTL_STATUS, NULL);
	run_answers(p, 4);
	assert_int_equal(p->err, 0);
	peer_free(p);
	p = peer_new(d, 4711);
	peer_do(p, DO_PUSH, 0);
	peer_ask(p, MSG_CTL_STOP, NULL);
	run_answers(p, 2);
	assert_int_equal(p->err, 0);
	assert_int_equal(d->orders, 2);
	assert_int_equal(d->stops, 1);
	peer_free(p);
}

static void
a_lost_plan_is_asked_again_for_sync_only(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);

	d->lost = 2;
	peer_do(p, DO_SYNC, 4000);
	run_answers(p, 1);
	assert_int_equal(d->orders, 3);
	assert_int_equal(p->code, 69);
	assert_in_range(d->last.timeout_ms, 1, 3999);
	d->lost = 1;
	peer_do(p, DO_REBUILD, 0);
	run_answers(p, 2);
	assert_int_equal(d->orders, 4);
	assert_int_equal(p->code, 75);
	peer_free(p);
}

static void
the_deadline_is_kept_and_leaving_cancels(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);

	d->hold = true;
	peer_do(p, DO_SYNC, 100);
	run_answers(p, 1);
	assert_int_equal(p->code, 75);
	run_ms(d, 20);
	assert_int_equal(d->cancels, 1);
	peer_do(p, DO_SYNC, 0);
	run_ms(d, 50);
	assert_int_equal(d->orders, 2);
	peer_free(p);
	run_ms(d, 50);
	assert_int_equal(d->cancels, 2);
	assert_int_equal(clients(d), 0);
}

static void
caps_answer_busy(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);

	d->hold = true;
	for (int i = 0; i < 5; i++)
		peer_do(p, DO_SYNC, 0);
	run_answers(p, 1);
	assert_int_equal(p->err, ERR_BUSY);
	assert_int_equal(d->orders, 4);
	assert_false(p->ended);
	peer_free(p);
}

static void
unknown_service_and_verb(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);
	struct msg_do m = { .verb = DO_SYNC };
	struct buf b = { 0 };

	fields_add_str(&b, F_SERVICE, "nope");
	rpc_ask(p->rpc, MSG_CTL_DO, 0, &m, &b, -1, peer_on_answer, p);
	run_answers(p, 1);
	assert_int_equal(p->err, ERR_NOT_FOUND);
	b.len = 0;
	fields_add_str(&b, F_SERVICE, "web");
	rpc_ask(p->rpc, MSG_CTL_DO, 0, &m, &b, -1, peer_on_answer, p);
	run_answers(p, 2);
	assert_int_equal(p->code, 69);
	peer_do(p, 77, 0);
	run_answers(p, 3);
	assert_int_equal(p->err, ERR_INVALID);
	assert_int_equal(d->orders, 1);
	buf_free(&b);
	peer_free(p);
}

static void
events_are_numbered_and_replayed(void **state)
{
	struct msg_monitor since = { .since = 4, .flags = MONITOR_SINCE };
	struct desk *d = *state;
	struct peer *live = peer_new(d, 0), *late;

	peer_ask(live, MSG_CTL_MONITOR, &(struct msg_monitor) { 0 });
	run_ms(d, 30);
	for (int i = 0; i < 10; i++)
		event(d, 10);
	run_ms(d, 50);
	assert_int_equal(live->nevents, 10);
	assert_int_equal(live->seq, 10);
	assert_int_equal(d->counter, 11);
	late = peer_new(d, 0);
	peer_ask(late, MSG_CTL_MONITOR, &since);
	run_ms(d, 30);
	assert_int_equal(late->nevents, 7);
	assert_int_equal(late->seq, 10);
	assert_false(live->order_broken || late->order_broken);
	peer_free(live);
	peer_free(late);
}

static void
a_restarted_desk_goes_on_and_names_the_gap(void **state)
{
	struct msg_monitor since = { .since = 3, .flags = MONITOR_SINCE };
	struct desk *d = *state;
	struct peer *p;

	for (int i = 0; i < 10; i++)
		event(d, 10);
	run_ms(d, 30);
	control_free(d->w.state);
	assert_non_null(d->w.state = control_new(&d->w));
	event(d, 10);
	run_ms(d, 20);
	p = peer_new(d, 0);
	peer_ask(p, MSG_CTL_MONITOR, &since);
	run_ms(d, 30);
	assert_int_equal(p->nevents, 2);
	assert_int_equal(p->lost_from, 3);
	assert_int_equal(p->lost_to, 10);
	assert_int_equal(p->seq, 11);
	assert_false(p->order_broken);
	peer_free(p);
}

/* It gets a gap, the desk no more memory than the ring and its queue. */
static void
a_monitor_that_does_not_read_loses_events(void **state)
{
	const unsigned n = 3000;
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);
	struct control *ct = d->w.state;
	mono_t end;

	peer_ask(p, MSG_CTL_MONITOR, &(struct msg_monitor) { 0 });
	run_ms(d, 30);
	channel_pause(p->ch, true);
	for (unsigned i = 0; i < n; i++) {
		event(d, 4000);
		run_ms(d, 0);
		assert_true(channel_queued(ct->clients->ch) < 300 * 1024);
	}
	run_ms(d, 50);
	assert_int_equal(ring_next(ct->ring), n + 1);
	assert_int_equal(clients(d), 1);
	channel_pause(p->ch, false);
	end = mono_add_ms(mono_now(), 5000);
	while (p->seq != n && mono_now().ns < end.ns)
		run_ms(d, 5);
	assert_int_equal(p->seq, n);
	assert_true(p->nlost > 100);
	assert_false(p->order_broken);
	/* all were either seen or named as lost */
	assert_int_equal(p->nevents - 1 + p->nlost, n);
	peer_free(p);
}

static void
garbage_ends_the_client_only(void **state)
{
	static const uint8_t noise[512] = { 0xff, 0xff, 0xff, 0x7f };
	struct frame_head own = { .length = sizeof(own),
		.type = MSG_STATUS_PLAN, .id = 1 };
	struct frame_head posed = { .length = sizeof(posed),
		.type = MSG_CTL_STATUS, .id = 1, .source = PROC_SUP };
	struct frame_head zero = { .length = sizeof(zero),
		.type = MSG_CTL_STATUS };
	struct { const void *p; size_t n; } bad[] = { { noise, sizeof(noise) },
		{ &own, sizeof(own) }, { &posed, sizeof(posed) },
		{ &zero, sizeof(zero) } };
	struct desk *d = *state;
	struct peer *good = peer_new(d, 0);
	ssize_t n;
	char c;
	int fd;

	peer_ask(good, MSG_CTL_MONITOR, &(struct msg_monitor) { 0 });
	run_ms(d, 20);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = connect_as(d, 0);
		assert_int_equal(write(fd, bad[i].p, bad[i].n), bad[i].n);
		run_ms(d, 30);
		n = read(fd, &c, 1);
		assert_true(n == 0 || (n == -1 && errno == ECONNRESET));
		close(fd);
		run_ms(d, 10);
		assert_int_equal(clients(d), 1);
	}
	event(d, 1);
	run_ms(d, 20);
	assert_int_equal(good->nevents, 1);
	peer_free(good);
}

static void
an_fd_from_a_client_ends_it(void **state)
{
	struct frame_head h = { .length = sizeof(h) | FRAME_FD,
		.type = MSG_CTL_STATUS, .id = 1 };
	struct iovec iov = { &h, sizeof(h) };
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = ctl.bytes, .msg_controllen = sizeof(ctl) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
	struct desk *d = *state;
	int fd = connect_as(d, 0);

	run_ms(d, 20);
	assert_int_equal(clients(d), 1);
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	/* refused by the kernel where it can, else by the check */
	if (sendmsg(fd, &m, MSG_NOSIGNAL) == -1) {
		assert_int_equal(errno, EPERM);
		assert_int_equal(write(fd, &h, sizeof(h)), sizeof(h));
	}
	run_ms(d, 30);
	assert_int_equal(clients(d), 0);
	close(fd);
}

static void
more_files(void)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
	if (r.rlim_cur < 2048 && r.rlim_max >= 2048) {
		r.rlim_cur = 2048;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
	}
}

static void
slow_connections_do_not_disturb(void **state)
{
	static int fds[500];
	struct desk *d = *state;
	struct peer *p;
	mono_t start;

	more_files();
	for (size_t i = 0; i < 500; i++) {
		fds[i] = connect_as(d, i % 2 == 0 || geteuid() != 0 ? 0 :
			OTHER_UID);
		assert_int_equal(send(fds[i], "x", 1, MSG_NOSIGNAL), 1);
		run_ms(d, 0);
	}
	assert_true(clients(d) <= CLIENTS_PER_ADMIN + CLIENTS_PER_UID);
	assert_true(clients(d) > 100);
	for (int i = 0; i < 20; i++) {
		p = peer_new(d, 0);
		start = mono_now();
		peer_ask(p, MSG_CTL_STATUS, NULL);
		run_answers(p, 1);
		assert_int_equal(p->err, 0);
		assert_true(mono_diff_ms(mono_now(), start) < 200);
		peer_free(p);
	}
	run_ms(d, CLIENT_HELLO_MS + 2 * CLIENT_SWEEP_MS);
	assert_int_equal(clients(d), 0);
	for (size_t i = 0; i < 500; i++)
		close(fds[i]);
}

/* After a good request, too, half a frame has only so much time. */
static void
half_a_frame_has_its_time(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0), *idle = peer_new(d, 0);

	peer_ask(idle, MSG_CTL_STATUS, NULL);
	peer_ask(p, MSG_CTL_STATUS, NULL);
	run_answers(p, 1);
	run_answers(idle, 1);
	assert_int_equal(write(channel_fd(p->ch), "\x18", 1), 1);
	run_ms(d, CLIENT_HELLO_MS + 3 * CLIENT_SWEEP_MS);
	assert_true(p->ended);
	assert_false(idle->ended);
	peer_free(p);
	peer_free(idle);
}

/* Who speaks keeps the place; one more than allowed is told so. */
static void
one_user_has_so_many(void **state)
{
	struct peer *p[CLIENTS_PER_UID + 1], *root;
	struct desk *d = *state;

	if (geteuid() != 0)
		skip();
	d->w.owner = 4711;
	for (size_t i = 0; i < CLIENTS_PER_UID; i++) {
		p[i] = peer_new(d, OTHER_UID);
		peer_ask(p[i], MSG_CTL_STATUS, NULL);
		run_answers(p[i], 1);
	}
	p[CLIENTS_PER_UID] = peer_new(d, OTHER_UID);
	run_ms(d, 30);
	assert_true(p[CLIENTS_PER_UID]->ended);
	assert_int_equal(p[CLIENTS_PER_UID]->refused, ERR_BUSY);
	assert_int_equal(clients(d), CLIENTS_PER_UID);
	root = peer_new(d, 0);
	peer_ask(root, MSG_CTL_STATUS, NULL);
	run_answers(root, 1);
	peer_free(root);
	for (size_t i = 0; i <= CLIENTS_PER_UID; i++)
		peer_free(p[i]);
}

static void
without_fds_accepting_waits(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);
	struct rlimit had, few;
	unsigned turns = 0;
	mono_t end;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
	few = had;
	few.rlim_cur = (rlim_t)channel_fd(p->ch) + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	peer_ask(p, MSG_CTL_STATUS, NULL);
	end = mono_add_ms(mono_now(), 200);
	while (mono_now().ns < end.ns) {
		loop_once(d->w.loop, 100);
		turns++;
	}
	assert_int_equal(p->answers, 0);
	assert_in_range(turns, 1, 30); /* it does not spin */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &had), 0);
	run_answers(p, 1);
	peer_free(p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, desk_up, desk_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(status_comes_whole_and_in_order),
		T(silence_is_shown_as_unknown),
		T(orders_need_the_right_user),
		T(a_lost_plan_is_asked_again_for_sync_only),
		T(the_deadline_is_kept_and_leaving_cancels),
		T(caps_answer_busy),
		T(unknown_service_and_verb),
		T(events_are_numbered_and_replayed),
		T(a_restarted_desk_goes_on_and_names_the_gap),
		T(a_monitor_that_does_not_read_loses_events),
		T(garbage_ends_the_client_only),
		T(an_fd_from_a_client_ends_it),
		T(slow_connections_do_not_disturb),
		T(half_a_frame_has_its_time),
		T(one_user_has_so_many),
		T(without_fds_accepting_waits),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
