/*
 * What is in force at one place of a stage: variables, WORKDIR, USER, SHELL.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "include/buf.h"
#include "workers/shared/copyplan_steps.h"
#include "workers/shared/path_clean.h"

#define MAX_SNAPSHOTS (64 * 1024 * 1024) /* bytes of all */

void
copyplan_force_clear(struct force *f)
{
	dockerfile_env_free(f->env);
	dockerfile_env_free(f->args);
	dockerfile_env_free(f->all);
	free(f->workdir);
	free(f->user);
	dockerfile_words_free(f->shell, f->nshell);
	memset(f, 0, sizeof(*f));
}

char **
copyplan_copy_words(char *const *words, size_t n)
{
	char **copy = xcalloc(n + 1, sizeof(*copy));
	size_t i;

	for (i = 0; i < n; i++)
		copy[i] = xstrdup(words[i]);
	return (copy);
}

void
copyplan_force_copy(struct force *to, const struct force *from)
{
	to->env = dockerfile_env_copy(from->env);
	to->args = dockerfile_env_copy(from->args);
	to->all = dockerfile_env_copy(from->all);
	to->snapshot = from->snapshot;
	to->workdir = xstrdup(from->workdir);
	to->user = xstrdup(from->user);
	to->shell = copyplan_copy_words(from->shell, from->nshell);
	to->nshell = from->nshell;
}

void
copyplan_force_base(struct copyplan *p, struct force *f)
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
		dockerfile_env_set(f->all, "PATH", COPYPLAN_DEFAULT_PATH);
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

char *
copyplan_expand(struct compiler *c, const struct dockerfile_instr *in,
    const char *word)
{
	char err[200], *s;

	s = dockerfile_expand(word, c->p->df->escape, c->now.all, err,
	    sizeof(err));
	if (s == NULL)
		FAIL(c, in, "%s", err);
	return (s);
}

int
copyplan_too_long(struct compiler *c, const struct dockerfile_instr *in)
{
	return (FAIL(c, in, "the environment is too large"));
}

/* Account for memory that one small file could make large. */
int
copyplan_charge(struct copyplan *p, size_t bytes)
{
	p->env_bytes += bytes;
	return (p->env_bytes > MAX_SNAPSHOTS ? -1 : 0);
}

int
copyplan_do_env(struct compiler *c, const struct dockerfile_instr *in)
{
	char **words;
	size_t i;
	int ret = 0;

	/* All are expanded before the first is set. */
	words = xcalloc(in->nargs + 1, sizeof(*words));
	for (i = 0; i < in->nargs && ret == 0; i++)
		if ((words[i] = copyplan_expand(c, in, in->args[i])) == NULL)
			ret = -1;
	for (i = 0; i + 1 < in->nargs && ret == 0; i += 2)
		if (dockerfile_env_set(c->now.env, words[i], words[i + 1]) ==
			-1 ||
		    dockerfile_env_set(c->now.all, words[i], words[i + 1]) ==
			-1)
			ret = copyplan_too_long(c, in);
	dockerfile_words_free(words, in->nargs);
	c->now.snapshot = NULL;
	return (ret);
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
		*value = copyplan_expand(c, in, preset);
		return (*value == NULL ? -1 : 0);
	}
	if (v == NULL)
		v = dockerfile_env_get(c->p->graph->globals, name);
	if (v != NULL)
		*value = xstrdup(v);
	return (0);
}

int
copyplan_do_arg(struct compiler *c, const struct dockerfile_instr *in)
{
	char *name, *eq, *value;
	size_t i;
	int ret = 0;

	for (i = 0; i < in->nargs && ret == 0; i++) {
		name = dockerfile_env_split(in->args[i], &eq);
		ret = arg_value(c, in, name, eq, &value);
		if (value != NULL &&
		    dockerfile_env_set(c->now.args, name, value) == -1)
			ret = copyplan_too_long(c, in);
		/* ENV beats ARG wherever it stands. */
		if (value != NULL && ret == 0 &&
		    dockerfile_env_get(c->now.env, name) == NULL &&
		    dockerfile_env_set(c->now.all, name, value) == -1)
			ret = copyplan_too_long(c, in);
		free(value);
		free(name);
	}
	c->now.snapshot = NULL;
	return (ret);
}

/* path, seen from dir; absolute and clean. */
char *
copyplan_absolute(const char *dir, const char *path)
{
	char *joined, *clean;
	size_t n;

	joined = *path == '/' ? xstrdup(path) : xasprintf("%s/%s", dir, path);
	clean = path_clean(joined, strlen(joined), &n);
	free(joined);
	if (clean == NULL)
		abort();
	return (clean);
}

int
copyplan_do_workdir(struct compiler *c, const struct dockerfile_instr *in)
{
	struct copyplan *p = c->p;
	struct copyplan_workdir *w;
	char *s, *dir;

	if ((s = copyplan_expand(c, in, in->args[0])) == NULL)
		return (-1);
	dir = copyplan_absolute(c->now.workdir, s);
	free(s);
	free(c->now.workdir);
	c->now.workdir = dir;
	p->workdirs = xreallocarray(p->workdirs, p->nworkdirs + 1, sizeof(*w));
	w = &p->workdirs[p->nworkdirs++];
	w->stage = c->stage;
	w->step = p->nsteps;
	w->path = xstrdup(dir);
	return (0);
}

int
copyplan_do_user(struct compiler *c, const struct dockerfile_instr *in)
{
	char *s;

	if ((s = copyplan_expand(c, in, in->args[0])) == NULL)
		return (-1);
	free(c->now.user);
	c->now.user = s;
	return (0);
}

void
copyplan_do_shell(struct compiler *c, const struct dockerfile_instr *in)
{
	dockerfile_words_free(c->now.shell, c->now.nshell);
	c->now.shell = copyplan_copy_words(in->args, in->nargs);
	c->now.nshell = in->nargs;
}

static const char *const proxies[] = { "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY",
	"NO_PROXY", "ALL_PROXY" };

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
			    dockerfile_env_get(env, given->vars[i].name) ==
				NULL)
				dockerfile_env_set(env, given->vars[i].name,
				    given->vars[i].value);
}

const struct dockerfile_env *
copyplan_snapshot(struct compiler *c, const struct dockerfile_instr *in)
{
	struct copyplan *p = c->p;
	struct dockerfile_env *env;
	const struct dockerfile_env *from;
	size_t i;

	if (c->now.snapshot != NULL)
		return (c->now.snapshot);
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
	if (copyplan_charge(p, env->bytes) == -1 || i < from->nvars) {
		copyplan_too_long(c, in);
		return (NULL);
	}
	c->now.snapshot = env;
	return (env);
}
