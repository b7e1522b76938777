/*
 * Whether a replayed step is a repeated one: marks in the manifest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "workers/push/begun.h"

static uint64_t region[MANIFEST_SIZE_MIN / 8];

/* What a new worker finds. */
static struct manifest *
successor(struct manifest *m)
{
	manifest_free(m);
	m = manifest_new();
	assert_int_equal(manifest_attach(m, region, sizeof(region)), 0);
	assert_int_equal(manifest_load(m), 0);
	return (m);
}

static void
test_begun(void **state)
{
	struct manifest *m;

	memset(region, 0, sizeof(region));
	m = successor(NULL);
	assert_false(begun_mark(m, 4));
	begun_clear(m, 4);
	/* seen to end: the next is not a repeated one */
	assert_false(begun_mark(m, 4));
	m = successor(m);
	assert_true(begun_mark(m, 4));
	m = successor(m);
	assert_true(begun_mark(m, 4));
	/* the engine went away, this worker did not */
	assert_true(begun_mark(m, 4));
	begun_clear(m, 4);
	m = successor(m);
	assert_false(begun_mark(m, 4));
	manifest_free(m);
}

static void
test_each(void **state)
{
	struct manifest *m;

	memset(region, 0, sizeof(region));
	m = successor(NULL);
	assert_false(begun_mark(m, 40));
	m = successor(m);
	/* an earlier step became due before the cut one was run again */
	assert_false(begun_mark(m, 4));
	begun_clear(m, 4);
	assert_true(begun_mark(m, 40));
	begun_clear(m, 7); /* never begun */
	begun_clear(m, 40);
	/* another container knows of nothing */
	assert_false(begun_mark(m, 40));
	assert_int_equal(manifest_clear(m), 0);
	m = successor(m);
	assert_false(begun_mark(m, 40));
	manifest_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begun),
		cmocka_unit_test(test_each),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
