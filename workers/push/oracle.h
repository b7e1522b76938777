/*
 * What the push planner asks (copyplan.h), answered from the manifest and the
 * changes at hand, so that all of a plan sees one state of the context.  Push
 * worker; reads beneath a root descriptor.
 */
#ifndef WHARF_PUSH_ORACLE_H
#define WHARF_PUSH_ORACLE_H

#include "workers/push/changes.h"
#include "workers/shared/copyplan.h"
#include "workers/shared/manifest.h"

/* Which paths of the container are directories: asked of the engine once. */
struct dest {
	char *path;                 /* absolute */
	enum copyplan_answer isdir; /* COPYPLAN_UNKNOWN: to be asked */
};

struct oracle {
	int rootfd; /* borrowed, like all of these */
	const struct manifest *manifest;
	const struct changes *changes; /* NULL: none */
	struct dest *dests;
	size_t ndests;
};

/* Fill the callbacks of the planner's options. */
void oracle_fill(struct oracle *o, struct copyplan_oracle *out);

/* The first destination that was asked about and is unknown, or NULL. */
struct dest *oracle_unknown(struct oracle *o);

/* Forget what is known of the container. */
void oracle_clear(struct oracle *o);

#endif
