/*
 * Where lines of the log go, see log_private.h.  Any process; that it never
 * blocks is for the supervisor.
 *
 * O_NONBLOCK belongs to the open file description, which standard error
 * shares with the shell and whoever else was started from it, so it is not
 * set there:
 *
 *   pipe, terminal  opened once more through /proc/self/fd/2, which gives a
 *                   description of our own, non-blocking
 *   socket          send(2) with MSG_DONTWAIT
 *   where a pipe may not be opened (it is another user's): poll(2) before
 *                   each write of at most PIPE_BUF bytes, which Linux takes
 *                   whole then; another writer could come in between
 *   file            written as it is: a disk may be slow, it has no reader
 *                   that stops
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "buf.h"
#include "log_private.h"
#include "loop.h"

#define SINK_KEEP     (256 * 1024) /* bytes that wait for the reader */
#define SINK_AGAIN_MS 50           /* until it is tried again */

static enum sink_kind { SINK_WRITE, SINK_POLL, SINK_SEND, SINK_DGRAM } kind;
static int sink = STDERR_FILENO;
static enum log_form form = LOG_FORM_TEXT;
static struct sockaddr_un syslog_sun;
static struct buf kept; /* whole lines, but for what is written of the first */
static size_t kept_off; /* so much of it is */
static uint64_t lost, lost_untold;
static struct loop *loop;
static struct loop_timer again;

static void sink_on_again(void *arg);

/* Where the syslog daemon is started anew its socket is another one. */
static int
sink_connect(void)
{
	if (sink == -1)
		sink = socket(AF_UNIX,
		    SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return (sink == -1 ? -1 :
			     connect(sink, (struct sockaddr *)&syslog_sun,
				 sizeof(syslog_sun)));
}

static ssize_t
sink_send_syslog(const char *line, size_t n)
{
	ssize_t w = send(sink, line, n - 1, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (w == -1 && errno != EAGAIN && sink_connect() == 0)
		w = send(sink, line, n - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	return (w == -1 ? -1 : (ssize_t)n);
}

/* As much as is taken at once; -1 with EAGAIN: nothing now. */
static ssize_t
sink_put(const char *line, size_t n)
{
	struct pollfd p = { .fd = sink, .events = POLLOUT };

	switch (kind) {
	case SINK_DGRAM:
		return (sink_send_syslog(line, n));
	case SINK_SEND:
		return (send(sink, line, n, MSG_DONTWAIT | MSG_NOSIGNAL));
	case SINK_POLL:
		if (poll(&p, 1, 0) == 1)
			break;
		errno = EAGAIN;
		return (-1);
	case SINK_WRITE:
		break;
	}
	return (write(sink, line, n));
}

/* Bytes of it that are done with: all where it cannot be written at all. */
static size_t
sink_try(const char *line, size_t n)
{
	size_t done = 0;
	ssize_t w;

	while (done < n) {
		w = sink_put(line + done, n - done);
		if (w > 0)
			done += (size_t)w;
		else if (w == 0 || errno == EAGAIN || errno == ENOBUFS)
			break;
		else if (errno != EINTR) {
			lost++;
			lost_untold++;
			return (n);
		}
	}
	return (done);
}

/* Keep what is left of a line: -1 when it does not fit. */
static int
sink_keep(const char *line, size_t n)
{
	if (loop == NULL || kept.len - kept_off + n > SINK_KEEP)
		return (-1);
	if (kept_off > SINK_KEEP) {
		buf_drop(&kept, kept_off);
		kept_off = 0;
	}
	buf_add(&kept, line, n);
	if (!loop_timer_is_set(&again))
		loop_timer_in_ms(loop, &again, SINK_AGAIN_MS, sink_on_again,
		    NULL);
	return (0);
}

/* What waits, line by line: true when nothing waits any more. */
static bool
sink_drain(void)
{
	while (kept_off < kept.len) {
		const char *p = (const char *)kept.data + kept_off;
		const char *nl = memchr(p, '\n', kept.len - kept_off);
		size_t n = (size_t)(nl - p) + 1, done = sink_try(p, n);

		kept_off += done;
		if (done < n)
			return (false);
	}
	kept.len = kept_off = 0;
	return (true);
}

/* Put it out or keep it; -1 when neither can be. */
static int
sink_take(const char *line, size_t n)
{
	size_t done = sink_drain() ? sink_try(line, n) : 0;

	if (done == n)
		return (0);
	if (sink_keep(line + done, n - done) == 0)
		return (0);
	/* a line that was begun is ended with what comes next */
	return (done > 0 ? 0 : -1);
}

static int
sink_tell_lost(void)
{
	char text[80], line[LOG_LINE_MAX + 1];
	struct log_line l = { PRIO_WARN, log_own_name(), getpid(), text };
	uint64_t n = lost_untold;

	snprintf(text, sizeof(text), "%llu log lines lost",
	    (unsigned long long)n);
	lost_untold = 0;
	if (sink_take(line, log_line_make(line, sizeof(line), form, &l)) == 0 &&
	    lost_untold == 0)
		return (0);
	/* that of the loss is not one of them */
	lost -= lost_untold;
	lost_untold = n;
	return (-1);
}

void
log_sink_write(const struct log_line *l)
{
	char line[LOG_LINE_MAX + 1];
	size_t n = log_line_make(line, sizeof(line), form, l);

	if ((lost_untold > 0 && sink_tell_lost() == -1) ||
	    sink_take(line, n) == -1) {
		lost++;
		lost_untold++;
	}
}

static void
sink_on_again(void *arg)
{
	if (sink_drain() && lost_untold > 0)
		sink_tell_lost();
	if (kept.len > kept_off)
		loop_timer_in_ms(loop, &again, SINK_AGAIN_MS, sink_on_again,
		    NULL);
}

void
log_flush(int ms)
{
	struct pollfd p = { .fd = sink, .events = POLLOUT };

	if (!sink_drain() && poll(&p, 1, ms) == 1)
		sink_drain();
	if (lost_untold > 0)
		sink_tell_lost();
}

uint64_t
log_lost(void)
{
	return (lost);
}

void
log_set_loop(struct loop *l)
{
	loop_timer_cancel(&again);
	loop = l;
	if (l != NULL && kept.len > kept_off)
		loop_timer_in_ms(l, &again, SINK_AGAIN_MS, sink_on_again, NULL);
	if (l == NULL) {
		buf_free(&kept);
		kept_off = 0;
	}
}

static void
sink_open(void)
{
	struct stat st;
	int fd;

	if (sink != STDERR_FILENO && sink != -1)
		close(sink);
	sink = STDERR_FILENO;
	kind = SINK_WRITE;
	if (fstat(STDERR_FILENO, &st) == -1)
		return;
	if (S_ISSOCK(st.st_mode))
		kind = SINK_SEND;
	if (!S_ISFIFO(st.st_mode) && !isatty(STDERR_FILENO))
		return;
	fd = open("/proc/self/fd/2",
	    O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		kind = SINK_POLL;
	else
		sink = fd;
}

void
log_sink_stderr(enum log_form f)
{
	form = f;
	if (f == LOG_FORM_PIPE) {
		sink =
		    STDERR_FILENO; /* non-blocking as the supervisor made it */
		kind = SINK_WRITE;
	} else
		sink_open();
}

void
log_sink_syslog(const char *path)
{
	form = LOG_FORM_SYSLOG;
	if (sink != STDERR_FILENO && sink != -1)
		close(sink);
	sink = -1;
	kind = SINK_DGRAM;
	syslog_sun.sun_family = AF_UNIX;
	snprintf(syslog_sun.sun_path, sizeof(syslog_sun.sun_path), "%s", path);
}
