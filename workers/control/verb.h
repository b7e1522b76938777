/*
 * Who may ask for what.  Process: control.
 */
#ifndef WHARF_CONTROL_VERB_H
#define WHARF_CONTROL_VERB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "msg.h"

enum verb_level {
	VERB_NONE,  /* no such verb */
	VERB_READ,  /* whoever may connect: the socket's mode decides */
	VERB_ADMIN, /* root, and the uid that wharfd runs as */
};

/* What a request needs; do_verb counts for CTL_DO only. */
enum verb_level verb_level(unsigned type, uint32_t do_verb);

/* root, or the uid that wharfd runs as. */
bool verb_is_admin(uid_t uid, uid_t owner);
bool verb_allowed(enum verb_level level, uid_t uid, uid_t owner);

#endif
