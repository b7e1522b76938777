/*
 * Channel, see channel.h.  Any process.
 *
 * On Linux one recvmsg(2) can return the end of a plain frame and the frame
 * with a file descriptor behind it; the mark in `length` says to which frame
 * the descriptor belongs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "channel.h"
#include "log.h"
#include "ipc/outq.h"

#define CHANNEL_READ (64 * 1024)
#define CHANNEL_FDS  8   /* received fds that wait for their frames */
#define SCM_FDS_MAX  253 /* unix(7): the most one message carries */

struct channel {
	struct loop *loop;
	int fd;
	enum proc self;
	enum proc peer;
	const struct channel_ops *ops;
	void *arg;
	struct buf in;
	size_t in_off; /* so much of it has been handled */
	int fds[CHANNEL_FDS];
	size_t nfds;
	struct outq out;
	size_t limit;
	struct loop_timer again; /* more than a burst was there, or the end */
	bool paused;
	bool mute; /* the peer takes nothing more; it may have said more */
	bool ended;
	enum channel_end how;
	char why[128];
};

static void channel_on_fd(void *arg, uint32_t events);
static void channel_on_again(void *arg);

/* Remember the end; `end` is called from the loop, never inside a send. */
static void __attribute__((format(printf, 3, 4)))
channel_end(struct channel *c, enum channel_end how, const char *fmt, ...)
{
	va_list ap;

	if (c->ended)
		return;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	c->ended = true;
	c->how = how;
	loop_fd_del(c->loop, c->fd);
	loop_timer_in_ms(c->loop, &c->again, 0, channel_on_again, c);
}

/* Without being told of what comes a channel is of no use. */
static void
channel_poll(struct channel *c)
{
	uint32_t ev =
	    (c->paused ? 0 : EPOLLIN) | (outq_is_empty(&c->out) ? 0 : EPOLLOUT);

	if (!c->ended &&
	    loop_fd_set(c->loop, c->fd, ev, channel_on_fd, c) == -1)
		channel_end(c, CHANNEL_ERROR, "epoll: %s", strerror(errno));
}

struct channel *
channel_new(struct loop *l, int fd, enum proc self, enum proc peer,
    const struct channel_ops *ops, void *arg)
{
	struct channel *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	c->fd = fd;
	c->self = self;
	c->peer = peer;
	c->ops = ops;
	c->arg = arg;
	c->limit = CHANNEL_LIMIT;
	outq_init(&c->out);
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == -1)
		log_warn("fcntl");
	channel_poll(c);
	return (c);
}

void
channel_free(struct channel *c)
{
	if (c == NULL)
		return;
	loop_timer_cancel(&c->again);
	loop_fd_del(c->loop, c->fd);
	close(c->fd);
	outq_clear(&c->out);
	for (size_t i = 0; i < c->nfds; i++)
		close(c->fds[i]);
	buf_free(&c->in);
	free(c);
}

int
channel_fd(const struct channel *c)
{
	return (c->fd);
}

bool
channel_ended(const struct channel *c)
{
	return (c->ended);
}

size_t
channel_queued(const struct channel *c)
{
	return (c->out.bytes);
}

size_t
channel_pending(const struct channel *c)
{
	return (c->in.len - c->in_off);
}

void
channel_set_limit(struct channel *c, size_t bytes)
{
	c->limit = bytes;
}

void
channel_pause(struct channel *c, bool paused)
{
	if (c->paused == paused)
		return;
	c->paused = paused;
	channel_poll(c);
	if (!paused && !c->ended)
		loop_timer_in_ms(c->loop, &c->again, 0, channel_on_again, c);
}

const void *
frame_fixed(const struct frame *f)
{
	return (f->fixed.bytes);
}

int
frame_take_fd(struct frame *f)
{
	int fd = f->fd;

	f->fd = -1;
	return (fd);
}

static void
channel_trace(const struct channel *c, const char *way,
    const struct frame_head *h, size_t len)
{
	const struct msg_def *d = msg_def(h->type);

	if (log_verbose() < 2 && !log_has_token("frames"))
		return;
	log_info("%s %s %s source=%s.%u id=%u gen=%u len=%zu%s%s", way,
	    proc_name(c->peer), d != NULL ? d->name : "?", proc_name(h->source),
	    h->instance, h->id, h->generation, len,
	    h->flags & F_MORE ? " more" : "",
	    h->length & FRAME_FD ? " fd" : "");
}

/* Sending. */

/*
 * A peer that has gone may have said something before: its end comes when all
 * of that is read.
 */
static void
channel_mute(struct channel *c)
{
	c->mute = true;
	outq_clear(&c->out);
}

static void
channel_flush(struct channel *c)
{
	while (!outq_is_empty(&c->out) && !c->ended) {
		if (outq_write(&c->out, c->fd) == 0 || errno == EINTR)
			continue;
		if (errno == EPIPE || errno == ECONNRESET)
			channel_mute(c);
		else if (errno != EAGAIN && errno != EWOULDBLOCK &&
		    errno != ETOOMANYREFS && errno != ENOBUFS)
			channel_end(c, CHANNEL_ERROR, "send: %s",
			    strerror(errno));
		return;
	}
}

static int
channel_queue(struct channel *c, const struct frame_head *head,
    const void *fixed, size_t fixed_len, const void *tail, size_t tail_len,
    int fd)
{
	size_t len = sizeof(*head) + fixed_len + tail_len;
	struct frame_head h = *head;
	bool idle = outq_is_empty(&c->out);

	h.length = (uint32_t)len | (fd != -1 ? FRAME_FD : 0);
	if (len > FRAME_MAX)
		fatalx("frame of %zu bytes", len);
	if (!c->ended && c->out.bytes + len > c->limit)
		channel_end(c, CHANNEL_OVERFLOW, "%zu bytes wait to be sent",
		    c->out.bytes);
	if (!c->ended && fd != -1 && c->out.fds >= CHANNEL_FD_LIMIT)
		channel_end(c, CHANNEL_OVERFLOW, "%zu fds wait to be sent",
		    c->out.fds);
	if (c->ended || c->mute) {
		if (fd != -1)
			close(fd);
		return (-1);
	}
	channel_trace(c, "->", &h, len);
	outq_add(&c->out,
	    (struct outq_piece[]) { { &h, sizeof(h) }, { fixed, fixed_len },
		{ tail, tail_len } },
	    fd);
	if (idle) {
		channel_flush(c);
		if (!outq_is_empty(&c->out))
			channel_poll(c);
	}
	return (c->ended || c->mute ? -1 : 0);
}

int
channel_send(struct channel *c, enum msg_type type, uint16_t flags, uint32_t id,
    const void *fixed, const void *tail, size_t tail_len, int fd)
{
	const struct msg_def *d = msg_def(type);
	struct frame_head h = { .type = (uint16_t)type,
		.flags = flags,
		.id = id };

	if (c->self == PROC_SUP)
		h.source = PROC_SUP;
	return (channel_queue(c, &h, fixed, d->fixed, tail, tail_len, fd));
}

int
channel_forward(struct channel *c, const struct frame_head *head,
    const void *payload, size_t len, int fd)
{
	return (channel_queue(c, head, payload, len, NULL, 0, fd));
}

/* Receiving. */

/* Keep the fds of one message; more than may wait is a violation. */
static void
channel_keep_fds(struct channel *c, struct msghdr *m)
{
	struct cmsghdr *cm;
	size_t n;
	int fd;

	for (cm = CMSG_FIRSTHDR(m); cm != NULL; cm = CMSG_NXTHDR(m, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int),
			    sizeof(fd));
			if (c->nfds < CHANNEL_FDS)
				c->fds[c->nfds++] = fd;
			else {
				close(fd);
				channel_end(c, CHANNEL_VIOLATION,
				    "too many fds");
			}
		}
	}
	if (m->msg_flags & MSG_CTRUNC)
		channel_end(c, CHANNEL_VIOLATION, "fds were cut (MSG_CTRUNC)");
}

/* Read once: 1 something came, 0 nothing now. */
static int
channel_read(struct channel *c)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int) * SCM_FDS_MAX)];
	} ctl;
	struct iovec iov = { buf_reserve(&c->in, CHANNEL_READ), CHANNEL_READ };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.bytes,
		.msg_controllen = sizeof(ctl.bytes) };
	ssize_t n;

	n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			channel_end(c,
			    errno == ECONNRESET ? CHANNEL_EOF : CHANNEL_ERROR,
			    "recv: %s", strerror(errno));
		return (0);
	}
	channel_keep_fds(c, &m);
	if (n == 0) {
		channel_end(c, CHANNEL_EOF, "peer gone%s",
		    c->in.len > 0 ? " in the middle of a frame" : "");
		return (0);
	}
	c->in.len += (size_t)n;
	return (1);
}

/* Type, sender, receiver, length: NULL when all hold, else what does not. */
static const char *
frame_check(const struct channel *c, struct frame *f)
{
	const struct frame_head *h = &f->head;
	enum proc self = c->self;

	if ((f->def = msg_def(h->type)) == NULL)
		return ("unknown type");
	if (h->zero != 0 || (h->flags & ~F_MORE) != 0)
		return ("unknown flags");
	if (c->peer != PROC_SUP &&
	    (h->source != 0 || h->instance != 0 || h->generation != 0))
		return ("source is not for the sender to say");
	f->source = c->peer != PROC_SUP ? c->peer : h->source;
	if (f->source <= PROC_NONE || f->source >= PROC_MAX ||
	    (f->def->from & PROC_BIT(f->source)) == 0)
		return ("not for this sender to send");
	if (self != PROC_SUP && (f->def->to & PROC_BIT(self)) == 0)
		return ("not for this process to receive");
	if (f->payload_len < f->def->fixed ||
	    (f->def->tail == MSG_TAIL_NONE && f->payload_len != f->def->fixed))
		return ("wrong length");
	memcpy(f->fixed.bytes, f->payload, f->def->fixed);
	f->tail.data = f->payload + f->def->fixed;
	f->tail.len = f->payload_len - f->def->fixed;
	if (f->def->tail == MSG_TAIL_FIELDS && !fields_valid(&f->tail))
		return ("bad fields");
	return (NULL);
}

static const char *
frame_check_fd(struct channel *c, struct frame *f)
{
	bool marked = (f->head.length & FRAME_FD) != 0;

	f->fd = -1;
	if (marked && c->nfds == 0)
		return ("fd is missing");
	if (marked) {
		f->fd = c->fds[0];
		memmove(c->fds, c->fds + 1, --c->nfds * sizeof(c->fds[0]));
	}
	if (marked && f->def->fd == MSG_FD_NO)
		return ("carries an fd");
	if (!marked && f->def->fd == MSG_FD_MUST)
		return ("fd is missing");
	return (NULL);
}

/* Handle the first frame that was not: 1 done, 0 not whole yet. */
static int
channel_take_frame(struct channel *c)
{
	struct frame f = { .fd = -1 };
	const uint8_t *at = c->in.data + c->in_off;
	const char *bad;
	size_t len;

	if (channel_pending(c) < sizeof(f.head))
		return (0);
	memcpy(&f.head, at, sizeof(f.head));
	len = f.head.length & ~FRAME_FD;
	if (len < sizeof(f.head) || len > FRAME_MAX) {
		channel_end(c, CHANNEL_VIOLATION, "frame of %zu bytes", len);
		return (0);
	}
	if (channel_pending(c) < len)
		return (0);
	f.payload = at + sizeof(f.head);
	f.payload_len = len - sizeof(f.head);
	channel_trace(c, "<-", &f.head, len);
	if ((bad = frame_check(c, &f)) == NULL)
		bad = frame_check_fd(c, &f);
	if (bad != NULL)
		channel_end(c, CHANNEL_VIOLATION, "%s (type %u): %s",
		    f.def != NULL ? f.def->name : "?", f.head.type, bad);
	else
		c->ops->frame(c->arg, &f);
	if (f.fd != -1)
		close(f.fd);
	c->in_off += len;
	return (1);
}

/*
 * An fd arrives with the first byte of its frame: with no frame begun, one
 * that waits here belongs to nothing.
 */
static void
channel_check_stray_fd(struct channel *c)
{
	struct frame_head h;

	if (c->nfds == 0)
		return;
	if (c->in.len >= sizeof(h)) {
		memcpy(&h, c->in.data, sizeof(h));
		if (h.length & FRAME_FD)
			return;
	} else if (c->in.len > 0)
		return;
	channel_end(c, CHANNEL_VIOLATION, "unexpected fd");
}

/* What was handled leaves the buffer: once per burst, not per frame. */
static void
channel_drop_in(struct channel *c)
{
	buf_drop(&c->in, c->in_off);
	c->in_off = 0;
}

static void
channel_handle(struct channel *c)
{
	int burst = 0;

	while (!c->ended && !c->paused && burst < CHANNEL_BURST &&
	    channel_take_frame(c) == 1)
		burst++;
	channel_drop_in(c);
	if (c->ended || c->paused)
		return;
	if (burst == CHANNEL_BURST)
		loop_timer_in_ms(c->loop, &c->again, 0, channel_on_again, c);
	else
		channel_check_stray_fd(c);
}

void
channel_drain(struct channel *c, size_t max)
{
	size_t got = 0, before;

	if (c->ended && c->how != CHANNEL_EOF)
		return;
	channel_mute(c); /* answers would have no reader */
	c->ended = false;
	for (;;) {
		while (!c->ended && channel_take_frame(c) == 1)
			continue;
		channel_drop_in(c);
		before = c->in.len;
		if (c->ended || got >= max || channel_read(c) == 0)
			break;
		got += c->in.len - before;
	}
	loop_timer_cancel(&c->again);
	loop_fd_del(c->loop, c->fd);
	c->ended = true;
}

static void
channel_on_again(void *arg)
{
	struct channel *c = arg;

	if (c->ended)
		c->ops->end(c->arg, c->how, c->why);
	else
		channel_handle(c);
}

static void
channel_on_fd(void *arg, uint32_t events)
{
	struct channel *c = arg;

	if (events & EPOLLOUT) {
		channel_flush(c);
		channel_poll(c);
		if (outq_is_empty(&c->out) && !c->ended &&
		    c->ops->drained != NULL)
			c->ops->drained(c->arg);
	}
	if (c->ended || (events & ~EPOLLOUT) == 0)
		return;
	if (c->paused) {
		/*
		 * Nothing is read, so a hang-up would be reported for ever.
		 * What the peer said before is there when reading resumes.
		 */
		if (events & (EPOLLHUP | EPOLLERR))
			loop_fd_del(c->loop, c->fd);
		return;
	}
	/* what was read before is handled first, so that memory is bounded */
	if (loop_timer_is_set(&c->again))
		return;
	if (channel_read(c) == 1)
		channel_handle(c);
}
