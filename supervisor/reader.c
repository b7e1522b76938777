/*
 * One run of the config process, see reader.h.
 *
 * The supervisor reads neither JSON nor YAML: the process does, and answers
 * in typed fields, which are read as a hostile process's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "names.h"
#include "reader.h"
#include "rpc.h"

#define READER_TIMEOUT_MS 5000
#define READER_LINES_MAX  32

static void __attribute__((format(printf, 2, 0)))
reader_say(struct reader *r, const char *fmt, va_list ap)
{
	const struct fields t = { r->errors.data, r->errors.len };
	char text[2048], esc[4096];

	if (fields_count(&t, F_TEXT) >= READER_LINES_MAX)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	fields_add_str(&r->errors, F_TEXT,
	    log_escape(esc, sizeof(esc), text, strlen(text)));
}

/* The result stands; the process may go. */
static void
reader_done(struct reader *r, int code)
{
	if (r->done)
		return; /* the first word counts */
	r->done = true;
	r->code = code;
	if (r->child != NULL && r->child->pid > 0 && !r->child->reaped)
		kill(r->child->pid, SIGKILL);
}

void
reader_fail(struct sup *s, int code, const char *fmt, ...)
{
	struct reader *r = s->reader;
	va_list ap;

	if (r->done)
		return;
	va_start(ap, fmt);
	reader_say(r, fmt, ap);
	va_end(ap);
	reader_done(r, code);
}

/* Files. */

void
reader_on_open(struct child *c, struct frame *f)
{
	const struct msg_config_open *m = frame_fixed(f);
	struct reader *r = c->sup->reader;
	char *path = fields_dup(&f->tail, F_PATH);
	struct msg_num n = { 0 };
	struct buf tail = { 0 };
	enum err_code code;
	const char *why;
	uint32_t number;
	int fd;

	fd = reader_open(r, m->place, m->from, path, &number, &code, &why);
	if (fd == -1)
		rpc_answer_err(c->ch, f->head.id, code, errno, why);
	else {
		n.n = number;
		if (m->place == CONFIG_INCLUDE)
			fields_add_str(&tail, F_PATH, r->files[number].path);
		rpc_answer(c->ch, f->head.id, MSG_CONFIG_FILE, 0, &n, &tail,
		    fd);
	}
	buf_free(&tail);
	free(path);
}

/* What it found. */

static int
reader_code(uint64_t n)
{
	return (n == EX_DATAERR || n == EX_NOINPUT || n == EX_NOPERM ||
		    n == EX_UNAVAILABLE || n == EX_OK ?
		(int)n :
		EX_SOFTWARE);
}

/* The engine, where there is no file to name it. */
static void
reader_take_host(struct reader *r, const char *name, const char *path,
    const char *host)
{
	struct options *o = r->sup->opt;
	char why[1024];

	if (path == NULL)
		o->host = xstrdup(HOST_DEFAULT);
	else if (host_parse(host, &o->host, why, sizeof(why)) == -1) {
		reader_fail(r->sup, EX_UNAVAILABLE, "context \"%s\" (%s): %s",
		    name, path, why);
		return;
	} else {
		free(o->context);
		o->context = xstrdup(name);
	}
	reader_done(r, EX_OK);
}

static void
reader_on_host(struct reader *r, struct frame *f)
{
	const struct msg_num *m = frame_fixed(f);
	char *host = fields_dup(&f->tail, F_HOST);
	char *name = fields_dup(&f->tail, F_NAME);
	char *path = fields_dup(&f->tail, F_PATH);
	char *error = fields_dup(&f->tail, F_ERROR);

	if (error != NULL)
		reader_fail(r->sup, reader_code(m->n), "%s", error);
	else if (host == NULL || name == NULL)
		reader_fail(r->sup, EX_SOFTWARE, "config names no engine");
	else
		reader_take_host(r, name, path, host);
	free(host);
	free(name);
	free(path);
	free(error);
}

static void
reader_on_error(struct reader *r, struct frame *f)
{
	char *error = fields_dup(&f->tail, F_ERROR);
	const struct fields t = { r->errors.data, r->errors.len };
	char esc[4096];

	if (fields_count(&t, F_TEXT) < READER_LINES_MAX && error != NULL)
		fields_add_str(&r->errors, F_TEXT,
		    log_escape(esc, sizeof(esc), error, strlen(error)));
	free(error);
}

/* The environment's version, where the file pins none. */
static void
reader_pin_api(struct reader *r)
{
	const char *api = r->sup->opt->api;
	struct config_engine *e;

	TAILQ_FOREACH (e, &r->next.engines, link)
		if (e->api == NULL && api != NULL)
			e->api = xstrdup(api);
}

static void
reader_on_done(struct reader *r, struct frame *f)
{
	const struct msg_num *m = frame_fixed(f);
	int code = reader_code(m->n);

	if (code == EX_OK && r->errors.len > 0)
		code = EX_DATAERR;
	reader_pin_api(r);
	if (code == EX_OK && TAILQ_EMPTY(&r->next.engines))
		reader_fail(r->sup, EX_SOFTWARE, "config names no engine");
	else if (code != EX_OK && r->errors.len == 0)
		reader_fail(r->sup, code, "%s: not understood",
		    r->sup->opt->file);
	else
		reader_done(r, code);
}

void
reader_on_found(struct child *c, struct frame *f)
{
	struct reader *r = c->sup->reader;
	const char *why;

	if (r->done)
		return;
	/* each way of asking has its own answers */
	if ((f->head.type == MSG_CONFIG_HOST) != (c->sup->opt->file == NULL))
		reader_fail(r->sup, EX_SOFTWARE, "config answers with %s",
		    f->def->name);
	else if (f->head.type == MSG_CONFIG_HOST)
		reader_on_host(r, f);
	else if (f->head.type == MSG_CONFIG_ERROR)
		reader_on_error(r, f);
	else if (f->head.type == MSG_CONFIG_DONE)
		reader_on_done(r, f);
	else if (config_take(&r->next, f, &why) == -1)
		reader_fail(r->sup, EX_SOFTWARE, "config answers %s", why);
}

/* The run. */

static void
reader_free(struct reader *r)
{
	loop_timer_cancel(&r->timeout);
	config_clear(&r->next);
	buf_free(&r->errors);
	reader_close(r);
	free(r);
}

/* Callback and end, from the loop. */
static void
reader_finish(void *arg)
{
	struct reader *r = arg;
	struct sup *s = r->sup;

	s->reader = NULL;
	r->cb(s, r);
	reader_free(r);
}

static void
reader_end(struct reader *r)
{
	loop_timer_in_ms(r->sup->loop, &r->timeout, 0, reader_finish, r);
}

static const char *
reader_what(const struct reader *r)
{
	return (r->sup->opt->file != NULL ? r->sup->opt->file :
		r->docker_dir != NULL     ? r->docker_dir :
					    "docker's configuration");
}

void
reader_child_gone(struct child *c)
{
	struct reader *r = c->sup->reader;

	reader_fail(c->sup, EX_SOFTWARE,
	    "the process that reads %s has ended%s", reader_what(r),
	    c->sup->opt->file != NULL ? "" :
					": set DOCKER_HOST to do without it");
	r->child = NULL;
	child_retire(c);
	reader_end(r);
}

static void
reader_on_timeout(void *arg)
{
	struct reader *r = arg;

	reader_fail(r->sup, EX_SOFTWARE,
	    "the process that reads %s does not answer%s", reader_what(r),
	    r->sup->opt->file != NULL ? "" :
					": set DOCKER_HOST to do without it");
}

void
reader_configure(struct child *c)
{
	struct reader *r = c->sup->reader; /* NULL: a probe, that reads none */
	const struct options *o = c->sup->opt;
	struct buf tail = { 0 };
	int fd;

	fields_add_str(&tail, F_DIR,
	    r != NULL && r->docker_dir != NULL ? r->docker_dir : "");
	if (o->context != NULL)
		fields_add_str(&tail, F_NAME, o->context);
	if (o->host != NULL)
		fields_add_str(&tail, F_HOST, o->host);
	child_send(c, MSG_CONF_CONTEXT, NULL, &tail, -1);
	if (r != NULL && o->file != NULL && (fd = reader_open_first(r)) != -1) {
		tail.len = 0;
		fields_add_str(&tail, F_PATH, r->files[0].path);
		child_send(c, MSG_CONF_FILE, NULL, &tail, fd);
	}
	child_send(c, MSG_CONF_END, NULL, NULL, -1);
	buf_free(&tail);
}

/* Docker's own default: nothing names another one, and no process is needed. */
static bool
reader_is_default(const struct options *o, const struct reader *r)
{
	if (o->file != NULL)
		return (false);
	if (o->context != NULL)
		return (strcmp(o->context, "default") == 0);
	return (r->docker_fd == -1 ||
	    faccessat(r->docker_fd, "config.json", F_OK, 0) == -1);
}

int
reader_start(struct sup *s, void (*cb)(struct sup *s, struct reader *r))
{
	struct reader *r;

	if (s->reader != NULL)
		return (-1);
	r = xcalloc(1, sizeof(*r));
	r->sup = s;
	r->cb = cb;
	config_init(&r->next);
	reader_open_docker(r);
	s->reader = r;
	if (reader_is_default(s->opt, r)) {
		s->opt->host = xstrdup(HOST_DEFAULT);
		reader_done(r, EX_OK);
		reader_end(r);
		return (0);
	}
	if (s->opt->file == NULL && r->docker_dir == NULL) {
		reader_fail(s, EX_NOINPUT,
		    "DOCKER_CONTEXT is set, and neither "
		    "DOCKER_CONFIG nor HOME");
		reader_end(r);
		return (0);
	}
	loop_timer_in_ms(s->loop, &r->timeout, READER_TIMEOUT_MS,
	    reader_on_timeout, r);
	r->child = child_init(s, PROC_CONFIG, 0);
	child_event(r->child, POLICY_EV_START, 0);
	return (0);
}

/* At the start. */

static void
reader_on_first(struct sup *s, struct reader *r)
{
	const struct fields t = { r->errors.data, r->errors.len };
	struct field f;
	size_t off = 0;

	while (field_next(&t, &off, &f) == 1)
		if (f.key == F_TEXT)
			fprintf(stderr, "wharfd: %.*s\n", (int)f.len, f.str);
	if (r->code == EX_OK)
		config_move(r->first, &r->next);
	loop_stop(s->loop, r->code);
}

int
reader_run(struct sup *s, struct config *first)
{
	struct options *o = s->opt;

	if (o->file == NULL && o->host != NULL)
		return (EX_OK);
	reader_start(s, reader_on_first);
	s->reader->first = first;
	return (loop_run(s->loop));
}
