/*
 * wharfctl's connection, see ctl.h.  Process: wharfctl.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "supervisor/ctl/ctl.h"

#define CONNECT_MS 5000 /* a full queue of connections blocks connect(2) */

void
ctl_init(struct ctl *c, const char *path, FILE *out, FILE *err)
{
	memset(c, 0, sizeof(*c));
	c->path = path;
	c->out = out;
	c->err = err;
	c->loop = loop_new();
}

static void
ctl_disconnect(struct ctl *c)
{
	rpc_free(c->rpc);
	channel_free(c->ch);
	c->rpc = NULL;
	c->ch = NULL;
}

void
ctl_done(struct ctl *c)
{
	ctl_disconnect(c);
	loop_free(c->loop);
	c->loop = NULL;
}

/*
 * Where wharfd puts it for a user without a directory of its own.  Anyone
 * could have made that name: only our own directory is believed.
 */
static const char *
ctl_socket_in_tmp(char *path, size_t size)
{
	struct stat st;

	snprintf(path, size, "/tmp/wharf-%u", geteuid());
	if (lstat(path, &st) == -1 || !S_ISDIR(st.st_mode) ||
	    st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return (NULL);
	strlcat(path, "/ctl.sock", size);
	return (path);
}

const char *
ctl_socket_path(const char *given)
{
	static char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *dir;

	if (given != NULL)
		return (given);
	if ((given = getenv("WHARF_SOCKET")) != NULL && *given != '\0')
		return (given);
	if (geteuid() == 0)
		return ("/run/wharf/ctl.sock");
	if ((dir = getenv("XDG_RUNTIME_DIR")) == NULL || *dir != '/')
		return (ctl_socket_in_tmp(path, sizeof(path)));
	if (snprintf(path, sizeof(path), "%s/wharf/ctl.sock", dir) >=
	    (int)sizeof(path))
		return (NULL);
	return (path);
}

void
ctl_print_text(FILE *out, const void *s, size_t n)
{
	char *esc = xcalloc(n + 1, 4); /* a byte becomes \xHH at most */

	fputs(log_escape(esc, 4 * (n + 1), s, n), out);
	free(esc);
}

void
ctl_complain(struct ctl *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fputs("wharfctl: ", c->err);
	ctl_print_text(c->err, text, strlen(text));
	fputc('\n', c->err);
}

int
ctl_exit_code(enum err_code code)
{
	switch (code) {
	case ERR_WORKER_LOST:
	case ERR_BUSY:
	case ERR_CANCELLED:
	case ERR_TIMEOUT:
		return (EX_TEMPFAIL);
	case ERR_INVALID:
		return (EX_USAGE);
	case ERR_REFUSED:
		return (EX_NOPERM);
	case ERR_IO:
		return (EX_IOERR);
	case ERR_NOT_FOUND:
	case ERR_ENGINE:
	case ERR_UNAVAILABLE:
		return (EX_UNAVAILABLE);
	}
	return (EX_PROTOCOL);
}

int
ctl_complain_err(struct ctl *c, const struct frame *f)
{
	const struct msg_err *m = frame_fixed(f);
	char *text = fields_dup(&f->tail, F_ERROR);

	if (text != NULL)
		ctl_complain(c, "%s", text);
	else
		ctl_complain(c, "%s", err_name(m->code));
	free(text);
	return (ctl_exit_code(m->code));
}

static int
ctl_connect_failed(struct ctl *c, int err)
{
	ctl_complain(c, "%s: %s%s", c->path, strerror(err),
	    err == ENOENT || err == ECONNREFUSED ? " (is wharfd running?)" :
						   "");
	if (err == EACCES || err == EPERM)
		return (EX_NOPERM);
	return (err == EAGAIN ? EX_TEMPFAIL : EX_UNAVAILABLE);
}

/* Answers of control to nobody: only its refusal to talk to us. */
static void
ctl_on_frame(void *arg, struct frame *f)
{
	struct ctl *c = arg;
	char *text;

	if (rpc_dispatch(c->rpc, f) || rpc_err(f) == 0)
		return;
	text = fields_dup(&f->tail, F_ERROR);
	snprintf(c->why, sizeof(c->why), "%s",
	    text != NULL ? text : err_name(rpc_err(f)));
	free(text);
}

static void
ctl_on_end(void *arg, enum channel_end how, const char *why)
{
	struct ctl *c = arg;

	if (c->why[0] == '\0')
		snprintf(c->why, sizeof(c->why), "connection: %s", why);
	c->ended = true;
}

/* The kernel gives up connecting at the deadline, too. */
static void
ctl_set_patience(int fd, mono_t deadline)
{
	int64_t ms = mono_diff_ms(deadline, mono_now());
	struct timeval tv;

	if (ms > CONNECT_MS)
		ms = CONNECT_MS;
	if (ms < 1)
		ms = 1;
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

int
ctl_connect(struct ctl *c, mono_t deadline)
{
	static const struct channel_ops ops = {
		.frame = ctl_on_frame,
		.end = ctl_on_end,
	};
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, err;

	ctl_disconnect(c);
	c->ended = false;
	c->why[0] = '\0';
	if (strlcpy(sun.sun_path, c->path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		ctl_complain(c, "%s: longer than a socket's path can be",
		    c->path);
		return (EX_USAGE);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		ctl_complain(c, "socket: %s", strerror(errno));
		return (EX_OSERR);
	}
	ctl_set_patience(fd, deadline);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		err = errno;
		close(fd);
		return (ctl_connect_failed(c, err));
	}
	c->ch = channel_new(c->loop, fd, PROC_CLIENT, PROC_CONTROL, &ops, c);
	c->rpc = rpc_new(c->ch);
	return (EX_OK);
}

struct ctl_asked {
	rpc_cb each;
	void *arg;
	bool done;
	bool late;
};

static void
ctl_on_answer(void *arg, struct frame *f)
{
	struct ctl_asked *a = arg;

	if ((f->head.flags & F_MORE) == 0)
		a->done = true;
	a->each(a->arg, f);
}

static void
ctl_on_late(void *arg)
{
	struct ctl_asked *a = arg;

	a->late = true;
}

enum ctl_wait
ctl_ask(struct ctl *c, enum msg_type type, const void *fixed,
    const struct buf *tail, mono_t deadline, rpc_cb each, void *arg)
{
	struct ctl_asked a = { .each = each, .arg = arg };
	struct loop_timer timer = { 0 };
	uint32_t id;

	id = rpc_ask(c->rpc, type, 0, fixed, tail, -1, ctl_on_answer, &a);
	if (deadline.ns != MONO_NEVER.ns)
		loop_timer_set(c->loop, &timer, deadline, ctl_on_late, &a);
	while (!a.done && !a.late && !c->ended)
		if (loop_once(c->loop, -1) == -1)
			fatal("event loop");
	loop_timer_cancel(&timer);
	if (a.done)
		return (CTL_ANSWERED);
	/* a is gone after this: nothing may come back to it */
	if (id != 0 && !c->ended)
		ctl_disconnect(c);
	return (a.late ? CTL_LATE : CTL_GONE);
}
