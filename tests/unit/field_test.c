/*
 * Typed fields: what is written is read, and nothing else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "field.h"

static struct fields
tail_of(const struct buf *b)
{
	return ((struct fields) { b->data, b->len });
}

static void
test_round_trip(void **state)
{
	struct buf b = { 0 };
	struct fields t;
	struct field f;
	size_t off = 0;
	char *s;

	fields_add_str(&b, F_PATH, "a/b");
	fields_add_str(&b, F_PATH, "");
	fields_add_mem(&b, F_TEXT, "\xff\x01", 2);
	fields_add_u64(&b, F_JOB, UINT64_MAX);
	fields_add_i64(&b, F_EXIT_CODE, INT64_MIN);
	fields_add_bool(&b, F_RERUN, true);
	t = tail_of(&b);
	assert_true(fields_valid(&t));
	assert_int_equal(fields_count(&t, F_PATH), 2);
	assert_int_equal(fields_count(&t, F_ARG), 0);
	s = fields_dup(&t, F_PATH);
	assert_string_equal(s, "a/b");
	free(s);
	assert_true(fields_get(&t, F_TEXT, &f));
	assert_int_equal(f.len, 2);
	assert_memory_equal(f.str, "\xff\x01", 2);
	assert_true(fields_u64(&t, F_JOB, 0) == UINT64_MAX);
	assert_true(fields_i64(&t, F_EXIT_CODE, 0) == INT64_MIN);
	assert_int_equal(fields_u64(&t, F_RERUN, 0), 1);
	/* absent, or of another type */
	assert_null(fields_dup(&t, F_ARG));
	assert_null(fields_dup(&t, F_JOB));
	assert_int_equal(fields_u64(&t, F_LINE, 42), 42);
	assert_int_equal(fields_i64(&t, F_PID, -42), -42);
	/* in the order in which they were added */
	assert_int_equal(field_next(&t, &off, &f), 1);
	assert_int_equal(f.key, F_PATH);
	assert_int_equal(f.type, FIELD_STR);
	assert_int_equal(field_next(&t, &off, &f), 1);
	assert_int_equal(f.len, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(field_next(&t, &off, &f), 1);
	assert_int_equal(field_next(&t, &off, &f), 0);
	assert_int_equal(off, t.len);
	buf_free(&b);
}

static void
test_empty(void **state)
{
	struct fields t = { NULL, 0 };
	struct field f;

	assert_true(fields_valid(&t));
	assert_false(fields_get(&t, F_PATH, &f));
	assert_int_equal(fields_count(&t, F_PATH), 0);
}

/*
 * Every cut of a valid tail that is not between two fields is refused.  The
 * bytes lie at the end of their memory, so that the sanitizer sees any look
 * behind them.
 */
static void
test_cut_anywhere(void **state)
{
	struct buf b = { 0 };
	struct fields t;
	size_t ends[4], n = 0;
	uint8_t *copy;
	bool whole;

	ends[n++] = 0;
	fields_add_str(&b, F_PATH, "some/path");
	ends[n++] = b.len;
	fields_add_u64(&b, F_JOB, 7);
	ends[n++] = b.len;
	fields_add_str(&b, F_TEXT, "");
	ends[n++] = b.len;
	for (size_t len = 0; len <= b.len; len++) {
		copy = xreallocarray(NULL, len + !len, 1);
		memcpy(copy, b.data, len);
		t = (struct fields) { copy, len };
		whole = false;
		for (size_t i = 0; i < n; i++)
			whole |= ends[i] == len;
		assert_int_equal(fields_valid(&t), whole);
		free(copy);
	}
	buf_free(&b);
}

static void
check_bad(uint16_t key, uint16_t zero, uint32_t len, const void *bytes,
    size_t n)
{
	struct buf b = { 0 };
	struct fields t;
	struct field f;
	size_t off = 0;

	buf_add(&b, &key, 2);
	buf_add(&b, &zero, 2);
	buf_add(&b, &len, 4);
	buf_add(&b, bytes, n);
	t = tail_of(&b);
	assert_false(fields_valid(&t));
	assert_int_equal(field_next(&t, &off, &f), -1);
	assert_int_equal(off, 0);
	assert_null(fields_dup(&t, key < F_MAX ? key : F_TEXT));
	assert_int_equal(fields_u64(&t, F_JOB, 5), 5);
	buf_free(&b);
}

static void
test_bad(void **state)
{
	check_bad(F_NONE, 0, 0, "", 0);
	check_bad(F_MAX, 0, 0, "", 0);
	check_bad(0xffff, 0, 0, "", 0);
	check_bad(F_TEXT, 1, 4, "text", 4);
	check_bad(F_TEXT, 0, 5, "text", 4);
	check_bad(F_TEXT, 0, 0xffffffff, "text", 4);
	check_bad(F_TEXT, 0, 0xfffffff8, "text", 4);
	/* a NUL in a string, wherever it stands */
	check_bad(F_TEXT, 0, 4, "\0ext", 4);
	check_bad(F_TEXT, 0, 4, "te\0t", 4);
	check_bad(F_TEXT, 0, 5, "text", 5);
	/* numbers are 8 bytes, a bool is 0 or 1 */
	check_bad(F_JOB, 0, 0, "", 0);
	check_bad(F_JOB, 0, 4, "1234", 4);
	check_bad(F_JOB, 0, 9, "123456789", 9);
	check_bad(F_EXIT_CODE, 0, 7, "1234567", 7);
	check_bad(F_RERUN, 0, 8, "\2\0\0\0\0\0\0", 8);
	check_bad(F_RERUN, 0, 8, "\1\0\0\0\0\0\0\1", 8);
}

/* What stands behind a bad field is not reached. */
static void
test_bad_hides_the_rest(void **state)
{
	struct buf b = { 0 };
	struct fields t;
	struct field f;

	fields_add_str(&b, F_PATH, "before");
	fields_add_mem(&b, F_TEXT, "\0", 1);
	fields_add_str(&b, F_ARG, "behind");
	t = tail_of(&b);
	assert_false(fields_valid(&t));
	assert_true(fields_get(&t, F_PATH, &f));
	assert_false(fields_get(&t, F_ARG, &f));
	buf_free(&b);
}

static void
test_keys(void **state)
{
	for (unsigned k = F_NONE + 1; k < F_MAX; k++) {
		assert_non_null(field_name(k));
		assert_true(field_name(k)[0] != '\0');
		assert_in_range(field_key_type((enum field_key)k), FIELD_STR,
		    FIELD_BOOL);
	}
	assert_null(field_name(F_NONE));
	assert_null(field_name(F_MAX));
	assert_null(field_name(UINT32_MAX));
	assert_string_equal(field_name(F_CONTAINER_ID), "id");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bad_hides_the_rest),
		cmocka_unit_test(test_keys),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
