/*
 * Routing of requests: ids, answers, caps, death, waiting for READY.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/route_fake.h"

/* Requests and answers. */

static void
test_ids_never_meet(void **state)
{
	struct fixture *t = *state;
	struct got *a, *b, *g;

	fake_say(t, &t->plan, MSG_ENG_INSPECT, 0, 7);
	fake_say(t, &t->push, MSG_ENG_INSPECT, 0, 7);
	a = fake_got(&t->engine, MSG_ENG_INSPECT);
	b = fake_got(&t->engine, MSG_ENG_INSPECT);
	got_is_from(a, &t->plan);
	got_is_from(b, &t->push);
	assert_int_not_equal(a->head.id, b->head.id);

	fake_say(t, &t->engine, MSG_ENG_DATA, F_MORE, b->head.id);
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, b->head.id);
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, a->head.id);
	g = fake_got(&t->push, MSG_ENG_DATA);
	got_is_from(g, &t->engine);
	assert_int_equal(g->head.id, 7);
	assert_int_equal(g->head.flags, F_MORE);
	g = fake_got(&t->push, MSG_ENG_DONE);
	assert_int_equal(g->head.id, 7);
	assert_int_equal(g->head.flags, 0);
	g = fake_got(&t->plan, MSG_ENG_DONE);
	assert_int_equal(g->head.id, 7);
	got_is_from(g, &t->engine);
	/* that was the last answer: more is for nobody */
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, a->head.id);
	fake_got_nothing(&t->plan);
	fake_got_nothing(&t->push);
}

static void
test_id_open_already(void **state)
{
	struct fixture *t = *state;

	fake_say(t, &t->plan, MSG_ENG_LIST, 0, 5);
	fake_say(t, &t->plan, MSG_ENG_INSPECT, 0, 5);
	fake_got_err(&t->plan, 5, ERR_INVALID);
	fake_got(&t->engine, MSG_ENG_LIST);
	fake_got_nothing(&t->engine);
}

static void
test_follow(void **state)
{
	struct fixture *t = *state;
	uint32_t id;

	fake_say(t, &t->plan, MSG_APPLY, F_MORE, 9);
	fake_say(t, &t->plan, MSG_APPLY_PATHS, 0, 9);
	id = fake_got(&t->push, MSG_APPLY)->head.id;
	assert_int_equal(fake_got(&t->push, MSG_APPLY_PATHS)->head.id, id);
	/* of a request that is not open, and one of another asker's */
	fake_say(t, &t->plan, MSG_APPLY_PATHS, 0, 10);
	fake_say(t, &t->control, MSG_CANCEL, 0, 9);
	fake_got_nothing(&t->push);
	fake_say(t, &t->plan, MSG_CANCEL, 0, 9);
	assert_int_equal(fake_got(&t->push, MSG_CANCEL)->head.id, id);
}

/* Only who was asked may answer, and only with what the asker may get. */
static void
test_answers_of_others(void **state)
{
	struct fixture *t = *state;
	uint32_t id;

	fake_say(t, &t->plan, MSG_ENG_LIST, 0, 4);
	id = fake_got(&t->engine, MSG_ENG_LIST)->head.id;
	fake_say(t, &t->watch, MSG_OK, 0, id);
	fake_say(t, &t->push, MSG_ERR, 0, id);
	fake_say(t, &t->image, MSG_BUILD_DONE, 0, id);
	/* OUTPUT is for push alone */
	fake_say(t, &t->engine, MSG_ENG_OUTPUT, F_MORE, id);
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, id + 1);
	fake_got_nothing(&t->plan);
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, id);
	assert_int_equal(fake_got(&t->plan, MSG_ENG_DONE)->head.id, 4);
}

static void
test_busy(void **state)
{
	struct fixture *t = *state;
	unsigned cap = msg_def(MSG_ENG_CREATE)->cap;
	uint32_t id = 0;

	for (uint32_t i = 1; i <= cap; i++) {
		fake_say(t, &t->plan, MSG_ENG_CREATE, 0, i);
		id = fake_got(&t->engine, MSG_ENG_CREATE)->head.id;
	}
	fake_say(t, &t->plan, MSG_ENG_CREATE, 0, cap + 1);
	fake_got_err(&t->plan, cap + 1, ERR_BUSY);
	fake_got_nothing(&t->engine);
	/* other kinds have room of their own */
	fake_say(t, &t->plan, MSG_ENG_LIST, 0, 1000);
	fake_got(&t->engine, MSG_ENG_LIST);
	/* an answer that is not the last makes no room, the last one does */
	fake_say(t, &t->engine, MSG_ENG_DATA, F_MORE, id);
	fake_got(&t->plan, MSG_ENG_DATA);
	fake_say(t, &t->plan, MSG_ENG_CREATE, 0, cap + 1);
	fake_got_err(&t->plan, cap + 1, ERR_BUSY);
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, id);
	fake_got(&t->plan, MSG_ENG_DONE);
	fake_say(t, &t->plan, MSG_ENG_CREATE, 0, cap + 1);
	fake_got(&t->engine, MSG_ENG_CREATE);
	fake_got_nothing(&t->plan);
}

/* Two askers have a cap each. */
static void
test_busy_is_per_asker(void **state)
{
	struct fixture *t = *state;
	unsigned cap = msg_def(MSG_ENG_INSPECT)->cap;

	for (uint32_t i = 1; i <= cap; i++)
		fake_say(t, &t->plan, MSG_ENG_INSPECT, 0, i);
	fake_forget(&t->engine);
	fake_say(t, &t->push, MSG_ENG_INSPECT, 0, 1);
	got_is_from(fake_got(&t->engine, MSG_ENG_INSPECT), &t->push);
	fake_got_nothing(&t->push);
}

/* Death. */

static void
test_answerer_dies(void **state)
{
	struct fixture *t = *state;
	uint32_t id;

	fake_say(t, &t->plan, MSG_ENG_LIST, 0, 21);
	fake_say(t, &t->push, MSG_ENG_HEAD, 0, 22);
	fake_say(t, &t->plan, MSG_TAKE, 0, 23);
	id = fake_got(&t->engine, MSG_ENG_LIST)->head.id;
	fake_die(&t->engine);
	fakes_pump(t);
	fake_got_err(&t->plan, 21, ERR_WORKER_LOST);
	fake_got(&t->plan, MSG_PEER);
	fake_got_nothing(&t->plan);
	/* its successor knows nothing of the request */
	fake_restart(t, &t->engine);
	fake_got_nothing(&t->engine);
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, id);
	fake_got(&t->plan, MSG_PEER);
	fake_got_nothing(&t->plan);
	/* that of another answerer is open still */
	id = fake_got(&t->watch, MSG_TAKE)->head.id;
	fake_say(t, &t->watch, MSG_WATCH_BATCH, 0, id);
	assert_int_equal(fake_got(&t->plan, MSG_WATCH_BATCH)->head.id, 23);
}

static void
test_lost_goes_to_its_asker(void **state)
{
	struct fixture *t = *state;

	fake_say(t, &t->push, MSG_ENG_HEAD, 0, 22);
	fake_die(&t->engine);
	fakes_pump(t);
	fake_got_err(&t->push, 22, ERR_WORKER_LOST);
	fake_got(&t->plan, MSG_PEER);
	fake_got_nothing(&t->plan);
}

static void
test_asker_dies(void **state)
{
	struct fixture *t = *state;
	struct got *g;
	uint32_t id, gen = t->plan.c->generation;

	fake_say(t, &t->plan, MSG_ENG_LIST, 0, 31);
	fake_say(t, &t->push, MSG_ENG_HEAD, 0, 31);
	id = fake_got(&t->engine, MSG_ENG_LIST)->head.id;
	fake_got(&t->engine, MSG_ENG_HEAD);
	fake_die(&t->plan);
	fakes_pump(t);
	g = fake_got(&t->engine, MSG_CANCEL);
	assert_int_equal(g->head.id, id);
	assert_int_equal(g->head.source, PROC_PLAN);
	assert_int_equal(g->head.generation, gen);
	fake_got(&t->engine, MSG_PEER);
	fake_got_nothing(&t->engine);
	fake_restart(t, &t->plan);
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, id);
	fake_got_nothing(&t->plan);
	/* its successor may use the number again */
	fake_say(t, &t->plan, MSG_ENG_LIST, 0, 31);
	fake_got(&t->engine, MSG_PEER);
	g = fake_got(&t->engine, MSG_ENG_LIST);
	assert_int_equal(g->head.generation, gen + 1);
	assert_int_not_equal(g->head.id, id);
}

static void
test_peers_are_told(void **state)
{
	struct fixture *t = *state;
	struct got *g;

	fake_die(&t->watch);
	fakes_pump(t);
	g = fake_got(&t->plan, MSG_PEER);
	assert_int_equal((uint32_t)g->fixed.n, PROC_WATCH);
	fake_restart(t, &t->watch);
	fake_got(&t->plan, MSG_PEER);
	fake_got_nothing(&t->plan);
	fake_got_nothing(&t->watch);
}

/* Waiting for READY. */

static void
test_requests_wait_in_order(void **state)
{
	struct fixture *t = *state;
	struct got *g;
	uint32_t id;

	fake_die(&t->push);
	fakes_pump(t);
	fake_say(t, &t->plan, MSG_APPLY, F_MORE, 1);
	fake_say(t, &t->plan, MSG_APPLY_PATHS, F_MORE, 1);
	fake_say(t, &t->plan, MSG_STEPS, 0, 2);
	fake_say(t, &t->plan, MSG_APPLY_PATHS, 0, 1);
	fake_spawn(&t->push);
	fakes_pump(t);
	fake_got_nothing(&t->push);
	/* it dies before READY: the requests were not lost with it */
	fake_die(&t->push);
	fakes_pump(t);
	fake_forget(&t->plan);
	fake_say(t, &t->plan, MSG_DETACH, 0, 3);
	fake_restart(t, &t->push);
	g = fake_got(&t->push, MSG_APPLY);
	got_is_from(g, &t->plan);
	id = g->head.id;
	g = fake_got(&t->push, MSG_APPLY_PATHS);
	assert_int_equal(g->head.id, id);
	assert_int_equal(g->head.flags, F_MORE);
	assert_int_not_equal(fake_got(&t->push, MSG_STEPS)->head.id, id);
	g = fake_got(&t->push, MSG_APPLY_PATHS);
	assert_int_equal(g->head.id, id);
	assert_int_equal(g->head.flags, 0);
	fake_got(&t->push, MSG_DETACH);
	fake_got_nothing(&t->push);
	fake_say(t, &t->push, MSG_PUSH_DONE, 0, id);
	fake_got(&t->plan, MSG_PEER);
	assert_int_equal(fake_got(&t->plan, MSG_PUSH_DONE)->head.id, 1);
	assert_int_equal(t->push.c->wait_bytes, 0);
}

/* Events of the supervisor, too, be they of control's own death. */
static void
test_own_events_wait(void **state)
{
	struct fixture *t = *state;
	struct msg_event m = { .kind = EVENT_WORKER_EXIT };
	struct buf tail = { 0 };
	struct got *g;

	fields_add_str(&tail, F_WORKER, "control");
	fake_die(&t->control);
	route_event(&t->sup, &m, &tail);
	m.kind = EVENT_DAEMON_STOP;
	route_event(&t->sup, &m, NULL);
	fake_restart(t, &t->control);
	g = fake_got(&t->control, MSG_EVENT);
	assert_int_equal(g->head.source, PROC_SUP);
	assert_int_equal(g->len, sizeof(m) + tail.len);
	assert_int_equal((uint32_t)g->fixed.n, EVENT_WORKER_EXIT);
	g = fake_got(&t->control, MSG_EVENT);
	assert_int_equal(g->len, sizeof(m));
	fake_got_nothing(&t->control);
	buf_free(&tail);
}

/* What is kept for newcomers must fit into their queues. */
static void
test_long_note(void **state)
{
	struct fixture *t = *state;
	struct msg_eng_state m = { .engine = 3 };
	struct buf tail = { 0 };
	char *text = xcalloc(1, 40 * 1024);

	memset(text, 'x', 40 * 1024 - 1);
	fields_add_str(&tail, F_ERROR, text);
	channel_send(t->engine.ch, MSG_ENG_STATE, 0, 0, &m, tail.data, tail.len,
	    -1);
	fake_say_n(t, &t->engine, MSG_ENG_STATE, 0, 3, ENG_STATE_UP);
	assert_true(t->engine.c->distrusted);
	assert_null(t->sup.stickies);
	fake_got_nothing(&t->plan);
	/* and no receiver that drains gives it its say again */
	t->engine.c->held_by = t->plan.c;
	route_child_drained(t->plan.c);
	fakes_pump(t);
	fake_got_nothing(&t->plan);
	free(text);
	buf_free(&tail);
}

static void
test_waiting_ends_with_its_asker(void **state)
{
	struct fixture *t = *state;
	int before;

	fake_die(&t->push);
	before = fd_count();
	fake_say_fd(t, &t->plan, MSG_ATTACH, 0, 1, fd_null());
	fake_say(t, &t->plan, MSG_APPLY, F_MORE, 2);
	fake_say(t, &t->plan, MSG_APPLY_PATHS, 0, 2);
	assert_int_equal(fd_count(), before + 1);
	fake_die(&t->plan);
	/* at once, not when push comes: the fds of many would add up */
	assert_null(t->push.c->wait);
	assert_int_equal(t->push.c->wait_bytes, 0);
	fake_restart(t, &t->plan);
	assert_int_equal(fd_count(), before);
	fake_say(t, &t->plan, MSG_DETACH, 0, 1);
	fake_restart(t, &t->push);
	fake_got(&t->push, MSG_DETACH);
	fake_got_nothing(&t->push);
}

static void
test_cancel_of_waiting(void **state)
{
	struct fixture *t = *state;

	fake_die(&t->push);
	fakes_pump(t);
	fake_forget(&t->plan);
	fake_say_fd(t, &t->plan, MSG_ATTACH, 0, 1, fd_null());
	fake_say(t, &t->plan, MSG_APPLY, 0, 2);
	fake_say(t, &t->plan, MSG_CANCEL, 0, 1);
	fake_got_err(&t->plan, 1, ERR_CANCELLED);
	fake_restart(t, &t->push);
	fake_got(&t->push, MSG_APPLY);
	fake_got_nothing(&t->push);
}

/* What waits is bounded; over it a request is answered, whole. */
static void
test_waiting_is_bounded(void **state)
{
	struct fixture *t = *state;
	struct buf tail = { 0 };
	char *path = calloc(1, 200001);

	memset(path, 'p', 200000);
	fields_add_str(&tail, F_PATH, path);
	free(path);
	fake_die(&t->push);
	fakes_pump(t);
	fake_forget(&t->plan);
	fake_say(t, &t->plan, MSG_DETACH, 0, 1);
	fake_say(t, &t->plan, MSG_APPLY, F_MORE, 2);
	for (int i = 0; i < 40 && t->plan.n == 0; i++) {
		channel_send(t->plan.ch, MSG_APPLY_PATHS, F_MORE, 2, NULL,
		    tail.data, tail.len, -1);
		fakes_pump(t);
	}
	fake_got_err(&t->plan, 2, ERR_BUSY);
	assert_true(t->push.c->wait_bytes < 1000);
	/* frames without a payload take room as well */
	for (uint32_t i = 0; i < 120000; i++)
		channel_send(t->plan.ch, MSG_APPLY_PATHS, F_MORE, 1, NULL, NULL,
		    0, -1);
	for (int i = 0; i < 40; i++)
		fakes_pump(t);
	fake_got_err(&t->plan, 1, ERR_BUSY);
	assert_int_equal(t->push.c->wait_bytes, 0);
	/* and it goes on afterwards */
	fake_say(t, &t->plan, MSG_DETACH, 0, 3);
	fake_restart(t, &t->push);
	fake_got(&t->push, MSG_DETACH);
	fake_got_nothing(&t->push);
	buf_free(&tail);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fakes_up, fakes_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ids_never_meet),
		TEST(test_id_open_already),
		TEST(test_follow),
		TEST(test_answers_of_others),
		TEST(test_busy),
		TEST(test_busy_is_per_asker),
		TEST(test_answerer_dies),
		TEST(test_lost_goes_to_its_asker),
		TEST(test_asker_dies),
		TEST(test_peers_are_told),
		TEST(test_requests_wait_in_order),
		TEST(test_own_events_wait),
		TEST(test_long_note),
		TEST(test_waiting_ends_with_its_asker),
		TEST(test_cancel_of_waiting),
		TEST(test_waiting_is_bounded),
	};

	signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
