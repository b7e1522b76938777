/*
 * One line of a .dockerignore.  Private to the ignore engine.
 */

#ifndef WHARF_SHARED_IGNORE_PATTERN_H
#define WHARF_SHARED_IGNORE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct ignore_regex;

enum ignore_kind {
	IGNORE_KIND_EXACT,
	IGNORE_KIND_PREFIX, /* "x**": all that begins with "x" */
	IGNORE_KIND_SUFFIX, /* "**x": all that ends in "x" */
	IGNORE_KIND_REGEX
};

struct ignore_pattern {
	char *text;    /* cleaned, with '!' */
	const char *p; /* without it */
	size_t len;
	unsigned line;
	bool exception;
	enum ignore_kind kind;
	struct ignore_regex *regex;
	const char *error; /* it passes the check, but cannot be matched */
};

/* Whether filepath.Match takes the pattern: NULL, or what is wrong. */
const char *ignore_pattern_check(const char *p, size_t len);

/* Finds out the kind of a checked pattern.  -1: no memory. */
int ignore_pattern_compile(struct ignore_pattern *);

/* Whether it matches the path itself.  Not for patterns with an error. */
bool ignore_pattern_match(const struct ignore_pattern *, const char *path,
    size_t len);

/* Whether it might match a path that begins with `dir`, which ends in '/'. */
bool ignore_pattern_may_follow(const struct ignore_pattern *, const char *dir,
    size_t len);

#endif
