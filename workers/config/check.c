/*
 * A configuration as a whole, see config.h: what is left out, and what its
 * parts may not have in common.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "names.h"
#include "workers/config/config.h"

/* An error of a service; names of services need no escape. */
static void __attribute__((format(printf, 5, 6)))
check_error(struct config *c, const struct config_service *s,
    const struct config_pos *pos, const char *member, const char *fmt, ...)
{
	char *key = xasprintf("services.%s%s", s->name, member);
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	config_error(c, pos, EX_DATAERR, key, "%s", text);
	free(key);
}

/* Engines. */

/* Without a word about engines there is docker's own. */
static void
check_engines(struct config *c)
{
	if (c->nengines > 0)
		return;
	c->engines = xcalloc(1, sizeof(*c->engines));
	c->engines[0].pos = (struct config_pos) { 0, 1, 1 };
	c->engines[0].name = xstrdup("default");
	c->nengines = 1;
}

static char *
check_engine_names(const struct config *c)
{
	char *all = xstrdup(""), *more;

	for (size_t i = 0; i < c->nengines; i++) {
		more = xasprintf("%s%s%s", all, i > 0 ? ", " : "",
		    c->engines[i].name);
		free(all);
		all = more;
	}
	return (all);
}

static void
check_service_engine(struct config *c, struct config_service *s)
{
	const char *name = s->engine != NULL ? s->engine : "default";
	char *all;

	s->index = 0;
	if (s->engine == NULL && c->nengines == 1)
		return;
	for (uint32_t i = 0; i < c->nengines; i++)
		if (strcmp(c->engines[i].name, name) == 0) {
			s->index = i;
			return;
		}
	all = check_engine_names(c);
	if (s->engine != NULL)
		check_error(c, s, &s->at_engine, ".engine",
		    "there is no engine \"%s\"; known are %s", s->engine, all);
	else
		check_error(c, s, &s->at_engine, "",
		    "engine is missing, and none is called default; known "
		    "are %s",
		    all);
	free(all);
}

int
config_set_host(struct config *c, size_t i, const char *host, const char *from)
{
	struct config_engine *e = &c->engines[i];
	char *key = xasprintf("engines.%s", e->name), *where;
	char why[1024];
	int r = -1;

	if (e->host == NULL &&
	    host_parse(host, &e->host, why, sizeof(why)) == -1) {
		config_error(c, &e->pos, EX_UNAVAILABLE, key, "%s: %s", from,
		    why);
		goto out;
	}
	for (size_t j = 0; j < i; j++) {
		if (c->engines[j].host == NULL ||
		    strcmp(c->engines[j].host, e->host) != 0)
			continue;
		where = config_where(c, &c->engines[j].pos);
		config_error(c, &e->pos, EX_DATAERR, key,
		    "is the engine %s of %s again (%s); name it once",
		    c->engines[j].name, where, e->host);
		free(where);
		goto out;
	}
	r = 0;
out:
	free(key);
	return (r);
}

/* Services. */

static void
check_defaults(struct config *c, struct config_service *s)
{
	if (s->dockerfile == NULL)
		s->dockerfile = xstrdup("Dockerfile");
	if (s->image == NULL)
		s->image = xasprintf("%s:latest", s->name);
	if (s->container == NULL && s->name[1] == '\0')
		check_error(c, s, &s->pos, ".container",
		    "is needed: the name of a service is its container's "
		    "where none is given, and docker wants two letters there");
	if (s->container == NULL)
		s->container = xstrdup(s->name);
}

static void
check_twice(struct config *c, const struct config_service *s,
    const struct config_service *first)
{
	char *where = config_where(c, &first->pos);

	if (strcmp(first->name, s->name) == 0)
		check_error(c, s, &s->pos, "",
		    "is defined already at %s; a service's name is its own",
		    where);
	else if (first->index == s->index &&
	    strcmp(first->container, s->container) == 0)
		check_error(c, s, &s->at_container, ".container",
		    "\"%s\" is the container of services.%s already (%s); "
		    "give each its own",
		    s->container, first->name, where);
	free(where);
}

/* The names of a service and its container are its own. */
static void
check_names(struct config *c, size_t i)
{
	const struct config_service *s = &c->services[i], *first;

	for (size_t j = 0; j < i; j++) {
		first = &c->services[j];
		if (strcmp(first->name, s->name) == 0 ||
		    (first->index == s->index &&
			strcmp(first->container, s->container) == 0)) {
			check_twice(c, s, first);
			return;
		}
	}
}

size_t
config_size(const struct config *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nservices; i++)
		n += service_text_bytes(&c->services[i].text) + 1024;
	return (n);
}

/* A service travels in one frame. */
static void
check_size(struct config *c, const struct config_service *s)
{
	size_t n = service_text_bytes(&s->text);

	if (n > CONFIG_SERVICE_MAX)
		check_error(c, s, &s->pos, "",
		    "is too large: %zu bytes; %d are the most", n,
		    CONFIG_SERVICE_MAX);
}

int
config_check(struct config *c)
{
	check_engines(c);
	for (size_t i = 0; i < c->nservices; i++) {
		check_defaults(c, &c->services[i]);
		check_service_engine(c, &c->services[i]);
		check_names(c, i);
		check_size(c, &c->services[i]);
	}
	config_sort_errors(c);
	return (c->nerrors == 0 ? 0 : -1);
}
