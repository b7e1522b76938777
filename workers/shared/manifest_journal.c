/*
 * The region of a manifest, see manifest.h: two slots, each an append journal.
 * Runs in the image and push workers, on memory that the supervisor and later
 * generations see as well.
 *
 * Region: slot 0 in the first half, slot 1 in the second.
 * Slot:   struct slot_head, then records up to head.length.
 * Record: struct rec_head, payload, zeros up to a multiple of 8.
 *
 * The check of a record is seeded with the slot's sequence and its offset, so
 * that nothing left from an earlier use of the slot passes.  Integers are the
 * machine's own: a region does not travel.
 */
#include <errno.h>
#include <string.h>

#include "workers/shared/manifest_private.h"

#define SLOT_MAGIC   0x31464d4652414857ULL /* "WHARFMF1" */
#define REC_ALIGN    8
#define REC_PAYLOAD  8192
#define SEQUENCE_MAX (UINT64_MAX / 2) /* no region of ours gets there */
#define SLACK_DIVIDE 8 /* a compacted slot keeps 1/8 for deltas */

enum rec_kind {
	REC_ENTRY = 1, /* struct rec_entry, path */
	REC_REMOVE,    /* path */
	REC_META,      /* struct rec_meta */
	REC_STR        /* u32 length of the key, key, value; no value: gone */
};

struct slot_head {
	uint64_t magic; /* stored last: then the slot is valid */
	uint64_t sequence;
	uint64_t length; /* of the journal; grows with a release store */
	uint32_t check;  /* of magic, sequence and the slot's size */
	uint32_t lossy;  /* a delta did not fit */
};

struct rec_head {
	uint32_t len; /* of the payload */
	uint32_t kind;
	uint32_t check;
	uint32_t zero;
};

struct rec_entry {
	uint8_t type;
	uint8_t state;
	uint8_t racy;
	uint8_t zero;
	uint32_t mode;
	uint32_t epoch;
	uint32_t zero2;
	int64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint64_t ino;
	uint8_t sha256[HASH_LEN];
};

struct rec_meta {
	char container[72];
	char image[72];
	uint8_t dockerfile_sha256[HASH_LEN];
	uint8_t ignore_sha256[HASH_LEN];
	int32_t run_pending_from;
	uint32_t epoch;
	int64_t restart_after_ns;
};

_Static_assert(sizeof(struct slot_head) == 32, "slot header");
_Static_assert(sizeof(struct rec_head) == 16, "record header");
_Static_assert(sizeof(struct rec_entry) == 80, "entry record");
_Static_assert(sizeof(struct rec_meta) == 224, "meta record");
_Static_assert(sizeof(struct rec_entry) + TREE_PATH_MAX <= REC_PAYLOAD &&
	4 + MANIFEST_KEY_MAX + MANIFEST_STR_MAX <= REC_PAYLOAD,
    "record size");

/* FNV-1a, 32 bits. */
static uint32_t
check_add(uint32_t h, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len-- > 0)
		h = (h ^ *p++) * 16777619U;
	return (h);
}

static uint32_t
check_u64(uint32_t h, uint64_t v)
{
	return (check_add(h, &v, sizeof(v)));
}

static uint32_t
head_check(const struct manifest *m, uint64_t sequence)
{
	uint32_t h = check_u64(2166136261U, SLOT_MAGIC);

	return (check_u64(check_u64(h, sequence), m->slot_size));
}

static uint32_t
rec_check(uint64_t sequence, uint64_t off, uint32_t kind, uint32_t len)
{
	uint32_t h = check_u64(check_u64(2166136261U, sequence), off);

	return (check_u64(h, (uint64_t)kind << 32 | len));
}

static uint64_t
rec_cost(uint64_t len)
{
	return ((sizeof(struct rec_head) + len + REC_ALIGN - 1) &
	    ~(uint64_t)(REC_ALIGN - 1));
}

uint64_t
manifest_entry_cost(const char *path)
{
	return (rec_cost(sizeof(struct rec_entry) + strlen(path)));
}

uint64_t
manifest_str_cost(const char *key, const char *value)
{
	return (rec_cost(sizeof(uint32_t) + strlen(key) + strlen(value) + 1));
}

static struct slot_head *
slot_head(const struct manifest *m, int slot)
{
	return (
	    (struct slot_head *)(void *)(m->map + (size_t)slot * m->slot_size));
}

static uint8_t *
slot_data(const struct manifest *m, int slot)
{
	return (
	    m->map + (size_t)slot * m->slot_size + sizeof(struct slot_head));
}

static uint64_t
slot_room(const struct manifest *m)
{
	return (m->slot_size - sizeof(struct slot_head));
}

int
manifest_attach(struct manifest *m, void *map, size_t size)
{
	m->map = NULL;
	m->slot = -1;
	m->sequence = 0;
	m->length = 0;
	m->lossy &= ~MANIFEST_LOSSY_REGION;
	if (map == NULL)
		return (0);
	if (size < MANIFEST_SIZE_MIN || (uintptr_t)map % REC_ALIGN != 0) {
		errno = EINVAL;
		return (-1);
	}
	m->map = map;
	m->slot_size = size / 2 & ~(size_t)(REC_ALIGN - 1);
	return (0);
}

/* Writes a record of two parts at off; not yet part of the journal. */
static void
rec_write(struct manifest *m, int slot, uint64_t sequence, uint64_t off,
    uint32_t kind, const void *a, size_t alen, const void *b, size_t blen)
{
	uint8_t *p = slot_data(m, slot) + off;
	struct rec_head h = { .len = (uint32_t)(alen + blen), .kind = kind };

	h.check = rec_check(sequence, off, kind, h.len);
	h.check = check_add(check_add(h.check, a, alen), b, blen);
	memcpy(p, &h, sizeof(h));
	memcpy(p + sizeof(h), a, alen);
	if (blen > 0)
		memcpy(p + sizeof(h) + alen, b, blen);
}

static int
journal_lost(struct manifest *m)
{
	m->lossy |= MANIFEST_LOSSY_REGION;
	if (m->slot != -1)
		__atomic_store_n(&slot_head(m, m->slot)->lossy, 1,
		    __ATOMIC_RELEASE);
	errno = ENOSPC;
	return (-1);
}

/* Appends a delta that memory has; compacts when the slot is full. */
static int
journal_put(struct manifest *m, uint32_t kind, const void *a, size_t alen,
    const void *b, size_t blen)
{
	uint64_t cost = rec_cost(alen + blen);

	if (m->map == NULL)
		return (0);
	if (m->slot == -1 || m->length + cost > slot_room(m))
		return (manifest_compact(m));
	rec_write(m, m->slot, m->sequence, m->length, kind, a, alen, b, blen);
	m->length += cost;
	__atomic_store_n(&slot_head(m, m->slot)->length, m->length,
	    __ATOMIC_RELEASE);
	return (0);
}

static void
entry_pack(struct rec_entry *r, const struct manifest_entry *e)
{
	memset(r, 0, sizeof(*r));
	r->type = e->type;
	r->state = e->state;
	r->racy = e->racy;
	r->mode = e->mode;
	r->epoch = e->epoch;
	r->size = e->size;
	r->mtime_ns = e->mtime_ns;
	r->ctime_ns = e->ctime_ns;
	r->ino = e->ino;
	memcpy(r->sha256, e->sha256, HASH_LEN);
}

static void
meta_pack(struct rec_meta *r, const struct manifest_meta *meta)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->container, meta->container, strlen(meta->container));
	memcpy(r->image, meta->image, strlen(meta->image));
	memcpy(r->dockerfile_sha256, meta->dockerfile_sha256, HASH_LEN);
	memcpy(r->ignore_sha256, meta->ignore_sha256, HASH_LEN);
	r->run_pending_from = meta->run_pending_from;
	r->epoch = meta->epoch;
	r->restart_after_ns = meta->restart_after_ns;
}

/* Key with its length before it, into buf; returns the bytes. */
static size_t
key_pack(uint8_t buf[4 + MANIFEST_KEY_MAX], const char *key)
{
	uint32_t len = (uint32_t)strlen(key);

	memcpy(buf, &len, sizeof(len));
	memcpy(buf + sizeof(len), key, len);
	return (sizeof(len) + len);
}

int
manifest_put_entry(struct manifest *m, const char *path,
    const struct manifest_entry *e)
{
	struct rec_entry r;

	entry_pack(&r, e);
	return (journal_put(m, REC_ENTRY, &r, sizeof(r), path, strlen(path)));
}

int
manifest_put_remove(struct manifest *m, const char *path)
{
	return (journal_put(m, REC_REMOVE, path, strlen(path), "", 0));
}

int
manifest_put_meta(struct manifest *m)
{
	struct rec_meta r;

	meta_pack(&r, &m->meta);
	return (journal_put(m, REC_META, &r, sizeof(r), "", 0));
}

int
manifest_put_str(struct manifest *m, const char *key, const char *value)
{
	uint8_t buf[4 + MANIFEST_KEY_MAX];
	size_t len = key_pack(buf, key);

	/* A value is written with its NUL, so that "" is not "gone". */
	return (journal_put(m, REC_STR, buf, len, value != NULL ? value : "",
	    value != NULL ? strlen(value) + 1 : 0));
}

/* All of memory as records of one slot; returns the journal's length. */
static uint64_t
compact_write(struct manifest *m, int slot, uint64_t sequence)
{
	struct manifest_node *n;
	struct rec_entry e;
	struct rec_meta meta;
	uint8_t key[4 + MANIFEST_KEY_MAX];
	uint64_t off;
	size_t i, len, klen;

	meta_pack(&meta, &m->meta);
	rec_write(m, slot, sequence, 0, REC_META, &meta, sizeof(meta), "", 0);
	off = rec_cost(sizeof(meta));
	for (i = 0; i < m->nstr; i++) {
		klen = key_pack(key, m->str[i].key);
		len = strlen(m->str[i].value) + 1;
		rec_write(m, slot, sequence, off, REC_STR, key, klen,
		    m->str[i].value, len);
		off += rec_cost(klen + len);
	}
	RB_FOREACH (n, manifest_tree, &m->entries) {
		len = strlen(n->path);
		entry_pack(&e, &n->e);
		rec_write(m, slot, sequence, off, REC_ENTRY, &e, sizeof(e),
		    n->path, len);
		off += rec_cost(sizeof(e) + len);
	}
	return (off);
}

int
manifest_compact(struct manifest *m)
{
	struct slot_head *h;
	uint64_t need = rec_cost(sizeof(struct rec_meta)) + m->live;
	uint64_t sequence;
	int slot;

	if (need > slot_room(m) - slot_room(m) / SLACK_DIVIDE)
		return (journal_lost(m));
	if (m->sequence >= SEQUENCE_MAX) { /* none is higher: begin anew */
		m->sequence = 0;
		m->slot = -1;
	}
	sequence = m->sequence + 1;
	slot = m->slot == 0; /* -1: slot 0 */
	h = slot_head(m, slot);
	/* Without a slot to keep, what the other one holds is of no use. */
	if (m->slot == -1)
		slot_head(m, 1)->magic = 0;
	__atomic_store_n(&h->magic, 0, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	m->length = compact_write(m, slot, sequence);
	m->lossy &= ~MANIFEST_LOSSY_REGION;
	h->sequence = sequence;
	h->length = m->length;
	h->check = head_check(m, sequence);
	h->lossy = m->lossy != 0;
	__atomic_store_n(&h->magic, SLOT_MAGIC, __ATOMIC_RELEASE);
	m->slot = slot;
	m->sequence = sequence;
	return (0);
}

int
manifest_renew(struct manifest *m)
{
	if (m->map == NULL) {
		errno = EINVAL;
		return (-1);
	}
	if (m->slot == -1)
		m->sequence = 0;
	m->lossy &= ~MANIFEST_LOSSY_MEMORY;
	return (manifest_compact(m));
}

static int
load_entry(struct manifest *m, const uint8_t *p, size_t len)
{
	struct manifest_entry e = { 0 };
	struct rec_entry r;
	char path[TREE_PATH_MAX];

	if (len <= sizeof(r) || len - sizeof(r) >= sizeof(path))
		return (-1);
	memcpy(&r, p, sizeof(r));
	len -= sizeof(r);
	memcpy(path, p + sizeof(r), len);
	path[len] = '\0';
	e.type = r.type;
	e.state = r.state;
	e.racy = r.racy;
	e.mode = r.mode;
	e.epoch = r.epoch;
	e.size = r.size;
	e.mtime_ns = r.mtime_ns;
	e.ctime_ns = r.ctime_ns;
	e.ino = r.ino;
	memcpy(e.sha256, r.sha256, HASH_LEN);
	if (strlen(path) != len || !manifest_entry_ok(path, &e))
		return (-1);
	manifest_mem_set(m, path, &e);
	return (0);
}

static int
load_remove(struct manifest *m, const uint8_t *p, size_t len)
{
	char path[TREE_PATH_MAX];

	if (len == 0 || len >= sizeof(path))
		return (-1);
	memcpy(path, p, len);
	path[len] = '\0';
	if (strlen(path) != len || !tree_path_ok(path))
		return (-1);
	manifest_mem_remove(m, path);
	return (0);
}

static int
load_meta(struct manifest *m, const uint8_t *p, size_t len)
{
	struct manifest_meta meta = { 0 };
	struct rec_meta r;

	if (len != sizeof(r))
		return (-1);
	memcpy(&r, p, sizeof(r));
	memcpy(meta.container, r.container, sizeof(meta.container));
	memcpy(meta.image, r.image, sizeof(meta.image));
	memcpy(meta.dockerfile_sha256, r.dockerfile_sha256, HASH_LEN);
	memcpy(meta.ignore_sha256, r.ignore_sha256, HASH_LEN);
	meta.run_pending_from = r.run_pending_from;
	meta.epoch = r.epoch;
	meta.restart_after_ns = r.restart_after_ns;
	if (!manifest_meta_ok(&meta))
		return (-1);
	m->meta = meta;
	return (0);
}

static int
load_str(struct manifest *m, const uint8_t *p, size_t len)
{
	char key[MANIFEST_KEY_MAX], value[MANIFEST_STR_MAX];
	uint32_t klen;
	size_t vlen;

	if (len < sizeof(klen))
		return (-1);
	memcpy(&klen, p, sizeof(klen));
	p += sizeof(klen);
	len -= sizeof(klen);
	if (klen >= sizeof(key) || klen > len || len - klen > sizeof(value))
		return (-1);
	memcpy(key, p, klen);
	key[klen] = '\0';
	vlen = len - klen;
	memcpy(value, p + klen, vlen);
	if (vlen > 0 && strnlen(value, vlen) != vlen - 1)
		return (-1);
	if (strlen(key) != klen ||
	    !manifest_str_ok(m, key, vlen > 0 ? value : NULL))
		return (-1);
	manifest_mem_str(m, key, vlen > 0 ? value : NULL);
	return (0);
}

/* Checks and applies the record at off; returns its cost, 0 for a bad one. */
static uint64_t
load_record(struct manifest *m, uint64_t off, uint64_t length)
{
	static int (*const load[])(struct manifest *, const uint8_t *,
	    size_t) = {
		[REC_ENTRY] = load_entry,
		[REC_REMOVE] = load_remove,
		[REC_META] = load_meta,
		[REC_STR] = load_str,
	};
	const uint8_t *p = slot_data(m, m->slot) + off;
	uint8_t copy[REC_PAYLOAD];
	struct rec_head h;
	uint32_t check;

	if (length - off < sizeof(h))
		return (0);
	memcpy(&h, p, sizeof(h));
	if (h.len > sizeof(copy) || h.len > length - off - sizeof(h) ||
	    h.zero != 0 || h.kind < REC_ENTRY || h.kind > REC_STR)
		return (0);
	memcpy(copy, p + sizeof(h), h.len);
	check = rec_check(m->sequence, off, h.kind, h.len);
	if (check_add(check, copy, h.len) != h.check)
		return (0);
	return (load[h.kind](m, copy, h.len) == 0 ? rec_cost(h.len) : 0);
}

/* Chooses the newer valid slot.  1 when a header is neither valid nor unused.
 */
static int
load_choose(struct manifest *m)
{
	struct slot_head h;
	int slot, damaged = 0;

	m->slot = -1;
	m->sequence = 0;
	for (slot = 0; slot < 2; slot++) {
		memcpy(&h, slot_head(m, slot), sizeof(h));
		if (h.magic == 0)
			continue;
		if (h.magic != SLOT_MAGIC || h.sequence == 0 ||
		    h.sequence > SEQUENCE_MAX ||
		    h.check != head_check(m, h.sequence)) {
			damaged = 1;
			continue;
		}
		if (h.sequence > m->sequence) {
			m->sequence = h.sequence;
			m->slot = slot;
		}
	}
	return (damaged);
}

/* The journal of the chosen slot.  1 when it stops early. */
static int
load_slot(struct manifest *m)
{
	uint64_t length, off, cost;
	int damaged = 0;

	length =
	    __atomic_load_n(&slot_head(m, m->slot)->length, __ATOMIC_ACQUIRE);
	if (length > slot_room(m) || length % REC_ALIGN != 0) {
		length = slot_room(m);
		damaged = 1;
	}
	for (off = 0; off < length; off += cost)
		if ((cost = load_record(m, off, length)) == 0 ||
		    cost > length - off)
			return (1);
	m->length = length;
	return (damaged || slot_head(m, m->slot)->lossy != 0);
}

int
manifest_load(struct manifest *m)
{
	struct manifest_node *n;

	if (m->map == NULL) {
		errno = EINVAL;
		return (-1);
	}
	manifest_mem_clear(m);
	m->lossy = load_choose(m) ? MANIFEST_LOSSY_MEMORY : 0;
	if (m->slot != -1 && load_slot(m))
		m->lossy = MANIFEST_LOSSY_MEMORY;
	if (m->lossy) {
		RB_FOREACH (n, manifest_tree, &m->entries)
			n->e.state = MANIFEST_UNKNOWN;
	}
	/* Appends must not land behind a bad record or in a bad slot. */
	if (m->lossy || m->slot == -1) {
		m->length = slot_room(m);
		(void)manifest_compact(m);
	}
	return (0);
}
