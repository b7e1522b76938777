/*
 * The ignore rules that are in force for one Dockerfile: which file they come
 * from, what they say, and a hash by which a change is noticed.  Workers that
 * read contexts (image, push, watch).
 */
#ifndef WHARF_RULES_H
#define WHARF_RULES_H

#include "buf.h"
#include "workers/shared/hash.h"
#include "workers/shared/ignore.h"

struct rules {
	struct ignore *ignore;
	char *file; /* relative to the root; NULL: there is none */
	uint8_t sha256[HASH_LEN]; /* of name and content; 0 without a file */
};

/*
 * Read the rules beneath rootfd: <dockerfile>.dockerignore if it exists, else
 * .dockerignore (spec/live-update-peers.md section 6).  0; -1 with `error`
 * ("file:line: text") when a file cannot be read or parsed, r is empty then.
 */
int rules_load(struct rules *r, int rootfd, const char *dockerfile, char *error,
    size_t size);
void rules_free(struct rules *r);

/*
 * Append a whole file beneath rootfd to out: 1, 0 when it is not there or no
 * file, -1 errno (EFBIG: it has more than max bytes).
 */
int rules_read(int rootfd, const char *path, size_t max, struct buf *out);

#endif
