/*
 * Private to the live-push planner.
 */
#ifndef WORKERS_SHARED_COPYPLAN_INT_H
#define WORKERS_SHARED_COPYPLAN_INT_H

#define COPYPLAN_MAX_LOOKS (64 * 1024 * 1024)

#include "workers/shared/copyplan.h"
#include "workers/shared/ignore.h"

/* An ancestor-or-equal of path?  Both absolute and clean, or both relative. */
bool copyplan_below(const char *path, const char *dir);

/* dir/rel, rel may be "". */
char *copyplan_join(const char *dir, const char *rel);

/* Does the source use wildcards? */
bool copyplan_is_wild(const char *);

/* What the plan keeps of a step beside what it shows. */
struct copyplan_extra {
	struct ignore *exclude;  /* --exclude, or NULL */
	struct ignore **include; /* --parents, one per source */
	char **pivot;            /* --parents: what stays behind */
	char **heredocs;         /* names of inline files */
	size_t nheredocs;
	char **binds; /* RUN: context paths mounted */
	size_t nbinds;
	size_t *mounts; /* RUN: stages mounted from */
	size_t nmounts;
	/* Matches of each wildcard source, found at most once per plan. */
	struct copyplan_found *found;
};

/* Entries that a wildcard matches in the context as it is now. */
struct copyplan_found {
	bool done;
	char **paths;
	bool *isdir;
	size_t n;
};

struct copyplan_workdir {
	size_t stage;
	size_t step; /* steps before it */
	char *path;
};

struct copyplan {
	const struct dockerfile *df;
	struct copyplan_options opt;
	struct dockerfile_graph *graph;
	size_t work; /* see dockerfile_env */
	struct copyplan_step *steps;
	struct copyplan_extra *extra;
	size_t nsteps;
	struct dockerfile_env **envs; /* snapshots of steps */
	size_t nenvs;
	size_t env_bytes;
	struct copyplan_workdir *workdirs;
	size_t nworkdirs;
	bool *in_line; /* stages, of the line */
	size_t head;   /* whose line that is */
	size_t looks;  /* at matches, still allowed */
};

/* Fill steps: copyplan_steps.c. */
int copyplan_compile(struct copyplan *, struct dockerfile_error *);

/* The line of a stage: its FROM chain.  Sets in_line. */
void copyplan_set_line(struct copyplan *, size_t head);

enum copyplan_type copyplan_type(const struct copyplan *, const char *path);

/*
 * Where one source of a step puts a context path: a destination that the
 * caller frees, or NULL.  *link is set when the path is itself the link that
 * the source names.
 */
char *copyplan_place_of(struct copyplan *, size_t step, size_t source,
    const char *path, bool isdir, bool *link);

enum copyplan_provides {
	COPYPLAN_NOT,
	COPYPLAN_FROM_CONTEXT, /* *from is set, the caller frees */
	COPYPLAN_INLINE,       /* a heredoc */
	COPYPLAN_ENCLOSES,     /* from elsewhere, perhaps */
	COPYPLAN_ELSEWHERE     /* from a stage, image or URL */
};

/* Does a step put something at dest, as things are now? */
enum copyplan_provides copyplan_provider(struct copyplan *, size_t step,
    const char *dest, char **from, bool *isdir);

/*
 * Is there no doubt of it?  Then what earlier steps put there is not seen,
 * but beneath a directory of the context.
 */
bool copyplan_is_certain(enum copyplan_provides);

/* The same of a step of the line; *isdir: such a directory. */
bool copyplan_replaces(struct copyplan *, size_t step, const char *dest,
    bool *isdir);

/* Is a step's destination a directory for a single file? */
bool copyplan_dest_is_dir(struct copyplan *, size_t step);

/*
 * Every entry at or below a context path, files and empty directories, until
 * fn returns nonzero, which is returned.  -1: COPYPLAN_MAX_ENTRIES.
 */
int copyplan_walk(struct copyplan *, const char *path,
    int (*fn)(void *, const char *path, bool isdir), void *fnarg);

/* Matches of a wildcard source. */
const struct copyplan_found *copyplan_find(struct copyplan *, size_t step,
    size_t source);

#endif
