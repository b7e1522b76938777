/*
 * The live-push planner: from a Dockerfile and a set of changed context paths
 * to the copies, deletes and replayed steps that bring a container in step.
 * Pure code: it sees the context and the container through callbacks.  Runs in
 * the push worker and in wharfctl (explain push).
 *
 * The life of a plan:
 *	p = copyplan_new(df, &opt, &err);	once a Dockerfile
 *	copyplan_map(p, path, ...);		where does it go?
 *	pp = copyplan_changes(p, ...);		what is to be done?
 *	push_plan_free(pp); copyplan_free(p);
 *
 * Context paths are relative to the context, clean ("a/b", never "./a" or
 * "/a"), and already filtered by the ignore rules, in what is passed in as in
 * what the callbacks tell: an ignored path does not exist here.
 */
#ifndef WORKERS_SHARED_COPYPLAN_H
#define WORKERS_SHARED_COPYPLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "workers/shared/dockerfile.h"
#include "workers/shared/dockerfile_env.h"
#include "workers/shared/dockerfile_graph.h"

#define COPYPLAN_MAX_ENTRIES 1000000 /* looked at for one wildcard */

enum copyplan_type {
	COPYPLAN_ABSENT,
	COPYPLAN_FILE, /* anything that is no directory */
	COPYPLAN_DIR
};

enum copyplan_answer { COPYPLAN_UNKNOWN, COPYPLAN_NO, COPYPLAN_YES };

/*
 * What the planner asks.  Any callback may be NULL but type; arg is handed
 * to each.  None may change the plan.
 */
struct copyplan_oracle {
	void *arg;

	/* What is the context path now?  "" is the context itself. */
	enum copyplan_type (*type)(void *arg, const char *path);

	/*
	 * Call fn(fnarg, name, isdir) for each entry of a context directory,
	 * names without a path, stopping when it returns nonzero.
	 */
	void (*list)(void *arg, const char *dir,
	    int (*fn)(void *fnarg, const char *name, bool isdir), void *fnarg);

	/*
	 * Where a source that is a symbolic link (or lies below one) leads
	 * within the context, as a clean path that the callee allocates and
	 * the planner frees; NULL: no link is involved.
	 */
	char *(*resolve)(void *arg, const char *path);

	/* Would ADD unpack this file (gzip, bzip2, xz, zstd, tar magic)? */
	enum copyplan_answer (*archive)(void *arg, const char *path);

	/*
	 * Is this absolute path a directory in the running container?  Asked
	 * only where the Dockerfile alone does not tell.
	 */
	enum copyplan_answer (*destdir)(void *arg, const char *path);
};

/* Every pointer stays the caller's and must outlive the plan. */
struct copyplan_options {
	struct dockerfile_options build;
	/* Of the base image's configuration, where known; each may be NULL. */
	const struct dockerfile_env *base_env;
	const char *base_workdir;      /* NULL: "/" */
	const char *base_user;         /* NULL: unknown */
	const char *const *base_shell; /* NULL-terminated */
	/* The context's name of the Dockerfile: its change means rebuild. */
	const char *dockerfile;
	/* Likewise the ignore file that applies; both may be NULL. */
	const char *ignorefile;
	/* A changed directory stands for itself, not for all it holds. */
	bool exact;
	struct copyplan_oracle oracle;
};

struct copyplan;

/*
 * Work out what each instruction does.  df must outlive the plan.  NULL: err
 * is filled in.
 */
struct copyplan *copyplan_new(const struct dockerfile *df,
    const struct copyplan_options *, struct dockerfile_error *err);
void copyplan_free(struct copyplan *);

/* The stages, owned by the plan. */
const struct dockerfile_graph *copyplan_graph(const struct copyplan *);

/*
 * The steps: the COPY, ADD and RUN instructions of the needed stages, in the
 * order of the file.  A step is named by its index here.
 */
enum copyplan_kind {
	COPYPLAN_COPY,      /* from the context, or heredocs */
	COPYPLAN_STAGECOPY, /* COPY --from another stage */
	COPYPLAN_IMAGECOPY, /* COPY --from an image */
	COPYPLAN_RUN
};

struct copyplan_step {
	enum copyplan_kind kind;
	size_t instr; /* index into df->instrs */
	size_t stage;
	unsigned line;
	/* Why a push cannot do this step, or NULL if it can. */
	char *refusal;

	/* COPYPLAN_COPY, _STAGECOPY, _IMAGECOPY */
	bool add;
	char **sources; /* clean, relative; may glob */
	size_t nsources;
	char *dest;      /* absolute, clean */
	bool dest_slash; /* written as a directory */
	bool remote;     /* ADD of a URL or git as well */
	char *chown;     /* expanded; NULL: none */
	char *chmod;
	bool parents;
	size_t from; /* _STAGECOPY: stage */

	/* COPYPLAN_RUN: the build's meaning of the step */
	char **argv; /* NULL-terminated */
	size_t nargv;
	const struct dockerfile_env *env; /* ENV and ARG in force */
	char **unset;                     /* set only by later steps */
	size_t nunset;
	char *user; /* "": the base image's */
	char *workdir;
};

size_t copyplan_nsteps(const struct copyplan *);
const struct copyplan_step *copyplan_step(const struct copyplan *, size_t);

/*
 * The container's own line of steps: those of the target's FROM chain.
 * Steps of other stages can only reach it through a stage copy.
 */
bool copyplan_step_in_target(const struct copyplan *, size_t);

/*
 * Whether a directory of the container outlives the context's directory that
 * it was copied from: a base image may have brought it, a WORKDIR makes it,
 * or a step still puts something there.  After copyplan_changes.
 */
bool copyplan_dir_stays(struct copyplan *, const char *dest);

/* One place where a context path goes. */
struct copyplan_place {
	size_t step;
	char *dest; /* absolute, clean */
	bool wins;  /* no later step of that line provides dest */
};

/*
 * Where a context path goes, in step order, whether the path exists or not;
 * isdir says what it is or was.  *places belongs to the caller
 * (copyplan_places_free), NULL with *n 0 when nothing copies it.
 */
void copyplan_map(struct copyplan *, const char *path, bool isdir,
    struct copyplan_place **places, size_t *n);
void copyplan_places_free(struct copyplan_place *, size_t);

/*
 * Forget what wildcards matched when last asked: to be called before
 * copyplan_map and copyplan_files when the context has changed since.
 */
void copyplan_rescan(struct copyplan *);

/*
 * Call fn(fnarg, from, to) for each file that a COPYPLAN_COPY step delivers
 * from the context as it is now, stopping when it returns nonzero; that is
 * how a step is refreshed.  Needs the list callback.  0, or what fn returned.
 */
int copyplan_files(struct copyplan *, size_t step,
    int (*fn)(void *fnarg, const char *from, const char *to), void *fnarg);

enum push_op_kind { PUSH_COPY, PUSH_DELETE, PUSH_RUN, PUSH_STAGECOPY };

struct push_file {
	char *from; /* context path */
	char *to;
	bool dir; /* make a directory, copy nothing */
};

struct push_op {
	enum push_op_kind kind;
	size_t step;
	unsigned line;
	/*
	 * PUSH_COPY, PUSH_STAGECOPY: a replayed RUN came before, so that the
	 * whole step is to be done anew (copyplan_files); files then names
	 * only those that changed and may be empty.
	 */
	bool refresh;
	struct push_file *files; /* PUSH_COPY */
	size_t nfiles;
	char **paths; /* PUSH_DELETE, recursive */
	size_t npaths;
	char *from; /* PUSH_STAGECOPY */
	char *to;   /* with "/" when a directory */
};

struct push_stage {
	size_t index;
	struct push_op *ops; /* in the order to do them */
	size_t nops;
};

/*
 * What to do.  With rebuild set the rest is what a push would have tried, as
 * far as it got, and is for display only.
 */
struct push_plan {
	bool needed;
	bool restart;
	bool rebuild;
	/* A stage beside the target's own line is touched. */
	bool needs_stage_containers;
	char reason[512];          /* which file, which rule */
	struct push_stage *stages; /* those with ops, by index */
	size_t nstages;
};

/*
 * Plan for these context paths, clean.  A changed directory stands for all it
 * holds, unless options.exact is set.  Of a deleted directory the paths that
 * it held should be listed too, as far as they are known (by the manifest):
 * only they can be taken out one by one where another step's files lie
 * beneath, and only they match a wildcard.  A path in either list goes by what
 * the type callback says of it now.  The caller owns the result, which points
 * into the plan: free it first.
 *
 * Rules, in short.  A path goes where each COPY puts it, in order; a later
 * step that provides the same destination wins, unless a RUN stands between
 * the two: then both are done.  A deleted path whose destination an earlier
 * step provides as well is replaced by that one's file.  From the first step
 * that has an effect on, every RUN of that line is replayed, and every later
 * COPY is to be refreshed.  What lies in a stage or image that is copied from
 * is not known: such a copy is done again behind the push (refresh) when its
 * destination encloses what was pushed, and makes a rebuild when it names it.
 */
struct push_plan *copyplan_changes(struct copyplan *,
    const char *const *changed, size_t nchanged, const char *const *deleted,
    size_t ndeleted);
void push_plan_free(struct push_plan *);

/* filepath.Match of Go: 1 match, 0 none, -1 a bad pattern. */
int copyplan_match(const char *pattern, const char *path);

#endif
