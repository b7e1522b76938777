/*
 * What the parser (ignore_regex_parse.c) hands to the matcher
 * (ignore_regex.c).  Private to the two.
 */

#ifndef WHARF_SHARED_IGNORE_REGEX_PARSE_H
#define WHARF_SHARED_IGNORE_REGEX_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum regex_op {
	REGEX_RUNE,  /* one code point, arg */
	REGEX_CLASS, /* one of class arg */
	REGEX_STAR,  /* any number of class arg */
	REGEX_OPT,   /* the next two, dot-star and '/', or nothing */
	REGEX_BEGIN, /* assertions: start of text, end, word boundary or not */
	REGEX_END,
	REGEX_WORD,
	REGEX_NOWORD
};

struct regex_item {
	enum regex_op op;
	uint32_t arg;
	/*
	 * For "[^/]*": the first of the positions before it from which no '/'
	 * can be read on the way here.  Once this position is alive it can do
	 * whatever those could, so that they may be forgotten.
	 */
	uint32_t low;
	bool slash; /* may read a '/' */
};

struct regex_range {
	uint32_t lo, hi;
};

struct regex_class {
	uint64_t ascii[2]; /* the answer for ASCII, negation done */
	size_t first, n;   /* ranges, for the rest */
	bool negated;
};

/* The first classes of every expression. */
#define REGEX_CLASS_NOSLASH 0 /* [^/] */
#define REGEX_CLASS_DOT 1     /* all but newline */

struct ignore_regex {
	struct regex_item *items;
	size_t n, items_cap;
	struct regex_class *classes;
	size_t nclasses, classes_cap;
	struct regex_range *ranges;
	size_t nranges, ranges_cap;
};

bool regex_class_has(const struct ignore_regex *, uint32_t class,
    uint32_t rune);

#endif
