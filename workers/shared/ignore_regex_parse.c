/*
 * Reading the expressions of .dockerignore patterns the way Go's regexp
 * package does (flags Perl: \d \w \s, \b, \A, \z, \Q..\E, [[:alpha:]]).
 * Pure code; called by ignore_pattern.c.
 */

#include <stdlib.h>
#include <string.h>

#include "workers/shared/ignore_regex.h"
#include "workers/shared/ignore_regex_parse.h"
#include "workers/shared/utf8.h"

#define RUNE_MAX 0x10ffffU
#define OPTION "(.*/)?"

struct parser {
	struct ignore_regex *re;
	const char *p, *end;
	const char *why;
};

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

static int
fail(struct parser *ps, const char *why)
{
	ps->why = why;
	return -1;
}

/* Makes room for one more element; NULL: no memory. */
static void *
grow(void *old, size_t n, size_t *cap, size_t size)
{
	void *p;

	if (n < *cap)
		return old;
	p = reallocarray(old, *cap == 0 ? 8 : *cap * 2, size);
	if (p != NULL)
		*cap = *cap == 0 ? 8 : *cap * 2;
	return p;
}

static int
item_add(struct parser *ps, enum regex_op op, uint32_t arg)
{
	struct ignore_regex *re = ps->re;
	struct regex_item *items, *it;

	if (re->n >= IGNORE_REGEX_MAX)
		return fail(ps, "the pattern is too long");
	items = grow(re->items, re->n, &re->items_cap, sizeof(*items));
	if (items == NULL)
		return fail(ps, "no memory");
	re->items = items;
	it = &items[re->n];
	it->op = op;
	it->arg = arg;
	it->low = (uint32_t)re->n++;
	it->slash = false;
	return 0;
}

static int
range_add(struct parser *ps, uint32_t lo, uint32_t hi)
{
	struct ignore_regex *re = ps->re;
	struct regex_class *c = &re->classes[re->nclasses - 1];
	struct regex_range *r;
	uint32_t i;

	for (i = lo; i <= hi && i < 128; i++)
		c->ascii[i / 64] |= UINT64_C(1) << i % 64;
	if (hi < 128)
		return 0;
	r = grow(re->ranges, re->nranges, &re->ranges_cap, sizeof(*r));
	if (r == NULL)
		return fail(ps, "no memory");
	re->ranges = r;
	r[re->nranges].lo = lo;
	r[re->nranges++].hi = hi;
	c->n++;
	return 0;
}

/* Begins a class, to which ranges are added until class_end. */
static int
class_begin(struct parser *ps)
{
	struct ignore_regex *re = ps->re;
	struct regex_class *c;

	c = grow(re->classes, re->nclasses, &re->classes_cap, sizeof(*c));
	if (c == NULL)
		return fail(ps, "no memory");
	re->classes = c;
	memset(&c[re->nclasses], 0, sizeof(*c));
	c[re->nclasses++].first = re->nranges;
	return 0;
}

static uint32_t
class_end(struct parser *ps, bool negated)
{
	struct regex_class *c = &ps->re->classes[ps->re->nclasses - 1];

	c->negated = negated;
	if (negated) {
		c->ascii[0] = ~c->ascii[0];
		c->ascii[1] = ~c->ascii[1];
	}
	return (uint32_t)(ps->re->nclasses - 1);
}

static int
group_add(struct parser *ps, const struct group *g, bool negated)
{
	uint32_t next = 0;
	size_t i;

	for (i = 0; g->r[i + 1] != 0; i += 2) {
		if (!negated) {
			if (range_add(ps, g->r[i], g->r[i + 1]) == -1)
				return -1;
			continue;
		}
		if (g->r[i] > next &&
		    range_add(ps, next, g->r[i] - 1U) == -1)
			return -1;
		next = g->r[i + 1] + 1U;
	}
	return negated ? range_add(ps, next, RUNE_MAX) : 0;
}

/* \d \D \s \S \w \W: 1 when there was one, which is added to the class. */
static int
perl_group_add(struct parser *ps)
{
	size_t i;

	if (ps->end - ps->p < 2 || ps->p[0] != '\\')
		return 0;
	for (i = 0; i < sizeof(perl_groups) / sizeof(perl_groups[0]); i++) {
		const struct group *g = &perl_groups[i];

		if ((ps->p[1] | 0x20) != g->name[0])
			continue;
		if (group_add(ps, g, ps->p[1] != g->name[0]) == -1)
			return -1;
		ps->p += 2;
		return 1;
	}
	return 0;
}

/* "[:name:]" or "[:^name:]" inside of a class: 1 when there was one. */
static int
posix_group_add(struct parser *ps)
{
	const char *name = ps->p + 2, *stop;
	bool negated;
	size_t i, len;

	if (ps->end - ps->p <= 2 || memcmp(ps->p, "[:", 2) != 0)
		return 0;
	stop = memmem(name, (size_t)(ps->end - name), ":]", 2);
	if (stop == NULL)
		return 0;
	negated = *name == '^';
	if (negated)
		name++;
	len = (size_t)(stop - name);
	for (i = 0; i < sizeof(posix_groups) / sizeof(posix_groups[0]); i++)
		if (strlen(posix_groups[i].name) == len &&
		    memcmp(posix_groups[i].name, name, len) == 0)
			break;
	if (i == sizeof(posix_groups) / sizeof(posix_groups[0]))
		return fail(ps, "unknown class name between \"[:\" and \":]\"");
	if (group_add(ps, &posix_groups[i], negated) == -1)
		return -1;
	ps->p = stop + 2;
	return 1;
}

static bool
is_octal(const struct parser *ps)
{
	return ps->p < ps->end && *ps->p >= '0' && *ps->p <= '7';
}

static int
hex_value(const struct parser *ps, ptrdiff_t at)
{
	char c = '\0';

	if (at < ps->end - ps->p)
		c = ps->p[at];
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The digits of "\x41"; "\x{...}" cannot occur, its braces are escaped. */
static int
escape_hex(struct parser *ps, uint32_t *rune)
{
	int hi = hex_value(ps, 0), lo = hex_value(ps, 1);

	if (hi < 0 || lo < 0)
		return fail(ps, "\"\\x\" without two hexadecimal digits");
	*rune = (uint32_t)(hi * 16 + lo);
	ps->p += 2;
	return 0;
}

static int
escape_octal(struct parser *ps, char first, uint32_t *rune)
{
	int i;

	if (first != '0' && !is_octal(ps))
		return fail(ps, "a backslash and a digit refers back");
	*rune = (uint32_t)(first - '0');
	for (i = 1; i < 3 && is_octal(ps); i++)
		*rune = *rune * 8 + (uint32_t)(*ps->p++ - '0');
	return 0;
}

/* A backslash and what follows, where it stands for one code point. */
static int
escape_read(struct parser *ps, uint32_t *rune)
{
	static const char names[] = "afnrtv", values[] = "\a\f\n\r\t\v";
	const char *at;
	char c;

	if (++ps->p >= ps->end)
		return fail(ps, "a backslash ends the pattern");
	c = *ps->p++;
	if (c >= '0' && c <= '7')
		return escape_octal(ps, c, rune);
	if (c == 'x')
		return escape_hex(ps, rune);
	if (c != '\0' && (at = strchr(names, c)) != NULL) {
		*rune = (uint32_t)values[at - names];
		return 0;
	}
	if ((unsigned char)c >= 128 || (c >= '0' && c <= '9') ||
	    ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
		return fail(ps, "a backslash before a letter or digit that has "
		    "no such meaning");
	*rune = (unsigned char)c;
	return 0;
}

static int
class_char(struct parser *ps, uint32_t *rune)
{
	if (ps->p >= ps->end)
		return fail(ps, "'[' without its ']'");
	if (*ps->p == '\\')
		return escape_read(ps, rune);
	ps->p += utf8_decode(ps->p, (size_t)(ps->end - ps->p), rune);
	return 0;
}

static int
class_range(struct parser *ps)
{
	uint32_t lo, hi;

	if (class_char(ps, &lo) == -1)
		return -1;
	hi = lo;
	if (ps->end - ps->p >= 2 && ps->p[0] == '-' && ps->p[1] != ']') {
		ps->p++;
		if (class_char(ps, &hi) == -1)
			return -1;
		if (hi < lo)
			return fail(ps, "a range in '[...]' runs backwards");
	}
	return range_add(ps, lo, hi);
}

static bool
is_unicode_group(const struct parser *ps)
{
	return ps->end - ps->p >= 2 && ps->p[0] == '\\' &&
	    (ps->p[1] | 0x20) == 'p';
}

/* Unicode tables would be the only use of \p: refused, docker takes \pL. */
static int
unicode_group_fail(struct parser *ps)
{
	return fail(ps, "\"\\p\" (a Unicode class) is not supported");
}

static int
class_read(struct parser *ps)
{
	bool negated, first = true;
	uint32_t class;
	int r;

	if (class_begin(ps) == -1)
		return -1;
	ps->p++;
	negated = ps->p < ps->end && *ps->p == '^';
	if (negated)
		ps->p++;
	for (; ps->p >= ps->end || *ps->p != ']' || first; first = false) {
		if ((r = posix_group_add(ps)) == 0) {
			if (is_unicode_group(ps))
				return unicode_group_fail(ps);
			r = perl_group_add(ps);
		}
		if (r == 0)
			r = class_range(ps);
		if (r == -1)
			return -1;
	}
	ps->p++;
	class = class_end(ps, negated);
	if (ps->p < ps->end && *ps->p == '*') {
		ps->p++;
		return item_add(ps, REGEX_STAR, class);
	}
	return item_add(ps, REGEX_CLASS, class);
}

/* \Q...\E, or to the end. */
static int
quote_read(struct parser *ps)
{
	const char *stop;
	uint32_t rune;

	ps->p += 2;
	stop = memmem(ps->p, (size_t)(ps->end - ps->p), "\\E", 2);
	if (stop == NULL)
		stop = ps->end;
	while (ps->p < stop) {
		ps->p += utf8_decode(ps->p, (size_t)(stop - ps->p), &rune);
		if (item_add(ps, REGEX_RUNE, rune) == -1)
			return -1;
	}
	if (ps->p < ps->end)
		ps->p += 2;
	return 0;
}

static int
assertion_read(struct parser *ps, enum regex_op op, size_t width)
{
	ps->p += width;
	return item_add(ps, op, 0);
}

static int
backslash_read(struct parser *ps)
{
	uint32_t rune;
	int r;

	switch (ps->end - ps->p >= 2 ? ps->p[1] : '\0') {
	case 'A':
		return assertion_read(ps, REGEX_BEGIN, 2);
	case 'b':
		return assertion_read(ps, REGEX_WORD, 2);
	case 'B':
		return assertion_read(ps, REGEX_NOWORD, 2);
	case 'z':
		return assertion_read(ps, REGEX_END, 2);
	case 'Q':
		return quote_read(ps);
	case 'p':
	case 'P':
		return unicode_group_fail(ps);
	case 'd':
	case 'D':
	case 's':
	case 'S':
	case 'w':
	case 'W':
		if (class_begin(ps) == -1 || (r = perl_group_add(ps)) == -1)
			return -1;
		return item_add(ps, REGEX_CLASS, class_end(ps, false));
	default:
		if (escape_read(ps, &rune) == -1)
			return -1;
		return item_add(ps, REGEX_RUNE, rune);
	}
}

/* ".*", the only use of a dot that is not escaped. */
static int
dot_read(struct parser *ps)
{
	ps->p += 2;
	return item_add(ps, REGEX_STAR, REGEX_CLASS_DOT);
}

static int
option_read(struct parser *ps)
{
	ps->p += sizeof(OPTION) - 1;
	if (item_add(ps, REGEX_OPT, 0) == -1 ||
	    item_add(ps, REGEX_STAR, REGEX_CLASS_DOT) == -1)
		return -1;
	return item_add(ps, REGEX_RUNE, '/');
}

static int
regex_read(struct parser *ps)
{
	uint32_t rune;

	switch (*ps->p) {
	case '^':
		return assertion_read(ps, REGEX_BEGIN, 1);
	case '$':
		return assertion_read(ps, REGEX_END, 1);
	case '.':
		return dot_read(ps);
	case '(':
		return option_read(ps);
	case '[':
		return class_read(ps);
	case '\\':
		return backslash_read(ps);
	default:
		ps->p += utf8_decode(ps->p, (size_t)(ps->end - ps->p), &rune);
		return item_add(ps, REGEX_RUNE, rune);
	}
}

/* The two classes that every expression has. */
static int
classes_begin(struct parser *ps)
{
	if (class_begin(ps) == -1 || range_add(ps, '/', '/') == -1)
		return -1;
	class_end(ps, true);
	if (class_begin(ps) == -1 || range_add(ps, '\n', '\n') == -1)
		return -1;
	class_end(ps, true);
	return 0;
}

static bool
class_is_noslash(const struct ignore_regex *re, uint32_t class)
{
	const struct regex_class *c = &re->classes[class];

	return c->negated && c->n == 0 &&
	    memcmp(c->ascii, re->classes[REGEX_CLASS_NOSLASH].ascii,
	    sizeof(c->ascii)) == 0;
}

/* Fills in `slash` and `low`. */
static void
regex_link(struct ignore_regex *re)
{
	struct regex_item *it;
	uint32_t i, low = 0;

	for (i = 0; i < re->n; i++) {
		it = &re->items[i];
		if (it->op == REGEX_RUNE)
			it->slash = it->arg == '/';
		else if (it->op == REGEX_CLASS || it->op == REGEX_STAR)
			it->slash = regex_class_has(re, it->arg, '/');
		else
			it->slash = it->op == REGEX_OPT;
		if (it->op == REGEX_STAR && class_is_noslash(re, it->arg))
			it->low = low;
		if (it->slash)
			low = i + 1;
	}
}

struct ignore_regex *
ignore_regex_new(const char *text, size_t len, const char **why)
{
	struct parser ps = { .p = text, .end = text + len };

	*why = "no memory";
	if ((ps.re = calloc(1, sizeof(*ps.re))) == NULL)
		return NULL;
	if (classes_begin(&ps) == -1)
		goto fail;
	while (ps.p < ps.end)
		if (regex_read(&ps) == -1)
			goto fail;
	regex_link(ps.re);
	*why = NULL;
	return ps.re;

fail:
	*why = ps.why;
	ignore_regex_free(ps.re);
	return NULL;
}
