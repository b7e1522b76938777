/*
 * Growing buffer and allocation that cannot fail, see buf.h.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"

#define ALLOC_AGAIN_MS 100
#define ALLOC_TRIES    100 /* 10 s */

static bool patient;

void
alloc_be_patient(void)
{
	patient = true;
}

/* An allocation has failed: returns when it may be tried again. */
static void
alloc_wait(unsigned *tries)
{
	if (!patient || *tries == ALLOC_TRIES)
		fatalx("out of memory");
	if ((*tries)++ == 0)
		log_warnx("out of memory; waiting for some to be given back");
	usleep(ALLOC_AGAIN_MS * 1000);
}

/*
 * gcc 12's analyzer takes a reallocarray(3) that fails for one that has freed
 * what it was given, where it is called again.
 */
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-double-free"
#endif
void *
xreallocarray(void *p, size_t n, size_t size)
{
	unsigned tries = 0;
	void *q;

	while ((q = reallocarray(p, n, size)) == NULL && n != 0 && size != 0)
		alloc_wait(&tries);
	return (q);
}
#ifndef __clang__
#pragma GCC diagnostic pop
#endif

void *
xcalloc(size_t n, size_t size)
{
	unsigned tries = 0;
	void *p;

	while ((p = calloc(n, size)) == NULL && n != 0 && size != 0)
		alloc_wait(&tries);
	return (p);
}

char *
xstrdup(const char *s)
{
	return (xstrndup(s, strlen(s)));
}

char *
xstrndup(const char *s, size_t n)
{
	unsigned tries = 0;
	char *p;

	while ((p = strndup(s, n)) == NULL)
		alloc_wait(&tries);
	return (p);
}

char *
xasprintf(const char *fmt, ...)
{
	unsigned tries = 0;
	va_list ap;
	char *p;
	int n;

	for (;;) {
		va_start(ap, fmt);
		n = vasprintf(&p, fmt, ap);
		va_end(ap);
		if (n != -1)
			return (p);
		alloc_wait(&tries);
	}
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap != 0 ? b->cap : 256;

	if (n > SIZE_MAX / 4 - b->len)
		fatalx("buffer too large");
	while (cap < b->len + n)
		cap *= 2;
	if (cap != b->cap) {
		b->data = xreallocarray(b->data, cap, 1);
		b->cap = cap;
	}
	return (b->data + b->len);
}

void
buf_add(struct buf *b, const void *data, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_reserve(b, n), data, n);
	b->len += n;
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}
