/*
 * The framed output of exec and logs: {stream, 0, 0, 0, u32 length big
 * endian, bytes}.  Taken apart as it comes, wherever it is split; nothing is
 * kept but the head of a frame, so that a hostile length costs no memory.
 * Pure code; Engine API: POST /exec/{id}/start.
 */
#ifndef WHARF_ENGINE_DEMUX_H
#define WHARF_ENGINE_DEMUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct demux {
	uint8_t head[8];
	size_t have;   /* bytes of head */
	uint32_t left; /* bytes of the payload that are still to come */
};

/* Bytes of a stream: 1 standard output, 2 standard error.  -1 stops. */
typedef int (*demux_cb)(void *arg, unsigned stream, const void *p, size_t n);

/*
 * Take n bytes apart; cb gets what belongs to a stream.  -1 when the bytes
 * are no such frames, or cb said so.  A zeroed struct demux is a new one.
 */
int demux_feed(struct demux *d, const void *p, size_t n, demux_cb cb,
    void *arg);

/* True between frames: the stream may end here. */
bool demux_at_rest(const struct demux *d);

#endif
