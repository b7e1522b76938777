/*
 * The planner's first half: walk the stages, from each base on, and note the
 * steps.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "include/buf.h"
#include "workers/shared/copyplan_steps.h"

static int
do_instr(struct compiler *c, size_t index, const struct dockerfile_instr *in)
{
	switch (in->kind) {
	case DOCKERFILE_ENV:
		return (copyplan_do_env(c, in));
	case DOCKERFILE_ARG:
		return (copyplan_do_arg(c, in));
	case DOCKERFILE_WORKDIR:
		return (in->nargs == 1 ? copyplan_do_workdir(c, in) : 0);
	case DOCKERFILE_USER:
		return (in->nargs == 1 ? copyplan_do_user(c, in) : 0);
	case DOCKERFILE_SHELL:
		if (in->json && in->nargs > 0)
			copyplan_do_shell(c, in);
		return (0);
	case DOCKERFILE_COPY:
	case DOCKERFILE_ADD:
	case DOCKERFILE_RUN:
		return (copyplan_add_step(c, index, in));
	default:
		return (0);
	}
}

static int
do_stage(struct compiler *c, size_t n)
{
	const struct dockerfile *df = c->p->df;
	const struct dockerfile_stage *st = &c->p->graph->stages[n], *base;
	size_t i;

	c->stage = n;
	if (st->base_stage == DOCKERFILE_NO_STAGE)
		copyplan_force_base(c->p, &c->now);
	else {
		copyplan_force_copy(&c->now, &c->at_end[st->base_stage]);
		if (copyplan_charge(c->p, c->now.all->bytes * 3) == -1)
			return (copyplan_too_long(c, &df->instrs[st->first]));
		base = &c->p->graph->stages[st->base_stage];
		for (i = base->first + 1; i < base->end; i++)
			if (df->instrs[i].trigger != NULL &&
			    do_instr(c, i, df->instrs[i].trigger) == -1)
				return (-1);
	}
	for (i = st->first + 1; i < st->end; i++)
		if (do_instr(c, i, &df->instrs[i]) == -1)
			return (-1);
	c->at_end[n] = c->now;
	memset(&c->now, 0, sizeof(c->now));
	return (0);
}

/*
 * Names that later ENV instructions of the line set, and that the container
 * therefore has though the step must not: unset, or given the base's value.
 */
static int
set_unset(struct compiler *c, size_t step, const struct dockerfile_env *last)
{
	struct copyplan *p = c->p;
	struct copyplan_step *s = &p->steps[step];
	const struct dockerfile_env *base = p->opt.base_env;
	size_t i;

	for (i = 0; i < last->nvars; i++) {
		const char *name = last->vars[i].name, *v = NULL;

		if (dockerfile_env_get(s->env, name) != NULL)
			continue;
		if (base != NULL)
			v = dockerfile_env_get(base, name);
		else if (strcmp(name, "PATH") == 0)
			v = COPYPLAN_DEFAULT_PATH;
		if (copyplan_charge(p, strlen(name)) == -1)
			return (-1);
		if (v == NULL)
			copyplan_add_word(&s->unset, &s->nunset, xstrdup(name));
		else {
			/* Steps share snapshots: they share this too. */
			size_t k;

			for (k = 0; k < p->nenvs; k++)
				if (p->envs[k] == s->env)
					dockerfile_env_set(p->envs[k], name, v);
		}
	}
	return (0);
}

static int
finish(struct compiler *c)
{
	struct copyplan *p = c->p;
	size_t i, head;

	copyplan_set_line(p, p->graph->target);
	for (i = 0; i < p->nsteps; i++) {
		if (p->steps[i].kind != COPYPLAN_RUN)
			continue;
		head = p->in_line[p->steps[i].stage] ? p->graph->target :
						       p->steps[i].stage;
		if (set_unset(c, i, c->at_end[head].env) == -1)
			return (copyplan_too_long(c,
			    &p->df->instrs[p->steps[i].instr]));
	}
	return (0);
}

int
copyplan_compile(struct copyplan *p, struct dockerfile_error *err)
{
	struct compiler c = { 0 };
	size_t i;
	int ret = 0;

	c.p = p;
	c.err = err;
	c.at_end = xcalloc(p->graph->nstages, sizeof(*c.at_end));
	for (i = 0; i < p->graph->nstages && ret == 0; i++)
		if (p->graph->stages[i].needed)
			ret = do_stage(&c, i);
	if (ret == 0)
		ret = finish(&c);
	for (i = 0; i < p->graph->nstages; i++)
		copyplan_force_clear(&c.at_end[i]);
	free(c.at_end);
	copyplan_force_clear(&c.now);
	return (ret);
}
