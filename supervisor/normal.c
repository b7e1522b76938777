/*
 * The normal form of the configuration, see normal.h.  Supervisor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "normal.h"
#include "yamlout.h"

static void
normal_list(struct buf *b, const char *key, const struct strings *l)
{
	yamlout_list(b, 2, key, l->v, l->n);
}

static void
normal_engine(struct buf *b, const struct config_engine *e)
{
	yamlout_open(b, 1, e->name);
	yamlout_string(b, 2, "host", e->host);
	yamlout_string(b, 2, "api", e->api);
}

static void
normal_service(struct buf *b, const struct config_service *sv)
{
	yamlout_open(b, 1, sv->name);
	yamlout_string(b, 2, "dir", sv->dir);
	yamlout_string(b, 2, "engine", sv->engine->name);
	yamlout_string(b, 2, "dockerfile", sv->dockerfile);
	yamlout_string(b, 2, "image", sv->image);
	yamlout_string(b, 2, "container", sv->container);
	yamlout_string(b, 2, "target", sv->target);
	yamlout_string(b, 2, "network", sv->network);
	normal_list(b, "environment", &sv->env);
	normal_list(b, "ports", &sv->ports);
	normal_list(b, "volumes", &sv->binds);
	normal_list(b, "build-args", &sv->build_args);
	yamlout_bool(b, 2, "keep", (sv->flags & SERVICE_KEEP) != 0);
}

/* Where the engine's address comes from, which YAML need not know. */
static void
normal_context(const char *name)
{
	size_t n = strlen(name) * 4 + 1;
	char *esc = xcalloc(1, n);

	printf("# context: %s\n", log_escape(esc, n, name, strlen(name)));
	free(esc);
}

void
normal_print(const struct options *o, const struct config *c)
{
	static const char *const modes[] = { [SANDBOX_ON] = "on",
		[SANDBOX_TRAP] = "trap",
		[SANDBOX_OFF] = "off" };
	static const char *const logs[] = { [LOG_TEXT] = "text",
		[LOG_JSON] = "json",
		[LOG_SYSLOG] = "syslog" };
	const struct config_engine *e;
	const struct config_service *sv;
	struct buf b = { 0 };

	yamlout_string(&b, 0, "socket", o->socket);
	yamlout_word(&b, 0, "sandbox", modes[o->sandbox]);
	yamlout_bool(&b, 0, "require-sandbox", o->require_sandbox);
	yamlout_word(&b, 0, "log", logs[o->log]);
	if (o->max_restarts != 0)
		yamlout_u64(&b, 0, "max-restarts", o->max_restarts);
	yamlout_open(&b, 0, "engines");
	TAILQ_FOREACH (e, &c->engines, link)
		normal_engine(&b, e);
	if (TAILQ_EMPTY(&c->services))
		yamlout_empty(&b, 0, "services");
	else
		yamlout_open(&b, 0, "services");
	TAILQ_FOREACH (sv, &c->services, link)
		normal_service(&b, sv);
	if (o->context != NULL)
		normal_context(o->context);
	fwrite(b.data, 1, b.len, stdout);
	buf_free(&b);
}
