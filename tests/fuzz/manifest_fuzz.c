/*
 * The manifest: a region of shared memory that is read as hostile, and is
 * good again after it was written anew.
 */
#include <stdlib.h>
#include <string.h>

/* for its checksums */
#include "workers/shared/manifest_journal.c"
#include "tests/fuzz/fuzz.h"

#define REGION MANIFEST_SIZE_MIN

/* The halves of the input are how the two slots begin. */
static void
region_fill(uint8_t *map, struct fuzz *in)
{
	size_t half = in->n / 2;

	memset(map, 0, REGION);
	if (half > REGION / 2)
		half = REGION / 2;
	if (half > 0) {
		memcpy(map, in->p, half);
		memcpy(map + REGION / 2, in->p + half, half);
	}
}

/* Make the checksums right, so that what they cover is looked at. */
static void
region_seal(const struct manifest *m)
{
	struct slot_head *h;
	struct rec_head r;
	uint8_t *p;
	uint64_t off;

	for (int slot = 0; slot < 2; slot++) {
		h = slot_head(m, slot);
		if (h->sequence == 0)
			continue;
		h->magic = SLOT_MAGIC;
		h->check = head_check(m, h->sequence);
		h->length = h->length % 4096 & ~(uint64_t)(REC_ALIGN - 1);
		for (off = 0; off + sizeof(r) <= h->length;
		     off += rec_cost(r.len)) {
			p = slot_data(m, slot) + off;
			memcpy(&r, p, sizeof(r));
			r.kind = REC_ENTRY + (r.kind - REC_ENTRY) % 4;
			r.zero = 0;
			if (r.len > h->length - off - sizeof(r))
				r.len = (uint32_t)(h->length - off - sizeof(r));
			r.check = check_add(rec_check(h->sequence, off, r.kind,
						r.len),
			    p + sizeof(r), r.len);
			memcpy(p, &r, sizeof(r));
		}
	}
}

static void
manifest_look(const struct manifest *m)
{
	const struct manifest_entry *e;
	const char *path, *last = NULL;
	size_t n = 0;

	for (e = manifest_next(m, "", NULL, &path); e != NULL;
	     e = manifest_next(m, "", path, &path)) {
		HOLDS(tree_path_ok(path) && path[0] != '\0');
		HOLDS(last == NULL || tree_path_cmp(last, path) < 0);
		HOLDS(manifest_entry_ok(path, e));
		HOLDS(!manifest_lossy(m) || e->state == MANIFEST_UNKNOWN);
		HOLDS(manifest_get(m, path) == e);
		last = path;
		n++;
	}
	HOLDS(n == manifest_count(m));
	HOLDS(manifest_meta_ok(manifest_meta(m)));
}

static void
manifest_same_meta(const struct manifest_meta *a, const struct manifest_meta *b)
{
	HOLDS(strcmp(a->container, b->container) == 0);
	HOLDS(strcmp(a->image, b->image) == 0);
	HOLDS(
	    memcmp(a->dockerfile_sha256, b->dockerfile_sha256, HASH_LEN) == 0);
	HOLDS(memcmp(a->ignore_sha256, b->ignore_sha256, HASH_LEN) == 0);
	HOLDS(a->run_pending_from == b->run_pending_from);
	HOLDS(a->epoch == b->epoch);
	HOLDS(a->restart_after_ns == b->restart_after_ns);
}

static void
manifest_equal(const struct manifest *a, const struct manifest *b)
{
	const struct manifest_entry *e, *f;
	const char *path;

	HOLDS(manifest_count(a) == manifest_count(b));
	for (e = manifest_next(a, "", NULL, &path); e != NULL;
	     e = manifest_next(a, "", path, &path)) {
		f = manifest_get(b, path);
		HOLDS(f != NULL && e->type == f->type && e->mode == f->mode);
		HOLDS(e->size == f->size && e->ino == f->ino);
		HOLDS(memcmp(e->sha256, f->sha256, HASH_LEN) == 0);
	}
	manifest_same_meta(manifest_meta(a), manifest_meta(b));
}

/* Deltas behind what was there, as a worker would write them. */
static void
manifest_change(struct manifest *m, unsigned how)
{
	struct manifest_entry e = { .type = TREE_REG,
		.state = MANIFEST_KNOWN,
		.mode = 0644,
		.size = how };
	struct manifest_meta meta = *manifest_meta(m);

	(void)manifest_set(m, "some/file", &e);
	(void)manifest_set_str(m, "key", "value");
	meta.epoch++;
	(void)manifest_set_meta(m, &meta);
	if (how & 1)
		(void)manifest_remove(m, "some/file");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t region[REGION / 8];
	uint8_t *map = (uint8_t *)region;
	struct fuzz in = { data, size };
	unsigned how = fuzz_u8(&in);
	struct manifest *m = manifest_new(), *again = manifest_new();

	region_fill(map, &in);
	HOLDS(manifest_attach(m, map, REGION) == 0);
	if (how & 4)
		region_seal(m);
	HOLDS(manifest_load(m) == 0);
	manifest_look(m);
	manifest_change(m, how);
	if (how & 2)
		(void)manifest_renew(m);
	HOLDS(manifest_attach(again, map, REGION) == 0);
	HOLDS(manifest_load(again) == 0);
	manifest_look(again);
	if (!manifest_lossy(m)) {
		HOLDS(!manifest_lossy(again));
		manifest_equal(m, again);
	}
	manifest_free(m);
	manifest_free(again);
	return (0);
}
