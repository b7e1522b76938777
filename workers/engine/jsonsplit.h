/*
 * A stream of JSON objects, cut at their boundaries: newlines, spaces and
 * record separators (0x1e, json-seq) between them, no matter how the bytes
 * were cut into chunks.  The objects are not parsed here.  Pure code.
 */
#ifndef WHARF_ENGINE_JSONSPLIT_H
#define WHARF_ENGINE_JSONSPLIT_H

#include <stdbool.h>

#include "buf.h"

#define JSONSPLIT_MAX (1024 * 1024) /* bytes of one object */

struct jsonsplit {
	struct buf obj; /* the object that is not whole yet */
	unsigned depth;
	bool in_string;
	bool escaped;
};

/* One whole object.  -1 stops. */
typedef int (*jsonsplit_cb)(void *arg, const void *p, size_t n);

/*
 * Feed n bytes; cb gets each object that became whole.  -1: something else
 * than objects, an object over the limit, or cb said so.
 */
int jsonsplit_feed(struct jsonsplit *s, const void *p, size_t n,
    jsonsplit_cb cb, void *arg);

/* Drop what is there; s is new again. */
void jsonsplit_reset(struct jsonsplit *s);

#endif
