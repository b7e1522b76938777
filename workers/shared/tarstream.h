/*
 * A tar writer for the engine: pax, with extended headers only where ustar
 * cannot hold the facts, uncompressed, into a bounded buffer in memory that is
 * drained to a non-blocking descriptor.  Runs in the image and push workers;
 * reads file content from descriptors that tree.h opened and never opens
 * anything itself.
 *
 * Only regular files, directories, symbolic links, and the hard-link entry by
 * which the engine deletes a path (spec/live-update-peers.md 1.6): never
 * devices.  Owners are numbers, names are bytes as they are, no xattrs, ACLs
 * or flags.  Never compressed: an engine may run a decompressor found in the
 * container (CVE-2026-41567).
 *
 * Use: while there are entries { tarstream_add; while tarstream_fill is MORE:
 * drain with tarstream_pump; } tarstream_finish; drain.
 */

#ifndef WHARF_TARSTREAM_H
#define WHARF_TARSTREAM_H

#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "workers/shared/hash.h"

#define TARSTREAM_STEP 65536 /* bytes of content read at a time */

enum tarstream_type {
	TARSTREAM_REG,
	TARSTREAM_DIR,
	TARSTREAM_SYMLINK,
	TARSTREAM_HARDLINK
};

struct tarstream_entry {
	enum tarstream_type type;
	const char *path;   /* by the rules of tree.h, not "" */
	const char *target; /* of a symbolic or hard link, else NULL */
	uint32_t mode;      /* 07777 */
	uint32_t uid;
	uint32_t gid;
	int64_t size; /* of a regular file: fixed from here on */
	int64_t mtime_ns;
};

/* What became of the last entry. */
struct tarstream_result {
	uint8_t sha256[HASH_LEN]; /* of the bytes sent; of a link's target */
	int64_t size;             /* bytes of content sent */
	/* 1: shrank or unreadable (zeros were sent), grew (cut), or written
	 * to while it was read; the archive is whole all the same. */
	int torn;
	int error; /* errno of a failed read, or 0 */
};

enum tarstream_state {
	TARSTREAM_DONE = 0, /* the entry is complete, the next may be added */
	TARSTREAM_MORE,     /* the buffer is full or the slice is over */
	TARSTREAM_EMPTY,    /* all that was buffered is written */
	TARSTREAM_AGAIN     /* the descriptor takes no more for now */
};

struct tarstream;

/* limit: bytes buffered before tarstream_fill stops; 0 means 256 KiB. */
struct tarstream *tarstream_new(size_t limit);

/* Takes NULL; closes the descriptor of an unfinished entry. */
void tarstream_free(struct tarstream *ts);

/*
 * Begins an entry and buffers its header.  Takes fd in every case (-1 where
 * there is no content); it is closed when the entry is complete.  -1: errno,
 * EINVAL for a bad entry, EBUSY while the last one is not complete.
 */
int tarstream_add(struct tarstream *ts, const struct tarstream_entry *e,
    int fd);

/*
 * Reads content of the current file until it is complete (TARSTREAM_DONE), or
 * the buffer is full or the deadline has passed (TARSTREAM_MORE).  -1: errno;
 * the stream is then unusable.
 */
int tarstream_fill(struct tarstream *ts, mono_t deadline);

/* What the last completed entry carried. */
const struct tarstream_result *tarstream_result(const struct tarstream *ts);

/* Buffers the end of the archive.  -1: errno; EBUSY within an entry. */
int tarstream_finish(struct tarstream *ts);

/*
 * Writes what fd takes: TARSTREAM_EMPTY or TARSTREAM_AGAIN; -1: errno of
 * write(2).  SIGPIPE must be ignored by the process.
 */
int tarstream_pump(struct tarstream *ts, int fd);

/* Bytes that wait in the buffer. */
size_t tarstream_pending(const struct tarstream *ts);

/* 1 while another entry may be added without passing the limit. */
int tarstream_wants(const struct tarstream *ts);

/* Bytes written to descriptors so far: what BODY_END declares. */
uint64_t tarstream_written(const struct tarstream *ts);

/* Hands the buffered bytes over for in-memory use; they count as written. */
size_t tarstream_take(struct tarstream *ts, void *buf, size_t size);

#endif
