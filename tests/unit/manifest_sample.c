/*
 * Entries and regions for the manifest's tests, see manifest_sample.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/manifest_sample.h"

struct manifest_entry
sample_entry(int64_t size, enum manifest_state state)
{
	struct manifest_entry e = { .type = TREE_REG,
		.mode = 0644,
		.size = size,
		.mtime_ns = 1,
		.ctime_ns = 2,
		.ino = 3 };

	e.state = (uint8_t)state;
	memset(e.sha256, (int)(size & 0xff), HASH_LEN);
	return (e);
}

void
sample_set(struct manifest *m, const char *path, int64_t size)
{
	struct manifest_entry e = sample_entry(size, MANIFEST_KNOWN);

	assert_int_equal(manifest_set(m, path, &e), 0);
}

struct manifest *
sample_attached(void *map, size_t size)
{
	struct manifest *m = manifest_new();

	assert_int_equal(manifest_attach(m, map, size), 0);
	assert_int_equal(manifest_load(m), 0);
	return (m);
}

struct manifest_meta
sample_meta(void)
{
	struct manifest_meta meta = { .run_pending_from = 4,
		.epoch = 9,
		.restart_after_ns = 77 };

	memset(meta.container, 'c', 64);
	strlcpy(meta.image, "sha256:0123", sizeof(meta.image));
	return (meta);
}
