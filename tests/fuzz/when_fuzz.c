/*
 * The engine's timestamps, against arithmetic of our own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "workers/plan/plan.h"
#include "tests/fuzz/fuzz.h"

/* Whatever a time comes to is said back and read as the same. */
static void
when_again(int64_t ns)
{
	char text[64];
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm;
	int64_t back;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%09uZ",
	    (unsigned)(ns % 1000000000));
	HOLDS(when_parse(text, &back) == 0 && back == ns);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	uint64_t any = fuzz_u64(&in) >> 1;
	char *text = fuzz_rest(&in);
	int64_t ns;

	if (when_parse(text, &ns) == 0 && ns >= 0)
		when_again(ns);
	when_again((int64_t)any);
	free(text);
	return (0);
}
