/*
 * Walking the context through the planner's callbacks.
 */
#include <stdlib.h>
#include <string.h>

#include "include/buf.h"
#include "workers/shared/copyplan_int.h"

/* Directories still to be read, and what one of them holds. */
struct walk {
	char **todo;
	size_t ntodo;
	char **files;
	size_t nfiles;
	const char *dir;
	size_t seen;
	size_t left;
};

static void
put(char ***list, size_t *n, char *s)
{
	if ((*n & (*n - 1)) == 0)
		*list =
		    xreallocarray(*list, *n == 0 ? 1 : *n * 2, sizeof(**list));
	(*list)[(*n)++] = s;
}

static int
walk_entry(void *arg, const char *name, bool isdir)
{
	struct walk *w = arg;
	char *path;

	w->seen++;
	if (w->left == 0)
		return (1);
	w->left--;
	path = copyplan_join(w->dir, name);
	if (isdir)
		put(&w->todo, &w->ntodo, path);
	else
		put(&w->files, &w->nfiles, path);
	return (0);
}

int
copyplan_walk(struct copyplan *p, const char *path,
    int (*fn)(void *, const char *, bool), void *fnarg)
{
	const struct copyplan_oracle *o = &p->opt.oracle;
	struct walk w = { 0 };
	enum copyplan_type type = copyplan_type(p, path);
	char *dir;
	size_t i;
	int ret = 0;

	if (type == COPYPLAN_FILE)
		return (fn(fnarg, path, false));
	if (type == COPYPLAN_ABSENT || o->list == NULL)
		return (type == COPYPLAN_ABSENT ? 0 : fn(fnarg, path, true));
	w.left = COPYPLAN_MAX_ENTRIES;
	put(&w.todo, &w.ntodo, xstrdup(path));
	while (w.ntodo > 0 && ret == 0) {
		dir = w.todo[--w.ntodo];
		w.dir = dir;
		w.seen = 0;
		o->list(o->arg, dir, walk_entry, &w);
		for (i = 0; i < w.nfiles && ret == 0; i++)
			ret = fn(fnarg, w.files[i], false);
		dockerfile_words_free(w.files, w.nfiles);
		w.files = NULL;
		w.nfiles = 0;
		if (ret == 0 && w.left == 0)
			ret = -1;
		if (ret == 0 && w.seen == 0)
			ret = fn(fnarg, dir, true);
		free(dir);
	}
	dockerfile_words_free(w.todo, w.ntodo);
	return (ret);
}

struct visit {
	struct copyplan *p;
	size_t step;
	size_t source;
	int (*fn)(void *, const char *, const char *);
	void *fnarg;
};

static int
visit_file(void *arg, const char *path, bool isdir)
{
	struct visit *v = arg;
	char *to;
	bool link;
	int ret;

	if (isdir)
		return (0);
	to = copyplan_place_of(v->p, v->step, v->source, path, false, &link);
	if (to == NULL)
		return (0);
	ret = v->fn(v->fnarg, path, to);
	free(to);
	return (ret);
}

static int
visit_source(struct visit *v)
{
	const struct copyplan_oracle *o = &v->p->opt.oracle;
	const struct copyplan_step *s = &v->p->steps[v->step];
	const struct copyplan_found *f;
	const char *src = s->sources[v->source];
	char *real;
	size_t i;
	int ret = 0;

	if (s->parents)
		return (copyplan_walk(v->p,
		    v->p->extra[v->step].pivot[v->source], visit_file, v));
	if (copyplan_is_wild(src)) {
		f = copyplan_find(v->p, v->step, v->source);
		for (i = 0; i < f->n && ret == 0; i++)
			ret = copyplan_walk(v->p, f->paths[i], visit_file, v);
		return (ret);
	}
	real =
	    o->resolve == NULL || *src == '\0' ? NULL : o->resolve(o->arg, src);
	ret = copyplan_walk(v->p, real == NULL ? src : real, visit_file, v);
	free(real);
	return (ret);
}

int
copyplan_files(struct copyplan *p, size_t step,
    int (*fn)(void *, const char *, const char *), void *fnarg)
{
	struct visit v = { p, step, 0, fn, fnarg };
	int ret = 0;

	if (p->steps[step].kind != COPYPLAN_COPY)
		return (0);
	copyplan_set_line(p,
	    copyplan_step_in_target(p, step) ? p->graph->target :
					       p->steps[step].stage);
	for (; v.source < p->steps[step].nsources && ret == 0; v.source++)
		ret = visit_source(&v);
	copyplan_set_line(p, p->graph->target);
	return (ret);
}
