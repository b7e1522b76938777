/*
 * What the classic builder says: lines of JSON, cut anywhere, whose text is
 * for people.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/image/image.h"
#include "tests/fuzz/fuzz.h"

static void
output_on_text(void *arg, const char *s, size_t n)
{
	struct buf *b = arg;

	HOLDS(n > 0 && memchr(s, '\n', n) == NULL);
	HOLDS(memchr(s, '\0', n) == NULL && memchr(s, '\033', n) == NULL);
	buf_add(b, s, n);
	buf_add(b, "\n", 1);
}

static void
output_run(struct output *o, struct buf *text, const uint8_t *p, size_t n,
    size_t most)
{
	size_t len;

	o->text = output_on_text;
	o->arg = text;
	for (size_t i = 0; i < n; i += len) {
		len = n - i < most ? n - i : most;
		output_feed(o, p + i, len);
	}
	output_end(o);
	HOLDS(memchr(o->image_id, '\0', sizeof(o->image_id)) != NULL);
	HOLDS(memchr(o->error, '\0', sizeof(o->error)) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	size_t most = fuzz_u8(&in) % 32 + 1;
	struct output whole = { 0 }, cut = { 0 };
	struct buf a = { 0 }, b = { 0 };

	output_run(&whole, &a, in.p, in.n, SIZE_MAX);
	output_run(&cut, &b, in.p, in.n, most);
	HOLDS(a.len == b.len);
	HOLDS(a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
	HOLDS(strcmp(whole.image_id, cut.image_id) == 0);
	HOLDS(strcmp(whole.error, cut.error) == 0);
	HOLDS(whole.step == cut.step && whole.steps == cut.steps);
	output_free(&whole);
	output_free(&cut);
	buf_free(&a);
	buf_free(&b);
	return (0);
}
