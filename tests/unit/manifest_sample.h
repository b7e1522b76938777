/*
 * What the tests of the manifest share: entries to set and regions to attach.
 */
#ifndef WHARF_MANIFEST_SAMPLE_H
#define WHARF_MANIFEST_SAMPLE_H

#include "workers/shared/manifest.h"

/* A file of that size; each byte of its hash is the lowest of the size. */
struct manifest_entry sample_entry(int64_t size, enum manifest_state state);

/* Something in every member that is stored. */
struct manifest_meta sample_meta(void);

/* Set a KNOWN entry; it must fit. */
void sample_set(struct manifest *m, const char *path, int64_t size);

/* A manifest on that region, loaded. The caller frees. */
struct manifest *sample_attached(void *map, size_t size);

#endif
