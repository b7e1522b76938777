/*
 * workers/shared/ignore.c: the .dockerignore rules, in tests/unit/data/
 * ignore.tsv, and what no table can show.  Runs in the root of the tree.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workers/shared/ignore.h"
#include "workers/shared/ignore_regex.h"

#define TABLE "tests/unit/data/ignore.tsv"

static struct ignore *
parse(const char *text)
{
	struct ignore_error err;
	struct ignore *ig = ignore_parse(text, strlen(text), &err);

	if (ig == NULL)
		fail_msg("%s: line %u: %s", text, err.line, err.text);
	return (ig);
}

static bool
excluded(const char *text, const char *path)
{
	struct ignore *ig = parse(text);
	struct ignore_match m;

	assert_int_equal(ignore_path(ig, path, strlen(path), &m, NULL), 0);
	ignore_free(ig);
	return (m.excluded);
}

/* In place; returns the length. */
static size_t
unescape(char *s)
{
	static const char names[] = "ntr\\", values[] = "\n\t\r\\";
	char *out = s, *from = s, hex[3] = "";
	const char *at;

	while (*from != '\0') {
		if (*from != '\\') {
			*out++ = *from++;
			continue;
		}
		from++;
		if (*from == 'x') {
			memcpy(hex, from + 1, 2);
			*out++ = (char)strtoul(hex, NULL, 16);
			from += 3;
			continue;
		}
		assert_true(*from != '\0');
		at = strchr(names, *from++);
		assert_non_null(at);
		*out++ = values[at - names];
	}
	return ((size_t)(out - s));
}

static char
table_answer(const char *text, size_t len, const char *path, size_t plen)
{
	struct ignore_error err = { 0 };
	struct ignore_match m;
	struct ignore *ig;
	char answer;

	ig = ignore_parse(text, len, &err);
	if (ig == NULL || ignore_path(ig, path, plen, &m, &err) == -1) {
		answer = 'E';
		assert_true(err.line > 0);
		assert_true(err.text[0] != '\0');
	} else {
		answer = m.excluded ? '1' : '0';
		assert_int_equal(m.pattern == NULL, m.line == 0);
	}
	ignore_free(ig);
	return (answer);
}

static void
table(void **state)
{
	char *line = NULL, *rest, *text, *path;
	size_t cap = 0, len, plen;
	unsigned n = 0, rows = 0, bad = 0;
	FILE *f = fopen(TABLE, "r");

	assert_non_null(f);
	while (getline(&line, &cap, f) > 0) {
		n++;
		if (strncmp(line, "# ", 2) == 0)
			continue;
		rest = line;
		text = strsep(&rest, "\t");
		path = strsep(&rest, "\t");
		assert_non_null(rest);
		len = unescape(text);
		plen = unescape(path);
		rows++;
		if (table_answer(text, len, path, plen) == rest[0])
			continue;
		print_error("%s:%u: not %c\n", TABLE, n, rest[0]);
		bad++;
	}
	free(line);
	fclose(f);
	assert_int_equal(bad, 0);
	assert_true(rows > 250);
}

static void
tells_what_decided(void **state)
{
	static const char text[] = "# first\n/build/\n\n*.log\n! keep.log\n";
	struct ignore *ig = parse(text);
	struct ignore_match m;

	assert_int_equal(ignore_path(ig, "a.log", 5, &m, NULL), 0);
	assert_true(m.excluded);
	assert_int_equal(m.line, 4);
	assert_string_equal(m.pattern, "*.log");
	assert_int_equal(ignore_path(ig, "keep.log", 8, &m, NULL), 0);
	assert_false(m.excluded);
	assert_int_equal(m.line, 5);
	assert_string_equal(m.pattern, "!keep.log");
	assert_int_equal(ignore_path(ig, "build/x", 7, &m, NULL), 0);
	assert_int_equal(m.line, 2);
	assert_string_equal(m.pattern, "build");
	assert_int_equal(ignore_path(ig, "main.c", 6, &m, NULL), 0);
	assert_false(m.excluded);
	assert_int_equal(m.line, 0);
	assert_null(m.pattern);
	ignore_free(ig);
}

static void
tells_what_is_wrong(void **state)
{
	struct ignore_error err;
	struct ignore_match m;
	struct ignore *ig;

	assert_null(ignore_parse("a\n\n[\n", 5, &err));
	assert_int_equal(err.line, 3);
	ig = parse("a\n[z-a]\n");
	assert_int_equal(ignore_path(ig, "b", 1, &m, &err), -1);
	assert_int_equal(err.line, 2);
	assert_int_equal(m.line, 2);
	assert_string_equal(m.pattern, "[z-a]");
	assert_string_equal(m.error, err.text);
	/* Not for ever: what the first line decides needs no second. */
	assert_int_equal(ignore_path(ig, "a", 1, &m, &err), 0);
	assert_int_equal(ignore_walk(ig, NULL, "b", 1, NULL, &m), -1);
	ignore_free(ig);
}

/* Parses a line of `len` bytes between two others. */
static bool
line_taken(size_t len)
{
	char *s = malloc(len + 4);
	struct ignore_error err = { 0 };
	struct ignore *ig;

	assert_non_null(s);
	memset(s, 'x', len + 4);
	s[1] = s[len + 2] = '\n';
	ig = ignore_parse(s, len + 4, &err);
	if (ig == NULL)
		assert_int_equal(err.line, 2);
	ignore_free(ig);
	free(s);
	return (ig != NULL);
}

static void
limits(void **state)
{
	struct ignore_error err;
	size_t i, len = IGNORE_FILE_MAX + 1;
	struct ignore *ig;
	char *s = malloc(len);

	assert_non_null(s);
	assert_true(line_taken(IGNORE_LINE_MAX - 1));
	assert_false(line_taken(IGNORE_LINE_MAX));
	memset(s, '\n', len);
	ig = ignore_parse(s, len - 1, &err);
	assert_non_null(ig);
	assert_int_equal(ignore_count(ig), 0);
	ignore_free(ig);
	assert_null(ignore_parse(s, len, &err));
	for (i = 0; i <= IGNORE_PATTERNS_MAX; i++)
		s[2 * i] = 'x';
	ig = ignore_parse(s, 2 * IGNORE_PATTERNS_MAX, &err);
	assert_non_null(ig);
	assert_int_equal(ignore_count(ig), IGNORE_PATTERNS_MAX);
	ignore_free(ig);
	assert_null(ignore_parse(s, 2 * IGNORE_PATTERNS_MAX + 1, &err));
	assert_int_equal(err.line, IGNORE_PATTERNS_MAX + 1);
	free(s);
}

static void
from_patterns(void **state)
{
	static const char *const good[] = { "", " lib/ ", "!lib/x" };
	static const char *const bad[] = { "a", "[" };
	struct ignore_error err;
	struct ignore_match m;
	struct ignore *ig;

	ig = ignore_from_patterns(good, 3, &err);
	assert_non_null(ig);
	assert_int_equal(ignore_count(ig), 2);
	assert_int_equal(ignore_path(ig, "lib/y", 5, &m, NULL), 0);
	assert_true(m.excluded);
	assert_int_equal(m.line, 2);
	ignore_free(ig);
	assert_null(ignore_from_patterns(bad, 2, &err));
	assert_int_equal(err.line, 2);
}

static void
names(void **state)
{
	struct ignore_names n;

	assert_int_equal(ignore_names("deploy/Dockerfile.web", &n), 0);
	assert_string_equal(n.own, "deploy/Dockerfile.web.dockerignore");
	assert_string_equal(n.common, ".dockerignore");
	free(n.own);
}

/* "x*x*x*...y" with `stars` stars against x's: the text-book blow-up. */
static uint64_t
stars_steps(size_t stars, size_t len, bool *hit)
{
	char *re = malloc(stars * 6 + 3), *path = malloc(len), *p = re;
	struct ignore_regex *rx;
	const char *why;
	uint64_t steps = 0;
	size_t i;

	assert_non_null(re);
	assert_non_null(path);
	*p++ = '^';
	for (i = 0; i < stars; i++, p += 6)
		memcpy(p, "x[^/]*", 6);
	memcpy(p, "y$", 2);
	rx = ignore_regex_new(re, (size_t)(p - re) + 2, &why);
	assert_non_null(rx);
	memset(path, 'x', len);
	*hit = ignore_regex_match(rx, path, len, &steps);
	ignore_regex_free(rx);
	free(path);
	free(re);
	return (steps);
}

static void
many_stars_take_linear_time(void **state)
{
	bool hit;

	assert_true(stars_steps(1000, 4096, &hit) < 10 * 4097);
	assert_false(hit);
	assert_true(stars_steps(10000, 4096, &hit) < 10 * 4097);
	assert_false(hit);
}

static void
no_pattern_takes_more_than_path_times_pattern(void **state)
{
	static const char *const res[] = { "^(.*/)?x(.*/)?x(.*/)?x(.*/)?y$",
		"^[^/]*xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx[^/]*y$",
		"^[a[^/]*b]x{0,1000}x{1000}y$", "^x|x|x|[^/]*x|[^/]*y$",
		"^[^/]*\\b[^/]*\\Bx[^/]*\\b$", "^\\Qxxx" };
	char path[2048];
	const char *why;
	struct ignore_regex *rx;
	uint64_t steps;
	size_t i, k;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < sizeof(path); i++)
			path[i] = k == 1 && i % 2 == 1 ? '/' : 'x';
		for (i = 0; i < sizeof(res) / sizeof(res[0]); i++) {
			rx = ignore_regex_new(res[i], strlen(res[i]), &why);
			assert_non_null(rx);
			steps = 0;
			ignore_regex_match(rx, path, sizeof(path), &steps);
			assert_true(steps > 0);
			assert_true(steps <=
			    (sizeof(path) + 1) * 2 * ignore_regex_size(rx));
			ignore_regex_free(rx);
		}
	}
}

static void
positions_are_limited(void **state)
{
	char re[2 + 200 * 7];
	struct ignore_regex *rx;
	const char *why;
	size_t i;

	re[0] = '^';
	for (i = 0; i < 200; i++)
		memcpy(re + 1 + i * 7, "x{1000}", 7);
	re[1 + 200 * 7] = '$';
	rx = ignore_regex_new(re, 1 + 130 * 7, &why);
	assert_non_null(rx);
	assert_false(ignore_regex_match(rx, "xxx", 3, NULL));
	ignore_regex_free(rx);
	assert_null(ignore_regex_new(re, sizeof(re), &why));
	assert_string_equal(why, "the pattern is too long");
}

static bool
may_below(const char *text, const char *dir)
{
	struct ignore *ig = parse(text);
	bool may = ignore_may_include_below(ig, dir, strlen(dir));

	ignore_free(ig);
	return (may);
}

static void
may_include_below(void **state)
{
	assert_true(may_below("", "lib"));
	assert_true(may_below("lib", "."));
	assert_true(may_below("lib", "src"));
	assert_false(may_below("lib", "lib"));
	assert_false(may_below("lib", "lib/deep"));
	assert_true(may_below("*\n!lib/x", "lib"));
	assert_false(may_below("*\n!lib/x", "li"));
	assert_false(may_below("*\n!lib/x", "libs"));
	assert_false(may_below("*\n!lib/x", "src"));
	assert_false(may_below("*\n!lib/x", "lib/y"));
	assert_true(may_below("*\n!lib/x", "lib/x"));
	/* An exception before the line that excludes has no say. */
	assert_false(may_below("!lib/x\n*", "lib"));
	assert_true(may_below("*\n!**/x", "src/deep"));
	assert_true(may_below("*\n!**x", "src"));
	assert_true(may_below("*\n!lib/**", "lib"));
	assert_true(may_below("lib/in\n!lib/**\nlib\n!lib/in/**", "lib/in"));
	assert_false(may_below("*\n!lib/**", "src"));
	assert_true(may_below("*\n!*/x", "src"));
	assert_false(may_below("*\n!*/x", "src/deep"));
	assert_false(may_below("*\n!lib/*.c", "src"));
	assert_true(may_below("*\n!l?b/*.c", "lib"));
	assert_true(may_below("*\n!lib/a|b*", "src"));
	assert_true(may_below("*\n![z-a]", "src"));
	assert_false(may_below("*\n!*.c", "src"));
	assert_false(may_below("*\n!*.c", "./src/"));
}

/* A generator of our own, so that a failure comes again. */
static uint32_t seed;

static uint32_t
pick(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return ((seed >> 8) % n);
}

static void
random_text(char *s, size_t size, const char *const *tokens, uint32_t n,
    uint32_t count)
{
	s[0] = '\0';
	while (count-- > 0)
		strlcat(s, tokens[pick(n)], size);
}

#define TREE_NAMES 3
#define TREE_DEPTH 3

static const char *const tree_names[TREE_NAMES] = { "a", "ab", "b" };

/* Goes down a tree; every answer must be that of ignore_path.  Returns
 * whether something at or below the path is included. */
static bool
tree_check(const struct ignore *ig, const struct ignore_state *parent,
    const char *path, int depth)
{
	struct ignore_state *st = ignore_state_new(ig);
	struct ignore_match walk, one;
	char below[64];
	bool any = false;
	size_t i, len = strlen(path);
	int r;

	assert_non_null(st);
	r = ignore_walk(ig, parent, path, len, st, &walk);
	assert_int_equal(ignore_path(ig, path, len, &one, NULL), r);
	assert_int_equal(walk.excluded, one.excluded);
	assert_int_equal(walk.line, one.line);
	for (i = 0; r == 0 && depth > 1 && i < TREE_NAMES; i++) {
		snprintf(below, sizeof(below), "%s/%s", path, tree_names[i]);
		any |= tree_check(ig, st, below, depth - 1);
	}
	if (any)
		assert_true(ignore_may_include_below(ig, path, len));
	ignore_state_free(st);
	return (any || (r == 0 && !walk.excluded));
}

static void
walk_and_path_agree(void **state)
{
	static const char *const tokens[] = { "a", "b", "ab", "*", "**", "?",
		"/", "/**/", "\n", "\n!", "\n", "\n!", "[ab]", "[^a]", "a|b*",
		"\\w", "\\q" };
	struct ignore_error err;
	struct ignore *ig;
	char text[256];
	unsigned i, k, taken = 0;

	for (i = 0; i < 3000; i++) {
		seed = i;
		random_text(text, sizeof(text), tokens,
		    sizeof(tokens) / sizeof(tokens[0]), 3 + pick(12));
		ig = ignore_parse(text, strlen(text), &err);
		if (ig == NULL)
			continue;
		taken++;
		for (k = 0; k < TREE_NAMES; k++)
			tree_check(ig, NULL, tree_names[k], TREE_DEPTH);
		ignore_free(ig);
	}
	assert_true(taken > 1000);
}

/* The plain meaning of a pattern of "*", "?", "**", and letters. */
static bool
naive_match(const char *p, const char *s)
{
	const char *rest;

	if (*p == '\0')
		return (*s == '\0');
	if (strncmp(p, "**", 2) == 0) {
		rest = p + 2 + (p[2] == '/');
		if (*rest == '\0' || naive_match(rest, s))
			return (true);
		for (; *s != '\0'; s++)
			if (*s == '/' && naive_match(rest, s + 1))
				return (true);
		return (false);
	}
	if (*p == '*') {
		for (;; s++) {
			if (naive_match(p + 1, s))
				return (true);
			if (*s == '\0' || *s == '/')
				return (false);
		}
	}
	if (*s == '\0' || (*p == '?' ? *s == '/' : *s != *p))
		return (false);
	return (naive_match(p + 1, s + 1));
}

/* Whether the pattern matches the path or one of its parents. */
static bool
naive_excluded(const char *p, const char *path)
{
	char s[64];
	size_t i, len = strlen(path);

	for (i = 1; i <= len; i++) {
		if (i < len && path[i] != '/')
			continue;
		memcpy(s, path, i);
		s[i] = '\0';
		if (naive_match(p, s))
			return (true);
	}
	return (false);
}

static void
plain_patterns_mean_what_they_say(void **state)
{
	static const char *const tokens[] = { "a", "b", "*", "?", "/", "a", "*",
		"**", "/**/" };
	static const char *const segments[] = { "a", "b", "aa", "/a", "/b" };
	char text[64], path[64];
	unsigned i, hits = 0, n = 0;

	for (i = 0; i < 40000; i++) {
		seed = i;
		/* "x" first and last keep the special kinds away. */
		strlcpy(text, "x", sizeof(text));
		random_text(text + 1, sizeof(text) - 1, tokens, 9, 1 + pick(8));
		strlcat(text, "?", sizeof(text));
		strlcpy(path, "x", sizeof(path));
		random_text(path + 1, sizeof(path) - 1, segments, 5, pick(9));
		if (strstr(text, "//") != NULL || strstr(text, "***") != NULL)
			continue;
		n++;
		hits += naive_excluded(text, path);
		if (excluded(text, path) != naive_excluded(text, path))
			fail_msg("%s, %s: not %d", text, path,
			    naive_excluded(text, path));
	}
	assert_true(n > 10000 && hits > 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(tells_what_decided),
		cmocka_unit_test(tells_what_is_wrong),
		cmocka_unit_test(limits),
		cmocka_unit_test(from_patterns),
		cmocka_unit_test(names),
		cmocka_unit_test(many_stars_take_linear_time),
		cmocka_unit_test(no_pattern_takes_more_than_path_times_pattern),
		cmocka_unit_test(positions_are_limited),
		cmocka_unit_test(may_include_below),
		cmocka_unit_test(walk_and_path_agree),
		cmocka_unit_test(plain_patterns_mean_what_they_say),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
