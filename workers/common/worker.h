/*
 * What every worker is made of: start, configuration, sandbox, loop.
 *
 * A worker is started with its channel on fd 3 and its log on fd 2.  It reads
 * INIT and CONF_* frames, runs `setup` with its start-up rights, enters its
 * sandbox, reports READY and runs `start`.
 *
 * A reload changes the configuration of a worker that serves: elements are
 * added, services retired, elements dropped, until CONF_END.  Then `reconf`
 * is called, and CONF_TAKEN says that all of it is so.
 */
#ifndef WHARF_WORKER_H
#define WHARF_WORKER_H

#include "channel.h"
#include "log.h"
#include "loop.h"
#include "rpc.h"
#include "service_text.h"

#define WORKER_CHANNEL_FD 3

struct conf_engine {
	uint32_t instance;
	char *name;
	char *host; /* "unix:///path" */
	char *api;  /* pinned API version, or NULL: negotiate */
};

struct conf_root {
	uint32_t tree;
	char *path; /* for people; not to be opened */
	int fd;     /* the directory; -1 in workers that do not read, or gone */
	bool gone;
};

struct conf_service {
	uint32_t service;
	uint32_t tree;
	uint32_t engine;
	uint32_t flags; /* SERVICE_* */
	SERVICE_TEXT;
};

struct conf_mem {
	uint32_t kind; /* enum mem_kind */
	uint32_t service;
	size_t size;
	void *map; /* shared, read and write */
};

/* What a reload has dropped; freed when the worker has let go of it. */
struct conf_gone;

/*
 * The elements are allocated one by one: a pointer to one stays valid until
 * the `reconf` in which it is not found in its array any more has returned.
 */
struct conf {
	char *run; /* UUID of this run of wharfd */
	struct conf_engine **engines;
	size_t nengines;
	struct conf_root **roots;
	size_t nroots;
	struct conf_service **services;
	size_t nservices;
	struct conf_mem **mems;
	size_t nmems;
	struct conf_gone *gone;
	int listener;     /* control: the listening socket, else -1 */
	char *docker_dir; /* config: where config.json is, for messages */
	char *context;    /* config: the context asked for, or NULL */
	char *host;       /* config: DOCKER_HOST, or NULL */
	char *file;       /* config: the file to read, absolute, or NULL */
	int file_fd;      /* and the file, else -1 */
};

struct worker;

struct worker_handler {
	enum msg_type type;
	/* NOTE, REQ and FOLLOW frames; answers go to rpc_ask's callbacks */
	void (*fn)(struct worker *w, struct frame *f);
};

struct worker_ops {
	enum proc role;
	/* with start-up rights, before the sandbox; may be NULL.  -1: fatal */
	int (*setup)(struct worker *w);
	/* inside the sandbox; may send and ask already.  -1: fatal */
	int (*start)(struct worker *w);
	/*
	 * STOP has come: end what runs, then call worker_end(). NULL: end at
	 * once.
	 */
	void (*stop)(struct worker *w);
	/*
	 * w->conf has changed: take what is new, see which services are
	 * retired, let go of what is not there any more.  May be NULL.
	 */
	void (*reconf)(struct worker *w);
	/* handlers, ended by MSG_NONE */
	const struct worker_handler *handlers;
};

struct worker {
	const struct worker_ops *ops;
	struct loop *loop;
	struct channel *ch;
	struct rpc *rpc;
	struct conf conf;
	uint32_t instance;
	uint32_t generation;
	uint32_t owner; /* the uid that wharfd runs as */
	bool stopping;
	void *state; /* the worker's own */
};

/* Run a worker to its end; returns its exit code. */
int worker_main(int argc, char **argv, const struct worker_ops *ops);

/* Leave the loop with this exit code. */
void worker_end(struct worker *w, int code);

/* Look things up in the configuration; NULL when there is no such thing. */
const struct conf_service *conf_service(const struct conf *c, uint32_t id);
const struct conf_root *conf_root(const struct conf *c, uint32_t tree);
const struct conf_engine *conf_engine(const struct conf *c, uint32_t id);
const struct conf_mem *conf_mem(const struct conf *c, enum mem_kind kind,
    uint32_t service);

/* True for a service that is to be ended. */
bool conf_is_retired(const struct conf_service *s);

/*
 * Send an event to control.  `fields` may be
 * NULL; SERVICE and JOB are added when given.
 */
void worker_event(struct worker *w, enum event_kind kind,
    const struct conf_service *s, uint64_t job, const struct buf *fields);

#endif
