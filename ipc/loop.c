/*
 * Event loop over epoll, see loop.h.  Any process.
 *
 * Timers are a sorted list: a process has a handful of them.  The generation
 * in epoll's data tells an event of a closed fd from one of its successor.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "loop.h"

#define LOOP_EVENTS 64

struct loop_fd {
	loop_fd_cb cb;
	void *arg;
	uint32_t gen;
	bool used;
};

struct loop {
	int ep;
	int sigfd;
	sigset_t sigs;
	struct loop_fd *fds;
	size_t nfds;
	uint32_t gen;
	struct loop_timer *timers;
	struct {
		loop_signal_cb cb;
		void *arg;
	} signals[NSIG];
	bool stopped;
	int code;
};

struct loop *
loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->sigfd = -1;
	sigemptyset(&l->sigs);
	l->ep = epoll_create1(EPOLL_CLOEXEC);
	if (l->ep == -1)
		fatal("epoll_create1");
	return (l);
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	while (l->timers != NULL)
		loop_timer_cancel(l->timers);
	if (l->sigfd != -1)
		close(l->sigfd);
	close(l->ep);
	free(l->fds);
	free(l);
}

int
loop_fd_set(struct loop *l, int fd, uint32_t events, loop_fd_cb cb, void *arg)
{
	struct epoll_event ev = { .events = events };
	struct loop_fd *f;
	size_t n;
	int op;

	if ((size_t)fd >= l->nfds) {
		n = (size_t)fd + 16;
		l->fds = xreallocarray(l->fds, n, sizeof(*l->fds));
		memset(l->fds + l->nfds, 0, (n - l->nfds) * sizeof(*l->fds));
		l->nfds = n;
	}
	f = &l->fds[fd];
	op = f->used ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (!f->used)
		f->gen = ++l->gen;
	ev.data.u64 = (uint64_t)f->gen << 32 | (uint32_t)fd;
	if (epoll_ctl(l->ep, op, fd, &ev) == -1)
		return (-1);
	f->cb = cb;
	f->arg = arg;
	f->used = true;
	return (0);
}

void
loop_fd_del(struct loop *l, int fd)
{
	if (fd < 0 || (size_t)fd >= l->nfds || !l->fds[fd].used)
		return;
	l->fds[fd].used = false;
	epoll_ctl(l->ep, EPOLL_CTL_DEL, fd, NULL);
}

void
loop_timer_cancel(struct loop_timer *t)
{
	if (t->prevp == NULL)
		return;
	*t->prevp = t->next;
	if (t->next != NULL)
		t->next->prevp = t->prevp;
	t->prevp = NULL;
	t->next = NULL;
}

bool
loop_timer_is_set(const struct loop_timer *t)
{
	return (t->prevp != NULL);
}

void
loop_timer_set(struct loop *l, struct loop_timer *t, mono_t when,
    loop_timer_cb cb, void *arg)
{
	struct loop_timer **p;

	loop_timer_cancel(t);
	t->when = when;
	t->cb = cb;
	t->arg = arg;
	for (p = &l->timers; *p != NULL; p = &(*p)->next)
		if ((*p)->when.ns > when.ns)
			break;
	t->next = *p;
	t->prevp = p;
	if (t->next != NULL)
		t->next->prevp = &t->next;
	*p = t;
}

void
loop_timer_in_ms(struct loop *l, struct loop_timer *t, int64_t ms,
    loop_timer_cb cb, void *arg)
{
	loop_timer_set(l, t, mono_add_ms(mono_now(), ms), cb, arg);
}

static void
loop_on_signal(void *arg, uint32_t events)
{
	struct loop *l = arg;
	struct signalfd_siginfo si;

	while (read(l->sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (si.ssi_signo < NSIG && l->signals[si.ssi_signo].cb != NULL)
			l->signals[si.ssi_signo]
			    .cb(l->signals[si.ssi_signo].arg, &si);
}

int
loop_signal(struct loop *l, int signo, loop_signal_cb cb, void *arg)
{
	int fd;

	sigaddset(&l->sigs, signo);
	if (sigprocmask(SIG_BLOCK, &l->sigs, NULL) == -1)
		return (-1);
	fd = signalfd(l->sigfd, &l->sigs, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd == -1)
		return (-1);
	l->sigfd = fd;
	l->signals[signo].cb = cb;
	l->signals[signo].arg = arg;
	return (loop_fd_set(l, fd, EPOLLIN, loop_on_signal, l));
}

/*
 * Run what was due at `now`.  These leave the list first: what their callbacks
 * arm, be it for at once, is for the next turn, so that a timer that always
 * comes again cannot keep the loop from everything else.
 */
static void
loop_run_timers(struct loop *l, mono_t now)
{
	struct loop_timer *due = NULL, *t, **end = &l->timers;

	while (*end != NULL && (*end)->when.ns <= now.ns)
		end = &(*end)->next;
	if (end == &l->timers)
		return;
	due = l->timers;
	due->prevp = &due;
	l->timers = *end;
	if (l->timers != NULL)
		l->timers->prevp = &l->timers;
	*end = NULL;
	while ((t = due) != NULL) {
		loop_timer_cancel(t);
		t->cb(t->arg);
	}
}

/* Time until the first timer in ms, rounded up so that it is due then. */
static int
loop_wait_ms(const struct loop *l, int max_ms)
{
	int64_t ns, ms;

	if (l->timers == NULL)
		return (max_ms);
	ns = l->timers->when.ns - mono_now().ns;
	ms = ns <= 0 ? 0 : (ns / 1000000) + 1;
	if (ms > 3600000)
		ms = 3600000;
	return (max_ms >= 0 && max_ms < ms ? max_ms : (int)ms);
}

int
loop_once(struct loop *l, int max_ms)
{
	struct epoll_event ev[LOOP_EVENTS];
	struct loop_fd *f;
	mono_t now;
	int n, fd;

	n = epoll_wait(l->ep, ev, LOOP_EVENTS, loop_wait_ms(l, max_ms));
	if (n == -1 && errno != EINTR)
		return (-1);
	now = mono_now();
	for (int i = 0; i < n; i++) {
		fd = (int)(uint32_t)ev[i].data.u64;
		f = &l->fds[fd];
		if (f->used && f->gen == ev[i].data.u64 >> 32)
			f->cb(f->arg, ev[i].events);
	}
	loop_run_timers(l, now);
	return (0);
}

int
loop_run(struct loop *l)
{
	while (!l->stopped)
		if (loop_once(l, -1) == -1)
			return (-1);
	l->stopped = false;
	return (l->code);
}

void
loop_stop(struct loop *l, int code)
{
	l->stopped = true;
	l->code = code;
}
