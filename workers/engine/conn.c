/*
 * Spare connections, see conn.h.  Engine worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>
#include <sys/socket.h>

#include "workers/engine/conn.h"

/* Nothing was asked on it: bytes or an end mean that it is of no use. */
static bool
conns_alive(int fd)
{
	char c;

	return (recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == -1 &&
	    (errno == EAGAIN || errno == EWOULDBLOCK));
}

void
conns_put(struct conns *c, int fd)
{
	if (c->n == CONNS_MAX || fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == -1)
		close(fd);
	else
		c->fds[c->n++] = fd;
}

size_t
conns_spare(struct conns *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (conns_alive(c->fds[i]))
			c->fds[n++] = c->fds[i];
		else
			close(c->fds[i]);
	return (c->n = n);
}

int
conns_take(struct conns *c)
{
	return (conns_spare(c) > 0 ? c->fds[--c->n] : -1);
}

void
conns_close(struct conns *c)
{
	while (c->n > 0)
		close(c->fds[--c->n]);
}
