/*
 * Memory that outlives a worker: sealed memfds.  Supervisor.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sup.h"

/* A zeroed memfd of that size, sealed against growing and shrinking; -1. */
int
memory_new(const char *name, uint64_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return (-1);
	if (ftruncate(fd, (off_t)size) == -1 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) ==
		-1) {
		close(fd);
		return (-1);
	}
	return (fd);
}
