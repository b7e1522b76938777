/*
 * Safe reading beneath a root: every rule with openat2 and with the fallback,
 * and the race of spec/security.md T2 against a process that swaps entries.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/tmptree.h"
#include "workers/shared/tree.h"

#define RACE_TRIES 20000

static struct tmptree t;

static int
setup(void **state)
{
	(void)state;
	tmptree_new(&t);
	tree_set_fallback(0);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	tree_set_fallback(0);
	tmptree_free(&t);
	return (0);
}

static void
path_rules(void **state)
{
	static const char *const good[] = { "", "a", "a/b", "...", "..a", "-",
		" ", "a\nb", "\xff", "a/.b" };
	static const char *const bad[] = { "/", "/a", "a/", "a//b", ".", "..",
		"a/./b", "a/../b", "../a", "a/.." };
	char big[TREE_PATH_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(tree_path_ok(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(tree_path_ok(bad[i]));
	memset(big, 'x', sizeof(big));
	big[TREE_PATH_MAX - 1] = '\0';
	assert_true(tree_path_ok(big));
	big[TREE_PATH_MAX - 1] = 'x';
	big[TREE_PATH_MAX] = '\0';
	assert_false(tree_path_ok(big));
}

static void
path_order(void **state)
{
	static const char *const sorted[] = { "", "a", "a/\x01", "a/b", "a/b/c",
		"a/c", "a\x01", "a-", "a-/x", "a.b", "ab", "b", "\xff" };
	size_t i, k, n = sizeof(sorted) / sizeof(sorted[0]);
	int c;

	(void)state;
	for (i = 0; i < n; i++)
		for (k = 0; k < n; k++) {
			c = tree_path_cmp(sorted[i], sorted[k]);
			assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
		}
	assert_true(tree_path_below("a/b", "a"));
	assert_true(tree_path_below("a", "a"));
	assert_true(tree_path_below("a", ""));
	assert_false(tree_path_below("ab", "a"));
	assert_false(tree_path_below("a", "a/b"));
}

static void
make_socket(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.80s/%.20s", t.path, name);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
}

static enum tree_type
type_at(const char *path)
{
	struct tree_stat st;

	assert_int_equal(tree_stat_at(t.fd, path, &st), 0);
	return (st.type);
}

static void
open_fails(const char *path, int err)
{
	errno = 0;
	assert_int_equal(tree_open_file(t.fd, path, NULL), -1);
	assert_int_equal(errno, err);
}

static void
check_stat(void)
{
	struct tree_stat st;

	assert_int_equal(type_at(""), TREE_DIR);
	assert_int_equal(type_at("d"), TREE_DIR);
	assert_int_equal(type_at("d/f"), TREE_REG);
	assert_int_equal(type_at("l"), TREE_LINK);
	assert_int_equal(type_at("fifo"), TREE_FIFO);
	assert_int_equal(type_at("sock"), TREE_SOCK);
	assert_int_equal(type_at("none"), TREE_ABSENT);
	assert_int_equal(type_at("d/f/x"), TREE_ABSENT);
	assert_int_equal(type_at("ld/f"), TREE_ABSENT);
	assert_int_equal(tree_stat_at(t.fd, "../x", &st), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(tree_stat_at(t.fd, "d", &st), 0);
	assert_int_equal(st.mode, 02750);
}

static void
check_open(void)
{
	struct tree_stat st;
	char buf[64];
	int fd;

	fd = tree_open_file(t.fd, "d/f", &st);
	assert_int_not_equal(fd, -1);
	assert_int_equal(st.size, 5);
	assert_int_equal(read(fd, buf, sizeof(buf)), 5);
	close(fd);
	open_fails("l", ENXIO);
	open_fails("abs", ENXIO);
	open_fails("fifo", ENXIO);
	open_fails("sock", ENXIO);
	open_fails("d", ENXIO);
	open_fails("ld/f", ENOENT);
	open_fails("none", ENOENT);
	open_fails("/etc/passwd", EINVAL);
	assert_int_equal(tree_open_dir(t.fd, "ld"), -1);
}

static void
check_links(void)
{
	char buf[64];

	assert_int_equal(tree_readlink(t.fd, "l", buf, sizeof(buf)), 3);
	assert_string_equal(buf, "d/f");
	assert_int_equal(tree_readlink(t.fd, "l", buf, 4), 3);
	assert_int_equal(tree_readlink(t.fd, "l", buf, 3), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(tree_readlink(t.fd, "d", buf, sizeof(buf)), -1);
	assert_int_equal(errno, EINVAL);
}

static void
reading(void **state)
{
	int on, fds = tmptree_open_fds();

	(void)state;
	tmptree_dir(&t, "d", 02750);
	tmptree_file(&t, "d/f", "hello");
	tmptree_link(&t, "l", "d/f");
	tmptree_link(&t, "ld", "d");
	tmptree_link(&t, "abs", "/etc/passwd");
	tmptree_fifo(&t, "fifo");
	make_socket("sock");
	for (on = 0; on <= 1; on++) {
		tree_set_fallback(on);
		check_stat();
		check_open();
		check_links();
	}
	assert_int_equal(tmptree_open_fds(), fds);
}

static void
root_gone(void **state)
{
	int fd;

	(void)state;
	tmptree_dir(&t, "r", 0755);
	fd = tree_open_dir(t.fd, "r");
	assert_int_equal(tree_root_gone(fd), 0);
	assert_int_equal(unlinkat(t.fd, "r", AT_REMOVEDIR), 0);
	assert_int_equal(tree_root_gone(fd), 1);
	close(fd);
}

/* The other side of the race: swaps file with link and directory with link. */
static void
swapper(void)
{
	for (;;) {
		syscall(SYS_renameat2, t.fd, "d", t.fd, "d.evil",
		    RENAME_EXCHANGE);
		syscall(SYS_renameat2, t.fd, "g/f", t.fd, "g/f.evil",
		    RENAME_EXCHANGE);
	}
}

static void
first_bytes(int fd, char buf[8])
{
	ssize_t n = fd != -1 ? read(fd, buf, 7) : 0;

	buf[n > 0 ? n : 0] = '\0';
	if (fd != -1)
		close(fd);
}

/* What naive code does: looks, then opens. */
static void
naive_open(const char *path, char buf[8])
{
	struct stat sb;

	buf[0] = '\0';
	if (fstatat(t.fd, path, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(sb.st_mode))
		first_bytes(openat(t.fd, path, O_RDONLY | O_CLOEXEC), buf);
}

static void
race_tries(size_t *inside)
{
	char buf[8];
	int i;

	for (i = 0; i < RACE_TRIES; i++) {
		first_bytes(tree_open_file(t.fd, i % 2 ? "d/f" : "g/f", NULL),
		    buf);
		assert_string_not_equal(buf, "secret");
		if (strcmp(buf, "inside") == 0)
			(*inside)++;
	}
}

static void
swap_race(void **state)
{
	struct tmptree out;
	size_t inside = 0, escapes = 0, i;
	char target[300], buf[8];
	pid_t pid;

	(void)state;
	tmptree_new(&out);
	tmptree_file(&out, "f", "secret");
	tmptree_dir(&t, "d", 0755);
	tmptree_file(&t, "d/f", "inside");
	tmptree_link(&t, "d.evil", out.path);
	tmptree_dir(&t, "g", 0755);
	tmptree_file(&t, "g/f", "inside");
	snprintf(target, sizeof(target), "%s/f", out.path);
	tmptree_link(&t, "g/f.evil", target);
	if ((pid = fork()) == 0)
		swapper();
	assert_int_not_equal(pid, -1);
	race_tries(&inside);
	tree_set_fallback(1);
	race_tries(&inside);
	/* The race is real: code that looks first is led out of the tree. */
	for (i = 0; i < 2000000 && escapes == 0; i++) {
		naive_open("d/f", buf);
		escapes += strcmp(buf, "secret") == 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	tmptree_free(&out);
	assert_true(inside > 0);
	assert_true(escapes > 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_rules),
		cmocka_unit_test(path_order),
		TEST(reading),
		TEST(root_gone),
		TEST(swap_race),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
