/*
 * The push worker's comparison of a tree with a manifest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tmptree.h"
#include "workers/push/compare.h"
#include "workers/shared/hash.h"

struct fixture {
	struct tmptree t;
	struct manifest *m;
	struct ignore *ig;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	tmptree_new(&f->t);
	f->m = manifest_new();
	*state = f;
	return (0);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	tmptree_free(&f->t);
	manifest_free(f->m);
	ignore_free(f->ig);
	free(f);
	return (0);
}

static void
rules(struct fixture *f, const char *text)
{
	ignore_free(f->ig);
	f->ig = ignore_parse(text, strlen(text), NULL);
	assert_non_null(f->ig);
}

/* Compare these paths; "path/" is a subtree, "/" everything. */
static struct changes
look(struct fixture *f, bool whole, mono_t deadline, ...)
{
	struct compare_opts o = { .rootfd = f->t.fd,
		.manifest = f->m,
		.ignore = f->ig,
		.whole = whole };
	struct compare *c = compare_new(&o);
	struct changes out;
	const char *p;
	va_list ap;
	int r, turns = 0;

	va_start(ap, deadline);
	while ((p = va_arg(ap, const char *)) != NULL) {
		size_t n = strlen(p);
		bool tree = n > 0 && p[n - 1] == '/';

		assert_int_equal(compare_add(c, p, tree ? n - 1 : n, tree), 0);
	}
	va_end(ap);
	while ((r = compare_step(c, deadline)) == COMPARE_MORE)
		assert_true(turns++ < 100000);
	assert_int_equal(r, COMPARE_DONE);
	compare_take(c, &out);
	compare_free(c);
	return (out);
}

#define LOOK(f, ...) look(f, false, MONO_NEVER, __VA_ARGS__, NULL)

static const char letters[] = { [TREE_ABSENT] = '-',
	[TREE_REG] = 'f',
	[TREE_DIR] = 'd',
	[TREE_LINK] = 'l' };

/* "path:old>now path:old>now", with the changes freed. */
static void
expect(struct changes c, const char *want)
{
	char got[4096] = "", one[600];

	for (size_t i = 0; i < c.n; i++) {
		snprintf(one, sizeof(one), "%s%s:%c>%c", i > 0 ? " " : "",
		    c.v[i].path, letters[c.v[i].old], letters[c.v[i].now]);
		strlcat(got, one, sizeof(got));
	}
	changes_free(&c);
	assert_string_equal(got, want);
}

/* Everything that differs is delivered now, its content and stat recorded. */
static void
deliver_all(struct fixture *f)
{
	struct changes c = LOOK(f, "/");
	struct manifest_entry e;
	char buf[65536];
	ssize_t n;
	int fd;

	for (size_t i = 0; i < c.n; i++) {
		const struct change *ch = &c.v[i];

		if (ch->now == TREE_ABSENT) {
			manifest_remove(f->m, ch->path);
			continue;
		}
		/* as if scanned long after: no clock is too coarse */
		manifest_from_stat(&e, &ch->st, ch->scanned_ns + 1000000000);
		if (ch->now == TREE_REG) {
			fd = openat(f->t.fd, ch->path, O_RDONLY);
			n = read(fd, buf, sizeof(buf));
			close(fd);
			assert_true(n >= 0);
			hash_buf(buf, (size_t)n, e.sha256);
		} else if (ch->now == TREE_LINK) {
			n = readlinkat(f->t.fd, ch->path, buf, sizeof(buf));
			assert_true(n >= 0);
			hash_buf(buf, (size_t)n, e.sha256);
		}
		assert_int_equal(manifest_set(f->m, ch->path, &e), 0);
	}
	changes_free(&c);
	expect(LOOK(f, "/"), "");
}

static void
small_tree(struct fixture *f)
{
	tmptree_dir(&f->t, "d", 0755);
	tmptree_dir(&f->t, "d/sub", 0755);
	tmptree_file(&f->t, "d/sub/x", "x");
	tmptree_file(&f->t, "d.txt", "text");
	tmptree_file(&f->t, "a", "aaaa");
	tmptree_link(&f->t, "l", "a");
}

static void
test_all_is_new(void **state)
{
	struct fixture *f = *state;

	small_tree(f);
	tmptree_fifo(&f->t, "fifo");
	expect(LOOK(f, "/"),
	    "a:->f d:->d d/sub:->d d/sub/x:->f d.txt:->f "
	    "l:->l");
	/* a path below what was never delivered brings its parents along */
	expect(LOOK(f, "d/sub/x"), "d:->d d/sub:->d d/sub/x:->f");
	expect(LOOK(f, "d/sub/"), "d/sub:->d d/sub/x:->f");
	expect(LOOK(f, "nothing/here"), "");
}

static void
test_contents(void **state)
{
	struct fixture *f = *state;
	struct timespec times[2] = { { 1000, 0 }, { 1000, 0 } };
	struct manifest_entry e;

	small_tree(f);
	deliver_all(f);
	tmptree_file(&f->t, "a", "bbbb");
	expect(LOOK(f, "a"), "a:f>f");
	expect(LOOK(f, "d.txt", "l", "d"), "");
	tmptree_file(&f->t, "a", "longer");
	expect(LOOK(f, "/"), "a:f>f");
	/* the same content with another stat: only the stat is recorded */
	tmptree_file(&f->t, "a", "aaaa");
	assert_int_equal(utimensat(f->t.fd, "a", times, 0), 0);
	expect(LOOK(f, "a"), "");
	assert_true(
	    manifest_get(f->m, "a")->mtime_ns == (int64_t)1000 * 1000000000);
	assert_int_equal(fchmodat(f->t.fd, "a", 0600, 0), 0);
	expect(LOOK(f, "a"), "a:f>f");
	assert_int_equal(fchmodat(f->t.fd, "d", 0700, 0), 0);
	expect(LOOK(f, "d"), "d:d>d");
	/* begun and not known to be done: again, whatever it looks like */
	e = *manifest_get(f->m, "l");
	e.state = MANIFEST_UNKNOWN;
	manifest_set(f->m, "l", &e);
	expect(LOOK(f, "l"), "l:l>l");
	unlinkat(f->t.fd, "l", 0);
	tmptree_link(&f->t, "l", "b");
	deliver_all(f);
	unlinkat(f->t.fd, "l", 0);
	tmptree_link(&f->t, "l", "c");
	expect(LOOK(f, "l"), "l:l>l");
}

static void
test_whole(void **state)
{
	struct fixture *f = *state;

	small_tree(f);
	deliver_all(f);
	unlinkat(f->t.fd, "a", 0);
	expect(look(f, true, MONO_NEVER, "/", NULL),
	    "a:f>- d:d>d d/sub:d>d d/sub/x:f>f d.txt:f>f l:l>l");
}

static void
test_deletes(void **state)
{
	struct fixture *f = *state;

	small_tree(f);
	deliver_all(f);
	unlinkat(f->t.fd, "d/sub/x", 0);
	unlinkat(f->t.fd, "d/sub", AT_REMOVEDIR);
	expect(LOOK(f, "d/sub"), "d/sub:d>- d/sub/x:f>-");
	expect(LOOK(f, "d/sub/x"), "d/sub:d>- d/sub/x:f>-");
	unlinkat(f->t.fd, "d", AT_REMOVEDIR);
	expect(LOOK(f, "d"), "d:d>- d/sub:d>- d/sub/x:f>-");
	expect(LOOK(f, "/"), "d:d>- d/sub:d>- d/sub/x:f>-");
	/* d.txt lies beside d, not below it */
	expect(LOOK(f, "d/"), "d:d>- d/sub:d>- d/sub/x:f>-");
	/* a socket, FIFO or device is as good as nothing */
	unlinkat(f->t.fd, "a", 0);
	tmptree_fifo(&f->t, "a");
	expect(LOOK(f, "a"), "a:f>-");
}

static void
test_types(void **state)
{
	struct fixture *f = *state;
	struct changes c;

	small_tree(f);
	deliver_all(f);
	unlinkat(f->t.fd, "a", 0);
	tmptree_dir(&f->t, "a", 0755);
	tmptree_file(&f->t, "a/in", "in");
	c = LOOK(f, "a");
	assert_true(change_swaps_dir(changes_find(&c, "a")));
	assert_false(change_swaps_dir(changes_find(&c, "a/in")));
	assert_null(changes_find(&c, "a/i"));
	expect(c, "a:f>d a/in:->f");
	expect(LOOK(f, "a/in"), "a:f>d a/in:->f");
	unlinkat(f->t.fd, "d/sub/x", 0);
	unlinkat(f->t.fd, "d/sub", AT_REMOVEDIR);
	unlinkat(f->t.fd, "d", AT_REMOVEDIR);
	tmptree_link(&f->t, "d", "a");
	expect(LOOK(f, "d"), "d:d>l d/sub:d>- d/sub/x:f>-");
	/* never through a link */
	expect(LOOK(f, "d/in"), "d:d>l d/sub:d>- d/sub/x:f>-");
	expect(LOOK(f, "/"), "a:f>d a/in:->f d:d>l d/sub:d>- d/sub/x:f>-");
}

static void
test_rules(void **state)
{
	struct fixture *f = *state;

	small_tree(f);
	tmptree_file(&f->t, "d/keep", "keep");
	rules(f, "d.txt\n");
	deliver_all(f);
	assert_null(manifest_get(f->m, "d.txt"));
	tmptree_file(&f->t, "d.txt", "changed");
	expect(LOOK(f, "d.txt"), "");
	unlinkat(f->t.fd, "d.txt", 0);
	expect(LOOK(f, "d.txt"), "");
	tmptree_file(&f->t, "d.txt", "back");
	/* other rules: what they leave out goes, what they let in comes */
	rules(f, "d\n!d/keep\n");
	expect(LOOK(f, "/"), "d:d>- d/sub:d>- d/sub/x:f>- d.txt:->f");
	deliver_all(f);
	tmptree_file(&f->t, "d/keep", "kept");
	expect(LOOK(f, "d/keep"), "d/keep:f>f");
	expect(LOOK(f, "d/sub/x"), "");
	unlinkat(f->t.fd, "d/keep", 0);
	expect(LOOK(f, "d/keep"), "d/keep:f>-");
}

static void
test_bad_rule(void **state)
{
	struct fixture *f = *state;
	struct compare_opts o = { .rootfd = f->t.fd, .manifest = f->m };
	struct compare *c;

	small_tree(f);
	rules(f, "[z-a]\n");
	o.ignore = f->ig;
	c = compare_new(&o);
	compare_add(c, "a", 1, false);
	assert_int_equal(compare_step(c, MONO_NEVER), -1);
	assert_int_equal(errno, EBADMSG);
	compare_free(c);
}

/* With no time at all it still ends, one step at a time. */
static void
test_slices(void **state)
{
	struct fixture *f = *state;
	mono_t past = { 0 };
	char *big = calloc(1, 200001);

	memset(big, 'x', 200000);
	small_tree(f);
	tmptree_file(&f->t, "big", "x");
	deliver_all(f);
	expect(look(f, false, past, "/", "a", "d/sub/x", NULL), "");
	tmptree_file(&f->t, "a", "zzzz");
	tmptree_file(&f->t, "big", big);
	expect(look(f, false, past, "/", NULL), "a:f>f big:f>f");
	free(big);
}

static void
test_refused_paths(void **state)
{
	struct fixture *f = *state;
	struct compare_opts o = { .rootfd = f->t.fd, .manifest = f->m };
	struct compare *c = compare_new(&o);

	assert_int_equal(compare_add(c, "../x", 4, false), -1);
	assert_int_equal(compare_add(c, "/x", 2, true), -1);
	assert_int_equal(compare_add(c, "a\0b", 3, false), -1);
	assert_int_equal(compare_add(c, "a//b", 4, false), -1);
	assert_int_equal(compare_step(c, MONO_NEVER), COMPARE_DONE);
	compare_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_is_new, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_contents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deletes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_rule, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_paths, setup,
		    teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
