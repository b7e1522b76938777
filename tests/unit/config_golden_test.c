/*
 * wharfd.yaml: each tests/golden/config/NAME.yaml comes to NAME.out, which is
 * its normal form or its errors.  WHARF_GOLDEN=renew writes these anew.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>

#include <cmocka.h>

#include "buf.h"
#include "config_print.h"
#include "workers/config/config.h"
#include "workers/config/ydoc.h"
#include "yamlout.h"

#define GOLDEN    "tests/golden/config/"
#define MOUNT     "/conf/" /* what GOLDEN is called in what is read */
#define CASES_MIN 60
#define PAGE      "supervisor/wharfd.yaml.5"
#define EXAMPLE   "conf/wharfd.yaml"

static void
add_text(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

/* -1 and errno when it cannot be read. */
static int
slurp(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		return (-1);
	while ((n = fread(buf_reserve(b, 4096), 1, 4096, f)) > 0)
		b->len += n;
	fclose(f);
	return (0);
}

/* Bring the files that are included. */
static void
bring(struct config *c)
{
	const struct config_include *inc;
	char real[2048], path[1024];
	uint32_t number = 1;

	while ((inc = config_wants(c)) != NULL) {
		const char *from = c->files[inc->pos.file].path;
		int dir = (int)(strrchr(from, '/') - from);
		struct buf b = { 0 };

		assert_int_equal(config_from(c, inc),
		    c->files[inc->pos.file].number);
		snprintf(path, sizeof(path), "%.*s/%s", dir, from, inc->name);
		snprintf(real, sizeof(real), GOLDEN "%s", path + strlen(MOUNT));
		if (slurp(real, &b) == -1)
			config_missing(c, EX_NOINPUT, strerror(errno));
		else
			config_add(c, number++, path, b.data, b.len);
		buf_free(&b);
	}
}

/* Read a configuration as wharf-config does; its normal form or errors. */
static void
run(const char *path, const void *data, size_t len, struct buf *out)
{
	struct config *c = config_new();
	char line[64];

	config_add(c, 0, path, data, len);
	bring(c);
	if (config_check(c) == 0) {
		for (size_t i = 0; i < c->nengines; i++)
			if (c->engines[i].host != NULL)
				config_set_host(c, i, "", "");
		config_sort_errors(c);
	}
	if (c->nerrors == 0)
		config_print(c, out);
	for (size_t i = 0; i < c->nerrors; i++) {
		snprintf(line, sizeof(line), "%d ", c->errors[i].code);
		add_text(out, line);
		add_text(out, c->errors[i].text);
		add_text(out, "\n");
	}
	buf_add(out, "", 1);
	config_free(c);
}

static bool
is_errors(const struct buf *out)
{
	return (out->data[0] >= '0' && out->data[0] <= '9');
}

static void
compare(const char *path, const struct buf *out)
{
	const char *renew = getenv("WHARF_GOLDEN");
	struct buf want = { 0 };
	FILE *f;

	if (renew != NULL && strcmp(renew, "renew") == 0) {
		f = fopen(path, "w");
		assert_non_null(f);
		fputs((char *)out->data, f);
		assert_int_equal(fclose(f), 0);
		return;
	}
	if (slurp(path, &want) == -1)
		fail_msg("%s: %s", path, strerror(errno));
	buf_add(&want, "", 1);
	if (strcmp((char *)want.data, (char *)out->data) != 0)
		print_error("%s\n", path);
	assert_string_equal((char *)out->data, (char *)want.data);
	buf_free(&want);
}

/* The normal form comes to itself. */
static void
check_again(const char *name, const struct buf *out)
{
	struct buf again = { 0 };

	run("/elsewhere/normal.yaml", out->data, out->len - 1, &again);
	if (strcmp((char *)again.data, (char *)out->data) != 0)
		print_error("%s: its normal form is another one\n", name);
	assert_string_equal((char *)again.data, (char *)out->data);
	buf_free(&again);
}

static void
test_case(const char *name)
{
	struct buf in = { 0 }, out = { 0 };
	char path[512];

	snprintf(path, sizeof(path), GOLDEN "%s.yaml", name);
	assert_int_equal(slurp(path, &in), 0);
	snprintf(path, sizeof(path), MOUNT "%s.yaml", name);
	run(path, in.data, in.len, &out);
	snprintf(path, sizeof(path), GOLDEN "%s.out", name);
	compare(path, &out);
	if (!is_errors(&out))
		check_again(name, &out);
	buf_free(&in);
	buf_free(&out);
}

static void
test_golden(void **state)
{
	struct dirent **list;
	int n = scandir(GOLDEN, &list, NULL, alphasort), cases = 0;
	char *dot;

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		dot = strrchr(list[i]->d_name, '.');
		if (dot != NULL && strcmp(dot, ".yaml") == 0) {
			*dot = '\0';
			test_case(list[i]->d_name);
			cases++;
		}
		free(list[i]);
	}
	free(list);
	assert_true(cases >= CASES_MIN);
}

/* The page's example is the file, and is right. */
static void
test_example(void **state)
{
	struct buf page = { 0 }, file = { 0 }, out = { 0 };
	char *begin, *end;

	assert_int_equal(slurp(PAGE, &page), 0);
	assert_int_equal(slurp(EXAMPLE, &file), 0);
	buf_add(&page, "", 1);
	buf_add(&file, "", 1);
	begin = strstr((char *)page.data, "\n.Sh EXAMPLES\n");
	assert_non_null(begin);
	begin = strstr(begin, ".Bd -literal");
	assert_non_null(begin);
	begin = strchr(begin, '\n') + 1;
	end = strstr(begin, "\n.Ed\n");
	assert_non_null(end);
	end[1] = '\0';
	assert_string_equal(begin, (char *)file.data);
	run("/etc/wharf/wharfd.yaml", file.data, file.len - 1, &out);
	assert_false(is_errors(&out));
	check_again(EXAMPLE, &out);
	buf_free(&page);
	buf_free(&file);
	buf_free(&out);
}

/* Hostile files. */

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec / 1e9);
}

/* An error, soon, and not for a lot of memory. */
static void
hostile(const char *name, const struct buf *in)
{
	struct rusage before, after;
	struct buf out = { 0 };
	double start = seconds(), took;

	getrusage(RUSAGE_SELF, &before);
	run("/conf/hostile.yaml", in->data, in->len, &out);
	took = seconds() - start;
	getrusage(RUSAGE_SELF, &after);
	print_message("# %s: %.3f s, %ld KiB: %.*s\n", name, took,
	    after.ru_maxrss - before.ru_maxrss,
	    (int)strcspn((char *)out.data, "\n"), (char *)out.data);
	assert_true(is_errors(&out));
	assert_true(took < 1.0);
	assert_true(after.ru_maxrss - before.ru_maxrss < 128 * 1024);
	buf_free(&out);
}

/* head, then unit again and again up to size bytes, then tail. */
static void
repeated(const char *name, const char *head, const char *unit, const char *tail,
    size_t size)
{
	struct buf in = { 0 };

	add_text(&in, head);
	while (in.len + strlen(unit) + strlen(tail) <= size)
		add_text(&in, unit);
	add_text(&in, tail);
	hostile(name, &in);
	buf_free(&in);
}

static void
test_hostile_repeated(void **state)
{
	const size_t m = YDOC_FILE_MAX;

	repeated("brackets", "", "[", "", m);
	repeated("braces", "", "{", "", m);
	repeated("dashes", "", "- ", "", m);
	repeated("dashes in lines", "", "-\n", "", m);
	repeated("questions", "", "? ", "", m);
	repeated("keys of keys", "", "[{", "", m);
	repeated("colons", "", ": ", "", m);
	repeated("quotes", "services: {a: {dir: \"", "\\x41", "\"}}", m);
	repeated("one long word", "", "a", "", m);
	repeated("one long line", "", "a ", "", m);
	repeated("empty lines", "services:\n", "\n", " - x", m);
	repeated("comments", "", "#", "", m);
	repeated("many values", "include: [", "a,", "]", m);
	repeated("the same key", "services:\n", "  a: {dir: x}\n", "", m);
	repeated("the same short key", "{", "a,", "}", m);
	repeated("anchors", "include: [", "&a x,", "]", m);
	repeated("directives", "", "%A b\n", "--- {}", m);
	repeated("block text", "services: |\n", " x\n", "", m);
	repeated("documents", "", "---\n", "", m);
	repeated("too long", "", "#", "\n", m + 1);
	repeated("zeros", "", "\x01", "", m);
}

/* Different keys: nothing that is looked through for each may be long. */
static void
test_hostile_keys(void **state)
{
	static const char *const heads[] = { "", "services:\n",
		"services:\n  aa:\n    dir: x\n    environment:\n" };
	static const char *const names[] = { "keys", "services", "variables" };

	for (size_t h = 0; h < 3; h++) {
		struct buf in = { 0 };
		char line[64];

		add_text(&in, heads[h]);
		for (int i = 0; i < 40000; i++) {
			snprintf(line, sizeof(line), "%*sk%d: x\n",
			    h == 0     ? 0 :
				h == 1 ? 2 :
					 6,
			    "", i);
			add_text(&in, line);
		}
		hostile(names[h], &in);
		buf_free(&in);
	}
}

static void
test_hostile_laughs(void **state)
{
	struct buf in = { 0 };
	char line[256];

	add_text(&in, "services:\n  l0: &l0 {dir: x}\n");
	for (int i = 1; i < 20; i++) {
		snprintf(line, sizeof(line), "  l%d: &l%d {", i, i);
		add_text(&in, line);
		for (int j = 0; j < 9; j++) {
			snprintf(line, sizeof(line), "k%d: *l%d, ", j, i - 1);
			add_text(&in, line);
		}
		add_text(&in, "}\n");
	}
	hostile("laughs", &in);
	buf_free(&in);
}

/* One long text, many times: the bytes count as well. */
static void
test_hostile_text(void **state)
{
	struct buf in = { 0 };
	char line[64];

	add_text(&in,
	    "services:\n  aa:\n    dir: x\n    environment:\n"
	    "      K: &k ");
	for (int i = 0; i < 60000; i++)
		add_text(&in, "x");
	add_text(&in, "\n");
	for (int i = 0; i < 900; i++) {
		snprintf(line, sizeof(line), "      K%d: *k\n", i);
		add_text(&in, line);
	}
	hostile("long text", &in);
	buf_free(&in);
}

/* A service has to be a frame, and all of them a queue. */
static void
test_too_large(void **state)
{
	struct buf in = { 0 }, out = { 0 };
	char line[64];

	add_text(&in, "services:\n  aa:\n    dir: x\n    environment:\n");
	for (int i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "      K%d: ", i);
		add_text(&in, line);
		for (int j = 0; j < 60000; j++)
			add_text(&in, "x");
		add_text(&in, "\n");
	}
	run("/c", in.data, in.len, &out);
	assert_string_equal((char *)out.data,
	    "65 /c:2:3: services.aa: is too large: 240109 bytes; 200000 are "
	    "the most\n");
	buf_free(&in);
	buf_free(&out);
}

/* The addresses that contexts give. */
static void
test_hosts(void **state)
{
	static const char text[] = "engines:\n  a: {}\n  b: {context: b}\n"
				   "  c: {context: c}\nservices: {}\n";
	struct config *c = config_new();

	config_add(c, 0, "/c", text, strlen(text));
	assert_null(config_wants(c));
	assert_int_equal(config_check(c), 0);
	assert_int_equal(config_set_host(c, 0, "", "context \"default\""), 0);
	assert_string_equal(c->engines[0].host, "unix:///var/run/docker.sock");
	assert_int_equal(config_set_host(c, 1, "ssh://me@\x1b", "there"), -1);
	assert_int_equal(config_set_host(c, 2, "unix:///var/run/docker.sock",
			     "x"),
	    -1);
	config_sort_errors(c);
	assert_int_equal(c->nerrors, 2);
	assert_string_equal(c->errors[0].text,
	    "/c:3:3: engines.b: there: only unix:///path is served so far; "
	    "ssh://me@\\x1b is ssh");
	assert_int_equal(c->errors[0].code, EX_UNAVAILABLE);
	assert_string_equal(c->errors[1].text,
	    "/c:4:3: engines.c: is the engine a of /c:2 again "
	    "(unix:///var/run/docker.sock); name it once");
	assert_int_equal(c->errors[1].code, EX_DATAERR);
	config_free(c);
}

/* What config is refused, with the supervisor's code. */
static void
test_missing(void **state)
{
	static const char text[] = "include: [a.yaml, b.yaml]\n";
	static const char more[] = "services: {w: {dir: w}}\n";
	const struct config_include *inc;
	struct config *c = config_new();

	config_add(c, 0, "/etc/c", text, strlen(text));
	inc = config_wants(c);
	assert_string_equal(inc->name, "a.yaml");
	config_missing(c, EX_NOPERM, "it belongs to another user");
	inc = config_wants(c);
	assert_string_equal(inc->name, "b.yaml");
	/* a link to the first file */
	config_add(c, 7, "/etc/c", more, strlen(more));
	assert_null(config_wants(c));
	assert_int_equal(config_check(c), -1);
	assert_int_equal(c->nerrors, 2);
	assert_int_equal(c->errors[0].code, EX_NOPERM);
	assert_string_equal(c->errors[0].text,
	    "/etc/c:1:11: include[0]: a.yaml: it belongs to another user");
	assert_string_equal(c->errors[1].text,
	    "/etc/c:1:19: include[1]: /etc/c includes itself; an include "
	    "leads to other files");
	assert_int_equal(c->nservices, 0);
	config_free(c);
}

/* Whatever stands in a scalar reads back as it was. */
static void
check_scalar(const char *s)
{
	struct buf b = { 0 };
	struct ydoc_error err;
	struct ydoc *y;
	const struct ynode *root;

	yamlout_open(&b, 0, s);
	yamlout_string(&b, 1, s, s);
	y = ydoc_read(b.data, b.len, &err);
	if (y == NULL)
		fail_msg("%.*s: %s", (int)b.len, (char *)b.data, err.text);
	root = ydoc_root(y);
	assert_string_equal(root->kids[0]->text, s);
	assert_string_equal(root->kids[1]->kids[0]->text, s);
	assert_string_equal(root->kids[1]->kids[1]->text, s);
	ydoc_free(y);
	buf_free(&b);
}

static void
test_scalars(void **state)
{
	static const char *const all[] = { "", " ", "a", "true", "No", "~",
		"null", "0x1", "1e3", "-", "- a", "a: b", "a:", ":a", "a #b",
		"#a", "a\nb\n", "\n", "\ta\t", "\"", "'", "\\", "a\\nb", "[a]",
		"{a: b}", "*a", "&a", "!a", "%a", "@a", "`a", "|", ">", "?",
		"? a", "---", "...", "--- a", "a,b", "<<", "=", "\x1b[31m",
		"\x7f", "\xc2\x80", "\xc2\x85", "\xc2\xa0", "\xe2\x80\xa8",
		"\xe2\x80\xae", "\xef\xbb\xbf", "\xef\xbf\xbe", "\xef\xbf\xbf",
		"\xef\xbf\xbd", "\xf0\x9f\x90\xb3", "\xf4\x8f\xbf\xbf",
		"stra\303\237e", "a\rb", "\x01\x02\x1f", "12:30:45",
		"2001-01-01", "/a:/b:ro" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		check_scalar(all[i]);
}

/* Random texts of all that means something in YAML. */
static void
test_scalars_random(void **state)
{
	static const char chars[] = "ab:-#\"'\\ \n\t,[]{}&*!|>%@`?~0.\r\x01";
	uint32_t x = 12345;
	char s[24];
	size_t n;

	for (int i = 0; i < 20000; i++) {
		n = 0;
		do {
			x = x * 1664525 + 1013904223;
			s[n++] = chars[(x >> 16) % (sizeof(chars) - 1)];
		} while (n < sizeof(s) - 1 && (x >> 24) % 8 != 0);
		s[n] = '\0';
		check_scalar(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_hostile_repeated),
		cmocka_unit_test(test_hostile_keys),
		cmocka_unit_test(test_hostile_laughs),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_scalars_random),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
