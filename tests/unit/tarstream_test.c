/*
 * The tar writer, read back with libarchive and with GNU tar: names of any
 * bytes, long names, large sizes, files that change while they are read, and
 * a sandbox in which nothing can be opened.
 */
#include <sys/stat.h>
#include <sys/wait.h>
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "buf.h"
#include "tests/unit/tmptree.h"
#include "workers/shared/tarstream.h"
#include "workers/shared/tree.h"

static struct tmptree t;

static void
drain(struct tarstream *ts, struct buf *out)
{
	uint8_t buf[5000];
	size_t n;

	while ((n = tarstream_take(ts, buf, sizeof(buf))) > 0)
		buf_add(out, buf, n);
}

/* Adds one entry whole. */
static void
add(struct tarstream *ts, struct buf *out, const struct tarstream_entry *e,
    int fd)
{
	int rc;

	assert_int_equal(tarstream_add(ts, e, fd), 0);
	while ((rc = tarstream_fill(ts, MONO_NEVER)) == TARSTREAM_MORE)
		drain(ts, out);
	assert_int_equal(rc, TARSTREAM_DONE);
	drain(ts, out);
}

static void
add_path(struct tarstream *ts, struct buf *out, enum tarstream_type type,
    const char *path, const char *target)
{
	struct tarstream_entry e = { .type = type,
		.path = path,
		.target = target,
		.mode = 0755 };

	add(ts, out, &e, -1);
}

static void
finish(struct tarstream *ts, struct buf *out)
{
	assert_int_equal(tarstream_finish(ts), 0);
	drain(ts, out);
	tarstream_free(ts);
}

static struct archive *
reader(const struct buf *b)
{
	struct archive *a = archive_read_new();

	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_memory(a, b->data, b->len), 0);
	return (a);
}

static struct archive_entry *
next(struct archive *a)
{
	struct archive_entry *ae;

	assert_int_equal(archive_read_next_header(a, &ae), ARCHIVE_OK);
	return (ae);
}

static void
at_end(struct archive *a)
{
	struct archive_entry *ae;

	assert_int_equal(archive_read_next_header(a, &ae), ARCHIVE_EOF);
	archive_read_free(a);
}

#define RANDOM_NAMES 3000

/* Valid paths of random bytes: every one-byte name, then longer ones. */
static size_t
make_names(char **names)
{
	char name[256];
	size_t n = 0, i, k, len;
	int c;

	for (c = 1; c < 256; c++) {
		snprintf(name, sizeof(name), "%c", c);
		if (tree_path_ok(name))
			names[n++] = xstrdup(name);
	}
	srandom(3);
	for (i = 0; i < RANDOM_NAMES; i++) {
		len = 2 + (size_t)random() % 250;
		for (k = 0; k < len; k++) {
			c = 1 + (int)(random() % 255);
			name[k] = (char)(c == '/' ? '_' : c);
		}
		name[len] = '\0';
		if (i % 2 == 0 && len > 9)
			name[len / 2] = '/';
		names[n++] = xstrdup(name);
	}
	return (n);
}

static void
any_names(void **state)
{
	static char *names[255 + RANDOM_NAMES];
	size_t i, n = make_names(names);
	struct tarstream *ts = tarstream_new(0);
	struct buf out = { 0 };
	struct archive_entry *ae;
	struct archive *a;

	(void)state;
	assert_int_equal(n, 253 + RANDOM_NAMES); /* not '/' and not '.' */
	for (i = 0; i < n; i++) {
		add_path(ts, &out, TARSTREAM_REG, names[i], NULL);
		add_path(ts, &out, TARSTREAM_SYMLINK, names[i],
		    names[n - 1 - i]);
	}
	finish(ts, &out);
	a = reader(&out);
	for (i = 0; i < n; i++) {
		ae = next(a);
		assert_int_equal(archive_entry_filetype(ae), AE_IFREG);
		assert_string_equal(archive_entry_pathname(ae), names[i]);
		ae = next(a);
		assert_string_equal(archive_entry_pathname(ae), names[i]);
		assert_string_equal(archive_entry_symlink(ae),
		    names[n - 1 - i]);
	}
	at_end(a);
	for (i = 0; i < n; i++)
		free(names[i]);
	buf_free(&out);
}

/* Unpacks with GNU tar into the scratch directory's "x". */
static void
gnu_unpack(const struct buf *b)
{
	char dir[300];
	int status, p[2];
	pid_t pid;

	tmptree_dir(&t, "x", 0755);
	snprintf(dir, sizeof(dir), "%s/x", t.path);
	assert_int_equal(pipe(p), 0);
	if ((pid = fork()) == 0) {
		dup2(p[0], 0);
		close(p[0]);
		close(p[1]);
		execlp("tar", "tar", "--warning=no-unknown-keyword", "-xf", "-",
		    "-C", dir, (char *)NULL);
		_exit(127);
	}
	close(p[0]);
	assert_int_equal(write(p[1], b->data, b->len), b->len);
	close(p[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
gnu_tar_agrees(void **state)
{
	static char *names[255 + RANDOM_NAMES];
	size_t i, n = make_names(names);
	struct tarstream *ts = tarstream_new(0);
	struct buf out = { 0 };
	struct tree_stat st;
	int fd;

	(void)state;
	for (i = 0; i < n; i++)
		add_path(ts, &out, TARSTREAM_DIR, names[i], NULL);
	finish(ts, &out);
	gnu_unpack(&out);
	fd = tree_open_dir(t.fd, "x");
	for (i = 0; i < n; i++) {
		assert_int_equal(tree_stat_at(fd, names[i], &st), 0);
		assert_int_equal(st.type, TREE_DIR);
		free(names[i]);
	}
	close(fd);
	buf_free(&out);
}

static void
long_names(void **state)
{
	static const size_t lens[] = { 99, 100, 101, 155, 156, 255, 256, 257,
		1000, 4095 };
	char path[4096], target[4096];
	struct tarstream *ts = tarstream_new(0);
	struct buf out = { 0 };
	struct archive_entry *ae;
	struct archive *a;
	size_t i, k, n = sizeof(lens) / sizeof(lens[0]);

	(void)state;
	for (i = 0; i < 2 * n; i++) {
		for (k = 0; k < lens[i % n]; k++)
			path[k] = target[k] =
			    k % 90 == 89 && k + 1 < lens[i % n] ? '/' : 'n';
		path[k] = target[k] = '\0';
		if (i < n) {
			add_path(ts, &out, TARSTREAM_DIR, path, NULL);
			add_path(ts, &out, TARSTREAM_SYMLINK, path, target);
		}
	}
	finish(ts, &out);
	a = reader(&out);
	for (i = 0; i < n; i++) {
		ae = next(a);
		assert_int_equal(strlen(archive_entry_pathname(ae)),
		    lens[i] + 1);
		assert_int_equal(archive_entry_pathname(ae)[lens[i]], '/');
		ae = next(a);
		assert_int_equal(strlen(archive_entry_pathname(ae)), lens[i]);
		assert_int_equal(strlen(archive_entry_symlink(ae)), lens[i]);
	}
	at_end(a);
	buf_free(&out);
}

static void
header_fields(void **state)
{
	struct tarstream_entry e = { .type = TARSTREAM_REG,
		.path = "f",
		.mode = 04755,
		.uid = 4000000,
		.gid = 70000,
		.mtime_ns = 1700000000123456789 };
	struct tarstream *ts = tarstream_new(0);
	struct buf out = { 0 };
	struct archive_entry *ae;
	struct archive *a;

	(void)state;
	add(ts, &out, &e, -1);
	e.mtime_ns = -1500000000;
	add(ts, &out, &e, -1);
	add_path(ts, &out, TARSTREAM_HARDLINK, "gone", "no/such/target");
	finish(ts, &out);
	a = reader(&out);
	ae = next(a);
	assert_int_equal(archive_entry_perm(ae), 04755);
	assert_int_equal(archive_entry_uid(ae), 4000000);
	assert_int_equal(archive_entry_gid(ae), 70000);
	assert_int_equal(archive_entry_mtime(ae), 1700000000);
	assert_int_equal(archive_entry_mtime_nsec(ae), 123456789);
	assert_true(archive_entry_uname(ae) == NULL ||
	    *archive_entry_uname(ae) == '\0');
	assert_true(archive_entry_gname(ae) == NULL ||
	    *archive_entry_gname(ae) == '\0');
	ae = next(a);
	assert_int_equal(archive_entry_mtime(ae), -2);
	assert_int_equal(archive_entry_mtime_nsec(ae), 500000000);
	ae = next(a);
	assert_string_equal(archive_entry_hardlink(ae), "no/such/target");
	assert_string_equal(archive_entry_pathname(ae), "gone");
	at_end(a);
	buf_free(&out);
}

/* A small file costs its blocks and the end, and no padding to 10 KiB. */
static void
no_padding(void **state)
{
	struct tarstream_entry e = { .type = TARSTREAM_REG,
		.path = "f",
		.mode = 0644,
		.size = 1,
		.mtime_ns = 1700000000000000000 };
	struct tarstream *ts = tarstream_new(0);
	struct buf out = { 0 };

	(void)state;
	tmptree_file(&t, "f", "x");
	add(ts, &out, &e, tree_open_file(t.fd, "f", NULL));
	finish(ts, &out);
	assert_int_equal(out.len, 512 + 512 + 1024);
	buf_free(&out);
}

/* A header for more than 8 GiB; the content is not awaited. */
static void
huge(void **state)
{
	struct tarstream_entry e = { .type = TARSTREAM_REG,
		.path = "huge",
		.mode = 0644,
		.size = (int64_t)9 << 30 };
	struct tarstream *ts = tarstream_new(0);
	struct buf out = { 0 };
	struct archive *a;
	int fd, fds = tmptree_open_fds();

	(void)state;
	tmptree_file(&t, "huge", "");
	fd = openat(t.fd, "huge", O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, e.size), 0);
	assert_int_equal(tarstream_add(ts, &e, fd), 0);
	assert_int_equal(tarstream_fill(ts, MONO_NEVER), TARSTREAM_MORE);
	assert_in_range(tarstream_pending(ts), 256 * 1024, 400 * 1024);
	assert_false(tarstream_wants(ts));
	assert_int_equal(tarstream_finish(ts), -1);
	assert_int_equal(errno, EBUSY);
	drain(ts, &out);
	a = reader(&out);
	assert_int_equal(archive_entry_size(next(a)), (int64_t)9 << 30);
	archive_read_free(a);
	tarstream_free(ts);
	assert_int_equal(tmptree_open_fds(), fds);
	buf_free(&out);
}

static void
fill_file(const char *path, size_t size)
{
	char *text = xcalloc(1, size + 1);

	memset(text, 'x', size);
	tmptree_file(&t, path, text);
	free(text);
}

/* Sends "f" of `size` bytes, with its length set to `then` on the way. */
static void
torn_case(off_t then, int expect_torn)
{
	struct tarstream_entry e = { .type = TARSTREAM_REG,
		.path = "f",
		.mode = 0644,
		.size = 300000 };
	struct tarstream *ts = tarstream_new(100000);
	struct buf out = { 0 };
	struct archive *a;
	char *back = xcalloc(1, 300001);
	uint8_t sum[HASH_LEN];
	int rc, fd;

	fill_file("f", 300000);
	fd = openat(t.fd, "f", O_RDWR | O_CLOEXEC);
	assert_int_equal(tarstream_add(ts, &e, dup(fd)), 0);
	assert_int_equal(tarstream_fill(ts, MONO_NEVER), TARSTREAM_MORE);
	assert_int_equal(ftruncate(fd, then), 0);
	close(fd);
	do {
		drain(ts, &out);
		rc = tarstream_fill(ts, MONO_NEVER);
	} while (rc == TARSTREAM_MORE);
	assert_int_equal(rc, TARSTREAM_DONE);
	assert_int_equal(tarstream_result(ts)->torn, expect_torn);
	assert_int_equal(tarstream_result(ts)->size, 300000);
	memcpy(sum, tarstream_result(ts)->sha256, HASH_LEN);
	drain(ts, &out);
	add_path(ts, &out, TARSTREAM_DIR, "after", NULL);
	finish(ts, &out);
	a = reader(&out);
	assert_int_equal(archive_entry_size(next(a)), 300000);
	assert_int_equal(archive_read_data(a, back, 300001), 300000);
	assert_int_equal(back[299999], then < 300000 ? '\0' : 'x');
	assert_string_equal(archive_entry_pathname(next(a)), "after/");
	at_end(a);
	hash_buf(back, 300000, (uint8_t *)back);
	assert_memory_equal(back, sum, HASH_LEN);
	free(back);
	buf_free(&out);
}

static void
torn(void **state)
{
	(void)state;
	torn_case(150000, 1);
	torn_case(300001, 1);
	torn_case(0, 1);
}

static void
not_torn(void **state)
{
	struct tarstream_entry e = { .type = TARSTREAM_REG,
		.path = "f",
		.mode = 0644,
		.size = 200000 };
	struct tarstream *ts = tarstream_new(0);
	struct buf out = { 0 };

	(void)state;
	fill_file("f", 200000);
	add(ts, &out, &e, tree_open_file(t.fd, "f", NULL));
	assert_int_equal(tarstream_result(ts)->torn, 0);
	/* A directory's descriptor cannot be read: zeros, and the reason. */
	add(ts, &out, &e, tree_open_dir(t.fd, ""));
	assert_int_equal(tarstream_result(ts)->torn, 1);
	assert_int_equal(tarstream_result(ts)->error, EISDIR);
	finish(ts, &out);
	buf_free(&out);
}

static void
bad_entries(void **state)
{
	static const struct tarstream_entry bad[] = {
		{ .type = TARSTREAM_DIR, .path = "" },
		{ .type = TARSTREAM_DIR, .path = "/abs" },
		{ .type = TARSTREAM_DIR, .path = "a/../../b" },
		{ .type = TARSTREAM_DIR, .path = "d/" },
		{ .type = TARSTREAM_DIR, .path = "d", .mode = 040755 },
		{ .type = TARSTREAM_SYMLINK, .path = "l" },
		{ .type = TARSTREAM_REG, .path = "f", .size = -1 },
		{ .type = TARSTREAM_REG, .path = "f", .size = 5 },
		{ .type = 9, .path = "f" },
	};
	struct tarstream *ts = tarstream_new(0);
	int fds = tmptree_open_fds();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		assert_int_equal(tarstream_add(ts, &bad[i], -1), -1);
		assert_int_equal(errno, EINVAL);
	}
	/* The descriptor is taken in every case. */
	assert_int_equal(tarstream_add(ts, &bad[0], dup(t.fd)), -1);
	assert_int_equal(tmptree_open_fds(), fds);
	assert_int_equal(tarstream_pending(ts), 0);
	tarstream_free(ts);
}

static void
pumping(void **state)
{
	struct tarstream_entry e = { .type = TARSTREAM_REG,
		.path = "f",
		.mode = 0644,
		.size = 1000000 };
	struct tarstream *ts = tarstream_new(0);
	struct buf out = { 0 };
	uint8_t chunk[30000];
	struct archive *a;
	int p[2], rc, fill = TARSTREAM_MORE, again = 0;
	ssize_t n;

	(void)state;
	fill_file("f", 1000000);
	assert_int_equal(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(tarstream_add(ts, &e, tree_open_file(t.fd, "f", NULL)),
	    0);
	do {
		if (fill == TARSTREAM_MORE) {
			fill = tarstream_fill(ts, MONO_NEVER);
			if (fill == TARSTREAM_DONE)
				assert_int_equal(tarstream_finish(ts), 0);
		}
		rc = tarstream_pump(ts, p[1]);
		again += rc == TARSTREAM_AGAIN;
		while ((n = read(p[0], chunk, sizeof(chunk))) > 0)
			buf_add(&out, chunk, (size_t)n);
	} while (rc == TARSTREAM_AGAIN || fill == TARSTREAM_MORE);
	assert_int_equal(rc, TARSTREAM_EMPTY);
	assert_true(again > 3);
	assert_int_equal(tarstream_written(ts), out.len);
	a = reader(&out);
	assert_int_equal(archive_entry_size(next(a)), 1000000);
	at_end(a);
	tarstream_free(ts);
	buf_free(&out);
	/* The other end is gone. */
	signal(SIGPIPE, SIG_IGN);
	ts = tarstream_new(0);
	assert_int_equal(tarstream_finish(ts), 0);
	close(p[0]);
	assert_int_equal(tarstream_pump(ts, p[1]), -1);
	assert_int_equal(errno, EPIPE);
	close(p[1]);
	tarstream_free(ts);
}

/* Kills the process at any attempt to open or to connect to something. */
static void
forbid_opening(void)
{
	static const int calls[] = { SCMP_SYS(open), SCMP_SYS(openat),
		SCMP_SYS(openat2), SCMP_SYS(socket), SCMP_SYS(execve) };
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, calls[i], 0))
			_exit(3);
	if (seccomp_load(f) != 0)
		_exit(4);
}

/* No user data base, no locale or conversion file: in the sandbox any of them
 * would be the worker's end. */
static void
in_a_sandbox(void **state)
{
	static const char *const env[] = { "C", "C.UTF-8", "POSIX" };
	struct tarstream *ts;
	char name[300];
	size_t i;
	int status, c;
	pid_t pid;

	(void)state;
	for (i = 0; i < sizeof(env) / sizeof(env[0]); i++) {
		if ((pid = fork()) == 0) {
			if (setlocale(LC_ALL, env[i]) == NULL)
				_exit(7);
			forbid_opening();
			ts = tarstream_new(0);
			memset(name, 'n', sizeof(name));
			name[sizeof(name) - 1] = '\0';
			for (c = 1; c < 256; c++) {
				struct tarstream_entry e = {
					.type = TARSTREAM_SYMLINK,
					.path = name,
					.target = name,
					.mtime_ns = c
				};

				name[1 + c] = (char)(c == '/' ? 'x' : c);
				if (tarstream_add(ts, &e, -1) != 0 ||
				    tarstream_fill(ts, MONO_NEVER) !=
					TARSTREAM_DONE)
					_exit(5);
			}
			_exit(tarstream_finish(ts) == 0 ? 0 : 6);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

int
main(void)
{
#define TEST(f)                                                    \
	cmocka_unit_test_prestate_setup_teardown(f, tmptree_setup, \
	    tmptree_teardown, &t)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_names),
		TEST(gnu_tar_agrees),
		cmocka_unit_test(long_names),
		cmocka_unit_test(header_fields),
		TEST(no_padding),
		TEST(huge),
		TEST(torn),
		TEST(not_torn),
		TEST(bad_entries),
		TEST(pumping),
		cmocka_unit_test(in_a_sandbox),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
