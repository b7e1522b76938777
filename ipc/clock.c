/*
 * The clocks, see clock.h.  Any process.
 */
#include <time.h>

#include "clock.h"

static const mono_t *fake;

static int64_t
clock_read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

mono_t
mono_now(void)
{
	if (fake != NULL)
		return (*fake);
	return ((mono_t) { clock_read_ns(CLOCK_MONOTONIC) });
}

int64_t
wall_now_ns(void)
{
	return (clock_read_ns(CLOCK_REALTIME));
}

mono_t
mono_add_ms(mono_t t, int64_t ms)
{
	int64_t ns;

	if (__builtin_mul_overflow(ms, (int64_t)1000000, &ns) ||
	    __builtin_add_overflow(t.ns, ns, &t.ns))
		return (MONO_NEVER);
	return (t);
}

int64_t
mono_diff_ms(mono_t a, mono_t b)
{
	int64_t d = a.ns - b.ns;

	return (d >= 0 ? d / 1000000 : -((-d + 999999) / 1000000));
}

void
mono_fake(const mono_t *now)
{
	fake = now;
}
