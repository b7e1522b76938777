/*
 * The planner's first half: walk the stages and note, for each COPY, ADD and
 * RUN, what is in force there: variables, WORKDIR, USER, SHELL.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "include/buf.h"
#include "workers/shared/copyplan_int.h"
#include "workers/shared/path_clean.h"

#define MAX_SNAPSHOTS	(64 * 1024 * 1024)	/* bytes of all */
#define DEFAULT_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What is in force at one place of a stage. */
struct force {
	struct dockerfile_env	*env;		/* ENV */
	struct dockerfile_env	*args;		/* ARG */
	struct dockerfile_env	*all;		/* both, over the base's */
	const struct dockerfile_env *snapshot;	/* for steps; NULL: stale */
	char			*workdir;
	char			*user;
	char			**shell;
	size_t			 nshell;
};

struct compiler {
	struct copyplan			*p;
	struct dockerfile_error		*err;
	struct force			*at_end;	/* by stage */
	struct force			 now;
	size_t				 stage;
};

#define FAIL(c, in, ...) \
	dockerfile_fail((c)->err, (in)->line, (in)->column, __VA_ARGS__)

static void
force_clear(struct force *f)
{
	dockerfile_env_free(f->env);
	dockerfile_env_free(f->args);
	dockerfile_env_free(f->all);
	free(f->workdir);
	free(f->user);
	dockerfile_words_free(f->shell, f->nshell);
	memset(f, 0, sizeof(*f));
}

static char **
copy_words(char *const *words, size_t n)
{
	char **copy = xcalloc(n + 1, sizeof(*copy));
	size_t i;

	for (i = 0; i < n; i++)
		copy[i] = xstrdup(words[i]);
	return copy;
}

static void
force_copy(struct force *to, const struct force *from)
{
	to->env = dockerfile_env_copy(from->env);
	to->args = dockerfile_env_copy(from->args);
	to->all = dockerfile_env_copy(from->all);
	to->snapshot = from->snapshot;
	to->workdir = xstrdup(from->workdir);
	to->user = xstrdup(from->user);
	to->shell = copy_words(from->shell, from->nshell);
	to->nshell = from->nshell;
}

static void
force_base(struct copyplan *p, struct force *f)
{
	static const char *const sh[] = { "/bin/sh", "-c", NULL };
	const char *const *shell = p->opt.base_shell;
	const char *dir = p->opt.base_workdir;

	f->env = dockerfile_env_new();
	f->args = dockerfile_env_new();
	if (p->opt.base_env != NULL)
		f->all = dockerfile_env_copy(p->opt.base_env);
	else {
		f->all = dockerfile_env_new();
		dockerfile_env_set(f->all, "PATH", DEFAULT_PATH);
	}
	f->env->work = f->args->work = f->all->work = &p->work;
	f->workdir = xstrdup(dir == NULL || *dir != '/' ? "/" : dir);
	f->user = xstrdup(p->opt.base_user == NULL ? "" : p->opt.base_user);
	if (shell == NULL || shell[0] == NULL)
		shell = sh;
	for (f->nshell = 0; shell[f->nshell] != NULL; f->nshell++)
		;
	f->shell = xcalloc(f->nshell + 1, sizeof(*f->shell));
	for (f->nshell = 0; shell[f->nshell] != NULL; f->nshell++)
		f->shell[f->nshell] = xstrdup(shell[f->nshell]);
}

static char *
expand(struct compiler *c, const struct dockerfile_instr *in,
    const char *word)
{
	char err[200], *s;

	s = dockerfile_expand(word, c->p->df->escape, c->now.all, err,
	    sizeof(err));
	if (s == NULL)
		FAIL(c, in, "%s", err);
	return s;
}

static int
too_long(struct compiler *c, const struct dockerfile_instr *in)
{
	return FAIL(c, in, "the environment is too large");
}

/* Account for memory that one small file could make large. */
static int
charge(struct copyplan *p, size_t bytes)
{
	p->env_bytes += bytes;
	return p->env_bytes > MAX_SNAPSHOTS ? -1 : 0;
}

static int
do_env(struct compiler *c, const struct dockerfile_instr *in)
{
	char **words;
	size_t i;
	int ret = 0;

	/* All are expanded before the first is set. */
	words = xcalloc(in->nargs + 1, sizeof(*words));
	for (i = 0; i < in->nargs && ret == 0; i++)
		if ((words[i] = expand(c, in, in->args[i])) == NULL)
			ret = -1;
	for (i = 0; i + 1 < in->nargs && ret == 0; i += 2)
		if (dockerfile_env_set(c->now.env, words[i],
		    words[i + 1]) == -1 ||
		    dockerfile_env_set(c->now.all, words[i],
		    words[i + 1]) == -1)
			ret = too_long(c, in);
	dockerfile_words_free(words, in->nargs);
	c->now.snapshot = NULL;
	return ret;
}

/* The value of an ARG here, the caller's to free; NULL with 0: it has none. */
static int
arg_value(struct compiler *c, const struct dockerfile_instr *in,
    const char *name, const char *preset, char **value)
{
	const struct dockerfile_env *given = c->p->opt.build.build_args;
	const char *v = NULL;

	*value = NULL;
	if (given != NULL)
		v = dockerfile_env_get(given, name);
	if (v == NULL && preset != NULL) {
		*value = expand(c, in, preset);
		return *value == NULL ? -1 : 0;
	}
	if (v == NULL)
		v = dockerfile_env_get(c->p->graph->globals, name);
	if (v != NULL)
		*value = xstrdup(v);
	return 0;
}

static int
do_arg(struct compiler *c, const struct dockerfile_instr *in)
{
	char *name, *eq, *value;
	size_t i;
	int ret = 0;

	for (i = 0; i < in->nargs && ret == 0; i++) {
		name = xstrdup(in->args[i]);
		if ((eq = strchr(name, '=')) != NULL)
			*eq++ = '\0';
		ret = arg_value(c, in, name, eq, &value);
		if (value != NULL &&
		    dockerfile_env_set(c->now.args, name, value) == -1)
			ret = too_long(c, in);
		/* ENV beats ARG wherever it stands. */
		if (value != NULL && ret == 0 &&
		    dockerfile_env_get(c->now.env, name) == NULL &&
		    dockerfile_env_set(c->now.all, name, value) == -1)
			ret = too_long(c, in);
		free(value);
		free(name);
	}
	c->now.snapshot = NULL;
	return ret;
}

/* path, seen from dir; absolute and clean. */
static char *
absolute(const char *dir, const char *path)
{
	char *joined, *clean;
	size_t n;

	joined = *path == '/' ? xstrdup(path) : xasprintf("%s/%s", dir, path);
	clean = path_clean(joined, strlen(joined), &n);
	free(joined);
	if (clean == NULL)
		abort();
	return clean;
}

static int
do_workdir(struct compiler *c, const struct dockerfile_instr *in)
{
	struct copyplan *p = c->p;
	struct copyplan_workdir *w;
	char *s, *dir;

	if ((s = expand(c, in, in->args[0])) == NULL)
		return -1;
	dir = absolute(c->now.workdir, s);
	free(s);
	free(c->now.workdir);
	c->now.workdir = dir;
	p->workdirs = xreallocarray(p->workdirs, p->nworkdirs + 1,
	    sizeof(*w));
	w = &p->workdirs[p->nworkdirs++];
	w->stage = c->stage;
	w->step = p->nsteps;
	w->path = xstrdup(dir);
	return 0;
}

static int
do_user(struct compiler *c, const struct dockerfile_instr *in)
{
	char *s;

	if ((s = expand(c, in, in->args[0])) == NULL)
		return -1;
	free(c->now.user);
	c->now.user = s;
	return 0;
}

static void
do_shell(struct compiler *c, const struct dockerfile_instr *in)
{
	dockerfile_words_free(c->now.shell, c->now.nshell);
	c->now.shell = copy_words(in->args, in->nargs);
	c->now.nshell = in->nargs;
}

static const char *const proxies[] = { "HTTP_PROXY", "HTTPS_PROXY",
    "FTP_PROXY", "NO_PROXY", "ALL_PROXY" };

/* Proxy build arguments reach every RUN, in either case, undeclared. */
static void
add_proxies(struct copyplan *p, struct dockerfile_env *env)
{
	const struct dockerfile_env *given = p->opt.build.build_args;
	size_t i, k;

	if (given == NULL)
		return;
	for (i = 0; i < given->nvars; i++)
		for (k = 0; k < sizeof(proxies) / sizeof(proxies[0]); k++)
			if (strcasecmp(given->vars[i].name, proxies[k]) == 0 &&
			    dockerfile_env_get(env,
			    given->vars[i].name) == NULL)
				dockerfile_env_set(env, given->vars[i].name,
				    given->vars[i].value);
}

static const struct dockerfile_env *
snapshot(struct compiler *c, const struct dockerfile_instr *in)
{
	struct copyplan *p = c->p;
	struct dockerfile_env *env;
	const struct dockerfile_env *from;
	size_t i;

	if (c->now.snapshot != NULL)
		return c->now.snapshot;
	env = dockerfile_env_copy(c->now.env);
	from = c->now.args;
	for (i = 0; i < from->nvars; i++)
		if (dockerfile_env_get(env, from->vars[i].name) == NULL &&
		    dockerfile_env_set(env, from->vars[i].name,
		    from->vars[i].value) == -1)
			break;
	add_proxies(p, env);
	env->work = NULL;
	p->envs = xreallocarray(p->envs, p->nenvs + 1, sizeof(*p->envs));
	p->envs[p->nenvs++] = env;
	if (charge(p, env->bytes) == -1 || i < from->nvars) {
		too_long(c, in);
		return NULL;
	}
	c->now.snapshot = env;
	return env;
}

static bool
is_remote(const char *s)
{
	size_t n = strcspn(s, "#?");

	return strncmp(s, "http://", 7) == 0 ||
	    strncmp(s, "https://", 8) == 0 || strncmp(s, "git://", 6) == 0 ||
	    strncmp(s, "ssh://", 6) == 0 || strncmp(s, "git@", 4) == 0 ||
	    (strchr(s, '@') != NULL && strchr(s, ':') != NULL && n > 4 &&
	    strncmp(s + n - 4, ".git", 4) == 0);
}

static void
add_word(char ***words, size_t *n, char *s)
{
	if ((*n & (*n - 1)) == 0)
		*words = xreallocarray(*words, *n == 0 ? 1 : *n * 2,
		    sizeof(**words));
	(*words)[(*n)++] = s;
}

static int
set_parents(struct compiler *c, const struct dockerfile_instr *in,
    struct copyplan_extra *x, size_t n, const char *src)
{
	const char *cut = strstr(src, "/./"), *pattern;
	struct ignore_error e;
	char *s;

	if (cut == NULL) {
		x->pivot[n] = xstrdup("");
		s = absolute("/", src);
	} else {
		char *head = xstrndup(src, (size_t)(cut - src));

		s = absolute("/", head);
		x->pivot[n] = xstrdup(s + 1);
		free(s);
		free(head);
		s = absolute("/", cut + 3);
	}
	pattern = s + 1;
	x->include[n] = ignore_from_patterns(&pattern, 1, &e);
	free(s);
	if (x->include[n] == NULL)
		return FAIL(c, in, "%s", e.text);
	return 0;
}

static int
add_source(struct compiler *c, const struct dockerfile_instr *in,
    struct copyplan_step *s, struct copyplan_extra *x, const char *word)
{
	const struct dockerfile_heredoc *h;
	char *w, *clean;
	int ret = 0;

	if ((h = dockerfile_heredoc_of(in, word)) != NULL) {
		add_word(&x->heredocs, &x->nheredocs, xstrdup(h->name));
		return 0;
	}
	if ((w = expand(c, in, word)) == NULL)
		return -1;
	if (is_remote(w)) {
		s->remote = true;
		if (!s->add)
			ret = FAIL(c, in, "source can't be a URL for COPY");
		free(w);
		return ret;
	}
	clean = absolute("/", w);
	if (s->parents)
		ret = set_parents(c, in, x, s->nsources, w);
	add_word(&s->sources, &s->nsources, xstrdup(clean + 1));
	free(clean);
	free(w);
	return ret;
}

static int
set_dest(struct compiler *c, const struct dockerfile_instr *in,
    struct copyplan_step *s)
{
	char *w = expand(c, in, in->args[in->nargs - 1]);
	size_t n;

	if (w == NULL)
		return -1;
	n = strlen(w);
	s->dest_slash = n == 0 || w[n - 1] == '/' || strcmp(w, ".") == 0 ||
	    (n > 1 && strcmp(w + n - 2, "/.") == 0);
	s->dest = absolute(c->now.workdir, w);
	free(w);
	return 0;
}

static int
set_excludes(struct compiler *c, const struct dockerfile_instr *in,
    struct copyplan_extra *x)
{
	struct ignore_error e;
	char **words = NULL, *w;
	const char **list;
	size_t i, n = 0;
	int ret = 0;

	for (i = 0; i < in->nflags && ret == 0; i++)
		if (strcmp(in->flags[i].key, "exclude") == 0 &&
		    in->flags[i].value != NULL) {
			if ((w = expand(c, in, in->flags[i].value)) == NULL)
				ret = -1;
			else
				add_word(&words, &n, w);
		}
	if (ret == 0 && n > 0) {
		list = xcalloc(n, sizeof(*list));
		for (i = 0; i < n; i++)
			list[i] = words[i];
		x->exclude = ignore_from_patterns(list, n, &e);
		free(list);
		if (x->exclude == NULL)
			ret = FAIL(c, in, "%s", e.text);
	}
	dockerfile_words_free(words, n);
	return ret;
}

static int
flag_text(struct compiler *c, const struct dockerfile_instr *in,
    const char *key, char **where)
{
	const char *v = dockerfile_flag(in, key);

	if (v == NULL)
		return 0;
	return (*where = expand(c, in, v)) == NULL ? -1 : 0;
}

/* Where COPY --from leads, from the graph. */
static void
set_from(struct compiler *c, size_t index, struct copyplan_step *s)
{
	const struct dockerfile_stage *st = &c->p->graph->stages[c->stage];
	size_t i;

	s->kind = COPYPLAN_IMAGECOPY;
	for (i = 0; i < st->ndeps; i++)
		if (st->deps[i].instr == index &&
		    st->deps[i].stage != DOCKERFILE_NO_STAGE) {
			s->kind = COPYPLAN_STAGECOPY;
			s->from = st->deps[i].stage;
		}
}

static int
do_copy(struct compiler *c, size_t index, const struct dockerfile_instr *in,
    struct copyplan_step *s, struct copyplan_extra *x)
{
	const char *from = dockerfile_flag(in, "from");
	size_t i;

	s->kind = COPYPLAN_COPY;
	s->add = in->kind == DOCKERFILE_ADD;
	s->parents = dockerfile_flag_on(in, "parents");
	if (from != NULL && *from != '\0')
		set_from(c, index, s);
	x->include = xcalloc(in->nargs, sizeof(*x->include));
	x->pivot = xcalloc(in->nargs, sizeof(*x->pivot));
	x->found = xcalloc(in->nargs, sizeof(*x->found));
	if (in->nargs < 2)
		return FAIL(c, in, "%s requires at least two arguments",
		    dockerfile_kind_name(in->kind));
	for (i = 0; i + 1 < in->nargs; i++)
		if (add_source(c, in, s, x, in->args[i]) == -1)
			return -1;
	if (set_dest(c, in, s) == -1 || set_excludes(c, in, x) == -1 ||
	    flag_text(c, in, "chown", &s->chown) == -1 ||
	    flag_text(c, in, "chmod", &s->chmod) == -1)
		return -1;
	if (s->nsources + x->nheredocs > 1 && !s->dest_slash)
		s->refusal = xstrdup("several sources need a destination that "
		    "ends in /");
	for (i = 0; s->parents && i < s->nsources; i++)
		if (copyplan_is_wild(x->pivot[i]) && s->refusal == NULL)
			s->refusal = xstrdup("--parents with a wildcard before "
			    "its pivot");
	return 0;
}

/* What a RUN mounts, as far as changes can reach it. */
static int
set_mounts(struct compiler *c, size_t index,
    const struct dockerfile_instr *in, struct copyplan_extra *x)
{
	const struct dockerfile_stage *st = &c->p->graph->stages[c->stage];
	struct dockerfile_mount m;
	char err[200], *type, *src, *clean;
	size_t i;

	for (i = 0; i < in->nflags; i++) {
		if (strcmp(in->flags[i].key, "mount") != 0 ||
		    in->flags[i].value == NULL)
			continue;
		if (dockerfile_mount_parse(in->flags[i].value, &m, err,
		    sizeof(err)) == -1)
			return FAIL(c, in, "%s", err);
		type = expand(c, in, m.type);
		src = expand(c, in, m.source == NULL ? "" : m.source);
		if (type != NULL && src != NULL && m.from == NULL &&
		    strcasecmp(type, "bind") == 0) {
			clean = absolute("/", src);
			add_word(&x->binds, &x->nbinds, xstrdup(clean + 1));
			free(clean);
		}
		dockerfile_mount_clear(&m);
		if (type == NULL || src == NULL) {
			free(type);
			free(src);
			return -1;
		}
		free(type);
		free(src);
	}
	for (i = 0; i < st->ndeps; i++)
		if (st->deps[i].instr == index &&
		    st->deps[i].stage != DOCKERFILE_NO_STAGE) {
			x->mounts = xreallocarray(x->mounts, x->nmounts + 1,
			    sizeof(*x->mounts));
			x->mounts[x->nmounts++] = st->deps[i].stage;
		}
	return 0;
}

static char *
refuse_run(const struct dockerfile_instr *in)
{
	const char *v;

	if (dockerfile_flag(in, "mount") != NULL)
		return xstrdup("RUN --mount cannot be replayed");
	v = dockerfile_flag(in, "network");
	if (v != NULL && strcmp(v, "default") != 0)
		return xstrdup("RUN --network cannot be replayed");
	v = dockerfile_flag(in, "security");
	if (v != NULL && strcmp(v, "sandbox") != 0)
		return xstrdup("RUN --security cannot be replayed");
	if (dockerfile_flag(in, "device") != NULL)
		return xstrdup("RUN --device cannot be replayed");
	if (in->nargs == 0)
		return xstrdup("RUN without a command");
	return NULL;
}

/* The text for the shell, heredocs given back to it. */
static char *
shell_text(const struct dockerfile_instr *in, char **refusal)
{
	struct buf b = { 0 };
	char *s;
	size_t i;

	if (in->nheredocs == 0)
		return xstrdup(in->nargs == 0 ? "" : in->args[0]);
	if (dockerfile_heredoc_of(in, in->args[0]) != NULL) {
		s = dockerfile_heredoc_text(&in->heredocs[0]);
		if (strncmp(s, "#!", 2) == 0 && *refusal == NULL)
			*refusal = xstrdup("a RUN heredoc with an "
			    "interpreter of its own cannot be replayed");
		return s;
	}
	buf_add(&b, in->args[0], strlen(in->args[0]));
	for (i = 0; i < in->nheredocs; i++) {
		buf_add(&b, "\n", 1);
		buf_add(&b, in->heredocs[i].content,
		    strlen(in->heredocs[i].content));
		buf_add(&b, in->heredocs[i].name,
		    strlen(in->heredocs[i].name));
	}
	buf_add(&b, "", 1);
	return (char *)b.data;
}

static int
do_run(struct compiler *c, size_t index, const struct dockerfile_instr *in,
    struct copyplan_step *s, struct copyplan_extra *x)
{
	s->kind = COPYPLAN_RUN;
	s->refusal = refuse_run(in);
	if (in->json) {
		s->argv = copy_words(in->args, in->nargs);
		s->nargv = in->nargs;
	} else {
		s->argv = xcalloc(c->now.nshell + 2, sizeof(*s->argv));
		for (; s->nargv < c->now.nshell; s->nargv++)
			s->argv[s->nargv] = xstrdup(c->now.shell[s->nargv]);
		s->argv[s->nargv++] = shell_text(in, &s->refusal);
	}
	s->user = xstrdup(c->now.user);
	s->workdir = xstrdup(c->now.workdir);
	if ((s->env = snapshot(c, in)) == NULL)
		return -1;
	return set_mounts(c, index, in, x);
}

static int
add_step(struct compiler *c, size_t index, const struct dockerfile_instr *in)
{
	struct copyplan *p = c->p;
	struct copyplan_step *s;
	struct copyplan_extra *x;

	p->steps = xreallocarray(p->steps, p->nsteps + 1, sizeof(*s));
	p->extra = xreallocarray(p->extra, p->nsteps + 1, sizeof(*x));
	s = &p->steps[p->nsteps];
	x = &p->extra[p->nsteps];
	memset(s, 0, sizeof(*s));
	memset(x, 0, sizeof(*x));
	s->instr = index;
	s->stage = c->stage;
	s->line = in->line;
	s->from = DOCKERFILE_NO_STAGE;
	p->nsteps++;
	if (in->kind == DOCKERFILE_RUN)
		return do_run(c, index, in, s, x);
	return do_copy(c, index, in, s, x);
}

static int
do_instr(struct compiler *c, size_t index, const struct dockerfile_instr *in)
{
	switch (in->kind) {
	case DOCKERFILE_ENV:
		return do_env(c, in);
	case DOCKERFILE_ARG:
		return do_arg(c, in);
	case DOCKERFILE_WORKDIR:
		return in->nargs == 1 ? do_workdir(c, in) : 0;
	case DOCKERFILE_USER:
		return in->nargs == 1 ? do_user(c, in) : 0;
	case DOCKERFILE_SHELL:
		if (in->json && in->nargs > 0)
			do_shell(c, in);
		return 0;
	case DOCKERFILE_COPY:
	case DOCKERFILE_ADD:
	case DOCKERFILE_RUN:
		return add_step(c, index, in);
	default:
		return 0;
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
		force_base(c->p, &c->now);
	else {
		force_copy(&c->now, &c->at_end[st->base_stage]);
		if (charge(c->p, c->now.all->bytes * 3) == -1)
			return too_long(c, &df->instrs[st->first]);
		base = &c->p->graph->stages[st->base_stage];
		for (i = base->first + 1; i < base->end; i++)
			if (df->instrs[i].trigger != NULL &&
			    do_instr(c, i, df->instrs[i].trigger) == -1)
				return -1;
	}
	for (i = st->first + 1; i < st->end; i++)
		if (do_instr(c, i, &df->instrs[i]) == -1)
			return -1;
	c->at_end[n] = c->now;
	memset(&c->now, 0, sizeof(c->now));
	return 0;
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
			v = DEFAULT_PATH;
		if (charge(p, strlen(name)) == -1)
			return -1;
		if (v == NULL)
			add_word(&s->unset, &s->nunset, xstrdup(name));
		else {
			/* Steps share snapshots: they share this too. */
			size_t k;

			for (k = 0; k < p->nenvs; k++)
				if (p->envs[k] == s->env)
					dockerfile_env_set(p->envs[k], name,
					    v);
		}
	}
	return 0;
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
			return too_long(c, &p->df->instrs[p->steps[i].instr]);
	}
	return 0;
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
		force_clear(&c.at_end[i]);
	free(c.at_end);
	force_clear(&c.now);
	return ret;
}
