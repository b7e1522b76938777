/*
 * The message table holds what all that uses it relies on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "channel.h"
#include "msg.h"

#define WORKERS                                                                \
	(PROC_BIT(PROC_WATCH) | PROC_BIT(PROC_ENGINE) | PROC_BIT(PROC_IMAGE) | \
	    PROC_BIT(PROC_PUSH) | PROC_BIT(PROC_PLAN) |                        \
	    PROC_BIT(PROC_CONTROL))
#define KNOWN                                                   \
	(WORKERS | PROC_BIT(PROC_SUP) | PROC_BIT(PROC_CLIENT) | \
	    PROC_BIT(PROC_CONFIG))

static void
test_rows(void **state)
{
	const struct msg_def *d;

	for (unsigned t = MSG_NONE + 1; t < MSG_MAX; t++) {
		d = msg_def(t);
		assert_non_null(d);
		assert_true(d->name[0] != '\0');
		assert_int_not_equal(d->from, 0);
		assert_int_not_equal(d->to, 0);
		assert_int_equal(d->from & ~KNOWN, 0);
		assert_int_equal(d->to & ~KNOWN, 0);
		assert_true(d->fixed <= FRAME_FIXED_MAX);
		assert_int_equal(d->fixed % 8, 0);
		for (unsigned u = MSG_NONE + 1; u < t; u++)
			assert_string_not_equal(d->name, msg_def(u)->name);
	}
	assert_null(msg_def(MSG_NONE));
	assert_null(msg_def(MSG_MAX));
	assert_null(msg_def(UINT32_MAX));
}

/* A request goes to one process, and as many may be open as its cap says. */
static void
test_requests(void **state)
{
	const struct msg_def *d;

	for (unsigned t = MSG_NONE + 1; t < MSG_MAX; t++) {
		d = msg_def(t);
		assert_int_equal(d->cap > 0, d->kind == MSG_KIND_REQ);
		if (d->kind == MSG_KIND_REQ)
			assert_int_equal(__builtin_popcount(d->to), 1);
		if (d->kind == MSG_KIND_REQ)
			assert_int_equal(d->to & d->from, 0);
	}
}

/*
 * The star: who speaks to a client is control alone, and nobody who reads
 * files hears from it.
 */
static void
test_clients(void **state)
{
	const struct msg_def *d;

	for (unsigned t = MSG_NONE + 1; t < MSG_MAX; t++) {
		d = msg_def(t);
		if (d->from & PROC_BIT(PROC_CLIENT)) {
			assert_int_equal(d->from, PROC_BIT(PROC_CLIENT));
			assert_int_equal(d->to, PROC_BIT(PROC_CONTROL));
			assert_int_equal(d->kind, MSG_KIND_REQ);
			assert_int_equal(d->fd, MSG_FD_NO);
		}
		if (d->to & PROC_BIT(PROC_CLIENT))
			assert_true(d->from & PROC_BIT(PROC_CONTROL));
	}
}

/* Only the supervisor, and who streams bodies, passes descriptors. */
static void
test_who_passes_fds(void **state)
{
	uint32_t may = PROC_BIT(PROC_SUP) | PROC_BIT(PROC_IMAGE) |
	    PROC_BIT(PROC_PUSH) | PROC_BIT(PROC_PLAN);
	const struct msg_def *d;

	for (unsigned t = MSG_NONE + 1; t < MSG_MAX; t++) {
		d = msg_def(t);
		if (d->fd != MSG_FD_NO)
			assert_int_equal(d->from & ~may, 0);
		/* engine's connections come from the supervisor alone */
		if (d->fd != MSG_FD_NO && t != MSG_ENG_PUT &&
		    t != MSG_ENG_BUILD && (d->to & PROC_BIT(PROC_ENGINE)))
			assert_int_equal(d->from, PROC_BIT(PROC_SUP));
	}
}

static void
test_names(void **state)
{
	for (unsigned p = PROC_SUP; p < PROC_MAX; p++)
		assert_int_equal(proc_by_name(proc_name(p)), p);
	assert_string_equal(proc_name(PROC_MAX), "?");
	assert_string_equal(proc_name(UINT32_MAX), "?");
	assert_int_equal(proc_by_name(""), PROC_NONE);
	assert_int_equal(proc_by_name("nobody"), PROC_NONE);
	assert_int_equal(proc_by_name("none"), PROC_NONE);
	for (unsigned e = EVENT_NONE + 1; e < EVENT_MAX; e++) {
		assert_non_null(strchr(event_name(e), '.'));
		for (unsigned i = EVENT_NONE + 1; i < e; i++)
			assert_string_not_equal(event_name(i), event_name(e));
	}
	assert_string_equal(event_name(EVENT_NONE), "?");
	assert_string_equal(event_name(EVENT_MAX), "?");
	assert_string_equal(event_name(UINT32_MAX), "?");
	for (unsigned e = ERR_WORKER_LOST; e <= ERR_TIMEOUT; e++)
		assert_string_not_equal(err_name(e), "?");
	assert_string_equal(err_name(0), "?");
	assert_string_equal(err_name(ERR_TIMEOUT + 1), "?");
	assert_string_equal(err_name(UINT32_MAX), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_who_passes_fds),
		cmocka_unit_test(test_names),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
