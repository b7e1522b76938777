/*
 * The command line of wharfd, one word a line; what it says of a bad one is
 * for a terminal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "supervisor/options.h"
#include "workers/engine/spec.h"
#include "tests/fuzz/fuzz.h"

#define WORDS 16

static void
options_look(const struct options *o)
{
	if (o->probe)
		return;
	HOLDS(o->name == NULL || spec_is_name(o->name));
	HOLDS(o->host == NULL || strncmp(o->host, "unix:///", 8) == 0);
	for (size_t i = 0; i < o->env.n; i++)
		HOLDS(spec_is_env(o->env.v[i]));
	for (size_t i = 0; i < o->binds.n; i++)
		HOLDS(strchr(o->binds.v[i], ':') != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	FILE *err = stderr, *out = stdout;
	char *argv[WORDS + 1] = { 0 }, *text = NULL;
	struct options o;
	int argc = 0, code = EX_OK;
	size_t len;

	unsetenv("DOCKER_HOST");
	unsetenv("DOCKER_CONTEXT");
	argv[argc++] = xstrdup("wharfd");
	while (argc < WORDS && in.n > 0)
		argv[argc++] = fuzz_str(&in);
	stderr = stdout = open_memstream(&text, &len);
	if (options_parse(&o, argc, argv, &code) == 0)
		options_look(&o);
	fclose(stderr);
	stderr = err;
	stdout = out;
	HOLDS(code >= EX_OK && code <= EX__MAX);
	fuzz_printable(text, len, true);
	options_free(&o);
	free(text);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return (0);
}
