/*
 * The engine's timestamps.
 */
#include <ctype.h>
#include <string.h>
#include <time.h>

#include "workers/plan/plan.h"

/* ".123456" as ns; moves *p behind it. */
static int64_t
when_fraction(const char **p)
{
	int64_t ns = 0, unit = 100000000;

	if (**p != '.')
		return (0);
	for ((*p)++; isdigit((unsigned char)**p); (*p)++, unit /= 10)
		ns += (**p - '0') * unit;
	return (ns);
}

/* "Z" or "+hh:mm" as seconds east of UTC. */
static int
when_zone(const char *p, int64_t *east)
{
	int h, m;

	*east = 0;
	if (strcmp(p, "Z") == 0)
		return (0);
	if ((p[0] != '+' && p[0] != '-') || strlen(p) != 6 || p[3] != ':' ||
	    !isdigit((unsigned char)p[1]) || !isdigit((unsigned char)p[2]) ||
	    !isdigit((unsigned char)p[4]) || !isdigit((unsigned char)p[5]))
		return (-1);
	h = (p[1] - '0') * 10 + p[2] - '0';
	m = (p[4] - '0') * 10 + p[5] - '0';
	*east = (p[0] == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return (0);
}

int
when_parse(const char *s, int64_t *ns)
{
	struct tm tm = { 0 };
	const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t frac, east;

	if (p == NULL)
		return (-1);
	frac = when_fraction(&p);
	if (when_zone(p, &east) == -1)
		return (-1);
	/* year 1 is "never" to the engine, and before what 64 bits hold */
	if (__builtin_mul_overflow((int64_t)timegm(&tm) - east,
		(int64_t)1000000000, ns) ||
	    __builtin_add_overflow(*ns, frac, ns))
		*ns = INT64_MIN;
	return (0);
}
