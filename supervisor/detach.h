/*
 * Leaving the terminal: without -d the daemon goes on in the background.
 */
#ifndef WHARF_DETACH_H
#define WHARF_DETACH_H

#include "options.h"

#define DETACH_SERVE (-1) /* go on */

/*
 * Without -d, and where it serves at all, go on in a child in a session of its
 * own.  The one who called waits until that serves or ends: the exit code is
 * returned then.  DETACH_SERVE is for who goes on.
 */
int detach_begin(const struct options *o);

/* It serves: let the caller go, and leave the terminal to it. */
void detach_finish(void);

#endif
