/*
 * Image references.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workers/shared/imageref.h"

#define HEX16 "0123456789abcdef"
#define HEX64 HEX16 HEX16 HEX16 HEX16

static const struct {
	const char *ref, *want, *familiar; /* '!': an error */
} table[] = {
	{ "debian", "docker.io/library/debian:latest", "debian:latest" },
	{ "debian:12", "docker.io/library/debian:12", "debian:12" },
	{ "docker.io/debian", "docker.io/library/debian:latest",
	    "debian:latest" },
	{ "index.docker.io/me/x", "docker.io/me/x:latest", "me/x:latest" },
	{ "me/x:1_a.B-c", "docker.io/me/x:1_a.B-c", "me/x:1_a.B-c" },
	{ "localhost/x", "localhost/x:latest", "localhost/x:latest" },
	{ "localhost:5000/x", "localhost:5000/x:latest",
	    "localhost:5000/x:latest" },
	{ "h.example/a/b/c:2", "h.example/a/b/c:2", "h.example/a/b/c:2" },
	{ "h:80/x:2", "h:80/x:2", "h:80/x:2" },
	{ "[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest" },
	{ "HOST/x", "HOST/x:latest", "HOST/x:latest" },
	{ "x@sha256:" HEX64, "docker.io/library/x@sha256:" HEX64,
	    "x@sha256:" HEX64 },
	{ "x:1@sha256:" HEX64, "docker.io/library/x:1@sha256:" HEX64,
	    "x:1@sha256:" HEX64 },
	{ "docker.io/a.b/c", "docker.io/a.b/c:latest",
	    "docker.io/a.b/c:latest" },
	{ "docker.io/localhost/c", "docker.io/localhost/c:latest",
	    "docker.io/localhost/c:latest" },
	{ "a__b/c--d.e", "docker.io/a__b/c--d.e:latest", "a__b/c--d.e:latest" },
	{ "", "!invalid reference format", NULL },
	{ "Debian", "!must be lowercase", NULL },
	{ "$I", "!must be lowercase", NULL },
	{ "a___b", "!invalid reference format", NULL },
	{ "a..b", "!invalid reference format", NULL },
	{ "-a", "!invalid reference format", NULL },
	{ "a/", "!invalid reference format", NULL },
	{ "a//b", "!invalid reference format", NULL },
	{ "a:", "!invalid reference format", NULL },
	{ "a:-x", "!invalid reference format", NULL },
	{ "a b", "!invalid reference format", NULL },
	{ "a@sha256:abc", "!invalid reference format", NULL },
	{ "a@md5:" HEX64, "!unsupported digest algorithm", NULL },
	{ "a@sha512:" HEX64, "!invalid checksum digest length", NULL },
	{ "a@b:" HEX64, "!unsupported digest algorithm", NULL },
	{ "h:x/y", "!invalid reference format", NULL },
	{ HEX64, "!64-byte hexadecimal", NULL },
};

static void
test_table(void **state)
{
	struct imageref ref;
	char err[200], *s;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		s = imageref_normal(table[i].ref, err, sizeof(err));
		if (table[i].want[0] == '!') {
			if (s != NULL)
				fail_msg("taken: %s", table[i].ref);
			if (strstr(err, table[i].want + 1) == NULL)
				fail_msg("%s: %s", table[i].ref, err);
			continue;
		}
		if (s == NULL)
			fail_msg("%s: %s", table[i].ref, err);
		assert_string_equal(s, table[i].want);
		free(s);
		assert_int_equal(imageref_parse(table[i].ref, &ref, err,
				     sizeof(err)),
		    0);
		s = imageref_familiar(&ref);
		assert_string_equal(s, table[i].familiar);
		free(s);
		imageref_clear(&ref);
	}
}

static void
test_parts(void **state)
{
	struct imageref ref;
	char err[200];

	assert_int_equal(imageref_parse("r.io:1/a/b:t@sha256:" HEX64, &ref, err,
			     sizeof(err)),
	    0);
	assert_string_equal(ref.registry, "r.io:1");
	assert_string_equal(ref.repository, "a/b");
	assert_string_equal(ref.tag, "t");
	assert_string_equal(ref.digest, "sha256:" HEX64);
	imageref_clear(&ref);
	assert_null(ref.tag);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_parts),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
