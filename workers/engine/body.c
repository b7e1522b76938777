/*
 * Bodies from pipes, see body.h.  Engine worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "workers/engine/body.h"
#include "workers/engine/http.h"

#define BODY_BLOCK  512
#define BODY_MAGIC  257   /* where "ustar" stands in a tar's first block */
#define BODY_LINGER 10000 /* ms from end-of-file to BODY_END */

struct body {
	struct loop *loop;
	struct loop_timer timer;
	int fd;
	body_cb cb;
	void *arg;
	uint8_t first[BODY_BLOCK];
	size_t have;  /* of first */
	size_t given; /* of first */
	uint64_t got; /* bytes read from the pipe */
	uint64_t end; /* what BODY_END says */
	bool have_end;
	bool eof;
	bool ready;
	const char *why; /* set once it is bad */
};

static void body_on_fd(void *arg, uint32_t ev);

static void
body_watch(struct body *b)
{
	if (loop_fd_set(b->loop, b->fd, EPOLLIN, body_on_fd, b) == -1)
		b->why = "body: not a pipe";
}

/* Check what is known of the length: -1 and why when it cannot be right. */
static int
body_check(struct body *b)
{
	if (b->why == NULL && b->have_end && b->got > b->end)
		b->why = "body is longer than its sender says";
	if (b->why == NULL && b->have_end && b->eof && b->got < b->end)
		b->why = "body is shorter than its sender says";
	return (b->why != NULL ? -1 : 0);
}

static void
body_on_linger(void *arg)
{
	struct body *b = arg;

	b->why = "body ended without BODY_END";
	b->cb(b->arg, BODY_BAD);
}

/* Read from the pipe: bytes, 0: nothing now or never more; see eof. */
static size_t
body_read_pipe(struct body *b, void *p, size_t n)
{
	ssize_t k;

	if (b->eof || b->why != NULL)
		return (0);
	do
		k = read(b->fd, p, n);
	while (k == -1 && errno == EINTR);
	if (k == -1) {
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			b->why = "body cannot be read";
		return (0);
	}
	b->got += (uint64_t)k;
	if (k == 0) {
		b->eof = true;
		if (!b->have_end)
			loop_timer_in_ms(b->loop, &b->timer, BODY_LINGER,
			    body_on_linger, b);
	}
	return ((size_t)k);
}

/*
 * Gather the first block: 1 it is a tar's, 0 not there yet, -1 never.  What
 * is compressed never reaches the engine, which would look for a
 * decompressor inside the container (CVE-2026-41567).
 */
static int
body_first(struct body *b)
{
	size_t k;

	while (b->have < BODY_BLOCK) {
		k = body_read_pipe(b, b->first + b->have, BODY_BLOCK - b->have);
		if (k == 0)
			break;
		b->have += k;
	}
	if (body_check(b) == -1)
		return (-1);
	if (b->have == BODY_BLOCK) {
		if (memcmp(b->first + BODY_MAGIC, "ustar", 5) == 0)
			return (1);
		b->why = "body is no uncompressed tar";
		return (-1);
	}
	if (b->eof && b->have_end) {
		b->why = "body is no tar";
		return (-1);
	}
	return (0);
}

static void
body_step(struct body *b)
{
	int r;

	if (b->ready) {
		b->cb(b->arg, body_check(b) == -1 ? BODY_BAD : BODY_MORE);
		return;
	}
	r = body_first(b);
	if (r == 0) {
		if (!b->eof)
			body_watch(b);
		if (b->why != NULL)
			b->cb(b->arg, BODY_BAD);
		return;
	}
	b->ready = r == 1;
	b->cb(b->arg, r == 1 ? BODY_READY : BODY_BAD);
}

static void
body_on_fd(void *arg, uint32_t ev)
{
	struct body *b = arg;

	loop_fd_del(b->loop, b->fd);
	body_step(b);
}

static void
body_on_timer(void *arg)
{
	body_step(arg);
}

struct body *
body_new(struct loop *l, int fd, body_cb cb, void *arg)
{
	struct body *b = xcalloc(1, sizeof(*b));

	b->loop = l;
	b->fd = fd;
	b->cb = cb;
	b->arg = arg;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		b->why = "body cannot be read";
	loop_timer_in_ms(l, &b->timer, 0, body_on_timer, b);
	return (b);
}

void
body_free(struct body *b)
{
	if (b == NULL)
		return;
	loop_timer_cancel(&b->timer);
	loop_fd_del(b->loop, b->fd);
	close(b->fd);
	free(b);
}

ssize_t
body_read(struct body *b, void *p, size_t n)
{
	size_t k = b->have - b->given;

	if (k > 0) {
		k = k < n ? k : n;
		memcpy(p, b->first + b->given, k);
		b->given += k;
		return ((ssize_t)k);
	}
	if (b->have_end && b->got == b->end && body_check(b) == 0)
		return (0);
	k = body_read_pipe(b, p, n);
	if (body_check(b) == -1)
		return (HTTP_ABORT);
	if (k > 0)
		return ((ssize_t)k);
	if (b->have_end && b->got == b->end)
		return (0);
	if (!b->eof)
		body_watch(b);
	return (b->why != NULL ? HTTP_ABORT : HTTP_PAUSE);
}

void
body_end(struct body *b, uint64_t bytes)
{
	if (b->have_end)
		return;
	b->have_end = true;
	b->end = bytes;
	/* what waits for it, waits in the loop */
	loop_timer_in_ms(b->loop, &b->timer, 0, body_on_timer, b);
}

const char *
body_why(const struct body *b)
{
	return (b->why != NULL ? b->why : "?");
}
