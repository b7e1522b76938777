/*
 * The manifest of one container: what was delivered to it, by path relative
 * to the build context.  Runs in the image and push workers; pure but for the
 * shared memory that it is given.
 *
 * It outlives the worker in a memfd that the supervisor created, sized and
 * sealed (GROW, SHRINK) and that every generation maps MAP_SHARED: two slots,
 * each a header and an append journal of self-checked records.  A record is
 * written first and becomes part of the journal when the new length is stored
 * (release), so that a process killed between any two instructions leaves a
 * readable journal.  A full slot is rewritten into the other one, which
 * becomes valid with its last store.  What is read is hostile: each record is
 * copied out before it is checked.
 *
 * Order of writing for an effect on the container:
 *   1. manifest_set(entry, state = MANIFEST_UNKNOWN)    the intent, with what
 *      is about to be delivered (hash and stat as far as known)
 *   2. do it: send, delete
 *   3. on the engine's or agent's answer, manifest_set(state =
 *      MANIFEST_KNOWN), or manifest_remove after a delete.
 * A successor that finds UNKNOWN does the effect again; effects are
 * idempotent.  Meta follows the same order: run_pending_from is set before
 * the copies that make a replay due, and cleared after the last replayed step.
 *
 * Lossy: the journal did not fit, or was damaged.  Then the region may lack
 * deltas: every entry that is loaded is UNKNOWN and the owner makes a full
 * compare, deleting only what the recorded context owns, and then calls
 * manifest_renew.
 */

#ifndef WHARF_MANIFEST_H
#define WHARF_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "workers/shared/hash.h"
#include "workers/shared/tree.h"

#define MANIFEST_RACY_NS  10000000 /* 10 ms, coarse file system clocks */
#define MANIFEST_SIZE_MIN 65536    /* bytes of the smallest region */
#define MANIFEST_STR_MAX  4096     /* bytes of a free string, with its NUL */
#define MANIFEST_KEY_MAX  64       /* bytes of its key, with its NUL */
#define MANIFEST_NSTR_MAX 64

enum manifest_state {
	MANIFEST_KNOWN = 1, /* delivered */
	MANIFEST_UNKNOWN    /* delivery begun, outcome unknown */
};

struct manifest_entry {
	uint8_t type;  /* enum tree_type: TREE_REG, TREE_DIR, TREE_LINK */
	uint8_t state; /* enum manifest_state */
	uint8_t racy;  /* the stat proves nothing: compare by content */
	uint32_t mode; /* 07777 */
	uint32_t epoch;
	int64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint64_t ino;
	uint8_t sha256[HASH_LEN]; /* of the content, or of a link's target */
};

struct manifest_meta {
	char container[65]; /* 64 hex digits, or "" */
	char image[72];     /* "sha256:" and 64 hex digits, or "" */
	uint8_t dockerfile_sha256[HASH_LEN];
	uint8_t ignore_sha256[HASH_LEN];
	int32_t run_pending_from; /* index of an instruction, or -1 */
	uint32_t epoch;
	int64_t restart_after_ns; /* CLOCK_REALTIME; 0 for none */
};

struct manifest;

/* An empty manifest in memory.  NULL: ENOMEM. */
struct manifest *manifest_new(void);
void manifest_free(struct manifest *m);

/*
 * Uses a mapped region (borrowed until free or detach; aligned to 8 bytes, at
 * least MANIFEST_SIZE_MIN).  Nothing is read or written yet: manifest_load or
 * manifest_renew comes next.  map NULL detaches.  -1: EINVAL.
 */
int manifest_attach(struct manifest *m, void *map, size_t size);

/*
 * Replaces what is in memory by what the region holds.  An unused region
 * gives an empty manifest.  Damage is no error: see manifest_lossy.  -1:
 * ENOMEM, EINVAL when nothing is attached.
 */
int manifest_load(struct manifest *m);

/*
 * Writes all that is in memory to the region anew, and clears lossy.  -1:
 * ENOSPC (lossy stays or becomes set), EINVAL when nothing is attached.
 */
int manifest_renew(struct manifest *m);

/* 1 when the region lacks, or lacked when loaded, part of the truth. */
int manifest_lossy(const struct manifest *m);

/*
 * Adds or replaces an entry; both are copied.  -1: EINVAL for a bad path or
 * entry, ENOMEM, or ENOSPC: memory has it, the region does not (lossy).
 */
int manifest_set(struct manifest *m, const char *path,
    const struct manifest_entry *e);

/* Removes an entry; 0 also when there was none.  -1: as manifest_set. */
int manifest_remove(struct manifest *m, const char *path);

/* NULL when there is none.  Valid until that entry is set or removed. */
const struct manifest_entry *manifest_get(const struct manifest *m,
    const char *path);

/* Empties it: entries, meta and strings, in the region too.  -1: ENOSPC. */
int manifest_clear(struct manifest *m);

size_t manifest_count(const struct manifest *m);

/*
 * The first entry at or below dir ("" for all) that sorts behind `after`
 * (NULL: the first of all), in the order of tree_path_cmp.  The manifest may
 * be changed between calls; so a long pass can be done in slices.  *path is
 * valid as long as the entry.  NULL at the end.
 */
const struct manifest_entry *manifest_next(const struct manifest *m,
    const char *dir, const char *after, const char **path);

/* Calls back for each entry at or below dir; stops at the first non-zero
 * result and returns it.  The callback must not change the manifest. */
int manifest_iter_below(const struct manifest *m, const char *dir,
    int (*cb)(void *arg, const char *path, const struct manifest_entry *e),
    void *arg);

/* Never NULL. */
const struct manifest_meta *manifest_meta(const struct manifest *m);

/* Copies meta.  -1: EINVAL for strings that are not as declared, ENOSPC. */
int manifest_set_meta(struct manifest *m, const struct manifest_meta *meta);

/* A free string field by key; NULL when there is none. */
const char *manifest_str(const struct manifest *m, const char *key);

/* Sets it, or removes it with value NULL.  -1: EINVAL, ENOMEM, ENOSPC. */
int manifest_set_str(struct manifest *m, const char *key, const char *value);

/*
 * Makes dst a copy of src: entries, meta, strings; and writes dst's region
 * where it has one.  -1: ENOMEM, ENOSPC.
 */
int manifest_copy(struct manifest *dst, const struct manifest *src);

/*
 * Fills e from a stat that was taken at scanned_ns (CLOCK_REALTIME, read just
 * before the stat): state KNOWN, hash zero, racy when mtime or ctime is so
 * near to the scan that a later write may leave the same times.
 */
void manifest_from_stat(struct manifest_entry *e, const struct tree_stat *st,
    int64_t scanned_ns);

/*
 * 1 only if type, mode, size, mtime, ctime and inode agree and the entry is
 * neither racy nor UNKNOWN: then the content need not be read.
 */
int manifest_same_stat(const struct manifest_entry *e,
    const struct tree_stat *st);

#endif
