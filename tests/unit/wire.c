/*
 * Frames as bytes, see wire.h.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tmptree.h"
#include "wire.h"

#define WIRE_FDS_MAX 253

void
wire_frame(struct buf *b, unsigned type, unsigned source, uint32_t id,
    const void *payload, size_t len, bool fd)
{
	struct frame_head h = { .type = (uint16_t)type,
		.source = (uint8_t)source,
		.id = id };

	h.length = (uint32_t)(sizeof(h) + len) | (fd ? FRAME_FD : 0);
	buf_add(b, &h, sizeof(h));
	buf_add(b, payload, len);
}

void
wire_send(int to, const void *data, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
	} ctl = { 0 };
	struct iovec iov = { .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;

	/* sendmsg(2) does not write to it */
	memcpy(&iov.iov_base, &data, sizeof(data));
	if (nfds > 0) {
		m.msg_control = ctl.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(cm), fds, sizeof(int) * nfds);
	}
	assert_int_equal(sendmsg(to, &m, MSG_NOSIGNAL), len);
}

void
wire_send_frame(int to, unsigned type, unsigned source, uint32_t id,
    const void *payload, size_t len, int fd)
{
	struct buf b = { 0 };

	wire_frame(&b, type, source, id, payload, len, fd != -1);
	wire_send(to, b.data, b.len, &fd, fd != -1);
	buf_free(&b);
}

static void
wire_read(int from, void *dst, size_t len)
{
	uint8_t *p = dst;
	ssize_t n;

	while (len > 0) {
		n = read(from, p, len);
		assert_true(n > 0);
		p += n;
		len -= (size_t)n;
	}
}

struct frame_head
wire_take(int from, struct buf *b)
{
	struct frame_head h;
	size_t len;

	wire_read(from, &h, sizeof(h));
	len = (h.length & ~FRAME_FD) - sizeof(h);
	wire_read(from, buf_reserve(b, len), len);
	b->len += len;
	return (h);
}

void
wire_pair(int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
	    0);
}

static void
on_frame(void *arg, struct frame *f)
{
	struct end *e = arg;
	struct stat st;

	assert_true(e->n < END_FRAMES);
	e->head[e->n] = f->head;
	e->source[e->n] = f->source;
	if (f->fd != -1) {
		assert_int_equal(fstat(f->fd, &st), 0);
		e->ino[e->n] = st.st_ino;
		assert_true(fcntl(f->fd, F_GETFD) & FD_CLOEXEC);
	}
	if (e->take)
		e->taken = frame_take_fd(f);
	buf_add(&e->bytes, f->payload, f->payload_len);
	e->n++;
	if (e->n == e->pause_at)
		channel_pause(e->c, true);
}

static void
on_end(void *arg, enum channel_end how, const char *why)
{
	struct end *e = arg;

	e->ends++;
	e->how = how;
	strlcpy(e->why, why, sizeof(e->why));
}

static void
on_drained(void *arg)
{
	struct end *e = arg;

	e->drained++;
}

const struct channel_ops end_ops = { on_frame, on_end, on_drained };

struct end *
end_new(enum proc self, enum proc peer)
{
	struct end *e = xcalloc(1, sizeof(*e));
	int sv[2];

	e->fds_before = tmptree_open_fds();
	wire_pair(sv);
	e->taken = -1;
	e->loop = loop_new();
	e->raw = sv[1];
	e->c = channel_new(e->loop, sv[0], self, peer, &end_ops, e);
	return (e);
}

void
end_free(struct end *e)
{
	channel_free(e->c);
	loop_free(e->loop);
	if (e->raw != -1)
		close(e->raw);
	if (e->taken != -1)
		close(e->taken);
	buf_free(&e->bytes);
	assert_int_equal(tmptree_open_fds(), e->fds_before);
	free(e);
}

void
end_settle(struct end *e)
{
	for (int i = 0; i < 20; i++)
		loop_once(e->loop, 0);
}

ino_t
wire_ino(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (st.st_ino);
}
