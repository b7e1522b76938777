/*
 * The event loop every process runs: epoll, a timer list and signals through
 * a signalfd.  One thread, no signal handlers.
 */
#ifndef WHARF_LOOP_H
#define WHARF_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "clock.h"

struct loop;

typedef void (*loop_fd_cb)(void *arg, uint32_t events);
typedef void (*loop_timer_cb)(void *arg);
typedef void (*loop_signal_cb)(void *arg, const struct signalfd_siginfo *si);

/*
 * A timer belongs to its user, who zeroes it first and cancels it before its
 * memory goes away.
 */
struct loop_timer {
	mono_t when;
	loop_timer_cb cb;
	void *arg;
	struct loop_timer *next;   /* the loop's */
	struct loop_timer **prevp; /* the loop's; NULL when not set */
};

struct loop *loop_new(void);
void loop_free(struct loop *l);

/*
 * Call cb(arg, events) when fd has one of EPOLLIN, EPOLLOUT (EPOLLHUP and
 * EPOLLERR always); calling again changes events, cb and arg.  -1 with errno
 * when epoll refuses the fd.
 */
int loop_fd_set(struct loop *l, int fd, uint32_t events, loop_fd_cb cb,
    void *arg);

/* Forget fd; call it before close(2).  Unknown fds are ignored. */
void loop_fd_del(struct loop *l, int fd);

/* (Re)arm t; a timer fires once. */
void loop_timer_set(struct loop *l, struct loop_timer *t, mono_t when,
    loop_timer_cb cb, void *arg);
void loop_timer_in_ms(struct loop *l, struct loop_timer *t, int64_t ms,
    loop_timer_cb cb, void *arg);
void loop_timer_cancel(struct loop_timer *t);
bool loop_timer_is_set(const struct loop_timer *t);

/* Block signo and call cb for it instead.  -1 with errno. */
int loop_signal(struct loop *l, int signo, loop_signal_cb cb, void *arg);

/* Run until loop_stop(); returns its code, or -1 with errno. */
int loop_run(struct loop *l);

/* One wake-up: waits at most max_ms (-1: as long as needed). */
int loop_once(struct loop *l, int max_ms);
void loop_stop(struct loop *l, int code);

#endif
