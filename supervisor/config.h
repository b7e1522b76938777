/*
 * One configuration: the engines and services that a directory on the command
 * line or a file makes.  Supervisor.
 */
#ifndef WHARF_CONFIG_H
#define WHARF_CONFIG_H

#include <sys/queue.h>

#include "channel.h"
#include "options.h"
#include "service_text.h"
#include "stale.h"

struct config_engine {
	TAILQ_ENTRY(config_engine) link;
	uint32_t instance; /* given when it is served */
	bool retired;      /* goes with the last service that has it */
	char *name;
	char *host;         /* "unix:///path" */
	char *api;          /* pinned version, or NULL */
	struct stale stale; /* of its socket */
};

struct config_service {
	TAILQ_ENTRY(config_service) link;
	uint32_t id;     /* given when it is served, once in a run */
	uint32_t tree;   /* likewise: the root that holds dir */
	int manifest_fd; /* -1 until it is served */
	bool retired;    /* replaced or removed; plan still ends its work */
	struct config_engine *engine;
	uint32_t flags; /* SERVICE_KEEP */
	SERVICE_TEXT;
	char *file; /* where it is defined, and on which line; or NULL */
	uint32_t line;
};

TAILQ_HEAD(config_engines, config_engine);
TAILQ_HEAD(config_services, config_service);

/* Bytes of all services that one configuration names. */
#define CONFIG_BYTES_MAX (5 * 1024 * 1024)

/* With those that retire: what a worker may have to be told at once. */
#define CONFIG_QUEUE_MAX      (3 * CONFIG_BYTES_MAX)
#define CONFIG_QUEUE_SERVICES (3 * SERVICES_MAX)

struct config {
	struct config_engines engines;
	struct config_services services;
	struct msg_config_global global; /* what the file sets */
	char *socket;                    /* likewise, or NULL */
	size_t taken; /* bytes of services that config_take() took */
};

/* An empty one in place. */
void config_init(struct config *c);

/* Free what it holds; it is empty then. */
void config_clear(struct config *c);

/* What is in `from` is in `to`, whose own is freed; from is empty then. */
void config_move(struct config *to, struct config *from);

void config_engine_free(struct config_engine *e);
void config_service_free(struct config_service *s);

/* The one engine and service that a directory with its options makes. */
void config_from_options(struct config *c, const struct options *o);

/*
 * Take what the config process found: CONFIG_GLOBAL, CONFIG_ENGINE or
 * CONFIG_SERVICE.  The process reads hostile files and is not believed: -1
 * and *why when the frame says what cannot be.
 */
int config_take(struct config *c, struct frame *f, const char **why);

/* Do they name the same engine, the same service in all its settings? */
bool config_same_engine(const struct config_engine *a,
    const struct config_engine *b);
bool config_same_service(const struct config_service *a,
    const struct config_service *b);

/* Of the services that are not retired; NULL. */
struct config_service *config_find_service(const struct config *c,
    const char *name);

#endif
