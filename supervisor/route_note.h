/*
 * Notes between workers, and what they share with requests (route.c).
 * Supervisor; for these two files.
 */
#ifndef WHARF_ROUTE_NOTE_H
#define WHARF_ROUTE_NOTE_H

#include "sup.h"

/* A note to all whom it concerns; the latest of a kind is kept for newcomers.
 */
void route_note(struct child *from, struct frame *f);

/*
 * Deliver a frame now, or when the receiver is READY; `from` is not read while
 * the receiver is slow (NULL: nobody's).  Takes fd.
 */
void route_deliver(struct child *from, struct child *to,
    const struct frame_head *head, const void *payload, size_t len, int fd);

/* The head as the receiver sees it. */
struct frame_head route_head(const struct child *from, const struct frame *f,
    uint32_t id);

/* The engine worker that has to do with a service; NULL. */
struct child *route_engine_of(struct sup *s, uint32_t service);

#endif
