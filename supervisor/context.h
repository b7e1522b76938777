/*
 * Which engine: docker's contexts.  Supervisor, at the start and with -n.
 */
#ifndef WHARF_CONTEXT_H
#define WHARF_CONTEXT_H

#include "sup.h"

/*
 * Fill o->host (and o->context with the context's name) where DOCKER_HOST did
 * not: DOCKER_CONTEXT, config.json's currentContext, the built-in default.
 * Asks the config process and waits for it, 5 s at most.  A sysexits code;
 * what is wrong has been said.
 */
int context_resolve(struct options *o);

/* For configure.c: docker's configuration directory, as messages name it. */
const char *context_dir(const struct sup *s);

/* For serve.c and child.c: what the config process sends, and its end. */
void context_on_open(struct child *c, struct frame *f);
void context_on_host(struct child *c, struct frame *f);
void context_child_gone(struct child *c);

/* Give up with that exit code; why has been said. */
void context_fail(struct sup *s, int code);

#endif
