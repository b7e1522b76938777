/*
 * What each COPY, ADD and RUN is, with all that is in force there.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "include/buf.h"
#include "workers/shared/copyplan_steps.h"

static bool
is_remote(const char *s)
{
	size_t n = strcspn(s, "#?");

	return (strncmp(s, "http://", 7) == 0 ||
	    strncmp(s, "https://", 8) == 0 || strncmp(s, "git://", 6) == 0 ||
	    strncmp(s, "ssh://", 6) == 0 || strncmp(s, "git@", 4) == 0 ||
	    (strchr(s, '@') != NULL && strchr(s, ':') != NULL && n > 4 &&
		strncmp(s + n - 4, ".git", 4) == 0));
}

void
copyplan_add_word(char ***words, size_t *n, char *s)
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
		s = copyplan_absolute("/", src);
	} else {
		char *head = xstrndup(src, (size_t)(cut - src));

		s = copyplan_absolute("/", head);
		x->pivot[n] = xstrdup(s + 1);
		free(s);
		free(head);
		s = copyplan_absolute("/", cut + 3);
	}
	pattern = s + 1;
	x->include[n] = ignore_from_patterns(&pattern, 1, &e);
	free(s);
	if (x->include[n] == NULL)
		return (FAIL(c, in, "%s", e.text));
	return (0);
}

static int
add_source(struct compiler *c, const struct dockerfile_instr *in,
    struct copyplan_step *s, struct copyplan_extra *x, const char *word)
{
	const struct dockerfile_heredoc *h;
	char *w, *clean;
	int ret = 0;

	if ((h = dockerfile_heredoc_of(in, word)) != NULL) {
		copyplan_add_word(&x->heredocs, &x->nheredocs,
		    xstrdup(h->name));
		return (0);
	}
	if ((w = copyplan_expand(c, in, word)) == NULL)
		return (-1);
	if (is_remote(w)) {
		s->remote = true;
		if (!s->add)
			ret = FAIL(c, in, "source can't be a URL for COPY");
		free(w);
		return (ret);
	}
	clean = copyplan_absolute("/", w);
	if (s->parents)
		ret = set_parents(c, in, x, s->nsources, w);
	copyplan_add_word(&s->sources, &s->nsources, xstrdup(clean + 1));
	free(clean);
	free(w);
	return (ret);
}

static int
set_dest(struct compiler *c, const struct dockerfile_instr *in,
    struct copyplan_step *s)
{
	char *w = copyplan_expand(c, in, in->args[in->nargs - 1]);
	size_t n;

	if (w == NULL)
		return (-1);
	n = strlen(w);
	s->dest_slash = n == 0 || w[n - 1] == '/' || strcmp(w, ".") == 0 ||
	    (n > 1 && strcmp(w + n - 2, "/.") == 0);
	s->dest = copyplan_absolute(c->now.workdir, w);
	free(w);
	return (0);
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
			if ((w = copyplan_expand(c, in, in->flags[i].value)) ==
			    NULL)
				ret = -1;
			else
				copyplan_add_word(&words, &n, w);
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
	return (ret);
}

static int
flag_text(struct compiler *c, const struct dockerfile_instr *in,
    const char *key, char **where)
{
	const char *v = dockerfile_flag(in, key);

	if (v == NULL)
		return (0);
	return ((*where = copyplan_expand(c, in, v)) == NULL ? -1 : 0);
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
		return (FAIL(c, in, "%s requires at least two arguments",
		    dockerfile_kind_name(in->kind)));
	for (i = 0; i + 1 < in->nargs; i++)
		if (add_source(c, in, s, x, in->args[i]) == -1)
			return (-1);
	if (set_dest(c, in, s) == -1 || set_excludes(c, in, x) == -1 ||
	    flag_text(c, in, "chown", &s->chown) == -1 ||
	    flag_text(c, in, "chmod", &s->chmod) == -1)
		return (-1);
	if (s->nsources + x->nheredocs > 1 && !s->dest_slash)
		s->refusal = xstrdup("several sources need a destination that "
				     "ends in /");
	for (i = 0; s->parents && i < s->nsources; i++)
		if (copyplan_is_wild(x->pivot[i]) && s->refusal == NULL)
			s->refusal = xstrdup("--parents with a wildcard before "
					     "its pivot");
	return (0);
}

/* What a RUN mounts, as far as changes can reach it. */
static int
set_mounts(struct compiler *c, size_t index, const struct dockerfile_instr *in,
    struct copyplan_extra *x)
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
			return (FAIL(c, in, "%s", err));
		type = copyplan_expand(c, in, m.type);
		src = copyplan_expand(c, in, m.source == NULL ? "" : m.source);
		if (type != NULL && src != NULL && m.from == NULL &&
		    strcasecmp(type, "bind") == 0) {
			clean = copyplan_absolute("/", src);
			copyplan_add_word(&x->binds, &x->nbinds,
			    xstrdup(clean + 1));
			free(clean);
		}
		dockerfile_mount_clear(&m);
		if (type == NULL || src == NULL) {
			free(type);
			free(src);
			return (-1);
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
	return (0);
}

static char *
refuse_run(const struct dockerfile_instr *in)
{
	const char *v;

	if (dockerfile_flag(in, "mount") != NULL)
		return (xstrdup("RUN --mount cannot be replayed"));
	v = dockerfile_flag(in, "network");
	if (v != NULL && strcmp(v, "default") != 0)
		return (xstrdup("RUN --network cannot be replayed"));
	v = dockerfile_flag(in, "security");
	if (v != NULL && strcmp(v, "sandbox") != 0)
		return (xstrdup("RUN --security cannot be replayed"));
	if (dockerfile_flag(in, "device") != NULL)
		return (xstrdup("RUN --device cannot be replayed"));
	if (in->nargs == 0)
		return (xstrdup("RUN without a command"));
	return (NULL);
}

/* The text for the shell, heredocs given back to it. */
static char *
shell_text(const struct dockerfile_instr *in, char **refusal)
{
	struct buf b = { 0 };
	char *s;
	size_t i;

	if (in->nheredocs == 0)
		return (xstrdup(in->nargs == 0 ? "" : in->args[0]));
	if (dockerfile_heredoc_of(in, in->args[0]) != NULL) {
		s = dockerfile_heredoc_text(&in->heredocs[0]);
		if (strncmp(s, "#!", 2) == 0 && *refusal == NULL)
			*refusal = xstrdup(
			    "a RUN heredoc with an "
			    "interpreter of its own cannot be replayed");
		return (s);
	}
	buf_add(&b, in->args[0], strlen(in->args[0]));
	for (i = 0; i < in->nheredocs; i++) {
		buf_add(&b, "\n", 1);
		buf_add(&b, in->heredocs[i].content,
		    strlen(in->heredocs[i].content));
		buf_add(&b, in->heredocs[i].name, strlen(in->heredocs[i].name));
	}
	buf_add(&b, "", 1);
	return ((char *)b.data);
}

static int
do_run(struct compiler *c, size_t index, const struct dockerfile_instr *in,
    struct copyplan_step *s, struct copyplan_extra *x)
{
	s->kind = COPYPLAN_RUN;
	s->refusal = refuse_run(in);
	if (in->json) {
		s->argv = copyplan_copy_words(in->args, in->nargs);
		s->nargv = in->nargs;
	} else {
		s->argv = xcalloc(c->now.nshell + 2, sizeof(*s->argv));
		for (; s->nargv < c->now.nshell; s->nargv++)
			s->argv[s->nargv] = xstrdup(c->now.shell[s->nargv]);
		s->argv[s->nargv++] = shell_text(in, &s->refusal);
	}
	s->user = xstrdup(c->now.user);
	s->workdir = xstrdup(c->now.workdir);
	if ((s->env = copyplan_snapshot(c, in)) == NULL)
		return (-1);
	return (set_mounts(c, index, in, x));
}

int
copyplan_add_step(struct compiler *c, size_t index,
    const struct dockerfile_instr *in)
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
		return (do_run(c, index, in, s, x));
	return (do_copy(c, index, in, s, x));
}
