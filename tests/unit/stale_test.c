/*
 * Socket files that nobody will answer behind again.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/stale.h"

static const mono_t start = { 1000000000 };

/* A mount of its own: in every namespace, /proc is one. */
static void
test_mount(void **state)
{
	struct stale s = { 0 };

	assert_false(stale_is(&s, "/proc", ECONNREFUSED, start));
	assert_false(stale_is(&s, "/proc", ECONNREFUSED,
	    mono_add_ms(start, STALE_MS - 1)));
	assert_true(
	    stale_is(&s, "/proc", ECONNREFUSED, mono_add_ms(start, STALE_MS)));
	/* anything else begins anew */
	assert_false(stale_is(&s, "/proc", 0, mono_add_ms(start, STALE_MS)));
	assert_false(
	    stale_is(&s, "/proc", ECONNREFUSED, mono_add_ms(start, STALE_MS)));
	assert_false(
	    stale_is(&s, "/proc", EAGAIN, mono_add_ms(start, 2 * STALE_MS)));
	assert_false(stale_is(&s, "/nonexistent", ECONNREFUSED,
	    mono_add_ms(start, 3 * STALE_MS)));
}

/* Another file there is another chance; one that is no mount is patience. */
static void
test_file(void **state)
{
	char path[] = "/tmp/wharf-stale.XXXXXX";
	struct stale s = { 0 };
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	close(fd);
	assert_false(stale_is(&s, path, ECONNREFUSED, start));
	assert_false(stale_is(&s, path, ECONNREFUSED,
	    mono_add_ms(start, 10 * STALE_MS)));
	assert_false(stale_is(&s, "/proc", ECONNREFUSED,
	    mono_add_ms(start, 10 * STALE_MS)));
	assert_true(stale_is(&s, "/proc", ECONNREFUSED,
	    mono_add_ms(start, 11 * STALE_MS)));
	assert_int_equal(unlink(path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mount),
		cmocka_unit_test(test_file),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
