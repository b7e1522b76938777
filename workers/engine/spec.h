/*
 * The grammar of what goes into a request: ids, names, paths, ports, binds.
 * Strict: what is not of the form is refused, never repaired.  Pure code.
 */
#ifndef WHARF_ENGINE_SPEC_H
#define WHARF_ENGINE_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define SPEC_PORTS_MAX 1024 /* ports of one range */

/* 64 lower-case hex digits; an image id has "sha256:" before them. */
bool spec_is_container_id(const char *s);
bool spec_is_image_id(const char *s);

/* [A-Za-z0-9][A-Za-z0-9_.-]*: a container's or a network's name. */
bool spec_is_name(const char *s);

/* An image reference's characters; no empty and no dot path component. */
bool spec_is_image_ref(const char *s);

/*
 * `name` is `base` or base and a suffix behind one of "-._": a name that
 * belongs to the service whose container is `base`.
 */
bool spec_name_is_of(const char *name, const char *base);

/* `ref` names the repository of `image`, under any tag. */
bool spec_same_repository(const char *ref, const char *image);

/* Absolute, no ".." component, shorter than PATH_MAX. */
bool spec_is_path(const char *s);

/* spec_is_path and not below /proc (CVE-2024-21626). */
bool spec_is_workdir(const char *s);

/* "1.41": what may stand in a request's path as its API version. */
bool spec_is_api(const char *s);

/* Compare two of them: <0, 0, >0. */
int spec_api_cmp(const char *a, const char *b);

/*
 * docker run -p: [[IP]:[HOST[-HOST]]:]PORT[-PORT][/tcp|udp|sctp], an IPv6
 * address in brackets.  Ranges are as long on both sides, or the container's
 * side is one port, and the engine chooses from the host's.
 */
struct port_spec {
	char ip[48];              /* "" when none was given */
	uint16_t host, host_last; /* 0: the engine chooses */
	uint16_t port, port_last;
	const char *proto;
};

/* -1 when s is no such thing. */
int spec_port_parse(const char *s, struct port_spec *out);

/* docker run -v with an absolute source: SRC:DST[:MODE]. */
bool spec_is_bind(const char *s);

/* "K" or "K=V" with a name before the '='. */
bool spec_is_env(const char *s);

/* Append s with everything but unreserved characters percent-encoded. */
void spec_url_add(struct buf *b, const char *s);

/* ns as the engine's `since`: seconds, a dot, nine digits. */
void spec_since(char *dst, size_t size, int64_t ns);

/*
 * Decode standard or url-safe base64; appends the bytes to out.  -1 when it
 * is none.
 */
int spec_base64(const char *s, struct buf *out);

#endif
