/*
 * Marks of steps that have begun, see begun.h.  Push worker; pure.
 */
#include <stdio.h>

#include "workers/push/begun.h"

/* True when the mark was there.  A full region is the manifest's to know. */
static bool
begun_set(struct manifest *m, size_t instr, const char *value)
{
	char key[MANIFEST_KEY_MAX];
	bool before;

	snprintf(key, sizeof(key), "begun.%zu", instr);
	before = manifest_str(m, key) != NULL;
	(void)manifest_set_str(m, key, value);
	return (before);
}

bool
begun_mark(struct manifest *m, size_t instr)
{
	return (begun_set(m, instr, "1"));
}

void
begun_clear(struct manifest *m, size_t instr)
{
	(void)begun_set(m, instr, NULL);
}
