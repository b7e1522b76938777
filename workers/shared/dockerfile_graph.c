/*
 * Stages of a Dockerfile: names, dependencies, what the target reaches, and
 * the images from outside.  Rules: BuildKit frontend/dockerfile/dockerfile2llb.
 */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "include/buf.h"
#include "workers/shared/dockerfile_graph.h"
#include "workers/shared/imageref.h"

#define MAX_DEPS 10000

#if defined(__aarch64__)
#define HOST_PLATFORM "linux/arm64"
#else
#define HOST_PLATFORM "linux/amd64"
#endif

struct builder {
	const struct dockerfile *df;
	const struct dockerfile_options *opt;
	struct dockerfile_graph *g;
	struct dockerfile_error *err;
	size_t ndeps; /* of all stages */
};

#define FAIL(b, in, ...) \
	dockerfile_fail((b)->err, (in)->line, (in)->column, __VA_ARGS__)

static const char *
build_arg(const struct dockerfile_options *opt, const char *name)
{
	if (opt->build_args == NULL)
		return (NULL);
	return (dockerfile_env_get(opt->build_args, name));
}

/* A predefined ARG, unless a build argument overrides it. */
static int
set_global(struct builder *b, const char *prefix, const char *name,
    const char *value)
{
	const char *given;
	char key[32];

	snprintf(key, sizeof(key), "%s%s", prefix, name);
	given = build_arg(b->opt, key);
	return (dockerfile_env_set(b->g->globals, key,
	    given == NULL ? value : given));
}

/* os/arch[/variant], arch alone, with Docker's other names for some. */
static int
set_platform(struct builder *b, const char *prefix, const char *text)
{
	static const struct {
		const char *from, *arch, *variant;
	} alias[] = {
		{ "x86_64", "amd64", "" },
		{ "x86-64", "amd64", "" },
		{ "i386", "386", "" },
		{ "aarch64", "arm64", "" },
		{ "armhf", "arm", "v7" },
		{ "armel", "arm", "v6" },
	};
	char os[32] = "linux", arch[32] = "", variant[32] = "", all[100];
	const char *slash = strchr(text, '/'), *s = text;
	size_t i;

	if (slash != NULL) {
		snprintf(os, sizeof(os), "%.*s", (int)(slash - text), text);
		s = slash + 1;
	}
	i = strcspn(s, "/");
	snprintf(arch, sizeof(arch), "%.*s", (int)i, s);
	if (s[i] == '/')
		snprintf(variant, sizeof(variant), "%s", s + i + 1);
	for (i = 0; i < sizeof(alias) / sizeof(alias[0]); i++)
		if (strcasecmp(arch, alias[i].from) == 0) {
			snprintf(arch, sizeof(arch), "%s", alias[i].arch);
			if (*variant == '\0')
				snprintf(variant, sizeof(variant), "%s",
				    alias[i].variant);
		}
	if (strcmp(arch, "arm") == 0 && *variant == '\0')
		snprintf(variant, sizeof(variant), "v7");
	if (strcmp(arch, "arm64") == 0 &&
	    (strcmp(variant, "8") == 0 || strcmp(variant, "v8") == 0))
		variant[0] = '\0';
	snprintf(all, sizeof(all), "%s/%s%s%s", os, arch,
	    *variant == '\0' ? "" : "/", variant);
	if (set_global(b, prefix, "PLATFORM", all) == -1 ||
	    set_global(b, prefix, "OS", os) == -1 ||
	    set_global(b, prefix, "OSVERSION", "") == -1 ||
	    set_global(b, prefix, "ARCH", arch) == -1 ||
	    set_global(b, prefix, "VARIANT", variant) == -1)
		return (dockerfile_fail(b->err, 1, 1,
		    "the build arguments are too long"));
	return (0);
}

static int
platform_ok(const char *s)
{
	size_t n = 0, parts = 1;

	for (; *s != '\0'; s++) {
		if (*s == '/') {
			if (n == 0 || ++parts > 3)
				return (0);
			n = 0;
			continue;
		}
		if ((!isalnum((unsigned char)*s) &&
			strchr("_.-", *s) == NULL) ||
		    ++n > 30)
			return (0);
	}
	return (n > 0);
}

static int
set_globals(struct builder *b)
{
	const char *p = b->opt->platform, *t;

	if (p == NULL)
		p = HOST_PLATFORM;
	if (!platform_ok(p))
		return (dockerfile_fail(b->err, 0, 0,
		    "\"%.80s\" is not a platform (os/arch[/variant])", p));
	if (set_platform(b, "BUILD", HOST_PLATFORM) == -1 ||
	    set_platform(b, "TARGET", p) == -1)
		return (-1);
	t = b->opt->target == NULL ? "default" : b->opt->target;
	if (dockerfile_env_set(b->g->globals, "TARGETSTAGE", t) == -1)
		return (
		    dockerfile_fail(b->err, 0, 0, "the target is too long"));
	return (0);
}

static char *
expand(struct builder *b, const struct dockerfile_instr *in, const char *word)
{
	char err[200], *s;

	s = dockerfile_expand(word, b->df->escape, b->g->globals, err,
	    sizeof(err));
	if (s == NULL)
		FAIL(b, in, "%s", err);
	return (s);
}

/* An ARG before the first FROM. */
static int
global_arg(struct builder *b, const struct dockerfile_instr *in)
{
	const char *given;
	char *name, *eq, *value;
	size_t i;
	int ret = 0;

	for (i = 0; i < in->nargs && ret == 0; i++) {
		name = dockerfile_env_split(in->args[i], &eq);
		value = NULL;
		given = build_arg(b->opt, name);
		if (given != NULL)
			value = xstrdup(given);
		else if (eq != NULL && (value = expand(b, in, eq)) == NULL)
			ret = -1;
		if (value != NULL &&
		    dockerfile_env_set(b->g->globals, name, value) == -1)
			ret = FAIL(b, in, "the arguments are too long");
		free(value);
		free(name);
	}
	return (ret);
}

/* The last stage before `before` that has this name. */
static size_t
find_stage(const struct dockerfile_graph *g, const char *name, size_t before)
{
	while (before-- > 0)
		if (g->stages[before].name != NULL &&
		    strcasecmp(g->stages[before].name, name) == 0)
			return (before);
	return (DOCKERFILE_NO_STAGE);
}

static char *
image_of(struct builder *b, const struct dockerfile_instr *in, const char *word)
{
	char err[200], *s;

	s = imageref_normal(word, err, sizeof(err));
	if (s == NULL)
		FAIL(b, in, "failed to parse stage name \"%.100s\": %s", word,
		    err);
	return (s);
}

static int
check_platform(struct builder *b, const struct dockerfile_instr *in)
{
	const char *flag = dockerfile_flag(in, "platform");
	char *s;
	int ret = 0;

	if (flag == NULL || *flag == '\0')
		return (0);
	if ((s = expand(b, in, flag)) == NULL)
		return (-1);
	if (*s == '\0')
		ret = FAIL(b, in, "empty platform value from expression %.80s",
		    flag);
	else if (!platform_ok(s))
		ret = FAIL(b, in, "failed to parse platform %.80s", flag);
	free(s);
	return (ret);
}

/* A FROM: its stage is the next one. */
static int
add_stage(struct builder *b, size_t index)
{
	const struct dockerfile_instr *in = &b->df->instrs[index];
	struct dockerfile_graph *g = b->g;
	struct dockerfile_stage *st = &g->stages[g->nstages];
	size_t i;

	if (check_platform(b, in) == -1)
		return (-1);
	memset(st, 0, sizeof(*st));
	st->base_stage = DOCKERFILE_NO_STAGE;
	st->first = st->end = index;
	g->nstages++;
	if ((st->base = expand(b, in, in->args[0])) == NULL)
		return (-1);
	if (*st->base == '\0')
		return (FAIL(b, in, "base name (%.100s) should not be blank",
		    in->args[0]));
	if (in->nargs == 3) {
		st->name = xstrdup(in->args[2]);
		for (i = 0; st->name[i] != '\0'; i++)
			st->name[i] = (char)tolower((unsigned char)st->name[i]);
	}
	st->base_stage = find_stage(g, st->base, g->nstages - 1);
	if (st->base_stage == DOCKERFILE_NO_STAGE)
		st->scratch = strcmp(st->base, "scratch") == 0;
	return (0);
}

static int
add_dep(struct builder *b, size_t stage, size_t index,
    const struct dockerfile_instr *in, const char *from, bool number)
{
	struct dockerfile_stage *st = &b->g->stages[stage];
	struct dockerfile_dep *d;
	size_t target = DOCKERFILE_NO_STAGE;
	char *image = NULL, *end;
	long n;

	if (b->ndeps++ == MAX_DEPS)
		return (FAIL(b, in, "more than %d dependencies", MAX_DEPS));
	n = strtol(from, &end, 10);
	if (number && *end == '\0' && end != from) {
		if (n < 0 || (size_t)n >= b->g->nstages)
			return (FAIL(b, in, "invalid stage index %ld", n));
		target = (size_t)n;
	} else
		target = find_stage(b->g, from, b->g->nstages);
	if (target == DOCKERFILE_NO_STAGE) {
		if (strcmp(from, "scratch") == 0)
			return (0);
		if ((image = image_of(b, in, from)) == NULL)
			return (-1);
	}
	st->deps = xreallocarray(st->deps, st->ndeps + 1, sizeof(*st->deps));
	d = &st->deps[st->ndeps++];
	d->instr = index;
	d->stage = target;
	d->image = image;
	return (0);
}

static int
copy_dep(struct builder *b, size_t stage, size_t index,
    const struct dockerfile_instr *in)
{
	const char *from = dockerfile_flag(in, "from");
	char err[200], *s;
	int ret = -1;

	if (from == NULL || *from == '\0')
		return (0);
	s = dockerfile_expand(from, b->df->escape, NULL, err, sizeof(err));
	if (s == NULL)
		return (FAIL(b, in, "%s", err));
	if (strcmp(s, from) != 0)
		FAIL(b, in,
		    "variable expansion is not supported for --from, "
		    "define a new stage with FROM using ARG from global scope "
		    "as a workaround");
	else
		ret = add_dep(b, stage, index, in, from, true);
	free(s);
	return (ret);
}

static int
mount_deps(struct builder *b, size_t stage, size_t index,
    const struct dockerfile_instr *in)
{
	struct dockerfile_mount m;
	char err[200];
	size_t i;
	int ret = 0;

	for (i = 0; i < in->nflags && ret == 0; i++) {
		if (strcmp(in->flags[i].key, "mount") != 0 ||
		    in->flags[i].value == NULL)
			continue;
		if (dockerfile_mount_parse(in->flags[i].value, &m, err,
			sizeof(err)) == -1)
			return (FAIL(b, in, "%s", err));
		if (m.from != NULL && *m.from != '\0')
			ret = add_dep(b, stage, index, in, m.from, false);
		dockerfile_mount_clear(&m);
	}
	return (ret);
}

static int
instr_deps(struct builder *b, size_t stage, size_t index,
    const struct dockerfile_instr *in)
{
	if (in->kind == DOCKERFILE_COPY)
		return (copy_dep(b, stage, index, in));
	if (in->kind == DOCKERFILE_RUN)
		return (mount_deps(b, stage, index, in));
	return (0);
}

/* The dependencies of a stage, with the ONBUILD steps of its base stage. */
static int
stage_deps(struct builder *b, size_t stage)
{
	struct dockerfile_stage *st = &b->g->stages[stage];
	const struct dockerfile_stage *base;
	const struct dockerfile_instr *in;
	size_t i;

	if (st->base_stage == DOCKERFILE_NO_STAGE && !st->scratch) {
		st->image = image_of(b, &b->df->instrs[st->first], st->base);
		if (st->image == NULL)
			return (-1);
	}
	if (st->base_stage != DOCKERFILE_NO_STAGE) {
		base = &b->g->stages[st->base_stage];
		for (i = base->first + 1; i < base->end; i++) {
			in = b->df->instrs[i].trigger;
			if (in != NULL && instr_deps(b, stage, i, in) == -1)
				return (-1);
		}
	}
	for (i = st->first + 1; i < st->end; i++)
		if (instr_deps(b, stage, i, &b->df->instrs[i]) == -1)
			return (-1);
	return (0);
}

static int
add_stages(struct builder *b)
{
	const struct dockerfile *df = b->df;
	struct dockerfile_graph *g = b->g;
	size_t i, n = 0;

	for (i = 0; i < df->ninstrs; i++)
		n += df->instrs[i].kind == DOCKERFILE_FROM;
	g->stages = xcalloc(n, sizeof(*g->stages));
	for (i = 0; i < df->ninstrs; i++) {
		if (df->instrs[i].kind == DOCKERFILE_FROM) {
			if (add_stage(b, i) == -1)
				return (-1);
		} else if (g->nstages == 0 &&
		    global_arg(b, &df->instrs[i]) == -1)
			return (-1);
		if (g->nstages > 0)
			g->stages[g->nstages - 1].end = i + 1;
	}
	return (0);
}

static int
pick_target(struct builder *b)
{
	struct dockerfile_graph *g = b->g;
	const char *t = b->opt->target;
	char *end;
	unsigned long n;

	g->target = g->nstages - 1;
	if (t == NULL || *t == '\0')
		return (0);
	g->target = find_stage(g, t, g->nstages);
	if (g->target != DOCKERFILE_NO_STAGE)
		return (0);
	/* The builders take a number as well. */
	n = strtoul(t, &end, 10);
	if (isdigit((unsigned char)*t) && *end == '\0' && n < g->nstages) {
		g->target = n;
		return (0);
	}
	return (dockerfile_fail(b->err, 0, 0,
	    "target stage \"%.100s\" could not be found", t));
}

/* The n-th stage that a stage needs; its base comes first. */
static size_t
need(const struct dockerfile_stage *st, size_t n)
{
	if (n == 0)
		return (st->base_stage);
	return (st->deps[n - 1].stage);
}

/* Depth first without recursion: every stage, a stage on the path is a
 * circle. */
static int
check_circles(struct builder *b)
{
	struct dockerfile_graph *g = b->g;
	enum { NEW, OPEN, DONE } * state;
	size_t *stack, *next, depth, i, s, t;
	int ret = 0;

	state = xcalloc(g->nstages, sizeof(*state));
	stack = xcalloc(g->nstages, sizeof(*stack));
	next = xcalloc(g->nstages, sizeof(*next));
	for (i = 0; i < g->nstages && ret == 0; i++) {
		if (state[i] != NEW)
			continue;
		depth = 1;
		stack[0] = i;
		state[i] = OPEN;
		while (depth > 0 && ret == 0) {
			s = stack[depth - 1];
			if (next[s] > g->stages[s].ndeps) {
				state[s] = DONE;
				depth--;
				continue;
			}
			t = need(&g->stages[s], next[s]++);
			if (t == DOCKERFILE_NO_STAGE || state[t] == DONE)
				continue;
			if (state[t] == OPEN)
				ret = FAIL(b,
				    &b->df->instrs[g->stages[t].first],
				    "circular dependency detected on stage: "
				    "%.100s",
				    g->stages[t].name == NULL ?
					g->stages[t].base :
					g->stages[t].name);
			else {
				state[t] = OPEN;
				stack[depth++] = t;
			}
		}
	}
	free(state);
	free(stack);
	free(next);
	return (ret);
}

static void
mark_needed(struct dockerfile_graph *g)
{
	size_t *stack, depth = 0, i, s, t;

	stack = xcalloc(g->nstages, sizeof(*stack));
	stack[depth++] = g->target;
	g->stages[g->target].needed = true;
	while (depth > 0) {
		s = stack[--depth];
		for (i = 0; i <= g->stages[s].ndeps; i++) {
			t = need(&g->stages[s], i);
			if (t == DOCKERFILE_NO_STAGE || g->stages[t].needed)
				continue;
			g->stages[t].needed = true;
			stack[depth++] = t;
		}
	}
	free(stack);
}

static void
add_image(struct builder *b, const char *ref, size_t instr)
{
	struct dockerfile_graph *g = b->g;
	const struct dockerfile_instr *in = &b->df->instrs[instr];
	size_t i;

	for (i = 0; i < g->nimages; i++)
		if (strcmp(g->images[i].ref, ref) == 0)
			return;
	g->images =
	    xreallocarray(g->images, g->nimages + 1, sizeof(*g->images));
	g->images[g->nimages].ref = xstrdup(ref);
	g->images[g->nimages].line = in->line;
	g->images[g->nimages++].kind = in->kind;
}

static void
list_images(struct builder *b)
{
	const struct dockerfile_stage *st;
	size_t i, k;

	for (i = 0; i < b->g->nstages; i++) {
		st = &b->g->stages[i];
		if (!st->needed)
			continue;
		if (st->image != NULL)
			add_image(b, st->image, st->first);
		for (k = 0; k < st->ndeps; k++)
			if (st->deps[k].image != NULL)
				add_image(b, st->deps[k].image,
				    st->deps[k].instr);
	}
}

struct dockerfile_graph *
dockerfile_graph_new(const struct dockerfile *df,
    const struct dockerfile_options *opt, struct dockerfile_error *err)
{
	struct builder b = { df, opt, NULL, err };
	size_t i;

	memset(err, 0, sizeof(*err));
	b.g = xcalloc(1, sizeof(*b.g));
	b.g->globals = dockerfile_env_new();
	b.g->work = DOCKERFILE_MAX_WORK;
	b.g->globals->work = &b.g->work;
	if (set_globals(&b) == -1 || add_stages(&b) == -1 ||
	    pick_target(&b) == -1)
		goto fail;
	for (i = 0; i < b.g->nstages; i++)
		if (stage_deps(&b, i) == -1)
			goto fail;
	if (check_circles(&b) == -1)
		goto fail;
	mark_needed(b.g);
	list_images(&b);
	return (b.g);
fail:
	dockerfile_graph_free(b.g);
	return (NULL);
}

void
dockerfile_graph_free(struct dockerfile_graph *g)
{
	struct dockerfile_stage *st;
	size_t i, k;

	if (g == NULL)
		return;
	for (i = 0; i < g->nstages; i++) {
		st = &g->stages[i];
		for (k = 0; k < st->ndeps; k++)
			free(st->deps[k].image);
		free(st->deps);
		free(st->name);
		free(st->base);
		free(st->image);
	}
	free(g->stages);
	for (i = 0; i < g->nimages; i++)
		free(g->images[i].ref);
	free(g->images);
	dockerfile_env_free(g->globals);
	free(g);
}
