/*
 * The plan worker (workers/plan): from a change to its end, as long as
 * nothing goes wrong.
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

/* Copies go at once, also while an action waits for quiet. */
static void
test_quiet_time(void **state)
{
	struct push steps = { .needs = NEED_STEPS, .files = 1 };
	struct bench *b = bench_up();
	int64_t waited = 0, quiet = 50;

	for (uint64_t i = 2; i < 40; i++) {
		watch_batch(b, 0, i, "package.json", NULL);
		push_does(b, MSG_APPLY, steps);
		bench_quiet(b);
		/* just before it would be quiet: another change */
		if (waited + quiet - 1 > 5000)
			break;
		bench_ms(b, quiet - 1);
		bench_quiet(b);
		waited += quiet - 1;
		quiet = quiet * 2 > 800 ? 800 : quiet * 2;
	}
	/* it has grown to the maximum, and patience has an end */
	assert_int_equal(quiet, 800);
	bench_ms(b, 5000 - waited - 1);
	bench_quiet(b);
	bench_ms(b, 1);
	push_does(b, MSG_STEPS, OK);
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	/* a single save waits a short time only */
	bench_ms(b, 1000);
	watch_batch(b, 0, 99, "package.json", NULL);
	push_does(b, MSG_APPLY, steps);
	bench_ms(b, 49);
	bench_quiet(b);
	bench_ms(b, 1);
	push_does(b, MSG_STEPS, OK);
	bench_free(b);
}

/* While git changes the tree, steps wait: until it is done, or for 5 s. */
static void
test_held(void **state)
{
	struct push steps = { .needs = NEED_STEPS, .files = 1 };
	struct bench *b = bench_up();

	watch_tree(b, TREE_SCANNED | TREE_HELD, 1);
	watch_batch(b, 0, 2, "package.json", NULL);
	push_does(b, MSG_APPLY, steps);
	bench_ms(b, 3000);
	bench_quiet(b);
	watch_tree(b, TREE_SCANNED, 2);
	push_does(b, MSG_STEPS, OK);
	bench_ms(b, 1000);
	assert_true(plan_in_step(bench_service(b)));
	/* a lock that stays */
	watch_tree(b, TREE_SCANNED | TREE_HELD, 2);
	watch_batch(b, 0, 3, "package.json", NULL);
	push_does(b, MSG_APPLY, steps);
	bench_ms(b, 4999);
	bench_quiet(b);
	bench_ms(b, 1);
	push_does(b, MSG_STEPS, OK);
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

static void
test_restart(void **state)
{
	struct push p = { .needs = NEED_RESTART, .files = 1, .restart_s = 100 };
	struct bench *b = bench_up();

	watch_batch(b, 0, 2, "main.py", NULL);
	push_does(b, MSG_APPLY, p);
	bench_quiet(b);
	bench_ms(b, 50);
	engine_inspect(b, 60);
	bench_ms(b, 7);
	engine_does(b, ENG_OP_RESTART, "c1");
	engine_inspect(b, 101);
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	assert_int_equal(b->events[EVENT_PUSH_RESTART], 1);
	assert_int_equal(b->events[EVENT_PUSH_END], 1);
	assert_int_equal(fields_u64(&(struct fields) { b->event
							   [EVENT_PUSH_RESTART]
							       .data,
					b->event[EVENT_PUSH_RESTART].len },
			     F_SEEN_TO_LIVE_US, 0),
	    57000);
	/* push says it again with its next answer */
	watch_batch(b, 0, 3, "other", NULL);
	push_does(b, MSG_APPLY, p);
	bench_ms(b, 1000);
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

/* "task already exists": a killed engine's container may be lost to it. */
static void
test_restart_refused_climbs(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	watch_batch(b, 0, 2, "main.py", NULL);
	push_does(b, MSG_APPLY,
	    (struct push) { .needs = NEED_RESTART,
		.files = 1,
		.restart_s = 100 });
	bench_ms(b, 50);
	for (int i = 0; i < 4; i++) {
		engine_inspect(b, 60);
		g = bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_RESTART);
		engine_error(b, g, 500, "task c1: already exists");
		bench_ms(b, 1000);
	}
	assert_string_equal(bench_service(b)->climbed,
	    "restarting the container: task c1: already exists");
	bench_expect(b, MSG_BUILD);
	bench_free(b);
}

/* Its clock is behind ours: StartedAt never gets past the copy. */
static void
test_restart_once_on_a_slow_clock(void **state)
{
	struct push p = { .needs = NEED_RESTART, .files = 1, .restart_s = 100 };
	struct bench *b = bench_up();

	watch_batch(b, 0, 2, "main.py", NULL);
	push_does(b, MSG_APPLY, p);
	bench_ms(b, 50);
	engine_inspect(b, 60);
	engine_does(b, ENG_OP_RESTART, "c1");
	engine_inspect(b, 70);
	assert_true(plan_in_step(bench_service(b)));
	watch_batch(b, 0, 3, "other", NULL);
	push_does(b, MSG_APPLY, p);
	bench_ms(b, 1000);
	bench_quiet(b);
	/* a newer copy is another matter */
	p.restart_s = 110;
	watch_batch(b, 0, 4, "main.py", NULL);
	push_does(b, MSG_APPLY, p);
	bench_ms(b, 1000);
	engine_inspect(b, 70);
	engine_does(b, ENG_OP_RESTART, "c1");
	bench_free(b);
}

/* Somebody restarted it by hand after the copy. */
static void
test_restart_not_needed(void **state)
{
	struct bench *b = bench_up();

	watch_batch(b, 0, 2, "main.py", NULL);
	push_does(b, MSG_APPLY,
	    (struct push) { .needs = NEED_RESTART,
		.files = 1,
		.restart_s = 100 });
	bench_ms(b, 50);
	engine_inspect(b, 105);
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	assert_int_equal(b->events[EVENT_PUSH_RESTART], 0);
	bench_free(b);
}

static void
test_climb(void **state)
{
	struct bench *b = bench_up();

	watch_batch(b, 0, 2, "Dockerfile", NULL);
	push_does(b, MSG_APPLY,
	    (struct push) { .result = RESULT_CLIMB,
		.reason = "Dockerfile: the Dockerfile has changed" });
	assert_true(event_says(b, EVENT_PUSH_END, F_RESULT, "climb"));
	bench_quiet(b);
	bench_ms(b, 50);
	bench_deploys(b, "c2", "c1");
	assert_true(event_says(b, EVENT_PUSH_CLIMB, F_REASON,
	    "Dockerfile: the Dockerfile has changed"));
	bench_attaches(b, "c2");
	assert_true(plan_in_step(bench_service(b)));
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 2);
	bench_free(b);
}

static void
test_events(void **state)
{
	struct bench *b = bench_up();
	struct fields t;

	watch_batch(b, 0, 2, "a", NULL);
	bench_ms(b, 3);
	push_does(b, MSG_APPLY, (struct push) { .files = 2 });
	assert_int_equal(b->events[EVENT_PUSH_END], 1);
	assert_true(event_says(b, EVENT_PUSH_END, F_RESULT, "ok"));
	assert_true(event_says(b, EVENT_PUSH_END, F_CONTAINER_ID, "c1"));
	t = (struct fields) { b->event[EVENT_PUSH_END].data,
		b->event[EVENT_PUSH_END].len };
	assert_int_equal(fields_u64(&t, F_FILES, 0), 2);
	assert_int_equal(fields_u64(&t, F_BYTES, 0), 20);
	assert_int_equal(fields_u64(&t, F_DELETED, 9), 0);
	assert_int_equal(fields_u64(&t, F_SEEN_TO_LIVE_US, 0), 3000);
	/* nothing came of it: nothing is told */
	watch_batch(b, 0, 3, "a", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_int_equal(b->events[EVENT_PUSH_END], 1);
	watch_batch(b, 0, 4, "a", NULL);
	push_does(b, MSG_APPLY,
	    (struct push) { .result = RESULT_FAILED, .reason = "disk full" });
	assert_int_equal(b->events[EVENT_PUSH_END], 2);
	assert_true(event_says(b, EVENT_PUSH_END, F_RESULT, "failed"));
	bench_free(b);
}

/* What makes it succeed may come while it fails. */
static void
test_changed_while_it_failed(void **state)
{
	struct bench *b = bench_up();
	struct push bad = { .result = RESULT_FAILED, .reason = "denied" };
	struct got *g;

	watch_batch(b, 0, 2, "a", NULL);
	g = bench_expect(b, MSG_APPLY);
	watch_batch(b, 0, 3, "a", NULL);
	push_done(b, g, bad);
	bench_quiet(b);
	bench_ms(b, 50);
	push_does(b, MSG_APPLY, bad);
	/* nothing came meanwhile: now it waits for a change */
	bench_ms(b, 10000);
	bench_quiet(b);
	assert_string_not_equal(plan_why(bench_service(b)), "");
	watch_batch(b, 0, 4, "a", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

/* What changed while it was read is looked at again, not in a hot loop. */
static void
test_again(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	watch_batch(b, 0, 2, "log", NULL);
	push_does(b, MSG_APPLY, (struct push) { .files = 1, .again = "log" });
	bench_quiet(b);
	assert_false(plan_in_step(bench_service(b)));
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 1);
	bench_ms(b, 50);
	g = push_does(b, MSG_APPLY, OK);
	assert_true(got_has(g, F_PATH, "log"));
	assert_true(plan_in_step(bench_service(b)));
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 2);
	bench_free(b);
}

/* A change in the middle of a job goes with the next one. */
static void
test_change_during_a_push(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	watch_batch(b, 0, 2, "a", NULL);
	g = bench_expect(b, MSG_APPLY);
	watch_batch(b, 0, 3, "b", NULL);
	watch_batch(b, 0, 4, "c", NULL);
	bench_quiet(b);
	push_done(b, g, OK);
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 1);
	g = push_does(b, MSG_APPLY, OK);
	assert_false(got_has(g, F_PATH, "a"));
	assert_true(got_has(g, F_PATH, "b"));
	assert_true(got_has(g, F_PATH, "c"));
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 4);
	bench_free(b);
}

/* More paths than a frame holds. */
static void
test_many_paths(void **state)
{
	struct bench *b = bench_up();
	char path[4000];
	size_t apply = 0, follow = 0, paths = 0;
	struct got *first;

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	watch_batch(b, 0, 2, "a", NULL);
	first = bench_expect(b, MSG_APPLY);
	for (uint64_t i = 3; i < 63; i++)
		watch_batch(b, 0, i, path, "b", NULL);
	push_done(b, first, OK);
	bench_settle(b);
	for (size_t i = 0; i < b->n; i++) {
		struct got *g = &b->got[i];
		struct fields t = { g->tail.data, g->tail.len };

		if (g->done ||
		    (g->head.type != MSG_APPLY &&
			g->head.type != MSG_APPLY_PATHS))
			continue;
		apply += g->head.type == MSG_APPLY;
		follow += g->head.type == MSG_APPLY_PATHS;
		paths += fields_count(&t, F_PATH);
		assert_int_equal((g->head.flags & F_MORE) != 0, paths < 120);
	}
	assert_int_equal(apply, 1);
	assert_true(follow > 0);
	assert_int_equal(paths, 120);
	push_done(b, bench_expect(b, MSG_APPLY), OK);
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

static void
test_died_by_itself(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);

	engine_event(b, "c1", "die");
	engine_inspect(b, 0);
	bench_ms(b, 5000);
	bench_quiet(b);
	assert_false(plan_in_step(s));
	assert_string_equal(plan_why(s), "the container is not running");
	assert_int_equal(b->events[EVENT_CONTAINER_EXIT], 1);
	/* a change that brings nothing into it does not start it */
	watch_batch(b, 0, 2, ".gitignore", NULL);
	push_does(b, MSG_APPLY, OK);
	bench_quiet(b);
	watch_batch(b, 0, 3, "main.py", NULL);
	push_does(b, MSG_APPLY, (struct push) { .files = 1 });
	engine_does(b, ENG_OP_START, "c1");
	engine_inspect(b, 90);
	bench_quiet(b);
	assert_true(plan_in_step(s));
	bench_free(b);
}

static void
test_removed_by_somebody(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);

	engine_event(b, "c1", "destroy");
	engine_error(b, bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_CONTAINER),
	    404, "No such container: c1");
	bench_ms(b, 5000);
	bench_quiet(b);
	assert_false(plan_in_step(s));
	assert_non_null(strstr(plan_why(s), "was removed"));
	watch_batch(b, 0, 2, "a", NULL);
	bench_ms(b, 50);
	image_builds(b);
	bench_creates(b, "c2");
	engine_does(b, ENG_OP_RENAME, "c2");
	engine_does(b, ENG_OP_START, "c2");
	engine_done(b, bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE),
	    200, NULL);
	bench_attaches(b, "c2");
	assert_true(plan_in_step(s));
	bench_free(b);
}

static void
test_paused(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);
	struct got *g;

	engine_event(b, "c1", "pause");
	g = bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_CONTAINER);
	engine_done(b, g, 200,
	    "{\"State\":{\"StartedAt\":"
	    "\"1970-01-01T00:01:00Z\",\"Running\":true,\"Paused\":true}}");
	assert_false(plan_in_step(s));
	watch_batch(b, 0, 2, "a", NULL);
	bench_ms(b, 1000);
	bench_quiet(b);
	assert_string_equal(plan_why(s), "the container is paused");
	engine_event(b, "c1", "unpause");
	engine_inspect(b, 60);
	push_does(b, MSG_APPLY, OK);
	assert_true(plan_in_step(s));
	bench_free(b);
}

static void
test_root_gone(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);

	watch_batch(b, 0, 2, "a", NULL);
	watch_tree(b, TREE_ROOT_GONE, 2);
	push_done(b, bench_expect(b, MSG_APPLY), OK);
	watch_batch(b, 0, 3, "b", NULL);
	bench_ms(b, 1000);
	bench_quiet(b);
	assert_false(plan_in_step(s));
	assert_string_equal(plan_why(s), "the directory is gone");
	/* a new generation reads the directory that is there now */
	watch_lost(b);
	watch_tree(b, TREE_SCANNED, 1);
	push_does(b, MSG_APPLY, OK);
	watch_batch(b, 0, 1, "*", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_true(plan_in_step(s));
	bench_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quiet_time),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_refused_climbs),
		cmocka_unit_test(test_restart_once_on_a_slow_clock),
		cmocka_unit_test(test_restart_not_needed),
		cmocka_unit_test(test_climb),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_changed_while_it_failed),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_change_during_a_push),
		cmocka_unit_test(test_many_paths),
		cmocka_unit_test(test_died_by_itself),
		cmocka_unit_test(test_removed_by_somebody),
		cmocka_unit_test(test_paused),
		cmocka_unit_test(test_root_gone),
	};

	return (cmocka_run_group_tests_name("plan", tests, NULL, NULL));
}
