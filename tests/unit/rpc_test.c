/*
 * Requests and answers: who may answer, once, and nothing that is stale.
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

#include "rpc.h"
#include "tmptree.h"
#include "wire.h"

/* plan asks; the test is the supervisor and all behind it. */
struct asker {
	struct loop *loop;
	struct channel *c;
	struct rpc *r;
	int raw;
	unsigned calls;
	unsigned nobody; /* answers that rpc_dispatch() refused */
	unsigned type;
	enum err_code err;
	uint64_t num;
	bool again; /* ask once more from the callback */
	uint32_t second;
	int fds;
};

static void
on_answer(void *arg, struct frame *f)
{
	struct asker *a = arg;
	struct msg_num n = { 2 };

	a->calls++;
	a->type = f->head.type;
	a->err = rpc_err(f);
	if (f->head.type == MSG_OK)
		a->num = ((const struct msg_num *)frame_fixed(f))->n;
	if (a->again) {
		a->again = false;
		a->second = rpc_ask(a->r, MSG_WATCH_SYNC, 0, &n, NULL, -1,
		    on_answer, a);
	}
}

static void
on_frame(void *arg, struct frame *f)
{
	struct asker *a = arg;

	if (!rpc_dispatch(a->r, f))
		a->nobody++;
}

static void
on_end(void *arg, enum channel_end how, const char *why)
{
}

static const struct channel_ops ops = { on_frame, on_end, NULL };

static void
asker_open(struct asker *a)
{
	int sv[2];

	memset(a, 0, sizeof(*a));
	a->fds = tmptree_open_fds();
	wire_pair(sv);
	a->loop = loop_new();
	a->c = channel_new(a->loop, sv[0], PROC_PLAN, PROC_SUP, &ops, a);
	a->r = rpc_new(a->c);
	a->raw = sv[1];
}

static void
asker_close(struct asker *a)
{
	rpc_free(a->r);
	channel_free(a->c);
	loop_free(a->loop);
	if (a->raw != -1)
		close(a->raw);
	assert_int_equal(tmptree_open_fds(), a->fds);
}

static uint32_t
ask(struct asker *a)
{
	struct msg_num n = { 1 };

	return (rpc_ask(a->r, MSG_WATCH_SYNC, 0, &n, NULL, -1, on_answer, a));
}

static void
answer(struct asker *a, unsigned type, unsigned source, uint16_t flags,
    uint32_t id, const void *fixed, size_t len)
{
	struct buf b = { 0 };
	struct frame_head h;

	wire_frame(&b, type, source, id, fixed, len, false);
	memcpy(&h, b.data, sizeof(h));
	h.flags = flags;
	memcpy(b.data, &h, sizeof(h));
	wire_send(a->raw, b.data, b.len, NULL, 0);
	buf_free(&b);
	loop_once(a->loop, 0);
}

static void
answer_ok(struct asker *a, unsigned source, uint32_t id, uint64_t n)
{
	struct msg_num m = { n };

	answer(a, MSG_OK, source, 0, id, &m, sizeof(m));
}

static void
test_ask(void **state)
{
	struct asker a;
	struct frame_head h;
	struct buf b = { 0 };
	uint32_t id;

	asker_open(&a);
	id = ask(&a);
	assert_int_not_equal(id, 0);
	assert_int_equal(rpc_open(a.r), 1);
	h = wire_take(a.raw, &b);
	assert_int_equal(h.type, MSG_WATCH_SYNC);
	assert_int_equal(h.id, id);
	answer_ok(&a, PROC_WATCH, id, 99);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.num, 99);
	assert_int_equal(a.err, 0);
	assert_int_equal(rpc_open(a.r), 0);
	/* a second answer to it is nobody's */
	answer_ok(&a, PROC_WATCH, id, 100);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.nobody, 1);
	asker_close(&a);
	buf_free(&b);
	rpc_free(NULL);
}

static void
test_ids_that_nobody_waits_for(void **state)
{
	struct asker a;
	uint32_t id;

	asker_open(&a);
	id = ask(&a);
	answer_ok(&a, PROC_WATCH, id + 1, 1);
	answer_ok(&a, PROC_WATCH, 0, 1);
	answer_ok(&a, PROC_WATCH, UINT32_MAX, 1);
	assert_int_equal(a.calls, 0);
	assert_int_equal(a.nobody, 3);
	assert_int_equal(rpc_open(a.r), 1);
	asker_close(&a);
}

/* OK and ERR may come from anyone by the table: only who was asked counts. */
static void
test_answer_of_another_process(void **state)
{
	static const enum proc others[] = { PROC_ENGINE, PROC_IMAGE, PROC_PUSH,
		PROC_CONTROL, PROC_SUP };
	struct msg_err e = { .code = ERR_IO };
	struct asker a;
	uint32_t id;
	unsigned refused = 0;

	asker_open(&a);
	id = ask(&a);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		answer_ok(&a, others[i], id, 1);
		refused++;
		if (others[i] == PROC_SUP)
			continue;
		answer(&a, MSG_ERR, others[i], 0, id, &e, sizeof(e));
		refused++;
	}
	assert_int_equal(a.calls, 0);
	assert_int_equal(a.nobody, refused);
	assert_int_equal(rpc_open(a.r), 1);
	/* the supervisor answers for one that died */
	e.code = ERR_WORKER_LOST;
	answer(&a, MSG_ERR, PROC_SUP, 0, id, &e, sizeof(e));
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.err, ERR_WORKER_LOST);
	assert_int_equal(rpc_open(a.r), 0);
	asker_close(&a);
}

static void
test_more(void **state)
{
	struct msg_num n = { 1 };
	struct asker a;
	uint32_t id;

	asker_open(&a);
	id = ask(&a);
	for (unsigned i = 1; i <= 5; i++) {
		answer(&a, MSG_OK, PROC_WATCH, F_MORE, id, &n, sizeof(n));
		assert_int_equal(a.calls, i);
		assert_int_equal(rpc_open(a.r), 1);
	}
	answer_ok(&a, PROC_WATCH, id, 6);
	assert_int_equal(a.calls, 6);
	assert_int_equal(rpc_open(a.r), 0);
	asker_close(&a);
}

static void
test_cancel(void **state)
{
	struct asker a;
	struct frame_head h;
	struct buf b = { 0 };
	uint32_t id;

	asker_open(&a);
	id = ask(&a);
	wire_take(a.raw, &b);
	rpc_cancel(a.r, id);
	h = wire_take(a.raw, &b);
	assert_int_equal(h.type, MSG_CANCEL);
	assert_int_equal(h.id, id);
	assert_int_equal(rpc_open(a.r), 0);
	/* the answer was on its way: nobody's */
	answer_ok(&a, PROC_WATCH, id, 1);
	assert_int_equal(a.calls, 0);
	assert_int_equal(a.nobody, 1);
	/* twice, or what is not open: nothing is sent */
	rpc_cancel(a.r, id);
	rpc_cancel(a.r, 12345);
	assert_int_equal(channel_queued(a.c), 0);
	ask(&a);
	h = wire_take(a.raw, &b);
	assert_int_equal(h.type, MSG_WATCH_SYNC);
	asker_close(&a);
	buf_free(&b);
}

/* An id is free again only when its request is done. */
static void
test_ids_differ(void **state)
{
	struct asker a;
	uint32_t ids[100];

	asker_open(&a);
	for (size_t i = 0; i < 100; i++) {
		ids[i] = ask(&a);
		assert_int_not_equal(ids[i], 0);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(ids[i], ids[k]);
	}
	assert_int_equal(rpc_open(a.r), 100);
	/* answered out of order */
	answer_ok(&a, PROC_WATCH, ids[50], 50);
	assert_int_equal(a.num, 50);
	answer_ok(&a, PROC_WATCH, ids[0], 7);
	assert_int_equal(a.num, 7);
	answer_ok(&a, PROC_WATCH, ids[99], 8);
	assert_int_equal(a.num, 8);
	assert_int_equal(rpc_open(a.r), 97);
	asker_close(&a);
}

static void
test_ask_from_the_callback(void **state)
{
	struct asker a;
	uint32_t id;

	asker_open(&a);
	a.again = true;
	id = ask(&a);
	answer_ok(&a, PROC_WATCH, id, 1);
	assert_int_not_equal(a.second, 0);
	assert_int_not_equal(a.second, id);
	answer_ok(&a, PROC_WATCH, a.second, 2);
	assert_int_equal(a.calls, 2);
	assert_int_equal(a.num, 2);
	asker_close(&a);
}

/* With the channel gone nothing is asked and nothing is called. */
static void
test_ask_after_the_end(void **state)
{
	struct asker a;
	struct msg_num n = { 1 };

	asker_open(&a);
	close(a.raw);
	a.raw = -1;
	loop_once(a.loop, 0);
	loop_once(a.loop, 0);
	assert_true(channel_ended(a.c));
	assert_int_equal(rpc_ask(a.r, MSG_WATCH_SYNC, 0, &n, NULL, dup(2),
			     on_answer, &a),
	    0);
	assert_int_equal(rpc_open(a.r), 0);
	assert_int_equal(a.calls, 0);
	asker_close(&a);
}

static void
test_follow_and_answers(void **state)
{
	struct asker a;
	struct frame_head h;
	struct msg_err e;
	struct msg_num n;
	struct buf b = { 0 }, tail = { 0 };
	struct fields t;
	char *s;

	asker_open(&a);
	fields_add_str(&tail, F_PATH, "p");
	assert_int_equal(rpc_follow(a.r, 9, MSG_APPLY_PATHS, F_MORE, NULL,
			     &tail),
	    0);
	h = wire_take(a.raw, &b);
	assert_int_equal(h.type, MSG_APPLY_PATHS);
	assert_int_equal(h.flags, F_MORE);
	assert_int_equal(h.id, 9);
	assert_int_equal(b.len, tail.len);
	assert_memory_equal(b.data, tail.data, tail.len);

	b.len = 0;
	assert_int_equal(rpc_answer_err(a.c, 4, ERR_REFUSED, 13, "no"), 0);
	h = wire_take(a.raw, &b);
	assert_int_equal(h.type, MSG_ERR);
	assert_int_equal(h.id, 4);
	memcpy(&e, b.data, sizeof(e));
	assert_int_equal(e.code, ERR_REFUSED);
	assert_int_equal(e.errnum, 13);
	t = (struct fields) { b.data + sizeof(e), b.len - sizeof(e) };
	s = fields_dup(&t, F_ERROR);
	assert_string_equal(s, "no");
	free(s);

	b.len = 0;
	assert_int_equal(rpc_answer_ok(a.c, 5, 77), 0);
	h = wire_take(a.raw, &b);
	assert_int_equal(h.type, MSG_OK);
	memcpy(&n, b.data, sizeof(n));
	assert_int_equal(n.n, 77);
	buf_free(&b);
	buf_free(&tail);
	asker_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_ids_that_nobody_waits_for),
		cmocka_unit_test(test_answer_of_another_process),
		cmocka_unit_test(test_more),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_ids_differ),
		cmocka_unit_test(test_ask_from_the_callback),
		cmocka_unit_test(test_ask_after_the_end),
		cmocka_unit_test(test_follow_and_answers),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
