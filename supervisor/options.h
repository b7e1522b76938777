/*
 * The command line of wharfd, and the service that a directory makes.
 */
#ifndef WHARF_OPTIONS_H
#define WHARF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "msg.h"

struct strings {
	char **v;
	size_t n;
};

struct options {
	bool foreground; /* -d */
	bool check;      /* -n */
	int verbose;
	enum log_format log;
	char *dir;  /* absolute, resolved */
	char *name; /* of service, image and container */
	char *socket;
	char *host;    /* the engine: "unix:///path"; NULL: see context.h */
	char *context; /* the docker context asked for, or NULL */
	char *api;     /* pinned API version, or NULL */
	char *dockerfile;
	char *target;
	char *network;
	struct strings env, ports, binds, build_args, tokens;
	bool keep;
	enum sandbox_mode sandbox;
	bool require_sandbox;
	bool probe; /* --probe-sandbox */
	bool json;  /* -j, with --probe-sandbox */
	unsigned max_restarts;
	enum proc wrap_role; /* --wrap role=command */
	char *wrap;
	char *libexec; /* where the workers' executables are */
};

/*
 * Parse the command line and the environment.  0; -1 after saying on standard
 * error what is wrong, with *code the exit code (0 after -V).
 */
int options_parse(struct options *o, int argc, char **argv, int *code);
void options_free(struct options *o);

/*
 * A name for service, image and container from a directory's last component:
 * [a-z0-9][a-z0-9_.-]*, what does not fit becomes '-'.  NULL when nothing is
 * left.  The caller frees it.
 */
char *options_name_from_dir(const char *dir);

/*
 * The engine's address as docker writes it (names.h).  Only unix sockets are
 * served: others give an error that begins with `where` (text for a terminal).
 * 0 and *host (the caller frees), or -1 after saying why.
 */
int options_engine_host(const char *where, const char *given, char **host);

#endif
