/*
 * The regular expressions that .dockerignore patterns become.
 *
 * Private to the ignore engine and its test.  moby turns a pattern into text
 * for Go's regexp package without looking at brackets or escapes, and the
 * quirks of the result are part of the rules; so the same text is made here,
 * and read as Go reads it.  All that can occur are alternatives, each a chain:
 * literals, classes, class*, x{n,m}, "(.*" "/)?" and assertions, nothing
 * nested.  It runs as a set of positions, without backtracking.
 */

#ifndef WHARF_SHARED_IGNORE_REGEX_H
#define WHARF_SHARED_IGNORE_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More positions than this are refused: two bitmaps live on the stack. */
#define IGNORE_REGEX_MAX 131072

struct ignore_regex;

/* Reads valid UTF-8.  NULL: *why says what is wrong (static text). */
struct ignore_regex *ignore_regex_new(const char *re, size_t len,
    const char **why);
void ignore_regex_free(struct ignore_regex *);

/*
 * Whether the expression matches anywhere in the bytes; *steps (may be
 * NULL) is increased by the positions that were looked at, at most
 * (len + 1) * number of positions * 2.
 */
bool ignore_regex_match(const struct ignore_regex *, const char *s, size_t len,
    uint64_t *steps);

/* Whether it might match something that begins with these bytes and goes on.
 * False is certain. */
bool ignore_regex_may_follow(const struct ignore_regex *, const char *s,
    size_t len);

/* Number of positions. */
size_t ignore_regex_size(const struct ignore_regex *);

#endif
