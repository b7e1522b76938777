/*
 * supervisor/ctl/explain_ignore.c: options, which file applies, the answers.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/ctl/explain_ignore.h"

#define ARGS_MAX 8

static char dir[] = "/tmp/wharf-explain-XXXXXX";
static char *said, *complained;

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int
set_up(void **state)
{
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("ctx", 0755), 0);
	assert_int_equal(mkdir("empty", 0755), 0);
	assert_int_equal(mkdir("broken", 0755), 0);
	put("ctx/.dockerignore", "# x\n/build/\n*.md\n!README.md\n");
	put("ctx/Dockerfile.own.dockerignore", "lib\n");
	put("web.dockerignore", "web\n");
	assert_int_equal(mkdir("late", 0755), 0);
	put("late/.dockerignore", "*.md\n[z-a]\n");
	put("broken/.dockerignore", "ok\n[\n");
	return (0);
}

static int
tear_down(void **state)
{
	unlink("ctx/.dockerignore");
	unlink("ctx/Dockerfile.own.dockerignore");
	unlink("ctx/Dockerfile.dockerignore");
	unlink("web.dockerignore");
	unlink("late/.dockerignore");
	rmdir("late");
	unlink("broken/.dockerignore");
	rmdir("ctx");
	rmdir("empty");
	rmdir("broken");
	free(said);
	free(complained);
	return (chdir("/") == 0 ? rmdir(dir) : -1);
}

/* Runs "ignore" with the words that follow, NULL at their end. */
static int
explain(const char *word, ...)
{
	char *argv[ARGS_MAX + 2] = { strdup("ignore") };
	int argc = 1, r;
	size_t n;
	va_list ap;
	FILE *out, *err;

	va_start(ap, word);
	for (; word != NULL; word = va_arg(ap, const char *)) {
		assert_true(argc <= ARGS_MAX);
		argv[argc++] = strdup(word);
	}
	va_end(ap);
	free(said);
	free(complained);
	out = open_memstream(&said, &n);
	err = open_memstream(&complained, &n);
	r = explain_ignore(argc, argv, out, err);
	fclose(out);
	fclose(err);
	while (argc > 0)
		free(argv[--argc]);
	return (r);
}

static void
answers(void **state)
{
	assert_int_equal(explain("-C", "ctx", "build/x", "a.md", "README.md",
			     "build/README.md", NULL),
	    EX_OK);
	assert_string_equal(said,
	    "{\"path\":\"build/x\",\"excluded\":true,\"pattern\":\"build\","
	    "\"file\":\".dockerignore\",\"line\":2}\n"
	    "{\"path\":\"a.md\",\"excluded\":true,\"pattern\":\"*.md\","
	    "\"file\":\".dockerignore\",\"line\":3}\n"
	    "{\"path\":\"README.md\",\"excluded\":false,"
	    "\"pattern\":\"!README.md\",\"file\":\".dockerignore\","
	    "\"line\":4}\n"
	    "{\"path\":\"build/README.md\",\"excluded\":true,"
	    "\"pattern\":\"build\",\"file\":\".dockerignore\",\"line\":2}\n");
	assert_string_equal(complained, "");
}

static void
nothing_decides(void **state)
{
	static const char none[] =
	    "{\"path\":\"a\",\"excluded\":false,"
	    "\"pattern\":null,\"file\":null,\"line\":null}\n";

	assert_int_equal(explain("-C", "empty", "a", NULL), EX_OK);
	assert_string_equal(said, none);
	assert_int_equal(explain("-C", "ctx", "-f", "ctx/Dockerfile.own", "a",
			     NULL),
	    EX_OK);
	assert_string_equal(said, none);
}

static void
a_dockerfile_has_its_own_file(void **state)
{
	assert_int_equal(explain("-C", "ctx/", "-f", "ctx/Dockerfile.own",
			     "lib/x", NULL),
	    EX_OK);
	assert_non_null(strstr(said,
	    "\"file\":\"Dockerfile.own.dockerignore\",\"line\":1"));
	/* Relative to the working directory, not to the context. */
	assert_int_equal(explain("-C", "ctx", "-f", "web", "web", NULL), EX_OK);
	assert_non_null(strstr(said, "\"file\":\"web.dockerignore\""));
	assert_int_equal(explain("-C", "ctx", "-f", "other", "a.md", NULL),
	    EX_OK);
	assert_non_null(strstr(said, "\"file\":\".dockerignore\""));
	put("ctx/Dockerfile.dockerignore", "*.c\n");
	assert_int_equal(explain("-C", "ctx", "a.c", "a.md", NULL), EX_OK);
	assert_non_null(
	    strstr(said, "\"file\":\"Dockerfile.dockerignore\",\"line\":1"));
	assert_non_null(strstr(said, "\"path\":\"a.md\",\"excluded\":false"));
	unlink("ctx/Dockerfile.dockerignore");
}

static void
names_that_are_not_text(void **state)
{
	assert_int_equal(explain("-C", "empty", "a\xff", NULL), EX_OK);
	assert_non_null(strstr(said, "{\"path_b64\":\"Yf8=\",\"excluded\""));
}

static void
bad_files(void **state)
{
	assert_int_equal(explain("-C", "broken", "a", NULL), EX_DATAERR);
	assert_non_null(strstr(complained, "broken/.dockerignore:2:1: "));
	assert_string_equal(said, "");
	/* A pattern that fails when it is first looked at. */
	assert_int_equal(explain("-C", "late", "a.md", "a.c", "b.md", NULL),
	    EX_DATAERR);
	assert_non_null(strstr(complained, "late/.dockerignore:2:1: "));
	assert_non_null(strstr(said, "a.md"));
	assert_null(strstr(said, "b.md"));
}

static void
bad_usage(void **state)
{
	assert_int_equal(explain(NULL), EX_USAGE);
	assert_int_equal(explain("-C", "ctx", NULL), EX_USAGE);
	assert_int_equal(explain("-x", "a", NULL), EX_USAGE);
	assert_int_equal(explain("-C", NULL), EX_USAGE);
	assert_non_null(strstr(complained, "usage: "));
	assert_int_equal(explain("-C", "none", "a", NULL), EX_NOINPUT);
	assert_int_equal(explain("-C", "web.dockerignore", "a", NULL),
	    EX_NOINPUT);
	assert_non_null(strstr(complained, "web.dockerignore: "));
	assert_int_equal(explain("-C", "empty", "--", "-x", NULL), EX_OK);
	assert_non_null(strstr(said, "\"path\":\"-x\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(nothing_decides),
		cmocka_unit_test(a_dockerfile_has_its_own_file),
		cmocka_unit_test(names_that_are_not_text),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(bad_usage),
	};

	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
