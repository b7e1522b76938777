/*
 * A strict look at JSON text before cJSON sees it.  Private to json.c.
 */

#ifndef WHARF_SHARED_JSON_SCAN_H
#define WHARF_SHARED_JSON_SCAN_H

#include <stddef.h>

/* The numbers of the text, in order: where each begins and how long it is. */
struct json_scan_number {
	size_t at, len;
};

struct json_scan {
	struct json_scan_number *numbers;
	size_t n, cap;
	size_t at;       /* where it went wrong, a byte offset */
	const char *why; /* static text; NULL: all is well */
};

/*
 * Checks that the bytes are one RFC 8259 value, in UTF-8, nested at most
 * `depth` deep, without "\u0000" and lone surrogates.  -1: see at and why.
 * The caller frees `numbers` in either case.
 */
int json_scan_text(struct json_scan *, const char *s, size_t len,
    unsigned depth);

#endif
