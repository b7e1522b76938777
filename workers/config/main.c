/*
 * wharf-config: reads configuration files, once, and is then ended.
 *
 * It opens nothing and sees no file system: it asks the supervisor for files
 * by name.  Today it tells which engine docker's contexts mean.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <sha2.h>

#include "workers/common/worker.h"
#include "workers/shared/json.h"

#define CONFIG_MAX (1024 * 1024) /* bytes of a file */

struct config {
	const char *name; /* the context */
	const char *from; /* who names it */
	char *path;       /* of its meta.json, below docker's directory */
};

static void __attribute__((format(printf, 3, 4)))
config_fail(struct worker *w, int code, const char *fmt, ...)
{
	struct msg_num m = { .n = (uint64_t)code };
	struct buf tail = { 0 };
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fields_add_str(&tail, F_ERROR, text);
	channel_send(w->ch, MSG_CONFIG_HOST, 0, 0, &m, tail.data, tail.len, -1);
	buf_free(&tail);
}

/* An engine's address; path NULL: the built-in context. */
static void
config_answer(struct worker *w, const char *name, const char *path,
    const char *host)
{
	struct msg_num m = { .n = EX_OK };
	struct buf tail = { 0 };
	char *full;

	fields_add_str(&tail, F_NAME, name);
	fields_add_str(&tail, F_HOST, host);
	if (path != NULL) {
		full = xasprintf("%s/%s", w->conf.docker_dir, path);
		fields_add_str(&tail, F_PATH, full);
		free(full);
	}
	channel_send(w->ch, MSG_CONFIG_HOST, 0, 0, &m, tail.data, tail.len, -1);
	buf_free(&tail);
}

/* Files. */

static int
config_read(int fd, struct buf *b)
{
	ssize_t n;

	for (;;) {
		n = read(fd, buf_reserve(b, 4096), 4096);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return ((int)n);
		b->len += (size_t)n;
		if (b->len > CONFIG_MAX) {
			errno = EFBIG;
			return (-1);
		}
	}
}

/* Docker takes an empty file for an empty object. */
static bool
config_is_blank(const struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if (strchr(" \t\r\n", b->data[i]) == NULL)
			return (false);
	return (true);
}

/* The file of an answer as an object; NULL after saying what is wrong. */
static cJSON *
config_parse(struct worker *w, struct frame *f, const char *path)
{
	const char *dir = w->conf.docker_dir;
	struct json_error err;
	struct buf b = { 0 };
	cJSON *root = NULL;

	if (config_read(f->fd, &b) == -1)
		config_fail(w, EX_NOINPUT, "%s/%s: %s", dir, path,
		    strerror(errno));
	else if (config_is_blank(&b))
		root = cJSON_CreateObject();
	else if ((root = json_parse(b.data, b.len, CONFIG_MAX, &err)) == NULL)
		config_fail(w, EX_DATAERR, "%s/%s:%u:%u: %s", dir, path,
		    err.line, err.column, err.text);
	else if (!cJSON_IsObject(root)) {
		config_fail(w, EX_DATAERR, "%s/%s:1:1: not a JSON object", dir,
		    path);
		cJSON_Delete(root);
		root = NULL;
	}
	buf_free(&b);
	return (root);
}

/* Why a file was not opened, as the supervisor says it. */
static void
config_not_opened(struct worker *w, struct frame *f, const char *path)
{
	char *why = fields_dup(&f->tail, F_ERROR);

	config_fail(w, rpc_err(f) == ERR_REFUSED ? EX_NOPERM : EX_NOINPUT,
	    "%s/%s: %s", w->conf.docker_dir, path,
	    why != NULL ? why : "not opened");
	free(why);
}

static void
config_ask(struct worker *w, const char *path, rpc_cb cb)
{
	struct buf tail = { 0 };

	log_debug("asks for %s", path);
	fields_add_str(&tail, F_PATH, path);
	if (rpc_ask(w->rpc, MSG_CONFIG_OPEN, 0, NULL, &tail, -1, cb, w) == 0)
		fatalx("no channel");
	buf_free(&tail);
}

/* contexts/meta/HASH/meta.json */

static void
config_on_meta(void *arg, struct frame *f)
{
	struct worker *w = arg;
	struct config *c = w->state;
	const char *dir = w->conf.docker_dir;
	const cJSON *docker, *host;
	cJSON *root;

	if (rpc_err(f) == ERR_NOT_FOUND) {
		config_fail(w, EX_NOINPUT,
		    "context \"%s\": context not found: "
		    "%s/%s: no such file or directory (named by %s)",
		    c->name, dir, c->path, c->from);
		return;
	}
	if (f->head.type != MSG_CONFIG_FILE) {
		config_not_opened(w, f, c->path);
		return;
	}
	if ((root = config_parse(w, f, c->path)) == NULL)
		return;
	docker = json_at(root, "Endpoints", "docker", NULL);
	host = json_get(docker, "Host");
	if (!cJSON_IsObject(docker))
		config_fail(w, EX_DATAERR,
		    "%s/%s: context \"%s\" has no "
		    "Endpoints.docker",
		    dir, c->path, c->name);
	else if (host != NULL && !cJSON_IsString(host))
		config_fail(w, EX_DATAERR,
		    "%s/%s: Endpoints.docker.Host is "
		    "not a string",
		    dir, c->path);
	else
		config_answer(w, c->name, c->path,
		    host != NULL ? host->valuestring : "");
	cJSON_Delete(root);
}

/* Takes nothing; name and from must stay. */
static void
config_find(struct worker *w, const char *name, const char *from)
{
	struct config *c = w->state;
	char hash[SHA256_DIGEST_STRING_LENGTH];

	c->name = name;
	c->from = from;
	SHA256Data((const uint8_t *)name, strlen(name), hash);
	log_debug("context %s, named by %s", name, from);
	c->path = xasprintf("contexts/meta/%s/meta.json", hash);
	config_ask(w, c->path, config_on_meta);
}

/* config.json */

static void
config_on_file(void *arg, struct frame *f)
{
	struct worker *w = arg;
	const cJSON *current;
	cJSON *root;

	if (f->head.type != MSG_CONFIG_FILE) {
		config_not_opened(w, f, "config.json");
		return;
	}
	if ((root = config_parse(w, f, "config.json")) == NULL)
		return;
	current = json_get(root, "currentContext");
	if (current != NULL && !cJSON_IsString(current) &&
	    !cJSON_IsNull(current))
		config_fail(w, EX_DATAERR,
		    "%s/config.json: currentContext is "
		    "not a string",
		    w->conf.docker_dir);
	else if (!cJSON_IsString(current) || current->valuestring[0] == '\0' ||
	    strcmp(current->valuestring, "default") == 0)
		config_answer(w, "default", NULL, "");
	else
		config_find(w, xstrdup(current->valuestring),
		    xasprintf("%s/config.json", w->conf.docker_dir));
	cJSON_Delete(root);
}

static int
config_start(struct worker *w)
{
	static struct config c;

	w->state = &c;
	if (w->conf.docker_dir == NULL)
		return (-1);
	if (w->conf.context != NULL)
		config_find(w, w->conf.context, "DOCKER_CONTEXT");
	else
		config_ask(w, "config.json", config_on_file);
	return (0);
}

static const struct worker_handler handlers[] = { { MSG_NONE, NULL } };

static const struct worker_ops config_ops = {
	.role = PROC_CONFIG,
	.start = config_start,
	.handlers = handlers,
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &config_ops));
}
