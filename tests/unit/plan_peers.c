/*
 * The peers of a plan worker under test: the engine, watch, push and image
 * workers, and what they say when all goes well.  See plan_fake.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/unit/plan_fake.h"

/* The engine. */

void
engine_state(struct bench *b, enum eng_state state)
{
	struct msg_eng_state m = { .state = state };

	bench_settle(b);
	bench_note(b, PROC_ENGINE, MSG_ENG_STATE, 0, &m, NULL);
}

void
engine_event(struct bench *b, const char *id, const char *action)
{
	struct msg_eng_event m = { .service = b->serving };
	struct buf t = { 0 };

	fields_add_str(&t, F_ACTION, action);
	fields_add_str(&t, F_CONTAINER_ID, id);
	bench_note(b, PROC_ENGINE, MSG_ENG_EVENT, 0, &m, &t);
	buf_free(&t);
}

static void
engine_answer(struct bench *b, const struct got *g, unsigned status,
    const char *body, enum field_key key, const char *value)
{
	struct msg_eng_done m = { .status = status };
	struct buf t = { 0 };

	if (body != NULL) {
		buf_add(&t, body, strlen(body));
		bench_reply(b, PROC_ENGINE, g, MSG_ENG_DATA, F_MORE, NULL, &t,
		    -1);
		t.len = 0;
	}
	if (value != NULL)
		fields_add_str(&t, key, value);
	bench_reply(b, PROC_ENGINE, g, MSG_ENG_DONE, 0, &m, &t, -1);
	buf_free(&t);
}

void
engine_done(struct bench *b, const struct got *g, unsigned status,
    const char *body)
{
	engine_answer(b, g, status, body, F_NONE, NULL);
}

void
engine_error(struct bench *b, const struct got *g, unsigned status,
    const char *error)
{
	engine_answer(b, g, status, NULL, F_ERROR, error);
}

const char *
bench_item(const char *id, const char *name, const char *state)
{
	static char item[4][300];
	static unsigned n;
	char *s = item[n++ % 4];

	snprintf(s, sizeof(item[0]),
	    "{\"Id\":\"%s\",\"Names\":[\"%s\"],"
	    "\"ImageID\":\"sha256:%s\",\"State\":\"%s\","
	    "\"Labels\":{\"wharf.config-hash\":\"%s\"}}",
	    id, name, id, state, bench_hash);
	return (s);
}

void
engine_list(struct bench *b, const char *items)
{
	struct got *g = bench_expect(b, MSG_ENG_LIST);
	char *body = xasprintf("[%s]", items);

	engine_done(b, g, 200, body);
	free(body);
}

void
engine_inspect(struct bench *b, unsigned started_s)
{
	struct got *g = bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_CONTAINER);
	char body[200];

	snprintf(body, sizeof(body),
	    "{\"State\":{\"StartedAt\":"
	    "\"1970-01-01T00:%02u:%02uZ\",\"Running\":%s,\"Paused\":false}}",
	    started_s / 60, started_s % 60, started_s != 0 ? "true" : "false");
	engine_done(b, g, 200, body);
}

void
engine_does(struct bench *b, enum eng_op op, const char *id)
{
	struct got *g = bench_expect_eng(b, MSG_ENG_CONTAINER, op);

	assert_true(got_has(g, F_CONTAINER_ID, id));
	engine_done(b, g, 204, NULL);
}

/* Watch. */

void
watch_tree(struct bench *b, uint32_t flags, uint64_t changes)
{
	struct msg_tree m = { .tree = 1, .flags = flags, .changes = changes };

	bench_note(b, PROC_WATCH, MSG_TREE, 0, &m, NULL);
}

void
watch_batch(struct bench *b, uint32_t flags, uint64_t upto, ...)
{
	struct msg_batch m = { .tree = 1,
		.flags = flags,
		.batch = ++b->batch,
		.upto = upto,
		.seen_ns = mono_now().ns };
	struct buf t = { 0 };
	const char *path;
	va_list ap;

	va_start(ap, upto);
	while ((path = va_arg(ap, const char *)) != NULL)
		if (strcmp(path, "*") == 0)
			fields_add_str(&t, F_SUBTREE, "");
		else
			fields_add_str(&t, F_PATH, path);
	va_end(ap);
	bench_settle(b);
	assert_true(b->taking);
	b->taking = false;
	bench_reply(b, PROC_WATCH, &b->take, MSG_WATCH_BATCH, 0, &m, &t, -1);
	buf_free(&t);
	assert_true(b->taking);
}

void
watch_lost(struct bench *b)
{
	assert_true(b->taking);
	b->taking = false;
	b->batch = 0;
	b->watch_gen++;
	bench_lost(b, &b->take);
	assert_true(b->taking);
}

void
watch_synced(struct bench *b, uint64_t upto)
{
	struct msg_watch_sync m = { .flags = TREE_SCANNED, .upto = upto };

	bench_reply(b, PROC_WATCH, bench_expect(b, MSG_WATCH_SYNC),
	    MSG_WATCH_SYNC_OK, 0, &m, NULL, -1);
}

/* Push and image. */

void
push_done(struct bench *b, const struct got *g, struct push p)
{
	struct msg_push_done m = { .result = p.result,
		.needs = p.needs,
		.known = p.known,
		.files = p.files,
		.bytes = p.files * 10,
		.restart_after_ns = p.restart_s * 1000000000 };
	struct buf t = { 0 };

	if (p.reason != NULL)
		fields_add_str(&t, F_REASON, p.reason);
	if (p.again != NULL)
		fields_add_str(&t, F_PATH, p.again);
	bench_reply(b, PROC_PUSH, g, MSG_PUSH_DONE, 0, &m, &t, -1);
	buf_free(&t);
}

struct got *
push_does(struct bench *b, enum msg_type type, struct push p)
{
	struct got *g = bench_expect(b, type);

	push_done(b, g, p);
	return (g);
}

void
image_builds(struct bench *b)
{
	struct msg_build_done m = { .result = RESULT_OK, .files = 3 };
	struct got *g = bench_expect(b, MSG_BUILD);
	struct buf t = { 0 };

	snprintf(b->built, sizeof(b->built), "sha256:b%u", ++b->builds);
	fields_add_str(&t, F_IMAGE_ID, b->built);
	bench_reply(b, PROC_IMAGE, g, MSG_BUILD_DONE, 0, &m, &t,
	    memfd_create("manifest", MFD_CLOEXEC));
	buf_free(&t);
}

void
image_fails(struct bench *b, enum result result, const char *error)
{
	struct msg_build_done m = { .result = result };
	struct got *g = bench_expect(b, MSG_BUILD);
	struct buf t = { 0 };

	fields_add_str(&t, F_ERROR, error);
	bench_reply(b, PROC_IMAGE, g, MSG_BUILD_DONE, 0, &m, &t, -1);
	buf_free(&t);
}

void
bench_creates(struct bench *b, const char *id)
{
	struct got *g;

	g = bench_expect_eng(b, MSG_ENG_INSPECT, ENG_OP_IMAGE);
	assert_true(got_has(g, F_IMAGE_ID, b->built));
	engine_done(b, g, 200, "{\"Config\":{}}");
	g = bench_expect(b, MSG_ENG_CREATE);
	assert_true(got_has(g, F_NAME, "app.next"));
	assert_true(got_has(g, F_IMAGE_ID, b->built));
	engine_answer(b, g, 201, NULL, F_CONTAINER_ID, id);
}

void
bench_deploys(struct bench *b, const char *id, const char *old)
{
	image_builds(b);
	bench_creates(b, id);
	if (old != NULL) {
		engine_does(b, ENG_OP_STOP, old);
		engine_does(b, ENG_OP_RENAME, old);
	}
	engine_does(b, ENG_OP_RENAME, id);
	engine_does(b, ENG_OP_START, id);
	if (old != NULL) {
		engine_does(b, ENG_OP_REMOVE, old);
		engine_done(b,
		    bench_expect_eng(b, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE),
		    200, NULL);
	}
}

void
bench_attaches(struct bench *b, const char *id)
{
	struct got *g;

	engine_inspect(b, 60);
	g = push_does(b, MSG_ATTACH, (struct push) { .known = 1 });
	assert_true(g->fd);
	assert_true(got_has(g, F_CONTAINER_ID, id));
	g = push_does(b, MSG_APPLY, (struct push) { 0 });
	assert_true(got_has(g, F_SUBTREE, ""));
	bench_quiet(b);
}

struct bench *
bench_up(void)
{
	struct bench *b = bench_new(1);

	watch_tree(b, TREE_SCANNED, 1);
	watch_batch(b, BATCH_SCAN, 1, "*", NULL);
	bench_finds(b, bench_item("c1", "/app", "running"));
	push_does(b, MSG_APPLY, (struct push) { 0 });
	bench_ms(b, 10000);
	bench_quiet(b);
	assert_true(plan_in_step(bench_service(b)));
	return (b);
}

void
bench_wants_build(struct bench *b)
{
	watch_batch(b, 0, b->batch + 1, "Dockerfile", NULL);
	push_does(b, MSG_APPLY,
	    (struct push) { .result = RESULT_CLIMB,
		.reason = "it cannot be copied" });
	bench_ms(b, 60);
}

void
bench_replaces(struct bench *b, const char *id, const char *old)
{
	bench_deploys(b, id, old);
	bench_attaches(b, id);
	assert_true(plan_in_step(bench_service(b)));
}

void
bench_finds(struct bench *b, const char *items)
{
	engine_state(b, ENG_STATE_UP);
	engine_list(b, items);
	engine_inspect(b, 60);
	push_does(b, MSG_ATTACH, (struct push) { .known = 1 });
}
