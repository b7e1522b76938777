/*
 * The dirty set of a subscription: what covers what, batches, numbers.  Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "buf.h"
#include "workers/watch/watch.h"

struct fix {
	struct watch_tree tree;
	struct watch_sub *s;
};

static int
setup(void **state)
{
	struct fix *f = xcalloc(1, sizeof(*f));

	TAILQ_INIT(&f->tree.order);
	f->s = watch_sub_new(&f->tree, 1);
	*state = f;
	return (0);
}

static int
teardown(void **state)
{
	struct fix *f = *state;

	watch_sub_free(f->s);
	free(f);
	return (0);
}

/* A change with the next number. */
static void
add(struct fix *f, const char *path, uint32_t flags)
{
	uint64_t n = ++f->tree.changes;

	watch_dirty_add(f->s, path, flags, n, (int64_t)n * 10);
}

/* A batch as text, in the order it is offered. */
static const char *
text(const struct watch_batch *b)
{
	static char buf[1024];
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < b->n; i++)
		at += (size_t)snprintf(buf + at, sizeof(buf) - at, "%s%c:%s",
		    i > 0 ? " " : "", watch_dirty_is_tree(b->v[i]) ? 'S' : 'P',
		    b->v[i]->path);
	return (buf);
}

static void
test_coalesce(void **state)
{
	struct fix *f = *state;
	struct watch_batch *b;

	add(f, "b", 0);
	add(f, "a", 0);
	add(f, "b", 0);
	b = watch_sub_next(f->s);
	assert_string_equal(text(b), "P:b P:a");
	assert_int_equal(b->id, 1);
	assert_int_equal(b->upto, 3);
	assert_int_equal(b->seen_ns, 10);
	assert_null(watch_sub_next(f->s));
}

static void
test_cover(void **state)
{
	struct fix *f = *state;
	struct watch_batch *b;

	add(f, "d/x", 0);
	add(f, "d.x", 0);
	add(f, "d", DIRTY_TREE);
	add(f, "d/y/z", 0);
	add(f, "d0", 0);
	b = watch_sub_next(f->s);
	/* as early as the first that it covers */
	assert_string_equal(text(b), "S:d P:d.x P:d0");
	/* the root covers everything */
	add(f, "q", 0);
	add(f, "", DIRTY_TREE | DIRTY_SCAN);
	add(f, "r/s", 0);
	b = watch_sub_next(f->s);
	assert_string_equal(text(b), "S:");
	assert_true(b->scan);
	assert_int_equal(b->upto, 8);
}

static void
test_gone(void **state)
{
	struct fix *f = *state;

	/* a directory that is gone takes with it what was below */
	add(f, "d/x", 0);
	add(f, "d", DIRTY_GONE);
	assert_string_equal(text(watch_sub_next(f->s)), "P:d");
	/* gone and back: the whole of it */
	add(f, "d", DIRTY_GONE);
	add(f, "d", DIRTY_TREE);
	add(f, "d/k", 0);
	assert_string_equal(text(watch_sub_next(f->s)), "S:d");
	/* a directory, then a file in its place, then nothing */
	add(f, "t", DIRTY_TREE);
	add(f, "t", DIRTY_GONE);
	assert_string_equal(text(watch_sub_next(f->s)), "P:t");
}

static void
test_ack(void **state)
{
	struct fix *f = *state;
	struct watch_batch *b;

	add(f, "a", 0);
	assert_int_equal(watch_sub_next(f->s)->id, 1);
	add(f, "b", 0);
	assert_int_equal(watch_sub_next(f->s)->id, 2);
	add(f, "c", 0);
	assert_int_equal(watch_sub_next(f->s)->id, 3);
	/* 1 is done, 2 in work, 3 was lost on its way */
	assert_int_equal(watch_sub_take(f->s, 1, 2), 0);
	b = watch_sub_next(f->s);
	assert_string_equal(text(b), "P:c");
	assert_int_equal(b->id, 4);
	assert_int_equal(b->upto, 3);
	/* the consumer is a new one: all that was in work comes again */
	assert_int_equal(watch_sub_take(f->s, 0, 0), 0);
	b = watch_sub_next(f->s);
	assert_string_equal(text(b), "P:b P:c");
	assert_int_equal(b->id, 5);
	assert_int_equal(watch_sub_take(f->s, 5, 5), 0);
	assert_null(watch_sub_next(f->s));
	assert_true(TAILQ_EMPTY(&f->s->flying));
	assert_int_equal(watch_sub_take(f->s, 5, 4), -1);
}

static void
test_other_generation(void **state)
{
	struct fix *f = *state;

	add(f, "a", 0);
	assert_int_equal(watch_sub_next(f->s)->id, 1);
	/* 17 was never given here: the consumer speaks of another life */
	assert_int_equal(watch_sub_take(f->s, 17, 17), 0);
	assert_string_equal(text(watch_sub_next(f->s)), "P:a");
}

static void
test_return_merges(void **state)
{
	struct fix *f = *state;
	struct watch_batch *b;

	add(f, "d", DIRTY_TREE | DIRTY_SCAN);
	add(f, "x", 0);
	add(f, "e/f", 0);
	watch_sub_next(f->s);
	add(f, "d", 0); /* its mode */
	add(f, "x", DIRTY_GONE);
	add(f, "e", DIRTY_TREE);
	assert_int_equal(watch_sub_take(f->s, 0, 0), 0);
	b = watch_sub_next(f->s);
	assert_string_equal(text(b), "S:d P:x S:e");
	assert_int_equal(b->seen_ns, 10);
	assert_true(b->scan);
}

static void
test_upto(void **state)
{
	struct fix *f = *state;
	struct watch_hold h = { .number = 2 };
	struct watch_batch *b;

	add(f, "a", 0);
	f->tree.changes++; /* 2, which is held */
	TAILQ_INSERT_TAIL(&f->tree.order, &h, order);
	add(f, "c", 0);
	b = watch_sub_next(f->s);
	assert_string_equal(text(b), "P:a P:c");
	assert_int_equal(b->upto, 1);
	/* 2 comes to nothing; nobody waits for it, then somebody does */
	TAILQ_REMOVE(&f->tree.order, &h, order);
	assert_null(watch_sub_next(f->s));
	f->s->told = 3;
	b = watch_sub_next(f->s);
	assert_int_equal(b->n, 0);
	assert_int_equal(b->upto, 3);
	assert_null(watch_sub_next(f->s));
	/* a new consumer has heard of no number */
	assert_int_equal(watch_sub_take(f->s, 2, 2), 0);
	assert_null(watch_sub_next(f->s));
	assert_int_equal(watch_sub_take(f->s, 0, 0), 0);
	assert_int_equal(watch_sub_next(f->s)->upto, 3);
}

static void
test_frames(void **state)
{
	struct fix *f = *state;
	char path[4000];
	struct watch_batch *b;
	size_t n = 0, bytes;

	for (int i = 0; i < 4500; i++) {
		snprintf(path, sizeof(path), "f%d", i);
		add(f, path, 0);
	}
	b = watch_sub_next(f->s);
	assert_int_equal(b->n, 2000);
	assert_int_equal(b->upto, 2000);
	assert_int_equal(watch_sub_next(f->s)->n, 2000);
	b = watch_sub_next(f->s);
	assert_int_equal(b->n, 500);
	assert_int_equal(b->upto, 4500);
	assert_int_equal(watch_sub_take(f->s, 3, 3), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "%03d%0*d", i, 3900, 0);
		add(f, path, 0);
	}
	while ((b = watch_sub_next(f->s)) != NULL) {
		bytes = 0;
		for (size_t i = 0; i < b->n; i++)
			bytes += strlen(b->v[i]->path) + 8;
		assert_true(bytes <= WATCH_BATCH_BYTES);
		assert_true(b->n > 0);
		n += b->n;
	}
	assert_int_equal(n, 100);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_coalesce),
		TEST(test_cover),
		TEST(test_gone),
		TEST(test_ack),
		TEST(test_other_generation),
		TEST(test_return_merges),
		TEST(test_upto),
		TEST(test_frames),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
