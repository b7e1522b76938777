/*
 * filepath.Match of Go, which Docker uses for the sources of COPY and ADD: no
 * "**", no braces, '*' and '?' stop at '/', names with a leading dot are like
 * any other.
 */
#include <string.h>

#include "workers/shared/copyplan.h"

/* One character at s: its code, and its length in *n. */
static unsigned
take_char(const char *s, size_t *n)
{
	const unsigned char *u = (const unsigned char *)s;
	unsigned c = u[0], more, i;

	*n = 1;
	if (c < 0xc2 || c > 0xf4)
		return (c);
	more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	c &= 0x3fu >> more;
	for (i = 1; i <= more; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return (u[0] | 0x110000u); /* not UTF-8: a byte */
		c = c << 6 | (u[i] & 0x3f);
	}
	*n = more + 1;
	return (c);
}

/* A character of a class, with escapes; NULL: malformed. */
static const char *
class_char(const char *p, unsigned *c)
{
	size_t n;

	if (*p == '\0' || *p == '-' || *p == ']')
		return (NULL);
	if (*p == '\\' && *++p == '\0')
		return (NULL);
	*c = take_char(p, &n);
	return (p[n] == '\0' ? NULL : p + n);
}

/* [...] at p against c: what follows the class, NULL malformed. */
static const char *
match_class(const char *p, unsigned c, bool *hit)
{
	unsigned lo, hi;
	bool negated = false, any = false;

	p++;
	if (*p == '^') {
		negated = true;
		p++;
	}
	*hit = false;
	while (*p != ']' || !any) {
		if ((p = class_char(p, &lo)) == NULL)
			return (NULL);
		hi = lo;
		if (*p == '-' && (p = class_char(p + 1, &hi)) == NULL)
			return (NULL);
		if (lo <= c && c <= hi)
			*hit = true;
		any = true;
	}
	*hit = *hit != negated;
	return (p + 1);
}

/*
 * One element of the pattern at *p, not '*', against s: the bytes of s it
 * takes, 0 no match, -1 malformed.
 */
static long
match_one(const char **p, const char *s)
{
	size_t n, m;
	unsigned c = take_char(s, &n);
	bool hit;

	if (**p == '[') {
		if ((*p = match_class(*p, c, &hit)) == NULL)
			return (-1);
		return (*s != '\0' && hit ? (long)n : 0);
	}
	if (**p == '?') {
		(*p)++;
		return (*s != '\0' && *s != '/' ? (long)n : 0);
	}
	if (**p == '\\' && *++*p == '\0')
		return (-1);
	hit = take_char(*p, &m) == c && *s != '\0';
	*p += m;
	return (hit ? (long)n : 0);
}

static int
check_rest(const char *p)
{
	while (*p != '\0') {
		if (*p == '*')
			p++;
		else if (match_one(&p, "x") == -1)
			return (-1);
	}
	return (0);
}

int
copyplan_match(const char *p, const char *s)
{
	const char *star = NULL, *back = NULL, *next;
	long n;

	if (check_rest(p) == -1)
		return (-1);
	while (*p != '\0' || *s != '\0') {
		if (*p == '*') {
			star = ++p;
			back = s;
			continue;
		}
		if (*p != '\0') {
			next = p;
			if ((n = match_one(&next, s)) > 0) {
				p = next;
				s += n;
				continue;
			}
		}
		/* Let the last star take one byte more. */
		if (star == NULL || *back == '\0' || *back == '/')
			return (0);
		s = ++back;
		p = star;
	}
	return (1);
}
