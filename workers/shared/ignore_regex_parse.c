/*
 * Reading the expressions of .dockerignore patterns the way Go's regexp
 * package does (flags Perl: \d \w \s, \b, \A, \z, \Q..\E, [[:alpha:]], x{2,3},
 * a|b).
 * Pure code; called by ignore_pattern.c.
 */

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/shared/ignore_regex.h"
#include "workers/shared/ignore_regex_parse.h"
#include "workers/shared/utf8.h"

#define REPEAT_MAX 1000
#define OPTION     "(.*/)?"

static int
item_add(struct regex_parser *ps, enum regex_op op, uint32_t arg)
{
	struct ignore_regex *re = ps->re;
	struct regex_item *items, *it;

	if (re->n >= IGNORE_REGEX_MAX)
		return (regex_fail(ps, "the pattern is too long"));
	items = regex_grow(re->items, re->n, &re->items_cap, sizeof(*items));
	if (items == NULL)
		return (regex_fail(ps, "no memory"));
	re->items = items;
	it = &items[re->n];
	it->op = op;
	it->arg = arg;
	it->low = (uint32_t)re->n++;
	it->slash = false;
	return (0);
}

/* The same for what a "{2}" may follow. */
static int
atom_add(struct regex_parser *ps, enum regex_op op, uint32_t arg)
{
	ps->atom = ps->re->n;
	ps->has_atom = true;
	ps->repeated = ps->last_repeat = op == REGEX_STAR || op == REGEX_OPT;
	return (item_add(ps, op, arg));
}

static int
class_read(struct regex_parser *ps)
{
	uint32_t class;

	if (regex_class_read(ps, &class) == -1)
		return (-1);
	if (ps->p < ps->end && *ps->p == '*') {
		ps->p++;
		return (atom_add(ps, REGEX_STAR, class));
	}
	return (atom_add(ps, REGEX_CLASS, class));
}

/* \Q...\E, or to the end. */
static int
quote_read(struct regex_parser *ps)
{
	const char *stop;
	uint32_t rune;

	ps->p += 2;
	ps->last_repeat = false;
	stop = memmem(ps->p, (size_t)(ps->end - ps->p), "\\E", 2);
	if (stop == NULL)
		stop = ps->end;
	while (ps->p < stop) {
		ps->p += utf8_decode(ps->p, (size_t)(stop - ps->p), &rune);
		if (atom_add(ps, REGEX_RUNE, rune) == -1)
			return (-1);
	}
	if (ps->p < ps->end)
		ps->p += 2;
	return (0);
}

static int
assertion_read(struct regex_parser *ps, enum regex_op op, size_t width)
{
	ps->p += width;
	return (atom_add(ps, op, 0));
}

static int
backslash_read(struct regex_parser *ps)
{
	uint32_t rune;

	switch (ps->end - ps->p >= 2 ? ps->p[1] : '\0') {
	case 'A':
		return (assertion_read(ps, REGEX_BEGIN, 2));
	case 'b':
		return (assertion_read(ps, REGEX_WORD, 2));
	case 'B':
		return (assertion_read(ps, REGEX_NOWORD, 2));
	case 'z':
		return (assertion_read(ps, REGEX_END, 2));
	case 'Q':
		return (quote_read(ps));
	case 'p':
	case 'P':
		return (regex_unicode_fail(ps));
	case 'd':
	case 'D':
	case 's':
	case 'S':
	case 'w':
	case 'W':
		if (regex_class_begin(ps) == -1 ||
		    regex_perl_group_add(ps) == -1)
			return (-1);
		return (atom_add(ps, REGEX_CLASS, regex_class_end(ps, false)));
	default:
		if (regex_escape_read(ps, &rune) == -1)
			return (-1);
		return (atom_add(ps, REGEX_RUNE, rune));
	}
}

/* ".*", the only use of a dot that is not escaped. */
static int
dot_read(struct regex_parser *ps)
{
	ps->p += 2;
	return (atom_add(ps, REGEX_STAR, REGEX_CLASS_DOT));
}

static int
option_read(struct regex_parser *ps)
{
	ps->p += sizeof(OPTION) - 1;
	if (atom_add(ps, REGEX_OPT, 2) == -1 ||
	    item_add(ps, REGEX_STAR, REGEX_CLASS_DOT) == -1)
		return (-1);
	return (item_add(ps, REGEX_RUNE, '/'));
}

/* A decimal number as Go takes it there: -1 when there is none. */
static int
count_read(const char **p, const char *end)
{
	int n = 0;

	if (*p >= end || **p < '0' || **p > '9')
		return (-1);
	if (**p == '0' && end - *p > 1 && (*p)[1] >= '0' && (*p)[1] <= '9')
		return (-1);
	for (; *p < end && **p >= '0' && **p <= '9'; ++*p)
		n = n > REPEAT_MAX ? n : n * 10 + (**p - '0');
	return (n);
}

/*
 * "{n}", "{n,}" (*max is -1) or "{n,m}"; false when it is something else, and
 * then the brace stands for itself.
 */
static bool
counts_read(struct regex_parser *ps, int *min, int *max)
{
	const char *p = ps->p + 1;

	if ((*min = *max = count_read(&p, ps->end)) == -1)
		return (false);
	if (p < ps->end && *p == ',') {
		p++;
		*max = -1;
		if ((p >= ps->end || *p != '}') &&
		    (*max = count_read(&p, ps->end)) == -1)
			return (false);
	}
	if (p >= ps->end || *p != '}')
		return (false);
	ps->p = p + 1;
	return (true);
}

/* The class of one code point. */
static int
class_of_rune(struct regex_parser *ps, uint32_t rune, uint32_t *class)
{
	if (regex_class_begin(ps) == -1 ||
	    regex_range_add(ps, rune, rune) == -1)
		return (-1);
	*class = regex_class_end(ps, false);
	return (0);
}

/* Any number of what `it` reads. */
static int
star_add(struct regex_parser *ps, const struct regex_item *it)
{
	uint32_t class = it->arg;

	if (it->op == REGEX_RUNE && class_of_rune(ps, it->arg, &class) == -1)
		return (-1);
	return (item_add(ps, REGEX_STAR, class));
}

/* Puts the copies of `it` in its place. */
static int
copies_add(struct regex_parser *ps, const struct regex_item *it, int min,
    int max)
{
	int i;

	for (i = 0; i < min; i++)
		if (item_add(ps, it->op, it->arg) == -1)
			return (-1);
	if (max == -1)
		return (star_add(ps, it));
	for (; i < max; i++)
		if (item_add(ps, REGEX_OPT, 1) == -1 ||
		    item_add(ps, it->op, it->arg) == -1)
			return (-1);
	return (0);
}

static int
repeat_read(struct regex_parser *ps)
{
	struct regex_item it;
	int min, max;

	if (!counts_read(ps, &min, &max)) {
		ps->p++;
		return (atom_add(ps, REGEX_RUNE, '{'));
	}
	if (min > REPEAT_MAX || max > REPEAT_MAX || (max >= 0 && min > max))
		return (regex_fail(ps,
		    "\"{n,m}\" with counts that are too large, or "
		    "backwards"));
	if (ps->last_repeat || !ps->has_atom)
		return (regex_fail(ps,
		    "\"{n,m}\" with nothing to repeat before it"));
	if (ps->repeated)
		return (regex_fail(ps, "a repetition of a repetition"));
	it = ps->re->items[ps->atom];
	ps->re->n = ps->atom;
	ps->repeated = ps->last_repeat = true;
	if (it.op == REGEX_RUNE || it.op == REGEX_CLASS)
		return (copies_add(ps, &it, min, max));
	/* An assertion, which holds again, or need not hold. */
	return (min > 0 ? item_add(ps, it.op, it.arg) : 0);
}

/* Ends an alternative and, unless it is the last, begins the next. */
static int
alternative_end(struct regex_parser *ps, bool last)
{
	struct ignore_regex *re = ps->re;
	uint32_t *starts;

	if (item_add(ps, REGEX_ACCEPT, 0) == -1)
		return (-1);
	ps->has_atom = ps->last_repeat = false;
	if (last)
		return (0);
	starts = regex_grow(re->starts, re->nstarts, &re->starts_cap,
	    sizeof(*starts));
	if (starts == NULL)
		return (regex_fail(ps, "no memory"));
	re->starts = starts;
	starts[re->nstarts++] = (uint32_t)re->n;
	return (0);
}

static int
regex_read(struct regex_parser *ps)
{
	uint32_t rune;

	switch (*ps->p) {
	case '^':
		return (assertion_read(ps, REGEX_BEGIN, 1));
	case '$':
		return (assertion_read(ps, REGEX_END, 1));
	case '.':
		return (dot_read(ps));
	case '(':
		return (option_read(ps));
	case '[':
		return (class_read(ps));
	case '\\':
		return (backslash_read(ps));
	case '{':
		return (repeat_read(ps));
	case '|':
		ps->p++;
		return (alternative_end(ps, false));
	default:
		ps->p += utf8_decode(ps->p, (size_t)(ps->end - ps->p), &rune);
		return (atom_add(ps, REGEX_RUNE, rune));
	}
}

/* The first start, and the two classes that every expression has. */
static int
regex_begin(struct regex_parser *ps)
{
	struct ignore_regex *re = ps->re;

	re->starts = xcalloc(8, sizeof(*re->starts));
	re->starts_cap = 8;
	re->nstarts = 1;
	if (regex_class_begin(ps) == -1 || regex_range_add(ps, '/', '/') == -1)
		return (-1);
	regex_class_end(ps, true);
	if (regex_class_begin(ps) == -1 ||
	    regex_range_add(ps, '\n', '\n') == -1)
		return (-1);
	regex_class_end(ps, true);
	return (0);
}

static bool
class_is_noslash(const struct ignore_regex *re, uint32_t class)
{
	const struct regex_class *c = &re->classes[class];

	return (c->negated && c->n == 0 &&
	    memcmp(c->ascii, re->classes[REGEX_CLASS_NOSLASH].ascii,
		sizeof(c->ascii)) == 0);
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
			it->slash =
			    it->op == REGEX_OPT || it->op == REGEX_ACCEPT;
		if (it->op == REGEX_STAR && class_is_noslash(re, it->arg))
			it->low = low;
		if (it->slash)
			low = i + 1;
	}
	re->anchored = re->nstarts == 1 && re->items[0].op == REGEX_BEGIN;
}

struct ignore_regex *
ignore_regex_new(const char *text, size_t len, const char **why)
{
	struct regex_parser ps = { .p = text, .end = text + len };

	ps.re = xcalloc(1, sizeof(*ps.re));
	if (regex_begin(&ps) == -1)
		goto fail;
	while (ps.p < ps.end)
		if (regex_read(&ps) == -1)
			goto fail;
	if (alternative_end(&ps, true) == -1)
		goto fail;
	regex_link(ps.re);
	*why = NULL;
	return (ps.re);

fail:
	*why = ps.why;
	ignore_regex_free(ps.re);
	return (NULL);
}
