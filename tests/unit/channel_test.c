/*
 * The channel: delivery in any pieces, limits, the queue.  What it must refuse
 * is in channel_bad_test.c, descriptors are in channel_fd_test.c.
 */
#include <sys/socket.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "channel.h"
#include "log.h"
#include "wire.h"

static void
test_byte_by_byte(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct buf b = { 0 }, tail = { 0 };
	struct msg_num n = { 0x0102030405060708 };
	size_t first;

	fields_add_str(&tail, F_SB_MODE, "on");
	fields_add_u64(&tail, F_SB_UID, 47000);
	wire_frame(&b, MSG_READY, 0, 0, tail.data, tail.len, false);
	first = b.len;
	wire_frame(&b, MSG_PONG, 0, 7, &n, sizeof(n), false);
	for (size_t i = 0; i < b.len; i++) {
		assert_int_equal(e->n, i >= first);
		wire_send(e->raw, b.data + i, 1, NULL, 0);
		loop_once(e->loop, 0);
	}
	assert_int_equal(e->n, 2);
	assert_int_equal(e->head[0].type, MSG_READY);
	assert_int_equal(e->head[1].type, MSG_PONG);
	assert_int_equal(e->head[1].id, 7);
	assert_int_equal(e->source[0], PROC_PLAN);
	assert_memory_equal(e->bytes.data, tail.data, tail.len);
	assert_memory_equal(e->bytes.data + tail.len, &n, sizeof(n));
	assert_int_equal(e->ends, 0);
	assert_int_equal(channel_pending(e->c), 0);
	buf_free(&b);
	buf_free(&tail);
	end_free(e);
}

static void
test_many_frames_in_one_read(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct buf b = { 0 };
	struct msg_num n;

	for (n.n = 0; n.n < 10; n.n++)
		wire_frame(&b, MSG_PONG, 0, (uint32_t)n.n, &n, sizeof(n),
		    false);
	wire_send(e->raw, b.data, b.len, NULL, 0);
	loop_once(e->loop, 0);
	assert_int_equal(e->n, 10);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(e->head[i].id, i);
	buf_free(&b);
	end_free(e);
}

/* Sending and receiving through two channels, with a socket that is small. */

#define STREAM_BYTES (24 * 1024 * 1024)

struct stream {
	struct channel *out;
	uint64_t sent;
	uint64_t got;
	unsigned drained;
	bool bad;
	bool ended;
	struct loop *loop;
};

static uint8_t
stream_byte(uint64_t at)
{
	return ((uint8_t)(at * 2654435761u >> 13));
}

static void
stream_feed(void *arg)
{
	struct stream *s = arg;
	uint8_t data[50000];
	size_t n;

	s->drained++;
	while (s->sent < STREAM_BYTES && channel_queued(s->out) < 1 << 20) {
		n = s->sent % sizeof(data) + 1;
		for (size_t i = 0; i < n; i++)
			data[i] = stream_byte(s->sent + i);
		assert_int_equal(channel_send(s->out, MSG_ENG_DATA, F_MORE, 1,
				     NULL, data, n, -1),
		    0);
		s->sent += n;
	}
}

static void
stream_frame(void *arg, struct frame *f)
{
	struct stream *s = arg;

	for (size_t i = 0; i < f->tail.len; i++)
		s->bad |= f->tail.data[i] != stream_byte(s->got + i);
	s->got += f->tail.len;
	if (s->got >= STREAM_BYTES)
		loop_stop(s->loop, 0);
}

static void
stream_end(void *arg, enum channel_end how, const char *why)
{
	struct stream *s = arg;

	s->ended = true;
	loop_stop(s->loop, 1);
}

static void
test_short_writes(void **state)
{
	static const struct channel_ops in = { stream_frame, stream_end, NULL };
	static const struct channel_ops out = { stream_frame, stream_end,
		stream_feed };
	struct stream s = { .loop = loop_new() };
	struct channel *c;
	int sv[2], small = 1;

	wire_pair(sv);
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	s.out = channel_new(s.loop, sv[0], PROC_ENGINE, PROC_SUP, &out, &s);
	c = channel_new(s.loop, sv[1], PROC_SUP, PROC_ENGINE, &in, &s);
	stream_feed(&s);
	assert_true(channel_queued(s.out) > 0);
	assert_int_equal(loop_run(s.loop), 0);
	assert_int_equal(s.got, s.sent);
	assert_false(s.bad);
	assert_false(s.ended);
	assert_true(s.drained > 2);
	assert_int_equal(channel_queued(s.out), 0);
	channel_free(c);
	channel_free(s.out);
	loop_free(s.loop);
}

static void
test_largest_frame(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_ENGINE);
	size_t len = FRAME_MAX - sizeof(struct frame_head), off = 0, n;
	uint8_t *data = xcalloc(1, len);
	struct buf b = { 0 };

	wire_frame(&b, MSG_ENG_DATA, 0, 1, data, len, false);
	while (off < b.len) {
		n = b.len - off < 50000 ? b.len - off : 50000;
		wire_send(e->raw, b.data + off, n, NULL, 0);
		off += n;
		end_settle(e);
	}
	assert_int_equal(e->n, 1);
	assert_int_equal(e->bytes.len, len);
	free(data);
	buf_free(&b);
	end_free(e);
}

static void
test_burst(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct buf b = { 0 };
	struct msg_num n = { 0 };

	for (int i = 0; i < 200; i++)
		wire_frame(&b, MSG_PONG, 0, (uint32_t)i, &n, sizeof(n), false);
	wire_send(e->raw, b.data, b.len, NULL, 0);
	/* the peer is gone, but all that it said is heard before that */
	close(e->raw);
	e->raw = -1;
	loop_once(e->loop, 0);
	assert_int_equal(e->n, CHANNEL_BURST);
	loop_once(e->loop, 0);
	assert_int_equal(e->n, 2 * CHANNEL_BURST);
	loop_once(e->loop, 0);
	assert_int_equal(e->n, 3 * CHANNEL_BURST);
	assert_int_equal(e->ends, 0);
	end_settle(e);
	assert_int_equal(e->n, 200);
	assert_int_equal(e->ends, 1);
	assert_int_equal(e->how, CHANNEL_EOF);
	assert_string_equal(e->why, "peer gone");
	buf_free(&b);
	end_free(e);
}

static void
test_pause(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct buf b = { 0 };
	struct msg_num n = { 0 };

	channel_pause(e->c, true);
	for (int i = 0; i < 10; i++)
		wire_frame(&b, MSG_PONG, 0, (uint32_t)i, &n, sizeof(n), false);
	wire_send(e->raw, b.data, b.len, NULL, 0);
	end_settle(e);
	assert_int_equal(e->n, 0);
	/* a handler that pauses gets no further frame, though it was read */
	e->pause_at = 3;
	channel_pause(e->c, false);
	end_settle(e);
	assert_int_equal(e->n, 3);
	assert_true(channel_pending(e->c) > 0);
	wire_send(e->raw, b.data, b.len, NULL, 0);
	end_settle(e);
	assert_int_equal(e->n, 3);
	channel_pause(e->c, false);
	end_settle(e);
	assert_int_equal(e->n, 20);
	assert_int_equal(e->ends, 0);
	buf_free(&b);
	end_free(e);
}

/* A paused channel still sends; the peer's end waits behind its words. */
static void
test_pause_and_hang_up(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct msg_num n = { 5 };
	struct buf b = { 0 };

	channel_pause(e->c, true);
	assert_int_equal(channel_send(e->c, MSG_PING, 0, 0, &n, NULL, 0, -1),
	    0);
	assert_int_equal(wire_take(e->raw, &b).type, MSG_PING);
	end_settle(e);
	assert_int_equal(e->ends, 0);
	wire_send_frame(e->raw, MSG_PONG, 0, 0, &n, sizeof(n), -1);
	close(e->raw);
	e->raw = -1;
	end_settle(e);
	assert_int_equal(e->ends, 0);
	assert_int_equal(channel_send(e->c, MSG_PING, 0, 0, &n, NULL, 0, -1),
	    -1);
	channel_pause(e->c, false);
	end_settle(e);
	assert_int_equal(e->n, 1);
	assert_int_equal(e->ends, 1);
	assert_int_equal(e->how, CHANNEL_EOF);
	buf_free(&b);
	end_free(e);
}

static void
test_peer_gone_in_a_frame(void **state)
{
	struct msg_num n = { 1 };
	struct buf b = { 0 };
	struct end *e;

	wire_frame(&b, MSG_PONG, 0, 0, &n, sizeof(n), false);
	for (size_t cut = 1; cut < b.len; cut++) {
		e = end_new(PROC_SUP, PROC_PLAN);
		wire_send(e->raw, b.data, b.len, NULL, 0);
		wire_send(e->raw, b.data, cut, NULL, 0);
		close(e->raw);
		e->raw = -1;
		end_settle(e);
		assert_int_equal(e->n, 1);
		assert_int_equal(e->ends, 1);
		assert_int_equal(e->how, CHANNEL_EOF);
		assert_string_equal(e->why,
		    "peer gone in the middle of a frame");
		end_free(e);
	}
	buf_free(&b);
}

/* Over its limit the channel ends, from the loop and not inside the send. */
static void
test_queue_limit(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct buf tail = { 0 };
	int sent = 0, r;

	channel_set_limit(e->c, 64 * 1024);
	for (size_t i = 0; i < 20; i++)
		fields_add_mem(&tail, F_TEXT, "0123456789", 10);
	do
		r = channel_send(e->c, MSG_STATUS_ITEM, 0, 1,
		    &(struct msg_status) { 0 }, tail.data, tail.len,
		    dup(e->raw));
	while (r == 0 && ++sent < 100000);
	assert_int_equal(r, -1);
	assert_true(sent > 100);
	assert_true(channel_ended(e->c));
	assert_int_equal(e->ends, 0);
	assert_true(channel_queued(e->c) <= 64 * 1024);
	/* further ones are refused, and their fds closed */
	assert_int_equal(channel_send(e->c, MSG_STATUS_ITEM, 0, 1,
			     &(struct msg_status) { 0 }, NULL, 0, dup(e->raw)),
	    -1);
	end_settle(e);
	assert_int_equal(e->ends, 1);
	assert_int_equal(e->how, CHANNEL_OVERFLOW);
	buf_free(&tail);
	end_free(e);
}

/* What a dead peer had said is handled at once, paused or not, up to a cap. */
static void
test_drain(void **state)
{
	struct msg_num n = { 0 };
	struct buf b = { 0 };
	struct end *e;

	for (int i = 0; i < 200; i++)
		wire_frame(&b, MSG_PONG, 0, 0, &n, sizeof(n), false);
	for (int ended = 0; ended < 2; ended++) {
		e = end_new(PROC_SUP, PROC_PLAN);
		channel_pause(e->c, true);
		wire_send(e->raw, b.data, b.len - (ended ? 1 : 0), NULL, 0);
		close(e->raw);
		e->raw = -1;
		end_settle(e);
		if (ended) /* this finds out that nobody reads */
			channel_send(e->c, MSG_PING, 0, 0, &n, NULL, 0, -1);
		channel_drain(e->c, SIZE_MAX);
		assert_int_equal(e->n, ended ? 199 : 200);
		end_settle(e);
		assert_int_equal(e->ends, 0);
		end_free(e);
	}
	e = end_new(PROC_SUP, PROC_PLAN);
	channel_pause(e->c, true);
	wire_send(e->raw, b.data, b.len, NULL, 0);
	channel_drain(e->c, 0);
	assert_int_equal(e->n, 0);
	assert_int_equal(channel_send(e->c, MSG_PING, 0, 0, &n, NULL, 0, -1),
	    -1);
	end_free(e);
	/* who broke a rule has lost its say */
	e = end_new(PROC_SUP, PROC_PLAN);
	wire_send_frame(e->raw, MSG_PING, 0, 0, &n, sizeof(n), -1);
	wire_send(e->raw, b.data, b.len, NULL, 0);
	end_settle(e);
	assert_int_equal(e->how, CHANNEL_VIOLATION);
	channel_drain(e->c, SIZE_MAX);
	assert_int_equal(e->n, 0);
	end_free(e);
	buf_free(&b);
}

/* Stamped by the supervisor, passed on as it came. */
static void
test_forward(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct frame_head h = { .type = MSG_WATCH_SYNC_OK,
		.flags = F_MORE,
		.source = PROC_WATCH,
		.instance = 3,
		.id = 9,
		.generation = 12 },
			  got;
	struct msg_watch_sync m = { .upto = 77 };
	struct buf b = { 0 };

	assert_int_equal(channel_forward(e->c, &h, &m, sizeof(m), -1), 0);
	got = wire_take(e->raw, &b);
	h.length = sizeof(h) + sizeof(m);
	assert_memory_equal(&got, &h, sizeof(h));
	assert_int_equal(b.len, sizeof(m));
	assert_memory_equal(b.data, &m, sizeof(m));
	buf_free(&b);
	end_free(e);
}

/* A worker leaves this to the supervisor, which names itself. */
static void
test_source_of_sent_frames(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct msg_num n = { 1 };
	struct buf b = { 0 };

	channel_send(e->c, MSG_PING, 0, 0, &n, NULL, 0, -1);
	assert_int_equal(wire_take(e->raw, &b).source, PROC_SUP);
	end_free(e);
	e = end_new(PROC_PLAN, PROC_SUP);
	channel_send(e->c, MSG_PONG, 0, 0, &n, NULL, 0, -1);
	assert_int_equal(wire_take(e->raw, &b).source, 0);
	buf_free(&b);
	end_free(e);
}

/* -vv: one line for each frame, either way. */
static void
test_trace(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_PLAN);
	struct msg_num n = { 1 };
	char text[1024];
	int log[2], saved = dup(2);
	ssize_t len;

	assert_int_equal(pipe(log), 0);
	dup2(log[1], 2);
	log_init("test", 2);
	channel_send(e->c, MSG_PING, 0, 4, &n, NULL, 0, -1);
	wire_send_frame(e->raw, MSG_PONG, 0, 5, &n, sizeof(n), -1);
	end_settle(e);
	log_init("test", 0);
	dup2(saved, 2);
	close(saved);
	close(log[1]);
	len = read(log[0], text, sizeof(text) - 1);
	close(log[0]);
	assert_true(len > 0);
	text[len] = '\0';
	assert_non_null(strstr(text, "-> plan PING source=supervisor.0 id=4"));
	assert_non_null(strstr(text, "<- plan PONG"));
	assert_non_null(strstr(text, "id=5"));
	end_free(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_many_frames_in_one_read),
		cmocka_unit_test(test_short_writes),
		cmocka_unit_test(test_largest_frame),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_and_hang_up),
		cmocka_unit_test(test_peer_gone_in_a_frame),
		cmocka_unit_test(test_queue_limit),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_source_of_sent_frames),
		cmocka_unit_test(test_trace),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
