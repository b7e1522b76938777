/*
 * The event loop: timers on a fake clock, descriptors, signals.
 */
#include <sys/socket.h>
#include <fcntl.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop.h"
#include "tmptree.h"

static mono_t now;

static int
fake_clock(void **state)
{
	now = (mono_t) { 1000000000 };
	mono_fake(&now);
	*state = loop_new();
	return (0);
}

static int
real_clock(void **state)
{
	loop_free(*state);
	mono_fake(NULL);
	return (0);
}

static void
pass_ms(struct loop *l, int64_t ms)
{
	now = mono_add_ms(now, ms);
	assert_int_equal(loop_once(l, 0), 0);
}

/* A timer that writes its letter down. */
struct letter {
	struct loop_timer t;
	struct loop *loop;
	char c;
	int again;              /* arms itself for at once, so often */
	struct letter *cancels; /* another one */
	struct letter *arms;    /* another one, for at once */
};

static char written[64];

static void
on_letter(void *arg)
{
	struct letter *x = arg;
	size_t n = strlen(written);

	assert_false(loop_timer_is_set(&x->t));
	assert_true(n + 1 < sizeof(written));
	written[n] = x->c;
	written[n + 1] = '\0';
	if (x->again-- > 0)
		loop_timer_in_ms(x->loop, &x->t, 0, on_letter, x);
	if (x->cancels != NULL)
		loop_timer_cancel(&x->cancels->t);
	if (x->arms != NULL)
		loop_timer_in_ms(x->loop, &x->arms->t, 0, on_letter, x->arms);
}

static void
letters(struct loop *l, struct letter *x, size_t n)
{
	memset(x, 0, n * sizeof(*x));
	written[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		x[i].loop = l;
		x[i].c = (char)('a' + i);
	}
}

static void
test_timer_order(void **state)
{
	static const int64_t ms[] = { 30, 10, 20, 10, 5 };
	struct letter x[5];

	letters(*state, x, 5);
	for (size_t i = 0; i < 5; i++)
		loop_timer_in_ms(*state, &x[i].t, ms[i], on_letter, &x[i]);
	pass_ms(*state, 4);
	assert_string_equal(written, "");
	pass_ms(*state, 1);
	assert_string_equal(written, "e");
	/* due at the same time: in the order in which they were set */
	pass_ms(*state, 100);
	assert_string_equal(written, "ebdca");
	pass_ms(*state, 100);
	assert_string_equal(written, "ebdca");
}

static void
test_timer_is_set_again(void **state)
{
	struct letter x[2];

	letters(*state, x, 2);
	loop_timer_in_ms(*state, &x[0].t, 10, on_letter, &x[0]);
	loop_timer_in_ms(*state, &x[1].t, 15, on_letter, &x[1]);
	pass_ms(*state, 9);
	loop_timer_in_ms(*state, &x[0].t, 10, on_letter, &x[0]);
	pass_ms(*state, 9);
	assert_string_equal(written, "b");
	assert_true(loop_timer_is_set(&x[0].t));
	pass_ms(*state, 1);
	assert_string_equal(written, "ba");
	assert_false(loop_timer_is_set(&x[0].t));
}

static void
test_timer_cancel(void **state)
{
	struct letter x[4];

	letters(*state, x, 4);
	for (size_t i = 0; i < 4; i++)
		loop_timer_in_ms(*state, &x[i].t, 10, on_letter, &x[i]);
	loop_timer_cancel(&x[1].t);
	loop_timer_cancel(&x[1].t);
	/* a callback ends another one that is due in the same turn */
	x[0].cancels = &x[2];
	pass_ms(*state, 10);
	assert_string_equal(written, "ad");
	assert_false(loop_timer_is_set(&x[2].t));
	/* in the middle of the list, and its end */
	letters(*state, x, 4);
	for (size_t i = 0; i < 4; i++)
		loop_timer_in_ms(*state, &x[i].t, (int64_t)i, on_letter, &x[i]);
	loop_timer_cancel(&x[2].t);
	loop_timer_cancel(&x[3].t);
	loop_timer_in_ms(*state, &x[3].t, 1, on_letter, &x[3]);
	pass_ms(*state, 10);
	assert_string_equal(written, "abd");
}

/* For at once means the next turn: nothing starves the descriptors. */
static void
test_timer_at_once(void **state)
{
	struct letter x[3];

	letters(*state, x, 3);
	x[0].again = 2;
	x[1].arms = &x[2];
	loop_timer_in_ms(*state, &x[0].t, 0, on_letter, &x[0]);
	loop_timer_in_ms(*state, &x[1].t, 0, on_letter, &x[1]);
	pass_ms(*state, 0);
	assert_string_equal(written, "ab");
	pass_ms(*state, 0);
	assert_string_equal(written, "abac");
	pass_ms(*state, 0);
	assert_string_equal(written, "abaca");
	pass_ms(*state, 0);
	assert_string_equal(written, "abaca");
}

/* One that is due is armed anew by an earlier one of the same turn. */
static void
test_timer_is_moved_while_due(void **state)
{
	struct letter x[3];

	letters(*state, x, 3);
	for (size_t i = 0; i < 3; i++)
		loop_timer_in_ms(*state, &x[i].t, 5, on_letter, &x[i]);
	x[0].arms = &x[1];
	pass_ms(*state, 5);
	assert_string_equal(written, "ac");
	pass_ms(*state, 0);
	assert_string_equal(written, "acb");
}

static void
test_timer_never(void **state)
{
	struct letter x[2];

	letters(*state, x, 2);
	loop_timer_set(*state, &x[0].t, MONO_NEVER, on_letter, &x[0]);
	loop_timer_in_ms(*state, &x[1].t, INT64_MAX, on_letter, &x[1]);
	pass_ms(*state, 1000LL * 3600 * 24 * 365);
	assert_string_equal(written, "");
	loop_timer_cancel(&x[0].t);
	loop_timer_cancel(&x[1].t);
}

static void
test_clock(void **state)
{
	mono_t t = { 5000000 };

	assert_int_equal(mono_add_ms(t, 3).ns, 8000000);
	assert_int_equal(mono_add_ms(t, -3).ns, 2000000);
	assert_true(mono_add_ms(t, INT64_MAX).ns == MONO_NEVER.ns);
	assert_true(mono_add_ms(MONO_NEVER, 1).ns == MONO_NEVER.ns);
	assert_int_equal(mono_diff_ms((mono_t) { 8000000 }, t), 3);
	assert_int_equal(mono_diff_ms((mono_t) { 8999999 }, t), 3);
	/* rounded down, also below zero */
	assert_int_equal(mono_diff_ms(t, (mono_t) { 8000000 }), -3);
	assert_int_equal(mono_diff_ms(t, (mono_t) { 8000001 }), -4);
	assert_int_equal(mono_now().ns, now.ns);
	mono_fake(NULL);
	assert_true(mono_now().ns > 0);
	assert_true(wall_now_ns() > 1600000000LL * 1000000000);
}

/* Descriptors. */

struct reader {
	struct loop *loop;
	int fd;
	struct reader *other; /* to forget and close */
	unsigned calls;
	uint32_t events;
};

static void
on_readable(void *arg, uint32_t events)
{
	struct reader *r = arg;
	char byte;

	r->calls++;
	r->events = events;
	if (r->other != NULL) {
		loop_fd_del(r->loop, r->other->fd);
		close(r->other->fd);
		/* the number may come back at once, as something else */
		r->other->fd = dup(r->fd);
		assert_int_equal(loop_fd_set(r->loop, r->other->fd, 0,
				     on_readable, r->other),
		    0);
	}
	if ((events & EPOLLIN) && read(r->fd, &byte, 1) == -1)
		return;
}

static void
test_fd_closed_by_another(void **state)
{
	struct reader r[2] = { 0 };
	int a[2], b[2];

	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	r[0] = (struct reader) { *state, a[0], &r[1], 0, 0 };
	r[1] = (struct reader) { *state, b[0], &r[0], 0, 0 };
	loop_fd_set(*state, r[0].fd, EPOLLIN, on_readable, &r[0]);
	loop_fd_set(*state, r[1].fd, EPOLLIN, on_readable, &r[1]);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	/* both are ready; the first that is called ends the other */
	loop_once(*state, 0);
	assert_int_equal(r[0].calls + r[1].calls, 1);
	loop_fd_del(*state, r[0].fd);
	loop_fd_del(*state, r[1].fd);
	close(r[0].fd);
	close(r[1].fd);
	close(a[1]);
	close(b[1]);
}

static void
test_fd_events(void **state)
{
	struct reader r = { .loop = *state };
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	r.fd = sv[0];
	loop_fd_set(*state, sv[0], EPOLLIN, on_readable, &r);
	loop_once(*state, 0);
	assert_int_equal(r.calls, 0);
	loop_fd_set(*state, sv[0], EPOLLOUT, on_readable, &r);
	loop_once(*state, 0);
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.events, EPOLLOUT);
	loop_fd_set(*state, sv[0], 0, on_readable, &r);
	loop_once(*state, 0);
	assert_int_equal(r.calls, 1);
	/* a hang-up is always told */
	close(sv[1]);
	loop_once(*state, 0);
	assert_int_equal(r.calls, 2);
	assert_true(r.events & EPOLLHUP);
	loop_fd_del(*state, sv[0]);
	loop_fd_del(*state, sv[0]);
	loop_fd_del(*state, -1);
	loop_fd_del(*state, 100000);
	loop_once(*state, 0);
	assert_int_equal(r.calls, 2);
	close(sv[0]);
	/* what epoll does not take */
	assert_int_equal(loop_fd_set(*state, sv[0], EPOLLIN, on_readable, &r),
	    -1);
}

/* Signals. */

static unsigned seen_usr1, seen_usr2;
static pid_t seen_from;

static void
on_usr1(void *arg, const struct signalfd_siginfo *si)
{
	seen_usr1++;
	seen_from = (pid_t)si->ssi_pid;
	assert_int_equal(si->ssi_signo, SIGUSR1);
}

static void
on_usr2(void *arg, const struct signalfd_siginfo *si)
{
	seen_usr2++;
}

static void
test_signals(void **state)
{
	assert_int_equal(loop_signal(*state, SIGUSR1, on_usr1, NULL), 0);
	assert_int_equal(loop_signal(*state, SIGUSR2, on_usr2, NULL), 0);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	assert_int_equal(seen_usr1, 0);
	loop_once(*state, 0);
	assert_int_equal(seen_usr1, 1);
	assert_int_equal(seen_usr2, 1);
	assert_int_equal(seen_from, getpid());
}

/* The loop's end, and what it holds. */

static void
on_stop(void *arg)
{
	loop_stop(arg, 42);
}

static void
test_run_and_stop(void **state)
{
	struct loop_timer t = { 0 };
	int fds;

	mono_fake(NULL);
	loop_timer_in_ms(*state, &t, 5, on_stop, *state);
	assert_int_equal(loop_run(*state), 42);
	fds = tmptree_open_fds();
	for (int i = 0; i < 10; i++) {
		struct loop *l = loop_new();

		loop_signal(l, SIGUSR1, on_usr1, NULL);
		loop_timer_in_ms(l, &t, 5, on_stop, l);
		loop_free(l);
		assert_false(loop_timer_is_set(&t));
	}
	loop_free(NULL);
	assert_int_equal(tmptree_open_fds(), fds);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_clock, real_clock)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_timer_order),
		T(test_timer_is_set_again),
		T(test_timer_cancel),
		T(test_timer_at_once),
		T(test_timer_is_moved_while_due),
		T(test_timer_never),
		T(test_clock),
		T(test_fd_closed_by_another),
		T(test_fd_events),
		T(test_signals),
		T(test_run_and_stop),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
