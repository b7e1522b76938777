/*
 * The last events, by number.  Process: control.
 *
 * Bounded by bytes and by count; the oldest go first.  Numbers grow by one
 * and are never given twice in a run of wharfd, so that a reader can tell
 * what it has missed.
 */
#ifndef WHARF_CONTROL_RING_H
#define WHARF_CONTROL_RING_H

#include <stddef.h>
#include <stdint.h>

#include "msg.h"

#define RING_BYTES (4 * 1024 * 1024)
#define RING_COUNT 16384
/* fields of one event; with head and RUN it still fits into a frame */
#define RING_FIELDS_MAX (64 * 1024)

struct ring_event {
	uint64_t seq;
	struct msg_event m;
	size_t len;
	uint8_t fields[];
};

struct ring;

/* A ring that keeps so much, whose first event gets the number `next`. */
struct ring *ring_new(size_t bytes, size_t count, uint64_t next);
void ring_free(struct ring *r);

/*
 * Keep a copy of an event under the next number.  Fields beyond
 * RING_FIELDS_MAX are left out, each whole; what is left is valid.
 */
void ring_add(struct ring *r, const struct msg_event *m,
    const struct fields *fields);

/* Number of the oldest event that is kept; ring_next() when there is none. */
uint64_t ring_first(const struct ring *r);

/* Number the next event will get. */
uint64_t ring_next(const struct ring *r);

/* The event of that number, the ring's until the next ring_add; or NULL. */
const struct ring_event *ring_get(const struct ring *r, uint64_t seq);

#endif
