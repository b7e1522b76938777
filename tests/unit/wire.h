/*
 * Frames as bytes, for tests of channels and requests: what a hostile or a
 * broken peer may send.
 */
#ifndef WHARF_WIRE_H
#define WHARF_WIRE_H

#include <sys/types.h>

#include "buf.h"
#include "channel.h"

/* Append one frame; its length is made from the payload and `fd`. */
void wire_frame(struct buf *b, unsigned type, unsigned source, uint32_t id,
    const void *payload, size_t len, bool fd);

/* Send all of it, with these descriptors on its first byte. */
void wire_send(int to, const void *data, size_t len, const int *fds,
    size_t nfds);

/* wire_frame() and wire_send() of one frame, with one fd or -1. */
void wire_send_frame(int to, unsigned type, unsigned source, uint32_t id,
    const void *payload, size_t len, int fd);

/* Take one whole frame from `from`; the payload is appended to `b`. */
struct frame_head wire_take(int from, struct buf *b);

/* A connected pair; both ends are closed on exec. */
void wire_pair(int sv[2]);

#define END_FRAMES 512

/* A channel under test, the raw other end, and what has come. */
struct end {
	struct loop *loop;
	struct channel *c;
	int raw;
	size_t n;
	struct frame_head head[END_FRAMES];
	enum proc source[END_FRAMES];
	ino_t ino[END_FRAMES]; /* of the frame's fd, 0: none */
	struct buf bytes;      /* all payloads, one behind the other */
	unsigned ends;
	enum channel_end how;
	char why[128];
	unsigned drained;
	size_t pause_at; /* stop reading inside this frame's handler */
	int taken;       /* take the fds: the last one */
	bool take;
	int fds_before;
};

extern const struct channel_ops end_ops; /* records into a struct end */

/* A channel of `self` to `peer`, whose end is `raw`. */
struct end *end_new(enum proc self, enum proc peer);

/* Frees it and fails the test when a descriptor was leaked. */
void end_free(struct end *e);

/* Turn the loop until nothing more comes. */
void end_settle(struct end *e);

/* Which file a descriptor is. */
ino_t wire_ino(int fd);

#endif
