/*
 * A request's body that comes through a pipe.  It is whole only when its
 * sender has said BODY_END with the number of bytes that came: a killed
 * sender never makes half a tar look whole.  Engine worker.
 */
#ifndef WHARF_ENGINE_BODY_H
#define WHARF_ENGINE_BODY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop.h"

struct body;

enum body_news {
	BODY_READY, /* the first block is there and is a tar's */
	BODY_MORE,  /* read again */
	BODY_BAD,   /* it will never be whole; body_why() says why */
};

/* May free the body. */
typedef void (*body_cb)(void *arg, enum body_news news);

/* Takes fd.  News come from the loop, BODY_READY or BODY_BAD first. */
struct body *body_new(struct loop *l, int fd, body_cb cb, void *arg);
void body_free(struct body *b);

/*
 * For http_ops.body: bytes, 0 at the end, HTTP_PAUSE (BODY_MORE follows),
 * HTTP_ABORT.
 */
ssize_t body_read(struct body *b, void *p, size_t n);

/* The sender says that it was so many bytes. */
void body_end(struct body *b, uint64_t bytes);

const char *body_why(const struct body *b);

#endif
