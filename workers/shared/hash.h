/*
 * SHA-256 over libmd, in three calls.  Pure; any process may use it.
 */

#ifndef WHARF_HASH_H
#define WHARF_HASH_H

#include <sys/types.h>
#include <sha2.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_LEN SHA256_DIGEST_LENGTH /* 32 */

struct hash {
	SHA2_CTX ctx;
};

/* Starts a digest. */
static inline void
hash_init(struct hash *h)
{
	SHA256Init(&h->ctx);
}

/* Adds len bytes. */
static inline void
hash_add(struct hash *h, const void *buf, size_t len)
{
	SHA256Update(&h->ctx, buf, len);
}

/* Ends the digest; h must be started anew before further use. */
static inline void
hash_end(struct hash *h, uint8_t out[HASH_LEN])
{
	SHA256Final(out, &h->ctx);
}

/* The digest of one buffer. */
static inline void
hash_buf(const void *buf, size_t len, uint8_t out[HASH_LEN])
{
	struct hash h;

	hash_init(&h);
	hash_add(&h, buf, len);
	hash_end(&h, out);
}

#endif
