/*
 * A socket file that was mounted by itself, and whose engine is gone: the
 * mount holds on to the old inode, so that no engine will ever answer there.
 * Supervisor.
 */
#ifndef WHARF_STALE_H
#define WHARF_STALE_H

#include <stdbool.h>
#include <sys/types.h>

#include "clock.h"

#define STALE_MS 10000 /* refused so long */

struct stale {
	bool refused;
	mono_t since;
	dev_t dev;
	ino_t ino;
};

/*
 * A connection to the socket at path was tried, with this errno (0: it stood).
 * True when all tries for STALE_MS were refused by one and the same file, and
 * this file is a mount of its own.
 */
bool stale_is(struct stale *s, const char *path, int errnum, mono_t now);

#endif
