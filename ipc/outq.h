/*
 * Frames that wait to be sent on a socket, each with its file descriptor.
 * channel.c alone uses it.
 */
#ifndef WHARF_OUTQ_H
#define WHARF_OUTQ_H

#include <stdbool.h>
#include <stddef.h>

struct out;

struct outq {
	struct out *first;
	struct out **last; /* where the next one goes */
	size_t bytes;      /* not written yet */
	size_t fds;
};

void outq_init(struct outq *q);

/* Forget all frames and close their fds. */
void outq_clear(struct outq *q);

bool outq_is_empty(const struct outq *q);

/* Bytes of a frame: three pieces, one behind the other. */
struct outq_piece {
	const void *data; /* NULL: zeros */
	size_t len;
};

/* Append a frame; fd, or -1, is taken. */
void outq_add(struct outq *q, const struct outq_piece piece[3], int fd);

/*
 * Write of the first frame what the socket takes at once; its fd goes with
 * the first byte and is closed here then.  -1 with errno.
 */
int outq_write(struct outq *q, int sock);

#endif
