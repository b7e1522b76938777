/*
 * What differs between a context and the manifest of a container.  Push
 * worker; pure.
 */
#ifndef WHARF_PUSH_CHANGES_H
#define WHARF_PUSH_CHANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "workers/shared/tree.h"

struct change {
	char *path;
	enum tree_type old;  /* as delivered; TREE_ABSENT: not yet */
	enum tree_type now;  /* REG, DIR, LINK; TREE_ABSENT: deleted */
	struct tree_stat st; /* of what is there now */
	int64_t scanned_ns;
};

/* Sorted by tree_path_cmp, each path once, after changes_settle. */
struct changes {
	struct change *v;
	size_t n;
};

/* Append one; path is copied.  The result is valid until the next. */
struct change *changes_add(struct changes *c, const char *path,
    enum tree_type old, enum tree_type now);

/* Sort, and keep one of each path. */
void changes_settle(struct changes *c);

/* NULL when that path is not among them.  After changes_settle. */
const struct change *changes_find(const struct changes *c, const char *path);

/* Index of the first change at or behind path. */
size_t changes_from(const struct changes *c, const char *path);

/* True when something becomes, or was, a directory at a path of its own. */
bool change_swaps_dir(const struct change *c);

void changes_free(struct changes *c);

#endif
