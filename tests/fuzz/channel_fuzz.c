/*
 * Frames: bytes that a peer sends, for each pair of processes.  The first
 * byte chooses who reads and who has sent, the second how many descriptors
 * come along; what is handed to a handler is what came, in its order.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/wire.h"
#include "tests/fuzz/fuzz.h"

#define FDS_MAX 4

static const struct {
	enum proc self, peer;
} pairs[] = {
	{ PROC_SUP, PROC_WATCH },
	{ PROC_SUP, PROC_ENGINE },
	{ PROC_SUP, PROC_IMAGE },
	{ PROC_SUP, PROC_PUSH },
	{ PROC_SUP, PROC_PLAN },
	{ PROC_SUP, PROC_CONTROL },
	{ PROC_SUP, PROC_CONFIG },
	{ PROC_WATCH, PROC_SUP },
	{ PROC_ENGINE, PROC_SUP },
	{ PROC_IMAGE, PROC_SUP },
	{ PROC_PUSH, PROC_SUP },
	{ PROC_PLAN, PROC_SUP },
	{ PROC_CONTROL, PROC_SUP },
	{ PROC_CONFIG, PROC_SUP },
	{ PROC_CONTROL, PROC_CLIENT },
	{ PROC_CLIENT, PROC_CONTROL },
};

struct reader {
	const uint8_t *data;
	size_t size, at;
	bool ended;
};

static void
reader_on_frame(void *arg, struct frame *f)
{
	struct reader *r = arg;
	struct frame_head head;
	size_t off = 0;
	struct field field;

	HOLDS(!r->ended);
	HOLDS(r->size - r->at >= sizeof(head) + f->payload_len);
	memcpy(&head, r->data + r->at, sizeof(head));
	HOLDS(head.type == f->head.type && head.id == f->head.id);
	HOLDS((head.length & ~FRAME_FD) == sizeof(head) + f->payload_len);
	HOLDS(f->payload_len == 0 ||
	    memcmp(r->data + r->at + sizeof(head), f->payload,
		f->payload_len) == 0);
	r->at += sizeof(head) + f->payload_len;
	/* what the table promises a handler */
	HOLDS(f->def == msg_def(f->head.type) && f->source < PROC_MAX);
	HOLDS(f->def->from & PROC_BIT(f->source));
	HOLDS(f->def->fixed + f->tail.len == f->payload_len);
	HOLDS(f->def->fd != MSG_FD_MUST || f->fd != -1);
	HOLDS(f->def->fd != MSG_FD_NO || f->fd == -1);
	HOLDS(f->def->tail != MSG_TAIL_NONE || f->tail.len == 0);
	HOLDS(frame_fixed(f) != NULL);
	if (f->def->tail == MSG_TAIL_FIELDS)
		while (field_next(&f->tail, &off, &field) == 1)
			continue;
	HOLDS(f->def->tail != MSG_TAIL_FIELDS || off == f->tail.len);
}

static void
reader_on_end(void *arg, enum channel_end how, const char *why)
{
	struct reader *r = arg;

	HOLDS(!r->ended && why != NULL);
	fuzz_printable(why, strlen(why), false);
	r->ended = true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct channel_ops ops = { .frame = reader_on_frame,
		.end = reader_on_end };
	static struct loop *loop;
	struct fuzz in = { data, size };
	size_t pair = fuzz_u8(&in) % (sizeof(pairs) / sizeof(pairs[0]));
	size_t nfds = fuzz_u8(&in) % (FDS_MAX + 1);
	struct reader r = { .data = in.p, .size = in.n };
	int sv[2], fds[FDS_MAX] = { 0 };
	struct channel *c;

	if (in.n == 0 || in.n > 100000)
		return (0);
	if (loop == NULL)
		loop = loop_new();
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	wire_send(sv[1], in.p, in.n, fds, nfds);
	close(sv[1]);
	c = channel_new(loop, sv[0], pairs[pair].self, pairs[pair].peer, &ops,
	    &r);
	for (int i = 0; i < 10000 && !r.ended; i++)
		HOLDS(loop_once(loop, 0) == 0);
	HOLDS(r.ended);
	channel_free(c);
	return (0);
}
