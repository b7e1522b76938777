/*
 * The parts of the normal form of a configuration, wharfd.yaml(5), in the
 * order in which they stand in it.  Pure code, any process.
 */
#ifndef WHARF_NORMAL_FORM_H
#define WHARF_NORMAL_FORM_H

#include "buf.h"
#include "msg.h"
#include "service_text.h"

/* What g->has names, and the socket unless it is NULL. */
void normal_form_global(struct buf *b, const struct msg_config_global *g,
    const char *socket);

/* A context stands for the address it leads to; each may be NULL. */
void normal_form_engine(struct buf *b, const char *name, const char *host,
    const char *context, const char *api);

void normal_form_service(struct buf *b, const struct service_text *t,
    const char *engine, bool keep);

#endif
