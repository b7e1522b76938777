/*
 * Several trees that share one inotify instance: roots in one another, those
 * that go while others stay, lost events, and many of them.
 */
#include <sys/inotify.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "buf.h"
#include "tests/unit/watch_world.h"

#define MANY 200

/* How many watches the kernel has in the instance. */
static size_t
kernel_watches(const struct watch_inotify *in)
{
	char path[64], line[256];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", in->fd);
	assert_non_null(f = fopen(path, "r"));
	while (fgets(line, sizeof(line), f) != NULL)
		n += strncmp(line, "inotify wd:", 11) == 0;
	fclose(f);
	return (n);
}

static void
expect_watches(const struct watch_inotify *in, size_t n)
{
	assert_int_equal(in->watches, n);
	assert_int_equal(kernel_watches(in), n);
}

/* A world `d` below the root of another. */
static struct world *
inside(struct world *outer)
{
	world_sh(outer, "mkdir -p a d/e");
	return (world_inside(outer, "d"));
}

/* What happens below both roots is told by both trees. */
static void
expect_both(struct world *outer, struct world *in)
{
	world_sh(in, "echo > f; mkdir n; echo > n/g; echo > e/h");
	world_settle(outer);
	world_settle(in);
	assert_string_equal(world_offered(outer, outer->sub),
	    "P:d/e/h P:d/f S:d/n");
	assert_string_equal(world_offered(in, in->sub), "P:e/h P:f S:n");
	world_sh(in, "echo 2 > n/g");
	world_sh(outer, "echo > a/x");
	world_settle(outer);
	world_settle(in);
	assert_string_equal(world_offered(outer, outer->sub), "P:a/x P:d/n/g");
	assert_string_equal(world_offered(in, in->sub), "P:n/g");
	/* outer: itself, a, d, e, n; the others have d, e and n as well */
	assert_int_equal(outer->tree->watches, 5);
	assert_int_equal(in->tree->watches, 3);
	expect_watches(outer->in, 5);
}

static void
test_outer_first(void **state)
{
	struct world *outer = world_new(), *in = inside(outer);

	world_start(outer, NULL);
	world_start(in, NULL);
	expect_both(outer, in);
	world_free(in);
	world_free(outer);
}

static void
test_inner_first(void **state)
{
	struct world *outer = world_new(), *in = inside(outer);

	world_start(in, NULL);
	world_start(outer, NULL);
	expect_both(outer, in);
	world_free(in);
	world_free(outer);
}

/* Two services of one directory under two names. */
static void
test_same_root(void **state)
{
	struct world *w = world_new(), *twin;

	world_sh(w, "mkdir d");
	twin = world_inside(w, ".");
	world_start(w, NULL);
	world_start(twin, NULL);
	expect_watches(w->in, 2);
	world_sh(w, "echo > d/f");
	world_expect(w, "P:d/f");
	world_expect(twin, "P:d/f");
	world_free(twin);
	expect_watches(w->in, 2);
	world_sh(w, "echo 2 > d/f");
	world_expect(w, "P:d/f");
	world_free(w);
}

/* A tree that ends leaves the watches that another has, too. */
static void
test_inner_ends(void **state)
{
	struct world *outer = world_new(), *in = inside(outer);

	world_start(outer, NULL);
	world_start(in, NULL);
	world_free(in);
	expect_watches(outer->in, 4);
	world_sh(outer, "echo > d/f; echo > d/e/f");
	world_expect(outer, "P:d/e/f P:d/f");
	world_free(outer);
}

static void
test_outer_ends(void **state)
{
	struct world *outer = world_new(), *in = inside(outer);

	world_start(outer, NULL);
	world_start(in, NULL);
	watch_tree_free(outer->tree);
	outer->tree = NULL;
	expect_watches(in->in, 2);
	world_sh(in, "echo > f; echo > e/f");
	world_expect(in, "P:e/f P:f");
	world_free(in);
	world_free(outer);
}

/* The inner root moves: it is gone, and the outer tree goes on with it. */
static void
moves(struct world *outer, struct world *in)
{
	world_start(in, NULL);
	world_start(outer, NULL);
	world_sh(outer, "mv d a/d");
	world_settle(outer);
	watch_tree_step(in->tree);
	assert_true(in->tree->gone);
	assert_int_equal(in->gone, 1);
	assert_string_equal(world_offered(outer, outer->sub), "S:a/d P:d");
	expect_watches(outer->in, 4);
	world_sh(outer, "echo > a/d/e/f");
	world_expect(outer, "P:a/d/e/f");
}

static void
test_inner_moves(void **state)
{
	struct world *outer = world_new(), *in = inside(outer);

	moves(outer, in);
	/* what comes later is no matter of the tree that is gone */
	world_sh(outer, "rm -r a/d");
	world_expect(outer, "P:a/d");
	assert_int_equal(in->tree->watches, 0);
	expect_watches(outer->in, 2);
	world_free(in);
	world_free(outer);
}

static void
test_inner_deleted(void **state)
{
	struct world *outer = world_new(), *in = inside(outer);

	world_start(outer, NULL);
	world_start(in, NULL);
	world_sh(outer, "rm -r d");
	world_expect(outer, "P:d");
	watch_tree_step(in->tree);
	assert_true(in->tree->gone);
	expect_watches(outer->in, 2);
	/* a new one of that name is the outer tree's alone */
	world_sh(outer, "mkdir -p d; echo > d/f");
	world_expect(outer, "S:d");
	expect_watches(outer->in, 3);
	world_free(in);
	world_free(outer);
}

/* From one root to the other, and the watch with it. */
static void
test_moved_between(void **state)
{
	struct world *outer = world_new(), *x, *y;

	world_sh(outer, "mkdir -p x/d/e y; echo > x/d/e/f");
	x = world_inside(outer, "x");
	y = world_inside(outer, "y");
	world_start(x, NULL);
	world_start(y, NULL);
	expect_watches(outer->in, 4);
	world_sh(outer, "mv x/d y/d");
	world_settle(x);
	world_settle(y);
	assert_string_equal(world_offered(x, x->sub), "P:d");
	assert_string_equal(world_offered(y, y->sub), "S:d");
	assert_int_equal(x->tree->watches, 1);
	assert_int_equal(y->tree->watches, 3);
	expect_watches(outer->in, 4);
	world_sh(y, "echo 2 > d/e/f");
	world_expect(y, "P:d/e/f");
	world_expect(x, "");
	world_free(x);
	world_free(y);
	world_free(outer);
}

/* Lost events may have been anybody's: all trees are compared. */
static void
test_overflow(void **state)
{
	struct inotify_event ev = { .wd = -1, .mask = IN_Q_OVERFLOW };
	struct world *outer = world_new(), *x, *y, *gone;
	char buf[4096];

	world_sh(outer, "mkdir x y z; echo > x/f; echo > y/f");
	x = world_inside(outer, "x");
	y = world_inside(outer, "y");
	gone = world_inside(outer, "z");
	world_start(x, NULL);
	world_start(y, NULL);
	world_start(gone, NULL);
	world_sh(outer, "rmdir z");
	watch_tree_step(gone->tree);
	assert_true(gone->tree->gone);
	usleep(20000);
	world_sh(outer, "echo 2 > x/f; echo > y/g");
	while (read(outer->in->fd, buf, sizeof(buf)) > 0)
		;
	watch_inotify_feed(outer->in, &ev, sizeof(ev));
	world_expect(x, "P:f");
	world_expect(y, "P:g");
	assert_int_equal(x->overflows, 1);
	assert_int_equal(y->overflows, 1);
	assert_int_equal(gone->overflows, 0);
	world_free(gone);
	world_free(x);
	world_free(y);
	world_free(outer);
}

/* Only those that events concern have something to do. */
static void
test_stirred(void **state)
{
	struct world *outer = world_new(), *in, *other;

	world_sh(outer, "mkdir -p d other");
	in = world_inside(outer, "d");
	other = world_inside(outer, "other");
	world_start(outer, "Dockerfile");
	world_start(in, NULL);
	world_start(other, NULL);
	while (watch_inotify_stirred(outer->in) != NULL)
		;
	world_sh(outer, "echo > d/f");
	assert_true(watch_inotify_read(outer->in, 1 << 20));
	assert_true(outer->tree->is_stirred && in->tree->is_stirred);
	assert_false(other->tree->is_stirred);
	/* one that ends does not come up */
	world_free(in);
	assert_ptr_equal(watch_inotify_stirred(outer->in), outer->tree);
	assert_null(watch_inotify_stirred(outer->in));
	world_free(other);
	world_free(outer);
}

/* Trees that are idle wait for the same moment. */
static void
test_tick(void **state)
{
	struct world *outer = world_new(), *in = inside(outer);
	mono_t t = { INT64_C(1000000) * 5300 }, next;

	world_start(outer, NULL);
	world_start(in, NULL);
	mono_fake(&t);
	watch_tree_step(outer->tree);
	t = mono_add_ms(t, 400);
	watch_tree_step(in->tree);
	next = watch_tree_next(in->tree);
	assert_int_equal(next.ns, INT64_C(6000) * 1000000);
	assert_int_equal(watch_tree_next(outer->tree).ns, next.ns);
	/* on the tick itself: the one after it */
	t = next;
	watch_tree_step(in->tree);
	assert_int_equal(watch_tree_next(in->tree).ns, INT64_C(7000) * 1000000);
	mono_fake(NULL);
	world_free(in);
	world_free(outer);
}

/* Let all of them work until none has anything to do. */
static void
settle_all(struct world **v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		while (!TAILQ_EMPTY(&v[i]->tree->order) ||
		    watch_scan_busy(v[i]->tree)) {
			for (size_t k = i; k < n; k++)
				watch_tree_step(v[k]->tree);
			usleep(1000);
		}
	}
}

/* More than a user has instances. */
static void
test_many(void **state)
{
	struct world *outer = world_new(), *v[MANY];
	char name[16], want[16];

	world_sh(outer, "for i in $(seq %d); do mkdir -p $i/d; done", MANY);
	usleep(15000);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%d", i + 1);
		v[i] = world_inside(outer, name);
		world_tree(v[i]);
		v[i]->sub = watch_tree_subscribe(v[i]->tree, 1, NULL);
		watch_tree_start(v[i]->tree);
	}
	settle_all(v, MANY);
	for (int i = 0; i < MANY; i++)
		assert_string_equal(world_offered(v[i], v[i]->sub), "S:");
	expect_watches(outer->in, (size_t)2 * MANY);
	world_sh(outer, "for i in $(seq %d); do echo > $i/d/$i; done", MANY);
	assert_true(watch_inotify_read(outer->in, 1 << 20));
	settle_all(v, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_string_equal(watch_tree_backend(v[i]->tree), "inotify");
		assert_int_equal(v[i]->tree->npolled, 0);
		snprintf(want, sizeof(want), "P:d/%d", i + 1);
		assert_string_equal(world_offered(v[i], v[i]->sub), want);
	}
	for (int i = 0; i < MANY; i++)
		world_free(v[i]);
	expect_watches(outer->in, 0);
	world_free(outer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outer_first),
		cmocka_unit_test(test_inner_first),
		cmocka_unit_test(test_same_root),
		cmocka_unit_test(test_inner_ends),
		cmocka_unit_test(test_outer_ends),
		cmocka_unit_test(test_inner_moves),
		cmocka_unit_test(test_inner_deleted),
		cmocka_unit_test(test_moved_between),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_stirred),
		cmocka_unit_test(test_tick),
		cmocka_unit_test(test_many),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
