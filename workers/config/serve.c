/*
 * What config does, see serve.h.
 *
 * With CONF_FILE it reads wharfd.yaml and what that includes, and finds each
 * engine's address; without, it tells which engine docker's contexts mean.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "workers/config/config.h"
#include "workers/config/docker_context.h"
#include "workers/config/serve.h"
#include "workers/config/ydoc.h"

struct state {
	struct worker *w;
	struct config *c;
	size_t engine; /* whose address is being looked for */
};

static void serve_next_file(struct state *st);
static void serve_next_engine(struct state *st);

/* Answers. */

static void
serve_send(struct worker *w, enum msg_type type, const void *fixed,
    const struct buf *tail)
{
	channel_send(w->ch, type, 0, 0, fixed, tail->data, tail->len, -1);
}

static void
serve_done(struct worker *w, int code)
{
	struct msg_num m = { .n = (uint64_t)code };

	channel_send(w->ch, MSG_CONFIG_DONE, 0, 0, &m, NULL, 0, -1);
}

static void
serve_send_error(struct worker *w, int code, const char *text)
{
	struct msg_num m = { .n = (uint64_t)code };
	struct buf tail = { 0 };

	fields_add_str(&tail, F_ERROR, text);
	serve_send(w, MSG_CONFIG_ERROR, &m, &tail);
	buf_free(&tail);
}

static void
serve_send_errors(struct state *st)
{
	const struct config *c = st->c;

	for (size_t i = 0; i < c->nerrors; i++)
		serve_send_error(st->w, c->errors[i].code, c->errors[i].text);
	serve_done(st->w, c->errors[0].code);
}

static void
serve_send_global(struct worker *w, const struct config *c)
{
	struct msg_config_global m = config_global(c);
	struct buf tail = { 0 };

	if (c->global.socket != NULL)
		fields_add_str(&tail, F_SOCKET, c->global.socket);
	serve_send(w, MSG_CONFIG_GLOBAL, &m, &tail);
	buf_free(&tail);
}

static void
serve_send_engine(struct worker *w, const struct config_engine *e)
{
	struct buf tail = { 0 };

	fields_add_str(&tail, F_NAME, e->name);
	fields_add_str(&tail, F_HOST, e->host);
	if (e->api != NULL)
		fields_add_str(&tail, F_API, e->api);
	serve_send(w, MSG_CONFIG_ENGINE, NULL, &tail);
	buf_free(&tail);
}

static void
serve_send_service(struct state *st, const struct config_service *s)
{
	struct msg_config_service m = { .engine = s->index,
		.flags = s->keep ? SERVICE_KEEP : 0 };
	struct buf tail = { 0 };

	service_text_add(&s->text, &tail);
	fields_add_str(&tail, F_PATH, st->c->files[s->pos.file].path);
	fields_add_u64(&tail, F_LINE, s->pos.line);
	serve_send(st->w, MSG_CONFIG_SERVICE, &m, &tail);
	buf_free(&tail);
}

static void
serve_send_config(struct state *st)
{
	const struct config *c = st->c;

	serve_send_global(st->w, c);
	for (size_t i = 0; i < c->nengines; i++)
		serve_send_engine(st->w, &c->engines[i]);
	for (size_t i = 0; i < c->nservices; i++)
		serve_send_service(st, &c->services[i]);
	serve_done(st->w, EX_OK);
}

/* Engines, one after another. */

static void
serve_on_engine(void *arg, const struct docker_engine *e)
{
	struct state *st = arg;
	const struct config_engine *en = &st->c->engines[st->engine];
	char *key, *from;

	if (e->error != NULL) {
		key = xasprintf("engines.%s", en->name);
		config_error(st->c, &en->pos, e->code, key, "%s", e->error);
		free(key);
	} else {
		from = e->path != NULL ?
		    xasprintf("context \"%s\" (%s)", e->name, e->path) :
		    xasprintf("context \"%s\"", e->name);
		config_set_host(st->c, st->engine, e->host, from);
		free(from);
	}
	st->engine++;
	serve_next_engine(st);
}

static void
serve_find_engine(struct state *st, const struct config_engine *e)
{
	const struct conf *conf = &st->w->conf;
	char *where = config_where(st->c, &e->pos);

	if (e->context != NULL)
		docker_context_find(st->w, e->context, where, serve_on_engine,
		    st);
	else
		docker_context_find(st->w, conf->context, "DOCKER_CONTEXT",
		    serve_on_engine, st);
	free(where);
}

static void
serve_next_engine(struct state *st)
{
	const char *host = st->w->conf.host;
	const struct config_engine *e;

	for (; st->engine < st->c->nengines; st->engine++) {
		e = &st->c->engines[st->engine];
		if (e->host != NULL)
			config_set_host(st->c, st->engine, e->host, "host");
		else if (e->context == NULL && host != NULL)
			config_set_host(st->c, st->engine, host, "DOCKER_HOST");
		else {
			serve_find_engine(st, e);
			return;
		}
	}
	config_sort_errors(st->c);
	if (st->c->nerrors > 0)
		serve_send_errors(st);
	else
		serve_send_config(st);
}

/* Files, one after another. */

/* A file that is too long is read as far as it takes to see that. */
static int
serve_read(int fd, struct buf *b)
{
	if (docker_context_read(fd, b, YDOC_FILE_MAX) == 0 || errno == EFBIG)
		return (0);
	return (-1);
}

static void
serve_on_file(void *arg, struct frame *f)
{
	struct state *st = arg;
	const struct msg_num *m = frame_fixed(f);
	struct buf b = { 0 };
	char *why = NULL, *path = NULL;
	int code;

	if (f->head.type != MSG_CONFIG_FILE) {
		code = docker_context_refused(f, &why);
		config_missing(st->c, code, why);
	} else if ((path = fields_dup(&f->tail, F_PATH)) == NULL)
		fatalx("a file without a path");
	else if (serve_read(f->fd, &b) == -1)
		config_missing(st->c, EX_NOINPUT, strerror(errno));
	else
		config_add(st->c, (uint32_t)m->n, path, b.data, b.len);
	buf_free(&b);
	free(why);
	free(path);
	serve_next_file(st);
}

static void
serve_next_file(struct state *st)
{
	const struct config_include *inc = config_wants(st->c);
	struct msg_config_open m = { .place = CONFIG_INCLUDE };
	struct buf tail = { 0 };

	if (inc == NULL) {
		if (config_check(st->c) == -1)
			serve_send_errors(st);
		else
			serve_next_engine(st);
		return;
	}
	m.from = config_from(st->c, inc);
	log_debug("asks for %s, included", inc->name);
	fields_add_str(&tail, F_PATH, inc->name);
	if (rpc_ask(st->w->rpc, MSG_CONFIG_OPEN, 0, &m, &tail, -1,
		serve_on_file, st) == 0)
		fatalx("no channel");
	buf_free(&tail);
}

static void
serve_first_file(struct state *st)
{
	const struct conf *conf = &st->w->conf;
	struct buf b = { 0 };
	char *text;

	if (serve_read(conf->file_fd, &b) == -1) {
		text = xasprintf("%s: %s", conf->file, strerror(errno));
		serve_send_error(st->w, EX_NOINPUT, text);
		serve_done(st->w, EX_NOINPUT);
		free(text);
	} else {
		config_add(st->c, 0, conf->file, b.data, b.len);
		serve_next_file(st);
	}
	buf_free(&b);
}

/* Without a file: the engine alone. */

static void
serve_on_host(void *arg, const struct docker_engine *e)
{
	struct state *st = arg;
	struct msg_num m = { .n = (uint64_t)e->code };
	struct buf tail = { 0 };

	if (e->error != NULL)
		fields_add_str(&tail, F_ERROR, e->error);
	else {
		fields_add_str(&tail, F_NAME, e->name);
		fields_add_str(&tail, F_HOST, e->host);
		if (e->path != NULL)
			fields_add_str(&tail, F_PATH, e->path);
	}
	serve_send(st->w, MSG_CONFIG_HOST, &m, &tail);
	buf_free(&tail);
}

int
config_serve(struct worker *w)
{
	static struct state st;

	config_free(st.c);
	st = (struct state) { .w = w };
	if (w->conf.file == NULL) {
		docker_context_find(w, w->conf.context, "DOCKER_CONTEXT",
		    serve_on_host, &st);
		return (0);
	}
	st.c = config_new();
	serve_first_file(&st);
	return (0);
}
