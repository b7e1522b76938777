/*
 * The normal form of the configuration, see normal.h.  Supervisor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"
#include "normal.h"

static void
normal_line(const char *key, const char *value)
{
	size_t n;
	char *esc;

	if (value == NULL)
		return;
	n = strlen(value) * 4 + 1;
	esc = xcalloc(1, n);
	printf("%s: %s\n", key, log_escape(esc, n, value, strlen(value)));
	free(esc);
}

static void
normal_lines(const char *key, const struct strings *l)
{
	for (size_t i = 0; i < l->n; i++)
		normal_line(key, l->v[i]);
}

void
normal_print(const struct options *o)
{
	static const char *const modes[] = { [SANDBOX_ON] = "on",
		[SANDBOX_TRAP] = "trap",
		[SANDBOX_OFF] = "off" };

	normal_line("dir", o->dir);
	normal_line("name", o->name);
	normal_line("dockerfile", o->dockerfile);
	normal_line("target", o->target);
	normal_line("engine", o->host);
	normal_line("context", o->context);
	normal_line("api", o->api);
	normal_line("network", o->network);
	normal_lines("env", &o->env);
	normal_lines("port", &o->ports);
	normal_lines("volume", &o->binds);
	normal_lines("build-arg", &o->build_args);
	normal_line("socket", o->socket);
	normal_line("keep", o->keep ? "true" : "false");
	normal_line("sandbox", modes[o->sandbox]);
	normal_line("require-sandbox", o->require_sandbox ? "true" : "false");
	if (o->max_restarts != 0)
		printf("max-restarts: %u\n", o->max_restarts);
}
