/*
 * A list of strings that grows.  Any process.
 */
#ifndef WHARF_STRLIST_H
#define WHARF_STRLIST_H

#include <stdbool.h>
#include <stddef.h>

struct strings {
	char **v;
	size_t n;
};

/* Append s, an allocated string, which it takes. */
void strings_take(struct strings *l, char *s);

/* Append a copy of s. */
void strings_add(struct strings *l, const char *s);

/* Append copies of all of them. */
void strings_copy(struct strings *l, const struct strings *from);

/* The same strings in the same order? */
bool strings_same(const struct strings *a, const struct strings *b);

/* Free what it holds; it is empty then. */
void strings_free(struct strings *l);

#endif
