/*
 * The plan worker (workers/plan) when processes or the engine go away in the
 * middle, or answer what they should not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/plan_fake.h"

static const struct push OK = { .result = RESULT_OK };
static const struct push CLIMB = { .result = RESULT_CLIMB,
	.reason = "it cannot be copied" };

/* Engine. */

/* The request fails, the engine goes and comes: all is listed anew. */
static void
engine_bounces(struct bench *b, const struct got *g)
{
	bench_err(b, g, ERR_ENGINE);
	bench_quiet(b);
	engine_state(b, ENG_STATE_DOWN);
	bench_ms(b, 60000);
	bench_quiet(b);
	assert_string_equal(plan_why(bench_service(b)), "the engine is away");
	engine_state(b, ENG_STATE_UP);
	engine_list(b, bench_item("c1", "/app", "running"));
	engine_inspect(b, 60);
}

static void
test_engine_down_in_list_and_inspect(void **state)
{
	struct bench *b = bench_new(1);

	engine_state(b, ENG_STATE_UP);
	engine_bounces(b, bench_expect(b, MSG_ENG_LIST));
	push_does(b, MSG_ATTACH, (struct push) { .known = 1 });
	push_does(b, MSG_APPLY, OK);
	engine_event(b, "c1", "die");
	engine_bounces(b, bench_expect(b, MSG_ENG_INSPECT));
	bench_quiet(b);
	bench_free(b);
}

/* What changes meanwhile is collected by watch, each path once. */
static void
test_engine_away_for_long(void **state)
{
	struct bench *b = bench_up();
	struct msg_batch m = { .tree = 1, .upto = 100 };
	struct buf t = { 0 };

	engine_state(b, ENG_STATE_DOWN);
	for (unsigned i = 0; i < 63; i++)
		watch_batch(b, 0, 2 + i, "a", NULL);
	m.batch = ++b->batch;
	fields_add_str(&t, F_PATH, "a");
	b->taking = false;
	bench_reply(b, PROC_WATCH, &b->take, MSG_WATCH_BATCH, 0, &m, &t, -1);
	buf_free(&t);
	bench_ms(b, 60000);
	assert_false(b->taking);
	engine_state(b, ENG_STATE_UP);
	assert_true(b->taking);
	engine_list(b, bench_item("c1", "/app", "running"));
	engine_inspect(b, 60);
	push_does(b, MSG_APPLY, OK);
	watch_batch(b, 0, 101, "b", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

static void
test_engine_down_in_push(void **state)
{
	struct push retry = { .result = RESULT_RETRY,
		.reason = "the engine is away" };
	struct bench *b = bench_up();
	struct got *g;

	watch_batch(b, 0, 2, "a", NULL);
	push_does(b, MSG_APPLY, retry);
	engine_state(b, ENG_STATE_DOWN);
	bench_ms(b, 60000);
	bench_quiet(b);
	engine_state(b, ENG_STATE_UP);
	engine_list(b, bench_item("c1", "/app", "running"));
	engine_inspect(b, 60);
	g = push_does(b, MSG_APPLY, (struct push) { .needs = NEED_STEPS });
	assert_true(got_has(g, F_PATH, "a"));
	push_does(b, MSG_STEPS, retry);
	engine_state(b, ENG_STATE_DOWN);
	engine_state(b, ENG_STATE_UP);
	engine_list(b, bench_item("c1", "/app", "running"));
	engine_inspect(b, 60);
	/* what it said last is that nothing is pending */
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

static void
test_engine_down_in_restart(void **state)
{
	struct bench *b = bench_up();
	struct push p = { .needs = NEED_RESTART, .restart_s = 100 };

	watch_batch(b, 0, 2, "a", NULL);
	push_does(b, MSG_APPLY, p);
	bench_ms(b, 60);
	engine_bounces(b, bench_expect(b, MSG_ENG_INSPECT));
	engine_inspect(b, 60);
	engine_bounces(b,
	    bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_RESTART));
	engine_inspect(b, 60);
	engine_does(b, ENG_OP_RESTART, "c1");
	engine_inspect(b, 120);
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

/* Away for a moment only, without a word of it: with backoff. */
static void
test_backoff(void **state)
{
	struct bench *b = bench_new(1);
	int64_t ms = 50;

	engine_state(b, ENG_STATE_UP);
	for (int i = 0; i < 9; i++) {
		bench_err(b, bench_expect(b, MSG_ENG_LIST), ERR_TIMEOUT);
		bench_ms(b, ms - 1);
		bench_quiet(b);
		bench_ms(b, 1);
		ms = ms * 2 > 2000 ? 2000 : ms * 2;
	}
	engine_list(b, bench_item("c1", "/app", "running"));
	bench_free(b);
}

/* At each step of a replacement. */
static void
test_engine_down_in_replace(void **state)
{
	static const enum eng_op ops[] = { ENG_OP_STOP, ENG_OP_RENAME,
		ENG_OP_RENAME, ENG_OP_START, ENG_OP_REMOVE };
	static const char *const ids[] = { "c1", "c1", "c2", "c2", "c1" };

	for (size_t cut = 0; cut < 5; cut++) {
		struct bench *b = bench_up();

		bench_wants_build(b);
		image_builds(b);
		bench_creates(b, "c2");
		for (size_t i = 0; i < cut; i++)
			engine_does(b, ops[i], ids[i]);
		bench_err(b, bench_expect_eng(b, MSG_ENG_CONTAINER, ops[cut]),
		    ERR_ENGINE);
		engine_state(b, ENG_STATE_DOWN);
		bench_ms(b, 5000);
		bench_quiet(b);
		engine_state(b, ENG_STATE_UP);
		engine_list(b, bench_item("c1", "/app", "running"));
		engine_inspect(b, 60);
		/* the image is there, but what was made of it is not */
		bench_replaces(b, "c4", "c1");
		bench_free(b);
	}
}

/* An engine that answers nonsense is not asked in a loop. */
static void
test_list_refused(void **state)
{
	struct bench *b = bench_new(1);

	engine_state(b, ENG_STATE_UP);
	engine_error(b, bench_expect(b, MSG_ENG_LIST), 500, "broken");
	bench_ms(b, 60000);
	bench_quiet(b);
	assert_string_equal(plan_why(bench_service(b)),
	    "listing the containers: broken");
	watch_batch(b, 0, 1, "a", NULL);
	engine_done(b, bench_expect(b, MSG_ENG_LIST), 200, "{}");
	bench_ms(b, 60000);
	bench_quiet(b);
	assert_non_null(strstr(plan_why(bench_service(b)), "not understood"));
	bench_free(b);
}

static void
test_engine_worker_lost(void **state)
{
	struct bench *b = bench_up();
	struct msg_peer m = { .role = PROC_ENGINE, .state = PEER_DOWN };

	bench_note(b, PROC_SUP, MSG_PEER, 0, &m, NULL);
	assert_false(plan_in_step(bench_service(b)));
	engine_state(b, ENG_STATE_UP);
	engine_list(b, bench_item("c1", "/app", "running"));
	engine_inspect(b, 60);
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

/* The destroy event was lost: a refusal leads to the truth. */
static void
test_container_gone_unseen(void **state)
{
	struct bench *b = bench_up();

	watch_batch(b, 0, 2, "a", NULL);
	push_does(b, MSG_APPLY,
	    (struct push) { .result = RESULT_RETRY,
		.reason = "No such container: c1" });
	bench_ms(b, 50);
	engine_error(b, bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_CONTAINER),
	    404, "No such container: c1");
	bench_ms(b, 1000);
	bench_quiet(b);
	assert_non_null(strstr(plan_why(bench_service(b)), "was removed"));
	bench_free(b);
}

/* Push. */

static void
test_push_lost(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	watch_batch(b, 0, 2, "a", "b", NULL);
	bench_lost(b, bench_expect(b, MSG_APPLY));
	bench_ms(b, 50);
	g = push_does(b, MSG_APPLY, (struct push) { .files = 2 });
	assert_true(got_has(g, F_PATH, "a"));
	assert_true(got_has(g, F_PATH, "b"));
	assert_true(plan_in_step(bench_service(b)));
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 2);
	bench_free(b);
}

/* One of eight paths kills push. */
static void
test_set_aside(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);
	struct got status = { 0 }, *g;
	unsigned deaths = 0, jobs = 0;
	struct msg_none none;

	watch_batch(b, 0, 2, "a", "b", "c", "d", "bad", "f", "g", "h", NULL);
	while (s->work != NULL && jobs++ < 40) {
		g = bench_expect(b, MSG_APPLY);
		if (got_has(g, F_PATH, "bad")) {
			deaths++;
			bench_lost(b, g);
			bench_ms(b, 50);
		} else
			push_done(b, g, OK);
	}
	/* eight, eight again, four, two, one and once more */
	assert_int_equal(deaths, 6);
	assert_false(plan_in_step(s));
	assert_string_equal(plan_why(s), "paths are set aside");
	status.tail = s->set_aside;
	assert_true(got_has(&status, F_SET_ASIDE, "bad"));
	bench_note(b, PROC_CONTROL, MSG_STATUS_PLAN, 8000, &none, NULL);
	for (size_t i = 0; i < b->n; i++)
		if (b->got[i].head.type == MSG_STATUS_ITEM &&
		    got_has(&b->got[i], F_SET_ASIDE, "bad"))
			jobs = 1000;
	assert_int_equal(jobs, 1000);
	/* others go on; it gets another chance when it changes */
	watch_batch(b, 0, 3, "a", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_false(plan_in_step(s));
	watch_batch(b, 0, 4, "bad", NULL);
	g = push_does(b, MSG_APPLY, OK);
	assert_true(got_has(g, F_PATH, "bad"));
	assert_true(plan_in_step(s));
	bench_free(b);
}

/* It may have been killed from outside: tried again, and ever less often. */
static void
test_aside_again(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);
	struct got *g;

	watch_batch(b, 0, 2, "a", NULL);
	for (int i = 0; i < 3; i++) {
		bench_lost(b, bench_expect(b, MSG_APPLY));
		bench_ms(b, 50);
	}
	assert_string_equal(plan_why(s), "paths are set aside");
	bench_ms(b, 9000);
	bench_quiet(b);
	bench_ms(b, 1000);
	bench_lost(b, bench_expect(b, MSG_APPLY));
	bench_ms(b, 50);
	assert_string_equal(plan_why(s), "paths are set aside");
	bench_ms(b, 18000);
	bench_quiet(b);
	bench_ms(b, 2000);
	g = push_does(b, MSG_APPLY, OK);
	assert_true(got_has(g, F_PATH, "a"));
	assert_int_equal(s->set_aside.len, 0);
	assert_true(plan_in_step(s));
	bench_free(b);
}

/* A comparison of everything cannot be halved: it is given up, not looped. */
static void
test_subtree_kills(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);

	watch_batch(b, 0, 2, "*", NULL);
	for (int i = 0; i < 3; i++) {
		bench_lost(b, bench_expect(b, MSG_APPLY));
		bench_ms(b, 50);
	}
	bench_ms(b, 5000);
	bench_quiet(b);
	assert_string_equal(plan_why(s),
	    "the push worker dies of comparing the whole directory");
	/* whoever killed it may have stopped */
	bench_ms(b, 6000);
	bench_lost(b, bench_expect(b, MSG_APPLY));
	bench_ms(b, 5000);
	bench_quiet(b);
	/* a change gets through, and gives it another chance */
	watch_batch(b, 0, 3, "a", NULL);
	assert_true(got_has(push_does(b, MSG_APPLY, OK), F_PATH, "a"));
	bench_lost(b, bench_expect(b, MSG_APPLY));
	bench_ms(b, 5000);
	bench_quiet(b);
	assert_true(s->blocked);
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 1);
	bench_free(b);
}

static void
test_push_refuses(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);
	struct got *g;

	watch_batch(b, 0, 2, "a", NULL);
	push_does(b, MSG_APPLY,
	    (struct push) { .result = RESULT_FAILED,
		.reason = "read-only \x1b[31m" });
	bench_ms(b, 5000);
	bench_quiet(b);
	assert_string_equal(plan_why(s), "pushing: read-only \\x1b[31m");
	assert_int_equal(((struct msg_take *)b->take.fixed)->acked, 1);
	watch_batch(b, 0, 3, "b", NULL);
	g = push_does(b, MSG_APPLY, OK);
	assert_true(got_has(g, F_PATH, "a"));
	assert_true(got_has(g, F_PATH, "b"));
	assert_true(plan_in_step(s));
	bench_free(b);
}

/* A manifest that push cannot use is not offered for ever. */
static void
test_bad_manifest(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	bench_wants_build(b);
	bench_deploys(b, "c2", "c1");
	engine_inspect(b, 60);
	g = push_does(b, MSG_ATTACH,
	    (struct push) { .result = RESULT_FAILED,
		.reason = "cannot be read" });
	assert_true(g->fd);
	bench_quiet(b);
	watch_batch(b, 0, 3, "a", NULL);
	g = push_does(b, MSG_ATTACH, (struct push) { .known = 0 });
	assert_false(g->fd);
	bench_ms(b, 60);
	image_builds(b);
	bench_free(b);
}

/* An answer that is not the awaited one moves nothing. */
static void
test_stray_answers(void **state)
{
	struct msg_push_done m = { .result = RESULT_OK };
	struct bench *b = bench_up();
	struct got *g;

	watch_batch(b, 0, 2, "a", NULL);
	g = bench_expect(b, MSG_APPLY);
	bench_reply(b, PROC_PUSH, g, MSG_PUSH_DONE, F_MORE, &m, NULL, -1);
	assert_false(plan_in_step(bench_service(b)));
	push_done(b, g, OK);
	assert_true(plan_in_step(bench_service(b)));
	push_done(b, g, CLIMB);
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

/* Watch. */

static void
test_watch_lost(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);
	struct msg_take *t = (struct msg_take *)b->take.fixed;

	watch_batch(b, 0, 2, "a", NULL);
	watch_lost(b);
	assert_int_equal(t->acked, 0);
	assert_int_equal(t->taken, 0);
	push_done(b, bench_expect(b, MSG_APPLY), OK);
	assert_false(plan_in_step(s));
	watch_tree(b, TREE_SCANNED, 1);
	assert_false(plan_in_step(s));
	watch_batch(b, BATCH_SCAN, 1, "*", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_true(plan_in_step(s));
	assert_int_equal(t->acked, 1);
	bench_free(b);
}

/*
 * The TAKE was exchanged for a newer one just when watch died: its numbers
 * reach the next watch, and no ERR_WORKER_LOST comes.
 */
static void
test_watch_lost_unseen(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);
	uint32_t id;

	for (uint64_t i = 2; i < 9; i++) {
		watch_batch(b, 0, i * 100, "a", NULL);
		push_does(b, MSG_APPLY, OK);
	}
	assert_true(plan_in_step(s));
	b->watch_gen++;
	b->batch = 0;
	watch_tree(b, 0, 0);
	assert_false(plan_in_step(s));
	id = control_do(b, DO_SYNC, NULL);
	watch_synced(b, 5);
	watch_tree(b, TREE_SCANNED, 5);
	watch_batch(b, BATCH_SCAN, 4, "a", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_false(bench_is_answered(b, id));
	watch_batch(b, 0, 5, NULL);
	assert_int_equal(bench_answered(b, id, NULL, 0), 0);
	bench_free(b);
}

static void
test_watch_refuses(void **state)
{
	struct bench *b = bench_up();

	b->taking = false;
	bench_err(b, &b->take, ERR_BUSY);
	assert_false(b->taking);
	bench_ms(b, 1000);
	assert_true(b->taking);
	bench_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_down_in_list_and_inspect),
		cmocka_unit_test(test_engine_away_for_long),
		cmocka_unit_test(test_engine_down_in_push),
		cmocka_unit_test(test_engine_down_in_restart),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_engine_down_in_replace),
		cmocka_unit_test(test_list_refused),
		cmocka_unit_test(test_engine_worker_lost),
		cmocka_unit_test(test_container_gone_unseen),
		cmocka_unit_test(test_push_lost),
		cmocka_unit_test(test_set_aside),
		cmocka_unit_test(test_aside_again),
		cmocka_unit_test(test_subtree_kills),
		cmocka_unit_test(test_push_refuses),
		cmocka_unit_test(test_bad_manifest),
		cmocka_unit_test(test_stray_answers),
		cmocka_unit_test(test_watch_lost),
		cmocka_unit_test(test_watch_lost_unseen),
		cmocka_unit_test(test_watch_refuses),
	};

	return (cmocka_run_group_tests_name("plan_fault", tests, NULL, NULL));
}
