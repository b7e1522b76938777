/*
 * Paths as text: Go's path.Clean.  Pure code, any process.
 */

#ifndef WHARF_SHARED_PATH_CLEAN_H
#define WHARF_SHARED_PATH_CLEAN_H

#include <stddef.h>

/*
 * A cleaned copy: single slashes, no ".", ".." resolved by its text alone, no
 * trailing slash; "." when nothing remains.  Ends in a NUL, which *out_len
 * does not count, and has room for one byte more.  free().
 */
char *path_clean(const char *path, size_t len, size_t *out_len);

#endif
