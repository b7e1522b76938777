/*
 * Frames that wait to be sent, see outq.h.  Any process.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "ipc/outq.h"

struct out {
	struct out *next;
	size_t len;
	size_t off;
	int fd;
	uint8_t data[];
};

void
outq_init(struct outq *q)
{
	memset(q, 0, sizeof(*q));
	q->last = &q->first;
}

bool
outq_is_empty(const struct outq *q)
{
	return (q->first == NULL);
}

static void
out_close_fd(struct outq *q, struct out *o)
{
	if (o->fd == -1)
		return;
	close(o->fd);
	o->fd = -1;
	q->fds--;
}

static void
outq_drop_first(struct outq *q)
{
	struct out *o = q->first;

	q->bytes -= o->len - o->off;
	q->first = o->next;
	if (q->first == NULL)
		q->last = &q->first;
	out_close_fd(q, o);
	free(o);
}

void
outq_clear(struct outq *q)
{
	while (q->first != NULL)
		outq_drop_first(q);
}

void
outq_add(struct outq *q, const struct outq_piece piece[3], int fd)
{
	size_t len = piece[0].len + piece[1].len + piece[2].len;
	struct out *o = xcalloc(1, sizeof(*o) + len);
	uint8_t *p = o->data;

	o->len = len;
	o->fd = fd;
	for (int i = 0; i < 3; p += piece[i++].len)
		if (piece[i].data != NULL && piece[i].len > 0)
			memcpy(p, piece[i].data, piece[i].len);
	*q->last = o;
	q->last = &o->next;
	q->bytes += len;
	q->fds += fd != -1;
}

int
outq_write(struct outq *q, int sock)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct out *o = q->first;
	struct iovec iov = { o->data + o->off, o->len - o->off };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;
	ssize_t n;

	if (o->fd != -1) {
		m.msg_control = ctl.bytes;
		m.msg_controllen = sizeof(ctl.bytes);
		cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(cm), &o->fd, sizeof(int));
	}
	n = sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1)
		return (-1);
	out_close_fd(q, o);
	o->off += (size_t)n;
	q->bytes -= (size_t)n;
	if (o->off == o->len)
		outq_drop_first(q);
	return (0);
}
