/*
 * Private to word expansion: the patterns of ${V#p}, ${V%p} and ${V/p/r}.
 */
#ifndef WORKERS_SHARED_DOCKERFILE_PATTERN_H
#define WORKERS_SHARED_DOCKERFILE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/* Steps that matching may take, for the caller's account. */
size_t dockerfile_pattern_cost(const char *pattern, const char *value,
    bool anywhere);

/*
 * The value without the shortest or longest match at its start or end.  The
 * caller frees; NULL: errbuf says what is wrong with the pattern.
 */
char *dockerfile_pattern_trim(const char *pattern, const char *value,
    bool at_end, bool longest, char *errbuf, size_t errlen);

/* The value with the first match, or all, replaced; at most max bytes. */
char *dockerfile_pattern_replace(const char *pattern, const char *value,
    const char *repl, bool all, size_t max, char *errbuf, size_t errlen);

#endif
