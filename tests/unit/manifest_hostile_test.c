/*
 * A manifest's region with hostile contents: forged records with correct
 * checks, and random bytes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/manifest_sample.h"

#define REGION MANIFEST_SIZE_MIN
#define HEAD   32 /* bytes of a slot's header; see manifest_journal.c */

static uint64_t region[REGION / 8];

static struct manifest *
fresh(size_t size)
{
	memset(region, 0, sizeof(region));
	return (sample_attached(region, size));
}

/* The format's check, written down a second time. */
static uint32_t
fnv(uint32_t h, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len-- > 0)
		h = (h ^ *p++) * 16777619U;
	return (h);
}

/* Puts a record with a correct check behind those of slot 0. */
static void
forge(uint32_t kind, const void *payload, uint32_t len)
{
	uint64_t seq = region[1], off = region[2];
	uint64_t kl = (uint64_t)kind << 32 | len;
	uint8_t *p = (uint8_t *)region + HEAD + off;
	uint32_t h[4] = { len, kind, 0, 0 };

	h[2] = fnv(fnv(fnv(fnv(2166136261U, &seq, 8), &off, 8), &kl, 8),
	    payload, len);
	memcpy(p, h, sizeof(h));
	memcpy(p + sizeof(h), payload, len);
	region[2] = off + ((16 + len + 7) & ~7U);
}

/* An entry record of a given type with that path. */
static void
forge_entry(uint8_t type, const char *path, size_t len)
{
	uint8_t payload[80 + 5000] = { 0 };

	payload[0] = type;
	payload[1] = MANIFEST_KNOWN;
	memcpy(payload + 80, path, len);
	forge(1, payload, (uint32_t)(80 + len));
}

/* Loads what was forged: 1 when it was taken as an entry. */
static int
forged_taken(void)
{
	struct manifest *m = sample_attached(region, REGION);
	int taken = manifest_count(m) == 2;

	assert_int_equal(manifest_lossy(m), !taken);
	assert_non_null(manifest_get(m, "good"));
	manifest_free(m);
	return (taken);
}

static void
start_forging(void)
{
	struct manifest *m = fresh(REGION);

	sample_set(m, "good", 1);
	manifest_free(m);
}

static void
hostile_records(void **state)
{
	static const char *const bad[] = { "/etc/x", "../x", "a/../b", "a//b",
		"a/", ".", "" };
	char big[4200];
	size_t i;

	(void)state;
	start_forging();
	forge_entry(TREE_REG, "ok", 2);
	assert_true(forged_taken());
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start_forging();
		forge_entry(TREE_REG, bad[i], strlen(bad[i]));
		assert_false(forged_taken());
	}
	start_forging();
	forge_entry(TREE_REG, "a\0b", 3);
	assert_false(forged_taken());
	start_forging();
	forge_entry(TREE_DEV, "dev", 3);
	assert_false(forged_taken());
	start_forging();
	memset(big, 'x', sizeof(big));
	forge_entry(TREE_REG, big, 4096);
	assert_false(forged_taken());
	start_forging();
	forge(3, big, 224); /* meta of rubbish */
	assert_false(forged_taken());
	start_forging();
	forge(4, "\xff\xff\xff\xffkv", 6); /* length of the key */
	assert_false(forged_taken());
	start_forging();
	forge(9, "x", 1);
	assert_false(forged_taken());
	start_forging();
	region[2] = REGION; /* a length beyond the slot */
	assert_false(forged_taken());
}

static int
check_entry(void *arg, const char *path, const struct manifest_entry *e)
{
	(void)arg;
	assert_true(tree_path_ok(path));
	assert_true(e->type >= TREE_REG && e->type <= TREE_LINK);
	assert_true(e->mode <= 07777);
	return (0);
}

/* Any bytes at all: whatever is loaded keeps the rules and can be used. */
static void
hostile_bytes(void **state)
{
	static uint64_t clean[REGION / 8];
	struct manifest *m = fresh(REGION);
	uint8_t *r = (uint8_t *)region;
	struct manifest_meta meta = sample_meta();
	char path[16];
	int i, k;

	(void)state;
	for (i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "f%d", i);
		sample_set(m, path, i);
	}
	manifest_set_meta(m, &meta);
	manifest_set_str(m, "k", "v");
	manifest_free(m);
	memcpy(clean, region, REGION);
	srandom(2);
	for (i = 0; i < 5000; i++) {
		memcpy(region, clean, REGION);
		for (k = random() % 6; k >= 0; k--)
			r[random() % (k % 2 ? 128 : REGION / 3)] =
			    (uint8_t)random();
		m = sample_attached(region, REGION);
		manifest_iter_below(m, "", check_entry, NULL);
		sample_set(m, "later", 1);
		manifest_free(m);
		m = sample_attached(region, REGION);
		assert_non_null(manifest_get(m, "later"));
		manifest_free(m);
	}
}

/* The highest sequence there can be has a successor all the same. */
static void
last_sequence(void **state)
{
	uint64_t seq, magic, slot = REGION / 2;
	struct manifest *m = fresh(REGION);

	assert_int_equal(manifest_renew(m), 0);
	magic = region[0] != 0 ? region[0] : region[slot / 8];
	for (seq = UINT64_MAX; seq > 1;
	     seq = seq == UINT64_MAX ? UINT64_MAX - 1 : seq / 2) {
		memset(region, 0, sizeof(region));
		region[0] = magic;
		region[1] = seq;
		((uint32_t *)region)[6] =
		    fnv(fnv(fnv(2166136261U, &magic, 8), &seq, 8), &slot, 8);
		assert_int_equal(manifest_load(m), 0);
		if (manifest_lossy(m))
			assert_true(seq >= UINT64_MAX / 2);
		assert_int_equal(manifest_renew(m), 0);
		assert_int_equal(manifest_renew(m), 0);
		assert_int_equal(manifest_load(m), 0);
		assert_false(manifest_lossy(m));
	}
	manifest_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_records),
		cmocka_unit_test(hostile_bytes),
		cmocka_unit_test(last_sequence),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
