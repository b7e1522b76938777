/*
 * The live-push planner: its life, its steps, and where a path goes.
 */
#include <stdlib.h>
#include <string.h>

#include "include/buf.h"
#include "workers/shared/copyplan_int.h"

static void
step_clear(struct copyplan_step *s, struct copyplan_extra *x)
{
	size_t i;

	for (i = 0; i < s->nsources; i++) {
		if (x->include != NULL)
			ignore_free(x->include[i]);
		if (x->pivot != NULL)
			free(x->pivot[i]);
	}
	free(x->include);
	free(x->pivot);
	free(x->found);
	ignore_free(x->exclude);
	dockerfile_words_free(x->heredocs, x->nheredocs);
	dockerfile_words_free(x->binds, x->nbinds);
	free(x->mounts);
	dockerfile_words_free(s->sources, s->nsources);
	dockerfile_words_free(s->argv, s->nargv);
	dockerfile_words_free(s->unset, s->nunset);
	free(s->refusal);
	free(s->dest);
	free(s->chown);
	free(s->chmod);
	free(s->user);
	free(s->workdir);
}

struct copyplan *
copyplan_new(const struct dockerfile *df, const struct copyplan_options *opt,
    struct dockerfile_error *err)
{
	struct copyplan *p = xcalloc(1, sizeof(*p));

	memset(err, 0, sizeof(*err));
	p->df = df;
	p->opt = *opt;
	p->work = DOCKERFILE_MAX_WORK;
	p->graph = dockerfile_graph_new(df, &opt->build, err);
	if (p->graph == NULL)
		goto fail;
	p->in_line = xcalloc(p->graph->nstages, sizeof(*p->in_line));
	if (copyplan_compile(p, err) == -1)
		goto fail;
	copyplan_set_line(p, p->graph->target);
	return (p);
fail:
	copyplan_free(p);
	return (NULL);
}

void
copyplan_free(struct copyplan *p)
{
	size_t i;

	if (p == NULL)
		return;
	copyplan_rescan(p);
	for (i = 0; i < p->nsteps; i++)
		step_clear(&p->steps[i], &p->extra[i]);
	free(p->steps);
	free(p->extra);
	for (i = 0; i < p->nenvs; i++)
		dockerfile_env_free(p->envs[i]);
	free(p->envs);
	for (i = 0; i < p->nworkdirs; i++)
		free(p->workdirs[i].path);
	free(p->workdirs);
	free(p->in_line);
	dockerfile_graph_free(p->graph);
	free(p);
}

const struct dockerfile_graph *
copyplan_graph(const struct copyplan *p)
{
	return (p->graph);
}

size_t
copyplan_nsteps(const struct copyplan *p)
{
	return (p->nsteps);
}

const struct copyplan_step *
copyplan_step(const struct copyplan *p, size_t n)
{
	return (&p->steps[n]);
}

void
copyplan_set_line(struct copyplan *p, size_t head)
{
	size_t s;

	memset(p->in_line, 0, p->graph->nstages * sizeof(*p->in_line));
	p->head = head;
	for (s = head; s != DOCKERFILE_NO_STAGE;
	     s = p->graph->stages[s].base_stage)
		p->in_line[s] = true;
}

bool
copyplan_step_in_target(const struct copyplan *p, size_t n)
{
	size_t s;

	for (s = p->graph->target; s != DOCKERFILE_NO_STAGE;
	     s = p->graph->stages[s].base_stage)
		if (s == p->steps[n].stage)
			return (true);
	return (false);
}

static void
add_place(struct copyplan_place **places, size_t *n, size_t step, char *dest)
{
	size_t i;

	for (i = *n; i > 0 && (*places)[i - 1].step == step; i--)
		if (strcmp((*places)[i - 1].dest, dest) == 0) {
			free(dest);
			return;
		}
	*places = xreallocarray(*places, *n + 1, sizeof(**places));
	(*places)[*n].step = step;
	(*places)[*n].dest = dest;
	(*places)[*n].wins = true;
	++*n;
}

/* No later step of the line provides dest. */
static bool
wins(struct copyplan *p, size_t step, const char *dest)
{
	bool isdir;

	for (size_t i = step + 1; i < p->nsteps; i++)
		if (copyplan_replaces(p, i, dest, &isdir))
			return (false);
	return (true);
}

void
copyplan_map(struct copyplan *p, const char *path, bool isdir,
    struct copyplan_place **places, size_t *n)
{
	const struct copyplan_step *s;
	char *dest;
	bool link;
	size_t i, k;

	*places = NULL;
	*n = 0;
	p->looks = COPYPLAN_MAX_LOOKS;
	for (i = 0; i < p->nsteps; i++) {
		s = &p->steps[i];
		if (s->kind != COPYPLAN_COPY)
			continue;
		copyplan_set_line(p,
		    copyplan_step_in_target(p, i) ? p->graph->target :
						    s->stage);
		for (k = 0; k < s->nsources; k++) {
			dest = copyplan_place_of(p, i, k, path, isdir, &link);
			if (dest != NULL)
				add_place(places, n, i, dest);
		}
		for (k = *n; k > 0 && (*places)[k - 1].step == i; k--)
			(*places)[k - 1].wins =
			    wins(p, i, (*places)[k - 1].dest);
	}
	copyplan_set_line(p, p->graph->target);
}

void
copyplan_places_free(struct copyplan_place *places, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(places[i].dest);
	free(places);
}
