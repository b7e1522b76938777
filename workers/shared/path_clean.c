/*
 * Paths as text: Go's path.Clean.  Pure code, any process.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/shared/path_clean.h"

/* The length of out[0..n) without its last element; `base` bytes stay. */
static size_t
drop_last(const char *out, size_t n, size_t base)
{
	while (n > base && out[n - 1] != '/')
		n--;
	return (n > base ? n - 1 : n);
}

char *
path_clean(const char *path, size_t len, size_t *out_len)
{
	bool rooted = len > 0 && path[0] == '/';
	size_t at, end, width, n = 0, base = 0;
	/* "." for an empty path, one byte to spare and the NUL. */
	char *out = xcalloc(1, len + 3);

	if (rooted)
		out[n++] = '/';
	base = n;
	for (at = 0; at < len; at = end + 1) {
		for (end = at; end < len && path[end] != '/'; end++)
			;
		width = end - at;
		if (width == 0 || (width == 1 && path[at] == '.'))
			continue;
		if (width == 2 && memcmp(path + at, "..", 2) == 0) {
			if (n > base) {
				n = drop_last(out, n, base);
				continue;
			}
			if (rooted)
				continue;
		}
		if (n > (size_t)rooted)
			out[n++] = '/';
		memcpy(out + n, path + at, width);
		n += width;
		if (width == 2 && memcmp(path + at, "..", 2) == 0)
			base = n;
	}
	if (n == 0)
		out[n++] = '.';
	out[n] = '\0';
	*out_len = n;
	return (out);
}
