/*
 * workers/shared/json.c: what cJSON would get wrong.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workers/shared/json.h"

#define MAX 65536

static cJSON *
parse(const char *s)
{
	cJSON *item = json_parse(s, strlen(s), MAX, NULL);

	assert_non_null(item);
	return (item);
}

/* Parses and prints. */
static void
round_trip(const char *in, const char *expected)
{
	cJSON *item = parse(in);
	char *s = json_print(item);

	assert_string_equal(s, expected);
	free(s);
	/* Printing leaves the value as it was. */
	s = json_print(item);
	assert_string_equal(s, expected);
	free(s);
	cJSON_Delete(item);
}

static void
numbers_keep_their_digits(void **state)
{
	cJSON *o = parse(
	    "{\"a\":9223372036854775807,"
	    "\"b\":-9223372036854775808,\"c\":18446744073709551615,"
	    "\"d\":1700000000123456789,\"e\":9007199254740993,"
	    "\"f\":18446744073709551616,\"g\":1.5,\"h\":1e3,\"i\":-1,"
	    "\"j\":\"7\",\"k\":[0,9007199254740993],\"l\":1.0000000000000000}");
	int64_t i;
	uint64_t u;

	assert_int_equal(json_get_i64(o, "a", &i), 0);
	assert_true(i == INT64_MAX);
	assert_int_equal(json_get_i64(o, "b", &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(json_get_i64(o, "c", &i), -1);
	assert_int_equal(json_get_u64(o, "c", &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(json_get_i64(o, "d", &i), 0);
	assert_true(i == 1700000000123456789);
	assert_int_equal(json_get_u64(o, "e", &u), 0);
	assert_true(u == 9007199254740993);
	assert_int_equal(json_get_u64(o, "f", &u), -1);
	assert_int_equal(json_get_i64(o, "g", &i), -1);
	assert_int_equal(json_get_i64(o, "h", &i), -1);
	assert_int_equal(json_get_u64(o, "i", &u), -1);
	assert_int_equal(json_get_i64(o, "j", &i), -1);
	assert_int_equal(json_get_i64(o, "l", &i), -1);
	assert_int_equal(json_get_i64(o, "none", &i), -1);
	assert_int_equal(json_i64(cJSON_GetArrayItem(json_arr(o, "k"), 1), &i),
	    0);
	assert_true(i == 9007199254740993);
	cJSON_Delete(o);
}

static void
numbers_print_as_read(void **state)
{
	round_trip("[9007199254740993, -0.12345678901234567890, 1.5, 0]",
	    "[9007199254740993,-0.12345678901234567890,1.5,0]");
	round_trip("[1e999,1E2]", "[1e999,1E2]");
	round_trip("18446744073709551615", "18446744073709551615");
}

static void
made_numbers_read_back(void **state)
{
	cJSON *o = cJSON_CreateObject();
	char *s;
	int64_t i;
	uint64_t u;

	assert_int_equal(json_add_i64(o, "min", INT64_MIN), 0);
	assert_int_equal(json_add_u64(o, "max", UINT64_MAX), 0);
	assert_int_equal(json_get_i64(o, "min", &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(json_get_u64(o, "max", &u), 0);
	assert_true(u == UINT64_MAX);
	s = json_print(o);
	assert_string_equal(s,
	    "{\"min\":-9223372036854775808,"
	    "\"max\":18446744073709551615}");
	free(s);
	cJSON_Delete(o);
}

static void
strict_text(void **state)
{
	static const char *const bad[] = { "", " ", "{} x", "{}{}", "[1,]",
		"{\"a\":1,}", "{a:1}", "'a'", "01", "+1", "1.", ".5", "1e", "-",
		"nul", "True", "NaN", "\"a", "\"\\x\"", "\"\\u0000\"",
		"\"\\u00\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"",
		"\"\t\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\xef\xbb\xbf{}",
		"[1 2]", "{\"a\" 1}", "[", "{\"a\":", "/* */1", "0x10", "[1]\f",
		("1234567890123456789012345678901234567890"
		 "1234567890123456789012345") };
	static const char *const good[] = { "0", "-0", "1E+2", "null", "\"\"",
		"[]", "{}", " { \"a\" : [ true , false ] } \n",
		"\"\\ud83d\\ude00\"", "\"\\u0001\"", "\"\xef\xbf\xbd\"" };
	struct json_error err;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&err, 0, sizeof(err));
		if (json_parse(bad[i], strlen(bad[i]), MAX, &err) != NULL)
			fail_msg("taken: %s", bad[i]);
		assert_true(err.line >= 1 && err.column >= 1);
		assert_true(err.text[0] != '\0');
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cJSON_Delete(parse(good[i]));
	/* A NUL is no end of text. */
	assert_null(json_parse("1\0", 2, MAX, &err));
	assert_null(json_parse("\"a\0b\"", 5, MAX, &err));
}

static void
errors_have_a_place(void **state)
{
	struct json_error err;
	const char s[] = "{\n  \"a\": 1,\n  \"b\" 2\n}";

	assert_null(json_parse(s, strlen(s), MAX, &err));
	assert_int_equal(err.line, 3);
	assert_int_equal(err.column, 7);
	assert_string_equal(err.text, "expected ':'");
}

static void
size_and_depth(void **state)
{
	char s[2 * JSON_DEPTH_MAX + 3];
	cJSON *item;

	assert_null(json_parse("[1]", 3, 2, NULL));
	memset(s, '[', JSON_DEPTH_MAX);
	memset(s + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	item = json_parse(s, 2 * JSON_DEPTH_MAX, MAX, NULL);
	assert_non_null(item);
	cJSON_Delete(item);
	memset(s, '[', JSON_DEPTH_MAX + 1);
	memset(s + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_null(json_parse(s, 2 * JSON_DEPTH_MAX + 2, MAX, NULL));
}

static void
getters_check_types(void **state)
{
	cJSON *o =
	    parse("{\"s\":\"x\",\"S\":\"y\",\"n\":1,\"b\":true,"
		  "\"o\":{\"a.b\":{\"c\":\"z\"}},\"l\":[],\"s\":\"second\"}");
	bool b = false;

	assert_string_equal(json_str(o, "s"), "x");
	assert_string_equal(json_str(o, "S"), "y");
	assert_null(json_str(o, "n"));
	assert_null(json_str(NULL, "n"));
	assert_null(json_obj(o, "l"));
	assert_null(json_arr(o, "o"));
	assert_non_null(json_arr(o, "l"));
	assert_int_equal(json_get_bool(o, "n", &b), -1);
	assert_int_equal(json_get_bool(o, "b", &b), 0);
	assert_true(b);
	assert_string_equal(cJSON_GetStringValue(
				json_at(o, "o", "a.b", "c", NULL)),
	    "z");
	assert_null(json_at(o, "s", "a.b", NULL));
	assert_null(json_get(json_arr(o, "l"), "x"));
	cJSON_Delete(o);
}

static void
bytes_become_base64(void **state)
{
	static const struct {
		const char *s;
		size_t len;
		const char *expected;
	} rows[] = {
		{ "a\xc3\xa9", 3, "{\"p\":\"a\xc3\xa9\"}" },
		{ "\xff", 1, "{\"p_b64\":\"/w==\"}" },
		{ "a\xff", 2, "{\"p_b64\":\"Yf8=\"}" },
		{ "ab\xff", 3, "{\"p_b64\":\"YWL/\"}" },
		{ "a\0b!", 4, "{\"p_b64\":\"YQBiIQ==\"}" },
		{ "\xc0\xaf", 2, "{\"p_b64\":\"wK8=\"}" },
		{ "", 0, "{\"p\":\"\"}" },
	};
	cJSON *o;
	char *s;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		o = cJSON_CreateObject();
		assert_int_equal(json_add_bytes(o, "p", rows[i].s, rows[i].len),
		    0);
		s = json_print(o);
		assert_string_equal(s, rows[i].expected);
		free(s);
		cJSON_Delete(o);
	}
}

static void
control_characters_are_escaped(void **state)
{
	cJSON *arr = cJSON_CreateArray();
	char *s;

	assert_int_equal(json_push_str(arr, "\x1b[2J\x7f\xc2\x9b\n"), 0);
	assert_int_equal(json_push_str(arr, "\xff"), 0);
	assert_int_equal(json_push_str(arr, NULL), 0);
	assert_int_equal(json_push(arr, cJSON_CreateRaw("{ }")), 0);
	s = json_print(arr);
	assert_string_equal(s,
	    "[\"\\u001b[2J\\u007f\\u009b\\n\","
	    "{\"b64\":\"/w==\"},null,{ }]");
	free(s);
	cJSON_Delete(arr);
}

static void
adding_to_the_wrong_thing_fails(void **state)
{
	cJSON *arr = cJSON_CreateArray();

	assert_int_equal(json_add_str(arr, "k", "v"), -1);
	assert_int_equal(json_add(arr, "k", NULL), -1);
	assert_null(json_add_obj(NULL, "k"));
	assert_non_null(json_push_obj(arr));
	assert_int_equal(cJSON_GetArraySize(arr), 1);
	cJSON_Delete(arr);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_keep_their_digits),
		cmocka_unit_test(numbers_print_as_read),
		cmocka_unit_test(made_numbers_read_back),
		cmocka_unit_test(strict_text),
		cmocka_unit_test(errors_have_a_place),
		cmocka_unit_test(size_and_depth),
		cmocka_unit_test(getters_check_types),
		cmocka_unit_test(bytes_become_base64),
		cmocka_unit_test(control_characters_are_escaped),
		cmocka_unit_test(adding_to_the_wrong_thing_fails),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
