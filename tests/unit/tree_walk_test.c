/*
 * The walker: order, slices, bounds on descriptors and paths, directories that
 * change under it, ignore rules.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/tmptree.h"
#include "workers/shared/ignore.h"
#include "workers/shared/tree.h"

static struct tmptree t;

/* The walk as text: "+d " enter, "-d " leave, "f " entry, "!p:errno ". */
struct trace {
	char text[16384];
	size_t calls;
	enum tree_verdict verdict; /* for enter and entry */
	int max_fds_seen;
};

static void
trace_add(struct trace *tr, const char *mark, const char *s, const char *end)
{
	size_t len = strlen(tr->text);

	tr->calls++;
	snprintf(tr->text + len, sizeof(tr->text) - len, "%s%s%s ", mark, s,
	    end);
}

static enum tree_verdict
trace_enter(void *arg, const struct tree_entry *e)
{
	trace_add(arg, e->excluded ? "(+" : "+", e->path,
	    e->excluded ? ")" : "");
	return (((struct trace *)arg)->verdict);
}

static enum tree_verdict
trace_leave(void *arg, const char *path)
{
	trace_add(arg, "-", path, "");
	return (TREE_GO);
}

static enum tree_verdict
trace_entry(void *arg, const struct tree_entry *e)
{
	struct trace *tr = arg;

	trace_add(tr, e->kept ? "=" : "", e->path, "");
	return (tr->verdict == TREE_SKIP ? TREE_GO : tr->verdict);
}

static void
trace_error(void *arg, const char *path, int err)
{
	char num[16];

	snprintf(num, sizeof(num), ":%d", err);
	trace_add(arg, "!", path, num);
}

static struct tree_walk_opts
trace_opts(struct trace *tr)
{
	struct tree_walk_opts o = { .rootfd = t.fd,
		.arg = tr,
		.enter = trace_enter,
		.leave = trace_leave,
		.entry = trace_entry,
		.error = trace_error };

	memset(tr, 0, sizeof(*tr));
	return (o);
}

/* Walks to the end in slices of max; returns how many slices it took. */
static int
trace_run(const struct tree_walk_opts *o, size_t max)
{
	struct tree_walk *w = tree_walk_new(o);
	int rc, n = 1;

	assert_non_null(w);
	while ((rc = tree_walk_step(w, max, MONO_NEVER)) == TREE_WALK_MORE)
		n++;
	tree_walk_free(w);
	assert_int_equal(rc, TREE_WALK_DONE);
	return (n);
}

#define ORDER "+a +a/d a/d/1 -a/d a/z -a a-b +b -b c "

static void
make_small(void)
{
	tmptree_dir(&t, "b", 0755);
	tmptree_dir(&t, "a", 0755);
	tmptree_dir(&t, "a/d", 0755);
	tmptree_file(&t, "a/d/1", "");
	tmptree_file(&t, "a/z", "");
	tmptree_file(&t, "a-b", "");
	tmptree_link(&t, "c", "/");
}

static void
walk_order(void **state)
{
	struct trace tr;
	struct tree_walk_opts o;

	(void)state;
	make_small();
	o = trace_opts(&tr);
	assert_int_equal(trace_run(&o, 0), 1);
	assert_string_equal(tr.text, ORDER);
	o = trace_opts(&tr);
	assert_true(trace_run(&o, 1) > 10);
	assert_string_equal(tr.text, ORDER);
	o = trace_opts(&tr);
	o.max_fds = 1;
	trace_run(&o, 3);
	assert_string_equal(tr.text, ORDER);
	o = trace_opts(&tr);
	tr.verdict = TREE_PAUSE;
	assert_int_equal(trace_run(&o, 0), 8);
	assert_string_equal(tr.text, ORDER);
	o = trace_opts(&tr);
	tr.verdict = TREE_SKIP;
	trace_run(&o, 0);
	assert_string_equal(tr.text, "+a a-b +b c ");
}

static void
walk_from_start(void **state)
{
	static const char *const cases[][2] = {
		{ "a/d", "+a/d a/d/1 -a/d " },
		{ "a/z", "a/z " },
		{ "a/none", "" },
		{ "c/etc", "" },
	};
	struct trace tr;
	struct tree_walk_opts o;
	size_t i;

	(void)state;
	make_small();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		o = trace_opts(&tr);
		o.start = cases[i][0];
		trace_run(&o, 0);
		assert_string_equal(tr.text, cases[i][1]);
	}
	o.start = "../x";
	assert_null(tree_walk_new(&o));
	assert_int_equal(errno, EINVAL);
}

static void
walk_ends_early(void **state)
{
	struct trace tr;
	struct tree_walk_opts o;
	struct tree_walk *w;
	int fds = tmptree_open_fds();

	(void)state;
	make_small();
	o = trace_opts(&tr);
	tr.verdict = TREE_STOP;
	w = tree_walk_new(&o);
	assert_int_equal(tree_walk_step(w, 0, MONO_NEVER), -1);
	assert_int_equal(errno, ECANCELED);
	tree_walk_free(w);
	assert_string_equal(tr.text, "+a ");
	/* Dropped half way: nothing stays open. */
	o = trace_opts(&tr);
	w = tree_walk_new(&o);
	assert_int_equal(tree_walk_step(w, 4, MONO_NEVER), TREE_WALK_MORE);
	tree_walk_free(w);
	assert_int_equal(tmptree_open_fds(), fds);
}

static void
walk_deadline(void **state)
{
	struct trace tr;
	struct tree_walk_opts o;
	struct tree_walk *w;
	mono_t past = { 0 };
	int rc, n = 0;

	(void)state;
	tmptree_file(&t, "x", "");
	tmptree_file(&t, "y", "");
	o = trace_opts(&tr);
	w = tree_walk_new(&o);
	while ((rc = tree_walk_step(w, 0, past)) == TREE_WALK_MORE)
		assert_true(n++ < 100);
	tree_walk_free(w);
	assert_int_equal(rc, TREE_WALK_DONE);
	assert_string_equal(tr.text, "x y ");
	assert_true(n >= 3);
}

static enum tree_verdict
count_fds(void *arg, const struct tree_entry *e)
{
	struct trace *tr = arg;
	int n = tmptree_open_fds();

	(void)e;
	tr->calls++;
	if (n > tr->max_fds_seen)
		tr->max_fds_seen = n;
	return (TREE_GO);
}

#define DEEP 300

/* A chain of directories, each with a file that sorts behind the next. */
static void
make_deep(const char *name)
{
	int fd = dup(t.fd), next, i;

	for (i = 0; i < DEEP; i++) {
		assert_int_equal(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
		assert_int_not_equal(fd, -1);
		next = openat(fd, "~", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		assert_int_not_equal(next, -1);
		close(next);
	}
	close(fd);
}

static void
deep_run(struct trace *tr, int max_fds)
{
	struct tree_walk_opts o = trace_opts(tr);

	o.enter = o.entry = count_fds;
	o.leave = NULL;
	o.max_fds = max_fds;
	trace_run(&o, 7);
}

static void
walk_deep(void **state)
{
	struct trace tr;
	int base = tmptree_open_fds();

	(void)state;
	make_deep("0");
	deep_run(&tr, 8);
	assert_int_equal(tr.calls, 2 * DEEP);
	assert_int_equal(tr.max_fds_seen, base + 8);
	deep_run(&tr, 0);
	assert_int_equal(tr.calls, 2 * DEEP);
	assert_int_equal(tr.max_fds_seen, base + 64);
}

static void
walk_too_long(void **state)
{
	char name[201];
	struct trace tr;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	make_deep(name);
	deep_run(&tr, 0);
	/* 20 directories of 201 bytes fit, with their files; then an error */
	assert_int_equal(tr.calls, 40 + 1);
	assert_non_null(strstr(tr.text, "!nnn"));
	assert_non_null(strstr(tr.text, ":36 "));
}

/* Moves the directory away under a walk that has given up its descriptor. */
static enum tree_verdict
swap_parent(void *arg, const struct tree_entry *e)
{
	trace_add(arg, "+", e->path, "");
	if (strcmp(e->path, "p/q/r") == 0) {
		assert_int_equal(renameat(t.fd, "p", t.fd, "0"), 0);
		tmptree_dir(&t, "p", 0755);
		tmptree_file(&t, "p/z", "another");
	}
	return (TREE_GO);
}

static void
walk_replaced(void **state)
{
	struct trace tr;
	struct tree_walk_opts o;

	(void)state;
	tmptree_dir(&t, "p", 0755);
	tmptree_dir(&t, "p/q", 0755);
	tmptree_dir(&t, "p/q/r", 0755);
	tmptree_file(&t, "p/z", "");
	o = trace_opts(&tr);
	o.enter = swap_parent;
	o.max_fds = 1;
	trace_run(&o, 0);
	assert_string_equal(tr.text, "+p +p/q +p/q/r -p/q/r -p/q !p:116 -p ");
}

static void
walk_unreadable(void **state)
{
	struct trace tr;
	struct tree_walk_opts o;
	int root = geteuid() == 0;

	(void)state;
	tmptree_dir(&t, "a", 0755);
	tmptree_file(&t, "a/f", "");
	tmptree_dir(&t, "no", 0000);
	tmptree_file(&t, "z", "");
	if (root)
		assert_int_equal(seteuid(65534), 0);
	o = trace_opts(&tr);
	trace_run(&o, 0);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_string_equal(tr.text, "+a a/f -a +no !no:13 -no z ");
}

static void
ignored_walk(const char *rules, const char *start, const char *expected)
{
	static const char *const keep[] = { "x/y/keep" };
	struct ignore_error err;
	struct trace tr;
	struct tree_walk_opts o = trace_opts(&tr);
	struct ignore *ig = ignore_parse(rules, strlen(rules), &err);

	assert_non_null(ig);
	o.ignore = ig;
	o.start = start;
	o.keep = keep;
	o.nkeep = 1;
	trace_run(&o, 0);
	ignore_free(ig);
	assert_string_equal(tr.text, expected);
}

static void
walk_ignored(void **state)
{
	(void)state;
	tmptree_dir(&t, "n", 0755);
	tmptree_file(&t, "n/f", "");
	tmptree_dir(&t, "s", 0755);
	tmptree_dir(&t, "s/t", 0755);
	tmptree_file(&t, "s/t/in", "");
	tmptree_file(&t, "s/t/out", "");
	tmptree_file(&t, "s/u", "");
	tmptree_dir(&t, "x", 0755);
	tmptree_dir(&t, "x/y", 0755);
	tmptree_file(&t, "x/y/keep", "");
	tmptree_file(&t, "x/y/no", "");
	/* "n" is not even entered, "x" only for what must be kept */
	ignored_walk("n\ns\nx\n", NULL, "(+x) (+x/y) =x/y/keep -x/y -x ");
	ignored_walk("*\n!s/t/in\n", "s", "(+s) (+s/t) s/t/in -s/t -s ");
	ignored_walk("s\n", "s/t", "");
	ignored_walk("s/t/out\n", "s/t", "+s/t s/t/in -s/t ");
	ignored_walk("s\n!s/t\n", "s/t/in", "s/t/in ");
	ignored_walk("x\n", "x/y/no", "");
	ignored_walk("x\n", "x/y/keep", "=x/y/keep ");
}

int
main(void)
{
#define TEST(f)                                                    \
	cmocka_unit_test_prestate_setup_teardown(f, tmptree_setup, \
	    tmptree_teardown, &t)
	const struct CMUnitTest tests[] = {
		TEST(walk_order),
		TEST(walk_from_start),
		TEST(walk_ends_early),
		TEST(walk_deadline),
		TEST(walk_deep),
		TEST(walk_too_long),
		TEST(walk_replaced),
		TEST(walk_unreadable),
		TEST(walk_ignored),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
