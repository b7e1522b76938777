/*
 * A channel: frames over a SOCK_STREAM unix socket, with file descriptors.
 *
 * Everything that comes in is checked against the message table before a
 * handler sees it, in this order: type, sender, receiver, length, fd.  What
 * fails ends the channel: the supervisor kills the worker, control drops the
 * client.  Sending never blocks; what the socket does not take is queued.
 */
#ifndef WHARF_CHANNEL_H
#define WHARF_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "msg.h"

#define FRAME_FD         0x80000000u /* in `length`: one fd belongs to it */
#define FRAME_MAX        (256 * 1024)
#define FRAME_FIXED_MAX  96
#define CHANNEL_BURST    64                /* frames handled per wake-up */
#define CHANNEL_LIMIT    (8 * 1024 * 1024) /* bytes queued for sending */
#define CHANNEL_FD_LIMIT 4096              /* fds queued for sending */

/* What stands before every payload on the wire. */
struct frame_head {
	uint32_t length; /* of head and payload, | FRAME_FD */
	uint16_t type;
	uint16_t flags;
	uint8_t source; /* enum proc; 0 from a worker, stamped on the way */
	uint8_t instance;
	uint16_t zero;
	uint32_t id;
	uint32_t generation;
};

/* A checked frame.  Valid only inside the handler. */
struct frame {
	struct frame_head head;
	const struct msg_def *def;
	enum proc source; /* who made it */
	union {
		uint64_t align;
		uint8_t bytes[FRAME_FIXED_MAX];
	} fixed;
	struct fields tail;     /* FIELDS or BYTES */
	const uint8_t *payload; /* fixed and tail as they came */
	size_t payload_len;
	int fd; /* -1: none; closed after the handler unless taken */
};

enum channel_end {
	CHANNEL_EOF,       /* the peer closed */
	CHANNEL_ERROR,     /* a system call failed */
	CHANNEL_VIOLATION, /* a check failed */
	CHANNEL_OVERFLOW,  /* more queued than the limit */
};

struct channel;

struct channel_ops {
	/* A checked frame. The channel must not be freed inside. */
	void (*frame)(void *arg, struct frame *f);
	/*
	 * The channel has ended; `why` is text for the log.  Called once, when
	 * all that came before the end has been handled; not while paused.
	 */
	void (*end)(void *arg, enum channel_end how, const char *why);
	/* The send queue ran empty; may be NULL. */
	void (*drained)(void *arg);
};

/*
 * Take fd (a connected stream socket) and start reading.  `self` is this
 * process, `peer` the one at the other end; behind PROC_SUP the frames of all
 * workers may come, with `source` stamped.
 */
struct channel *channel_new(struct loop *l, int fd, enum proc self,
    enum proc peer, const struct channel_ops *ops, void *arg);

/* Close the fd, all queued fds, and free. Takes NULL. */
void channel_free(struct channel *c);

/*
 * Queue one frame: fixed part (sizeof as in the table; NULL: zeros), tail,
 * and fd or -1.
 * Always takes fd, also when it fails.  -1 when the channel has ended or the
 * queue is over its limit, or the peer takes nothing any more.
 */
int channel_send(struct channel *c, enum msg_type type, uint16_t flags,
    uint32_t id, const void *fixed, const void *tail, size_t tail_len, int fd);

/* The same for a frame that is passed on with its payload as it came. */
int channel_forward(struct channel *c, const struct frame_head *head,
    const void *payload, size_t len, int fd);

/* Stop and resume reading: a slow receiver holds its senders back. */
void channel_pause(struct channel *c, bool paused);

/*
 * The peer is gone: handle at once what it still said, up to max bytes and
 * whatever has been paused.  Afterwards the channel can only be freed.
 */
void channel_drain(struct channel *c, size_t max);

/* Bytes that wait to be sent. */
size_t channel_queued(const struct channel *c);

/* Bytes that have come and are not a whole frame yet, or wait for a turn. */
size_t channel_pending(const struct channel *c);

/* Lower the limit of the send queue (default CHANNEL_LIMIT). */
void channel_set_limit(struct channel *c, size_t bytes);

int channel_fd(const struct channel *c);
bool channel_ended(const struct channel *c);

/* The fixed part of a checked frame. */
const void *frame_fixed(const struct frame *f);

/* The frame's fd, which is the caller's from now on. */
int frame_take_fd(struct frame *f);

#endif
