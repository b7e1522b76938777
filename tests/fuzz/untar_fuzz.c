/*
 * What the engine answers to GET archive: a tar with passwd or group in it,
 * and COPY --chown's words that are looked up there.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/push/owner.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	char *spec = fuzz_str(&in), why[128] = "";
	struct owner o = { 0 };
	const char *text = NULL;
	size_t len = 0;
	uint32_t mode;

	if (owner_untar(in.p, in.n, &text, &len) == 0) {
		HOLDS(text >= (const char *)in.p);
		HOLDS(text + len <= (const char *)in.p + in.n);
	} else {
		text = (const char *)in.p;
		len = in.n;
	}
	if (owner_parse(spec, text, len, text, len, &o, why, sizeof(why)) == 0)
		HOLDS(o.uid <= INT32_MAX && o.gid <= INT32_MAX);
	else
		HOLDS(why[0] != '\0');
	if (!owner_needs_files(spec))
		HOLDS(owner_parse(spec, NULL, 0, NULL, 0, &o, why,
			  sizeof(why)) == 0 ||
		    why[0] != '\0');
	if (owner_mode(spec, &mode) == 0)
		HOLDS(mode <= 07777);
	free(spec);
	return (0);
}
