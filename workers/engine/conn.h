/*
 * Spare connections to the engine: fds that came from the supervisor and
 * that libcurl does not have yet.  Engine worker.
 */
#ifndef WHARF_ENGINE_CONN_H
#define WHARF_ENGINE_CONN_H

#include <stddef.h>

#define CONNS_MAX 4

struct conns {
	int fds[CONNS_MAX];
	size_t n;
};

/* Keep fd; closed when there are enough. */
void conns_put(struct conns *c, int fd);

/* A spare fd that is still alive, the caller's from now on; -1: none. */
int conns_take(struct conns *c);

/* How many are there and alive; dead ones are closed. */
size_t conns_spare(struct conns *c);

void conns_close(struct conns *c);

#endif
