/*
 * The stages of a Dockerfile: which need which, which of them the target
 * needs, and the images from outside that they stand on.
 * Pure code, any process.
 */
#ifndef WORKERS_SHARED_DOCKERFILE_GRAPH_H
#define WORKERS_SHARED_DOCKERFILE_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

#include "workers/shared/dockerfile.h"
#include "workers/shared/dockerfile_env.h"

#define DOCKERFILE_NO_STAGE ((size_t)-1)

/* What the builder was given; every pointer stays the caller's. */
struct dockerfile_options {
	const char *target;                      /* NULL: last stage */
	const char *platform;                    /* NULL: the host's */
	const struct dockerfile_env *build_args; /* NULL: none */
};

/* Something another stage or an image is needed for. */
struct dockerfile_dep {
	size_t instr; /* index into dockerfile.instrs */
	size_t stage; /* DOCKERFILE_NO_STAGE: an image */
	char *image;  /* normalised, NULL for a stage */
};

struct dockerfile_stage {
	char *name;        /* lower case, NULL without AS */
	size_t first;      /* its FROM, index into instrs */
	size_t end;        /* one past its last instruction */
	char *base;        /* FROM's word, expanded */
	size_t base_stage; /* or DOCKERFILE_NO_STAGE */
	bool scratch;
	char *image;                 /* normalised base image, or NULL */
	struct dockerfile_dep *deps; /* COPY --from, RUN --mount from= */
	size_t ndeps;
	bool needed; /* the target reaches it */
};

/* An image from outside, once, where it is first named. */
struct dockerfile_image {
	char *ref; /* normalised */
	unsigned line;
	enum dockerfile_kind kind; /* FROM, COPY, ADD or RUN */
};

struct dockerfile_graph {
	struct dockerfile_stage *stages;
	size_t nstages;
	size_t target;
	struct dockerfile_image *images; /* of needed stages */
	size_t nimages;
	struct dockerfile_env *globals; /* what FROM sees */
	size_t work;                    /* what expansion may cost */
};

/*
 * Work the stages out.  The Dockerfile must outlive the call only; the
 * caller owns the result.  NULL: err is filled in.
 */
struct dockerfile_graph *dockerfile_graph_new(const struct dockerfile *,
    const struct dockerfile_options *, struct dockerfile_error *);
void dockerfile_graph_free(struct dockerfile_graph *);

#endif
