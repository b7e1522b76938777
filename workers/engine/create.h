/*
 * Bodies and queries that are made from a service's configuration and typed
 * fields: nothing else can be expressed.  Pure code, engine worker.
 */
#ifndef WHARF_ENGINE_CREATE_H
#define WHARF_ENGINE_CREATE_H

#include <stdbool.h>

#include "buf.h"
#include "field.h"
#include "workers/common/worker.h"

#define LABEL_SERVICE "wharf.service"
#define LABEL_DIR     "wharf.dir"
#define LABEL_ROLE    "wharf.role"
#define LABEL_HASH    "wharf.context-hash"
#define LABEL_CONFIG  "wharf.config-hash" /* plan reads it */

/*
 * Body of POST /containers/create: the service as configured, IMAGE_ID,
 * CONTEXT_HASH and PORT* from the request.  NULL and *why when something is
 * not of its form; the caller frees.
 */
char *create_body(const struct conf_service *s, const struct fields *req,
    char *why, size_t size);

/*
 * Query of POST /build, from "dockerfile=" on; -1 and *why when something in
 * the configuration cannot be said.
 */
int create_build_query(const struct conf_service *s, bool no_cache,
    struct buf *out, char *why, size_t size);

/* The filters of GET /containers/json and of GET /events (s is NULL). */
void create_filter(const struct conf_service *s, struct buf *out);

/*
 * Body of POST /containers/{id}/exec from USER, WORKDIR, ARG+, ENV*.  NULL
 * and *why; the caller frees.
 */
char *create_exec_body(const struct fields *req, char *why, size_t size);

#endif
