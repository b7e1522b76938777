/*
 * What the supervisor itself does for workers: connections, memory, status,
 * stop, reloads asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/route_fake.h"

static struct config_engine *
engine(struct fixture *t)
{
	return (TAILQ_FIRST(&t->sup.conf.engines));
}

static void
set_host(struct fixture *t, const char *host)
{
	free(engine(t)->host);
	engine(t)->host = xstrdup(host);
}

/* A socket that listens at a name of its own. */
static int
listen_at(struct fixture *t, int backlog)
{
	static unsigned n;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *host;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "/tmp/wharf-serve.%d.%u",
	    getpid(), n++);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	host = xasprintf("unix://%s", sun.sun_path);
	set_host(t, host);
	free(host);
	return (fd);
}

static void
unlisten(struct fixture *t, int fd)
{
	close(fd);
	unlink(engine(t)->host + strlen("unix://"));
}

static void
test_dial(void **state)
{
	struct fixture *t = *state;
	int fd = listen_at(t, 8), other;
	struct got *g;
	char c = 0;

	fake_say(t, &t->engine, MSG_DIAL, 0, 7);
	g = fake_got(&t->engine, MSG_DIAL_OK);
	assert_int_equal(g->head.id, 7);
	assert_int_not_equal(g->fd, -1);
	other = accept(fd, NULL, NULL);
	assert_int_equal(write(other, "x", 1), 1);
	assert_int_equal(read(g->fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(other);
	close(g->fd);
	unlisten(t, fd);
	/* gone */
	fake_say(t, &t->engine, MSG_DIAL, 0, 8);
	fake_got_err(&t->engine, 8, ERR_ENGINE);
	assert_int_equal(t->engine.got[t->engine.read - 1].fixed.n >> 32,
	    ENOENT);
}

/* A name that is too long, and the worker of an engine that was removed. */
static void
test_dial_nowhere(void **state)
{
	struct fixture *t = *state;
	char host[256] = "unix:///";

	memset(host + 8, 'x', sizeof(host) - 9);
	host[sizeof(host) - 1] = '\0';
	set_host(t, host);
	fake_say(t, &t->engine, MSG_DIAL, 0, 1);
	fake_got_err(&t->engine, 1, ERR_ENGINE);
	assert_int_equal(t->engine.got[0].fixed.n >> 32, ENAMETOOLONG);
	engine(t)->instance = 5;
	fake_say(t, &t->engine, MSG_DIAL, 0, 2);
	fake_got_err(&t->engine, 2, ERR_ENGINE);
	assert_int_equal(t->engine.got[1].fixed.n >> 32, ENXIO);
}

/* A backlog that is full is not waited for. */
static void
test_dial_backlog(void **state)
{
	struct fixture *t = *state;
	int fd = listen_at(t, 0);
	struct got *g;
	uint32_t id = 0;

	do {
		fake_say(t, &t->engine, MSG_DIAL, 0, ++id);
		g = &t->engine.got[t->engine.read++];
		if (g->fd != -1)
			close(g->fd);
	} while (g->head.type == MSG_DIAL_OK && id < 64);
	assert_int_equal(g->head.type, MSG_ERR);
	assert_int_equal(g->fixed.n >> 32, EAGAIN);
	unlisten(t, fd);
}

static void
mem_new(struct fixture *t, uint32_t id, uint64_t size)
{
	struct msg_num m = { .n = size };

	channel_send(t->image.ch, MSG_MEM_NEW, 0, id, &m, NULL, 0, -1);
	fakes_pump(t);
}

static void
test_memory(void **state)
{
	struct fixture *t = *state;
	struct got *g;
	struct stat st;

	mem_new(t, 1, 123456);
	g = fake_got(&t->image, MSG_MEM_NEW_OK);
	assert_int_equal(g->fixed.n, 123456);
	assert_int_equal(fstat(g->fd, &st), 0);
	assert_int_equal(st.st_size, 123456);
	assert_int_equal(ftruncate(g->fd, 1), -1);
	assert_int_equal(ftruncate(g->fd, 1 << 20), -1);
	close(g->fd);
	mem_new(t, 2, 0);
	fake_got_err(&t->image, 2, ERR_IO);
	mem_new(t, 3, UINT64_MAX);
	fake_got_err(&t->image, 3, ERR_IO);
	mem_new(t, 4, (1ull << 30) + 1);
	fake_got_err(&t->image, 4, ERR_IO);
}

/* Itself and each worker, also one that is down; not config's. */
static void
test_status(void **state)
{
	struct fixture *t = *state;
	struct child *config = child_init(&t->sup, PROC_CONFIG, 0);
	struct got *g;
	unsigned n = 0;

	strlcpy(t->image.c->last_exit, "signal 9 (KILL)",
	    sizeof(t->image.c->last_exit));
	fake_say(t, &t->control, MSG_STATUS_SUP, 0, 3);
	g = fake_got(&t->control, MSG_STATUS_ITEM);
	assert_int_equal(g->fixed.n, STATUS_DAEMON);
	assert_int_equal(g->head.flags, F_MORE);
	for (; t->control.got[t->control.read].head.type == MSG_STATUS_ITEM;
	     n++) {
		g = fake_got(&t->control, MSG_STATUS_ITEM);
		assert_int_equal(g->fixed.n, STATUS_WORKER);
	}
	assert_int_equal(n, 6);
	g = fake_got(&t->control, MSG_OK);
	assert_int_equal(g->head.id, 3);
	assert_int_equal(g->head.flags, 0);
	child_retire(config);
}

static void
test_reload_of_directory(void **state)
{
	struct fixture *t = *state;

	fake_say(t, &t->control, MSG_RELOAD, 0, 4);
	fake_got_err(&t->control, 4, ERR_UNAVAILABLE);
	assert_null(t->sup.reload);
}

/* A reload whose config process cannot be started; a second one meanwhile. */
static void
test_reload(void **state)
{
	struct fixture *t = *state;
	struct frame f = { .head.id = 7 };
	struct got *g;

	t->opt.file = xstrdup("/nonexistent/wharfd.yaml");
	t->opt.libexec = xstrdup("/nonexistent");
	channel_send(t->control.ch, MSG_RELOAD, 0, 5, NULL, NULL, 0, -1);
	channel_send(t->control.ch, MSG_RELOAD, 0, 6, NULL, NULL, 0, -1);
	fakes_pump(t);
	fake_got_err(&t->control, 6, ERR_BUSY);
	g = fake_got(&t->control, MSG_OK);
	assert_int_equal(g->head.id, 5);
	assert_int_equal(g->fixed.n, 70);
	assert_int_equal(fake_got(&t->control, MSG_EVENT)->fixed.n,
	    EVENT_CONFIG_FAILED);
	assert_null(t->sup.reload);
	/* the asker dies: its successor gets no answer that it did not ask */
	reload_on_request(t->control.c, &f);
	assert_non_null(t->sup.reload);
	fake_die(&t->control);
	fake_restart(t, &t->control);
	while (t->control.read < t->control.n)
		assert_int_not_equal(t->control.got[t->control.read++]
					 .head.type,
		    MSG_OK);
	assert_null(t->sup.reload);
	free(t->opt.file);
	free(t->opt.libexec);
}

static void
test_stop(void **state)
{
	struct fixture *t = *state;

	fake_say(t, &t->control, MSG_DAEMON_STOP, 0, 9);
	assert_int_equal(fake_got(&t->control, MSG_OK)->head.id, 9);
	fake_got(&t->plan, MSG_STOP);
	assert_int_equal(t->sup.phase, SUP_STOPS_PLAN);
	/* and no reload from here on */
	t->opt.file = xstrdup("/nonexistent/wharfd.yaml");
	fake_forget(&t->control);
	fake_say(t, &t->control, MSG_RELOAD, 0, 10);
	fake_got_err(&t->control, 10, ERR_BUSY);
	free(t->opt.file);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fakes_up, fakes_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dial),
		TEST(test_dial_nowhere),
		TEST(test_dial_backlog),
		TEST(test_memory),
		TEST(test_status),
		TEST(test_reload_of_directory),
		TEST(test_reload),
		TEST(test_stop),
	};

	signal(SIGPIPE, SIG_IGN);
	setenv("DOCKER_CONFIG", "/nonexistent", 1);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
