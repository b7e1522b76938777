/*
 * A docker build context: what of a directory is sent to the engine's classic
 * builder, as the docker command line would send it (docker/cli
 * cli/command/image/build: the tree less what the ignore file excludes, the
 * Dockerfile and the ignore file always, host modes, owner 0:0, whole-second
 * times).  Runs in the image worker.
 *
 * Sockets, FIFOs and devices are left out with a note.  Everything is
 * stepwise: context_stream is called whenever the tar stream wants more.
 */

#ifndef WHARF_CONTEXT_H
#define WHARF_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "workers/shared/manifest.h"
#include "workers/shared/tarstream.h"
#include "workers/shared/tree.h"

enum context_note {
	CONTEXT_UNREADABLE, /* err says why; left out */
	CONTEXT_SPECIAL,    /* socket, FIFO or device; left out */
	CONTEXT_TORN        /* changed while it was sent */
};

struct context_opts {
	int rootfd;                  /* borrowed */
	const struct ignore *ignore; /* borrowed; NULL for none */
	/* Relative to the context; NULL where they lie outside of it. */
	const char *dockerfile;
	const char *ignorefile;    /* the one that applies */
	struct manifest *manifest; /* filled while streaming; may be NULL */
	uint32_t epoch;            /* for its entries */
	void *arg;
	/* May be NULL. */
	void (*note)(void *arg, enum context_note kind, const char *path,
	    int err);
};

struct context_entry {
	const char *path;
	const char *target; /* of a symbolic link */
	struct tree_stat st;
	int64_t scanned_ns; /* CLOCK_REALTIME of the stat */
	int kept; /* excluded by the rules; there because the builder needs it
		   */
};

struct context_stats {
	uint64_t entries;
	uint64_t bytes; /* of file content */
	uint64_t torn;
	uint64_t left_out;
};

enum context_state {
	CONTEXT_DONE = 0,
	CONTEXT_MORE, /* slice over, or the stream's buffer is full */
	CONTEXT_ENTRY /* context_next only: *e is set */
};

struct context;

/* Copies what opts points to but for rootfd, ignore, manifest.  NULL: errno. */
struct context *context_new(const struct context_opts *opts);
void context_free(struct context *c);

/*
 * The next entry: CONTEXT_ENTRY with *e valid until the next call;
 * CONTEXT_MORE when the deadline has passed; CONTEXT_DONE; -1: errno.
 */
int context_next(struct context *c, struct context_entry *e, mono_t deadline);

/*
 * Feeds ts until its buffer is full or the deadline has passed: CONTEXT_MORE;
 * CONTEXT_DONE when all was added and the archive was finished (what is
 * buffered is still to be pumped); -1: errno.
 */
int context_stream(struct context *c, struct tarstream *ts, mono_t deadline);

/* Never NULL. */
const struct context_stats *context_stats(const struct context *c);

#endif
