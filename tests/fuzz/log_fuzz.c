/*
 * Escaping: no control byte passes, however small the space is, and what was
 * escaped passes again as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "workers/shared/utf8.h"
#include "tests/fuzz/fuzz.h"

static void
log_look(const char *s, size_t n)
{
	uint32_t rune;
	size_t len;

	for (; n > 0; s += len, n -= len) {
		len = utf8_decode(s, n, &rune);
		HOLDS(rune >= 0x20 && rune != 0x7f);
		HOLDS(rune < 0x80 || rune >= 0xa0);
		HOLDS(rune != UTF8_BAD || len == 3);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	size_t room = fuzz_u8(&in), whole = in.n * 4 + 5;
	char *dst = xcalloc(1, room), *all = xcalloc(1, whole);
	char *again = xcalloc(1, whole);

	HOLDS(log_escape(dst, room, in.p, in.n) == dst);
	if (room > 0) {
		HOLDS(strlen(dst) < room);
		log_look(dst, strlen(dst));
	}
	log_escape(all, whole, in.p, in.n);
	log_look(all, strlen(all));
	/* the cut form is how the whole one begins */
	HOLDS(room == 0 || strncmp(dst, all, strlen(dst)) == 0);
	log_escape(again, whole, all, strlen(all));
	HOLDS(strcmp(again, all) == 0);
	free(dst);
	free(all);
	free(again);
	return (0);
}
