/*
 * Docker's contexts, see docker_context.h.  Files come from the supervisor,
 * by name.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <sha2.h>

#include "workers/config/docker_context.h"
#include "workers/shared/json.h"

/* What is found goes into a frame. */
#define NAME_LONGEST 1024
#define HOST_LONGEST 4096

/* One question. */
struct docker_context {
	struct worker *w;
	docker_context_cb cb;
	void *arg;
	char *name; /* the context */
	char *from; /* who names it */
	char *path; /* of its meta.json, below docker's directory */
};

/* Answer, and forget the question. */
static void
docker_context_end(struct docker_context *d, const struct docker_engine *e)
{
	d->cb(d->arg, e);
	free(d->name);
	free(d->from);
	free(d->path);
	free(d);
}

static void __attribute__((format(printf, 3, 4)))
docker_context_fail(struct docker_context *d, int code, const char *fmt, ...)
{
	struct docker_engine e = { .code = code };
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e.error = text;
	docker_context_end(d, &e);
}

static void
docker_context_builtin(struct docker_context *d)
{
	struct docker_engine e = { .name = "default", .host = "" };

	docker_context_end(d, &e);
}

static void
docker_context_found(struct docker_context *d, const char *host)
{
	char *path = xasprintf("%s/%s", d->w->conf.docker_dir, d->path);
	struct docker_engine e = { .name = d->name,
		.path = path,
		.host = host };

	docker_context_end(d, &e);
	free(path);
}

/* Files. */

int
docker_context_read(int fd, struct buf *b, size_t max)
{
	ssize_t n;

	for (;;) {
		n = read(fd, buf_reserve(b, 4096), 4096);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return ((int)n);
		b->len += (size_t)n;
		if (b->len > max) {
			errno = EFBIG;
			return (-1);
		}
	}
}

int
docker_context_refused(const struct frame *f, char **why)
{
	*why = fields_dup(&f->tail, F_ERROR);
	if (*why == NULL)
		*why = xstrdup("not opened");
	return (rpc_err(f) == ERR_REFUSED ? EX_NOPERM : EX_NOINPUT);
}

/* Docker takes an empty file for an empty object. */
static bool
docker_context_is_blank(const struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if (strchr(" \t\r\n", b->data[i]) == NULL)
			return (false);
	return (true);
}

/* The file of an answer as an object; NULL after saying what is wrong. */
static cJSON *
docker_context_parse(struct docker_context *d, struct frame *f,
    const char *path)
{
	const char *dir = d->w->conf.docker_dir;
	struct json_error err;
	struct buf b = { 0 };
	cJSON *root = NULL;

	if (docker_context_read(f->fd, &b, CONFIG_FILE_MAX) == -1)
		docker_context_fail(d, EX_NOINPUT, "%s/%s: %s", dir, path,
		    strerror(errno));
	else if (docker_context_is_blank(&b))
		root = cJSON_CreateObject();
	else if ((root = json_parse(b.data, b.len, CONFIG_FILE_MAX, &err)) ==
	    NULL)
		docker_context_fail(d, EX_DATAERR, "%s/%s:%u:%u: %s", dir, path,
		    err.line, err.column, err.text);
	else if (!cJSON_IsObject(root)) {
		docker_context_fail(d, EX_DATAERR,
		    "%s/%s:1:1: not a JSON object", dir, path);
		cJSON_Delete(root);
		root = NULL;
	}
	buf_free(&b);
	return (root);
}

static void
docker_context_not_opened(struct docker_context *d, struct frame *f,
    const char *path)
{
	char *why;
	int code = docker_context_refused(f, &why);

	docker_context_fail(d, code, "%s/%s: %s", d->w->conf.docker_dir, path,
	    why);
	free(why);
}

static void
docker_context_ask(struct docker_context *d, const char *path, rpc_cb cb)
{
	struct msg_config_open m = { .place = CONFIG_DOCKER };
	struct buf tail = { 0 };

	log_debug("asks for %s", path);
	fields_add_str(&tail, F_PATH, path);
	if (rpc_ask(d->w->rpc, MSG_CONFIG_OPEN, 0, &m, &tail, -1, cb, d) == 0)
		fatalx("no channel");
	buf_free(&tail);
}

/* contexts/meta/HASH/meta.json */

static void
docker_context_on_meta(void *arg, struct frame *f)
{
	struct docker_context *d = arg;
	const char *dir = d->w->conf.docker_dir;
	const cJSON *docker, *host;
	cJSON *root;

	if (rpc_err(f) == ERR_NOT_FOUND) {
		docker_context_fail(d, EX_NOINPUT,
		    "context \"%s\": context not found: "
		    "%s/%s: no such file or directory (named by %s)",
		    d->name, dir, d->path, d->from);
		return;
	}
	if (f->head.type != MSG_CONFIG_FILE) {
		docker_context_not_opened(d, f, d->path);
		return;
	}
	if ((root = docker_context_parse(d, f, d->path)) == NULL)
		return;
	docker = json_at(root, "Endpoints", "docker", NULL);
	host = json_get(docker, "Host");
	if (!cJSON_IsObject(docker))
		docker_context_fail(d, EX_DATAERR,
		    "%s/%s: context \"%s\" has no Endpoints.docker", dir,
		    d->path, d->name);
	else if (host != NULL && !cJSON_IsString(host))
		docker_context_fail(d, EX_DATAERR,
		    "%s/%s: Endpoints.docker.Host is not a string", dir,
		    d->path);
	else if (host != NULL && strlen(host->valuestring) > HOST_LONGEST)
		docker_context_fail(d, EX_DATAERR,
		    "%s/%s: Endpoints.docker.Host is longer than %d bytes", dir,
		    d->path, HOST_LONGEST);
	else
		docker_context_found(d, host != NULL ? host->valuestring : "");
	cJSON_Delete(root);
}

/* Takes name and from. */
static void
docker_context_open(struct docker_context *d, char *name, char *from)
{
	char hash[SHA256_DIGEST_STRING_LENGTH];

	d->name = name;
	d->from = from;
	if (strcmp(name, "default") == 0) {
		docker_context_builtin(d);
		return;
	}
	if (d->w->conf.docker_dir == NULL) {
		docker_context_fail(d, EX_NOINPUT,
		    "context \"%s\": neither DOCKER_CONFIG nor HOME tells "
		    "where contexts are (named by %s)",
		    name, from);
		return;
	}
	SHA256Data((const uint8_t *)name, strlen(name), hash);
	log_debug("context %s, named by %s", name, from);
	d->path = xasprintf("contexts/meta/%s/meta.json", hash);
	docker_context_ask(d, d->path, docker_context_on_meta);
}

/* config.json */

static void
docker_context_on_file(void *arg, struct frame *f)
{
	struct docker_context *d = arg;
	const cJSON *current;
	cJSON *root;

	if (rpc_err(f) == ERR_NOT_FOUND) {
		docker_context_builtin(d);
		return;
	}
	if (f->head.type != MSG_CONFIG_FILE) {
		docker_context_not_opened(d, f, "config.json");
		return;
	}
	if ((root = docker_context_parse(d, f, "config.json")) == NULL)
		return;
	current = json_get(root, "currentContext");
	if (current != NULL && !cJSON_IsString(current) &&
	    !cJSON_IsNull(current))
		docker_context_fail(d, EX_DATAERR,
		    "%s/config.json: currentContext is not a string",
		    d->w->conf.docker_dir);
	else if (current == NULL || !cJSON_IsString(current) ||
	    current->valuestring[0] == '\0')
		docker_context_builtin(d);
	else if (strlen(current->valuestring) > NAME_LONGEST)
		docker_context_fail(d, EX_DATAERR,
		    "%s/config.json: currentContext is longer than %d bytes",
		    d->w->conf.docker_dir, NAME_LONGEST);
	else
		docker_context_open(d, xstrdup(current->valuestring),
		    xasprintf("%s/config.json", d->w->conf.docker_dir));
	cJSON_Delete(root);
}

void
docker_context_find(struct worker *w, const char *name, const char *from,
    docker_context_cb cb, void *arg)
{
	struct docker_context *d = xcalloc(1, sizeof(*d));

	d->w = w;
	d->cb = cb;
	d->arg = arg;
	if (name != NULL)
		docker_context_open(d, xstrdup(name), xstrdup(from));
	else if (w->conf.docker_dir == NULL)
		docker_context_builtin(d);
	else
		docker_context_ask(d, "config.json", docker_context_on_file);
}
