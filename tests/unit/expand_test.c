/*
 * Expansion of Dockerfile words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "include/buf.h"
#include "workers/shared/dockerfile_env.h"

static struct dockerfile_env *
environment(void)
{
	struct dockerfile_env *env = dockerfile_env_new();

	dockerfile_env_set(env, "V", "val");
	dockerfile_env_set(env, "E", "");
	dockerfile_env_set(env, "P", "a/b/c.tar.gz");
	dockerfile_env_set(env, "S", "two words");
	dockerfile_env_set(env, "L", "x\\}y");
	return (env);
}

static const struct {
	const char *word, *want; /* '!': an error that holds the rest */
} table[] = {
	{ "$V", "val" },
	{ "${V}", "val" },
	{ "a$V.b", "aval.b" },
	{ "$U", "" },
	{ "x${U}y", "xy" },
	{ "$", "$" },
	{ "a$/", "a$/" },
	{ "${V:-d}", "val" },
	{ "${U:-d}", "d" },
	{ "${E:-d}", "d" },
	{ "${V-d}", "val" },
	{ "${U-d}", "d" },
	{ "${E-d}", "" },
	{ "${V:+a}", "a" },
	{ "${U:+a}", "" },
	{ "${E:+a}", "" },
	{ "${V+a}", "a" },
	{ "${U+a}", "" },
	{ "${E+a}", "a" },
	{ "${V?no}", "val" },
	{ "${U?gone}", "!U: gone" },
	{ "${U:?}", "!not allowed to be unset" },
	{ "${E:?}", "!not allowed to be empty" },
	{ "${E?}", "" },
	{ "${U:-${V}x}", "valx" },
	{ "${U:-${U2:-$V}}", "val" },
	{ "'$V'", "$V" },
	{ "\"$V\"", "val" },
	{ "\"a'b\"", "a'b" },
	{ "\\$V", "$V" },
	{ "\"\\$V\\x\"", "$V\\x" },
	{ "\\a\\\\", "a\\" },
	{ "a\\", "a" },
	{ "${U:-a b}", "a b" },
	{ "$S", "two words" },
	{ "$1x", "x" },
	{ "$12", "" },
	{ "$?a", "a" },
	{ "$Vx", "" },
	{ "${P#*/}", "b/c.tar.gz" },
	{ "${P##*/}", "c.tar.gz" },
	{ "${P%.*}", "a/b/c.tar" },
	{ "${P%%.*}", "a/b/c" },
	{ "${P%z}", "a/b/c.tar.g" },
	{ "${P#z}", "a/b/c.tar.gz" },
	{ "${P/b/X}", "a/X/c.tar.gz" },
	{ "${P//\\//-}", "a-b-c.tar.gz" },
	{ "${P/.*/!}", "a/b/c!" },
	{ "${P//?/.}", "............" },
	{ "${U/x/y}", "" },
	{ "${V/al/}", "v" },
	{ "${V", "!missing '}'" },
	{ "${V:-x", "!missing '}'" },
	{ "${}", "!bad substitution" },
	{ "${:x}", "!bad substitution" },
	{ "${V^}", "!unsupported modifier" },
	{ "${V:#x}", "!unsupported modifier" },
	{ "'x", "!single-quote" },
	{ "\"x", "!double-quote" },
	{ "${V/x}", "!missing '/'" },
	{ "<<EOF", "<<EOF" },
};

static void
test_table(void **state)
{
	struct dockerfile_env *env = environment();
	char err[300], *got;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		got = dockerfile_expand(table[i].word, '\\', env, err,
		    sizeof(err));
		if (table[i].want[0] == '!') {
			assert_null(got);
			if (strstr(err, table[i].want + 1) == NULL)
				fail_msg("%s: %s", table[i].word, err);
			continue;
		}
		if (got == NULL || strcmp(got, table[i].want) != 0)
			fail_msg("%s: %s, not %s", table[i].word,
			    got == NULL ? err : got, table[i].want);
		free(got);
	}
	dockerfile_env_free(env);
}

static void
test_backtick(void **state)
{
	struct dockerfile_env *env = environment();
	char err[300], *got;

	got = dockerfile_expand("C:\\d\\`$V$V", '`', env, err, sizeof(err));
	assert_string_equal(got, "C:\\d\\$Vval");
	free(got);
	dockerfile_env_free(env);
}

static void
test_words(void **state)
{
	struct dockerfile_env *env = environment();
	char err[300], **words;
	size_t n;

	assert_int_equal(dockerfile_words(" a 'b c' $S \"$S\" d\\ e ", '\\',
			     env, 0, &words, &n, err, sizeof(err)),
	    0);
	assert_int_equal(n, 6);
	assert_string_equal(words[1], "b c");
	assert_string_equal(words[3], "words");
	assert_string_equal(words[4], "two words");
	assert_string_equal(words[5], "d e");
	dockerfile_words_free(words, n);
	assert_int_equal(dockerfile_words("'a' $V << 'E'", '\\', NULL,
			     DOCKERFILE_WORDS_RAWQUOTES |
				 DOCKERFILE_WORDS_UNSET,
			     &words, &n, err, sizeof(err)),
	    0);
	assert_int_equal(n, 3);
	assert_string_equal(words[0], "'a'");
	assert_string_equal(words[1], "$V");
	assert_string_equal(words[2], "<< 'E'");
	dockerfile_words_free(words, n);
	dockerfile_env_free(env);
}

/* What would grow or take long is refused. */
static void
test_hostile(void **state)
{
	struct dockerfile_env *env = dockerfile_env_new();
	size_t i, work = 1000000;
	char err[300], *s, *big;

	env->work = &work;
	big = xcalloc(1, 40001);
	memset(big, 'x', 40000);
	assert_int_equal(dockerfile_env_set(env, "B", big), 0);
	assert_null(dockerfile_expand("$B$B", '\\', env, err, sizeof(err)));
	assert_non_null(strstr(err, "more than"));
	assert_null(
	    dockerfile_expand("${B//x*y/z}", '\\', env, err, sizeof(err)));
	assert_non_null(strstr(err, "too much"));
	work = 1000000;
	for (i = 0;
	     (s = dockerfile_expand("$B", '\\', env, err, sizeof(err))) != NULL;
	     i++)
		free(s);
	assert_in_range(i, 5, 30);
	memset(big, '\0', 40001);
	for (i = 0; i < 6000; i++)
		memcpy(big + i * 5, "${A:-", 5);
	assert_null(dockerfile_expand(big, '\\', NULL, err, sizeof(err)));
	free(big);
	big = xcalloc(1, DOCKERFILE_MAX_ENV);
	memset(big, 'x', DOCKERFILE_MAX_ENV - 1);
	assert_int_equal(dockerfile_env_set(env, "C", big), -1);
	free(big);
	dockerfile_env_free(env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_backtick),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_hostile),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
