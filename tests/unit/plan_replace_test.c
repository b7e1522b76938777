/*
 * The plan worker (workers/plan) when an image cannot be built or its
 * container cannot take the place of the old one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/plan_fake.h"

/*
 * The engine worker died while it created: the container is made after the
 * next list, and has the name.
 */
static void
test_create_conflicts(void **state)
{
	static const char conflict[] = "Conflict. The container name is in use";
	struct bench *b = bench_new(1);
	char items[700];
	struct got *g;

	watch_tree(b, TREE_SCANNED, 1);
	watch_batch(b, BATCH_SCAN, 1, "*", NULL);
	engine_state(b, ENG_STATE_UP);
	for (int i = 0; i < 5; i++) {
		snprintf(items, sizeof(items), "%s",
		    i > 0 ? bench_item("c9", BENCH_NEXT, "created") : "");
		engine_list(b, items);
		if (i > 0) {
			g = bench_expect_eng(b, MSG_ENG_CONTAINER,
			    ENG_OP_REMOVE);
			assert_true(got_has(g, F_CONTAINER_ID, "c9"));
			engine_done(b, g, 204, NULL);
		}
		bench_ms(b, 60);
		image_builds(b);
		g = bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_IMAGE);
		engine_done(b, g, 200, "{\"Config\":{}}");
		g = bench_expect(b, MSG_ENG_CREATE);
		assert_false(bench_service(b)->blocked);
		engine_error(b, g, 409, conflict);
		bench_ms(b, 3000);
	}
	/* somebody else's, and it stays */
	assert_true(bench_service(b)->blocked);
	assert_non_null(strstr(plan_why(bench_service(b)), conflict));
	bench_free(b);
}

static void
test_build_fails(void **state)
{
	struct bench *b = bench_up();
	struct service *s = bench_service(b);

	bench_wants_build(b);
	image_fails(b, RESULT_FAILED, "RUN at line 3: exit 1");
	bench_ms(b, 10000);
	bench_quiet(b);
	assert_string_equal(plan_why(s),
	    "the build failed: RUN at line 3: exit 1");
	assert_string_equal(s->id, "c1");
	assert_true(s->running);
	assert_false(plan_in_step(s));
	watch_batch(b, 0, 3, "Dockerfile", NULL);
	bench_ms(b, 60);
	bench_replaces(b, "c2", "c1");
	bench_free(b);
}

/* An answer that says it went well and brings nothing. */
static void
test_build_without_result(void **state)
{
	struct bench *b = bench_up();

	bench_wants_build(b);
	image_fails(b, RESULT_OK, "");
	bench_ms(b, 10000);
	bench_quiet(b);
	assert_non_null(strstr(plan_why(bench_service(b)), "the build failed"));
	bench_free(b);
}

static void
test_image_worker_lost(void **state)
{
	struct bench *b = bench_up();

	bench_wants_build(b);
	bench_lost(b, bench_expect(b, MSG_BUILD));
	bench_quiet(b);
	bench_ms(b, 50);
	image_fails(b, RESULT_RETRY, "the engine went away");
	bench_quiet(b);
	bench_ms(b, 100);
	bench_replaces(b, "c2", "c1");
	bench_free(b);
}

static void
start_fails(struct bench *b, const char *id, unsigned status, const char *error)
{
	struct got *g;

	engine_does(b, ENG_OP_RENAME, id);
	g = bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_START);
	assert_true(got_has(g, F_CONTAINER_ID, id));
	engine_error(b, g, status, error);
	engine_does(b, ENG_OP_REMOVE, id);
}

static void
old_comes_back(struct bench *b, const char *id)
{
	struct got *g;

	g = bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_RENAME);
	assert_true(got_has(g, F_CONTAINER_ID, id));
	assert_true(got_has(g, F_NAME, "app"));
	engine_done(b, g, 204, NULL);
	engine_does(b, ENG_OP_START, id);
	engine_inspect(b, 90);
	bench_ms(b, 10000);
	bench_quiet(b);
	assert_string_equal(bench_service(b)->id, id);
}

/* Whatever the engine says of it, 404 of a network included. */
static void
test_new_container_does_not_start(void **state)
{
	static const unsigned statuses[] = { 400, 404, 500 };

	for (size_t i = 0; i < 3; i++) {
		struct bench *b = bench_up();
		struct service *s = bench_service(b);

		bench_wants_build(b);
		image_builds(b);
		bench_creates(b, "c2");
		engine_does(b, ENG_OP_STOP, "c1");
		engine_does(b, ENG_OP_RENAME, "c1");
		start_fails(b, "c2", statuses[i], "no such thing");
		old_comes_back(b, "c1");
		assert_string_equal(plan_why(s),
		    "the new container does not start: no such thing");
		/* the next change tries again */
		watch_batch(b, 0, 3, "Dockerfile", NULL);
		bench_ms(b, 60);
		bench_replaces(b, "c3", "c1");
		bench_free(b);
	}
}

/* Stopped, and then it cannot be put aside: it runs again. */
static void
test_old_cannot_be_renamed(void **state)
{
	struct bench *b = bench_up();

	bench_wants_build(b);
	image_builds(b);
	bench_creates(b, "c2");
	engine_does(b, ENG_OP_STOP, "c1");
	engine_error(b, bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_RENAME),
	    409, "name is taken");
	engine_does(b, ENG_OP_REMOVE, "c2");
	engine_does(b, ENG_OP_START, "c1");
	engine_inspect(b, 90);
	bench_quiet(b);
	assert_non_null(strstr(plan_why(bench_service(b)), "name is taken"));
	bench_free(b);
}

/* Somebody removes the old one meanwhile: the new one takes its place. */
static void
test_old_is_gone(void **state)
{
	struct bench *b = bench_up();

	bench_wants_build(b);
	image_builds(b);
	bench_creates(b, "c2");
	engine_error(b, bench_expect_eng(b, MSG_ENG_CONTAINER, ENG_OP_STOP),
	    404, "No such container: c1");
	engine_does(b, ENG_OP_RENAME, "c2");
	engine_does(b, ENG_OP_START, "c2");
	engine_done(b, bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE),
	    404, NULL);
	bench_attaches(b, "c2");
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

static void
creates_with_port(struct bench *b, const char *id, const char *port)
{
	struct msg_eng_done m = { .status = 201 };
	struct buf t = { 0 };
	struct got *g;

	engine_done(b, bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_IMAGE), 200,
	    "{\"Config\":{\"ExposedPorts\":{\"8080/tcp\":{},"
	    "\"x/tcp\":{},\"99999/udp\":{}}}}");
	g = bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_NETWORK);
	assert_true(got_has(g, F_NETWORK, "bridge"));
	engine_done(b, g, 200, "{}");
	g = bench_expect(b, MSG_ENG_CREATE);
	assert_true(got_has(g, F_PORT, port));
	assert_int_equal(fields_count(&(struct fields) { g->tail.data,
					  g->tail.len },
			     F_PORT),
	    1);
	fields_add_str(&t, F_CONTAINER_ID, id);
	bench_reply(b, PROC_ENGINE, g, MSG_ENG_DONE, 0, &m, &t, -1);
	buf_free(&t);
}

/* The old container stays aside while other ports are tried. */
static void
test_port_taken(void **state)
{
	struct bench *b = bench_up();

	bench_wants_build(b);
	image_builds(b);
	creates_with_port(b, "c2", "127.0.0.1:8080:8080/tcp");
	engine_does(b, ENG_OP_STOP, "c1");
	engine_does(b, ENG_OP_RENAME, "c1");
	start_fails(b, "c2", 500,
	    "Bind for 127.0.0.1:8080 failed: port is "
	    "already allocated");
	creates_with_port(b, "c3", "127.0.0.1::8080/tcp");
	engine_does(b, ENG_OP_RENAME, "c3");
	engine_does(b, ENG_OP_START, "c3");
	engine_does(b, ENG_OP_REMOVE, "c1");
	engine_done(b, bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE),
	    200, NULL);
	bench_attaches(b, "c3");
	assert_true(plan_in_step(bench_service(b)));
	bench_free(b);
}

/* Only once: then it is another port than one of ours. */
static void
test_port_taken_twice(void **state)
{
	static const char taken[] = "port is already allocated";
	struct bench *b = bench_up();

	bench_wants_build(b);
	image_builds(b);
	creates_with_port(b, "c2", "127.0.0.1:8080:8080/tcp");
	engine_does(b, ENG_OP_STOP, "c1");
	engine_does(b, ENG_OP_RENAME, "c1");
	start_fails(b, "c2", 500, taken);
	creates_with_port(b, "c3", "127.0.0.1::8080/tcp");
	start_fails(b, "c3", 500, taken);
	old_comes_back(b, "c1");
	assert_non_null(strstr(plan_why(bench_service(b)), taken));
	bench_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_conflicts),
		cmocka_unit_test(test_build_fails),
		cmocka_unit_test(test_build_without_result),
		cmocka_unit_test(test_image_worker_lost),
		cmocka_unit_test(test_new_container_does_not_start),
		cmocka_unit_test(test_old_cannot_be_renamed),
		cmocka_unit_test(test_old_is_gone),
		cmocka_unit_test(test_port_taken),
		cmocka_unit_test(test_port_taken_twice),
	};

	return (cmocka_run_group_tests_name("plan_fault", tests, NULL, NULL));
}
