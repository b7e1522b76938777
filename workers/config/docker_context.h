/*
 * Docker's contexts: which engine its client would take.  Config process.
 */
#ifndef WORKERS_CONFIG_DOCKER_CONTEXT_H
#define WORKERS_CONFIG_DOCKER_CONTEXT_H

#include "workers/common/worker.h"

#define CONFIG_FILE_MAX (1024 * 1024) /* bytes of a file of docker's */

/* What was found, valid inside the callback. */
struct docker_engine {
	int code;          /* EX_OK, else a sysexits code and `error` */
	const char *error; /* not escaped */
	const char *name;  /* the context, "default" */
	const char *path;  /* of its file; NULL: the built-in context */
	const char *host;  /* as the file has it, "" for the default */
};

typedef void (*docker_context_cb)(void *arg, const struct docker_engine *e);

/*
 * Find the engine of a context that `from` names (text for an error), or,
 * with name NULL, of the one that docker's config.json names.  Calls cb once,
 * at once or later, as long as the channel lives.
 */
void docker_context_find(struct worker *w, const char *name, const char *from,
    docker_context_cb cb, void *arg);

/* Read all of a file, max bytes at most: 0, or -1 with errno. */
int docker_context_read(int fd, struct buf *b, size_t max);

/* Why a file was not opened: its sysexits code; the caller frees *why. */
int docker_context_refused(const struct frame *f, char **why);

#endif
