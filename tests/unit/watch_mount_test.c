/*
 * Mounts below a watched root, and whether the root is still where it was.
 */
#include <sys/mount.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "buf.h"
#include "tests/unit/watch_world.h"
#include "workers/watch/mounts.h"

#define HEAD "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"

static struct watch_mounts *
parse(const char *text, const char *root)
{
	return (watch_mounts_parse(text, strlen(text), root));
}

static void
on_diff(void *arg, const char *path)
{
	strlcat(arg, path, 256);
	strlcat(arg, ";", 256);
}

static void
expect_diff(const char *old, const char *new, const char *root,
    const char *want)
{
	struct watch_mounts *a = parse(old, root), *b = parse(new, root);
	char got[256] = "";

	watch_mounts_diff(a, b, on_diff, got);
	watch_mounts_free(a);
	watch_mounts_free(b);
	assert_string_equal(got, want);
}

static void
test_parse(void **state)
{
	static const char a[] = HEAD "40 22 0:40 / /srv/p/x rw - tmpfs t rw\n",
			  b[] = HEAD "41 22 0:40 / /srv/p/x rw - tmpfs t rw\n",
			  c[] = HEAD "40 22 0:40 /y /srv/p/x rw - tmpfs t rw\n",
			  d[] = HEAD "40 22 0:40 / /srv/p/x ro - tmpfs t ro\n";

	expect_diff(HEAD, a, "/srv/p", "x;");
	expect_diff(a, HEAD, "/srv/p", "x;");
	expect_diff(a, a, "/srv/p", "");
	/* another one in its place; the same one with other options */
	expect_diff(a, b, "/srv/p", "x;x;");
	expect_diff(a, c, "/srv/p", "x;x;");
	expect_diff(a, d, "/srv/p", "");
	/* beside it, above it, and the root itself */
	expect_diff(HEAD, a, "/srv/pp", "");
	expect_diff(HEAD, a, "/srv/p/x", "");
	expect_diff(HEAD, a, "/srv/p/x/y", "");
	expect_diff(HEAD, a, "/srv", "p/x;");
	expect_diff(HEAD, a, "/", "srv/p/x;");
}

static void
test_parse_names(void **state)
{
	expect_diff("", "4 2 0:4 / /r/a\\040b\\134c\\012d rw - x y z\n", "/r",
	    "a b\\c\nd;");
	/* what is no such line */
	expect_diff("", "4 2 0:4 / /r/a", "/r", "");
	expect_diff("", "4 2 0:4 / /r/a\n", "/r", "");
	expect_diff("", "\n \n     \n4\n4 2\n", "/r", "");
	expect_diff("", "4 2 0:4 / /r/../etc rw\n", "/r", "");
	expect_diff("", "4 2 0:4 / /r//x rw\n", "/r", "");
	expect_diff("", "4 2 0:4 / /r/a\\04 rw\n", "/r", "a\\04;");
	expect_diff("", "4 2 0:4 / /r/\\057 rw\n", "/r", "");
}

static void
test_parse_real(void **state)
{
	int fd = open("/proc/self/mountinfo", O_RDONLY);
	size_t len, again;
	char *text = watch_mounts_read(fd, &len), *b;
	struct watch_mounts *m;

	assert_non_null(text);
	assert_true(len > 20 && text[len - 1] == '\n');
	m = watch_mounts_parse(text, len, "/");
	watch_mounts_free(m);
	b = watch_mounts_read(fd, &again);
	assert_int_equal(again, len);
	free(b);
	free(text);
	close(fd);
}

/* In a mount namespace of our own; skipped where we may have none. */
static void
enter_mounts(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		skip();
}

static void
test_mount(void **state)
{
	struct world *w;

	enter_mounts();
	w = world_new();
	world_sh(w, "mkdir -p a/b out; echo 1 > a/b/f; echo 1 > g; echo > h");
	world_start(w, NULL);
	/* no event comes of it */
	world_sh(w, "mount -t tmpfs none a/b; echo 2 > a/b/g");
	world_expect(w, "");
	watch_tree_mounted(w->tree, "a/b");
	world_expect(w, "S:a/b");
	/* what is in there is watched now */
	world_write(w, "a/b/g", "3");
	world_expect(w, "P:a/b/g");
	world_sh(w, "umount a/b");
	watch_tree_mounted(w->tree, "a/b");
	world_expect(w, "S:a/b");
	world_write(w, "a/b/f", "2");
	world_expect(w, "P:a/b/f");
	/* a file over a file; nothing at all; a place that is not known */
	world_sh(w, "mount --bind h g");
	watch_tree_mounted(w->tree, "g");
	world_expect(w, "P:g");
	world_sh(w, "umount g");
	watch_tree_mounted(w->tree, "g");
	world_expect(w, "P:g");
	watch_tree_mounted(w->tree, "a/b");
	watch_tree_mounted(w->tree, "no/such/dir");
	watch_tree_mounted(w->tree, "g/below/a/file");
	world_expect(w, "");
	world_free(w);
}

static char *
home_of(struct world *w)
{
	char *real = realpath(w->root, NULL), *home;

	home = watch_home_new(w->rootfd, real);
	free(real);
	return (home);
}

/* Go on until it is gone, at most for a while. */
static void
expect_gone(struct world *w)
{
	for (int i = 0; i < 20 && !w->tree->gone; i++)
		world_run(w, 100);
	assert_true(w->tree->gone);
	assert_int_equal(w->gone, 1);
}

static void
test_home(void **state)
{
	struct world *w = world_new();
	char *home;

	world_tree(w);
	home = w->tree->home = home_of(w);
	assert_non_null(home);
	assert_int_equal(strncmp(home, "../../../tmp/", 13), 0);
	assert_null(watch_home_new(w->rootfd, "/tmp"));
	assert_null(watch_home_new(w->rootfd, "/"));
	assert_null(watch_home_new(w->rootfd, "/no/such"));
	assert_null(watch_home_new(w->rootfd, "tmp"));
	world_start(w, NULL);
	world_run(w, 1100);
	assert_false(w->tree->gone);
	world_free(w);
}

/* Another directory in its place, before the first watch: no event tells. */
static void
test_swapped_early(void **state)
{
	struct world *w = world_new();

	world_sh(w, "echo > f");
	world_tree(w);
	w->tree->home = home_of(w);
	world_sh(w, "cd ..; mv root away; mkdir root");
	w->sub = watch_tree_subscribe(w->tree, 1, NULL);
	watch_tree_start(w->tree);
	expect_gone(w);
	world_free(w);
}

/* The directory above is renamed: the watches go with it. */
static void
test_parent_renamed(void **state)
{
	struct world *w = world_new();
	char cmd[256];

	world_tree(w);
	w->tree->home = home_of(w);
	world_start(w, NULL);
	snprintf(cmd, sizeof(cmd), "mv %s %s.away", w->dir, w->dir);
	assert_int_equal(system(cmd), 0);
	expect_gone(w);
	snprintf(cmd, sizeof(cmd), "mv %s.away %s", w->dir, w->dir);
	assert_int_equal(system(cmd), 0);
	world_free(w);
}

static void
test_mounted_over(void **state)
{
	struct world *w;

	enter_mounts();
	w = world_new();
	world_tree(w);
	w->tree->home = home_of(w);
	world_start(w, NULL);
	assert_int_equal(mount("none", w->root, "tmpfs", 0, NULL), 0);
	expect_gone(w);
	assert_int_equal(umount(w->root), 0);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_names),
		cmocka_unit_test(test_parse_real),
		cmocka_unit_test(test_home),
		cmocka_unit_test(test_swapped_early),
		cmocka_unit_test(test_parent_renamed),
		cmocka_unit_test(test_mount),
		cmocka_unit_test(test_mounted_over),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
