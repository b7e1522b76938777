/*
 * What the fuzz targets share, see fuzz.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "tests/fuzz/fuzz.h"

void
fuzz_broken(const char *file, int line, const char *what)
{
	dprintf(STDERR_FILENO, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

uint8_t
fuzz_u8(struct fuzz *f)
{
	if (f->n == 0)
		return (0);
	f->n--;
	return (*f->p++);
}

uint64_t
fuzz_u64(struct fuzz *f)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | fuzz_u8(f);
	return (v);
}

char *
fuzz_str(struct fuzz *f)
{
	size_t n = 0;
	char *s;

	while (n < f->n && f->p[n] != '\n' && f->p[n] != '\0')
		n++;
	s = xstrndup((const char *)f->p, n);
	if (n < f->n)
		n++;
	f->p += n;
	f->n -= n;
	return (s);
}

char *
fuzz_rest(struct fuzz *f)
{
	char *s = xcalloc(1, f->n + 1);

	if (f->n > 0)
		memcpy(s, f->p, f->n);
	f->p += f->n;
	f->n = 0;
	return (s);
}

/* What may go to a terminal is what escaping leaves as it is. */
void
fuzz_printable(const char *s, size_t n, bool lines)
{
	char *esc = xcalloc(4, n + 2);
	size_t at = 0, len;

	while (at < n) {
		for (len = 0; at + len < n && s[at + len] != '\n'; len++)
			continue;
		log_escape(esc, 4 * n + 8, s + at, len);
		HOLDS(strlen(esc) == len && memcmp(esc, s + at, len) == 0);
		at += len;
		if (at < n) {
			HOLDS(lines);
			at++;
		}
	}
	free(esc);
}
