/*
 * The engine's streams: exec output in its frames, and events as JSON.  How
 * the bytes were cut into pieces must not matter.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/engine/demux.h"
#include "workers/engine/jsonsplit.h"
#include "tests/fuzz/fuzz.h"

struct seen {
	struct buf bytes; /* of both streams, each byte behind its number */
	unsigned stop;    /* say -1 after so many calls, 0: never */
	unsigned calls;
};

static int
seen_demux(void *arg, unsigned stream, const void *p, size_t n)
{
	struct seen *s = arg;
	const uint8_t *b = p;

	HOLDS(stream == 1 || stream == 2);
	for (size_t i = 0; i < n; i++) {
		uint8_t two[2] = { (uint8_t)stream, b[i] };

		buf_add(&s->bytes, two, 2);
	}
	return (0);
}

static int
seen_object(void *arg, const void *p, size_t n)
{
	struct seen *s = arg;
	const char *text = p;

	/* the parser behind it will see that a bracket is no brace */
	HOLDS(n >= 2 && text[0] == '{');
	HOLDS(text[n - 1] == '}' || text[n - 1] == ']');
	buf_add(&s->bytes, p, n);
	buf_add(&s->bytes, "\n", 1);
	return (++s->calls == s->stop ? -1 : 0);
}

static void
seen_same(struct seen *a, struct seen *b)
{
	HOLDS(a->bytes.len == b->bytes.len);
	HOLDS(a->bytes.len == 0 ||
	    memcmp(a->bytes.data, b->bytes.data, a->bytes.len) == 0);
	buf_free(&a->bytes);
	buf_free(&b->bytes);
}

/* Pieces of 1 to `most` bytes. */
static size_t
piece(size_t left, unsigned most, size_t at)
{
	size_t n = 1 + at % most;

	return (n < left ? n : left);
}

static void
stream_demux(const uint8_t *p, size_t n, unsigned most)
{
	struct demux whole = { 0 }, cut = { 0 };
	struct seen a = { 0 }, b = { 0 };
	int ra = demux_feed(&whole, p, n, seen_demux, &a), rb = 0;
	size_t len;

	for (size_t i = 0; i < n && rb == 0; i += len) {
		len = piece(n - i, most, i);
		rb = demux_feed(&cut, p + i, len, seen_demux, &b);
	}
	HOLDS(ra == rb);
	HOLDS(ra == -1 || demux_at_rest(&whole) == demux_at_rest(&cut));
	seen_same(&a, &b);
}

static void
stream_json(const uint8_t *p, size_t n, unsigned most, unsigned stop)
{
	struct jsonsplit whole = { 0 }, cut = { 0 };
	struct seen a = { .stop = stop }, b = { .stop = stop };
	int ra = jsonsplit_feed(&whole, p, n, seen_object, &a), rb = 0;
	size_t len;

	for (size_t i = 0; i < n && rb == 0; i += len) {
		len = piece(n - i, most, i);
		rb = jsonsplit_feed(&cut, p + i, len, seen_object, &b);
	}
	HOLDS(ra == rb);
	seen_same(&a, &b);
	jsonsplit_reset(&whole);
	jsonsplit_reset(&cut);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	unsigned how = fuzz_u8(&in), most = how % 16 + 1;

	if (how & 0x80)
		stream_demux(in.p, in.n, most);
	else
		stream_json(in.p, in.n, most, how >> 4);
	return (0);
}
