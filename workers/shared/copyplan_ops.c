/*
 * What one step of a line does about the changes at hand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/buf.h"
#include "workers/shared/copyplan_push.h"

/* Destinations taken out by one step. */
struct removal {
	char *dest;
	bool isdir;
};

static const char *
kind_name(const struct planner *pl, size_t step)
{
	const struct dockerfile_instr *in;

	in = &pl->p->df->instrs[pl->p->steps[step].instr];
	return (dockerfile_kind_name(in->kind));
}

/* A step cannot be done by a push. */
static void
climb(struct planner *pl, size_t step, const char *path, const char *why)
{
	copyplan_reason(pl, true, "%.200s: %s at line %u: %s", path,
	    kind_name(pl, step), pl->p->steps[step].line, why);
}

static void
touch(struct planner *pl, size_t step, const char *path)
{
	if (!pl->dirty)
		snprintf(pl->cause, sizeof(pl->cause), "%.250s", path);
	pl->dirty = true;
	copyplan_reason(pl, false, "%.200s: %s at line %u", path,
	    kind_name(pl, step), pl->p->steps[step].line);
}

static void
add_dest(struct planner *pl, const char *dest)
{
	if ((pl->ndests & (pl->ndests - 1)) == 0)
		pl->dests = xreallocarray(pl->dests,
		    pl->ndests == 0 ? 1 : pl->ndests * 2, sizeof(*pl->dests));
	pl->dests[pl->ndests++] = xstrdup(dest);
}

static struct push_op *
add_op(struct planner *pl, size_t step, enum push_op_kind kind)
{
	size_t stage = pl->p->steps[step].stage;
	struct push_stage *st = &pl->stages[stage];
	struct push_op *op;

	/* A stage in several lines is told once. */
	if (pl->owner[stage] == DOCKERFILE_NO_STAGE)
		pl->owner[stage] = pl->p->head;
	if (pl->owner[stage] != pl->p->head)
		return (NULL);
	st->ops = xreallocarray(st->ops, st->nops + 1, sizeof(*op));
	op = &st->ops[st->nops++];
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->step = step;
	op->line = pl->p->steps[step].line;
	return (op);
}

static void
add_file(struct push_op *op, const char *from, const char *to, bool isdir)
{
	struct push_file *f;

	if ((op->nfiles & (op->nfiles - 1)) == 0)
		op->files = xreallocarray(op->files,
		    op->nfiles == 0 ? 1 : op->nfiles * 2, sizeof(*op->files));
	f = &op->files[op->nfiles++];
	f->from = xstrdup(from);
	f->to = xstrdup(to);
	f->dir = isdir;
}

void
copyplan_op_clear(struct push_op *op)
{
	size_t i;

	for (i = 0; i < op->nfiles; i++) {
		free(op->files[i].from);
		free(op->files[i].to);
	}
	free(op->files);
	dockerfile_words_free(op->paths, op->npaths);
	free(op->from);
	free(op->to);
}

static int
name_cmp(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return (strcmp(*x, *y));
}

/* Where an operation puts files, not directories, to be looked up in. */
static const char **
sorted_files(const struct push_op *op, size_t *n)
{
	const char **v = xcalloc(op->nfiles + 1, sizeof(*v));
	size_t i;

	*n = 0;
	for (i = 0; i < op->nfiles; i++)
		if (!op->files[i].dir)
			v[(*n)++] = op->files[i].to;
	qsort(v, *n, sizeof(*v), name_cmp);
	return (v);
}

static bool
is_among(const char *const *v, size_t n, const char *name)
{
	return (bsearch(&name, v, n, sizeof(*v), name_cmp) != NULL);
}

/* A later step provides dest, and no RUN can see the difference. */
static bool
overridden(struct planner *pl, size_t step, const char *dest)
{
	struct copyplan *p = pl->p;
	bool isdir;

	for (size_t i = step + 1; i < p->nsteps; i++) {
		if (p->in_line[p->steps[i].stage] &&
		    p->steps[i].kind == COPYPLAN_RUN)
			return (false);
		/* A directory does not hide what others put into it. */
		if (copyplan_replaces(p, i, dest, &isdir) && !isdir)
			return (true);
	}
	return (false);
}

/* The path is what the source names: ADD may unpack it. */
static bool
names_it(struct copyplan *p, size_t step, size_t source, const char *path)
{
	const char *src = p->steps[step].sources[source];

	if (copyplan_is_wild(src))
		return (copyplan_match(src, path) == 1);
	return (strcmp(src, path) == 0);
}

static void
copy_changed(struct planner *pl, size_t step, size_t source,
    const struct change *c, struct push_op *op)
{
	struct copyplan *p = pl->p;
	const struct copyplan_step *s = &p->steps[step];
	const struct copyplan_oracle *o = &p->opt.oracle;
	char *dest;
	bool link;

	dest = copyplan_place_of(p, step, source, c->path, c->isdir, &link);
	if (link) {
		touch(pl, step, c->path);
		climb(pl, step, c->path, "its source is a link that changed");
	}
	if (dest == NULL)
		return;
	if (overridden(pl, step, dest)) {
		free(dest);
		return;
	}
	touch(pl, step, c->path);
	if (s->refusal != NULL)
		climb(pl, step, c->path, s->refusal);
	else if (s->add && !c->isdir && o->archive != NULL &&
	    names_it(p, step, source, c->path) &&
	    dockerfile_flag(&p->df->instrs[s->instr], "unpack") == NULL &&
	    o->archive(o->arg, c->path) == COPYPLAN_YES)
		climb(pl, step, c->path, "it is an archive to be unpacked");
	add_file(op, c->path, dest, c->isdir);
	add_dest(pl, dest);
	free(dest);
}

/* What an earlier step changed and this one provides is copied again. */
static void
copy_again(struct planner *pl, size_t step, size_t upto, struct push_op *op)
{
	const char **have;
	char *from;
	bool isdir;
	size_t i, n;

	if (upto == 0)
		return;
	have = sorted_files(op, &n);
	for (i = 0; i < upto; i++) {
		if (copyplan_provider(pl->p, step, pl->dests[i], &from,
			&isdir) == COPYPLAN_FROM_CONTEXT &&
		    !isdir && !is_among(have, n, pl->dests[i]))
			add_file(op, from, pl->dests[i], false);
		free(from);
	}
	free(have);
}

/* Directories that a base image brings: never taken out whole. */
static bool
is_system_dir(const char *path)
{
	static const char *const dirs[] = { "/", "/bin", "/boot", "/dev",
		"/etc", "/home", "/lib", "/lib32", "/lib64", "/media", "/mnt",
		"/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys",
		"/tmp", "/usr", "/usr/bin", "/usr/include", "/usr/lib",
		"/usr/libexec", "/usr/local", "/usr/local/bin",
		"/usr/local/lib", "/usr/sbin", "/usr/share", "/usr/src", "/var",
		"/var/lib", "/var/log", "/var/run", "/var/www" };
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (strcmp(path, dirs[i]) == 0)
			return (true);
	return (false);
}

/* Something that stays lies beneath dest, put there by any step. */
static bool
alive_beneath(struct copyplan *p, const char *dest)
{
	const struct copyplan_step *s;
	enum copyplan_provides got;
	char *from;
	bool isdir;
	size_t i, k;

	for (i = 0; i < p->nworkdirs; i++)
		if (p->in_line[p->workdirs[i].stage] &&
		    copyplan_below(p->workdirs[i].path, dest))
			return (true);
	for (i = 0; i < p->nsteps; i++) {
		s = &p->steps[i];
		if (s->kind == COPYPLAN_RUN || !p->in_line[s->stage])
			continue;
		if (copyplan_below(s->dest, dest) &&
		    (strcmp(s->dest, dest) != 0 ||
			copyplan_dest_is_dir(p, i))) {
			if (s->kind != COPYPLAN_COPY || s->remote ||
			    p->extra[i].nheredocs > 0)
				return (true);
			for (k = 0; k < s->nsources; k++)
				if (copyplan_is_wild(s->sources[k]) ?
					copyplan_find(p, i, k)->n > 0 :
					copyplan_type(p, s->sources[k]) !=
					    COPYPLAN_ABSENT)
					return (true);
			continue;
		}
		got = copyplan_provider(p, i, dest, &from, &isdir);
		free(from);
		if (got == COPYPLAN_FROM_CONTEXT && isdir)
			return (true);
	}
	return (false);
}

bool
copyplan_dir_stays(struct copyplan *p, const char *dest)
{
	return (is_system_dir(dest) || alive_beneath(p, dest));
}

/* The last step up to this one that still provides dest. */
static enum copyplan_provides
fallback(struct planner *pl, size_t step, const char *dest, char **from,
    bool *isdir, size_t *who)
{
	struct copyplan *p = pl->p;
	enum copyplan_provides got;
	size_t i;

	for (i = step + 1; i-- > 0;) {
		if (!p->in_line[p->steps[i].stage])
			continue;
		got = copyplan_provider(p, i, dest, from, isdir);
		if (copyplan_is_certain(got)) {
			*who = i;
			return (got);
		}
		free(*from);
		*from = NULL;
	}
	return (COPYPLAN_NOT);
}

/* One destination has lost its source: what takes its place? */
static void
remove_dest(struct planner *pl, size_t step, const struct change *c,
    const char *dest, struct push_op *again, struct removal **gone, size_t *n)
{
	enum copyplan_provides got;
	char *from = NULL;
	bool isdir = false;
	size_t who = step;

	if (overridden(pl, step, dest))
		return;
	got = fallback(pl, step, dest, &from, &isdir, &who);
	if (got == COPYPLAN_FROM_CONTEXT && !isdir) {
		touch(pl, step, c->path);
		/* Told with the step that it comes from. */
		if (again->nfiles == 0) {
			again->step = who;
			again->line = pl->p->steps[who].line;
		}
		add_file(again, from, dest, false);
		add_dest(pl, dest);
	} else if (got == COPYPLAN_INLINE || got == COPYPLAN_ELSEWHERE) {
		touch(pl, step, c->path);
		climb(pl, who, c->path,
		    "its file takes the place of the "
		    "deleted one");
	} else if (got == COPYPLAN_NOT &&
	    !(c->isdir &&
		(alive_beneath(pl->p, dest) || is_system_dir(dest) ||
		    is_system_dir(pl->p->steps[step].dest)))) {
		touch(pl, step, c->path);
		if (is_system_dir(dest))
			climb(pl, step, c->path,
			    "it would take out a "
			    "directory of the base image");
		else if (alive_beneath(pl->p, dest))
			climb(pl, step, c->path,
			    "what it held is not known, "
			    "and other files lie beneath it");
		if ((*n & (*n - 1)) == 0)
			*gone = xreallocarray(*gone, *n == 0 ? 1 : *n * 2,
			    sizeof(**gone));
		(*gone)[*n].dest = xstrdup(dest);
		(*gone)[(*n)++].isdir = c->isdir;
		add_dest(pl, dest);
	}
	free(from);
}

static void
remove_deleted(struct planner *pl, size_t step, size_t source,
    const struct change *c, struct push_op *again, struct removal **gone,
    size_t *n)
{
	struct copyplan *p = pl->p;
	char *dest;
	bool link;

	dest = copyplan_place_of(p, step, source, c->path, c->isdir, &link);
	if (link && dest == NULL) {
		touch(pl, step, c->path);
		climb(pl, step, c->path, "its source is a link that is gone");
	}
	/* A source directory that is gone: what it held is listed. */
	if (dest != NULL &&
	    !(c->isdir && strcmp(dest, p->steps[step].dest) == 0)) {
		if (p->steps[step].refusal != NULL &&
		    !overridden(pl, step, dest)) {
			touch(pl, step, c->path);
			climb(pl, step, c->path, p->steps[step].refusal);
		}
		remove_dest(pl, step, c, dest, again, gone, n);
	}
	free(dest);
}

static int
removal_cmp(const void *a, const void *b)
{
	const struct removal *x = a, *y = b;

	return (copyplan_path_cmp(x->dest, y->dest));
}

/* A file that is copied now takes the place of a directory above dest. */
static bool
below_copied(const char *const *have, size_t n, const char *dest)
{
	char *s = xstrdup(dest), *slash;
	bool found = false;

	while (!found && n > 0 && (slash = strrchr(s, '/')) != NULL) {
		found = is_among(have, n, s);
		*slash = '\0';
	}
	free(s);
	return (found);
}

/* Drop the removals that a copied file makes on its own. */
static void
drop_below(const struct push_op *copies, struct removal *gone, size_t *n)
{
	const char **have;
	size_t i, nhave, kept = 0;

	if (*n == 0)
		return;
	have = sorted_files(copies, &nhave);
	for (i = 0; i < *n; i++) {
		if (below_copied(have, nhave, gone[i].dest))
			free(gone[i].dest);
		else
			gone[kept++] = gone[i];
	}
	*n = kept;
	free(have);
}

/* Parents stand for what they held. */
static void
add_removals(struct planner *pl, size_t step, struct removal *gone, size_t n)
{
	struct push_op *op = NULL;
	const char *parent = NULL;
	size_t i;

	if (n > 0)
		qsort(gone, n, sizeof(*gone), removal_cmp);
	for (i = 0; i < n; i++) {
		if (parent != NULL && copyplan_below(gone[i].dest, parent))
			continue;
		parent = gone[i].dest;
		if (op == NULL && (op = add_op(pl, step, PUSH_DELETE)) == NULL)
			break;
		if ((op->npaths & (op->npaths - 1)) == 0)
			op->paths = xreallocarray(op->paths,
			    op->npaths == 0 ? 1 : op->npaths * 2,
			    sizeof(*op->paths));
		op->paths[op->npaths++] = xstrdup(gone[i].dest);
	}
	for (i = 0; i < n; i++)
		free(gone[i].dest);
	free(gone);
}

/* Hand what was gathered in op to the stage's list. */
static void
keep_op(struct planner *pl, struct push_op *op)
{
	struct push_op *kept = add_op(pl, op->step, PUSH_COPY);

	if (kept == NULL)
		copyplan_op_clear(op);
	else {
		kept->refresh = op->refresh;
		kept->files = op->files;
		kept->nfiles = op->nfiles;
	}
}

void
copyplan_do_copy(struct planner *pl, size_t step)
{
	const struct copyplan_step *s = &pl->p->steps[step];
	struct push_op op = { 0 }, again = { 0 };
	struct removal *gone = NULL;
	size_t i, k, ngone = 0, before = pl->ndests;

	op.step = again.step = step;
	op.refresh = pl->ran;
	for (k = 0; k < s->nsources; k++)
		for (i = 0; i < pl->changed.n; i++)
			copy_changed(pl, step, k, &pl->changed.v[i], &op);
	copy_again(pl, step, before, &op);
	for (k = 0; k < s->nsources; k++)
		for (i = 0; i < pl->deleted.n; i++)
			remove_deleted(pl, step, k, &pl->deleted.v[i], &again,
			    &gone, &ngone);
	drop_below(&op, gone, &ngone);
	if (op.nfiles > 0 || (op.refresh && s->nsources > 0))
		keep_op(pl, &op);
	if (again.nfiles > 0)
		keep_op(pl, &again);
	add_removals(pl, step, gone, ngone);
}

void
copyplan_do_stagecopy(struct planner *pl, size_t step)
{
	const struct copyplan_step *s = &pl->p->steps[step];
	struct push_op *op;
	enum copyplan_provides got = COPYPLAN_NOT, best = COPYPLAN_NOT;
	char *from, *to;
	bool isdir;
	size_t i;

	for (i = 0; i < pl->ndests && best != COPYPLAN_ELSEWHERE; i++) {
		got =
		    copyplan_provider(pl->p, step, pl->dests[i], &from, &isdir);
		free(from);
		if (got != COPYPLAN_NOT)
			best = got;
	}
	if (best == COPYPLAN_ELSEWHERE)
		pl->out->needs_stage_containers = true;
	if (pl->touched[s->from])
		touch(pl, step, pl->cause[0] == '\0' ? "a stage" : pl->cause);
	else if (best == COPYPLAN_NOT && !pl->ran)
		return;
	for (i = 0; i < s->nsources; i++) {
		if ((op = add_op(pl, step, PUSH_STAGECOPY)) == NULL)
			return;
		op->refresh = !pl->touched[s->from];
		op->from = copyplan_join("/", s->sources[i]);
		to = xasprintf("%s%s", s->dest,
		    s->dest_slash && strcmp(s->dest, "/") != 0 ? "/" : "");
		op->to = to;
	}
}

void
copyplan_do_imagecopy(struct planner *pl, size_t step)
{
	char *from;
	bool isdir;
	size_t i;

	for (i = 0; i < pl->ndests; i++) {
		if (copyplan_provider(pl->p, step, pl->dests[i], &from,
			&isdir) == COPYPLAN_ELSEWHERE)
			climb(pl, step, pl->cause,
			    "an image's file lies over "
			    "the changed one");
		free(from);
	}
}

/* Does a change reach what the RUN mounts? */
static void
check_mounts(struct planner *pl, size_t step)
{
	const struct copyplan_extra *x = &pl->p->extra[step];
	const struct changes *both[2] = { &pl->changed, &pl->deleted };
	size_t i, k, b;

	for (i = 0; i < x->nmounts; i++)
		if (pl->touched[x->mounts[i]])
			touch(pl, step, "a stage that it mounts");
	for (i = 0; i < x->nbinds; i++)
		for (b = 0; b < 2; b++)
			for (k = 0; k < both[b]->n; k++)
				if (copyplan_below(both[b]->v[k].path,
					x->binds[i]))
					touch(pl, step, both[b]->v[k].path);
}

void
copyplan_do_run(struct planner *pl, size_t step)
{
	check_mounts(pl, step);
	if (!pl->dirty)
		return;
	if (pl->p->steps[step].refusal != NULL)
		climb(pl, step, pl->cause, pl->p->steps[step].refusal);
	add_op(pl, step, PUSH_RUN);
	pl->ran = true;
}
