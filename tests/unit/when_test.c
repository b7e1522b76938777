/*
 * The engine's timestamps (workers/plan/when.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "workers/plan/plan.h"

static void
good(const char *s, int64_t want)
{
	int64_t ns = -1;

	assert_int_equal(when_parse(s, &ns), 0);
	assert_int_equal(ns, want);
}

static void
test_good(void **state)
{
	good("1970-01-01T00:00:00Z", 0);
	good("1970-01-01T00:00:01.5Z", 1500000000);
	good("2026-03-04T05:06:07.123456789Z", 1772600767123456789);
	good("2026-03-04T05:06:07.1Z", 1772600767100000000);
	good("2026-03-04T07:36:07+02:30", 1772600767000000000);
	good("2026-03-04T00:06:07-05:00", 1772600767000000000);
	/* what a container says that has never run */
	good("0001-01-01T00:00:00Z", INT64_MIN);
}

static void
test_bad(void **state)
{
	static const char *const bad[] = { "", "now", "2026-03-04",
		"2026-03-04T05:06:07", "2026-03-04T05:06:07Zulu",
		"2026-03-04T05:06:07.1", "2026-03-04T05:06:07+2:30",
		"2026-13-04T05:06:07Z" };
	int64_t ns;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(when_parse(bad[i], &ns), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return (cmocka_run_group_tests_name("when", tests, NULL, NULL));
}
