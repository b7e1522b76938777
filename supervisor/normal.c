/*
 * The normal form of the configuration, see normal.h.  Supervisor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "normal.h"
#include "normal_form.h"
#include "yamlout.h"

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
	const struct config_engine *e;
	const struct config_service *sv;
	struct msg_config_global g = { .has = CONFIG_HAS_SANDBOX |
		    CONFIG_HAS_REQUIRE | CONFIG_HAS_LOG |
		    (o->max_restarts != 0 ? CONFIG_HAS_MAX_RESTARTS : 0),
		.sandbox = o->sandbox,
		.require_sandbox = o->require_sandbox,
		.max_restarts = o->max_restarts,
		.log = o->log };
	struct buf b = { 0 };

	normal_form_global(&b, &g, o->socket);
	yamlout_open(&b, 0, "engines");
	TAILQ_FOREACH (e, &c->engines, link)
		normal_form_engine(&b, e->name, e->host, NULL, e->api);
	if (TAILQ_EMPTY(&c->services))
		yamlout_empty(&b, 0, "services");
	else
		yamlout_open(&b, 0, "services");
	TAILQ_FOREACH (sv, &c->services, link)
		normal_form_service(&b, &sv->text, sv->engine->name,
		    (sv->flags & SERVICE_KEEP) != 0);
	if (o->context != NULL)
		normal_context(o->context);
	fwrite(b.data, 1, b.len, stdout);
	buf_free(&b);
}
