/*
 * The kernel's limits of inotify, in user namespaces that have their own:
 * what has no watch is compared, and what would be enough is said.  And what
 * a comparison sees and what it does not.
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/watch_world.h"

/*
 * In place of libc's: a directory that has a file .nfs in it is taken for a
 * mount of that kind.
 */
int
fstatfs(int fd, struct statfs *sf)
{
	struct stat st;
	int r = (int)syscall(SYS_fstatfs, fd, sf);

	if (r == 0 && fstatat(fd, ".nfs", &st, 0) == 0)
		sf->f_type = 0x6969;
	return (r);
}

static int
put(const char *path, const char *text)
{
	int fd, ok;

	if ((fd = open(path, O_WRONLY)) == -1)
		return (-1);
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return (ok ? 0 : -1);
}

static int
set_limit(const char *name, const char *n)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/user/max_inotify_%s", name);
	return (put(path, n));
}

/* A namespace in the one before it: each test begins without limits. */
static void
enter_limits(void)
{
	char map[64];

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	if (unshare(CLONE_NEWUSER) == -1 ||
	    put("/proc/self/uid_map", map) == -1 ||
	    put("/proc/self/setgroups", "deny") == -1 ||
	    put("/proc/self/gid_map", map) == -1 ||
	    set_limit("watches", "1000") == -1) {
		print_message("no user namespace, no test\n");
		skip();
	}
}

/* Let the next comparison begin now. */
static void
poll_soon(struct world *w)
{
	w->tree->poll_next = w->tree->check_next = mono_now();
	world_run(w, 100);
}

static void
expect_text(char *got, const char *want)
{
	assert_non_null(got);
	if (strstr(got, want) == NULL)
		assert_string_equal(got, want);
	free(got);
}

static void
test_limit(void **state)
{
	struct world *w;

	enter_limits();
	assert_int_equal(set_limit("watches", "6"), 0);
	w = world_new();
	world_sh(w,
	    "for i in 1 2 3 4 5 6 7 8; do mkdir -p d/$i; "
	    "echo > d/$i/f; done");
	world_start(w, NULL);
	assert_int_equal(w->tree->watches, 6);
	assert_int_equal(w->tree->npolled, 4);
	assert_string_equal(watch_tree_backend(w->tree), "inotify");
	expect_text(watch_tree_why(w->tree),
	    "user.max_inotify_watches is 6, about 10 are needed: sysctl "
	    "user.max_inotify_watches=524288; compared every 1.0 s");
	/* with and without a watch, within about a second */
	usleep(20000);
	world_sh(w, "for i in 1 2 3 4 5 6 7 8; do echo 2 > d/$i/f; done");
	world_run(w, 1300);
	assert_string_equal(world_offered(w, w->sub),
	    "P:d/1/f P:d/2/f "
	    "P:d/3/f P:d/4/f P:d/5/f P:d/6/f P:d/7/f P:d/8/f");
	/* one warning, and no second one at each further try */
	poll_soon(w);
	poll_soon(w);
	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(w->warning,
	    "user.max_inotify_watches is 6, about 10 are needed"));
	/* the limit is raised: all of it is watched at the next look */
	assert_int_equal(set_limit("watches", "100"), 0);
	poll_soon(w);
	assert_int_equal(w->tree->npolled, 0);
	assert_int_equal(w->tree->watches, 10);
	assert_null(watch_tree_why(w->tree));
	assert_int_equal(w->warnings, 1);
	world_free(w);
}

/* Directories that go leave their watches to those that have none. */
static void
test_watches_come_free(void **state)
{
	struct world *w;

	enter_limits();
	assert_int_equal(set_limit("watches", "4"), 0);
	w = world_new();
	world_sh(w, "mkdir a b c d e");
	world_start(w, NULL);
	assert_int_equal(w->tree->npolled, 2);
	world_sh(w, "rmdir a b c");
	poll_soon(w);
	assert_int_equal(w->tree->npolled, 0);
	assert_int_equal(w->tree->watches, 3);
	world_offered(w, w->sub);
	world_write(w, "d/f", "x");
	world_write(w, "e/f", "x");
	world_expect(w, "P:d/f P:e/f");
	world_free(w);
}

/* No instance at all, until one comes free. */
static void
test_instances(void **state)
{
	struct world *w;

	enter_limits();
	w = world_new();
	watch_inotify_close(w->in);
	assert_int_equal(set_limit("instances", "0"), 0);
	world_sh(w, "mkdir d; echo 1 > d/f");
	world_tree(w);
	w->in->err = EMFILE;
	world_start(w, NULL);
	assert_string_equal(watch_tree_backend(w->tree), "poll");
	assert_int_equal(w->tree->npolled, 2);
	usleep(20000);
	world_sh(w, "echo 2 > d/f");
	poll_soon(w);
	assert_string_equal(world_offered(w, w->sub), "P:d/f");
	assert_int_equal(w->warnings, 1);
	expect_text(strdup(w->warning),
	    "user.max_inotify_instances is 0, about 1 are needed: sysctl "
	    "user.max_inotify_instances=1024");
	assert_int_equal(set_limit("instances", "10"), 0);
	poll_soon(w);
	assert_string_equal(watch_tree_backend(w->tree), "inotify");
	assert_int_equal(w->tree->watches, 2);
	assert_int_equal(w->tree->npolled, 0);
	assert_null(watch_tree_why(w->tree));
	world_free(w);
}

static void
test_limit_text(void **state)
{
	/* what others of the same user hold counts, too */
	expect_text(watch_limit_text(LIMIT_WATCHES, 1000, 1000, 400, 600),
	    "fs.inotify.max_user_watches is 1000, about 1200 are needed: "
	    "sysctl fs.inotify.max_user_watches=524288");
	expect_text(watch_limit_text(LIMIT_WATCHES, 8192, LIMIT_UNKNOWN, 8192,
			900000),
	    "fs.inotify.max_user_watches is 8192, about 900000 are needed: "
	    "sysctl fs.inotify.max_user_watches=2097152");
	expect_text(watch_limit_text(LIMIT_INSTANCES, 128, INT64_MAX, 0, 200),
	    "fs.inotify.max_user_instances is 128, about 328 are needed: "
	    "sysctl fs.inotify.max_user_instances=1024");
	expect_text(watch_limit_text(LIMIT_WATCHES, LIMIT_UNKNOWN,
			LIMIT_UNKNOWN, 0, 7),
	    "fs.inotify.max_user_watches is too low");
	/* a limit that was lowered below what is held */
	expect_text(watch_limit_text(LIMIT_WATCHES, 10, 10, 400, 600),
	    "is 10, about 600 are needed");
}

static void
test_fs_types(void **state)
{
	assert_string_equal(watch_fs_remote(0x6969), "nfs");
	assert_string_equal(watch_fs_remote(0xff534d42), "cifs");
	assert_string_equal(watch_fs_remote(0x01021997), "9p");
	assert_string_equal(watch_fs_remote(0x65735546), "fuse");
	assert_string_equal(watch_fs_remote(0x00c36400), "ceph");
	assert_string_equal(watch_fs_remote(0x786f4256), "vboxsf");
	assert_null(watch_fs_remote(0xef53));     /* ext4 */
	assert_null(watch_fs_remote(0x01021994)); /* tmpfs */
	assert_null(watch_fs_remote(0x794c7630)); /* overlay */
	assert_null(watch_fs_remote(0x9123683e)); /* btrfs */
	assert_null(watch_fs_remote(0x58465342)); /* xfs */
	assert_null(watch_fs_remote(0));
}

/* A change that makes no event: as another machine would. */
static void
silently(struct world *w, const char *cmd)
{
	close(w->in->fd);
	world_sh(w, "%s", cmd);
}

/* The root on a network file system is compared, for all its watches. */
static void
test_remote_root(void **state)
{
	struct world *w = world_new();

	world_sh(w, "mkdir d; echo > .nfs; echo 1 > d/f");
	world_start(w, NULL);
	assert_string_equal(watch_tree_backend(w->tree), "poll");
	assert_int_equal(w->tree->npolled, 2);
	assert_int_equal(w->tree->watches, 2);
	assert_int_equal(w->warnings, 0);
	expect_text(watch_tree_why(w->tree),
	    "all of it: a file system (nfs) that others may change; "
	    "compared every 1.0 s");
	/* changes of this machine are seen at once all the same */
	world_write(w, "d/f", "2");
	world_run(w, 100);
	assert_string_equal(world_offered(w, w->sub), "P:d/f");
	usleep(20000);
	silently(w, "echo 3 > d/f; mkdir d/n; echo > d/n/g");
	w->in->fd = open("/dev/null", O_RDONLY);
	poll_soon(w);
	assert_string_equal(world_offered(w, w->sub), "P:d/f S:d/n");
	world_free(w);
}

/* A tree without inotify, whose content has been there for a while. */
static struct world *
polled_world(const char *cmd)
{
	struct world *w = world_new();

	watch_inotify_close(w->in);
	w->no_inotify = true;
	world_sh(w, "%s", cmd);
	world_start(w, NULL);
	return (w);
}

/* Other content of the same size, and the time put back: ctime tells. */
static void
test_poll_same_time(void **state)
{
	struct world *w = polled_world("echo 1 > f; touch -d @1000000000.5 f");

	usleep(15000);
	world_sh(w, "echo 2 > f; touch -d @1000000000.5 f");
	usleep(15000);
	poll_soon(w);
	assert_string_equal(world_offered(w, w->sub), "P:f");
	poll_soon(w);
	assert_string_equal(world_offered(w, w->sub), "");
	world_free(w);
}

/*
 * What was written just before it was looked at may be written once more
 * without another time: it is offered again, for its content to be compared.
 */
static void
test_poll_racy(void **state)
{
	struct world *w = polled_world("echo 1 > f; echo 1 > g");
	struct watch_entry *e = watch_entry_find(w->tree->root->node, "f");

	usleep(15000);
	do {
		world_write(w, "f", "2");
		watch_poll_now(w->tree);
		while (watch_scan_busy(w->tree))
			watch_tree_step(w->tree);
		watch_hold_release(w->tree, mono_now(), 10);
		world_offered(w, w->sub);
	} while (!e->snap.racy);
	usleep(15000);
	poll_soon(w);
	assert_string_equal(world_offered(w, w->sub), "P:f");
	assert_false(e->snap.racy);
	poll_soon(w);
	assert_string_equal(world_offered(w, w->sub), "");
	world_free(w);
}

/* A time that is still to come is no reason to look again and again. */
static void
test_poll_future(void **state)
{
	struct world *w = polled_world("echo 1 > f");

	usleep(15000);
	world_sh(w, "touch -d @4000000000 f");
	usleep(15000);
	poll_soon(w);
	assert_string_equal(world_offered(w, w->sub), "P:f");
	poll_soon(w);
	poll_soon(w);
	assert_string_equal(world_offered(w, w->sub), "");
	world_free(w);
}

static bool
racy(int64_t mtime_ns, int64_t ctime_ns)
{
	struct tree_stat st = { .type = TREE_REG,
		.mtime_ns = mtime_ns,
		.ctime_ns = ctime_ns };
	struct watch_snap s;

	watch_snap_from(&s, &st);
	return (s.racy);
}

static void
test_racy(void **state)
{
	const int64_t s = 1000000000, now = wall_now_ns();
	const int64_t sec = now / s * s, old = 1000000000 * s + 1;

	assert_true(racy(now, now));
	assert_true(racy(now - s / 1000, old));
	assert_true(racy(old, now - s / 1000));
	assert_false(racy(now - s, now - s - 1));
	assert_false(racy(now + s, old));
	/* whole seconds: the file system may know no more */
	assert_true(racy(sec, sec));
	assert_true(racy(sec - s, sec - s));
	assert_false(racy(sec - 4 * s, sec - 4 * s));
	assert_false(racy(sec - s, old));
}

/* The interval grows with what a comparison takes. */
static void
test_poll_interval(void **state)
{
	struct world *w = polled_world("echo > f");
	mono_t t = mono_now();

	mono_fake(&t);
	w->tree->poll_begun = mono_add_ms(t, -10);
	watch_poll_done(w->tree);
	assert_int_equal(w->tree->poll_ms, 1000);
	w->tree->poll_begun = mono_add_ms(t, -200);
	watch_poll_done(w->tree);
	assert_int_equal(w->tree->poll_ms, 4000);
	assert_int_equal(mono_diff_ms(w->tree->poll_next, t), 4000);
	w->tree->poll_begun = mono_add_ms(t, -20000);
	watch_poll_done(w->tree);
	assert_int_equal(w->tree->poll_ms, 30000);
	mono_fake(NULL);
	world_free(w);
}

/* Warnings come in a burst at most; how many were left out is told. */
static void
test_warnings(void **state)
{
	struct world *w = world_new();
	mono_t t = mono_now();

	world_tree(w);
	mono_fake(&t);
	for (int i = 0; i < 100; i++)
		watch_tree_warn(w->tree, "x", 0, "text");
	assert_int_equal(w->warnings, WATCH_WARN_BURST);
	t = mono_add_ms(t, WATCH_WARN_MS);
	for (int i = 0; i < 2; i++)
		watch_tree_warn(w->tree, "x", 0, "text");
	assert_int_equal(w->warnings, WATCH_WARN_BURST + 1);
	assert_string_equal(w->warning,
	    "x: text (80 warnings before this were left out)");
	t = mono_add_ms(t, 100 * WATCH_WARN_MS);
	watch_tree_warn(w->tree, "x", 0, "text");
	watch_tree_warn(w->tree, "x", 0, "text");
	assert_int_equal(w->warnings, WATCH_WARN_BURST + 3);
	mono_fake(NULL);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit_text),
		cmocka_unit_test(test_fs_types),
		cmocka_unit_test(test_remote_root),
		cmocka_unit_test(test_racy),
		cmocka_unit_test(test_poll_same_time),
		cmocka_unit_test(test_poll_racy),
		cmocka_unit_test(test_poll_future),
		cmocka_unit_test(test_poll_interval),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_watches_come_free),
		cmocka_unit_test(test_instances),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
