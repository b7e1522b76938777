/*
 * One configuration, see config.h.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "config.h"
#include "names.h"

#define CONFIG_STRINGS_MAX 4096 /* of one list of one service */
/* what a worker is told of it has a larger head, and maybe an API version */
#define CONFIG_FRAME_MAX (FRAME_MAX - 4096)

void
config_init(struct config *c)
{
	memset(c, 0, sizeof(*c));
	TAILQ_INIT(&c->engines);
	TAILQ_INIT(&c->services);
}

void
config_engine_free(struct config_engine *e)
{
	if (e == NULL)
		return;
	free(e->name);
	free(e->host);
	free(e->api);
	free(e);
}

void
config_service_free(struct config_service *s)
{
	if (s == NULL)
		return;
	if (s->manifest_fd != -1)
		close(s->manifest_fd);
	service_text_free(&s->text);
	free(s->file);
	free(s);
}

void
config_clear(struct config *c)
{
	struct config_engine *e;
	struct config_service *s;

	while ((s = TAILQ_FIRST(&c->services)) != NULL) {
		TAILQ_REMOVE(&c->services, s, link);
		config_service_free(s);
	}
	while ((e = TAILQ_FIRST(&c->engines)) != NULL) {
		TAILQ_REMOVE(&c->engines, e, link);
		config_engine_free(e);
	}
	free(c->socket);
	config_init(c);
}

void
config_move(struct config *to, struct config *from)
{
	config_clear(to);
	TAILQ_CONCAT(&to->engines, &from->engines, link);
	TAILQ_CONCAT(&to->services, &from->services, link);
	to->global = from->global;
	to->socket = from->socket;
	config_init(from);
}

static char *
config_dup(const char *s)
{
	return (s != NULL ? xstrdup(s) : NULL);
}

void
config_from_options(struct config *c, const struct options *o)
{
	struct config_engine *e = xcalloc(1, sizeof(*e));
	struct config_service *s = xcalloc(1, sizeof(*s));

	e->name = xstrdup("default");
	e->host = xstrdup(o->host);
	e->api = config_dup(o->api);
	TAILQ_INSERT_TAIL(&c->engines, e, link);
	s->manifest_fd = -1;
	s->engine = e;
	s->flags = o->keep ? SERVICE_KEEP : 0;
	s->name = xstrdup(o->name);
	s->dir = xstrdup(o->dir);
	s->dockerfile = xstrdup(o->dockerfile);
	s->image = xasprintf("%s:latest", o->name);
	s->container = xstrdup(o->name);
	s->target = config_dup(o->target);
	s->network = config_dup(o->network);
	strings_copy(&s->env, &o->env);
	strings_copy(&s->ports, &o->ports);
	strings_copy(&s->binds, &o->binds);
	strings_copy(&s->build_args, &o->build_args);
	TAILQ_INSERT_TAIL(&c->services, s, link);
}

static bool
config_same(const char *a, const char *b)
{
	return (a == NULL || b == NULL ? a == b : strcmp(a, b) == 0);
}

/* Frames of config. */

static int
config_take_global(struct config *c, struct frame *f, const char **why)
{
	c->global = *(const struct msg_config_global *)frame_fixed(f);
	free(c->socket);
	c->socket = fields_dup(&f->tail, F_SOCKET);
	if (c->global.sandbox <= SANDBOX_OFF && c->global.log <= LOG_SYSLOG)
		return (0);
	*why = "a setting with no meaning";
	return (-1);
}

static int
config_take_engine(struct config *c, struct frame *f, const char **why)
{
	struct config_engine *e = xcalloc(1, sizeof(*e)), *o;
	unsigned n = 1;
	bool twice = false;

	e->name = fields_dup(&f->tail, F_NAME);
	e->host = fields_dup(&f->tail, F_HOST);
	e->api = fields_dup(&f->tail, F_API);
	TAILQ_FOREACH (o, &c->engines, link) {
		n++;
		twice |= config_same(o->name, e->name);
	}
	TAILQ_INSERT_TAIL(&c->engines, e, link);
	if (n > ENGINES_MAX)
		*why = "too many engines";
	else if (e->name == NULL || !name_is_valid(e->name) ||
	    e->host == NULL ||
	    strncmp(e->host, "unix:///", strlen("unix:///")) != 0)
		*why = "an engine without name or path";
	else if (twice)
		*why = "an engine's name twice";
	else
		return (0);
	return (-1);
}

static struct config_engine *
config_nth_engine(const struct config *c, uint32_t n)
{
	struct config_engine *e;

	TAILQ_FOREACH (e, &c->engines, link)
		if (n-- == 0)
			return (e);
	return (NULL);
}

static bool
config_is_valid(const struct config_service *s)
{
	/* the name is part of a file's, see state.c */
	return (s->engine != NULL && name_is_valid(s->name) &&
	    s->dir[0] == '/' && strlen(s->dir) < PATH_MAX &&
	    s->dockerfile[0] != '/' && !path_has_dotdot(s->dockerfile));
}

static int
config_take_service(struct config *c, struct frame *f, const char **why)
{
	const struct msg_config_service *m = frame_fixed(f);
	struct config_service *s = xcalloc(1, sizeof(*s)), *o;
	const struct fields *t = &f->tail;
	unsigned n = 1;
	bool twice = false, whole;

	whole = service_text_take(&s->text, t) == 0;
	TAILQ_FOREACH (o, &c->services, link) {
		n++;
		twice |= config_same(o->name, s->name);
	}
	TAILQ_INSERT_TAIL(&c->services, s, link);
	s->manifest_fd = -1;
	s->engine = config_nth_engine(c, m->engine);
	s->flags = m->flags & SERVICE_KEEP;
	s->file = fields_dup(t, F_PATH);
	s->line = (uint32_t)fields_u64(t, F_LINE, 0);
	if (n > SERVICES_MAX)
		*why = "too many services";
	else if (service_text_most(&s->text) > CONFIG_STRINGS_MAX)
		*why = "a service with too long a list";
	else if (!whole || !config_is_valid(s))
		*why = "a service that is not whole";
	else if ((c->taken += service_text_bytes(&s->text)) > CONFIG_BYTES_MAX)
		*why = "services that are too large";
	else if (twice)
		*why = "a service's name twice";
	else
		return (0);
	return (-1);
}

int
config_take(struct config *c, struct frame *f, const char **why)
{
	if (f->payload_len > CONFIG_FRAME_MAX) {
		*why = "something too long";
		return (-1);
	}
	switch (f->head.type) {
	case MSG_CONFIG_GLOBAL:
		return (config_take_global(c, f, why));
	case MSG_CONFIG_ENGINE:
		return (config_take_engine(c, f, why));
	default:
		return (config_take_service(c, f, why));
	}
}

/* Comparing. */

bool
config_same_engine(const struct config_engine *a, const struct config_engine *b)
{
	return (config_same(a->name, b->name) &&
	    config_same(a->host, b->host) && config_same(a->api, b->api));
}

bool
config_same_service(const struct config_service *a,
    const struct config_service *b)
{
	return (config_same_engine(a->engine, b->engine) &&
	    a->flags == b->flags && service_text_same(&a->text, &b->text));
}

struct config_service *
config_find_service(const struct config *c, const char *name)
{
	struct config_service *s;

	TAILQ_FOREACH (s, &c->services, link)
		if (!s->retired && strcmp(s->name, name) == 0)
			return (s);
	return (NULL);
}
