/*
 * evil_worker: stands in for a worker whose process somebody else has taken
 * over.  It reports READY and then sends what it may send, with contents that
 * are lies, answers that nobody asked for and requests without end, and at
 * last something that it may not.
 *
 * Its role is in its name, wharf-ROLE.  Beside it lies a file `evil` with
 * struct evil: what it counts, and the seed that decides what it does.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "channel.h"
#include "log.h"

#define CHANNEL_AT 3
#define BATCH      (128 * 1024)
#define LIFE_MS    1300 /* longer than what counts as an early death */

struct evil {
	uint64_t seed;
	uint64_t lives;
	uint64_t frames; /* well-formed: all that a check lets pass */
	uint64_t broken; /* that no check lets pass */
};

static volatile struct evil *evil;
static enum proc role;
static uint64_t state;
static struct buf out;
static int spare; /* an fd to give away */

static uint32_t
rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return ((uint32_t)(state >> 16));
}

static void
rnd_bytes(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rnd();
}

static void
evil_open(const char *self)
{
	char *path =
	    xasprintf("%.*s/evil", (int)(strrchr(self, '/') - self), self);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *p = mmap(NULL, sizeof(*evil), PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);

	if (fd == -1 || p == MAP_FAILED)
		fatal("%s", path);
	evil = p;
	evil->lives++;
	state = (evil->seed + evil->lives) * 0x9e3779b97f4a7c15 + role;
	free(path);
	close(fd);
}

/* Read and forget, with the descriptors; what it is told is of no interest. */
static void
evil_read(void)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int) * 64)];
	} ctl;
	static uint8_t in[BATCH];
	struct iovec iov = { in, sizeof(in) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.bytes,
		.msg_controllen = sizeof(ctl.bytes) };
	struct cmsghdr *c;
	ssize_t n = recvmsg(CHANNEL_AT, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		_exit(0);
	if (n == -1)
		return;
	for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
		for (size_t i = 0;
		     CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			close(fd);
		}
}

/* Send all of `out`, with so many fds at its first byte. */
static void
evil_flush(size_t nfds, bool reads)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int) * 16)];
	} ctl;
	struct pollfd p = { .fd = CHANNEL_AT };
	size_t at = 0;

	while (at < out.len) {
		struct iovec iov = { out.data + at, out.len - at };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
		struct cmsghdr *c;
		ssize_t n;

		if (at == 0 && nfds > 0) {
			m.msg_control = ctl.bytes;
			m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
			memset(&ctl, 0, sizeof(ctl));
			c = CMSG_FIRSTHDR(&m);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
			for (size_t i = 0; i < nfds; i++)
				memcpy(CMSG_DATA(c) + i * sizeof(int), &spare,
				    sizeof(int));
		}
		n = sendmsg(CHANNEL_AT, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			at += (size_t)n;
			continue;
		}
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			_exit(0);
		p.events = reads ? POLLIN | POLLOUT : POLLOUT;
		poll(&p, 1, 100);
		if (p.revents & POLLIN)
			evil_read();
	}
	out.len = 0;
}

/* Valid fields with keys and values that fit nothing. */
static void
evil_fields(struct buf *b)
{
	static const size_t sizes[] = { 0, 1, 8, 12, 64, 300, 5000 };
	uint8_t value[5000];

	for (uint32_t n = rnd() % 6; n > 0; n--) {
		enum field_key k = F_NONE + 1 + rnd() % (F_MAX - F_NONE - 1);
		size_t len = sizes[rnd() % (rnd() % 50 == 0 ? 7 : 5)];

		if (field_key_type(k) == FIELD_BOOL) {
			fields_add_bool(b, k, rnd() % 2 == 0);
			continue;
		}
		if (field_key_type(k) != FIELD_STR) {
			fields_add_u64(b, k,
			    rnd() % 4 == 0 ? rnd() : rnd() % 9);
			continue;
		}
		rnd_bytes(value, len);
		for (size_t i = 0; i < len; i++)
			value[i] |= value[i] == 0;
		fields_add_mem(b, k, value, len);
	}
}

/* May this role send it, and is it more than asking for the daemon's end? */
static bool
evil_may(const struct msg_def *d, unsigned type)
{
	return (d != NULL && (d->from & PROC_BIT(role)) != 0 &&
	    type != MSG_DAEMON_STOP && type != MSG_READY);
}

/* One frame that passes every check, appended to out; true with an fd. */
static bool
evil_frame(void)
{
	struct frame_head h = { 0 };
	const struct msg_def *d;
	struct buf tail = { 0 };
	uint8_t fixed[FRAME_FIXED_MAX];
	bool fd;

	do
		h.type = (uint16_t)(1 + rnd() % (MSG_MAX - 1));
	while (!evil_may(d = msg_def(h.type), h.type));
	rnd_bytes(fixed, d->fixed);
	/* numbers that may mean something; few enough that notes are kept */
	for (size_t i = 0;
	     i + 4 <= d->fixed && rnd() % (i == 0 ? 4000 : 4) != 0; i += 4) {
		uint32_t small = rnd() % 4;

		memcpy(fixed + i, &small, sizeof(small));
	}
	if (d->tail == MSG_TAIL_FIELDS)
		evil_fields(&tail);
	else if (d->tail == MSG_TAIL_BYTES) {
		size_t n = rnd() % 500;

		rnd_bytes(buf_reserve(&tail, n), n);
		tail.len += n;
	}
	fd = d->fd == MSG_FD_MUST || (d->fd == MSG_FD_MAY && rnd() % 2 == 0);
	h.id = rnd() % 3 == 0 ? rnd() : rnd() % 200;
	h.flags = rnd() % 4 == 0 ? F_MORE : 0;
	h.length =
	    (uint32_t)(sizeof(h) + d->fixed + tail.len) | (fd ? FRAME_FD : 0);
	if (fd)
		evil_flush(0, true); /* its fd comes with its first byte */
	buf_add(&out, &h, sizeof(h));
	buf_add(&out, fixed, d->fixed);
	buf_add(&out, tail.data, tail.len);
	buf_free(&tail);
	evil->frames++;
	return (fd);
}

static void
evil_ready(void)
{
	struct frame_head h = { .length = sizeof(h), .type = MSG_READY };

	buf_add(&out, &h, sizeof(h));
	evil_flush(0, true);
}

static void
evil_flood(bool reads)
{
	mono_t end = mono_add_ms(mono_now(), LIFE_MS);

	while (mono_diff_ms(end, mono_now()) > 0) {
		for (int i = 0; i < 256 && out.len < BATCH; i++)
			if (evil_frame())
				evil_flush(1, reads);
		evil_flush(0, reads);
		if (reads)
			evil_read();
	}
}

/* What no check lets pass; the first one is the last that counts. */
static void
evil_break(void)
{
	struct frame_head h = { .length = sizeof(h), .type = MSG_PONG };
	uint8_t junk[4096];
	size_t nfds = 0, more = 0;

	rnd_bytes(junk, sizeof(junk));
	switch (rnd() % 12) {
	case 0: /* noise */
		memcpy(&h, junk, sizeof(h));
		more = sizeof(junk);
		break;
	case 1: /* shorter than its own head */
		h.length = rnd() % sizeof(h);
		break;
	case 2: /* longer than any */
		h.length = FRAME_MAX + 1 + rnd() % 1000;
		break;
	case 3:
		h.type = (uint16_t)(MSG_MAX + rnd() % 60000);
		break;
	case 4: /* the supervisor's to send */
		h.type = MSG_STOP;
		break;
	case 5: /* in another's name */
		h.source = PROC_SUP;
		break;
	case 6:
		h.flags = 0x8000;
		break;
	case 7: /* a fixed part is missing: PONG has one */
		break;
	case 8: /* fields that are none */
		h.type = MSG_EVENT;
		more = sizeof(struct msg_event) + 64;
		h.length += (uint32_t)more;
		break;
	case 9: /* an fd that does not belong there */
		h.length = (uint32_t)(sizeof(h) + sizeof(struct msg_num));
		more = sizeof(struct msg_num);
		nfds = 1;
		break;
	case 10: /* an fd that is announced and not there */
		h.length |= FRAME_FD;
		break;
	default: /* more fds than may wait */
		nfds = 16;
		break;
	}
	buf_add(&out, &h, sizeof(h));
	buf_add(&out, junk, more);
	evil_flush(nfds, false);
	evil->broken++;
}

/* Until the other end has closed, or something has killed us. */
static void
evil_wait(void)
{
	for (;;) {
		struct pollfd p = { .fd = CHANNEL_AT, .events = POLLIN };

		poll(&p, 1, 1000);
		evil_read();
	}
}

int
main(int argc, char **argv)
{
	const char *name = strstr(argv[0], "wharf-");

	signal(SIGTERM, SIG_IGN);
	role = name != NULL ? proc_by_name(name + 6) : PROC_NONE;
	if (role == PROC_NONE)
		fatalx("no role in %s", argv[0]);
	evil_open(argv[0]);
	spare = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (rnd() % 8 != 0)
		evil_ready();
	if (rnd() % 8 != 0)
		evil_flood(rnd() % 6 != 0);
	for (int i = 0; i < 100; i++)
		evil_break();
	evil_wait();
}
