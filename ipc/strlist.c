/*
 * A list of strings that grows, see strlist.h.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "strlist.h"

void
strings_take(struct strings *l, char *s)
{
	l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = s;
}

void
strings_add(struct strings *l, const char *s)
{
	strings_take(l, xstrdup(s));
}

void
strings_copy(struct strings *l, const struct strings *from)
{
	for (size_t i = 0; i < from->n; i++)
		strings_add(l, from->v[i]);
}

bool
strings_same(const struct strings *a, const struct strings *b)
{
	if (a->n != b->n)
		return (false);
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return (false);
	return (true);
}

void
strings_free(struct strings *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strings) { NULL, 0 };
}
