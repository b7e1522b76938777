/*
 * Shell patterns of variable expansion: '*', '?', and a backslash before
 * these.  Matching keeps a set of positions and never backtracks, so that its
 * cost is the product of the lengths.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/buf.h"
#include "workers/shared/dockerfile_pattern.h"

/* A pattern in steps: a byte, any byte ('?'), or any bytes ('*'). */
#define ANY_BYTE  256
#define ANY_BYTES 257

struct pattern {
	int *steps;
	size_t n;
};

static int
compile(const char *s, struct pattern *p, char *errbuf, size_t errlen)
{
	p->n = 0;
	p->steps = xcalloc(strlen(s) + 1, sizeof(*p->steps));
	for (; *s != '\0'; s++) {
		int step = (unsigned char)*s;

		if (*s == '*')
			step = ANY_BYTES;
		else if (*s == '?')
			step = ANY_BYTE;
		else if (*s == '\\') {
			s++;
			if (*s == '}' || *s == '/' || *s == '*' || *s == '?' ||
			    *s == '\\')
				step = (unsigned char)*s;
			else {
				snprintf(errbuf, errlen, "invalid escape");
				free(p->steps);
				p->steps = NULL;
				return (-1);
			}
		}
		p->steps[p->n++] = step;
	}
	return (0);
}

static void
reverse(struct pattern *p)
{
	size_t i;

	for (i = 0; i < p->n / 2; i++) {
		int t = p->steps[i];

		p->steps[i] = p->steps[p->n - 1 - i];
		p->steps[p->n - 1 - i] = t;
	}
}

static unsigned char
byte_at(const char *s, size_t len, size_t i, bool back)
{
	return ((unsigned char)(back ? s[len - 1 - i] : s[i]));
}

/* Let every position pass the stars that stand before it. */
static void
pass_stars(const struct pattern *p, bool *at)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (at[i] && p->steps[i] == ANY_BYTES)
			at[i + 1] = true;
}

/* Length of the match at the start (or end) of s, or -1. */
static long
match(const struct pattern *p, const char *s, size_t len, bool back,
    bool longest)
{
	bool *at, any = true;
	size_t i, k;
	long found = -1;

	at = xcalloc(p->n + 1, sizeof(*at));
	at[0] = true;
	for (i = 0; any; i++) {
		pass_stars(p, at);
		if (at[p->n]) {
			found = (long)i;
			if (!longest)
				break;
		}
		if (i == len)
			break;
		any = false;
		at[p->n] = false;
		for (k = p->n; k-- > 0;) {
			if (!at[k])
				continue;
			if (p->steps[k] == ANY_BYTES) {
				any = true;
				continue;
			}
			at[k] = false;
			if (p->steps[k] == ANY_BYTE ||
			    p->steps[k] == byte_at(s, len, i, back))
				at[k + 1] = any = true;
		}
	}
	free(at);
	return (found);
}

size_t
dockerfile_pattern_cost(const char *pattern, const char *value, bool anywhere)
{
	size_t m = strlen(pattern) + 1, n = strlen(value) + 1;

	return (anywhere ? m * n * n : m * n);
}

char *
dockerfile_pattern_trim(const char *pattern, const char *value, bool at_end,
    bool longest, char *errbuf, size_t errlen)
{
	struct pattern p;
	size_t len = strlen(value);
	long n;

	if (compile(pattern, &p, errbuf, errlen) == -1)
		return (NULL);
	if (at_end)
		reverse(&p);
	n = match(&p, value, len, at_end, longest);
	free(p.steps);
	if (n == -1)
		n = 0;
	if (at_end)
		return (xstrndup(value, len - (size_t)n));
	return (xstrdup(value + n));
}

char *
dockerfile_pattern_replace(const char *pattern, const char *value,
    const char *repl, bool all, size_t max, char *errbuf, size_t errlen)
{
	struct pattern p;
	struct buf out = { 0 };
	const char *end = value + strlen(value);
	char *s = NULL;
	bool done = false;
	long n;

	if (compile(pattern, &p, errbuf, errlen) == -1)
		return (NULL);
	for (; value <= end; value++) {
		n = done ? -1 :
			   match(&p, value, (size_t)(end - value), false, true);
		if (n >= 0) {
			buf_add(&out, repl, strlen(repl));
			done = !all;
		}
		if (n > 0)
			value += n - 1;
		else if (value < end)
			buf_add(&out, value, 1);
		/* No empty match directly behind another one. */
		if (n > 0 && value + 1 == end)
			break;
		if (out.len > max) {
			snprintf(errbuf, errlen, "the result is too long");
			goto out;
		}
	}
	s = xstrndup(out.len == 0 ? "" : (const char *)out.data, out.len);
out:
	buf_free(&out);
	free(p.steps);
	return (s);
}
