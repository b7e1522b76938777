/*
 * Image references: the normal form is its own normal form, and so is what is
 * shown to people.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/shared/imageref.h"
#include "tests/fuzz/fuzz.h"

static void
ref_familiar(const struct imageref *ref, const char *normal)
{
	char *shown = imageref_familiar(ref), *again, why[256];

	HOLDS(shown != NULL);
	fuzz_printable(shown, strlen(shown), false);
	again = imageref_normal(shown, why, sizeof(why));
	HOLDS(again != NULL && strcmp(again, normal) == 0);
	free(shown);
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	char *text = fuzz_rest(&in), *normal, *again, why[256] = "";
	struct imageref ref;

	if (imageref_parse(text, &ref, why, sizeof(why)) == -1) {
		HOLDS(why[0] != '\0');
		HOLDS(imageref_normal(text, why, sizeof(why)) == NULL);
		free(text);
		return (0);
	}
	HOLDS(ref.registry != NULL && ref.repository != NULL);
	HOLDS(ref.tag != NULL || ref.digest != NULL);
	normal = imageref_normal(text, why, sizeof(why));
	HOLDS(normal != NULL);
	fuzz_printable(normal, strlen(normal), false);
	again = imageref_normal(normal, why, sizeof(why));
	HOLDS(again != NULL && strcmp(normal, again) == 0);
	ref_familiar(&ref, normal);
	imageref_clear(&ref);
	free(again);
	free(normal);
	free(text);
	return (0);
}
