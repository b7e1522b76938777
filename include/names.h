/*
 * What names, paths and addresses may be, where more than one process has to
 * know: on the command line, in configuration files.  Pure code, any process.
 */
#ifndef WHARF_NAMES_H
#define WHARF_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_MAX_LEN 100

/*
 * A name for service, image and container: [a-z0-9_.-], neither led nor
 * trailed by a separator, NAME_MAX_LEN at most.
 */
bool name_is_valid(const char *s);

/* Is ".." a component of the path? */
bool path_has_dotdot(const char *path);

#define HOST_DEFAULT "unix:///var/run/docker.sock"

/*
 * An engine's address as docker writes it; "" and "unix://" are the default
 * one.  Only unix sockets are served.  0 and *host (the caller frees); -1 and
 * why, escaped for a terminal.
 */
int host_parse(const char *given, char **host, char *why, size_t size);

#endif
