/*
 * Reading the configuration: one run of the config process, which parses what
 * is opened for it here.  Supervisor, at the start, with -n and for a reload.
 */
#ifndef WHARF_READER_H
#define WHARF_READER_H

#include "config.h"
#include "sup.h"

struct reader_file {
	char *path; /* absolute */
	int dirfd;  /* its directory: includes are opened beneath */
	uid_t owner;
};

#define READER_FILES_MAX 65 /* the first, and 64 that are included */

struct reader {
	struct sup *sup;
	struct child *child;
	char *docker_dir; /* docker's configuration directory, or NULL */
	int docker_fd;    /* -1: there is none */
	struct reader_file files[READER_FILES_MAX];
	uint32_t nfiles;
	struct loop_timer timeout;
	bool done;
	/* the result */
	int code;           /* a sysexits code */
	struct buf errors;  /* TEXT fields, one line each, escaped */
	struct config next; /* whole where the code is EX_OK */
	void (*cb)(struct sup *s, struct reader *r);
	struct config *first; /* where the first one goes; or NULL */
};

/*
 * Read the file that the options name, or without one find the engine as
 * docker's own client does.  The callback comes once, never from within
 * this call; r goes when it returns, but for what it has moved out of
 * r->next.  With a reader already at work: -1.
 */
int reader_start(struct sup *s, void (*cb)(struct sup *s, struct reader *r));

/*
 * The configuration at the start: from the file that the options name, moved
 * into *first; without one only the engine is found, and o->host is set.
 * Runs the loop until it is known.  A sysexits code; what is wrong has been
 * said on standard error.
 */
int reader_run(struct sup *s, struct config *first);

/* For configure.c: what the config process is told. */
void reader_configure(struct child *c);

/* For serve.c and child.c: what the process sends, and its end. */
void reader_on_open(struct child *c, struct frame *f);
void reader_on_found(struct child *c, struct frame *f);
void reader_child_gone(struct child *c);

/* Give up with that exit code and this line. */
void reader_fail(struct sup *s, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* reader_open.c: files that the process may have */

/* Open what the options name as file 0.  -1 after reader_fail(). */
int reader_open_first(struct reader *r);

/* -1 and *why (static), *code: what the process asked for is not to be had. */
int reader_open(struct reader *r, enum config_place place, uint32_t from,
    const char *path, uint32_t *number, enum err_code *code, const char **why);

void reader_open_docker(struct reader *r);
void reader_close(struct reader *r);

#endif
