/*
 * .dockerignore: which paths of a build context `docker build` leaves out.
 *
 * Pure code, no files, no globals: any process may call it.  The rules are
 * those of moby/patternmatcher and its ignorefile reader, with the results of
 * the tree walk (MatchesUsingParentResults), quirks included.  A parsed file
 * never changes, so that it may be shared.  Matching takes at most
 * O(path * pattern) steps: there is no backtracking.
 */

#ifndef WHARF_SHARED_IGNORE_H
#define WHARF_SHARED_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

/* A line of this many bytes or more is an error (bufio.MaxScanTokenSize). */
#define IGNORE_LINE_MAX 65536
/* A file of more bytes, or one with more patterns, is an error (ours). */
#define IGNORE_FILE_MAX     (1024 * 1024)
#define IGNORE_PATTERNS_MAX 10000

struct ignore;       /* a parsed file */
struct ignore_state; /* which patterns have matched a directory so far */

struct ignore_error {
	unsigned line;  /* counted from 1; 0 when no single line is to blame */
	char text[160]; /* what is wrong, printable ASCII */
};

struct ignore_match {
	bool excluded;
	unsigned line;       /* of the pattern that decided; 0: none did */
	const char *pattern; /* as cleaned, with its '!'; lives in the ignore */
	const char *error;   /* why the pattern cannot be matched, after -1 */
};

/*
 * Parses the text of a file.  An empty file is valid and excludes nothing.
 * NULL: *err says which line and why.  The caller frees with ignore_free.
 */
struct ignore *ignore_parse(const char *text, size_t len,
    struct ignore_error *err);

/* The same from patterns, one per "line"; no comments, no BOM, no '/' cut. */
struct ignore *ignore_from_patterns(const char *const *patterns, size_t n,
    struct ignore_error *err);

void ignore_free(struct ignore *);

/* How many patterns there are. */
size_t ignore_count(const struct ignore *);

/*
 * What a walker carries from a directory to its entries: one bit per pattern.
 * Belongs to one ignore.  NULL: no memory.
 */
struct ignore_state *ignore_state_new(const struct ignore *);
void ignore_state_free(struct ignore_state *);

/*
 * One step of a tree walk.  `path` is an entry of the directory for which
 * `parent` was filled; NULL when that is the root.  Paths are relative to the
 * root, clean, any bytes.  `out` (may be NULL, may be `parent`) receives what
 * the entries of `path` need.  -1: a pattern that passes the check of the
 * file but cannot be matched, such as "[z-a]"; m->line, m->pattern and
 * m->error tell, and docker build fails here as well.
 */
int ignore_walk(const struct ignore *, const struct ignore_state *parent,
    const char *path, size_t len, struct ignore_state *out,
    struct ignore_match *m);

/*
 * The same for one path, which need not exist, walking through its parents.
 * Cleans the path like Go's path.Clean; "." is never excluded.
 * -1: bad pattern (see above) or no memory; *err tells (may be NULL).
 */
int ignore_path(const struct ignore *, const char *path, size_t len,
    struct ignore_match *m, struct ignore_error *err);

/*
 * Whether anything below the directory could be part of the context: always
 * for one that is not excluded, else when an exception might match below it.
 * False is certain, true is not: it keeps walkers out of excluded trees.
 */
bool ignore_may_include_below(const struct ignore *, const char *dir,
    size_t len);

/*
 * The names under which the file is looked for, the first that exists counts
 * and nothing is merged: `own` is "<dockerfile>.dockerignore", relative to
 * whatever the Dockerfile's name is relative to; `common` is ".dockerignore",
 * relative to the context.  `own` is the caller's to free; NULL: no memory.
 */
struct ignore_names {
	char *own;
	const char *common;
};
int ignore_names(const char *dockerfile, struct ignore_names *);

#endif
