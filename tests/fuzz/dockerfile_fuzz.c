/*
 * Dockerfiles: lexer, checks, stages, and the variables of words.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/shared/dockerfile_env.h"
#include "workers/shared/dockerfile_graph.h"
#include "workers/shared/imageref.h"
#include "tests/fuzz/fuzz.h"

static void
error_look(const struct dockerfile_error *err)
{
	HOLDS(err->text[0] != '\0');
	HOLDS(memchr(err->text, '\0', sizeof(err->text)) != NULL);
	fuzz_printable(err->text, strlen(err->text), false);
}

static void
instr_look(const struct dockerfile *df, const struct dockerfile_instr *in,
    const struct dockerfile_env *env)
{
	char why[256] = "", *s, **words;
	struct dockerfile_mount m;
	size_t n;

	HOLDS(in->line > 0 && in->line <= in->end_line);
	HOLDS(dockerfile_kind_name(in->kind) != NULL);
	for (size_t i = 0; i < in->nargs; i++) {
		HOLDS(in->args[i] != NULL);
		s = dockerfile_expand(in->args[i], df->escape, env, why,
		    sizeof(why));
		HOLDS(s != NULL || why[0] != '\0');
		free(s);
		for (int flags = 0; flags < 8; flags += 7)
			if (dockerfile_words(in->args[i], df->escape, env,
				flags, &words, &n, why, sizeof(why)) == 0)
				dockerfile_words_free(words, n);
		dockerfile_heredoc_of(in, in->args[i]);
	}
	for (size_t i = 0; i < in->nflags; i++)
		if (in->flags[i].value != NULL &&
		    dockerfile_mount_parse(in->flags[i].value, &m, why,
			sizeof(why)) == 0)
			dockerfile_mount_clear(&m);
	for (size_t i = 0; i < in->nheredocs; i++) {
		s = dockerfile_heredoc_text(&in->heredocs[i]);
		HOLDS(s != NULL);
		HOLDS(strlen(s) <= strlen(in->heredocs[i].content));
		free(s);
	}
}

static void
graph_look(const struct dockerfile *df, const struct dockerfile_graph *g)
{
	char *again, why[256];

	HOLDS(g->nstages > 0 && g->target < g->nstages);
	HOLDS(g->stages[g->target].needed);
	for (size_t i = 0; i < g->nstages; i++) {
		const struct dockerfile_stage *st = &g->stages[i];

		HOLDS(st->first < st->end && st->end <= df->ninstrs);
		HOLDS(st->base_stage == DOCKERFILE_NO_STAGE ||
		    st->base_stage < i);
		for (size_t j = 0; j < st->ndeps; j++) {
			size_t dep = st->deps[j].stage;

			HOLDS(dep == DOCKERFILE_NO_STAGE || dep < g->nstages);
			HOLDS((dep == DOCKERFILE_NO_STAGE) ==
			    (st->deps[j].image != NULL));
			HOLDS(!st->needed || dep == DOCKERFILE_NO_STAGE ||
			    g->stages[dep].needed);
		}
	}
	for (size_t i = 0; i < g->nimages; i++) {
		again = imageref_normal(g->images[i].ref, why, sizeof(why));
		HOLDS(again != NULL);
		HOLDS(strcmp(again, g->images[i].ref) == 0);
		free(again);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dockerfile_error err = { 0 };
	struct dockerfile *df =
	    dockerfile_parse((const char *)data, size, &err);
	struct dockerfile_options opt = { .platform = "linux/arm64/v8" };
	struct dockerfile_env *env;
	struct dockerfile_graph *g;
	size_t work = 1000000;

	if (df == NULL) {
		error_look(&err);
		return (0);
	}
	HOLDS(df->ninstrs > 0 && df->ninstrs <= DOCKERFILE_MAX_INSTRS);
	env = dockerfile_env_new();
	env->work = &work;
	dockerfile_env_set(env, "a", "va/lue.b.c");
	dockerfile_env_set(env, "B", "");
	for (size_t i = 0; i < df->ninstrs; i++)
		instr_look(df, &df->instrs[i], env);
	dockerfile_env_free(env);
	g = dockerfile_graph_new(df, &opt, &err);
	if (g != NULL)
		graph_look(df, g);
	else
		error_look(&err);
	dockerfile_graph_free(g);
	dockerfile_free(df);
	return (0);
}
