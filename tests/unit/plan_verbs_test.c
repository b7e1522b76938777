/*
 * The plan worker (workers/plan): what people ask of it, and its end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

#include "tests/unit/plan_fake.h"

static const struct push OK = { .result = RESULT_OK };

static struct msg_job
job_of(const struct got *g)
{
	struct msg_job m;

	memcpy(&m, g->fixed, sizeof(m));
	return (m);
}

static void
test_sync(void **state)
{
	struct bench *b = bench_up();
	uint32_t id = control_do(b, DO_SYNC, "web");

	bench_settle(b);
	assert_false(bench_is_answered(b, id));
	watch_synced(b, 1);
	assert_int_equal(bench_answered(b, id, NULL, 0), EX_OK);
	/* a change that watch has seen and plan has not */
	id = control_do(b, DO_SYNC, "web");
	watch_synced(b, 3);
	assert_false(bench_is_answered(b, id));
	watch_batch(b, 0, 2, "a", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_false(bench_is_answered(b, id));
	watch_batch(b, 0, 3, "b", NULL);
	assert_false(bench_is_answered(b, id));
	push_does(b, MSG_APPLY, (struct push) { .needs = NEED_STEPS });
	assert_false(bench_is_answered(b, id));
	bench_ms(b, 100);
	push_does(b, MSG_STEPS, OK);
	assert_int_equal(bench_answered(b, id, NULL, 0), EX_OK);
	bench_free(b);
}

/* The number is out with a batch that has no paths. */
static void
test_sync_empty_batch(void **state)
{
	struct bench *b = bench_up();
	uint32_t id = control_do(b, DO_SYNC, "web");

	watch_synced(b, 7);
	watch_batch(b, 0, 7, NULL);
	assert_int_equal(bench_answered(b, id, NULL, 0), EX_OK);
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 2);
	bench_free(b);
}

static void
test_sync_blocked(void **state)
{
	struct bench *b = bench_up();
	char text[256];
	uint32_t id;

	watch_batch(b, 0, 2, "a", NULL);
	push_does(b, MSG_APPLY,
	    (struct push) { .result = RESULT_FAILED, .reason = "no space" });
	id = control_do(b, DO_SYNC, "web");
	/* what is on its way may unblock it */
	watch_synced(b, 3);
	assert_false(bench_is_answered(b, id));
	watch_batch(b, 0, 3, "a", NULL);
	assert_false(bench_is_answered(b, id));
	push_does(b, MSG_APPLY,
	    (struct push) { .result = RESULT_FAILED,
		.reason = "still no space" });
	assert_int_equal(bench_answered(b, id, text, sizeof(text)),
	    EX_UNAVAILABLE);
	assert_string_equal(text, "pushing: still no space");
	bench_free(b);
}

static void
test_sync_dead_container(void **state)
{
	struct bench *b = bench_up();
	char text[256];
	uint32_t id;

	engine_event(b, "c1", "die");
	engine_inspect(b, 0);
	id = control_do(b, DO_SYNC, "web");
	watch_synced(b, 1);
	assert_int_equal(bench_answered(b, id, text, sizeof(text)),
	    EX_UNAVAILABLE);
	assert_string_equal(text, "the container is not running");
	bench_free(b);
}

static void
test_sync_root_gone(void **state)
{
	struct bench *b = bench_up();
	char text[256];
	uint32_t id = control_do(b, DO_SYNC, "web");

	watch_tree(b, TREE_ROOT_GONE, 1);
	watch_synced(b, 1);
	assert_int_equal(bench_answered(b, id, text, sizeof(text)),
	    EX_UNAVAILABLE);
	assert_string_equal(text, "the directory is gone");
	bench_free(b);
}

/* It waits for the engine, which comes back. */
static void
test_sync_engine_away(void **state)
{
	struct bench *b = bench_up();
	uint32_t id = control_do(b, DO_SYNC, "web");

	engine_state(b, ENG_STATE_DOWN);
	watch_synced(b, 1);
	bench_ms(b, 5000);
	assert_false(bench_is_answered(b, id));
	engine_state(b, ENG_STATE_UP);
	engine_list(b, bench_item("c1", "/app", "running"));
	assert_false(bench_is_answered(b, id));
	engine_inspect(b, 60);
	assert_int_equal(bench_answered(b, id, NULL, 0), EX_OK);
	bench_free(b);
}

/* The barrier of a watch that died says nothing about the next one. */
static void
test_sync_watch_lost(void **state)
{
	struct bench *b = bench_up();
	uint32_t first = control_do(b, DO_SYNC, "web"), second;

	watch_synced(b, 50);
	second = control_do(b, DO_SYNC, "web");
	watch_lost(b);
	bench_lost(b, bench_expect(b, MSG_WATCH_SYNC));
	/* both barriers are asked for anew */
	watch_tree(b, TREE_SCANNED, 2);
	watch_synced(b, 2);
	watch_synced(b, 3);
	watch_batch(b, BATCH_SCAN, 2, "*", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_true(
	    bench_is_answered(b, first) != bench_is_answered(b, second));
	watch_batch(b, 0, 3, NULL);
	assert_int_equal(bench_answered(b, first, NULL, 0), EX_OK);
	assert_int_equal(bench_answered(b, second, NULL, 0), EX_OK);
	bench_free(b);
}

static void
test_sync_watch_refuses(void **state)
{
	struct bench *b = bench_up();
	uint32_t id = control_do(b, DO_SYNC, "web");

	bench_err(b, bench_expect(b, MSG_WATCH_SYNC), ERR_BUSY);
	bench_quiet(b);
	assert_int_equal(bench_answered(b, id, NULL, 0), EX_UNAVAILABLE);
	bench_free(b);
}

static void
test_cancel(void **state)
{
	struct bench *b = bench_up();
	uint32_t one = control_do(b, DO_SYNC, "web"), two;
	struct got *g = bench_expect(b, MSG_WATCH_SYNC);

	bench_note(b, PROC_CONTROL, MSG_CANCEL, one, NULL, NULL);
	assert_true(g->cancelled);
	two = control_do(b, DO_SYNC, "web");
	watch_synced(b, 5);
	bench_note(b, PROC_CONTROL, MSG_CANCEL, two, NULL, NULL);
	watch_batch(b, 0, 5, NULL);
	/* nobody waits, and the requests are over */
	assert_true(bench_is_answered(b, one));
	assert_true(bench_is_answered(b, two));
	assert_null(bench_service(b)->waiters);
	bench_free(b);
}

/* Without a name all services are meant, and the worst one answers. */
static void
test_all_services(void **state)
{
	struct bench *b = bench_new(2);
	char text[256];
	uint32_t id;

	watch_tree(b, TREE_SCANNED, 0);
	engine_state(b, ENG_STATE_UP);
	engine_list(b, bench_item("c1", "/app", "running"));
	engine_error(b, bench_expect(b, MSG_ENG_LIST), 500, "broken");
	engine_inspect(b, 60);
	push_does(b, MSG_ATTACH, (struct push) { .known = 1 });
	push_does(b, MSG_APPLY, OK);
	id = control_do(b, DO_SYNC, "web");
	watch_synced(b, 0);
	assert_int_equal(bench_answered(b, id, NULL, 0), EX_OK);
	id = control_do(b, DO_SYNC, NULL);
	watch_synced(b, 0);
	assert_false(bench_is_answered(b, id));
	watch_synced(b, 0);
	assert_int_equal(bench_answered(b, id, text, sizeof(text)),
	    EX_UNAVAILABLE);
	assert_string_equal(text, "db: listing the containers: broken");
	id = control_do(b, DO_SYNC, "nobody");
	bench_settle(b);
	assert_int_equal(b->got[b->n - 1].head.id, id);
	assert_int_equal(b->got[b->n - 1].head.type, MSG_ERR);
	bench_free(b);
}

static void
test_do_push(void **state)
{
	struct bench *b = bench_up();
	struct got *g;
	uint32_t id;

	/* asked for in the middle of a job that is none of everything */
	watch_batch(b, 0, 2, "a", NULL);
	g = bench_expect(b, MSG_APPLY);
	id = control_do(b, DO_PUSH, "web");
	push_done(b, g, OK);
	watch_synced(b, 2);
	g = bench_expect(b, MSG_APPLY);
	assert_int_equal(job_of(g).flags, JOB_WHOLE);
	assert_true(got_has(g, F_SUBTREE, ""));
	/* push dies: it is still all that has to be delivered */
	bench_lost(b, g);
	bench_ms(b, 50);
	g = bench_expect(b, MSG_APPLY);
	assert_int_equal(job_of(g).flags, JOB_WHOLE);
	assert_false(bench_is_answered(b, id));
	push_done(b, g, OK);
	assert_int_equal(bench_answered(b, id, NULL, 0), EX_OK);
	bench_free(b);
}

static void
test_do_restart(void **state)
{
	struct bench *b = bench_up();
	uint32_t one = control_do(b, DO_RESTART, "web"), two;
	struct got *g;

	engine_inspect(b, 60);
	watch_synced(b, 1);
	g = bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_RESTART);
	/* the second order means a restart that begins after it */
	two = control_do(b, DO_RESTART, "web");
	watch_synced(b, 1);
	engine_done(b, g, 204, NULL);
	engine_inspect(b, 80);
	engine_inspect(b, 80);
	engine_does(b, ENG_OP_RESTART, "c1");
	engine_inspect(b, 90);
	assert_int_equal(bench_answered(b, one, NULL, 0), EX_OK);
	assert_int_equal(bench_answered(b, two, NULL, 0), EX_OK);
	bench_quiet(b);
	assert_int_equal(b->events[EVENT_PUSH_RESTART], 2);
	bench_free(b);
}

/* Refused: said once, and not done at the next opportunity. */
static void
test_do_restart_refused(void **state)
{
	struct bench *b = bench_up();
	uint32_t id = control_do(b, DO_RESTART, "web");
	char text[256];

	engine_inspect(b, 60);
	watch_synced(b, 1);
	engine_error(b, bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_RESTART),
	    500, "cannot");
	assert_int_equal(bench_answered(b, id, text, sizeof(text)),
	    EX_UNAVAILABLE);
	assert_string_equal(text, "restarting the container: cannot");
	watch_batch(b, 0, 2, "a", NULL);
	push_does(b, MSG_APPLY, OK);
	bench_ms(b, 1000);
	bench_quiet(b);
	bench_free(b);
}

static void
test_do_rebuild(void **state)
{
	struct bench *b = bench_up();
	uint32_t one = control_do(b, DO_REBUILD, "web"), two;
	struct got *g = bench_expect(b, MSG_BUILD);

	watch_synced(b, 1);
	assert_int_equal(job_of(g).flags, JOB_NO_CACHE);
	g->done = false;
	/* the engine goes away: again, and again without the cache */
	image_fails(b, RESULT_RETRY, "engine");
	bench_ms(b, 50);
	g = bench_expect(b, MSG_BUILD);
	assert_int_equal(job_of(g).flags, JOB_NO_CACHE);
	g->done = false;
	/* a second order during the build */
	two = control_do(b, DO_REBUILD, "web");
	bench_deploys(b, "c2", "c1");
	watch_synced(b, 1);
	engine_inspect(b, 60);
	g = bench_expect(b, MSG_BUILD);
	assert_int_equal(job_of(g).flags, JOB_NO_CACHE);
	g->done = false;
	bench_deploys(b, "c3", "c2");
	bench_attaches(b, "c3");
	assert_int_equal(bench_answered(b, one, NULL, 0), EX_OK);
	assert_int_equal(bench_answered(b, two, NULL, 0), EX_OK);
	bench_free(b);
}

static void
test_do_rebuild_fails(void **state)
{
	struct bench *b = bench_up();
	uint32_t id = control_do(b, DO_REBUILD, "web");
	char text[256];

	image_fails(b, RESULT_FAILED, "no");
	assert_false(bench_is_answered(b, id));
	watch_synced(b, 1);
	assert_int_equal(bench_answered(b, id, text, sizeof(text)),
	    EX_UNAVAILABLE);
	assert_string_equal(text, "the build failed: no");
	bench_free(b);
}

/* The end. */

static void
end_removes(struct bench *b, const char *id)
{
	struct got *g;

	engine_does(b, ENG_OP_REMOVE, id);
	assert_false(bench_ended(b));
	g = bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE);
	engine_done(b, g, 200, NULL);
}

static void
test_stop(void **state)
{
	struct bench *b = bench_up();

	bench_stop(b);
	assert_false(bench_ended(b));
	end_removes(b, "c1");
	assert_true(bench_ended(b));
	assert_int_equal(b->events[EVENT_CONTAINER_REMOVE], 1);
	bench_quiet(b);
	bench_free(b);
}

static void
test_stop_keep(void **state)
{
	struct bench *b = bench_up();

	b->services[0].flags = SERVICE_KEEP;
	bench_stop(b);
	bench_quiet(b);
	assert_true(bench_ended(b));
	bench_free(b);
}

/* Long work is cut short, and its late answer does nothing. */
static void
test_stop_during_a_job(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	watch_batch(b, 0, 2, "a", NULL);
	g = bench_expect(b, MSG_APPLY);
	bench_stop(b);
	assert_true(g->cancelled);
	assert_int_equal(b->events[EVENT_PUSH_CANCEL], 1);
	push_done(b, g, (struct push) { .result = RESULT_CANCELLED });
	end_removes(b, "c1");
	assert_true(bench_ended(b));
	bench_free(b);
}

static void
test_stop_during_a_build(void **state)
{
	struct bench *b = bench_new(1);
	struct got *g;

	engine_state(b, ENG_STATE_UP);
	engine_list(b, "");
	g = bench_expect(b, MSG_BUILD);
	bench_stop(b);
	assert_true(g->cancelled);
	assert_true(bench_ended(b));
	bench_quiet(b);
	bench_free(b);
}

/* At each step of a replacement; what is there at the end goes. */
static void
test_stop_during_a_replacement(void **state)
{
	static const enum eng_op ops[] = { ENG_OP_STOP, ENG_OP_RENAME,
		ENG_OP_RENAME, ENG_OP_START, ENG_OP_REMOVE };
	static const char *const ids[] = { "c1", "c1", "c2", "c2", "c1" };

	for (size_t cut = 0; cut < 5; cut++) {
		struct bench *b = bench_up();

		control_do(b, DO_REBUILD, "web");
		image_builds(b);
		watch_synced(b, 1);
		bench_creates(b, "c2");
		for (size_t i = 0; i < 5; i++) {
			if (i == cut)
				bench_stop(b);
			assert_false(bench_ended(b));
			engine_does(b, ops[i], ids[i]);
		}
		engine_done(b,
		    bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE),
		    200, NULL);
		assert_false(bench_ended(b));
		end_removes(b, "c2");
		assert_true(bench_ended(b));
		bench_free(b);
	}
}

/* Before anything of the old one was touched: not begun at all. */
static void
test_stop_before_a_replacement(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	control_do(b, DO_REBUILD, "web");
	image_builds(b);
	watch_synced(b, 1);
	g = bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_IMAGE);
	bench_stop(b);
	engine_done(b, g, 200, "{\"Config\":{}}");
	end_removes(b, "c1");
	/* and the image that nothing was made of */
	g = bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE);
	assert_true(got_has(g, F_IMAGE_ID, b->built));
	engine_done(b, g, 200, NULL);
	assert_true(bench_ended(b));
	bench_free(b);
}

static void
test_stop_engine_away(void **state)
{
	struct bench *b = bench_up();

	engine_state(b, ENG_STATE_DOWN);
	bench_stop(b);
	assert_true(bench_ended(b));
	bench_free(b);
	/* with a request that waits in it */
	b = bench_up();
	engine_event(b, "c1", "die");
	bench_expect(b, MSG_ENG_INSPECT);
	engine_state(b, ENG_STATE_DOWN);
	bench_stop(b);
	assert_true(bench_ended(b));
	bench_free(b);
	/* it goes after the request */
	b = bench_up();
	bench_stop(b);
	bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_REMOVE);
	assert_false(bench_ended(b));
	engine_state(b, ENG_STATE_DOWN);
	assert_true(bench_ended(b));
	bench_free(b);
}

/* Not listed yet: what is there is looked up, and goes. */
static void
test_stop_early(void **state)
{
	struct bench *b = bench_new(1);

	engine_state(b, ENG_STATE_UP);
	bench_err(b, bench_expect(b, MSG_ENG_LIST), ERR_WORKER_LOST);
	bench_stop(b);
	engine_list(b, bench_item("c1", "/app", "running"));
	end_removes(b, "c1");
	assert_true(bench_ended(b));
	bench_free(b);
	/* one refusal is enough */
	b = bench_new(1);
	engine_state(b, ENG_STATE_UP);
	bench_err(b, bench_expect(b, MSG_ENG_LIST), ERR_WORKER_LOST);
	bench_stop(b);
	engine_error(b, bench_expect(b, MSG_ENG_LIST), 500, "no");
	bench_quiet(b);
	assert_true(bench_ended(b));
	bench_free(b);
}

static void
test_stop_refused(void **state)
{
	struct bench *b = bench_up();

	bench_stop(b);
	engine_error(b, bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_REMOVE),
	    500, "device busy");
	engine_error(b, bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE),
	    409, "in use");
	bench_quiet(b);
	assert_true(bench_ended(b));
	assert_int_equal(b->events[EVENT_CONTAINER_REMOVE], 0);
	bench_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_sync_empty_batch),
		cmocka_unit_test(test_sync_blocked),
		cmocka_unit_test(test_sync_dead_container),
		cmocka_unit_test(test_sync_root_gone),
		cmocka_unit_test(test_sync_engine_away),
		cmocka_unit_test(test_sync_watch_lost),
		cmocka_unit_test(test_sync_watch_refuses),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_all_services),
		cmocka_unit_test(test_do_push),
		cmocka_unit_test(test_do_restart),
		cmocka_unit_test(test_do_restart_refused),
		cmocka_unit_test(test_do_rebuild),
		cmocka_unit_test(test_do_rebuild_fails),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_stop_keep),
		cmocka_unit_test(test_stop_during_a_job),
		cmocka_unit_test(test_stop_during_a_build),
		cmocka_unit_test(test_stop_during_a_replacement),
		cmocka_unit_test(test_stop_before_a_replacement),
		cmocka_unit_test(test_stop_engine_away),
		cmocka_unit_test(test_stop_early),
		cmocka_unit_test(test_stop_refused),
	};

	return (cmocka_run_group_tests_name("plan_verbs", tests, NULL, NULL));
}
