/*
 * Private to the live-push planner: the walk through the instructions.
 */
#ifndef WORKERS_SHARED_COPYPLAN_STEPS_H
#define WORKERS_SHARED_COPYPLAN_STEPS_H

#include "workers/shared/copyplan_int.h"

#define COPYPLAN_DEFAULT_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What is in force at one place of a stage. */
struct force {
	struct dockerfile_env *env;            /* ENV */
	struct dockerfile_env *args;           /* ARG */
	struct dockerfile_env *all;            /* both, over the base's */
	const struct dockerfile_env *snapshot; /* for steps; NULL: stale */
	char *workdir;
	char *user;
	char **shell;
	size_t nshell;
};

struct compiler {
	struct copyplan *p;
	struct dockerfile_error *err;
	struct force *at_end; /* by stage */
	struct force now;
	size_t stage;
};

#define FAIL(c, in, ...) \
	dockerfile_fail((c)->err, (in)->line, (in)->column, __VA_ARGS__)

/* What the base image is known to have, or Docker's defaults. */
void copyplan_force_base(struct copyplan *, struct force *);
void copyplan_force_copy(struct force *to, const struct force *from);
void copyplan_force_clear(struct force *);

/* Instructions that change what is in force.  -1: err is filled in. */
int copyplan_do_env(struct compiler *, const struct dockerfile_instr *);
int copyplan_do_arg(struct compiler *, const struct dockerfile_instr *);
int copyplan_do_workdir(struct compiler *, const struct dockerfile_instr *);
int copyplan_do_user(struct compiler *, const struct dockerfile_instr *);
void copyplan_do_shell(struct compiler *, const struct dockerfile_instr *);

/* Account for memory that one small file could make large. */
int copyplan_charge(struct copyplan *, size_t bytes);
int copyplan_too_long(struct compiler *, const struct dockerfile_instr *);

/* ENV and ARG as a step sees them; the plan owns it. */
const struct dockerfile_env *copyplan_snapshot(struct compiler *,
    const struct dockerfile_instr *);

/* A word expanded, a path made absolute and clean: the caller frees. */
char *copyplan_expand(struct compiler *, const struct dockerfile_instr *,
    const char *word);
char *copyplan_absolute(const char *dir, const char *path);

/* A NULL-terminated copy; a list that grows, taking the string. */
char **copyplan_copy_words(char *const *, size_t);
void copyplan_add_word(char ***, size_t *, char *);

/* Note a COPY, ADD or RUN. */
int copyplan_add_step(struct compiler *, size_t index,
    const struct dockerfile_instr *);

#endif
