/*
 * Fake workers for tests of routing: real channels over socketpairs, with the
 * test at the workers' ends.
 */
#ifndef WHARF_TEST_ROUTE_FAKE_H
#define WHARF_TEST_ROUTE_FAKE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "supervisor/sup.h"

#define GOT_MAX 2048

struct got {
	struct frame_head head;
	struct msg_num fixed; /* the first 8 bytes of it */
	size_t len;
	int fd;
};

/* The worker's end. */
struct fake {
	struct child *c;
	struct channel *ch;
	struct got got[GOT_MAX];
	size_t n;    /* received */
	size_t read; /* taken by the test */
	size_t bytes;
};

struct fixture {
	struct options opt;
	struct sup sup;
	mono_t now;
	int fds;
	struct fake plan, push, image, engine, watch, control;
};

/* How many descriptors this process has open. */
int fd_count(void);

/* Let everything that is under way arrive. */
void fakes_pump(struct fixture *t);

/* A new process: a channel, and not READY yet. */
void fake_spawn(struct fake *w);

/* It says READY. */
void fake_ready(struct fake *w);

/* Forget what has come, closing its fds. */
void fake_forget(struct fake *w);

/* Death, as child.c tells it to route.c. */
void fake_die(struct fake *w);

/* fake_spawn() and fake_ready(). */
void fake_restart(struct fixture *t, struct fake *w);

/* All workers READY; cmocka's set-up and tear-down of a test. */
int fakes_up(void **state);

/* Fails when a route, a note or an fd is left behind. */
int fakes_down(void **state);

/* w sends a frame whose fixed part is zero; takes fd. */
void fake_say_fd(struct fixture *t, struct fake *w, enum msg_type type,
    uint16_t flags, uint32_t id, int fd);

/* The same without an fd. */
void fake_say(struct fixture *t, struct fake *w, enum msg_type type,
    uint16_t flags, uint32_t id);

/* The same with the first two numbers of the fixed part. */
void fake_say_n(struct fixture *t, struct fake *w, enum msg_type type,
    uint32_t id, uint32_t first, uint32_t second);

/* The next frame that w got; it must be of that type. */
struct got *fake_got(struct fake *w, enum msg_type type);

/* w has got nothing more. */
void fake_got_nothing(struct fake *w);

/* The next is the supervisor's error. */
void fake_got_err(struct fake *w, uint32_t id, enum err_code code);

/* It bears the stamp of w. */
void got_is_from(const struct got *g, const struct fake *w);

/* Give w a process whose death can be seen. */
void fake_give_process(struct fake *w);

/* That process has been killed, or is alive; it ends here. */
void fake_assert_killed(struct fake *w, bool killed);

/* An fd to give away. */
int fd_null(void);

#endif
