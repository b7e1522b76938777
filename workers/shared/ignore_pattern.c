/*
 * One line of a .dockerignore: checked as Go's filepath.Match would, then
 * turned into one of four kinds of test as moby/patternmatcher does.
 * Pure code; called by ignore.c.
 */

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/shared/ignore_pattern.h"
#include "workers/shared/ignore_regex.h"
#include "workers/shared/utf8.h"

#define BOM 0xfeffU

/*
 * moby checks a pattern by matching it against "." with filepath.Match, which
 * stops at the first part between stars that cannot match: what follows is
 * not checked.  So the match is done here as well.  A part that matches has
 * taken the ".", as each of its characters takes one.
 */

/* One end of a range in '[...]'. */
static bool
check_class_char(const char **p, const char *end, uint32_t *rune)
{
	size_t width;

	if (*p >= end || **p == '-' || **p == ']')
		return (false);
	if (**p == '\\' && ++*p >= end)
		return (false);
	width = utf8_decode(*p, (size_t)(end - *p), rune);
	if (*rune == UTF8_BAD && width == 1)
		return (false);
	*p += width;
	return (*p < end);
}

/* *p is behind the '['; leaves it behind the ']'.  *hit: it has a '.'. */
static bool
check_class(const char **p, const char *end, bool *hit)
{
	const char *first;
	uint32_t lo, hi;
	bool negated, found = false;

	negated = *p < end && **p == '^';
	*p += negated;
	for (first = *p;;) {
		if (*p < end && **p == ']' && *p > first)
			break;
		if (!check_class_char(p, end, &lo))
			return (false);
		hi = lo;
		if (**p == '-') {
			++*p;
			if (!check_class_char(p, end, &hi))
				return (false);
		}
		found |= lo <= '.' && '.' <= hi;
	}
	++*p;
	*hit = found != negated;
	return (true);
}

enum check { CHECK_BAD, CHECK_MISS, CHECK_HIT };

/* Matches what stands between stars with ".", or with nothing. */
static enum check
check_chunk(const char *p, const char *end, bool dot)
{
	bool hit, miss = false;

	for (; p < end; dot = false) {
		miss |= !dot;
		hit = true;
		switch (*p++) {
		case '[':
			if (!check_class(&p, end, &hit))
				return (CHECK_BAD);
			break;
		case '?':
			break;
		case '\\':
			if (p >= end)
				return (CHECK_BAD);
			p++;
			/* FALLTHROUGH */
		default:
			hit = p[-1] == '.';
			break;
		}
		miss |= !hit;
	}
	return (miss ? CHECK_MISS : CHECK_HIT);
}

/* Where the part that begins here ends: at a star that is in no class. */
static const char *
check_chunk_end(const char *p, const char *end)
{
	bool in_class = false;

	for (; p < end && (*p != '*' || in_class); p++) {
		if (*p == '\\' && end - p > 1)
			p++;
		else if (*p == '[')
			in_class = true;
		else if (*p == ']')
			in_class = false;
	}
	return (p);
}

const char *
ignore_pattern_check(const char *p, size_t len)
{
	const char *end = p + len, *stop;
	bool dot = true;

	for (; p < end; p = stop, dot = false) {
		while (p < end && *p == '*')
			p++;
		stop = check_chunk_end(p, end);
		switch (check_chunk(p, stop, dot)) {
		case CHECK_BAD:
			return ("'[' without a whole list and its ']', or a "
				"backslash at the end");
		case CHECK_MISS:
			return (NULL);
		case CHECK_HIT:
			break;
		}
	}
	return (NULL);
}

/* The expression's text, and what of moby's compile step decides its kind. */
struct builder {
	const char *p, *end;
	char *out;
	size_t n;
	enum ignore_kind kind;
};

static void
put(struct builder *b, const char *s)
{
	while (*s != '\0')
		b->out[b->n++] = *s++;
}

static uint32_t
take(struct builder *b)
{
	uint32_t rune;

	b->p += utf8_decode(b->p, (size_t)(b->end - b->p), &rune);
	return (rune);
}

static void
put_rune(struct builder *b, uint32_t rune)
{
	b->n += utf8_encode(rune, b->out + b->n);
}

/* Behind the first '*'; `first`: it begins the pattern. */
static void
build_star(struct builder *b, bool first)
{
	if (b->p >= b->end || *b->p != '*') {
		put(b, "[^/]*");
		b->kind = IGNORE_KIND_REGEX;
		return;
	}
	b->p++;
	if (b->p < b->end && *b->p == '/')
		b->p++;
	if (b->p < b->end) {
		put(b, "(.*/)?");
		b->kind = IGNORE_KIND_REGEX;
	} else if (b->kind == IGNORE_KIND_EXACT) {
		b->kind = IGNORE_KIND_PREFIX;
	} else {
		put(b, ".*");
		b->kind = IGNORE_KIND_REGEX;
	}
	if (first)
		b->kind = IGNORE_KIND_SUFFIX;
}

static void
build_rune(struct builder *b, uint32_t rune, bool first)
{
	switch (rune) {
	case '*':
		build_star(b, first);
		break;
	case '?':
		put(b, "[^/]");
		b->kind = IGNORE_KIND_REGEX;
		break;
	case '\\':
		put(b, "\\");
		if (b->p < b->end) {
			put_rune(b, take(b));
			b->kind = IGNORE_KIND_REGEX;
		}
		break;
	case '[':
	case ']':
		put_rune(b, rune);
		b->kind = IGNORE_KIND_REGEX;
		break;
	default:
		/* moby means to escape "|{}" as well, but its table of what
		 * to escape ends before them. */
		if (rune != 0 && rune < 128 &&
		    strchr(".+()$", (int)rune) != NULL)
			put(b, "\\");
		put_rune(b, rune);
		break;
	}
}

int
ignore_pattern_compile(struct ignore_pattern *pat)
{
	struct builder b = { .p = pat->p, .end = pat->p + pat->len };
	uint32_t rune;
	bool first = true;

	/* No code point becomes more than five bytes. */
	b.out = xreallocarray(NULL, pat->len + 1, 5);
	b.kind = IGNORE_KIND_EXACT;
	put(&b, "^");
	while (b.p < b.end) {
		rune = take(&b);
		if (rune == BOM && b.p == pat->p + 3)
			continue; /* Go's scanner drops it */
		build_rune(&b, rune, first);
		first = false;
	}
	pat->kind = b.kind;
	if (b.kind == IGNORE_KIND_REGEX) {
		put(&b, "$");
		pat->regex = ignore_regex_new(b.out, b.n, &pat->error);
	}
	free(b.out);
	return (0);
}

bool
ignore_pattern_match(const struct ignore_pattern *pat, const char *path,
    size_t len)
{
	const char *p = pat->p;
	size_t n = pat->len;

	switch (pat->kind) {
	case IGNORE_KIND_EXACT:
		return (len == n && memcmp(path, p, n) == 0);
	case IGNORE_KIND_PREFIX:
		n -= 2;
		return (len >= n && memcmp(path, p, n) == 0);
	case IGNORE_KIND_SUFFIX:
		p += 2;
		n -= 2;
		if (len >= n && memcmp(path + len - n, p, n) == 0)
			return (true);
		/* The "**" and its slash may stand for nothing. */
		return (p[0] == '/' && len == n - 1 &&
		    memcmp(path, p + 1, len) == 0);
	case IGNORE_KIND_REGEX:
		return (ignore_regex_match(pat->regex, path, len, NULL));
	}
	return (false);
}

bool
ignore_pattern_may_follow(const struct ignore_pattern *pat, const char *dir,
    size_t len)
{
	size_t n = pat->len;

	switch (pat->kind) {
	case IGNORE_KIND_EXACT:
		return (n > len && memcmp(pat->p, dir, len) == 0);
	case IGNORE_KIND_PREFIX:
		n -= 2;
		return (memcmp(pat->p, dir, n < len ? n : len) == 0);
	case IGNORE_KIND_SUFFIX:
		return (true);
	case IGNORE_KIND_REGEX:
		return (ignore_regex_may_follow(pat->regex, dir, len));
	}
	return (true);
}
