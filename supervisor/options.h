/*
 * The command line of wharfd, and the service that a directory makes.
 */
#ifndef WHARF_OPTIONS_H
#define WHARF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "msg.h"
#include "strlist.h"

struct options {
	bool foreground; /* -d */
	bool check;      /* -n */
	int verbose;
	enum log_format log;
	char *file; /* of the configuration, absolute; NULL: a directory */
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
	bool has_socket, has_sandbox,
	    has_log; /* given: a file's do not count */
	bool probe;  /* --probe-sandbox */
	bool json;   /* -j, with --probe-sandbox */
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
 * What a configuration file sets (socket may be NULL) counts where the
 * command line and the environment say nothing.
 */
void options_merge(struct options *o, const struct msg_config_global *g,
    const char *socket);

/*
 * A name for service, image and container from a directory's last component:
 * [a-z0-9][a-z0-9_.-]*, what does not fit becomes '-'.  NULL when nothing is
 * left.  The caller frees it.
 */
char *options_name_from_dir(const char *dir);

#endif
