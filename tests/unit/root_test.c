/*
 * The watched directories: gone, back, another one in their place; and what
 * outlives the daemon.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/route_fake.h"

static char dir[] = "/tmp/wharf-root.XXXXXX";
static char *path; /* of a root below it */

static int
group_up(void **state)
{
	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/root", dir);
	return (setenv("XDG_STATE_HOME", dir, 1));
}

static int
group_down(void **state)
{
	char *cmd = xasprintf("rm -rf %s", dir);
	int r = system(cmd);

	free(cmd);
	free(path);
	return (r);
}

static void
later(struct fixture *t, int64_t ms)
{
	t->now = mono_add_ms(t->now, ms);
	fakes_pump(t);
}

/* Readers are on their way out, and so get a new set of directories. */
static bool
replaced(struct fixture *t)
{
	bool r = t->watch.c->policy.replacing && t->push.c->policy.replacing &&
	    t->image.c->policy.replacing;

	assert_int_equal(t->plan.c->policy.replacing, false);
	t->watch.c->policy.replacing = t->push.c->policy.replacing =
	    t->image.c->policy.replacing = false;
	t->push.c->draining = t->image.c->draining = false;
	return (r);
}

static void
say_gone(struct fixture *t, uint64_t tree)
{
	struct msg_num m = { .n = tree };

	channel_send(t->watch.ch, MSG_ROOT_GONE, 0, 0, &m, NULL, 0, -1);
	fakes_pump(t);
}

static void
test_comes_late(void **state)
{
	struct fixture *t = *state;
	struct root *r = root_get(&t->sup, path);

	assert_int_equal(r->fd, -1);
	assert_ptr_equal(root_get(&t->sup, path), r);
	later(t, 60000);
	assert_int_equal(r->fd, -1);
	assert_false(replaced(t));
	assert_int_equal(mkdir(path, 0755), 0);
	later(t, 2001); /* asked for ever more seldom, up to 2 s */
	assert_int_not_equal(r->fd, -1);
	assert_true(replaced(t));
	assert_int_equal(fake_got(&t->control, MSG_EVENT)->fixed.n,
	    EVENT_WATCH_ROOT_BACK);
	assert_int_equal(rmdir(path), 0);
}

/* Away and there again many times: readers are replaced once a second. */
static void
test_flaps(void **state)
{
	struct fixture *t = *state;
	struct root *r;
	unsigned n = 0;

	assert_int_equal(mkdir(path, 0755), 0);
	r = root_get(&t->sup, path);
	assert_int_not_equal(r->fd, -1);
	for (int i = 0; i < 100; i++) {
		say_gone(t, r->tree);
		later(t, 100);
		n += replaced(t);
	}
	assert_in_range(n, 5, 11);
	later(t, 2000);
	assert_int_not_equal(r->fd, -1);
	/* of one that is not, nothing comes */
	say_gone(t, 4711);
	say_gone(t, UINT64_MAX);
	assert_int_not_equal(r->fd, -1);
	assert_int_equal(rmdir(path), 0);
}

/* Another directory at the same path, which no watch was there to see. */
static void
test_another(void **state)
{
	struct fixture *t = *state;
	struct root *r;
	char *old = xasprintf("%s.old", path);
	ino_t ino;

	assert_int_equal(mkdir(path, 0755), 0);
	r = root_get(&t->sup, path);
	ino = r->ino;
	later(t, 2000);
	root_check_all(&t->sup);
	assert_int_not_equal(r->fd, -1);
	assert_int_equal(rename(path, old), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	root_check_all(&t->sup);
	assert_int_equal(r->fd, -1);
	root_check_all(&t->sup);
	later(t, 100);
	assert_int_not_equal(r->fd, -1);
	assert_int_not_equal(r->ino, ino);
	assert_true(replaced(t));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(old), 0);
	/* gone, while wharfd stops: nobody is replaced any more */
	root_check_all(&t->sup);
	assert_int_equal(r->fd, -1);
	t->sup.phase = SUP_STOPS_ALL;
	assert_int_equal(mkdir(path, 0755), 0);
	later(t, 3000);
	assert_int_equal(r->fd, -1);
	assert_false(replaced(t));
	assert_int_equal(rmdir(path), 0);
	free(old);
}

/* Work that does not end does not hold a planned generation for ever. */
static void
test_draining_ends(void **state)
{
	struct fixture *t = *state;

	fake_say(t, &t->plan, MSG_APPLY, 0, 1);
	fake_got(&t->push, MSG_APPLY);
	root_replace_readers(&t->sup);
	assert_true(t->push.c->draining);
	assert_false(t->push.c->policy.replacing);
	assert_true(t->image.c->policy.replacing); /* it had nothing to do */
	later(t, 59000);
	assert_false(t->push.c->policy.replacing);
	later(t, 1001);
	assert_true(t->push.c->policy.replacing);
	fake_die(&t->push);
	assert_false(t->push.c->draining);
}

/* State files. */

static struct config_service *
kept(struct fixture *t)
{
	struct config_service *sv = TAILQ_FIRST(&t->sup.conf.services);

	sv->flags = SERVICE_KEEP;
	if (sv->manifest_fd == -1)
		sv->manifest_fd = memory_new("manifest", MANIFEST_SIZE);
	assert_int_not_equal(sv->manifest_fd, -1);
	return (sv);
}

static void
forget_memory(struct config_service *sv)
{
	close(sv->manifest_fd);
	sv->manifest_fd = memory_new("manifest", MANIFEST_SIZE);
}

static void
test_state(void **state)
{
	struct fixture *t = *state;
	struct config_service *sv = kept(t);
	char c = 0;

	assert_int_equal(pwrite(sv->manifest_fd, "x", 1, 0), 1);
	assert_int_equal(pwrite(sv->manifest_fd, "y", 1, MANIFEST_SIZE - 1), 1);
	state_save(sv);
	forget_memory(sv);
	state_load(sv);
	assert_int_equal(pread(sv->manifest_fd, &c, 1, 0), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(pread(sv->manifest_fd, &c, 1, MANIFEST_SIZE - 1), 1);
	assert_int_equal(c, 'y');
	/* it is taken once */
	forget_memory(sv);
	state_load(sv);
	assert_int_equal(pread(sv->manifest_fd, &c, 1, 0), 1);
	assert_int_equal(c, 0);
	/* that of another directory is another one's */
	assert_int_equal(pwrite(sv->manifest_fd, "z", 1, 0), 1);
	state_save(sv);
	forget_memory(sv);
	sv->dir[1]++;
	state_load(sv);
	assert_int_equal(pread(sv->manifest_fd, &c, 1, 0), 1);
	assert_int_equal(c, 0);
}

/* A directory that cannot be made is told of, and is no end. */
static void
test_state_nowhere(void **state)
{
	struct fixture *t = *state;
	struct config_service *sv = kept(t);

	setenv("XDG_STATE_HOME", "/dev/null/x", 1);
	state_save(sv);
	state_load(sv);
	setenv("XDG_STATE_HOME", dir, 1);
}

/* What is kept, of a service that goes without another in its place. */
static void
test_state_of_removed(void **state)
{
	struct fixture *t = *state;
	struct config_service *sv = kept(t);
	struct config next;
	struct config_engine *e;
	char *why, c = 0;

	assert_int_equal(pwrite(sv->manifest_fd, "r", 1, 0), 1);
	config_init(&next);
	e = xcalloc(1, sizeof(*e));
	e->name = xstrdup("e");
	e->host = xstrdup("unix:///nonexistent/e.sock");
	TAILQ_INSERT_TAIL(&next.engines, e, link);
	assert_int_equal(reload_apply(&t->sup, &next, &why), 0);
	config_clear(&next);
	fake_say_n(t, &t->plan, MSG_SERVICE_GONE, 0, 0, 0);
	assert_true(TAILQ_EMPTY(&t->sup.conf.services));
	/* as it comes again */
	sv = xcalloc(1, sizeof(*sv));
	sv->name = xstrdup("first");
	sv->dir = xstrdup("/nonexistent/first");
	sv->manifest_fd = memory_new("manifest", MANIFEST_SIZE);
	state_load(sv);
	assert_int_equal(pread(sv->manifest_fd, &c, 1, 0), 1);
	assert_int_equal(c, 'r');
	config_service_free(sv);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fakes_up, fakes_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_comes_late),
		TEST(test_flaps),
		TEST(test_another),
		TEST(test_draining_ends),
		TEST(test_state),
		TEST(test_state_nowhere),
		TEST(test_state_of_removed),
	};

	signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, group_up, group_down));
}
