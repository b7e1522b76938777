/*
 * The kernel's limit of inotify watches, in a user namespace that has one of
 * its own: what has no watch is compared.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/watch_world.h"

static int
set_limit(const char *n)
{
	int fd, ok;

	fd = open("/proc/sys/user/max_inotify_watches", O_WRONLY);
	if (fd == -1)
		return (-1);
	ok = write(fd, n, strlen(n)) == (ssize_t)strlen(n);
	close(fd);
	return (ok ? 0 : -1);
}

static void
test_limit(void **state)
{
	struct world *w;

	if (unshare(CLONE_NEWUSER) == -1 || set_limit("6") == -1) {
		print_message("no user namespace, no test\n");
		skip();
	}
	w = world_new();
	world_sh(w,
	    "for i in 1 2 3 4 5 6 7 8; do mkdir -p d/$i; "
	    "echo > d/$i/f; done");
	world_start(w, NULL);
	assert_int_equal(w->tree->watches, 6);
	assert_int_equal(w->tree->npolled, 4);
	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(w->warning, "fs.inotify.max_user_watches"));
	/* with and without a watch, within about a second */
	usleep(20000);
	world_sh(w, "for i in 1 2 3 4 5 6 7 8; do echo 2 > d/$i/f; done");
	world_run(w, 1300);
	assert_string_equal(world_offered(w, w->sub),
	    "P:d/1/f P:d/2/f "
	    "P:d/3/f P:d/4/f P:d/5/f P:d/6/f P:d/7/f P:d/8/f");
	assert_int_equal(w->warnings, 1);
	/* the limit is raised: all of it is watched at the next look */
	assert_int_equal(set_limit("100"), 0);
	world_run(w, 1300);
	assert_int_equal(w->tree->npolled, 0);
	assert_int_equal(w->tree->watches, 10);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
