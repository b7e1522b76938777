/*
 * The planner's second half: from changed and deleted context paths to the
 * operations of a push, line by line.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/buf.h"
#include "workers/shared/copyplan_push.h"

#define MAX_PAIRS (4 * 1024 * 1024) /* changes times copies */

void
copyplan_reason(struct planner *pl, bool rebuild, const char *fmt, ...)
{
	va_list ap;
	char *s;

	if (pl->out->rebuild || (!rebuild && pl->out->reason[0] != '\0'))
		return;
	pl->out->rebuild = rebuild;
	va_start(ap, fmt);
	vsnprintf(pl->out->reason, sizeof(pl->out->reason), fmt, ap);
	va_end(ap);
	for (s = pl->out->reason; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s == 0x7f)
			*s = '?';
}

static void
add_change(struct changes *c, const char *path, bool isdir)
{
	if ((c->n & (c->n - 1)) == 0)
		c->v = xreallocarray(c->v, c->n == 0 ? 1 : c->n * 2,
		    sizeof(*c->v));
	c->v[c->n].path = xstrdup(path);
	c->v[c->n++].isdir = isdir;
}

static int
walked(void *arg, const char *path, bool isdir)
{
	add_change(arg, path, isdir);
	return (0);
}

/* '/' sorts first, so that what a directory holds follows it. */
int
copyplan_path_cmp(const char *a, const char *b)
{
	unsigned char x, y;

	while (*a == *b && *a != '\0') {
		a++;
		b++;
	}
	x = *a == '/' ? 1 : (unsigned char)*a;
	y = *b == '/' ? 1 : (unsigned char)*b;
	return ((x > y) - (x < y));
}

static int
change_cmp(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	return (copyplan_path_cmp(x->path, y->path));
}

/* Sort, drop doubles, and learn what was a directory. */
static void
settle(struct changes *c)
{
	size_t i, n = 0;

	if (c->n == 0)
		return;
	qsort(c->v, c->n, sizeof(*c->v), change_cmp);
	for (i = 0; i < c->n; i++) {
		if (n > 0 && strcmp(c->v[n - 1].path, c->v[i].path) == 0) {
			free(c->v[i].path);
			continue;
		}
		if (n > 0 && copyplan_below(c->v[i].path, c->v[n - 1].path))
			c->v[n - 1].isdir = true;
		c->v[n++] = c->v[i];
	}
	c->n = n;
}

static void
take_paths(struct planner *pl, const char *const *paths, size_t n, bool gone)
{
	size_t i;

	for (i = 0; i < n; i++)
		switch (copyplan_type(pl->p, paths[i])) {
		case COPYPLAN_ABSENT:
			add_change(&pl->deleted, paths[i], false);
			break;
		case COPYPLAN_FILE:
			add_change(&pl->changed, paths[i], false);
			break;
		case COPYPLAN_DIR:
			/* What a reappeared directory holds is listed. */
			if (!gone && pl->p->opt.exact)
				add_change(&pl->changed, paths[i], true);
			else if (!gone &&
			    copyplan_walk(pl->p, paths[i], walked,
				&pl->changed) == -1)
				copyplan_reason(pl, true,
				    "%.200s: too many files", paths[i]);
			break;
		}
}

static void
do_line(struct planner *pl, size_t head)
{
	struct copyplan *p = pl->p;
	size_t i;

	copyplan_set_line(p, head);
	pl->dirty = pl->ran = false;
	for (i = 0; i < p->nsteps; i++) {
		if (!p->in_line[p->steps[i].stage])
			continue;
		switch (p->steps[i].kind) {
		case COPYPLAN_COPY:
			copyplan_do_copy(pl, i);
			break;
		case COPYPLAN_STAGECOPY:
			copyplan_do_stagecopy(pl, i);
			break;
		case COPYPLAN_IMAGECOPY:
			copyplan_do_imagecopy(pl, i);
			break;
		case COPYPLAN_RUN:
			copyplan_do_run(pl, i);
			break;
		}
	}
	pl->touched[head] = pl->dirty;
	if (pl->dirty && head != p->graph->target)
		pl->out->needs_stage_containers = true;
	dockerfile_words_free(pl->dests, pl->ndests);
	pl->dests = NULL;
	pl->ndests = 0;
}

/* Are all stages that this line copies from already planned? */
static bool
ready(const struct planner *pl, size_t head, const bool *is_head,
    const bool *done)
{
	const struct dockerfile_graph *g = pl->p->graph;
	size_t s, i, d;

	for (s = head; s != DOCKERFILE_NO_STAGE; s = g->stages[s].base_stage)
		for (i = 0; i < g->stages[s].ndeps; i++) {
			d = g->stages[s].deps[i].stage;
			if (d != DOCKERFILE_NO_STAGE && is_head[d] && !done[d])
				return (false);
		}
	return (true);
}

/* Every line that something is copied from, then the target's. */
static void
do_lines(struct planner *pl)
{
	const struct dockerfile_graph *g = pl->p->graph;
	bool *is_head, *done, more = true;
	size_t i, k, d;

	is_head = xcalloc(g->nstages, sizeof(*is_head));
	done = xcalloc(g->nstages, sizeof(*done));
	is_head[g->target] = true;
	for (i = 0; i < g->nstages; i++)
		for (k = 0; g->stages[i].needed && k < g->stages[i].ndeps;
		     k++) {
			d = g->stages[i].deps[k].stage;
			if (d != DOCKERFILE_NO_STAGE)
				is_head[d] = true;
		}
	while (more) {
		more = false;
		for (i = 0; i < g->nstages; i++)
			if (is_head[i] && !done[i] &&
			    ready(pl, i, is_head, done)) {
				do_line(pl, i);
				done[i] = more = true;
			}
	}
	free(is_head);
	free(done);
	copyplan_set_line(pl->p, g->target);
}

/* The files that decide what a build is. */
static void
check_inputs(struct planner *pl, const char *const *paths, size_t n)
{
	const struct copyplan_options *opt = &pl->p->opt;
	size_t i;

	for (i = 0; i < n; i++) {
		if (opt->dockerfile != NULL &&
		    strcmp(paths[i], opt->dockerfile) == 0)
			copyplan_reason(pl, true,
			    "%.200s: the Dockerfile itself "
			    "changed",
			    paths[i]);
		else if (opt->ignorefile != NULL &&
		    strcmp(paths[i], opt->ignorefile) == 0)
			copyplan_reason(pl, true,
			    "%.200s: what the build leaves "
			    "out changed",
			    paths[i]);
	}
}

static bool
too_many(struct planner *pl)
{
	size_t i, copies = 0;

	for (i = 0; i < pl->p->nsteps; i++)
		copies += pl->p->steps[i].nsources;
	if (copies == 0 || pl->changed.n + pl->deleted.n <= MAX_PAIRS / copies)
		return (false);
	copyplan_reason(pl, true, "too many changes for a push (%zu)",
	    pl->changed.n + pl->deleted.n);
	pl->out->needed = true;
	return (true);
}

/* Move the stages that have something to do to the plan. */
static void
finish(struct planner *pl)
{
	struct push_plan *out = pl->out;
	size_t i, n = pl->p->graph->nstages;

	out->stages = xcalloc(n, sizeof(*out->stages));
	for (i = 0; i < n; i++)
		if (pl->stages[i].nops > 0) {
			out->stages[out->nstages] = pl->stages[i];
			out->stages[out->nstages++].index = i;
		}
	if (pl->touched[pl->p->graph->target])
		out->needed = true;
	if (pl->p->looks == 0)
		copyplan_reason(pl, true, "wildcards match too many files");
	out->needed = out->needed || out->rebuild;
	out->restart = out->needed;
	copyplan_reason(pl, false,
	    "no COPY or ADD that the target needs takes any "
	    "of these paths");
}

static void
changes_free(struct changes *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		free(c->v[i].path);
	free(c->v);
}

struct push_plan *
copyplan_changes(struct copyplan *p, const char *const *changed,
    size_t nchanged, const char *const *deleted, size_t ndeleted)
{
	struct planner pl = { 0 };
	size_t i, n = p->graph->nstages;

	copyplan_rescan(p);
	p->looks = COPYPLAN_MAX_LOOKS;
	pl.p = p;
	pl.out = xcalloc(1, sizeof(*pl.out));
	pl.stages = xcalloc(n, sizeof(*pl.stages));
	pl.owner = xcalloc(n, sizeof(*pl.owner));
	pl.touched = xcalloc(n, sizeof(*pl.touched));
	for (i = 0; i < n; i++)
		pl.owner[i] = DOCKERFILE_NO_STAGE;
	check_inputs(&pl, changed, nchanged);
	check_inputs(&pl, deleted, ndeleted);
	take_paths(&pl, changed, nchanged, false);
	take_paths(&pl, deleted, ndeleted, true);
	settle(&pl.changed);
	settle(&pl.deleted);
	if (pl.changed.n + pl.deleted.n > 0 && !too_many(&pl))
		do_lines(&pl);
	finish(&pl);
	changes_free(&pl.changed);
	changes_free(&pl.deleted);
	free(pl.stages);
	free(pl.owner);
	free(pl.touched);
	return (pl.out);
}

void
push_plan_free(struct push_plan *pp)
{
	size_t i, k;

	if (pp == NULL)
		return;
	for (i = 0; i < pp->nstages; i++) {
		for (k = 0; k < pp->stages[i].nops; k++)
			copyplan_op_clear(&pp->stages[i].ops[k]);
		free(pp->stages[i].ops);
	}
	free(pp->stages);
	free(pp);
}
