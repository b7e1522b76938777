/*
 * A configuration, file by file, see config.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "log.h"
#include "names.h"
#include "workers/config/config.h"
#include "workers/config/schema.h"
#include "workers/shared/path_clean.h"

#define ERRORS_KEPT 200 /* they are put in order before they are cut */

/* Room for one more in an array; returns the zeroed new element. */
#define CONFIG_GROW(v, n)                                 \
	((v) = xreallocarray((v), (n) + 1, sizeof(*(v))), \
	    memset(&(v)[n], 0, sizeof(*(v))), &(v)[(n)++])

struct config *
config_new(void)
{
	return (xcalloc(1, sizeof(struct config)));
}

static void
config_service_free(struct config_service *s)
{
	service_text_free(&s->text);
	free(s->engine);
}

static void
config_engine_free(struct config_engine *e)
{
	free(e->name);
	free(e->host);
	free(e->context);
	free(e->api);
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	free(c->global.socket);
	for (size_t i = 0; i < c->nengines; i++)
		config_engine_free(&c->engines[i]);
	free(c->engines);
	for (size_t i = 0; i < c->nservices; i++)
		config_service_free(&c->services[i]);
	free(c->services);
	for (size_t i = 0; i < c->nfiles; i++)
		free(c->files[i].path);
	free(c->files);
	for (size_t i = 0; i < c->nincludes; i++) {
		free(c->includes[i].key);
		free(c->includes[i].name);
	}
	free(c->includes);
	for (size_t i = 0; i < c->nerrors; i++)
		free(c->errors[i].text);
	free(c->errors);
	free(c);
}

struct msg_config_global
config_global(const struct config *c)
{
	const struct config_global *g = &c->global;

	return ((struct msg_config_global) { .has = g->has,
	    .sandbox = g->sandbox,
	    .require_sandbox = g->require_sandbox,
	    .max_restarts = g->max_restarts,
	    .log = g->log });
}

/* Errors. */

bool
config_is_full(const struct config *c)
{
	return (c->nerrors >= ERRORS_KEPT);
}

static char *
config_escape(const char *s)
{
	size_t n = strlen(s) * 4 + 1;

	return (log_escape(xcalloc(1, n), n, s, strlen(s)));
}

char *
config_where(const struct config *c, const struct config_pos *pos)
{
	char *esc = config_escape(c->files[pos->file].path);
	char *where = xasprintf("%s:%u", esc, pos->line);

	free(esc);
	return (where);
}

void
config_error(struct config *c, const struct config_pos *pos, int code,
    const char *key, const char *fmt, ...)
{
	struct config_error *e;
	char what[2048], text[4096], *where, *all;
	va_list ap;

	if (config_is_full(c))
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	where = config_where(c, pos);
	all = xasprintf("%s%s%s", key != NULL ? key : "",
	    key != NULL ? ": " : "", what);
	/* both may have been cut within a character */
	log_escape(text, sizeof(text), all, strlen(all));
	e = CONFIG_GROW(c->errors, c->nerrors);
	e->pos = *pos;
	e->code = code;
	e->text = xasprintf("%s:%u: %s", where, pos->column, text);
	free(all);
	free(where);
}

static int
config_number_cmp(size_t a, size_t b)
{
	return (a < b ? -1 : a > b);
}

static int
config_pos_cmp(const struct config_pos *a, const struct config_pos *b)
{
	int r = config_number_cmp(a->file, b->file);

	if (r == 0)
		r = config_number_cmp(a->line, b->line);
	return (r != 0 ? r : config_number_cmp(a->column, b->column));
}

static int
config_error_cmp(const void *a, const void *b)
{
	const struct config_error *x = a, *y = b;
	int r = config_pos_cmp(&x->pos, &y->pos);

	return (r != 0 ? r : strcmp(x->text, y->text));
}

void
config_sort_errors(struct config *c)
{
	if (c->nerrors > 0)
		qsort(c->errors, c->nerrors, sizeof(*c->errors),
		    config_error_cmp);
	while (c->nerrors > CONFIG_ERRORS_MAX)
		free(c->errors[--c->nerrors].text);
}

/* Files. */

/* The directory of a path. */
static char *
config_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return (xstrdup("."));
	return (slash == path ? xstrdup("/") :
				xstrndup(path, (size_t)(slash - path)));
}

static char *
config_include_path(const struct config *c, const struct config_include *inc)
{
	char *dir = config_dir(c->files[inc->pos.file].path);
	char *path =
	    xasprintf("%s/%s", strcmp(dir, "/") == 0 ? "" : dir, inc->name);

	free(dir);
	return (path);
}

/* Is file `up` the one that includes `file`, directly or not, or itself? */
static bool
config_is_above(const struct config *c, unsigned up, unsigned file)
{
	while (file != up && c->files[file].depth > 0)
		file = c->files[file].from;
	return (file == up);
}

/* Has this file been read already?  An error then. */
static bool
config_is_known(struct config *c, const struct config_include *inc,
    const char *path)
{
	for (unsigned i = 0; i < c->nfiles; i++) {
		if (strcmp(c->files[i].path, path) != 0)
			continue;
		config_error(c, &inc->pos, EX_DATAERR, inc->key,
		    config_is_above(c, i, inc->pos.file) ?
			"%s includes itself; an include leads to other files" :
			"%s is included twice; once is enough",
		    path);
		return (true);
	}
	return (false);
}

void
config_include(struct config *c, const struct config_pos *pos, const char *key,
    char *name)
{
	struct config_include *inc;

	if (c->nincludes == CONFIG_FILES_MAX - 1)
		config_error(c, pos, EX_DATAERR, key,
		    "is over the limit of %d included files",
		    CONFIG_FILES_MAX - 1);
	else if (c->files[pos->file].depth == CONFIG_DEPTH_MAX)
		config_error(c, pos, EX_DATAERR, key,
		    "includes more than %d levels deep", CONFIG_DEPTH_MAX);
	else {
		inc = CONFIG_GROW(c->includes, c->nincludes);
		inc->pos = *pos;
		inc->key = xstrdup(key);
		inc->name = name;
		return;
	}
	free(name);
}

const struct config_include *
config_wants(struct config *c)
{
	const struct config_include *inc;
	bool known;
	char *path;

	while (c->taken < c->nincludes) {
		inc = &c->includes[c->taken];
		path = config_include_path(c, inc);
		known = config_is_known(c, inc, path);
		free(path);
		if (!known)
			return (inc);
		c->taken++;
	}
	return (NULL);
}

uint32_t
config_from(const struct config *c, const struct config_include *inc)
{
	return (c->files[inc->pos.file].number);
}

void
config_missing(struct config *c, int code, const char *why)
{
	const struct config_include *inc = &c->includes[c->taken++];

	config_error(c, &inc->pos, code, inc->key, "%s: %s", inc->name, why);
}

static void
config_parse(struct config *c, unsigned file, const void *data, size_t len)
{
	struct config_pos pos = { .file = file };
	struct ydoc_error err;
	struct ydoc *y;
	char *dir;

	if ((y = ydoc_read(data, len, &err)) == NULL) {
		pos.line = err.line;
		pos.column = err.column;
		config_error(c, &pos, EX_DATAERR, NULL, "%s", err.text);
		return;
	}
	dir = config_dir(c->files[file].path);
	schema_read(c, file, dir, ydoc_root(y));
	if (config_size(c) > CONFIG_TOTAL_MAX) {
		pos.line = pos.column = 1;
		config_error(c, &pos, EX_DATAERR, NULL,
		    "with this file, the services are too large: %zu bytes; "
		    "%d are the most",
		    config_size(c), CONFIG_TOTAL_MAX);
		c->taken = c->nincludes;
	}
	free(dir);
	ydoc_free(y);
}

void
config_add(struct config *c, uint32_t number, const char *path,
    const void *data, size_t len)
{
	const struct config_include *inc = NULL;
	struct config_file *f;

	if (c->nfiles > 0) {
		inc = &c->includes[c->taken++];
		/* by a link, it may be one that is known by another name */
		if (config_is_known(c, inc, path))
			return;
	}
	f = CONFIG_GROW(c->files, c->nfiles);
	f->number = number;
	f->path = xstrdup(path);
	if (inc != NULL) {
		f->from = inc->pos.file;
		f->depth = c->files[f->from].depth + 1;
	}
	config_parse(c, (unsigned)c->nfiles - 1, data, len);
}

struct config_service *
config_service_new(struct config *c, char *name)
{
	struct config_service *s;

	if (c->nservices == SERVICES_MAX) {
		free(name);
		return (NULL);
	}
	s = CONFIG_GROW(c->services, c->nservices);
	s->name = name;
	s->keep = true;
	return (s);
}
