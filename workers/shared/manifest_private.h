/*
 * What manifest.c (memory) and manifest_journal.c (the region) share.
 */

#ifndef WHARF_MANIFEST_PRIVATE_H
#define WHARF_MANIFEST_PRIVATE_H

#include <sys/tree.h>

#include "workers/shared/manifest.h"

#define MANIFEST_LOSSY_REGION 1 /* the region lacks deltas */
#define MANIFEST_LOSSY_MEMORY 2 /* so did the region that was loaded */

struct manifest_node {
	RB_ENTRY(manifest_node) tree;
	struct manifest_entry e;
	const char *path; /* in the same allocation */
};

RB_HEAD(manifest_tree, manifest_node);
RB_PROTOTYPE(manifest_tree, manifest_node, tree, manifest_node_cmp)

struct manifest_string {
	char *key;
	char *value;
};

struct manifest {
	struct manifest_tree entries;
	size_t count;
	struct manifest_meta meta;
	struct manifest_string str[MANIFEST_NSTR_MAX];
	size_t nstr;
	int lossy; /* MANIFEST_LOSSY_* */

	uint8_t *map;      /* borrowed; NULL: nothing attached */
	size_t slot_size;  /* bytes, its header included */
	int slot;          /* where appends go, or -1 */
	uint64_t sequence; /* of that slot */
	uint64_t length;   /* bytes of its journal */
	uint64_t live;     /* bytes the entries and strings need */
};

/* Changes in memory only; the arguments are checked.  For loading as well. */
void manifest_mem_set(struct manifest *m, const char *path,
    const struct manifest_entry *e);
void manifest_mem_remove(struct manifest *m, const char *path);
void manifest_mem_str(struct manifest *m, const char *key, const char *value);
void manifest_mem_clear(struct manifest *m);

/* The rules for what comes from outside: 1 when kept. */
int manifest_entry_ok(const char *path, const struct manifest_entry *e);
int manifest_meta_ok(const struct manifest_meta *meta);
int manifest_str_ok(const struct manifest *m, const char *key,
    const char *value);

/* Bytes of journal that an entry or a string takes. */
uint64_t manifest_entry_cost(const char *path);
uint64_t manifest_str_cost(const char *key, const char *value);

/*
 * Write one delta that memory already has; nothing when no region is
 * attached.  -1: ENOSPC, and the loss is marked.
 */
int manifest_put_entry(struct manifest *m, const char *path,
    const struct manifest_entry *e);
int manifest_put_remove(struct manifest *m, const char *path);
int manifest_put_meta(struct manifest *m);
int manifest_put_str(struct manifest *m, const char *key, const char *value);

/* Writes all of memory to the other slot.  -1: ENOSPC, marked likewise. */
int manifest_compact(struct manifest *m);

#endif
