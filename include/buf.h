/*
 * A growing byte buffer, and allocation that cannot fail.  Memory runs out
 * only by ending the process: every size that can come from outside is capped
 * before it gets here.
 */
#ifndef WHARF_BUF_H
#define WHARF_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
};

/* Append n bytes. */
void buf_add(struct buf *b, const void *data, size_t n);

/* Make room for n more bytes and return where they go; len is unchanged. */
uint8_t *buf_reserve(struct buf *b, size_t n);

/* Drop n bytes at the front. */
void buf_drop(struct buf *b, size_t n);

/* Free the memory; the buffer is empty and usable afterwards. */
void buf_free(struct buf *b);

/*
 * From now on memory that has run out is waited for, 10 s at most.  For the
 * supervisor: that a worker ends, by this or by the kernel, gives some back.
 */
void alloc_be_patient(void);

/* malloc, calloc, strdup that end the process when memory is gone. */
void *xcalloc(size_t n, size_t size);
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
