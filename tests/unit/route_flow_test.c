/*
 * Routing of notes, back-pressure, and what carries a file descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/route_fake.h"

/* Notes. */

static void
test_notes(void **state)
{
	struct fixture *t = *state;

	fake_say_n(t, &t->engine, MSG_ENG_STATE, 0, 3, ENG_STATE_UP);
	got_is_from(fake_got(&t->plan, MSG_ENG_STATE), &t->engine);
	got_is_from(fake_got(&t->push, MSG_ENG_STATE), &t->engine);
	got_is_from(fake_got(&t->image, MSG_ENG_STATE), &t->engine);
	fake_got_nothing(&t->watch);
	fake_got_nothing(&t->control);
	fake_got_nothing(&t->engine);
	fake_say_n(t, &t->push, MSG_EVENT, 0, EVENT_PUSH_END, 0);
	got_is_from(fake_got(&t->control, MSG_EVENT), &t->push);
	fake_got_nothing(&t->plan);
	/* control's own are for nobody else either */
	fake_say_n(t, &t->control, MSG_EVENT, 0, EVENT_PUSH_END, 0);
	fake_got_nothing(&t->control);
}

/* An engine's worker does not speak for another engine or its services. */
static void
test_notes_of_others(void **state)
{
	struct fixture *t = *state;

	fake_say_n(t, &t->engine, MSG_ENG_STATE, 0, 2, ENG_STATE_DOWN);
	fake_say_n(t, &t->engine, MSG_ENG_EVENT, 0, 2, 0);
	fake_say_n(t, &t->engine, MSG_ENG_EVENT, 0, 3, 1);
	fake_got_nothing(&t->plan);
	assert_null(t->sup.stickies);
	fake_say_n(t, &t->engine, MSG_ENG_EVENT, 0, 3, 0);
	fake_got(&t->plan, MSG_ENG_EVENT);
}

static void
test_events_wait_for_control(void **state)
{
	struct fixture *t = *state;

	fake_die(&t->control);
	fakes_pump(t);
	for (uint32_t i = 1; i <= 3; i++)
		fake_say_n(t, &t->push, MSG_EVENT, 0, i, 0);
	/* they outlive their sender */
	fake_die(&t->push);
	fake_restart(t, &t->control);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal((uint32_t)fake_got(&t->control, MSG_EVENT)
				     ->fixed.n,
		    i);
	fake_got_nothing(&t->control);
}

static void
test_newcomers_learn_the_state(void **state)
{
	struct fixture *t = *state;
	struct got *g;
	uint64_t keys = 0;

	fake_say_n(t, &t->engine, MSG_ENG_STATE, 0, 3, ENG_STATE_DOWN);
	fake_say_n(t, &t->engine, MSG_ENG_STATE, 0, 3, ENG_STATE_UP);
	fake_say_n(t, &t->watch, MSG_TREE, 0, 1, TREE_SCANNED);
	fake_say_n(t, &t->watch, MSG_TREE, 0, 2, TREE_SCANNED);
	fake_die(&t->plan);
	fakes_pump(t);
	fake_restart(t, &t->plan);
	/* the latest of each, once */
	for (int i = 0; i < 3; i++) {
		g = &t->plan.got[t->plan.read++];
		if (g->head.type == MSG_ENG_STATE) {
			assert_int_equal(g->fixed.n >> 32, ENG_STATE_UP);
			got_is_from(g, &t->engine);
			keys |= 1;
		} else {
			assert_int_equal(g->head.type, MSG_TREE);
			got_is_from(g, &t->watch);
			keys |= 2 << (g->fixed.n & 3);
		}
	}
	assert_int_equal(keys, 1 | 4 | 8);
	fake_got_nothing(&t->plan);
	/* a tree is none of push's business */
	fake_die(&t->push);
	fake_restart(t, &t->push);
	fake_got(&t->push, MSG_ENG_STATE);
	fake_got_nothing(&t->push);
}

static void
test_state_ends_with_its_source(void **state)
{
	struct fixture *t = *state;

	fake_say_n(t, &t->engine, MSG_ENG_STATE, 0, 3, ENG_STATE_UP);
	fake_say_n(t, &t->watch, MSG_TREE, 0, 1, TREE_SCANNED);
	fake_die(&t->engine);
	fake_die(&t->plan);
	fake_restart(t, &t->plan);
	fake_got(&t->plan, MSG_TREE);
	fake_got_nothing(&t->plan);
}

static void
test_states_are_bounded(void **state)
{
	struct fixture *t = *state;
	unsigned n = 0;

	fake_give_process(&t->watch);
	for (uint32_t i = 0; i < SERVICES_MAX + 200; i++)
		fake_say_n(t, &t->watch, MSG_TREE, 0, i, TREE_SCANNED);
	for (struct sticky *s = t->sup.stickies; s != NULL; s = s->next)
		n++;
	assert_in_range(n, 1, SERVICES_MAX + ENGINES_MAX);
	fake_assert_killed(&t->watch, true);
}

/* A worker serves first when it has said that it can. */
static void
test_before_ready(void **state)
{
	struct fixture *t = *state;

	fake_die(&t->push);
	fakes_pump(t);
	fake_forget(&t->control);
	fake_spawn(&t->push);
	fake_give_process(&t->push);
	fake_say_n(t, &t->push, MSG_EVENT, 0, EVENT_PUSH_END, 0);
	fake_assert_killed(&t->push, true);
	fake_got_nothing(&t->control);
}

/* Back-pressure. */

/* engine answers with so much data that a plan that does not read has
 * `held` it; returns how many answers were sent. */
static uint32_t
flood(struct fixture *t, uint32_t id, bool *held)
{
	static uint8_t data[64 * 1024];
	uint32_t n;

	for (n = 0; n < 100 && t->engine.c->held_by == NULL; n++) {
		memcpy(data, &n, sizeof(n));
		channel_send(t->engine.ch, MSG_ENG_DATA, F_MORE, id, NULL, data,
		    sizeof(data), -1);
		fakes_pump(t);
	}
	*held = t->engine.c->held_by == t->plan.c;
	return (n);
}

static void
test_slow_receiver_holds_sender(void **state)
{
	struct fixture *t = *state;
	uint32_t id, sent;
	size_t queued;
	bool held;

	fake_give_process(&t->plan);
	fake_say(t, &t->plan, MSG_ENG_LIST, 0, 1);
	id = fake_got(&t->engine, MSG_ENG_LIST)->head.id;
	channel_pause(t->plan.ch, true);
	sent = flood(t, id, &held);
	assert_true(held);
	queued = channel_queued(t->plan.c->ch);
	/* what it sends now is not even read; others are served */
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, id);
	assert_int_equal(channel_queued(t->plan.c->ch), queued);
	fake_say(t, &t->push, MSG_ENG_HEAD, 0, 2);
	fake_got(&t->engine, MSG_ENG_HEAD);
	fake_say_n(t, &t->push, MSG_EVENT, 0, EVENT_PUSH_END, 0);
	fake_got(&t->control, MSG_EVENT);
	/* read again: all of it comes, in order, and the rest behind it */
	channel_pause(t->plan.ch, false);
	fakes_pump(t);
	assert_null(t->engine.c->held_by);
	for (uint32_t i = 0; i < sent; i++)
		assert_int_equal(fake_got(&t->plan, MSG_ENG_DATA)->len,
		    64 * 1024);
	fake_got(&t->plan, MSG_ENG_DONE);
	fake_got_nothing(&t->plan);
	t->now = mono_add_ms(t->now, 60000);
	fakes_pump(t);
	fake_assert_killed(&t->plan, false);
}

static void
test_receiver_that_never_reads(void **state)
{
	struct fixture *t = *state;
	uint32_t id;
	bool held;

	fake_give_process(&t->plan);
	fake_say(t, &t->plan, MSG_ENG_LIST, 0, 1);
	id = fake_got(&t->engine, MSG_ENG_LIST)->head.id;
	channel_pause(t->plan.ch, true);
	flood(t, id, &held);
	assert_true(held);
	t->now = mono_add_ms(t->now, 4900);
	fakes_pump(t);
	assert_int_equal(waitpid(t->plan.c->pid, NULL, WNOHANG), 0);
	t->now = mono_add_ms(t->now, 200);
	fakes_pump(t);
	fake_assert_killed(&t->plan, true);
	/* with its death the sender is read again */
	fake_die(&t->plan);
	assert_null(t->engine.c->held_by);
	fake_say(t, &t->push, MSG_ENG_HEAD, 0, 2);
	id = fake_got(&t->engine, MSG_CANCEL)->head.id;
	fake_got(&t->engine, MSG_PEER);
	id = fake_got(&t->engine, MSG_ENG_HEAD)->head.id;
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, id);
	fake_got(&t->push, MSG_PEER);
	fake_got(&t->push, MSG_ENG_DONE);
}

/* A held sender that dies comes back unheld. */
static void
test_held_sender_dies(void **state)
{
	struct fixture *t = *state;
	uint32_t id;
	bool held;

	fake_say(t, &t->plan, MSG_ENG_LIST, 0, 1);
	id = fake_got(&t->engine, MSG_ENG_LIST)->head.id;
	channel_pause(t->plan.ch, true);
	flood(t, id, &held);
	assert_true(held);
	fake_die(&t->engine);
	fake_restart(t, &t->engine);
	assert_null(t->engine.c->held_by);
	fake_say(t, &t->push, MSG_ENG_HEAD, 0, 2);
	id = fake_got(&t->engine, MSG_ENG_HEAD)->head.id;
	fake_say(t, &t->engine, MSG_ENG_DONE, 0, id);
	fake_forget(&t->plan);
	for (size_t i = 0; i < t->push.n; i++)
		if (t->push.got[i].head.type == MSG_ENG_DONE)
			return;
	fail_msg("the new engine is not read");
}

/* File descriptors. */

static void
test_fds_pass_through(void **state)
{
	struct fixture *t = *state;
	int before = fd_count(), p[2];
	struct got *g;
	char c = 0;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	fake_say_fd(t, &t->push, MSG_ENG_PUT, 0, 1, p[0]);
	g = fake_got(&t->engine, MSG_ENG_PUT);
	assert_int_not_equal(g->fd, -1);
	assert_int_equal(fcntl(g->fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(read(g->fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(g->fd);
	/* nobody holds the reading end any more */
	assert_int_equal(write(p[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(p[1]);
	/* one in an answer */
	fake_say(t, &t->plan, MSG_BUILD, 0, 2);
	g = fake_got(&t->image, MSG_BUILD);
	fake_say_fd(t, &t->image, MSG_BUILD_DONE, 0, g->head.id, fd_null());
	g = fake_got(&t->plan, MSG_BUILD_DONE);
	assert_int_not_equal(g->fd, -1);
	close(g->fd);
	assert_int_equal(fd_count(), before);
}

static void
test_fds_that_go_nowhere(void **state)
{
	struct fixture *t = *state;
	int before = fd_count();
	unsigned cap = msg_def(MSG_ENG_PUT)->cap;
	uint32_t id = 0;

	/* over the cap */
	for (uint32_t i = 1; i <= cap + 3; i++)
		fake_say_fd(t, &t->push, MSG_ENG_PUT, 0, i, fd_null());
	for (uint32_t i = 1; i <= cap; i++) {
		struct got *g = fake_got(&t->engine, MSG_ENG_PUT);

		id = g->head.id;
		close(g->fd);
	}
	fake_got_nothing(&t->engine);
	/* under an id that is open, and in answers that nobody waits for */
	fake_say_fd(t, &t->push, MSG_ENG_PUT, 0, 1, fd_null());
	fake_say_fd(t, &t->image, MSG_BUILD_DONE, 0, id, fd_null());
	fake_say_fd(t, &t->image, MSG_BUILD_DONE, 0, 9999, fd_null());
	fake_got_nothing(&t->engine);
	assert_int_equal(fd_count(), before);
	/* on the way to a receiver that dies without reading */
	channel_pause(t->engine.ch, true);
	fake_say_fd(t, &t->image, MSG_ENG_BUILD, 0, 50, fd_null());
	fake_die(&t->engine);
	fake_restart(t, &t->engine);
	assert_int_equal(fd_count(), before);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fakes_up, fakes_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_notes),
		TEST(test_notes_of_others),
		TEST(test_events_wait_for_control),
		TEST(test_newcomers_learn_the_state),
		TEST(test_state_ends_with_its_source),
		TEST(test_states_are_bounded),
		TEST(test_before_ready),
		TEST(test_slow_receiver_holds_sender),
		TEST(test_receiver_that_never_reads),
		TEST(test_held_sender_dies),
		TEST(test_fds_pass_through),
		TEST(test_fds_that_go_nowhere),
	};

	signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
