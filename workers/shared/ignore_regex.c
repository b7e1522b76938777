/*
 * Running a .dockerignore expression: a set of live positions moves along the
 * path, so that the time is bounded by path times pattern.  Pure code.
 */

#include <stdlib.h>
#include <string.h>

#include "workers/shared/ignore_regex.h"
#include "workers/shared/ignore_regex_parse.h"
#include "workers/shared/utf8.h"

#define WORDS ((IGNORE_REGEX_MAX + 64) / 64)
#define NONE  SIZE_MAX

/* What stands beside a position, besides code points. */
#define EDGE_TEXT UINT32_MAX       /* start or end of the text */
#define EDGE_ANY  (UINT32_MAX - 1) /* not known, some code point */

/* A set of positions; only the words lo..hi-1 are in use and defined. */
struct live {
	size_t lo, hi;
	uint64_t w[WORDS];
};

static void
live_clear(struct live *l)
{
	l->lo = l->hi = 0;
}

/* Positions are added above l->lo only. */
static void
live_add(struct live *l, size_t i)
{
	size_t word = i / 64;

	if (l->lo == l->hi)
		l->lo = l->hi = word;
	while (l->hi <= word)
		l->w[l->hi++] = 0;
	l->w[word] |= UINT64_C(1) << i % 64;
}

/* The first position at or after `from`. */
static size_t
live_next(const struct live *l, size_t from)
{
	size_t word = from / 64;
	uint64_t bits;

	if (word < l->lo) {
		word = l->lo;
		from = 0;
	}
	if (word >= l->hi)
		return (NONE);
	bits = l->w[word] & (UINT64_MAX << from % 64);
	while (bits == 0) {
		if (++word >= l->hi)
			return (NONE);
		bits = l->w[word];
	}
	return (word * 64 + (size_t)__builtin_ctzll(bits));
}

/* Forgets the positions first..last-1. */
static void
live_drop(struct live *l, size_t first, size_t last)
{
	size_t word = first / 64;

	if (word < l->lo) {
		word = l->lo;
		first = word * 64;
	}
	for (; first < last; word++, first = word * 64) {
		uint64_t keep = ~(UINT64_MAX << first % 64);

		if (last / 64 == word)
			keep |= UINT64_MAX << last % 64;
		l->w[word] &= keep;
	}
	while (l->lo < last / 64 && l->w[l->lo] == 0)
		l->lo++;
}

static bool
is_word(uint32_t r)
{
	return ((r >= '0' && r <= '9') || (r >= 'A' && r <= 'Z') ||
	    (r >= 'a' && r <= 'z') || r == '_');
}

static bool
assertion_holds(enum regex_op op, uint32_t before, uint32_t after)
{
	bool boundary = is_word(before) != is_word(after);

	switch (op) {
	case REGEX_BEGIN:
		return (before == EDGE_TEXT);
	case REGEX_END:
		return (after == EDGE_TEXT);
	case REGEX_WORD:
		return (boundary || after == EDGE_ANY);
	case REGEX_NOWORD:
		return (!boundary || after == EDGE_ANY);
	default:
		return (false);
	}
}

/*
 * Adds the positions that are reached without reading.  All of them lie
 * ahead, so that one pass is enough.  True: the end is reached.
 */
static bool
live_close(const struct ignore_regex *re, struct live *l, uint32_t before,
    uint32_t after, uint64_t *steps)
{
	const struct regex_item *it;
	size_t i;

	for (i = live_next(l, 0); i != NONE; i = live_next(l, i + 1)) {
		++*steps;
		it = &re->items[i];
		switch (it->op) {
		case REGEX_ACCEPT:
			return (true);
		case REGEX_RUNE:
		case REGEX_CLASS:
			break;
		case REGEX_STAR:
			live_drop(l, it->low, i);
			live_add(l, i + 1);
			break;
		case REGEX_OPT:
			live_add(l, i + 1);
			live_add(l, i + 1 + it->arg);
			break;
		default:
			if (assertion_holds(it->op, before, after))
				live_add(l, i + 1);
			break;
		}
	}
	return (false);
}

/* A match may begin here, unless all must begin with the text. */
static void
live_begin(const struct ignore_regex *re, struct live *l, bool at_text)
{
	size_t i;

	live_clear(l);
	if (re->anchored && !at_text)
		return;
	for (i = 0; i < re->nstarts; i++)
		live_add(l, re->starts[i]);
}

/* Reads one code point. */
static void
live_read(const struct ignore_regex *re, const struct live *from,
    struct live *to, uint32_t rune, uint64_t *steps)
{
	const struct regex_item *it;
	size_t i;

	live_begin(re, to, false);
	for (i = live_next(from, 0); i != NONE; i = live_next(from, i + 1)) {
		++*steps;
		it = &re->items[i];
		if ((it->op == REGEX_RUNE && it->arg == rune) ||
		    (it->op == REGEX_CLASS &&
			regex_class_has(re, it->arg, rune)))
			live_add(to, i + 1);
		else if (it->op == REGEX_STAR &&
		    regex_class_has(re, it->arg, rune))
			live_add(to, i);
	}
}

/*
 * `last` is what follows the bytes.  Returns whether the end was reached or,
 * when something unknown follows, might still be.
 */
static bool
regex_run(const struct ignore_regex *re, const char *s, size_t len,
    uint32_t last, uint64_t *steps)
{
	struct live a, b, *cur = &a, *next = &b, *swap;
	uint32_t before = EDGE_TEXT, rune = 0;
	size_t pos = 0, width = 0;

	live_begin(re, cur, true);
	for (;;) {
		if (pos < len)
			width = utf8_decode(s + pos, len - pos, &rune);
		else
			rune = last;
		if (live_close(re, cur, before, rune, steps))
			return (true);
		if (pos >= len)
			return (last != EDGE_TEXT && live_next(cur, 0) != NONE);
		live_read(re, cur, next, rune, steps);
		if (live_next(next, 0) == NONE)
			return (false);
		swap = cur;
		cur = next;
		next = swap;
		before = rune;
		pos += width;
	}
}

bool
ignore_regex_match(const struct ignore_regex *re, const char *s, size_t len,
    uint64_t *steps)
{
	uint64_t n = 0;
	bool ok;

	ok = regex_run(re, s, len, EDGE_TEXT, &n);
	if (steps != NULL)
		*steps += n;
	return (ok);
}

bool
ignore_regex_may_follow(const struct ignore_regex *re, const char *s,
    size_t len)
{
	uint64_t n = 0;

	return (regex_run(re, s, len, EDGE_ANY, &n));
}

size_t
ignore_regex_size(const struct ignore_regex *re)
{
	return (re->n);
}

bool
regex_class_has(const struct ignore_regex *re, uint32_t class, uint32_t rune)
{
	const struct regex_class *c = &re->classes[class];
	const struct regex_range *r;
	size_t i;

	if (rune < 128)
		return (c->ascii[rune / 64] >> rune % 64 & 1);
	for (i = 0; i < c->n; i++) {
		r = &re->ranges[c->first + i];
		if (rune >= r->lo && rune <= r->hi)
			return (!c->negated);
	}
	return (c->negated);
}

void
ignore_regex_free(struct ignore_regex *re)
{
	if (re == NULL)
		return;
	free(re->items);
	free(re->classes);
	free(re->ranges);
	free(re->starts);
	free(re);
}
