/*
 * Logging: nothing from outside reaches a terminal unescaped.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

static char text[16384];

static void
check(const char *src, size_t n, const char *want)
{
	char dst[256];

	assert_ptr_equal(log_escape(dst, sizeof(dst), src, n), dst);
	assert_string_equal(dst, want);
}

#define CHECK(src, want) check(src, sizeof(src) - 1, want)

static void
test_escape(void **state)
{
	CHECK("", "");
	CHECK("plain ~text", "plain ~text");
	CHECK("a\nb\tc\r", "a\\x0ab\\x09c\\x0d");
	CHECK("\033[31m", "\\x1b[31m");
	CHECK("a\0b", "a\\x00b");
	CHECK("\177", "\\x7f");
	CHECK("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	    "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	/* not UTF-8: lone, cut, overlong, surrogate, too large */
	CHECK("\x80", "\\x80");
	CHECK("\xc3", "\\xc3");
	CHECK("\xc3z", "\\xc3z");
	CHECK("\xc0\xaf", "\\xc0\\xaf");
	CHECK("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
	CHECK("\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf");
	CHECK("\xed\xa0\x80", "\\xed\\xa0\\x80");
	CHECK("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	CHECK("\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80");
	CHECK("\xff\xfe", "\\xff\\xfe");
	/* C1 controls, which some terminals obey: CSI */
	CHECK("\xc2\x9b"
	      "31m",
	    "\\xc2\\x9b31m");
	CHECK("\xc2\xa0", "\xc2\xa0");
	/* the next line, and text from right to left; a joiner is harmless */
	CHECK("a\xe2\x80\xa8z", "a\\xe2\\x80\\xa8z");
	CHECK("a\xe2\x80\xaetxt.exe", "a\\xe2\\x80\\xaetxt.exe");
	CHECK("\xe2\x81\xa6", "\\xe2\\x81\\xa6");
	CHECK("\xd8\x9c", "\\xd8\\x9c");
	CHECK("\xe2\x80\x8d", "\xe2\x80\x8d");
}

/* Cut at any size: terminated, never half an escape or half a character. */
static void
test_escape_cut(void **state)
{
	static const char src[] = "ab\n\xc3\xa9"
				  "c\xe2\x82\xac";
	static const size_t ends[] = { 0, 1, 2, 6, 8, 9, 12 };
	char dst[32], full[32];
	size_t len;
	bool whole;

	log_escape(full, sizeof(full), src, sizeof(src) - 1);
	for (size_t size = 1; size < sizeof(dst); size++) {
		memset(dst, 'X', sizeof(dst));
		log_escape(dst, size, src, sizeof(src) - 1);
		len = strlen(dst);
		assert_true(len < size);
		assert_memory_equal(dst, full, len);
		whole = false;
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			whole |= ends[i] == len;
		assert_true(whole);
		for (size_t i = size; i < sizeof(dst); i++)
			assert_int_equal(dst[i], 'X');
	}
	dst[0] = 'X';
	log_escape(dst, 0, src, sizeof(src) - 1);
	assert_int_equal(dst[0], 'X');
}

/* Run fn with standard error in a pipe; what it wrote is in `text`. */
static void
captured(void (*fn)(void))
{
	int p[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(p), 0);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	log_set_format(LOG_TEXT); /* another standard error */
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	log_set_format(LOG_TEXT);
	n = read(p[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	close(p[0]);
}

static void
say_all(void)
{
	errno = ENOENT;
	log_warn("open %s", "a\nb");
	assert_int_equal(errno, ENOENT);
	log_warnx("n %d", 1);
	log_info("info");
	log_debug("debug");
}

static void
test_levels(void **state)
{
	log_init("push", 0);
	assert_int_equal(log_verbose(), 0);
	captured(say_all);
	assert_string_equal(text,
	    "push: warning: open a\\x0ab: No such file or directory\n"
	    "push: warning: n 1\npush: info\n");
	log_init("push", 1);
	captured(say_all);
	assert_non_null(strstr(text, "push: debug\n"));
	log_init("push", 0);
}

static void
say_long(void)
{
	static char big[10000];

	memset(big, '\n', sizeof(big) - 1);
	log_info("%s", big);
	memset(big, 'y', sizeof(big) - 1);
	errno = ENOENT;
	log_warn("%s", big);
	log_info("after");
}

/* A line is one line, however long; the next one is whole. */
static void
test_long_lines(void **state)
{
	const char *line = text, *end;
	int lines = 0;

	log_init("plan", 0);
	captured(say_long);
	while ((end = strchr(line, '\n')) != NULL) {
		assert_int_equal(strncmp(line, "plan: ", 6), 0);
		assert_true(end - line <= 4096);
		line = end + 1;
		lines++;
	}
	assert_int_equal(lines, 3);
	assert_int_equal(*line, '\0');
	assert_non_null(strstr(text, "\nplan: after\n"));
}

static void
say_lines(void)
{
	log_relay("watch", 7, "<4>a \033]0;x\007", 11);
	log_relay("watch", 7, "<6>b", 4);
	log_relay("watch", 7, "<9>c", 4);
	log_relay("watch", 7, "watch: d", 8);
	log_relay("watch", 7, "", 0);
	log_relay("watch", 7, "<4", 2);
}

/* Priority and name are the supervisor's to show, whoever wrote the line. */
static void
test_lines_of_workers(void **state)
{
	captured(say_lines);
	assert_string_equal(text,
	    "watch: warning: a \\x1b]0;x\\x07\nwatch: b\nwatch: <9>c\n"
	    "watch: d\nwatch: \nwatch: <4\n");
}

static void
say_to_supervisor(void)
{
	log_to_supervisor();
	log_warnx("n %d", 1);
	log_info("i");
}

static void
test_to_supervisor(void **state)
{
	captured(say_to_supervisor);
	assert_string_equal(text, "<4>n 1\n<6>i\n");
}

static void
say_with_token(void)
{
	log_init("push", 0);
	log_debug("hidden");
	log_enable_token("push");
	log_debug("shown");
	log_init("plan", 0);
	log_debug("hidden");
	log_init("push", 0);
	log_debug("shown again");
}

static void
test_own_token(void **state)
{
	captured(say_with_token);
	assert_string_equal(text, "push: shown\npush: shown again\n");
}

static void
test_tokens(void **state)
{
	char names[32][8];

	assert_false(log_has_token("timer"));
	log_enable_token("timer");
	assert_true(log_has_token("timer"));
	assert_false(log_has_token("time"));
	assert_false(log_has_token("timers"));
	/* more than are kept: no harm */
	for (size_t i = 0; i < 32; i++) {
		snprintf(names[i], sizeof(names[i]), "t%zu", i);
		log_enable_token(names[i]);
	}
	assert_true(log_has_token("t0"));
	assert_true(log_token_exists("watch"));
	assert_true(log_token_exists("supervisor"));
	assert_false(log_token_exists("watc"));
	assert_false(log_token_exists(""));
	assert_string_equal(log_token_names(),
	    "frames, watch, push, plan, engine, image, control, config, "
	    "supervisor");
	assert_true(log_has_token("timer"));
}

static void
die_in_a_child(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		fatalx("no\tway");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_SOFTWARE);
}

static void
test_fatal(void **state)
{
	log_init("image", 0);
	captured(die_in_a_child);
	assert_string_equal(text, "image: fatal: no\\x09way\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_cut),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_lines_of_workers),
		cmocka_unit_test(test_to_supervisor),
		cmocka_unit_test(test_own_token),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_fatal),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
