/*
 * The normal form of a configuration, see config.h.
 */
#include "workers/config/config.h"
#include "yamlout.h"

static void
print_global(const struct config_global *g, struct buf *out)
{
	static const char *const modes[] = { [SANDBOX_ON] = "on",
		[SANDBOX_TRAP] = "trap",
		[SANDBOX_OFF] = "off" };
	static const char *const logs[] = { [LOG_TEXT] = "text",
		[LOG_JSON] = "json",
		[LOG_SYSLOG] = "syslog" };

	yamlout_string(out, 0, "socket", g->socket);
	if (g->has & CONFIG_HAS_SANDBOX)
		yamlout_word(out, 0, "sandbox", modes[g->sandbox]);
	if (g->has & CONFIG_HAS_REQUIRE)
		yamlout_bool(out, 0, "require-sandbox", g->require_sandbox);
	if (g->has & CONFIG_HAS_MAX_RESTARTS)
		yamlout_u64(out, 0, "max-restarts", g->max_restarts);
	if (g->has & CONFIG_HAS_LOG)
		yamlout_word(out, 0, "log", logs[g->log]);
}

static void
print_engine(const struct config_engine *e, struct buf *out)
{
	if (e->host == NULL && e->context == NULL && e->api == NULL) {
		yamlout_empty(out, 1, e->name);
		return;
	}
	yamlout_open(out, 1, e->name);
	if (e->context == NULL)
		yamlout_string(out, 2, "host", e->host);
	yamlout_string(out, 2, "context", e->context);
	yamlout_string(out, 2, "api", e->api);
}

static void
print_list(struct buf *out, const char *key, const struct config_list *l)
{
	yamlout_list(out, 2, key, l->v, l->n);
}

static void
print_service(const struct config *c, const struct config_service *s,
    struct buf *out)
{
	yamlout_open(out, 1, s->name);
	yamlout_string(out, 2, "dir", s->dir);
	yamlout_string(out, 2, "engine", c->engines[s->index].name);
	yamlout_string(out, 2, "dockerfile", s->dockerfile);
	yamlout_string(out, 2, "image", s->image);
	yamlout_string(out, 2, "container", s->container);
	yamlout_string(out, 2, "target", s->target);
	yamlout_string(out, 2, "network", s->network);
	print_list(out, "environment", &s->env);
	print_list(out, "ports", &s->ports);
	print_list(out, "volumes", &s->binds);
	print_list(out, "build-args", &s->build_args);
	yamlout_bool(out, 2, "keep", s->keep);
}

void
config_print(const struct config *c, struct buf *out)
{
	print_global(&c->global, out);
	yamlout_open(out, 0, "engines");
	for (size_t i = 0; i < c->nengines; i++)
		print_engine(&c->engines[i], out);
	if (c->nservices == 0) {
		yamlout_empty(out, 0, "services");
		return;
	}
	yamlout_open(out, 0, "services");
	for (size_t i = 0; i < c->nservices; i++)
		print_service(c, &c->services[i], out);
}
