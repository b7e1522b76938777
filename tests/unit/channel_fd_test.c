/*
 * Descriptors through a channel: each comes with its own frame, and is
 * closed by whoever owns it last.
 */
#include <sys/socket.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "channel.h"
#include "log.h"
#include "wire.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_byte_by_byte_with_fd),
		cmocka_unit_test(test_plain_frame_before_fd_frame),
		cmocka_unit_test(test_fds_keep_their_order),
		cmocka_unit_test(test_fd_is_taken),
		cmocka_unit_test(test_fd_may_be_there),
		cmocka_unit_test(test_peer_gone_with_fd),
		cmocka_unit_test(test_fd_limit),
		cmocka_unit_test(test_free_with_queue),
		cmocka_unit_test(test_many_fds),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
