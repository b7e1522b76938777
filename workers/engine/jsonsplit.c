/*
 * JSON objects in a stream, see jsonsplit.h.  Engine worker.
 */
#include <string.h>

#include "workers/engine/jsonsplit.h"

/* Look at one byte inside an object: true when the object ends with it. */
static bool
jsonsplit_ends(struct jsonsplit *s, char c)
{
	if (s->in_string) {
		if (s->escaped)
			s->escaped = false;
		else if (c == '\\')
			s->escaped = true;
		else if (c == '"')
			s->in_string = false;
		return (false);
	}
	switch (c) {
	case '"':
		s->in_string = true;
		return (false);
	case '{':
	case '[':
		s->depth++;
		return (false);
	case '}':
	case ']':
		return (--s->depth == 0);
	default:
		return (false);
	}
}

static bool
jsonsplit_is_gap(char c)
{
	return (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0x1e);
}

int
jsonsplit_feed(struct jsonsplit *s, const void *data, size_t n, jsonsplit_cb cb,
    void *arg)
{
	const char *p = data;
	size_t i, start = 0;
	int r;

	for (i = 0; i < n; i++) {
		if (s->depth == 0) {
			if (jsonsplit_is_gap(p[i]))
				continue;
			if (p[i] != '{')
				return (-1);
			start = i;
		}
		if (s->obj.len + (i - start) >= JSONSPLIT_MAX)
			return (-1);
		if (!jsonsplit_ends(s, p[i]))
			continue;
		buf_add(&s->obj, p + start, i + 1 - start);
		start = i + 1;
		r = cb(arg, s->obj.data, s->obj.len);
		s->obj.len = 0;
		if (r == -1)
			return (-1);
	}
	if (s->depth > 0)
		buf_add(&s->obj, p + start, n - start);
	return (0);
}

void
jsonsplit_reset(struct jsonsplit *s)
{
	buf_free(&s->obj);
	memset(s, 0, sizeof(*s));
}
