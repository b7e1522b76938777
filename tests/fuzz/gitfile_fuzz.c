/*
 * A .git file, which names a directory.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/watch/git.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	char *dir = watch_git_dir((const char *)data, size), *text;

	if (dir != NULL) {
		HOLDS(dir[0] != '\0' && strlen(dir) < size);
		/* git writes one line; what it names is in the text */
		text = fuzz_rest(&in);
		HOLDS(memmem(text, size, dir, strlen(dir)) != NULL);
		free(text);
	}
	free(dir);
	return (0);
}
