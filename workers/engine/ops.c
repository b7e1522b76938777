/*
 * The requests that are one call of the engine.  Engine worker.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workers/engine/create.h"
#include "workers/engine/job.h"
#include "workers/engine/spec.h"
#include "workers/shared/json.h"

#define OPS_GET_MAX  (1024 * 1024) /* bytes of a tar that is read */
#define OPS_STOP_MAX 300           /* s: the longest stop time */
#define OPS_SLOW_MS  120000        /* start, remove, beyond the stop time */

char *
engine_path(const struct engine *e, const char *fmt, ...)
{
	va_list ap;
	char *rest, *path;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&rest, fmt, ap);
	va_end(ap);
	if (n == -1)
		fatalx("out of memory");
	path = xasprintf("/v%s%s", e->state.api, rest);
	free(rest);
	return (path);
}

static int
ops_refuse(char *why, size_t size, const char *text)
{
	strlcpy(why, text, size);
	return (-1);
}

/* A string as a part of a path or a query; the caller frees. */
static char *
ops_url(const char *s)
{
	struct buf b = { 0 };
	char *u;

	spec_url_add(&b, s);
	buf_add(&b, "", 1);
	u = (char *)b.data;
	return (u);
}

/* INSPECT */

/* The image that is meant: IMAGE_ID, or NAME. NULL: none, or no such form */
static const char *
ops_image_name(const struct job *j, char *id, size_t size)
{
	struct field f;

	if (fields_get(&j->f, F_IMAGE_ID, &f)) {
		if (f.len >= size)
			return (NULL);
		memcpy(id, f.str, f.len);
		id[f.len] = '\0';
		return (spec_is_image_ref(id) ? id : NULL);
	}
	return (j->name != NULL && spec_is_image_ref(j->name) ? j->name : NULL);
}

/* The network that is meant: the service's, or one that every engine has. */
static const char *
ops_network(const struct job *j, char *name, size_t size)
{
	static const char *const builtin[] = { "bridge", "host", "none" };
	struct field f;

	if (!fields_get(&j->f, F_NETWORK, &f))
		return (j->service->network != NULL ? j->service->network :
						      "bridge");
	if (f.len >= size)
		return (NULL);
	memcpy(name, f.str, f.len);
	name[f.len] = '\0';
	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++)
		if (strcmp(name, builtin[i]) == 0)
			return (name);
	return (j->service->network != NULL &&
		    strcmp(name, j->service->network) == 0 ?
		name :
		NULL);
}

static int
ops_check_inspect(struct job *j, char *why, size_t size)
{
	char tmp[600];
	const char *n;

	switch (j->m.op) {
	case ENG_OP_CONTAINER:
		if (j->cid != NULL && spec_is_container_id(j->cid))
			return (0);
		if (j->cid == NULL && j->name != NULL &&
		    spec_name_is_of(j->name, j->service->container))
			return (0);
		return (ops_refuse(why, size,
		    "neither a container id nor a name of this service"));
	case ENG_OP_IMAGE:
		if (ops_image_name(j, tmp, sizeof(tmp)) != NULL)
			return (0);
		return (ops_refuse(why, size, "no image id or reference"));
	case ENG_OP_NETWORK:
		n = ops_network(j, tmp, sizeof(tmp));
		if (n != NULL && spec_is_name(n))
			return (0);
		return (ops_refuse(why, size, "not a network of this service"));
	default:
		return (ops_refuse(why, size, "unknown thing to inspect"));
	}
}

/* The answer is the check: a container of somebody else is not shown. */
static void
ops_inspected_id(struct job *j, unsigned status)
{
	if (!job_is_admitted(j, status))
		return;
	for (size_t off = 0; off < j->answer.len; off += 65536)
		job_send_data(j, j->answer.data + off,
		    j->answer.len - off < 65536 ? j->answer.len - off : 65536);
	job_done_status(j, status);
}

static void
ops_inspect(struct job *j)
{
	struct engine *e = j->e;
	char tmp[600], *u;

	if (j->m.op == ENG_OP_CONTAINER && j->cid != NULL) {
		job_http(j, "GET",
		    engine_path(e, "/containers/%s/json", j->cid), NULL,
		    ENGINE_SHORT_MS, SINK_COLLECT, ops_inspected_id);
		return;
	}
	j->limit = ENGINE_JSON_MAX;
	if (j->m.op == ENG_OP_CONTAINER) {
		job_http(j, "GET",
		    engine_path(e, "/containers/%s/json", j->name), NULL,
		    ENGINE_SHORT_MS, SINK_ASKER, job_done_status);
		return;
	}
	u = ops_url(j->m.op == ENG_OP_IMAGE ?
		ops_image_name(j, tmp, sizeof(tmp)) :
		ops_network(j, tmp, sizeof(tmp)));
	job_http(j, "GET",
	    engine_path(e, "/%s/%s%s",
		j->m.op == ENG_OP_IMAGE ? "images" : "networks", u,
		j->m.op == ENG_OP_IMAGE ? "/json" : ""),
	    NULL, ENGINE_SHORT_MS, SINK_ASKER, job_done_status);
	free(u);
}

/* LIST */

static void
ops_list(struct job *j)
{
	struct buf filter = { 0 };

	create_filter(j->service, &filter);
	j->limit = ENGINE_JSON_MAX;
	job_http(j, "GET",
	    engine_path(j->e, "/containers/json?all=1&%.*s", (int)filter.len,
		(const char *)filter.data),
	    NULL, ENGINE_SHORT_MS, SINK_ASKER, job_done_status);
	buf_free(&filter);
}

/* CREATE */

static int
ops_check_create(struct job *j, char *why, size_t size)
{
	char *body;

	if (j->name == NULL)
		j->name = xstrdup(j->service->container);
	if (!spec_name_is_of(j->name, j->service->container))
		return (ops_refuse(why, size,
		    "not a container name of this service"));
	body = create_body(j->service, &j->f, why, size);
	free(body);
	return (body != NULL ? 0 : -1);
}

static void
ops_created(struct job *j, unsigned status)
{
	char *id = job_created_id(j, status);

	if (id == NULL)
		return;
	gate_add(j->e->gate, id, j->service);
	job_done(j, status, 0, NULL, id);
	free(id);
}

static void
ops_create(struct job *j)
{
	char why[256];
	char *body = create_body(j->service, &j->f, why, sizeof(why));

	job_http(j, "POST",
	    engine_path(j->e, "/containers/create?name=%s", j->name), body,
	    OPS_SLOW_MS, SINK_COLLECT, ops_created);
	free(body);
}

/* CONTAINER */

static const struct {
	unsigned number;
	const char *name;
} signals[] = { { 1, "HUP" }, { 2, "INT" }, { 9, "KILL" }, { 10, "USR1" },
	{ 12, "USR2" }, { 15, "TERM" } };

/* The name of a signal that may be sent; 0 is the engine's own choice. */
static const char *
ops_signal(uint32_t n)
{
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (signals[i].number == (n != 0 ? n : 9))
			return (signals[i].name);
	return (NULL);
}

static int
ops_check_container(struct job *j, char *why, size_t size)
{
	switch (j->m.op) {
	case ENG_OP_START:
	case ENG_OP_REMOVE:
		return (0);
	case ENG_OP_STOP:
	case ENG_OP_RESTART:
		if (j->m.arg <= OPS_STOP_MAX)
			return (0);
		return (ops_refuse(why, size, "stop time is too long"));
	case ENG_OP_KILL:
		if (ops_signal(j->m.arg) != NULL)
			return (0);
		return (ops_refuse(why, size,
		    "signal is not HUP, INT, KILL, "
		    "USR1, USR2 or TERM"));
	case ENG_OP_RENAME:
		if (j->name != NULL &&
		    spec_name_is_of(j->name, j->service->container))
			return (0);
		return (ops_refuse(why, size,
		    "not a container name of this service"));
	default:
		return (ops_refuse(why, size, "unknown operation"));
	}
}

static void
ops_removed(struct job *j, unsigned status)
{
	if (status < 300 || status == 404)
		gate_remove(j->e->gate, j->cid);
	job_done_status(j, status);
}

static void
ops_container(struct job *j)
{
	struct engine *e = j->e;
	int64_t ms = OPS_SLOW_MS + (int64_t)j->m.arg * 1000;
	const char *id = j->cid, *method = "POST";
	job_next then = job_done_status;
	char *path = NULL;

	switch (j->m.op) {
	case ENG_OP_START:
		path = engine_path(e, "/containers/%s/start", id);
		break;
	case ENG_OP_STOP:
		path = engine_path(e, "/containers/%s/stop?t=%u", id, j->m.arg);
		break;
	case ENG_OP_RESTART:
		path =
		    engine_path(e, "/containers/%s/restart?t=%u", id, j->m.arg);
		break;
	case ENG_OP_KILL:
		path = engine_path(e, "/containers/%s/kill?signal=%s", id,
		    ops_signal(j->m.arg));
		break;
	case ENG_OP_RENAME:
		path = engine_path(e, "/containers/%s/rename?name=%s", id,
		    j->name);
		break;
	default:
		method = "DELETE";
		path = engine_path(e, "/containers/%s?v=1%s", id,
		    j->m.flags & ENG_FORCE ? "&force=1" : "");
		then = ops_removed;
		break;
	}
	job_http(j, method, path, NULL, ms, SINK_DROP, then);
}

/* HEAD, GET */

static int
ops_check_path(struct job *j, char *why, size_t size)
{
	if (j->path != NULL && spec_is_path(j->path))
		return (0);
	return (ops_refuse(why, size, "path is not absolute or has .."));
}

static char *
ops_archive(struct job *j)
{
	char *u = ops_url(j->path);
	char *path =
	    engine_path(j->e, "/containers/%s/archive?path=%s", j->cid, u);

	free(u);
	return (path);
}

static void
ops_head_done(struct job *j, unsigned status)
{
	const char *stat = j->stat;
	struct buf json = { 0 };
	cJSON *o;

	if (status != 200) {
		job_done(j, status, 0,
		    status == 404 ? "no such path or container" : NULL, NULL);
		return;
	}
	if (stat == NULL || spec_base64(stat, &json) == -1 ||
	    (o = json_parse(json.data, json.len, ENGINE_JSON_MAX, NULL)) ==
		NULL) {
		buf_free(&json);
		job_fail(j, ERR_ENGINE, "the path's facts are no JSON");
		return;
	}
	cJSON_Delete(o);
	job_send_data(j, json.data, json.len);
	buf_free(&json);
	job_done(j, status, 0, NULL, NULL);
}

static void
ops_head(struct job *j)
{
	job_http(j, "HEAD", ops_archive(j), NULL, ENGINE_SHORT_MS, SINK_DROP,
	    ops_head_done);
}

static void
ops_get(struct job *j)
{
	j->limit = OPS_GET_MAX;
	job_http(j, "GET", ops_archive(j), NULL, OPS_SLOW_MS, SINK_ASKER,
	    job_done_status);
}

/* IMAGE */

static int
ops_check_image(struct job *j, char *why, size_t size)
{
	char tmp[600];

	if (!fields_get(&j->f, F_IMAGE_ID, &(struct field) { 0 }) ||
	    ops_image_name(j, tmp, sizeof(tmp)) == NULL ||
	    !spec_is_image_id(tmp))
		return (ops_refuse(why, size, "no image id"));
	if (j->m.op == ENG_OP_IMAGE_REMOVE)
		return (0);
	if (j->m.op == ENG_OP_TAG && j->name != NULL &&
	    spec_same_repository(j->name, j->service->image))
		return (0);
	return (ops_refuse(why, size, "not a tag of this service's image"));
}

static void
ops_image_inspected(struct job *j, unsigned status)
{
	char id[600], *repo, *colon, *path;

	if (status != 200) {
		job_done_status(j, status);
		return;
	}
	if (!gate_check_image(&j->answer, j->service)) {
		job_fail(j, ERR_REFUSED, "not an image of this service");
		return;
	}
	ops_image_name(j, id, sizeof(id));
	/* an image with one tag is removed by its id, whosever tag it is */
	if (j->m.op == ENG_OP_IMAGE_REMOVE && (j->m.flags & ENG_FORCE) == 0 &&
	    gate_image_has_other_tags(&j->answer, j->service)) {
		job_fail(j, ERR_REFUSED, "somebody has tagged this image");
		return;
	}
	if (j->m.op == ENG_OP_IMAGE_REMOVE) {
		path = engine_path(j->e, "/images/%s%s", id,
		    j->m.flags & ENG_FORCE ? "?force=1" : "");
		job_http(j, "DELETE", path, NULL, OPS_SLOW_MS, SINK_DROP,
		    job_done_status);
		return;
	}
	repo = xstrdup(j->name);
	colon = strrchr(repo, ':');
	if (colon != NULL && strchr(colon, '/') == NULL)
		*colon++ = '\0';
	else
		colon = NULL;
	path = engine_path(j->e, "/images/%s/tag?repo=%s&tag=%s", id, repo,
	    colon != NULL ? colon : "latest");
	free(repo);
	job_http(j, "POST", path, NULL, ENGINE_SHORT_MS, SINK_DROP,
	    job_done_status);
}

static void
ops_image(struct job *j)
{
	char id[600];

	job_http(j, "GET",
	    engine_path(j->e, "/images/%s/json",
		ops_image_name(j, id, sizeof(id))),
	    NULL, ENGINE_SHORT_MS, SINK_COLLECT, ops_image_inspected);
}

const struct job_op ops_simple[] = {
	{ MSG_ENG_INSPECT, false, ops_check_inspect, ops_inspect },
	{ MSG_ENG_LIST, false, NULL, ops_list },
	{ MSG_ENG_CREATE, false, ops_check_create, ops_create },
	{ MSG_ENG_CONTAINER, true, ops_check_container, ops_container },
	{ MSG_ENG_HEAD, true, ops_check_path, ops_head },
	{ MSG_ENG_GET, true, ops_check_path, ops_get },
	{ MSG_ENG_IMAGE, false, ops_check_image, ops_image },
	{ MSG_NONE, false, NULL, NULL },
};
