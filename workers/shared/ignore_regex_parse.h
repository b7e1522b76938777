/*
 * What the parser (ignore_regex_parse.c, ignore_regex_class.c) hands to the
 * matcher (ignore_regex.c).  Private to the three.
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
	REGEX_OPT,   /* the next arg positions, or nothing */
	REGEX_BEGIN, /* assertions: start of text, end, word boundary or not */
	REGEX_END,
	REGEX_WORD,
	REGEX_NOWORD,
	REGEX_ACCEPT /* the end of an alternative */
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
#define REGEX_CLASS_DOT     1 /* all but newline */

struct ignore_regex {
	struct regex_item *items;
	size_t n, items_cap;
	struct regex_class *classes;
	size_t nclasses, classes_cap;
	struct regex_range *ranges;
	size_t nranges, ranges_cap;
	uint32_t *starts; /* of the alternatives */
	size_t nstarts, starts_cap;
	bool anchored; /* only one, and it begins at the start of the text */
};

struct regex_parser {
	struct ignore_regex *re;
	const char *p, *end;
	const char *why;
	size_t atom; /* where begins what a "{2}" would repeat */
	bool has_atom;
	bool repeated;    /* it is a repetition */
	bool last_repeat; /* and that is what was read last */
};

/* Always -1; `why` is static text. */
int regex_fail(struct regex_parser *, const char *why);

/* Room for one more element of an array; NULL: no memory. */
void *regex_grow(void *old, size_t n, size_t *cap, size_t size);

/* A class is begun, gets ranges, and is ended, which returns its number. */
int regex_class_begin(struct regex_parser *);
int regex_range_add(struct regex_parser *, uint32_t lo, uint32_t hi);
uint32_t regex_class_end(struct regex_parser *, bool negated);

/* Reads "[...]" as a new class. */
int regex_class_read(struct regex_parser *, uint32_t *class);

/* \d \D \s \S \w \W: 1 when there was one, which is added to the class. */
int regex_perl_group_add(struct regex_parser *);

/* A backslash and what follows, where it stands for one code point. */
int regex_escape_read(struct regex_parser *, uint32_t *rune);

/* Refuses \p: Unicode tables would have no other use.  Docker takes "\pL". */
int regex_unicode_fail(struct regex_parser *);

bool regex_class_has(const struct ignore_regex *, uint32_t class,
    uint32_t rune);

#endif
