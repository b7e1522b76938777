/*
 * The plan worker (workers/plan) in reloads: services that go, that come, and
 * that stand in another's place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

#include "tests/unit/plan_fake.h"

static const struct push OK = { .result = RESULT_OK };

static uint32_t
service_of(const struct got *g)
{
	uint32_t id; /* msg_job and msg_eng begin with it */

	memcpy(&id, g->fixed, sizeof(id));
	return (id);
}

/* The last steps of a retired service. */
static void
detaches(struct bench *b, uint32_t id)
{
	struct got *g = bench_expect(b, MSG_DETACH);

	assert_int_equal(service_of(g), id);
	assert_int_equal(bench_gone(b, id), 0);
	push_done(b, g, OK);
	assert_int_equal(bench_gone(b, id), 1);
}

static void
removes(struct bench *b, const char *container)
{
	engine_does(b, ENG_OP_REMOVE, container);
	engine_done(b, bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE),
	    200, NULL);
}

static void
is_dropped(struct bench *b, uint32_t id)
{
	bench_drop(b, id);
	bench_reconf(b);
	bench_quiet(b);
	assert_int_equal(bench_gone(b, id), 1);
}

/* Ends it as far as it has come, with all requests answered. */
static void
test_retire_idle(void **state)
{
	struct bench *b = bench_up();

	bench_retire(b, 1);
	bench_reconf(b);
	assert_false(b->taking);
	assert_false(plan_in_step(bench_service(b)));
	removes(b, "c1");
	assert_int_equal(b->events[EVENT_CONTAINER_REMOVE], 1);
	detaches(b, 1);
	bench_quiet(b);
	/* what happens to it now is nobody's */
	engine_event(b, "c1", "destroy");
	watch_tree(b, TREE_SCANNED, 9);
	engine_state(b, ENG_STATE_DOWN);
	engine_state(b, ENG_STATE_UP);
	bench_ms(b, 10000);
	is_dropped(b, 1);
	assert_int_equal(((struct plan *)b->w.state)->n, 0);
	bench_free(b);
}

static void
test_retire_while_a_push_runs(void **state)
{
	struct bench *b = bench_up();
	struct got *g;
	char text[128];
	uint32_t id;

	id = control_do(b, DO_SYNC, "web");
	watch_synced(b, 2);
	watch_batch(b, 0, 2, "main.py", NULL);
	g = bench_expect(b, MSG_APPLY);
	bench_retire(b, 1);
	bench_reconf(b);
	assert_true(g->cancelled);
	assert_int_equal(b->events[EVENT_PUSH_CANCEL], 1);
	assert_int_equal(bench_answered(b, id, text, sizeof(text)),
	    EX_UNAVAILABLE);
	assert_non_null(strstr(text, "configuration"));
	removes(b, "c1");
	detaches(b, 1);
	is_dropped(b, 1);
	bench_free(b);
}

/* A call to the engine is awaited: its end is what the removal begins with. */
static void
test_retire_while_it_is_replaced(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	control_do(b, DO_REBUILD, "web");
	watch_synced(b, 1);
	image_builds(b);
	g = bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_IMAGE);
	bench_retire(b, 1);
	bench_reconf(b);
	bench_quiet(b);
	engine_done(b, g, 200, "{\"Config\":{}}");
	engine_does(b, ENG_OP_REMOVE, "c1");
	g = bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE);
	assert_true(got_has(g, F_IMAGE_ID, "sha256:c1"));
	engine_done(b, g, 200, NULL);
	g = bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE);
	assert_true(got_has(g, F_IMAGE_ID, b->built));
	engine_done(b, g, 200, NULL);
	detaches(b, 1);
	bench_free(b);
}

static void
test_retire_while_the_engine_is_away(void **state)
{
	struct bench *b = bench_up();

	engine_state(b, ENG_STATE_DOWN);
	bench_retire(b, 1);
	bench_reconf(b);
	detaches(b, 1);
	engine_state(b, ENG_STATE_UP);
	bench_ms(b, 10000);
	is_dropped(b, 1);
	bench_free(b);
}

static void
test_the_engine_goes_meanwhile(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	bench_retire(b, 1);
	bench_reconf(b);
	g = bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_REMOVE);
	engine_state(b, ENG_STATE_DOWN);
	assert_true(g->cancelled);
	detaches(b, 1);
	is_dropped(b, 1);
	bench_free(b);
}

/* Its worker died, which is over in a moment. */
static void
test_removal_is_tried_again(void **state)
{
	struct bench *b = bench_up();

	bench_retire(b, 1);
	bench_reconf(b);
	bench_lost(b, bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_REMOVE));
	bench_quiet(b);
	bench_ms(b, 50);
	removes(b, "c1");
	bench_lost(b, bench_expect(b, MSG_DETACH));
	assert_int_equal(bench_gone(b, 1), 1);
	bench_free(b);
}

static void
test_kept(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	b->services[0].flags |= SERVICE_KEEP;
	bench_retire(b, 1);
	bench_reconf(b);
	g = bench_expect(b, MSG_DETACH);
	/* what the container holds is still known to who finds it */
	assert_int_equal(((struct msg_job *)g->fixed)->flags, JOB_KEEP);
	push_done(b, g, OK);
	assert_int_equal(bench_gone(b, 1), 1);
	is_dropped(b, 1);
	bench_free(b);
}

/* It has moved: its old container would be one too many. */
static void
test_kept_but_replaced(void **state)
{
	static char dir[] = "/srv/elsewhere";
	struct bench *b = bench_up();

	b->services[0].flags |= SERVICE_KEEP;
	bench_add(b, 2)->dir = dir;
	bench_retire(b, 1);
	b->serving = 2;
	bench_reconf(b);
	removes(b, "c1");
	detaches(b, 1);
	assert_int_equal(service_of(bench_expect(b, MSG_ENG_LIST)), 2);
	bench_free(b);
}

/* Changes that the first one, which waits, must not lose. */
static void
test_taken_over(void **state)
{
	struct bench *b = bench_up();
	struct service *s;
	struct got *g;

	bench_add(b, 2);
	bench_retire(b, 1);
	b->serving = 2;
	b->batch = 0;
	bench_reconf(b);
	s = ((struct plan *)b->w.state)->services[1];
	watch_batch(b, 0, 1, "*", NULL);
	g = bench_expect(b, MSG_DETACH);
	bench_ms(b, 1000);
	bench_quiet(b);
	assert_string_equal(plan_why(s),
	    "what the configuration had here before is being ended");
	push_done(b, g, OK);
	assert_int_equal(bench_gone(b, 1), 1);
	g = bench_expect(b, MSG_ENG_LIST);
	assert_int_equal(service_of(g), 2);
	engine_done(b, g, 200, "[]");
	bench_deploys(b, "c2", NULL);
	bench_attaches(b, "c2");
	assert_true(plan_in_step(s));
	is_dropped(b, 1);
	assert_true(plan_in_step(s));
	watch_batch(b, 0, 2, "a", NULL);
	push_does(b, MSG_APPLY, OK);
	assert_true(plan_in_step(s));
	bench_free(b);
}

/* With the successor in place and the container listed. */
static struct bench *
taken_over(const char *env, const char *item)
{
	static char *v[1];
	static char e[64];
	struct bench *b = bench_up();
	struct conf_service *c = bench_add(b, 2);

	if (env != NULL) {
		strlcpy(e, env, sizeof(e));
		v[0] = e;
		c->env = (struct strings) { v, 1 };
	}
	bench_retire(b, 1);
	b->serving = 2;
	b->batch = 0;
	bench_reconf(b);
	watch_batch(b, 0, 1, "*", NULL);
	detaches(b, 1);
	bench_drop(b, 1);
	bench_reconf(b);
	engine_list(b, item);
	engine_inspect(b, 60);
	bench_ms(b, 60);
	return (b);
}

static void
test_same_parameters(void **state)
{
	struct bench *b = taken_over(NULL, bench_item("c1", "/app", "running"));

	push_does(b, MSG_ATTACH, (struct push) { .known = 1 });
	push_does(b, MSG_APPLY, OK);
	bench_ms(b, 10000);
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	assert_int_equal(b->builds, 0);
	bench_free(b);
}

static void
test_other_parameters(void **state)
{
	struct bench *b =
	    taken_over("A=2", bench_item("c1", "/app", "running"));
	struct got *g;
	char hash[CONFIG_HASH_SIZE];

	assert_false(plan_in_step(bench_service(b)));
	assert_string_equal(plan_why(bench_service(b)),
	    "the image is being built");
	image_fails(b, RESULT_RETRY, "");
	assert_string_equal(plan_why(bench_service(b)),
	    "the container was made by another configuration");
	bench_ms(b, 100);
	image_builds(b);
	g = bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_IMAGE);
	engine_done(b, g, 200, "{\"Config\":{}}");
	g = bench_expect(b, MSG_ENG_CREATE);
	plan_config_hash(&b->services[1], hash);
	assert_int_equal(strlen(hash), 64);
	assert_true(got_has(g, F_CONFIG_HASH, hash));
	bench_free(b);
}

/* Kept by an earlier start that had other options, or told nothing. */
static void
test_adopted_with_other_parameters(void **state)
{
	struct bench *b = bench_new(1);

	watch_tree(b, TREE_SCANNED, 1);
	watch_batch(b, BATCH_SCAN, 1, "*", NULL);
	engine_state(b, ENG_STATE_UP);
	engine_list(b,
	    "{\"Id\":\"c1\",\"Names\":[\"/app\"],\"ImageID\":\"sha256:c1\","
	    "\"State\":\"running\",\"Labels\":{}}");
	engine_inspect(b, 60);
	bench_ms(b, 60);
	assert_false(plan_in_step(bench_service(b)));
	bench_replaces(b, "c2", "c1");
	bench_free(b);
}

static void
test_hash_tells_fields_apart(void **state)
{
	static char a[] = "A=1", ab[] = "A=1B=2", b2[] = "B=2", net[] = "n";
	struct bench *b = bench_new(1);
	struct conf_service *c = &b->services[0];
	char *two[] = { a, b2 }, *one[] = { ab };
	char hash[6][CONFIG_HASH_SIZE];

	plan_config_hash(c, hash[0]);
	c->env = (struct strings) { two, 2 };
	plan_config_hash(c, hash[1]);
	c->env = (struct strings) { one, 1 };
	plan_config_hash(c, hash[2]);
	c->env = (struct strings) { NULL, 0 };
	c->ports = (struct strings) { two, 2 };
	plan_config_hash(c, hash[3]);
	c->ports = (struct strings) { NULL, 0 };
	c->network = net;
	plan_config_hash(c, hash[4]);
	c->target = net;
	c->network = NULL;
	plan_config_hash(c, hash[5]);
	for (size_t i = 0; i < 6; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(hash[i], hash[j]);
	c->target = NULL;
	c->flags = SERVICE_KEEP;
	plan_config_hash(c, hash[1]);
	assert_string_equal(hash[1], hash[0]);
	bench_free(b);
}

/* Another container's name: the first one's goes before it comes. */
static void
test_new_waits_for_its_predecessor(void **state)
{
	static char other[] = "other";
	struct bench *b = bench_up();
	struct got *g;

	bench_add(b, 2)->container = other;
	bench_retire(b, 1);
	b->serving = 2;
	bench_reconf(b);
	g = bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_REMOVE);
	bench_ms(b, 5000);
	bench_quiet(b);
	engine_done(b, g, 204, NULL);
	engine_done(b, bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE),
	    200, NULL);
	detaches(b, 1);
	assert_int_equal(service_of(bench_expect(b, MSG_ENG_LIST)), 2);
	bench_free(b);
}

/* Of two that go, the elder goes first; nothing is done twice. */
static void
test_retired_before_it_began(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	bench_add(b, 2);
	bench_retire(b, 1);
	b->serving = 2;
	bench_reconf(b);
	g = bench_expect(b, MSG_DETACH);
	bench_retire(b, 2);
	bench_reconf(b);
	bench_quiet(b);
	push_done(b, g, OK);
	assert_int_equal(bench_gone(b, 1), 1);
	engine_list(b, bench_item("c1", "/app", "running"));
	removes(b, "c1");
	detaches(b, 2);
	bench_free(b);
}

static void
test_the_others_are_not_touched(void **state)
{
	static char name[] = "third", dir[] = "/srv/third", app[] = "third";
	struct bench *b = bench_up();
	struct conf_service *c = bench_add(b, 3);
	struct got *g;

	c->name = name;
	c->dir = dir;
	c->container = app;
	bench_reconf(b);
	/* the engine is known to be up */
	g = bench_expect(b, MSG_ENG_LIST);
	assert_int_equal(service_of(g), 3);
	bench_ms(b, 10000);
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	assert_int_equal(b->events[EVENT_SERVICE_OUT_OF_STEP], 0);
	/* and its tree is known */
	assert_true(((struct plan *)b->w.state)->services[1]->scanned);
	bench_retire(b, 3);
	bench_reconf(b);
	engine_done(b, g, 200, "[]");
	detaches(b, 3);
	is_dropped(b, 3);
	assert_true(plan_in_step(bench_service(b)));
	watch_batch(b, 0, 2, "a", NULL);
	push_does(b, MSG_APPLY, OK);
	bench_free(b);
}

/* The plan that was told dies; its successor ends the service. */
static void
test_successor_of_plan_retires(void **state)
{
	struct bench *b = bench_up();

	bench_retire(b, 1);
	bench_restart(b);
	bench_quiet(b);
	assert_false(b->taking);
	assert_int_equal(bench_gone(b, 1), 0);
	engine_state(b, ENG_STATE_UP);
	engine_list(b, bench_item("c1", "/app", "running"));
	removes(b, "c1");
	detaches(b, 1);
	bench_free(b);
}

static void
test_retired_is_not_asked_for(void **state)
{
	struct bench *b = bench_up();
	uint32_t id;
	struct got *g;

	bench_retire(b, 1);
	bench_reconf(b);
	g = bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_REMOVE);
	id = control_do(b, DO_RESTART, "web");
	assert_true(bench_is_answered(b, id));
	assert_int_equal(b->got[b->n - 1].head.type, MSG_ERR);
	id = control_do(b, DO_SYNC, NULL);
	assert_int_equal(bench_answered(b, id, NULL, 0), EX_OK);
	engine_done(b, g, 204, NULL);
	bench_free(b);
}

static void
test_stop_meanwhile(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	bench_add(b, 2);
	bench_retire(b, 1);
	b->serving = 2;
	bench_reconf(b);
	g = bench_expect(b, MSG_DETACH);
	bench_stop(b);
	assert_true(g->cancelled);
	/* it is the second one's now */
	engine_list(b, bench_item("c1", "/app", "running"));
	removes(b, "c1");
	assert_true(bench_ended(b));
	bench_free(b);
}

/* The configuration may forget one that has not ended. */
static void
test_dropped_at_once(void **state)
{
	struct bench *b = bench_up();
	struct got *g;

	control_do(b, DO_RESTART, "web");
	watch_synced(b, 1);
	g = bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_CONTAINER);
	bench_drop(b, 1);
	bench_reconf(b);
	assert_true(g->cancelled);
	assert_false(b->taking);
	bench_ms(b, 10000);
	bench_quiet(b);
	bench_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_retire_idle),
		cmocka_unit_test(test_retire_while_a_push_runs),
		cmocka_unit_test(test_retire_while_it_is_replaced),
		cmocka_unit_test(test_retire_while_the_engine_is_away),
		cmocka_unit_test(test_the_engine_goes_meanwhile),
		cmocka_unit_test(test_removal_is_tried_again),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_kept_but_replaced),
		cmocka_unit_test(test_taken_over),
		cmocka_unit_test(test_same_parameters),
		cmocka_unit_test(test_other_parameters),
		cmocka_unit_test(test_adopted_with_other_parameters),
		cmocka_unit_test(test_hash_tells_fields_apart),
		cmocka_unit_test(test_new_waits_for_its_predecessor),
		cmocka_unit_test(test_retired_before_it_began),
		cmocka_unit_test(test_the_others_are_not_touched),
		cmocka_unit_test(test_successor_of_plan_retires),
		cmocka_unit_test(test_retired_is_not_asked_for),
		cmocka_unit_test(test_stop_meanwhile),
		cmocka_unit_test(test_dropped_at_once),
	};

	return (cmocka_run_group_tests_name("plan_reload", tests, NULL, NULL));
}
