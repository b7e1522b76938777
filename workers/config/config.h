/*
 * wharfd.yaml, read and checked.  Pure code: config process, tests, fuzzers.
 *
 * A configuration is one file and those it includes.  Whoever calls brings
 * the files, one at a time, because config has to ask the supervisor:
 *
 *	config_add(c, 0, path, data, len);
 *	while ((inc = config_wants(c)) != NULL)
 *		config_add(c, number, path, data, len), or
 *		config_missing(c, code, why);
 *	config_check(c);
 *
 * Then there are errors, or all is known but the engines' addresses.
 */
#ifndef WORKERS_CONFIG_CONFIG_H
#define WORKERS_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "msg.h"
#include "service_text.h"

#define CONFIG_FILES_MAX   65 /* the first and 64 that are included */
#define CONFIG_DEPTH_MAX   8  /* of includes */
#define CONFIG_ERRORS_MAX  20
#define CONFIG_ITEMS_MAX   1024 /* of one list: ports, volumes, variables */
#define CONFIG_TOTAL_MAX   (4 * 1024 * 1024) /* bytes of all services */
#define CONFIG_SERVICE_MAX 200000 /* bytes of one: it goes into a frame */

/* Where something was written. */
struct config_pos {
	unsigned file; /* index of config.files */
	unsigned line, column;
};

struct config_global {
	uint32_t has; /* CONFIG_HAS_* */
	char *socket;
	enum sandbox_mode sandbox;
	bool require_sandbox;
	uint32_t max_restarts;
	enum log_format log;
};

struct config_engine {
	struct config_pos pos; /* of its name */
	char *name;
	char *host;    /* as host_parse gives it; NULL: a context tells */
	char *context; /* NULL: the one that docker's client would take */
	char *api;     /* or NULL */
};

struct config_service {
	struct config_pos pos;       /* of its name */
	struct config_pos at_engine; /* of the value, else of the name */
	struct config_pos at_container;
	SERVICE_TEXT;   /* dir is cleaned as text */
	char *engine;   /* as written, or NULL */
	uint32_t index; /* of its engine, after config_check */
	bool keep;
};

struct config_file {
	uint32_t number; /* the supervisor's */
	char *path;      /* absolute */
	unsigned depth;  /* 0: the first */
	unsigned from;   /* index of the file that includes it */
};

/* A file that is named and has not been read. */
struct config_include {
	struct config_pos pos;
	char *key;  /* "include[1]" */
	char *name; /* relative to the directory of file pos.file, cleaned */
};

struct config_error {
	struct config_pos pos;
	int code;   /* sysexits */
	char *text; /* "PATH:LINE:COLUMN: KEY: what", escaped for a terminal */
};

struct config {
	struct config_global global;
	struct config_engine *engines; /* one at least, after config_check */
	size_t nengines;
	struct config_service *services;
	size_t nservices;
	struct config_file *files;
	size_t nfiles;
	struct config_include *includes; /* all, in the order they are read */
	size_t nincludes;
	size_t taken; /* includes that were brought, or are missing */
	struct config_error *errors;
	size_t nerrors;
};

struct config *config_new(void);
void config_free(struct config *c);

/*
 * Take the first file, or the one that config_wants() wants.  `number` is
 * what the supervisor calls it, path where it is.  Errors are noted.
 */
void config_add(struct config *c, uint32_t number, const char *path,
    const void *data, size_t len);

/* The next file to bring, valid until then; NULL: there is none. */
const struct config_include *config_wants(struct config *c);

/* The number of the file that includes it. */
uint32_t config_from(const struct config *c, const struct config_include *inc);

/* It cannot be had: why, and a sysexits code. */
void config_missing(struct config *c, int code, const char *why);

/*
 * All files are there: look across them and fill in what was left out.
 * 0, or -1 when there are errors: these are in order now.
 */
int config_check(struct config *c);

/*
 * The address of engine i, as docker gives it ("" for the default), and what
 * says so, for an error: 0, or -1 after noting an error.
 */
int config_set_host(struct config *c, size_t i, const char *host,
    const char *from);

/* Note an error; key may be NULL.  The text is escaped. */
void config_error(struct config *c, const struct config_pos *pos, int code,
    const char *key, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Bytes of all services. */
size_t config_size(const struct config *c);

/* Put the errors in order of their place, CONFIG_ERRORS_MAX at most. */
void config_sort_errors(struct config *c);

/* "PATH:LINE", escaped for a terminal; the caller frees. */
char *config_where(const struct config *c, const struct config_pos *pos);

/* What the file sets for all, as it is sent. */
struct msg_config_global config_global(const struct config *c);

#endif
