/*
 * The keys of wharfd.yaml, see schema.h.  wharfd.yaml(5) is written from the
 * tables here.  Pure code, config process.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "log.h"
#include "workers/config/schema.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define KEYS_MAX 16 /* of one table */

/* Keys that are looked at, known or not. */
#define SCHEMA_KEYS_MAX 256

static void take_include(struct schema *, const struct schema_key *,
    const struct ynode *, void *);
static void take_engines(struct schema *, const struct schema_key *,
    const struct ynode *, void *);
static void take_services(struct schema *, const struct schema_key *,
    const struct ynode *, void *);
static void take_engine_name(struct schema *, const struct schema_key *,
    const struct ynode *, void *);
static void take_container(struct schema *, const struct schema_key *,
    const struct ynode *, void *);

#define GLOBAL(m)  offsetof(struct config_global, m)
#define ENGINE(m)  offsetof(struct config_engine, m)
#define SERVICE(m) offsetof(struct config_service, m)

static const struct schema_key file_keys[] = {
	{ "socket", take_string, GLOBAL(socket), form_socket,
	    "an absolute path", NULL, 0, true },
	{ "sandbox", take_sandbox, GLOBAL(sandbox), NULL, "on, trap or off",
	    NULL, CONFIG_HAS_SANDBOX, true },
	{ "require-sandbox", take_bool, GLOBAL(require_sandbox), NULL,
	    "true or false", NULL, CONFIG_HAS_REQUIRE, true },
	{ "max-restarts", take_number, GLOBAL(max_restarts), NULL,
	    "a whole number from 0 to 1000000", NULL, CONFIG_HAS_MAX_RESTARTS,
	    true },
	{ "log", take_log, GLOBAL(log), NULL, "text, json or syslog", NULL,
	    CONFIG_HAS_LOG, true },
	{ "include", take_include, 0, form_include,
	    "a list of files, such as [web.yaml]", "a file, such as web.yaml" },
	{ "engines", take_engines, 0, NULL,
	    "a mapping of names to engines, such as {default: {}}", NULL, 0,
	    true },
	{ "services", take_services, 0, NULL,
	    "a mapping of names to services, such as {web: {dir: ./web}}" },
};

static const struct schema_key engine_keys[] = {
	{ "host", take_string, ENGINE(host), form_host,
	    "an address, such as unix:///var/run/docker.sock" },
	{ "context", take_string, ENGINE(context), form_context,
	    "the name of a docker context" },
	{ "api", take_string, ENGINE(api), form_api,
	    "a version of the engine's API, such as \"1.41\"" },
};

static const struct schema_key service_keys[] = {
	{ "dir", take_string, SERVICE(dir), form_dir, "a path, such as ./web" },
	{ "engine", take_engine_name, SERVICE(engine), form_name,
	    "the name of an engine" },
	{ "dockerfile", take_string, SERVICE(dockerfile), form_dockerfile,
	    "a path below dir, such as Dockerfile" },
	{ "image", take_string, SERVICE(image), form_image,
	    "an image's name, such as web:latest" },
	{ "container", take_container, SERVICE(container), form_container,
	    "a container's name" },
	{ "target", take_string, SERVICE(target), form_target,
	    "a stage of the Dockerfile" },
	{ "network", take_string, SERVICE(network), form_network,
	    "a network's name" },
	{ "environment", take_pairs, SERVICE(env), NULL,
	    "a mapping of names to texts, or a list of K=V" },
	{ "ports", take_list, SERVICE(ports), form_port,
	    "a list of ports, such as [\"127.0.0.1:8080:80\"]",
	    "a port, such as 127.0.0.1:8080:80" },
	{ "volumes", take_list, SERVICE(binds), form_volume,
	    "a list of volumes, such as [./data:/data]",
	    "a volume, such as ./data:/data" },
	{ "build-args", take_pairs, SERVICE(build_args), NULL,
	    "a mapping of names to texts, or a list of K=V" },
	{ "keep", take_bool, SERVICE(keep), NULL, "true or false" },
};

/* The path of the key at hand. */

static size_t
schema_append(struct schema *s, const char *text)
{
	size_t before = s->len;

	if (s->len < sizeof(s->path)) {
		s->len +=
		    strlcpy(s->path + s->len, text, sizeof(s->path) - s->len);
		if (s->len >= sizeof(s->path))
			s->len = sizeof(s->path) - 1;
	}
	return (before);
}

size_t
schema_down(struct schema *s, const char *name)
{
	char esc[128], step[160];

	log_escape(esc, sizeof(esc), name, strlen(name));
	snprintf(step, sizeof(step), "%s%s", s->len > 0 ? "." : "", esc);
	return (schema_append(s, step));
}

size_t
schema_down_item(struct schema *s, size_t i)
{
	char step[32];

	snprintf(step, sizeof(step), "[%zu]", i);
	return (schema_append(s, step));
}

void
schema_up(struct schema *s, size_t len)
{
	s->len = len;
	s->path[len] = '\0';
}

/* Errors. */

static struct config_pos
schema_pos(const struct schema *s, const struct ynode *n)
{
	return ((struct config_pos) { s->file, n->line, n->column });
}

void
schema_error(struct schema *s, const struct ynode *n, const char *fmt, ...)
{
	struct config_pos pos = schema_pos(s, n);
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	config_error(s->c, &pos, EX_DATAERR, s->len > 0 ? s->path : NULL, "%s",
	    text);
}

void
schema_kind_error(struct schema *s, const struct schema_key *k,
    const struct ynode *v)
{
	static const char *const kinds[] = { [YNODE_SCALAR] = "a single value",
		[YNODE_LIST] = "a list",
		[YNODE_MAP] = "a mapping" };

	if (ynode_is_nothing(v))
		schema_error(s, v, "has no value; %s is expected", k->what);
	else
		schema_error(s, v, "is %s; %s is expected", kinds[v->kind],
		    k->what);
}

/* All keys, or those near: what would be right. */
static void
schema_unknown(struct schema *s, const struct ynode *key,
    const struct schema_key *keys, size_t n)
{
	const char *names[KEYS_MAX], *near;
	char all[512] = "";

	for (size_t i = 0; i < n && i < KEYS_MAX; i++) {
		names[i] = keys[i].name;
		if (i > 0)
			strlcat(all, ", ", sizeof(all));
		strlcat(all, names[i], sizeof(all));
	}
	near = suggest_word(key->text, names, n < KEYS_MAX ? n : KEYS_MAX);
	if (near != NULL)
		schema_error(s, key, "unknown key; did you mean \"%s\"?", near);
	else
		schema_error(s, key, "unknown key; known are %s", all);
}

/* Walking. */

bool
schema_is_first(struct schema *s, const struct ynode *map, size_t i)
{
	const char *name = map->kids[i]->text;
	size_t len;

	for (size_t j = 0; j < i; j += 2) {
		if (strcmp(map->kids[j]->text, name) != 0)
			continue;
		len = schema_down(s, name);
		schema_error(s, map->kids[i],
		    "stands here again; first at line %u", map->kids[j]->line);
		schema_up(s, len);
		return (false);
	}
	return (true);
}

static void
schema_walk_key(struct schema *s, const struct ynode *key,
    const struct ynode *value, const struct schema_key *keys, size_t n,
    void *obj)
{
	size_t len = schema_down(s, key->text), i;

	for (i = 0; i < n && strcmp(keys[i].name, key->text) != 0; i++)
		;
	if (i == n)
		schema_unknown(s, key, keys, n);
	else if (keys[i].first && s->c->files[s->file].depth > 0)
		schema_error(s, key,
		    "belongs into the first file; an included one holds "
		    "services and include");
	else
		keys[i].take(s, &keys[i], value, obj);
	schema_up(s, len);
}

/* More keys than anything may have: an error, and not worth a look. */
static bool
schema_is_long(struct schema *s, const struct ynode *map, size_t max)
{
	if (map->nkids / 2 <= max)
		return (false);
	schema_error(s, map, "has %zu keys; %zu are the most", map->nkids / 2,
	    max);
	return (true);
}

/* A mapping whose keys are a table's. */
static void
schema_walk(struct schema *s, const struct ynode *map,
    const struct schema_key *keys, size_t n, void *obj)
{
	if (schema_is_long(s, map, SCHEMA_KEYS_MAX))
		return;
	for (size_t i = 0; i + 1 < map->nkids; i += 2)
		if (schema_is_first(s, map, i))
			schema_walk_key(s, map->kids[i], map->kids[i + 1], keys,
			    n, obj);
}

static bool
schema_is_map(struct schema *s, const struct schema_key *k,
    const struct ynode *v)
{
	if (v->kind == YNODE_MAP)
		return (true);
	if (!ynode_is_nothing(v))
		schema_kind_error(s, k, v);
	return (false);
}

/* The files that this one includes wait for their turn. */
static void
take_include(struct schema *s, const struct schema_key *k,
    const struct ynode *v, void *obj)
{
	struct schema_key item = *k;
	struct config_pos pos;
	char *name;
	size_t len;

	item.what = k->item;
	if (v->kind != YNODE_LIST) {
		if (!ynode_is_nothing(v))
			schema_kind_error(s, k, v);
		return;
	}
	for (size_t i = 0; i < v->nkids && !config_is_full(s->c); i++) {
		len = schema_down_item(s, i);
		if ((name = take_form(s, &item, v->kids[i])) != NULL) {
			pos = schema_pos(s, v->kids[i]);
			config_include(s->c, &pos, s->path, name);
		}
		schema_up(s, len);
	}
}

/* Engines. */

static void
take_engine(struct schema *s, const struct ynode *key, const struct ynode *v)
{
	static const struct schema_key what = {
		.what = "a mapping, {} or with host or context"
	};
	struct config_engine *e;
	char *name;

	if ((name = take_name(s, key)) == NULL)
		return;
	s->c->engines = xreallocarray(s->c->engines, s->c->nengines + 1,
	    sizeof(*s->c->engines));
	e = &s->c->engines[s->c->nengines++];
	*e = (struct config_engine) { .pos = schema_pos(s, key), .name = name };
	if (!schema_is_map(s, &what, v))
		return;
	schema_walk(s, v, engine_keys, NELEM(engine_keys), e);
	if (e->host != NULL && e->context != NULL)
		schema_error(s, v,
		    "has both host and context; one of them tells where the "
		    "engine is");
}

static void
take_engines(struct schema *s, const struct schema_key *k,
    const struct ynode *v, void *obj)
{
	size_t len;

	if (!schema_is_map(s, k, v) || schema_is_long(s, v, ENGINES_MAX))
		return;
	for (size_t i = 0; i + 1 < v->nkids; i += 2) {
		if (!schema_is_first(s, v, i))
			continue;
		len = schema_down(s, v->kids[i]->text);
		take_engine(s, v->kids[i], v->kids[i + 1]);
		schema_up(s, len);
	}
}

/* Services. */

static void
take_engine_name(struct schema *s, const struct schema_key *k,
    const struct ynode *v, void *obj)
{
	struct config_service *sv = obj;

	sv->at_engine = schema_pos(s, v);
	take_string(s, k, v, obj);
}

static void
take_container(struct schema *s, const struct schema_key *k,
    const struct ynode *v, void *obj)
{
	struct config_service *sv = obj;

	sv->at_container = schema_pos(s, v);
	take_string(s, k, v, obj);
}

static bool
schema_has_key(const struct ynode *map, const char *name)
{
	for (size_t i = 0; i + 1 < map->nkids; i += 2)
		if (strcmp(map->kids[i]->text, name) == 0)
			return (true);
	return (false);
}

static void
take_service(struct schema *s, const struct ynode *key, const struct ynode *v)
{
	static const struct schema_key what = {
		.what = "a mapping with at least dir"
	};
	struct config_service *sv;
	char *name;

	if ((name = take_name(s, key)) == NULL)
		return;
	if (v->kind != YNODE_MAP) {
		schema_kind_error(s, &what, v);
		free(name);
		return;
	}
	if ((sv = config_service_new(s->c, name)) == NULL) {
		schema_error(s, key, "is over the limit of %d services",
		    SERVICES_MAX);
		return;
	}
	sv->pos = sv->at_engine = sv->at_container = schema_pos(s, key);
	schema_walk(s, v, service_keys, NELEM(service_keys), sv);
	if (!schema_has_key(v, "dir"))
		schema_error(s, key,
		    "dir is missing; it tells what is built and kept in step");
}

static void
take_services(struct schema *s, const struct schema_key *k,
    const struct ynode *v, void *obj)
{
	size_t len;

	if (!schema_is_map(s, k, v) || schema_is_long(s, v, SERVICES_MAX))
		return;
	for (size_t i = 0; i + 1 < v->nkids && !config_is_full(s->c); i += 2) {
		if (!schema_is_first(s, v, i))
			continue;
		len = schema_down(s, v->kids[i]->text);
		take_service(s, v->kids[i], v->kids[i + 1]);
		schema_up(s, len);
	}
}

void
schema_read(struct config *c, unsigned file, const char *dir,
    const struct ynode *root)
{
	static const struct ynode top = { .line = 1, .column = 1 };
	struct schema s = { .c = c, .file = file, .dir = dir };

	if (root == NULL || ynode_is_nothing(root)) {
		schema_error(&s, &top,
		    "an empty file; services is expected, {} for none");
		return;
	}
	if (root->kind != YNODE_MAP) {
		schema_error(&s, root,
		    "no mapping; \"services:\" and other keys are expected");
		return;
	}
	schema_walk(&s, root, file_keys, NELEM(file_keys), &c->global);
	if (!schema_has_key(root, "services") &&
	    !schema_has_key(root, "include"))
		schema_error(&s, root,
		    "neither services nor include; \"services: {}\" is a file "
		    "without services");
}
