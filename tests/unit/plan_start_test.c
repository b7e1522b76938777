/*
 * The plan worker (workers/plan) when it starts: from what it finds on the
 * engine to the service in step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/plan_fake.h"

static const struct push OK = { .result = RESULT_OK };

static bool
event_says(struct bench *b, enum event_kind kind, enum field_key key,
    const char *value)
{
	struct got g = { .tail = b->event[kind] };

	return (got_has(&g, key, value));
}

static void
test_first_start(void **state)
{
	struct bench *b = bench_new(1);

	bench_quiet(b);
	watch_tree(b, TREE_SCANNED, 1);
	watch_batch(b, BATCH_SCAN, 1, "*", NULL);
	engine_state(b, ENG_STATE_UP);
	engine_list(b, "");
	bench_ms(b, 60);
	bench_replaces(b, "c1", NULL);
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 1);
	assert_int_equal(b->events[EVENT_CONTAINER_CREATE], 1);
	assert_int_equal(b->events[EVENT_SERVICE_IN_STEP], 1);
	bench_free(b);
}

/* The whole of it is under way while nothing has been scanned yet. */
static void
test_in_step_needs_the_scan(void **state)
{
	struct bench *b = bench_new(1);
	struct service *s = bench_service(b);

	bench_finds(b, bench_item("c1", "/app", "running"));
	push_does(b, MSG_APPLY, OK);
	assert_false(plan_in_step(s));
	assert_string_equal(plan_why(s), "the directory is being read");
	/* scanned, but what it found is not out yet */
	watch_tree(b, TREE_SCANNED, 3);
	assert_false(plan_in_step(s));
	watch_batch(b, BATCH_SCAN, 2, "a", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_false(plan_in_step(s));
	watch_batch(b, 0, 3, NULL);
	assert_true(plan_in_step(s));
	bench_free(b);
}

static void
test_plan_restart(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	bench_restart(b);
	watch_tree(b, TREE_SCANNED, 1);
	engine_state(b, ENG_STATE_UP);
	engine_list(b, bench_item("c1", "/app", "running"));
	engine_inspect(b, 60);
	g = push_does(b, MSG_ATTACH, (struct push) { .known = 1 });
	assert_false(g->fd);
	assert_true(got_has(g, F_CONTAINER_ID, "c1"));
	g = push_does(b, MSG_APPLY, OK);
	assert_true(got_has(g, F_SUBTREE, ""));
	watch_batch(b, 0, 1, NULL);
	bench_ms(b, 1000);
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 1);
	assert_int_equal(b->builds, 0);
	bench_free(b);
}

static void
test_unknown_content(void **state)
{
	struct bench *b = bench_new(1);

	watch_tree(b, TREE_SCANNED, 0);
	engine_state(b, ENG_STATE_UP);
	engine_list(b, bench_item("c1", "/app", "running"));
	engine_inspect(b, 60);
	push_does(b, MSG_ATTACH, (struct push) { .known = 0 });
	bench_replaces(b, "c2", "c1");
	assert_true(event_says(b, EVENT_PUSH_CLIMB, F_REASON,
	    "what the container holds is not known"));
	bench_free(b);
}

static void
test_stopped_container_is_started(void **state)
{
	struct bench *b = bench_new(1);

	watch_tree(b, TREE_SCANNED, 0);
	engine_state(b, ENG_STATE_UP);
	engine_list(b, bench_item("c1", "/app", "exited"));
	engine_inspect(b, 0);
	push_does(b, MSG_ATTACH, (struct push) { .known = 1 });
	engine_does(b, ENG_OP_START, "c1");
	engine_inspect(b, 90);
	push_does(b, MSG_APPLY, OK);
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

static void
test_leftovers(void **state)
{
	struct bench *b = bench_new(1);
	char items[800] = "";

	strlcat(items, bench_item("c0", BENCH_OLD, "exited"), sizeof(items));
	strlcat(items, ",", sizeof(items));
	strlcat(items, bench_item("c1", "/app", "running"), sizeof(items));
	strlcat(items, ",", sizeof(items));
	strlcat(items, bench_item("c2", BENCH_NEXT, "created"), sizeof(items));
	engine_state(b, ENG_STATE_UP);
	engine_list(b, items);
	engine_does(b, ENG_OP_REMOVE, "c0");
	engine_does(b, ENG_OP_REMOVE, "c2");
	engine_inspect(b, 60);
	push_does(b, MSG_ATTACH, (struct push) { .known = 1 });
	bench_free(b);
}

/* Died after the old one was put aside, before the new one was started. */
static void
test_cut_short(void **state)
{
	struct bench *b = bench_new(1);
	char items[800] = "";
	struct got *g;

	strlcat(items, bench_item("c2", "/app", "created"), sizeof(items));
	strlcat(items, ",", sizeof(items));
	strlcat(items, bench_item("c1", BENCH_OLD, "exited"), sizeof(items));
	engine_state(b, ENG_STATE_UP);
	engine_list(b, items);
	engine_does(b, ENG_OP_REMOVE, "c2");
	g = bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_RENAME);
	assert_true(got_has(g, F_CONTAINER_ID, "c1"));
	assert_true(got_has(g, F_NAME, "app"));
	engine_done(b, g, 204, NULL);
	engine_does(b, ENG_OP_START, "c1");
	bench_ms(b, 60);
	engine_list(b, bench_item("c1", "/app", "running"));
	engine_inspect(b, 60);
	push_does(b, MSG_ATTACH, (struct push) { .known = 1 });
	bench_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_start),
		cmocka_unit_test(test_in_step_needs_the_scan),
		cmocka_unit_test(test_plan_restart),
		cmocka_unit_test(test_unknown_content),
		cmocka_unit_test(test_stopped_container_is_started),
		cmocka_unit_test(test_leftovers),
		cmocka_unit_test(test_cut_short),
	};

	return (cmocka_run_group_tests_name("plan", tests, NULL, NULL));
}
