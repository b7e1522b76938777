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
	close(w->ifd);
	w->ifd = -1;
	assert_int_equal(set_limit("instances", "0"), 0);
	world_sh(w, "mkdir d; echo 1 > d/f");
	world_tree(w);
	w->tree->no_inotify = EMFILE;
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
	close(w->ifd);
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
	w->ifd = w->tree->ifd = open("/dev/null", O_RDONLY);
	poll_soon(w);
	assert_string_equal(world_offered(w, w->sub), "P:d/f S:d/n");
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit_text),
		cmocka_unit_test(test_fs_types),
		cmocka_unit_test(test_remote_root),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_watches_come_free),
		cmocka_unit_test(test_instances),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
