/*
 * UTF-8, decoded the way Go decodes it: one bad byte at a time.
 * Pure code, any process.
 */

#include "workers/shared/utf8.h"

/* Width of the sequence that `lead` begins, and the least value it may have. */
static size_t
utf8_lead(unsigned char lead, uint32_t *min, uint32_t *bits)
{
	if (lead >= 0xc2 && lead <= 0xdf) {
		*min = 0x80;
		*bits = lead & 0x1f;
		return (2);
	}
	if (lead >= 0xe0 && lead <= 0xef) {
		*min = 0x800;
		*bits = lead & 0x0f;
		return (3);
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		*min = 0x10000;
		*bits = lead & 0x07;
		return (4);
	}
	return (0);
}

size_t
utf8_decode(const char *s, size_t len, uint32_t *rune)
{
	const unsigned char *u = (const unsigned char *)s;
	uint32_t min, r;
	size_t i, width;

	*rune = UTF8_BAD;
	if (u[0] < 0x80) {
		*rune = u[0];
		return (1);
	}
	width = utf8_lead(u[0], &min, &r);
	if (width == 0 || width > len)
		return (1);
	for (i = 1; i < width; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return (1);
		r = r << 6 | (u[i] & 0x3f);
	}
	if (r < min || r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff))
		return (1);
	*rune = r;
	return (width);
}

size_t
utf8_encode(uint32_t r, char out[4])
{
	if (r < 0x80) {
		out[0] = (char)r;
		return (1);
	}
	if (r < 0x800) {
		out[0] = (char)(0xc0 | r >> 6);
		out[1] = (char)(0x80 | (r & 0x3f));
		return (2);
	}
	if (r < 0x10000) {
		out[0] = (char)(0xe0 | r >> 12);
		out[1] = (char)(0x80 | (r >> 6 & 0x3f));
		out[2] = (char)(0x80 | (r & 0x3f));
		return (3);
	}
	out[0] = (char)(0xf0 | r >> 18);
	out[1] = (char)(0x80 | (r >> 12 & 0x3f));
	out[2] = (char)(0x80 | (r >> 6 & 0x3f));
	out[3] = (char)(0x80 | (r & 0x3f));
	return (4);
}
