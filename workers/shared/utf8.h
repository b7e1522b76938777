/*
 * UTF-8, decoded the way Go decodes it.  Pure code, any process.
 */

#ifndef WHARF_SHARED_UTF8_H
#define WHARF_SHARED_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_BAD 0xfffdU

/*
 * Decodes one code point of s[0..len), len > 0, and returns its width.  A byte
 * that begins no valid sequence (overlong, surrogate, over U+10FFFF, cut off)
 * is UTF8_BAD of width 1; a real U+FFFD has width 3.
 */
size_t utf8_decode(const char *s, size_t len, uint32_t *rune);

/* Writes a code point, 4 bytes at most, and returns its width. */
size_t utf8_encode(uint32_t rune, char out[4]);

#endif
