/*
 * The channel: delivery in any pieces, descriptors, limits, the queue.  What
 * it must refuse is in channel_bad_test.c.
 */
#include <sys/socket.h>
#include <fcntl.h>
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

/* The fd comes with the first byte, its frame's end much later. */
static void
test_byte_by_byte_with_fd(void **state)
{
	struct end *e = end_new(PROC_ENGINE, PROC_SUP);
	struct buf b = { 0 };
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ino_t ino = wire_ino(fd);

	wire_frame(&b, MSG_DIAL_OK, PROC_SUP, 1, NULL, 0, true);
	wire_send(e->raw, b.data, 1, &fd, 1);
	close(fd);
	for (size_t i = 1; i < b.len; i++) {
		loop_once(e->loop, 0);
		assert_int_equal(e->n, 0);
		wire_send(e->raw, b.data + i, 1, NULL, 0);
	}
	loop_once(e->loop, 0);
	assert_int_equal(e->n, 1);
	assert_int_equal(e->ino[0], ino);
	buf_free(&b);
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

/* One recvmsg(2) returns both; the descriptor is the second one's. */
static void
test_plain_frame_before_fd_frame(void **state)
{
	struct end *e = end_new(PROC_ENGINE, PROC_SUP);
	struct msg_num n = { 1 };
	int a = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int b = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ino_t ia = wire_ino(a), ib = wire_ino(b);

	wire_send_frame(e->raw, MSG_PING, PROC_SUP, 0, &n, sizeof(n), -1);
	wire_send_frame(e->raw, MSG_DIAL_OK, PROC_SUP, 1, NULL, 0, a);
	wire_send_frame(e->raw, MSG_PING, PROC_SUP, 0, &n, sizeof(n), -1);
	wire_send_frame(e->raw, MSG_DIAL_OK, PROC_SUP, 2, NULL, 0, b);
	wire_send_frame(e->raw, MSG_DIAL_OK, PROC_SUP, 3, NULL, 0, a);
	close(a);
	close(b);
	end_settle(e);
	assert_int_equal(e->ends, 0);
	assert_int_equal(e->n, 5);
	assert_int_equal(e->ino[0], 0);
	assert_int_equal(e->ino[1], ia);
	assert_int_equal(e->ino[2], 0);
	assert_int_equal(e->ino[3], ib);
	assert_int_equal(e->ino[4], ia);
	end_free(e);
}

/* Two frames and both their descriptors in one message. */
static void
test_fds_keep_their_order(void **state)
{
	struct end *e = end_new(PROC_ENGINE, PROC_SUP);
	struct buf b = { 0 };
	int fds[2] = { open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		open("/dev/null", O_RDONLY | O_CLOEXEC) };
	ino_t ia = wire_ino(fds[0]), ib = wire_ino(fds[1]);

	wire_frame(&b, MSG_DIAL_OK, PROC_SUP, 1, NULL, 0, true);
	wire_frame(&b, MSG_DIAL_OK, PROC_SUP, 2, NULL, 0, true);
	wire_send(e->raw, b.data, b.len, fds, 2);
	close(fds[0]);
	close(fds[1]);
	end_settle(e);
	assert_int_equal(e->n, 2);
	assert_int_equal(e->ino[0], ia);
	assert_int_equal(e->ino[1], ib);
	assert_int_equal(e->ends, 0);
	buf_free(&b);
	end_free(e);
}

/* A handler that takes the fd owns it. */
static void
test_fd_is_taken(void **state)
{
	struct end *e = end_new(PROC_ENGINE, PROC_SUP);
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ino_t ino = wire_ino(fd);

	e->take = true;
	wire_send_frame(e->raw, MSG_DIAL_OK, PROC_SUP, 1, NULL, 0, fd);
	close(fd);
	end_settle(e);
	assert_int_not_equal(e->taken, -1);
	assert_int_equal(wire_ino(e->taken), ino);
	end_free(e);
}

/* A frame that may carry an fd, with and without. */
static void
test_fd_may_be_there(void **state)
{
	struct end *e = end_new(PROC_PUSH, PROC_SUP);
	struct msg_job job = { .job = 1 };
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	wire_send_frame(e->raw, MSG_ATTACH, PROC_PLAN, 1, &job, sizeof(job),
	    -1);
	wire_send_frame(e->raw, MSG_ATTACH, PROC_PLAN, 2, &job, sizeof(job),
	    fd);
	close(fd);
	end_settle(e);
	assert_int_equal(e->n, 2);
	assert_int_equal(e->ino[0], 0);
	assert_int_not_equal(e->ino[1], 0);
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

/* Gone while a descriptor waits for the rest of its frame. */
static void
test_peer_gone_with_fd(void **state)
{
	struct end *e = end_new(PROC_ENGINE, PROC_SUP);
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct buf b = { 0 };

	wire_frame(&b, MSG_DIAL_OK, PROC_SUP, 1, NULL, 0, true);
	wire_send(e->raw, b.data, 5, &fd, 1);
	close(fd);
	close(e->raw);
	e->raw = -1;
	end_settle(e);
	assert_int_equal(e->n, 0);
	assert_int_equal(e->ends, 1);
	buf_free(&b);
	end_free(e);
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

/* Descriptors that nobody takes must not use up all that we may have. */
static void
test_fd_limit(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_ENGINE);
	int small = 1, sent = 0;

	setsockopt(channel_fd(e->c), SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small));
	while (channel_send(e->c, MSG_DIAL_OK, 0, 1, NULL, NULL, 0,
		   dup(e->raw)) == 0)
		assert_true(++sent < CHANNEL_FD_LIMIT + 100);
	assert_true(sent >= CHANNEL_FD_LIMIT);
	end_settle(e);
	assert_int_equal(e->ends, 1);
	assert_int_equal(e->how, CHANNEL_OVERFLOW);
	end_free(e);
}

/* What waits is freed with the channel, descriptors too. */
static void
test_free_with_queue(void **state)
{
	struct end *e = end_new(PROC_SUP, PROC_ENGINE);
	int small = 1;

	setsockopt(channel_fd(e->c), SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small));
	for (int i = 0; i < 100; i++)
		assert_int_equal(channel_send(e->c, MSG_DIAL_OK, 0, 1, NULL,
				     NULL, 0,
				     open("/dev/null", O_RDONLY | O_CLOEXEC)),
		    0);
	assert_true(channel_queued(e->c) > 0);
	end_free(e);
	channel_free(NULL);
}

/* Descriptors arrive with their frames through a small socket. */
static void
test_many_fds(void **state)
{
	struct end *e = end_new(PROC_ENGINE, PROC_SUP);
	struct loop *l = e->loop;
	struct channel *out;
	struct msg_num n = { 0 };
	int small = 1, fd;
	ino_t ino[2];

	setsockopt(e->raw, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	out = channel_new(l, e->raw, PROC_SUP, PROC_ENGINE, &end_ops, e);
	e->raw = -1;
	for (int i = 0; i < 150; i++) {
		fd = open(i % 2 ? "/" : "/dev/null", O_RDONLY | O_CLOEXEC);
		ino[i % 2] = wire_ino(fd);
		channel_send(out, MSG_PING, 0, 0, &n, NULL, 0, -1);
		channel_send(out, MSG_DIAL_OK, 0, (uint32_t)i + 1, NULL, NULL,
		    0, fd);
	}
	for (int i = 0; i < 1000 && e->n < 300; i++)
		loop_once(l, 0);
	assert_int_equal(e->n, 300);
	for (int i = 0; i < 150; i++) {
		assert_int_equal(e->ino[2 * i], 0);
		assert_int_equal(e->ino[2 * i + 1], ino[i % 2]);
	}
	channel_free(out);
	end_free(e);
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
		cmocka_unit_test(test_byte_by_byte_with_fd),
		cmocka_unit_test(test_many_frames_in_one_read),
		cmocka_unit_test(test_plain_frame_before_fd_frame),
		cmocka_unit_test(test_fds_keep_their_order),
		cmocka_unit_test(test_fd_is_taken),
		cmocka_unit_test(test_fd_may_be_there),
		cmocka_unit_test(test_short_writes),
		cmocka_unit_test(test_largest_frame),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_and_hang_up),
		cmocka_unit_test(test_peer_gone_in_a_frame),
		cmocka_unit_test(test_peer_gone_with_fd),
		cmocka_unit_test(test_queue_limit),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_fd_limit),
		cmocka_unit_test(test_free_with_queue),
		cmocka_unit_test(test_many_fds),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_source_of_sent_frames),
		cmocka_unit_test(test_trace),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
