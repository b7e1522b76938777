/*
 * Reading the classes and the escapes of .dockerignore expressions, as Go
 * does.  Pure code; called by ignore_regex_parse.c.
 */

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/shared/ignore_regex.h"
#include "workers/shared/ignore_regex_parse.h"
#include "workers/shared/utf8.h"

#define RUNE_MAX 0x10ffffU

/* A named set of ASCII ranges. */
struct group {
	const char *name;
	unsigned char r[10]; /* pairs, ends where the second is zero */
};

static const struct group posix_groups[] = {
	{ "alnum", "09AZaz" },
	{ "alpha", "AZaz" },
	{ "ascii", "\0\177" },
	{ "blank", "\t\t  " },
	{ "cntrl", "\0\037\177\177" },
	{ "digit", "09" },
	{ "graph", "!~" },
	{ "lower", "az" },
	{ "print", " ~" },
	{ "punct", "!/:@[`{~" },
	{ "space", "\t\r  " },
	{ "upper", "AZ" },
	{ "word", "09AZaz__" },
	{ "xdigit", "09AFaf" },
};

static const struct group perl_groups[] = {
	{ "d", "09" },
	{ "s", "\t\n\f\r  " },
	{ "w", "09AZ__az" },
};

int
regex_fail(struct regex_parser *ps, const char *why)
{
	ps->why = why;
	return (-1);
}

/* Makes room for one more element; NULL: no memory. */
void *
regex_grow(void *old, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return (old);
	*cap = *cap == 0 ? 8 : *cap * 2;
	return (xreallocarray(old, *cap, size));
}

/* gcc 12's analyzer does not see that re->ranges keeps what regex_grow() gave.
 */
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
int
regex_range_add(struct regex_parser *ps, uint32_t lo, uint32_t hi)
{
	struct ignore_regex *re = ps->re;
	struct regex_class *c = &re->classes[re->nclasses - 1];
	struct regex_range *r;
	uint32_t i;

	for (i = lo; i <= hi && i < 128; i++)
		c->ascii[i / 64] |= UINT64_C(1) << i % 64;
	if (hi < 128)
		return (0);
	r = regex_grow(re->ranges, re->nranges, &re->ranges_cap, sizeof(*r));
	if (r == NULL)
		return (regex_fail(ps, "no memory"));
	re->ranges = r;
	re->ranges[re->nranges++] = (struct regex_range) { .lo = lo, .hi = hi };
	c->n++;
	return (0);
}
#ifndef __clang__
#pragma GCC diagnostic pop
#endif

/* Begins a class, to which ranges are added until class_end. */
int
regex_class_begin(struct regex_parser *ps)
{
	struct ignore_regex *re = ps->re;
	struct regex_class *c;

	c = regex_grow(re->classes, re->nclasses, &re->classes_cap, sizeof(*c));
	if (c == NULL)
		return (regex_fail(ps, "no memory"));
	re->classes = c;
	memset(&c[re->nclasses], 0, sizeof(*c));
	c[re->nclasses++].first = re->nranges;
	return (0);
}

uint32_t
regex_class_end(struct regex_parser *ps, bool negated)
{
	struct regex_class *c = &ps->re->classes[ps->re->nclasses - 1];

	c->negated = negated;
	if (negated) {
		c->ascii[0] = ~c->ascii[0];
		c->ascii[1] = ~c->ascii[1];
	}
	return ((uint32_t)(ps->re->nclasses - 1));
}

static int
group_add(struct regex_parser *ps, const struct group *g, bool negated)
{
	uint32_t next = 0;
	size_t i;

	for (i = 0; g->r[i + 1] != 0; i += 2) {
		if (!negated) {
			if (regex_range_add(ps, g->r[i], g->r[i + 1]) == -1)
				return (-1);
			continue;
		}
		if (g->r[i] > next &&
		    regex_range_add(ps, next, g->r[i] - 1U) == -1)
			return (-1);
		next = g->r[i + 1] + 1U;
	}
	return (negated ? regex_range_add(ps, next, RUNE_MAX) : 0);
}

/* \d \D \s \S \w \W: 1 when there was one, which is added to the class. */
int
regex_perl_group_add(struct regex_parser *ps)
{
	size_t i;

	if (ps->end - ps->p < 2 || ps->p[0] != '\\')
		return (0);
	for (i = 0; i < sizeof(perl_groups) / sizeof(perl_groups[0]); i++) {
		const struct group *g = &perl_groups[i];

		if ((ps->p[1] | 0x20) != g->name[0])
			continue;
		if (group_add(ps, g, ps->p[1] != g->name[0]) == -1)
			return (-1);
		ps->p += 2;
		return (1);
	}
	return (0);
}

/* "[:name:]" or "[:^name:]" inside of a class: 1 when there was one. */
static int
posix_group_add(struct regex_parser *ps)
{
	const char *name = ps->p + 2, *stop;
	bool negated;
	size_t i, len;

	if (ps->end - ps->p <= 2 || memcmp(ps->p, "[:", 2) != 0)
		return (0);
	stop = memmem(name, (size_t)(ps->end - name), ":]", 2);
	if (stop == NULL)
		return (0);
	negated = *name == '^';
	if (negated)
		name++;
	len = (size_t)(stop - name);
	for (i = 0; i < sizeof(posix_groups) / sizeof(posix_groups[0]); i++)
		if (strlen(posix_groups[i].name) == len &&
		    memcmp(posix_groups[i].name, name, len) == 0)
			break;
	if (i == sizeof(posix_groups) / sizeof(posix_groups[0]))
		return (regex_fail(ps,
		    "unknown class name between \"[:\" and \":]\""));
	if (group_add(ps, &posix_groups[i], negated) == -1)
		return (-1);
	ps->p = stop + 2;
	return (1);
}

static bool
is_octal(const struct regex_parser *ps)
{
	return (ps->p < ps->end && *ps->p >= '0' && *ps->p <= '7');
}

static int
hex_value(const struct regex_parser *ps, ptrdiff_t at)
{
	char c = '\0';

	if (at < ps->end - ps->p)
		c = ps->p[at];
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

/* "{...}" of "\x{...}". */
static int
escape_braces(struct regex_parser *ps, uint32_t *rune)
{
	uint32_t v = 0;
	int digit, n;

	ps->p++;
	for (n = 0; (digit = hex_value(ps, 0)) >= 0; n++, ps->p++) {
		v = v * 16 + (uint32_t)digit;
		if (v > RUNE_MAX)
			return (regex_fail(ps, "no such code point"));
	}
	if (n == 0 || ps->p >= ps->end || *ps->p != '}')
		return (regex_fail(ps, "\"\\x{\" without digits and a '}'"));
	ps->p++;
	*rune = v;
	return (0);
}

/* What follows "\x". */
static int
escape_hex(struct regex_parser *ps, uint32_t *rune)
{
	int hi = hex_value(ps, 0), lo = hex_value(ps, 1);

	if (ps->p < ps->end && *ps->p == '{')
		return (escape_braces(ps, rune));
	if (hi < 0 || lo < 0)
		return (
		    regex_fail(ps, "\"\\x\" without two hexadecimal digits"));
	*rune = (uint32_t)(hi * 16 + lo);
	ps->p += 2;
	return (0);
}

static int
escape_octal(struct regex_parser *ps, char first, uint32_t *rune)
{
	int i;

	if (first != '0' && !is_octal(ps))
		return (regex_fail(ps, "a backslash and a digit refers back"));
	*rune = (uint32_t)(first - '0');
	for (i = 1; i < 3 && is_octal(ps); i++)
		*rune = *rune * 8 + (uint32_t)(*ps->p++ - '0');
	return (0);
}

/* A backslash and what follows, where it stands for one code point. */
int
regex_escape_read(struct regex_parser *ps, uint32_t *rune)
{
	static const char names[] = "afnrtv", values[] = "\a\f\n\r\t\v";
	const char *at;
	char c;

	if (++ps->p >= ps->end)
		return (regex_fail(ps, "a backslash ends the pattern"));
	c = *ps->p++;
	if (c >= '0' && c <= '7')
		return (escape_octal(ps, c, rune));
	if (c == 'x')
		return (escape_hex(ps, rune));
	if (c != '\0' && (at = strchr(names, c)) != NULL) {
		*rune = (uint32_t)values[at - names];
		return (0);
	}
	if ((unsigned char)c >= 128 || (c >= '0' && c <= '9') ||
	    ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
		return (regex_fail(ps,
		    "a backslash before a letter or digit that has "
		    "no such meaning"));
	*rune = (unsigned char)c;
	return (0);
}

static int
class_char(struct regex_parser *ps, uint32_t *rune)
{
	if (ps->p >= ps->end)
		return (regex_fail(ps, "'[' without its ']'"));
	if (*ps->p == '\\')
		return (regex_escape_read(ps, rune));
	ps->p += utf8_decode(ps->p, (size_t)(ps->end - ps->p), rune);
	return (0);
}

static int
class_range(struct regex_parser *ps)
{
	uint32_t lo, hi;

	if (class_char(ps, &lo) == -1)
		return (-1);
	hi = lo;
	if (ps->end - ps->p >= 2 && ps->p[0] == '-' && ps->p[1] != ']') {
		ps->p++;
		if (class_char(ps, &hi) == -1)
			return (-1);
		if (hi < lo)
			return (regex_fail(ps,
			    "a range in '[...]' runs backwards"));
	}
	return (regex_range_add(ps, lo, hi));
}

static bool
is_unicode_group(const struct regex_parser *ps)
{
	return (ps->end - ps->p >= 2 && ps->p[0] == '\\' &&
	    (ps->p[1] | 0x20) == 'p');
}

/* Unicode tables would be the only use of \p: refused, docker takes \pL. */
int
regex_unicode_fail(struct regex_parser *ps)
{
	return (regex_fail(ps, "\"\\p\" (a Unicode class) is not supported"));
}

int
regex_class_read(struct regex_parser *ps, uint32_t *class)
{
	bool negated, first = true;
	int r;

	if (regex_class_begin(ps) == -1)
		return (-1);
	ps->p++;
	negated = ps->p < ps->end && *ps->p == '^';
	if (negated)
		ps->p++;
	for (; ps->p >= ps->end || *ps->p != ']' || first; first = false) {
		if ((r = posix_group_add(ps)) == 0) {
			if (is_unicode_group(ps))
				return (regex_unicode_fail(ps));
			r = regex_perl_group_add(ps);
		}
		if (r == 0)
			r = class_range(ps);
		if (r == -1)
			return (-1);
	}
	ps->p++;
	*class = regex_class_end(ps, negated);
	return (0);
}
