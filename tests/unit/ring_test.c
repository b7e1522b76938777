/*
 * The event ring, its counter and the permission table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "workers/control/counter.h"
#include "workers/control/ring.h"
#include "workers/control/verb.h"

static void
add(struct ring *r, size_t text_len)
{
	static char text[RING_FIELDS_MAX + 1024];
	struct msg_event m = { .kind = EVENT_PUSH_COPY };
	struct buf b = { 0 };
	struct fields t;

	memset(text, 'x', sizeof(text));
	fields_add_mem(&b, F_TEXT, text, text_len);
	fields_add_u64(&b, F_JOB, 7);
	t = (struct fields) { b.data, b.len };
	ring_add(r, &m, &t);
	buf_free(&b);
}

static void
numbers_go_on_from_the_first(void **state)
{
	struct ring *r = ring_new(1 << 20, 4, 41);

	assert_int_equal(ring_first(r), 41);
	assert_int_equal(ring_next(r), 41);
	assert_null(ring_get(r, 41));
	add(r, 1);
	assert_int_equal(ring_first(r), 41);
	assert_int_equal(ring_next(r), 42);
	assert_non_null(ring_get(r, 41));
	assert_int_equal(ring_get(r, 41)->seq, 41);
	assert_null(ring_get(r, 40));
	assert_null(ring_get(r, 42));
	ring_free(r);
}

static void
count_bounds_it_and_the_oldest_go(void **state)
{
	struct ring *r = ring_new(1 << 20, 4, 1);

	for (int i = 0; i < 1000; i++)
		add(r, 3);
	assert_int_equal(ring_next(r), 1001);
	assert_int_equal(ring_first(r), 997);
	for (uint64_t seq = 997; seq < 1001; seq++)
		assert_int_equal(ring_get(r, seq)->seq, seq);
	assert_null(ring_get(r, 996));
	ring_free(r);
}

static void
bytes_bound_it(void **state)
{
	struct ring *r = ring_new(10000, 1000, 1);
	size_t bytes = 0;

	for (int i = 0; i < 100; i++)
		add(r, 900);
	for (uint64_t s = ring_first(r); s < ring_next(r); s++)
		bytes += sizeof(struct ring_event) + ring_get(r, s)->len;
	assert_true(bytes <= 10000);
	assert_true(bytes > 8000);
	ring_free(r);
}

static void
what_is_too_long_is_left_out_whole(void **state)
{
	struct ring *r = ring_new(1 << 20, 10, 1);
	const struct ring_event *e;
	struct fields t;

	add(r, RING_FIELDS_MAX + 1000);
	e = ring_get(r, 1);
	t = (struct fields) { e->fields, e->len };
	assert_true(e->len <= RING_FIELDS_MAX);
	assert_true(fields_valid(&t));
	assert_int_equal(fields_count(&t, F_TEXT), 0);
	assert_int_equal(fields_u64(&t, F_JOB, 0), 7);
	ring_free(r);
}

static void
counter_survives_and_is_not_believed(void **state)
{
	uint64_t mem = 0;
	struct conf_mem m = { .kind = MEM_COUNTER,
		.size = sizeof(mem),
		.map = &mem };

	assert_int_equal(counter_load(NULL), 1);
	assert_int_equal(counter_load(&m), 1);
	counter_store(&m, 1234);
	assert_int_equal(mem, 1234);
	assert_int_equal(counter_load(&m), 1234);
	mem = COUNTER_MAX;
	assert_true(counter_load(&m) == COUNTER_MAX);
	mem = COUNTER_MAX + 1;
	assert_int_equal(counter_load(&m), 1);
	mem = UINT64_MAX;
	assert_int_equal(counter_load(&m), 1);
	m.size = 4; /* too small to hold it: not touched */
	counter_store(&m, 5);
	assert_true(mem == UINT64_MAX);
	assert_int_equal(counter_load(&m), 1);
	counter_store(NULL, 5);
}

static void
permissions(void **state)
{
	static const struct {
		enum msg_type type;
		uint32_t verb;
		enum verb_level level;
	} rows[] = {
		{ MSG_CTL_STATUS, 0, VERB_READ },
		{ MSG_CTL_MONITOR, 0, VERB_READ },
		{ MSG_CTL_DO, DO_SYNC, VERB_READ },
		{ MSG_CTL_DO, DO_PUSH, VERB_ADMIN },
		{ MSG_CTL_DO, DO_RESTART, VERB_ADMIN },
		{ MSG_CTL_DO, DO_REBUILD, VERB_ADMIN },
		{ MSG_CTL_DO, 0, VERB_NONE },
		{ MSG_CTL_DO, 99, VERB_NONE },
		{ MSG_CTL_STOP, 0, VERB_ADMIN },
		{ MSG_CTL_RELOAD, 0, VERB_ADMIN },
		{ MSG_RELOAD, 0, VERB_NONE },
		{ MSG_DAEMON_STOP, 0, VERB_NONE },
		{ MSG_EVENT, 0, VERB_NONE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(verb_level(rows[i].type, rows[i].verb),
		    rows[i].level);
	assert_true(verb_allowed(VERB_READ, 1234, 1000));
	assert_false(verb_allowed(VERB_ADMIN, 1234, 1000));
	assert_true(verb_allowed(VERB_ADMIN, 1000, 1000));
	assert_true(verb_allowed(VERB_ADMIN, 0, 1000));
	assert_false(verb_allowed(VERB_NONE, 0, 0));
	/* every request a client can send has a row */
	for (unsigned t = MSG_NONE + 1; t < MSG_MAX; t++)
		if (msg_def(t)->from & PROC_BIT(PROC_CLIENT))
			assert_int_not_equal(verb_level(t, DO_SYNC), VERB_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_go_on_from_the_first),
		cmocka_unit_test(count_bounds_it_and_the_oldest_go),
		cmocka_unit_test(bytes_bound_it),
		cmocka_unit_test(what_is_too_long_is_left_out_whole),
		cmocka_unit_test(counter_survives_and_is_not_believed),
		cmocka_unit_test(permissions),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
