/*
 * Bodies and queries, see create.h.  Engine worker.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workers/engine/create.h"
#include "workers/engine/spec.h"
#include "workers/shared/json.h"

/* Where a refusal is told. */
struct why {
	char *dst;
	size_t size;
};

static int __attribute__((format(printf, 2, 3)))
why_not(struct why w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w.dst, w.size, fmt, ap);
	va_end(ap);
	return (-1);
}

/* JSON strings are UTF-8: anything else would name another thing. */
static int
create_add_str(cJSON *o, const char *key, const char *s, struct why w)
{
	if (!json_is_text(s, strlen(s)))
		return (why_not(w, "%s is not UTF-8", key));
	return (json_add_str(o, key, s));
}

static int
create_push_str(cJSON *arr, const char *s, const char *what, struct why w)
{
	if (!json_is_text(s, strlen(s)))
		return (why_not(w, "%s is not UTF-8: %s", what, s));
	return (json_push_str(arr, s));
}

static int
create_labels(cJSON *parent, const char *key, const struct conf_service *s,
    const char *role, const char *hash, struct why w)
{
	cJSON *l = json_add_obj(parent, key);

	if (l == NULL || create_add_str(l, LABEL_SERVICE, s->name, w) == -1 ||
	    create_add_str(l, LABEL_DIR, s->dir, w) == -1 ||
	    create_add_str(l, LABEL_ROLE, role, w) == -1)
		return (-1);
	return (hash == NULL ? 0 : create_add_str(l, LABEL_HASH, hash, w));
}

/* One container port and what it is bound to. */
static int
create_port_pair(cJSON *exposed, cJSON *bindings, const struct port_spec *p,
    unsigned port, const char *host)
{
	char key[32];
	cJSON *arr, *o;

	snprintf(key, sizeof(key), "%u/%s", port, p->proto);
	if (json_get(exposed, key) == NULL &&
	    json_add_obj(exposed, key) == NULL)
		return (-1);
	arr = cJSON_GetObjectItemCaseSensitive(bindings, key);
	if (arr == NULL && (arr = json_add_arr(bindings, key)) == NULL)
		return (-1);
	if ((o = json_push_obj(arr)) == NULL ||
	    json_add_str(o, "HostIp", p->ip) == -1)
		return (-1);
	return (json_add_str(o, "HostPort", host));
}

static int
create_port(cJSON *exposed, cJSON *bindings, const char *text, struct why w)
{
	struct port_spec p;
	char host[32];

	if (spec_port_parse(text, &p) == -1)
		return (why_not(w,
		    "port %s: expected "
		    "[[IP:]HOST:]PORT[/tcp|udp|sctp]",
		    text));
	for (unsigned i = 0; i <= (unsigned)(p.port_last - p.port); i++) {
		if (p.host == 0)
			host[0] = '\0';
		else if (p.port == p.port_last && p.host != p.host_last)
			snprintf(host, sizeof(host), "%u-%u", p.host,
			    p.host_last);
		else
			snprintf(host, sizeof(host), "%u", p.host + i);
		if (create_port_pair(exposed, bindings, &p, p.port + i, host) ==
		    -1)
			return (-1);
	}
	return (0);
}

static int
create_ports(cJSON *body, cJSON *host, const struct conf_service *s,
    const struct fields *req, struct why w)
{
	cJSON *exposed = json_add_obj(body, "ExposedPorts");
	cJSON *bindings = json_add_obj(host, "PortBindings");
	struct field f;
	size_t off = 0;
	char *text;
	int r = 0;

	if (exposed == NULL || bindings == NULL)
		return (-1);
	for (size_t i = 0; i < s->ports.n && r == 0; i++)
		r = create_port(exposed, bindings, s->ports.v[i], w);
	while (r == 0 && field_next(req, &off, &f) == 1)
		if (f.key == F_PORT) {
			text = xstrndup(f.str, f.len);
			r = create_port(exposed, bindings, text, w);
			free(text);
		}
	return (r);
}

static int
create_host_config(cJSON *body, const struct conf_service *s,
    const struct fields *req, struct why w)
{
	cJSON *host = json_add_obj(body, "HostConfig"), *binds;

	if (host == NULL || (binds = json_add_arr(host, "Binds")) == NULL)
		return (-1);
	for (size_t i = 0; i < s->binds.n; i++) {
		if (!spec_is_bind(s->binds.v[i]))
			return (why_not(w,
			    "bind %s: expected "
			    "/SRC:/DST[:MODE]",
			    s->binds.v[i]));
		if (create_push_str(binds, s->binds.v[i], "bind", w) == -1)
			return (-1);
	}
	if (s->network != NULL) {
		if (!spec_is_name(s->network))
			return (
			    why_not(w, "network %s: no such name", s->network));
		if (json_add_str(host, "NetworkMode", s->network) == -1)
			return (-1);
	}
	return (create_ports(body, host, s, req, w));
}

static int
create_container(cJSON *body, const struct conf_service *s,
    const struct fields *req, struct why w)
{
	char *image = fields_dup(req, F_IMAGE_ID);
	char *hash = fields_dup(req, F_CONTEXT_HASH);
	char *config = fields_dup(req, F_CONFIG_HASH);
	cJSON *env;
	int r = -1;

	if (image == NULL || !spec_is_image_id(image)) {
		why_not(w, "no image id");
		goto out;
	}
	if (json_add_str(body, "Image", image) == -1 ||
	    (env = json_add_arr(body, "Env")) == NULL)
		goto out;
	for (size_t i = 0; i < s->env.n; i++) {
		if (!spec_is_env(s->env.v[i])) {
			why_not(w, "env %s: expected K=V", s->env.v[i]);
			goto out;
		}
		if (create_push_str(env, s->env.v[i], "env", w) == -1)
			goto out;
	}
	if (create_labels(body, "Labels", s, "app", hash, w) == -1)
		goto out;
	if (config != NULL &&
	    create_add_str(cJSON_GetObjectItemCaseSensitive(body, "Labels"),
		LABEL_CONFIG, config, w) == -1)
		goto out;
	r = create_host_config(body, s, req, w);
out:
	free(image);
	free(hash);
	free(config);
	return (r);
}

char *
create_body(const struct conf_service *s, const struct fields *req, char *why,
    size_t size)
{
	struct why w = { why, size };
	cJSON *body = cJSON_CreateObject();
	char *text = NULL;

	why_not(w, "out of memory");
	if (body != NULL && create_container(body, s, req, w) == 0)
		text = json_print(body);
	cJSON_Delete(body);
	return (text);
}

/* Append &key= and the value, percent-encoded. */
static void
create_param(struct buf *out, const char *key, const char *value)
{
	if (out->len > 0)
		buf_add(out, "&", 1);
	buf_add(out, key, strlen(key));
	buf_add(out, "=", 1);
	spec_url_add(out, value);
}

/* Append a JSON value as a parameter; takes o. */
static int
create_param_json(struct buf *out, const char *key, cJSON *o)
{
	char *text = o != NULL ? json_print(o) : NULL;

	cJSON_Delete(o);
	if (text == NULL)
		return (-1);
	create_param(out, key, text);
	free(text);
	return (0);
}

/* "K=V" is {"K":"V"}; a lone K takes the engine's default: null. */
static int
create_build_args(const struct conf_service *s, struct buf *out, struct why w)
{
	cJSON *o = cJSON_CreateObject();
	char *key, *eq;
	int r = o != NULL ? 0 : -1;

	for (size_t i = 0; i < s->build_args.n && r == 0; i++) {
		if (!spec_is_env(s->build_args.v[i])) {
			r = why_not(w, "build argument %s: expected K=V",
			    s->build_args.v[i]);
			break;
		}
		key = xstrdup(s->build_args.v[i]);
		if ((eq = strchr(key, '=')) != NULL)
			*eq = '\0';
		if (!json_is_text(key, strlen(key)))
			r = why_not(w, "build argument is not UTF-8");
		else if (eq != NULL)
			r = create_add_str(o, key, eq + 1, w);
		else
			r = json_add_null(o, key);
		free(key);
	}
	if (r == -1) {
		cJSON_Delete(o);
		return (-1);
	}
	return (create_param_json(out, "buildargs", o));
}

int
create_build_query(const struct conf_service *s, bool no_cache, struct buf *out,
    char *why, size_t size)
{
	struct why w = { why, size };
	cJSON *o = cJSON_CreateObject(), *labels;

	why_not(w, "out of memory");
	if (o == NULL ||
	    create_labels(o, "labels", s, "image", NULL, w) == -1) {
		cJSON_Delete(o);
		return (-1);
	}
	labels = cJSON_DetachItemFromObjectCaseSensitive(o, "labels");
	cJSON_Delete(o);
	create_param(out, "dockerfile", s->dockerfile);
	create_param(out, "t", s->image);
	create_param(out, "rm", "1");
	create_param(out, "forcerm", "1");
	if (no_cache)
		create_param(out, "nocache", "1");
	if (s->target != NULL)
		create_param(out, "target", s->target);
	/* a network that only RUN steps of this host can have */
	if (s->network != NULL &&
	    (strcmp(s->network, "host") == 0 ||
		strcmp(s->network, "none") == 0))
		create_param(out, "networkmode", s->network);
	if (create_param_json(out, "labels", labels) == -1)
		return (-1);
	return (create_build_args(s, out, w));
}

static void
create_filter_label(cJSON *arr, const char *key, const char *value)
{
	char *text =
	    value != NULL ? xasprintf("%s=%s", key, value) : xstrdup(key);

	/* bytes that are not UTF-8 are in no label of ours */
	json_push_str(arr, text);
	free(text);
}

void
create_filter(const struct conf_service *s, struct buf *out)
{
	cJSON *o = cJSON_CreateObject();
	cJSON *labels = json_add_arr(o, "label"), *type;

	create_filter_label(labels, LABEL_SERVICE, s != NULL ? s->name : NULL);
	if (s != NULL) {
		create_filter_label(labels, LABEL_DIR, s->dir);
		/* what was run from the image by hand has the image's role */
		create_filter_label(labels, LABEL_ROLE, "app");
	}
	if (s == NULL && (type = json_add_arr(o, "type")) != NULL)
		json_push_str(type, "container");
	if (create_param_json(out, "filters", o) == -1)
		fatalx("out of memory");
}

/* USER and WORKDIR of an exec, absent or checked. */
static int
create_exec_who(cJSON *body, const struct fields *req, struct why w)
{
	char *user = fields_dup(req, F_USER);
	char *dir = fields_dup(req, F_WORKDIR);
	int r = 0;

	if (user != NULL && *user != '\0')
		r = create_add_str(body, "User", user, w);
	if (r == 0 && dir != NULL && *dir != '\0') {
		if (spec_is_workdir(dir))
			r = create_add_str(body, "WorkingDir", dir, w);
		else
			r = why_not(w,
			    "working directory %s: must be "
			    "absolute and not below /proc",
			    dir);
	}
	free(user);
	free(dir);
	return (r);
}

/* All fields of that key as an array of strings. */
static int
create_exec_list(cJSON *body, const char *name, const struct fields *req,
    enum field_key key, struct why w)
{
	cJSON *arr = json_add_arr(body, name);
	struct field f;
	size_t off = 0;
	char *s;
	int r = arr != NULL ? 0 : -1;

	while (r == 0 && field_next(req, &off, &f) == 1) {
		if (f.key != key)
			continue;
		s = xstrndup(f.str, f.len);
		if (key == F_ENV && !spec_is_env(s))
			r = why_not(w, "env %s: expected K=V", s);
		else
			r = create_push_str(arr, s, name, w);
		free(s);
	}
	return (r);
}

char *
create_exec_body(const struct fields *req, char *why, size_t size)
{
	struct why w = { why, size };
	cJSON *body = cJSON_CreateObject();
	char *text = NULL;

	why_not(w, "out of memory");
	if (fields_count(req, F_ARG) == 0)
		why_not(w, "no command");
	else if (json_add_bool(body, "AttachStdout", true) == 0 &&
	    json_add_bool(body, "AttachStderr", true) == 0 &&
	    json_add_bool(body, "AttachStdin", false) == 0 &&
	    json_add_bool(body, "Tty", false) == 0 &&
	    json_add_bool(body, "Privileged", false) == 0 &&
	    create_exec_who(body, req, w) == 0 &&
	    create_exec_list(body, "Env", req, F_ENV, w) == 0 &&
	    create_exec_list(body, "Cmd", req, F_ARG, w) == 0)
		text = json_print(body);
	cJSON_Delete(body);
	return (text);
}
