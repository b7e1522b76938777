/*
 * The parts of the normal form, see normal_form.h.
 */
#include "normal_form.h"
#include "yamlout.h"

void
normal_form_global(struct buf *b, const struct msg_config_global *g,
    const char *socket)
{
	static const char *const modes[] = { [SANDBOX_ON] = "on",
		[SANDBOX_TRAP] = "trap",
		[SANDBOX_OFF] = "off" };
	static const char *const logs[] = { [LOG_TEXT] = "text",
		[LOG_JSON] = "json",
		[LOG_SYSLOG] = "syslog" };

	yamlout_string(b, 0, "socket", socket);
	if (g->has & CONFIG_HAS_SANDBOX)
		yamlout_word(b, 0, "sandbox", modes[g->sandbox]);
	if (g->has & CONFIG_HAS_REQUIRE)
		yamlout_bool(b, 0, "require-sandbox", g->require_sandbox);
	if (g->has & CONFIG_HAS_MAX_RESTARTS)
		yamlout_u64(b, 0, "max-restarts", g->max_restarts);
	if (g->has & CONFIG_HAS_LOG)
		yamlout_word(b, 0, "log", logs[g->log]);
}

void
normal_form_engine(struct buf *b, const char *name, const char *host,
    const char *context, const char *api)
{
	if (host == NULL && context == NULL && api == NULL) {
		yamlout_empty(b, 1, name);
		return;
	}
	yamlout_open(b, 1, name);
	if (context == NULL)
		yamlout_string(b, 2, "host", host);
	yamlout_string(b, 2, "context", context);
	yamlout_string(b, 2, "api", api);
}

void
normal_form_service(struct buf *b, const struct service_text *t,
    const char *engine, bool keep)
{
	yamlout_open(b, 1, t->name);
	yamlout_string(b, 2, "dir", t->dir);
	yamlout_string(b, 2, "engine", engine);
	yamlout_string(b, 2, "dockerfile", t->dockerfile);
	yamlout_string(b, 2, "image", t->image);
	yamlout_string(b, 2, "container", t->container);
	yamlout_string(b, 2, "target", t->target);
	yamlout_string(b, 2, "network", t->network);
	yamlout_list(b, 2, "environment", t->env.v, t->env.n);
	yamlout_list(b, 2, "ports", t->ports.v, t->ports.n);
	yamlout_list(b, 2, "volumes", t->binds.v, t->binds.n);
	yamlout_list(b, 2, "build-args", t->build_args.v, t->build_args.n);
	yamlout_bool(b, 2, "keep", keep);
}
