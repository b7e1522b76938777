/*
 * What a channel must refuse: each ends it with a violation before any
 * handler sees the frame, and no descriptor stays behind.
 */
#include <sys/resource.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tmptree.h"
#include "wire.h"

/* One bad frame, as raw bytes. */
struct bad {
	const char *name;
	enum proc self;
	enum proc peer;
	struct frame_head head; /* length 0: made from payload and marked */
	size_t payload;         /* that many zero bytes */
	bool marked;
	size_t fds;
	const char *why;
};

static const struct bad heads[] = {
	/* type */
	{ "type 0", PROC_SUP, PROC_PLAN, { .type = 0 }, 0, false, 0,
	    "unknown type" },
	{ "type behind the last", PROC_SUP, PROC_PLAN, { .type = MSG_MAX }, 0,
	    false, 0, "unknown type" },
	{ "largest type", PROC_SUP, PROC_PLAN, { .type = 0xffff }, 0, false, 0,
	    "unknown type" },
	{ "unknown flag", PROC_SUP, PROC_PLAN, { .type = MSG_PONG, .flags = 2 },
	    8, false, 0, "unknown flags" },
	{ "reserved bits", PROC_SUP, PROC_PLAN, { .type = MSG_PONG, .zero = 1 },
	    8, false, 0, "unknown flags" },
	/* sender */
	{ "plan as watch", PROC_SUP, PROC_PLAN, { .type = MSG_WATCH_BATCH }, 40,
	    false, 0, "not for this sender" },
	{ "plan as the supervisor", PROC_SUP, PROC_PLAN, { .type = MSG_PING },
	    8, false, 0, "not for this sender" },
	{ "plan as a client", PROC_SUP, PROC_PLAN, { .type = MSG_CTL_STOP }, 0,
	    false, 0, "not for this sender" },
	{ "a client as a worker", PROC_CONTROL, PROC_CLIENT,
	    { .type = MSG_DAEMON_STOP }, 0, false, 0, "not for this sender" },
	{ "a worker that names itself", PROC_SUP, PROC_PLAN,
	    { .type = MSG_PONG, .source = PROC_PLAN }, 8, false, 0,
	    "source is not for the sender" },
	{ "a worker that names an instance", PROC_SUP, PROC_ENGINE,
	    { .type = MSG_PONG, .instance = 1 }, 8, false, 0,
	    "source is not for the sender" },
	{ "a worker that names a generation", PROC_SUP, PROC_PLAN,
	    { .type = MSG_PONG, .generation = 1 }, 8, false, 0,
	    "source is not for the sender" },
	{ "nobody's frame", PROC_PLAN, PROC_SUP, { .type = MSG_PING }, 8, false,
	    0, "not for this sender" },
	{ "a sender that there is not", PROC_PLAN, PROC_SUP,
	    { .type = MSG_PING, .source = PROC_MAX }, 8, false, 0,
	    "not for this sender" },
	{ "largest sender", PROC_PLAN, PROC_SUP,
	    { .type = MSG_PING, .source = 255 }, 8, false, 0,
	    "not for this sender" },
	{ "another worker's PING", PROC_PLAN, PROC_SUP,
	    { .type = MSG_PING, .source = PROC_WATCH }, 8, false, 0,
	    "not for this sender" },
	/* receiver */
	{ "plan's TREE at push", PROC_PUSH, PROC_SUP,
	    { .type = MSG_TREE, .source = PROC_WATCH }, 16, false, 0,
	    "not for this process" },
	{ "engine's DIAL_OK at image", PROC_IMAGE, PROC_SUP,
	    { .type = MSG_DIAL_OK, .source = PROC_SUP }, 0, true, 1,
	    "not for this process" },
	{ "control's answer at control", PROC_CONTROL, PROC_CLIENT,
	    { .type = MSG_CTL_OK }, 8, false, 0, "not for this sender" },
	/* length */
	{ "shorter than its fixed part", PROC_SUP, PROC_PLAN,
	    { .type = MSG_PONG }, 7, false, 0, "wrong length" },
	{ "no fixed part", PROC_SUP, PROC_PLAN, { .type = MSG_TAKE }, 0, false,
	    0, "wrong length" },
	{ "longer than its fixed part", PROC_SUP, PROC_PLAN,
	    { .type = MSG_PONG }, 9, false, 0, "wrong length" },
	{ "a tail where none is", PROC_CONTROL, PROC_CLIENT,
	    { .type = MSG_CTL_STATUS }, 8, false, 0, "wrong length" },
	{ "fields that are none", PROC_SUP, PROC_PLAN, { .type = MSG_READY }, 8,
	    false, 0, "bad fields" },
	{ "length 0", PROC_SUP, PROC_PLAN,
	    { .length = FRAME_FD, .type = MSG_PONG }, 8, true, 1,
	    "frame of 0 bytes" },
	{ "below a head", PROC_SUP, PROC_PLAN,
	    { .length = 19, .type = MSG_PONG }, 8, false, 0,
	    "frame of 19 bytes" },
	{ "over the largest", PROC_SUP, PROC_ENGINE,
	    { .length = FRAME_MAX + 1, .type = MSG_ENG_DATA }, 8, false, 0,
	    "frame of 262145 bytes" },
	{ "4 GiB", PROC_SUP, PROC_ENGINE,
	    { .length = 0xffffffff, .type = MSG_ENG_DATA }, 8, true, 1,
	    "frame of 2147483647 bytes" },
	/* descriptors */
	{ "a mark and no fd", PROC_ENGINE, PROC_SUP,
	    { .type = MSG_DIAL_OK, .source = PROC_SUP }, 0, true, 0,
	    "fd is missing" },
	{ "neither mark nor fd", PROC_ENGINE, PROC_SUP,
	    { .type = MSG_DIAL_OK, .source = PROC_SUP }, 0, false, 0,
	    "fd is missing" },
	{ "an fd that no frame marks", PROC_ENGINE, PROC_SUP,
	    { .type = MSG_DIAL_OK, .source = PROC_SUP }, 0, false, 1,
	    "fd is missing" },
	{ "an fd that may not be", PROC_SUP, PROC_PLAN, { .type = MSG_PONG }, 8,
	    true, 1, "carries an fd" },
	{ "more fds than can wait", PROC_ENGINE, PROC_SUP,
	    { .type = MSG_DIAL_OK, .source = PROC_SUP }, 0, true, 9,
	    "too many fds" },
	{ "as many as one message holds", PROC_SUP, PROC_PLAN,
	    { .type = MSG_PONG }, 8, true, 253, "too many fds" },
};

static void
bad_bytes(const struct bad *t, struct buf *b)
{
	struct frame_head h = t->head;

	if (h.length == 0)
		h.length = (uint32_t)(sizeof(h) + t->payload) |
		    (t->marked ? FRAME_FD : 0);
	buf_add(b, &h, sizeof(h));
	memset(buf_reserve(b, t->payload), 0, t->payload);
	b->len += t->payload;
}

static void
check_end(struct end *e, const char *name, size_t frames, const char *why)
{
	if (e->ends != 1 || e->how != CHANNEL_VIOLATION ||
	    strstr(e->why, why) == NULL)
		fail_msg("%s: ended %u times, how %d: %s", name, e->ends,
		    e->how, e->why);
	if (e->n != frames)
		fail_msg("%s: %zu frames", name, e->n);
	assert_true(channel_ended(e->c));
}

static void
test_bad_frames(void **state)
{
	int fds[253];

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct end *e = end_new(heads[i].self, heads[i].peer);
		struct buf b = { 0 };

		for (size_t k = 0; k < heads[i].fds; k++)
			fds[k] = e->raw;
		bad_bytes(&heads[i], &b);
		wire_send(e->raw, b.data, b.len, fds, heads[i].fds);
		/* a good one behind it is not looked at any more */
		if (heads[i].head.length == 0)
			wire_send(e->raw, b.data, b.len, NULL, 0);
		end_settle(e);
		check_end(e, heads[i].name, 0, heads[i].why);
		buf_free(&b);
		end_free(e);
	}
}

/* Good frames before the bad one are handled. */
static void
test_good_then_bad(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct msg_num n = { 1 };
	struct buf b = { 0 };

	for (int i = 0; i < 5; i++)
		wire_frame(&b, MSG_PONG, 0, 0, &n, sizeof(n), false);
	wire_frame(&b, MSG_PING, 0, 0, &n, sizeof(n), false);
	wire_frame(&b, MSG_PONG, 0, 0, &n, sizeof(n), false);
	wire_send(e->raw, b.data, b.len, NULL, 0);
	end_settle(e);
	check_end(e, "PING of a worker", 5, "PING (type");
	/* nothing can be sent any more */
	assert_int_equal(channel_send(e->c, MSG_PING, 0, 0, &n, NULL, 0,
			     dup(e->raw)),
	    -1);
	buf_free(&b);
	end_free(e);
}

/* A descriptor beside a frame that has no mark, or one too many. */
static void
test_stray_fds(void **state)
{
	struct msg_num n = { 1 };
	struct buf b = { 0 };
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	int two[2];

	wire_frame(&b, MSG_PONG, 0, 0, &n, sizeof(n), false);
	wire_send(e->raw, b.data, b.len, &e->raw, 1);
	end_settle(e);
	check_end(e, "unmarked", 1, "unexpected fd");
	end_free(e);

	e = end_new(PROC_ENGINE, PROC_SUP);
	two[0] = two[1] = e->raw;
	b.len = 0;
	wire_frame(&b, MSG_DIAL_OK, PROC_SUP, 1, NULL, 0, true);
	wire_send(e->raw, b.data, b.len, two, 2);
	end_settle(e);
	check_end(e, "two for one", 1, "unexpected fd");
	end_free(e);

	/* beside the beginning of a frame that has no mark */
	e = end_new(PROC_SUP, PROC_PLAN);
	b.len = 0;
	wire_frame(&b, MSG_PONG, 0, 0, &n, sizeof(n), false);
	wire_send(e->raw, b.data, 22, &e->raw, 1);
	end_settle(e);
	check_end(e, "unmarked half", 0, "unexpected fd");
	end_free(e);
	buf_free(&b);
}

/* The process has no number left for what comes: MSG_CTRUNC. */
static void
test_no_room_for_fds(void **state)
{
	struct end *e = end_new(PROC_ENGINE, PROC_SUP);
	struct rlimit old, rl;
	struct buf b = { 0 };
	int probe = dup(e->raw), fds[253];

	for (size_t i = 0; i < 253; i++)
		fds[i] = e->raw;
	wire_frame(&b, MSG_DIAL_OK, PROC_SUP, 1, NULL, 0, true);
	wire_send(e->raw, b.data, b.len, fds, 1);
	close(probe);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	rl = old;
	rl.rlim_cur = (rlim_t)probe;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	end_settle(e);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	check_end(e, "no room for one", 0, "MSG_CTRUNC");
	end_free(e);

	/* room for some of them: those are closed */
	e = end_new(PROC_ENGINE, PROC_SUP);
	for (size_t i = 0; i < 253; i++)
		fds[i] = e->raw;
	wire_send(e->raw, b.data, b.len, fds, 253);
	probe = dup(e->raw);
	close(probe);
	rl.rlim_cur = (rlim_t)probe + 5;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	end_settle(e);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	check_end(e, "room for five", 0, "MSG_CTRUNC");
	end_free(e);
	buf_free(&b);
}

/* Tails that are not whole, valid fields. */
static void
test_bad_tails(void **state)
{
	struct raw_field {
		uint16_t key;
		uint16_t zero;
		uint32_t len;
		char bytes[16];
	} f[] = {
		{ F_NONE, 0, 0, "" },
		{ F_MAX, 0, 0, "" },
		{ 0xffff, 0, 0, "" },
		{ F_TEXT, 1, 4, "text" },
		{ F_TEXT, 0, 5, "te\0xt" },
		{ F_TEXT, 0, 17, "text" },
		{ F_TEXT, 0, 0xffffffff, "text" },
		{ F_TEXT, 0, 0xfffffff8, "text" },
		{ F_JOB, 0, 4, "1234" },
		{ F_JOB, 0, 9, "123456789" },
		{ F_RERUN, 0, 8, "\2\0\0\0\0\0\0" },
	};
	struct end *e;
	size_t len;

	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		e = end_new(PROC_SUP, PROC_PLAN);
		len = 8 + (f[i].len < 16 ? f[i].len : 16);
		wire_send_frame(e->raw, MSG_READY, 0, 0, &f[i], len, -1);
		end_settle(e);
		check_end(e, "field", 0, "bad fields");
		end_free(e);
	}
}

/* The end is told once, also when more goes wrong afterwards. */
static void
test_end_is_told_once(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct msg_num n = { 1 };

	wire_send_frame(e->raw, MSG_PING, 0, 0, &n, sizeof(n), -1);
	loop_once(e->loop, 0);
	channel_send(e->c, MSG_PING, 0, 0, &n, NULL, 0, -1);
	channel_pause(e->c, true);
	channel_pause(e->c, false);
	close(e->raw);
	e->raw = -1;
	end_settle(e);
	check_end(e, "once", 0, "not for this sender");
	end_free(e);
}

/* Bytes without sense: never a frame, never a crash. */
static void
test_noise(void **state)
{
	unsigned seed = 12345;
	uint8_t data[512];
	struct end *e;

	for (int round = 0; round < 300; round++) {
		e = end_new(PROC_SUP, (enum proc)(PROC_WATCH + round % 6));
		for (size_t i = 0; i < sizeof(data); i++) {
			seed = seed * 1103515245 + 12345;
			data[i] = (uint8_t)(seed >> 16);
		}
		/* half of them with a length that makes sense */
		if (round % 2 == 0)
			memcpy(data, &(uint32_t) { 20 + seed % 400 }, 4);
		wire_send(e->raw, data, sizeof(data), NULL, 0);
		close(e->raw);
		e->raw = -1;
		end_settle(e);
		assert_int_equal(e->n, 0);
		assert_int_equal(e->ends, 1);
		end_free(e);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_frames),
		cmocka_unit_test(test_good_then_bad),
		cmocka_unit_test(test_stray_fds),
		cmocka_unit_test(test_no_room_for_fds),
		cmocka_unit_test(test_bad_tails),
		cmocka_unit_test(test_end_is_told_once),
		cmocka_unit_test(test_noise),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
