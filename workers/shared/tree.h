/*
 * Safe reading beneath a root directory descriptor.  Runs in the workers that
 * read trees (image, push, watch), inside their sandbox: no absolute path, no
 * /proc, nothing but openat2/openat relative to the root, fstat, getdents,
 * readlinkat and read.
 *
 * No symbolic link is ever followed, in any component, and no path leaves the
 * root, however quickly the tree is changed under the reader.  Mounts below
 * the root are crossed: they are content.  FIFOs, sockets and devices are
 * never opened for reading.
 *
 * A path is a string of bytes relative to the root: no leading '/', no empty,
 * "." or ".." component, shorter than TREE_PATH_MAX.  "" is the root itself.
 */

#ifndef WHARF_TREE_H
#define WHARF_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "clock.h"

#define TREE_PATH_MAX 4096 /* with the final NUL; what the kernel takes */

enum tree_type {
	TREE_ABSENT = 0,
	TREE_REG,
	TREE_DIR,
	TREE_LINK,
	TREE_FIFO,
	TREE_SOCK,
	TREE_DEV /* character or block */
};

struct tree_stat {
	enum tree_type type;
	uint32_t mode; /* 07777 */
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	int64_t size;
	int64_t mtime_ns; /* CLOCK_REALTIME, clamped to what 64 bits hold */
	int64_t ctime_ns;
	uint64_t ino;
	uint64_t dev;
};

/* 1 if path keeps the rules above ("" included), 0 if not. */
int tree_path_ok(const char *path);

/*
 * Orders paths as a depth-first walk with sorted directories meets them: bytes
 * are compared unsigned and '/' sorts before every other byte.  All that lies
 * below a directory is therefore one run directly behind it.
 */
int tree_path_cmp(const char *a, const char *b);

/* 1 if path is dir or lies below it; everything lies below "". */
int tree_path_below(const char *path, const char *dir);

struct stat;

/* Fills st from what fstat(2) gave. */
void tree_stat_from(struct tree_stat *st, const struct stat *sb);

/* Fills st from an open descriptor.  -1 with errno as fstat(2). */
int tree_stat_fd(int fd, struct tree_stat *st);

/*
 * lstat(2) beneath the root.  What does not exist, or lies below something
 * that is not a directory (a symbolic link included), is no error: st->type
 * is TREE_ABSENT and the result 0.  -1: errno (EINVAL for a bad path).
 */
int tree_stat_at(int rootfd, const char *path, struct tree_stat *st);

/*
 * Opens a regular file for reading and fills st (may be NULL) from the opened
 * descriptor, which the caller owns.  Never blocks.  -1: errno; ENXIO when
 * the entry is not a regular file, ENOENT when it is absent.
 */
int tree_open_file(int rootfd, const char *path, struct tree_stat *st);

/* Opens a directory for reading; the caller owns the descriptor.  -1: errno. */
int tree_open_dir(int rootfd, const char *path);

/*
 * Reads a symbolic link into buf, NUL-terminated.  Returns its length; -1:
 * errno, ENAMETOOLONG when it does not fit, EINVAL when it is no link.
 */
long tree_readlink(int rootfd, const char *path, char *buf, size_t size);

/* 1 when the root directory was removed, 0 when it is there, -1 with errno. */
int tree_root_gone(int rootfd);

/*
 * The walker: depth first, each directory in byte order of its names, a
 * directory before what it holds.  It can be done in slices, so that a worker
 * answers its heartbeat in between.
 */
struct tree_walk;
struct ignore;

struct tree_entry {
	const char *path; /* beneath the root; valid during the callback */
	const char *name; /* the last component */
	struct tree_stat st;
	int64_t scanned_ns; /* CLOCK_REALTIME just before the stat */
	int excluded; /* a directory that is only entered for what is below */
	int kept;     /* excluded by a rule, reported because of opts.keep */
};

enum tree_verdict {
	TREE_GO = 0, /* go on */
	TREE_SKIP,   /* enter only: do not read this directory */
	TREE_PAUSE,  /* go on, but let tree_walk_step return first */
	TREE_STOP    /* end the walk: tree_walk_step returns -1, ECANCELED */
};

struct tree_walk_opts {
	int rootfd;        /* borrowed, must outlive the walk */
	const char *start; /* where to begin; NULL or "" for the root */
	int max_fds;       /* directories held open; 0 means 64 */
	/*
	 * Ignore rules: what they exclude is not reported and, where no
	 * exception can be below, not read.  Borrowed; NULL for none.
	 */
	const struct ignore *ignore;
	/* Paths that are reported even when excluded; borrowed. */
	const char *const *keep;
	size_t nkeep;
	void *arg;
	/* Anything but a directory. */
	enum tree_verdict (*entry)(void *arg, const struct tree_entry *e);
	/* A directory, before its contents.  The root is not reported. */
	enum tree_verdict (*enter)(void *arg, const struct tree_entry *e);
	/* A directory that was entered, after its contents; may be NULL. */
	enum tree_verdict (*leave)(void *arg, const char *path);
	/*
	 * Something could not be read: err is the errno (ENAMETOOLONG for a
	 * path over TREE_PATH_MAX, ESTALE for a directory that was replaced
	 * during the walk).  The walk goes on; of a directory whose path is
	 * given here, nothing, or not all, was seen.  What vanishes between
	 * its listing and its stat is no error.  May be NULL.
	 */
	void (*error)(void *arg, const char *path, int err);
};

#define TREE_WALK_DONE 0
#define TREE_WALK_MORE 1

/* Copies opts (not what it points to).  NULL: EINVAL for a bad start. */
struct tree_walk *tree_walk_new(const struct tree_walk_opts *opts);
void tree_walk_free(struct tree_walk *w);

/*
 * Goes on until max entries were handled (0: no bound), the deadline has
 * passed (at least one is handled) or a callback pauses.  TREE_WALK_MORE,
 * TREE_WALK_DONE, or -1 with errno: ECANCELED, EBADMSG for an ignore rule that
 * cannot be matched (docker build fails there too), or the error that opening
 * the start gave (an absent start is done, not an error).  The sorting of one
 * directory's names is not divided: about 0.3 s for a million.
 */
int tree_walk_step(struct tree_walk *w, size_t max, mono_t deadline);

/* Tests only: 1 uses the fallback for kernels without openat2. */
void tree_set_fallback(int on);

#endif
