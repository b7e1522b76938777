/*
 * The front desk against clients of all kinds.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "tests/unit/control_fake.h"

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
		peer_run(p[i], 1);
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
	peer_run(p, 1);
	assert_in_range(mono_diff_ms(mono_now(), start), 900, 2500);
	assert_int_equal(p->missing, 1);
	assert_true(p->unknown);
	assert_int_equal(p->nkinds, 5);
	/* of one that is known to be down nobody waits for long */
	d->down = true;
	start = mono_now();
	peer_ask(p, MSG_CTL_STATUS, NULL);
	peer_run(p, 2);
	assert_true(mono_diff_ms(mono_now(), start) < 500);
	assert_int_equal(p->missing, 1);
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
	peer_run(p, 1);
	assert_int_equal(p->err, ERR_REFUSED);
	peer_ask(p, MSG_CTL_STOP, NULL);
	peer_run(p, 2);
	assert_int_equal(p->err, ERR_REFUSED);
	assert_int_equal(d->orders, 0);
	assert_int_equal(d->stops, 0);
	peer_do(p, DO_SYNC, 0);
	peer_run(p, 3);
	assert_int_equal(p->code, 69);
	peer_ask(p, MSG_CTL_STATUS, NULL);
	peer_run(p, 4);
	assert_int_equal(p->err, 0);
	peer_free(p);
	p = peer_new(d, 4711);
	peer_do(p, DO_PUSH, 0);
	peer_ask(p, MSG_CTL_STOP, NULL);
	peer_run(p, 2);
	assert_int_equal(p->err, 0);
	assert_int_equal(d->orders, 2);
	assert_int_equal(d->stops, 1);
	peer_free(p);
}

static void
reload_is_the_supervisors(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);

	peer_ask(p, MSG_CTL_RELOAD, NULL);
	peer_run(p, 1);
	assert_int_equal(p->err, 0);
	assert_int_equal(p->code, 65);
	assert_int_equal(p->texts, 2);
	d->reloading = true;
	peer_ask(p, MSG_CTL_RELOAD, NULL);
	peer_run(p, 2);
	assert_int_equal(p->err, ERR_BUSY);
	assert_int_equal(d->reloads, 2);
	peer_free(p);
	if (geteuid() != 0)
		return;
	d->w.owner = 4711;
	p = peer_new(d, OTHER_UID);
	peer_ask(p, MSG_CTL_RELOAD, NULL);
	peer_run(p, 1);
	assert_int_equal(p->err, ERR_REFUSED);
	assert_int_equal(d->reloads, 2);
	peer_free(p);
}

/* What a reload has brought is there at once, what it retired is not. */
static void
services_and_engines_follow_the_configuration(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);
	struct conf *c = &d->w.conf;

	d->more = d->service;
	d->more.service = 2;
	d->engine2 = d->engine;
	d->engine2.instance = 3;
	peer_ask(p, MSG_CTL_STATUS, NULL);
	peer_run(p, 1);
	assert_int_equal(d->engines_asked, 1);
	c->services[c->nservices++] = &d->more;
	c->engines[c->nengines++] = &d->engine2;
	d->service.flags = SERVICE_RETIRED;
	peer_ask(p, MSG_CTL_STATUS, NULL);
	peer_run(p, 2);
	assert_int_equal(d->engines_asked, 1 | 8);
	assert_int_equal(p->engines, 3);
	assert_int_equal(p->missing, 0);
	/* one engine's process hangs: the other's answer is there */
	d->silent_engine = 3;
	peer_ask(p, MSG_CTL_STATUS, NULL);
	peer_run(p, 3);
	assert_int_equal(p->engines, 5);
	assert_int_equal(p->missing, 1);
	peer_do_one(p, "web");
	peer_run(p, 4);
	assert_int_equal(p->err, 0);
	d->more.flags = SERVICE_RETIRED;
	peer_do_one(p, "web");
	peer_run(p, 5);
	assert_int_equal(p->err, ERR_NOT_FOUND);
	assert_int_equal(d->orders, 1);
	c->nservices = c->nengines = 1;
	peer_free(p);
}

static void
a_lost_plan_is_asked_again_for_sync_only(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);

	d->lost = 2;
	peer_do(p, DO_SYNC, 4000);
	peer_run(p, 1);
	assert_int_equal(d->orders, 3);
	assert_int_equal(p->code, 69);
	assert_in_range(d->last.timeout_ms, 1, 3999);
	d->lost = 1;
	peer_do(p, DO_REBUILD, 0);
	peer_run(p, 2);
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
	peer_run(p, 1);
	assert_int_equal(p->code, 75);
	desk_run_ms(d, 20);
	assert_int_equal(d->cancels, 1);
	peer_do(p, DO_SYNC, 0);
	desk_run_ms(d, 50);
	assert_int_equal(d->orders, 2);
	peer_free(p);
	desk_run_ms(d, 50);
	assert_int_equal(d->cancels, 2);
	assert_int_equal(desk_clients(d), 0);
}

static void
caps_answer_busy(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 0);

	d->hold = true;
	for (int i = 0; i < 5; i++)
		peer_do(p, DO_SYNC, 0);
	peer_run(p, 1);
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
	peer_run(p, 1);
	assert_int_equal(p->err, ERR_NOT_FOUND);
	b.len = 0;
	fields_add_str(&b, F_SERVICE, "web");
	rpc_ask(p->rpc, MSG_CTL_DO, 0, &m, &b, -1, peer_on_answer, p);
	peer_run(p, 2);
	assert_int_equal(p->code, 69);
	peer_do(p, 77, 0);
	peer_run(p, 3);
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
	desk_run_ms(d, 30);
	for (int i = 0; i < 10; i++)
		desk_event(d, 10);
	desk_run_ms(d, 50);
	assert_int_equal(live->nevents, 10);
	assert_int_equal(live->seq, 10);
	assert_int_equal(d->counter, 11);
	late = peer_new(d, 0);
	peer_ask(late, MSG_CTL_MONITOR, &since);
	desk_run_ms(d, 30);
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
		desk_event(d, 10);
	desk_run_ms(d, 30);
	control_free(d->w.state);
	assert_non_null(d->w.state = control_new(&d->w));
	desk_event(d, 10);
	desk_run_ms(d, 20);
	p = peer_new(d, 0);
	peer_ask(p, MSG_CTL_MONITOR, &since);
	desk_run_ms(d, 30);
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
	desk_run_ms(d, 30);
	channel_pause(p->ch, true);
	for (unsigned i = 0; i < n; i++) {
		desk_event(d, 4000);
		desk_run_ms(d, 0);
		assert_true(channel_queued(ct->clients->ch) < 300 * 1024);
	}
	desk_run_ms(d, 50);
	assert_int_equal(ring_next(ct->ring), n + 1);
	assert_int_equal(desk_clients(d), 1);
	channel_pause(p->ch, false);
	end = mono_add_ms(mono_now(), 5000);
	while (p->seq != n && mono_now().ns < end.ns)
		desk_run_ms(d, 5);
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
		.type = MSG_STATUS_PLAN,
		.id = 1 };
	struct frame_head posed = { .length = sizeof(posed),
		.type = MSG_CTL_STATUS,
		.id = 1,
		.source = PROC_SUP };
	struct frame_head zero = { .length = sizeof(zero),
		.type = MSG_CTL_STATUS };
	struct {
		const void *p;
		size_t n;
	} bad[] = { { noise, sizeof(noise) }, { &own, sizeof(own) },
		{ &posed, sizeof(posed) }, { &zero, sizeof(zero) } };
	struct desk *d = *state;
	struct peer *good = peer_new(d, 0);
	ssize_t n;
	char c;
	int fd;

	peer_ask(good, MSG_CTL_MONITOR, &(struct msg_monitor) { 0 });
	desk_run_ms(d, 20);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = desk_connect(d, 0);
		assert_int_equal(write(fd, bad[i].p, bad[i].n), bad[i].n);
		desk_run_ms(d, 30);
		n = read(fd, &c, 1);
		assert_true(n == 0 || (n == -1 && errno == ECONNRESET));
		close(fd);
		desk_run_ms(d, 10);
		assert_int_equal(desk_clients(d), 1);
	}
	desk_event(d, 1);
	desk_run_ms(d, 20);
	assert_int_equal(good->nevents, 1);
	peer_free(good);
}

static void
an_fd_from_a_client_ends_it(void **state)
{
	struct frame_head h = { .length = sizeof(h) | FRAME_FD,
		.type = MSG_CTL_STATUS,
		.id = 1 };
	struct iovec iov = { &h, sizeof(h) };
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.bytes,
		.msg_controllen = sizeof(ctl) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
	struct desk *d = *state;
	int fd = desk_connect(d, 0);

	desk_run_ms(d, 20);
	assert_int_equal(desk_clients(d), 1);
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	/* refused by the kernel where it can, else by the check */
	if (sendmsg(fd, &m, MSG_NOSIGNAL) == -1) {
		assert_int_equal(errno, EPERM);
		assert_int_equal(write(fd, &h, sizeof(h)), sizeof(h));
	}
	desk_run_ms(d, 30);
	assert_int_equal(desk_clients(d), 0);
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
		fds[i] = desk_connect(d,
		    i % 2 == 0 || geteuid() != 0 ? 0 : OTHER_UID);
		assert_int_equal(send(fds[i], "x", 1, MSG_NOSIGNAL), 1);
		desk_run_ms(d, 0);
	}
	assert_true(desk_clients(d) <= CLIENTS_PER_ADMIN + CLIENTS_PER_UID);
	assert_true(desk_clients(d) > 100);
	for (int i = 0; i < 20; i++) {
		p = peer_new(d, 0);
		start = mono_now();
		peer_ask(p, MSG_CTL_STATUS, NULL);
		peer_run(p, 1);
		assert_int_equal(p->err, 0);
		assert_true(mono_diff_ms(mono_now(), start) < 200);
		peer_free(p);
	}
	desk_run_ms(d, CLIENT_HELLO_MS + 2 * CLIENT_SWEEP_MS);
	assert_int_equal(desk_clients(d), 0);
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
	peer_run(p, 1);
	peer_run(idle, 1);
	assert_int_equal(write(channel_fd(p->ch), "\x18", 1), 1);
	desk_run_ms(d, CLIENT_HELLO_MS + 3 * CLIENT_SWEEP_MS);
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
		peer_run(p[i], 1);
	}
	p[CLIENTS_PER_UID] = peer_new(d, OTHER_UID);
	desk_run_ms(d, 30);
	assert_true(p[CLIENTS_PER_UID]->ended);
	assert_int_equal(p[CLIENTS_PER_UID]->refused, ERR_BUSY);
	assert_int_equal(desk_clients(d), CLIENTS_PER_UID);
	root = peer_new(d, 0);
	peer_ask(root, MSG_CTL_STATUS, NULL);
	peer_run(root, 1);
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
	peer_run(p, 1);
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
		T(reload_is_the_supervisors),
		T(services_and_engines_follow_the_configuration),
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
