/*
 * The upper half of the Dockerfile parser: logical lines, instructions and
 * the forms of their arguments.  Rules: BuildKit frontend/dockerfile/parser.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "include/buf.h"
#include "workers/shared/dockerfile.h"
#include "workers/shared/dockerfile_lex.h"

/* How the rest of the line is read. */
enum form {
	FORM_NAMES, /* ARG */
	FORM_PAIRS, /* ENV, LABEL */
	FORM_WORDS,
	FORM_TEXT,
	FORM_JSON_OR_TEXT,
	FORM_JSON_OR_WORDS,
	FORM_HEALTH,
	FORM_TRIGGER
};

static const struct {
	const char *name;
	enum form form;
} kinds[] = {
	[DOCKERFILE_ADD] = { "ADD", FORM_JSON_OR_WORDS },
	[DOCKERFILE_ARG] = { "ARG", FORM_NAMES },
	[DOCKERFILE_CMD] = { "CMD", FORM_JSON_OR_TEXT },
	[DOCKERFILE_COPY] = { "COPY", FORM_JSON_OR_WORDS },
	[DOCKERFILE_ENTRYPOINT] = { "ENTRYPOINT", FORM_JSON_OR_TEXT },
	[DOCKERFILE_ENV] = { "ENV", FORM_PAIRS },
	[DOCKERFILE_EXPOSE] = { "EXPOSE", FORM_WORDS },
	[DOCKERFILE_FROM] = { "FROM", FORM_WORDS },
	[DOCKERFILE_HEALTHCHECK] = { "HEALTHCHECK", FORM_HEALTH },
	[DOCKERFILE_LABEL] = { "LABEL", FORM_PAIRS },
	[DOCKERFILE_MAINTAINER] = { "MAINTAINER", FORM_TEXT },
	[DOCKERFILE_ONBUILD] = { "ONBUILD", FORM_TRIGGER },
	[DOCKERFILE_RUN] = { "RUN", FORM_JSON_OR_TEXT },
	[DOCKERFILE_SHELL] = { "SHELL", FORM_JSON_OR_TEXT },
	[DOCKERFILE_STOPSIGNAL] = { "STOPSIGNAL", FORM_TEXT },
	[DOCKERFILE_USER] = { "USER", FORM_TEXT },
	[DOCKERFILE_VOLUME] = { "VOLUME", FORM_JSON_OR_WORDS },
	[DOCKERFILE_WORKDIR] = { "WORKDIR", FORM_TEXT },
};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

struct parser {
	struct dockerfile *df;
	struct dockerfile_lines in;
	struct dockerfile_error *err;
	bool directives_over;
	unsigned column; /* of the instruction */
};

const char *
dockerfile_kind_name(enum dockerfile_kind kind)
{
	return (kinds[kind].name);
}

/* "# key=value" before anything else: 1 taken, 0 not one, -1 error. */
static int
parse_directive(struct parser *ps, const char *s)
{
	const char *k, *e, *v;
	struct dockerfile_directive *d;
	char *key;
	size_t i, n;

	k = dockerfile_lex_skip(s + 1);
	for (e = k; isalnum((unsigned char)*e); e++)
		;
	v = dockerfile_lex_skip(e);
	if (e == k || !isalpha((unsigned char)*k) || *v != '=')
		return (0);
	v = dockerfile_lex_skip(v + 1);
	for (n = strlen(v); n > 0 && isspace((unsigned char)v[n - 1]); n--)
		;
	if (n == 0)
		return (0);
	key = xstrndup(k, (size_t)(e - k));
	for (i = 0; key[i] != '\0'; i++)
		key[i] = (char)tolower((unsigned char)key[i]);
	if (strcmp(key, "syntax") != 0 && strcmp(key, "escape") != 0 &&
	    strcmp(key, "check") != 0) {
		free(key);
		return (1); /* unknown, yet it ends nothing */
	}
	for (i = 0; i < ps->df->ndirectives; i++)
		if (strcmp(ps->df->directives[i].key, key) == 0) {
			dockerfile_fail(ps->err, ps->in.line, ps->column,
			    "only one %s parser directive can be used", key);
			free(key);
			return (-1);
		}
	ps->df->directives = xreallocarray(ps->df->directives,
	    ps->df->ndirectives + 1, sizeof(*d));
	d = &ps->df->directives[ps->df->ndirectives++];
	d->key = key;
	d->value = xstrndup(v, n);
	d->line = ps->in.line;
	if (strcmp(key, "escape") != 0)
		return (1);
	if (strcmp(d->value, "\\") != 0 && strcmp(d->value, "`") != 0)
		return (dockerfile_fail(ps->err, ps->in.line, ps->column,
		    "invalid escape token '%.20s' does not match ` or \\",
		    d->value));
	ps->df->escape = d->value[0];
	return (1);
}

/* A line of the file: 1, 0 at its end, -1 error. */
static int
read_line(struct parser *ps, const char **s, size_t *len, size_t *full)
{
	int ret = dockerfile_lex_line(&ps->in, s, len, full);

	if (ret == -1)
		return (dockerfile_fail(ps->err, ps->in.line, 1,
		    "dockerfile line greater than max allowed size of %d",
		    DOCKERFILE_MAX_LINE - 1));
	return (ret);
}

/* Cut a continuation mark off the end; whether there was one. */
static bool
cut_continuation(char escape, const char *s, size_t *len)
{
	size_t n = *len;

	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	if (n == 0 || s[n - 1] != escape)
		return (false);
	if (n > 1 && s[n - 2] == escape)
		return (false);
	*len = n - 1;
	return (true);
}

static size_t
leading_blanks(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len && isspace((unsigned char)s[i]); i++)
		;
	return (i);
}

/*
 * The next logical line into b, NUL-terminated: 1, 0 at the end, -1 error.
 * *first is the number of its first line.
 */
static int
read_logical(struct parser *ps, struct buf *b, unsigned *first)
{
	const char *s;
	size_t len, full, skip;
	bool more = false;
	int ret;

	b->len = 0;
	while ((ret = read_line(ps, &s, &len, &full)) == 1) {
		skip = leading_blanks(s, len);
		if (more && (skip == len || s[skip] == '#'))
			continue; /* blank or comment within */
		if (!more) {
			s += skip;
			len -= skip;
			ps->column = (unsigned)skip + 1;
			if (len == 0 || *s == '#') {
				if ((ret = 0, len) != 0 &&
				    !ps->directives_over) {
					char *t = xstrndup(s, len);

					ret = parse_directive(ps, t);
					free(t);
				}
				if (ret == -1)
					return (-1);
				if (ret == 0)
					ps->directives_over = true;
				continue;
			}
			ps->directives_over = true;
			*first = ps->in.line;
		}
		more = cut_continuation(ps->df->escape, s, &len);
		buf_add(b, s, len);
		if (!more)
			break;
	}
	if (ret == -1)
		return (-1);
	if (ret == 0 && b->len == 0 && !more)
		return (0);
	buf_add(b, "", 1);
	return (1);
}

static void
trim_end(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
}

static int
parse_pairs(struct parser *ps, struct dockerfile_instr *in, const char *rest)
{
	struct dockerfile_instr words = { 0 };
	const char *e;
	char *eq;
	size_t i;
	int ret = -1;

	dockerfile_lex_words(rest, ps->df->escape, &words);
	if (words.nargs > 0 && strchr(words.args[0], '=') == NULL) {
		/* The old form: name, blank, everything else. */
		for (e = rest; *e != '\0' && !isspace((unsigned char)*e); e++)
			;
		if (*e == '\0') {
			dockerfile_fail(ps->err, in->line, ps->column,
			    "%s must have two arguments", kinds[in->kind].name);
			goto out;
		}
		dockerfile_lex_add(in, xstrndup(rest, (size_t)(e - rest)));
		dockerfile_lex_add(in, xstrdup(dockerfile_lex_skip(e)));
		ret = 0;
		goto out;
	}
	for (i = 0; i < words.nargs; i++) {
		if ((eq = strchr(words.args[i], '=')) == NULL) {
			dockerfile_fail(ps->err, in->line, ps->column,
			    "Syntax error - can't find = in \"%.80s\". Must "
			    "be of the form: name=value",
			    words.args[i]);
			goto out;
		}
		dockerfile_lex_add(in,
		    xstrndup(words.args[i], (size_t)(eq - words.args[i])));
		dockerfile_lex_add(in, xstrdup(eq + 1));
	}
	ret = 0;
out:
	dockerfile_instr_clear(&words);
	return (ret);
}

static int
parse_json_or(struct parser *ps, struct dockerfile_instr *in, const char *rest,
    bool words)
{
	int ret;

	ret = dockerfile_lex_json(rest, in);
	if (ret == -1)
		return (dockerfile_fail(ps->err, in->line, ps->column,
		    "when using JSON array syntax, arrays must be comprised "
		    "of strings only"));
	if (ret == 1 || *rest == '\0')
		return (0);
	if (words)
		dockerfile_lex_split(rest, in);
	else
		dockerfile_lex_add(in, xstrdup(rest));
	return (0);
}

static int
parse_health(struct parser *ps, struct dockerfile_instr *in, const char *rest)
{
	const char *e;

	for (e = rest; *e != '\0' && !isspace((unsigned char)*e); e++)
		;
	if (e == rest)
		return (0);
	dockerfile_lex_add(in, xstrndup(rest, (size_t)(e - rest)));
	return (parse_json_or(ps, in, dockerfile_lex_skip(e), false));
}

/* Everything but ONBUILD. */
static int
parse_args(struct parser *ps, struct dockerfile_instr *in, const char *rest)
{
	switch (kinds[in->kind].form) {
	case FORM_NAMES:
		dockerfile_lex_words(rest, ps->df->escape, in);
		return (0);
	case FORM_PAIRS:
		return (parse_pairs(ps, in, rest));
	case FORM_WORDS:
		dockerfile_lex_split(rest, in);
		return (0);
	case FORM_JSON_OR_TEXT:
		return (parse_json_or(ps, in, rest, false));
	case FORM_JSON_OR_WORDS:
		return (parse_json_or(ps, in, rest, true));
	case FORM_HEALTH:
		return (parse_health(ps, in, rest));
	case FORM_TEXT:
	case FORM_TRIGGER:
		break;
	}
	if (*rest != '\0')
		dockerfile_lex_add(in, xstrdup(rest));
	return (0);
}

/* Read the name of an instruction: 0, or -1 when it is none. */
static int
parse_name(const char *line, struct dockerfile_instr *in, const char **rest)
{
	const char *e;
	size_t i, n;

	for (e = line; *e != '\0' && !isspace((unsigned char)*e); e++)
		;
	*rest = dockerfile_lex_skip(e);
	n = (size_t)(e - line);
	for (i = 0; i < NKINDS; i++)
		if (strlen(kinds[i].name) == n &&
		    strncasecmp(kinds[i].name, line, n) == 0) {
			in->kind = (enum dockerfile_kind)i;
			return (0);
		}
	return (-1);
}

static bool
takes_heredocs(const struct dockerfile_instr *in)
{
	return (!in->json &&
	    (in->kind == DOCKERFILE_RUN || in->kind == DOCKERFILE_COPY ||
		in->kind == DOCKERFILE_ADD));
}

/* Read the bodies of the heredocs that the line names. */
static int
read_heredocs(struct parser *ps, struct dockerfile_instr *in, const char *line)
{
	struct dockerfile_heredoc *h;
	struct buf body = { 0 };
	const char *s, *t;
	size_t i, len, full;
	char err[128];
	int ret;

	if (dockerfile_lex_heredocs(line, in, err, sizeof(err)) == -1)
		return (
		    dockerfile_fail(ps->err, in->line, ps->column, "%s", err));
	for (i = 0; i < in->nheredocs; i++) {
		h = &in->heredocs[i];
		body.len = 0;
		while ((ret = read_line(ps, &s, &len, &full)) == 1) {
			for (t = s; h->strip && t < s + len && *t == '\t'; t++)
				;
			if (strlen(h->name) == (size_t)(s + len - t) &&
			    memcmp(h->name, t, (size_t)(s + len - t)) == 0)
				break;
			buf_add(&body, s, full);
		}
		h->content =
		    xstrndup(body.len == 0 ? "" : (const char *)body.data,
			body.len);
		if (ret == 1)
			continue;
		buf_free(&body);
		if (ret == 0)
			dockerfile_fail(ps->err, in->line,
			    ps->column + (unsigned)(strstr(line, "<<") - line),
			    "unterminated heredoc");
		return (-1);
	}
	buf_free(&body);
	return (0);
}

static int
parse_trigger(struct parser *ps, struct dockerfile_instr *in, const char *rest)
{
	struct dockerfile_instr *t;
	const char *args;

	if (*rest == '\0')
		return (0);
	dockerfile_lex_add(in, xstrdup(rest));
	t = xcalloc(1, sizeof(*t));
	t->line = in->line;
	t->column = in->column;
	if (parse_name(rest, t, &args) == -1) {
		/* The builder looks at it only when it is triggered. */
		free(t);
		return (0);
	}
	in->trigger = t;
	t->text = xstrdup(rest);
	if (t->kind == DOCKERFILE_ONBUILD)
		return (0);
	if (parse_args(ps, t, dockerfile_lex_flags(args, t)) == -1)
		return (-1);
	if (!takes_heredocs(t))
		return (0);
	return (read_heredocs(ps, t, rest));
}

static int
parse_instr(struct parser *ps, const char *line, unsigned first,
    struct dockerfile_instr *in)
{
	const char *rest;

	in->line = first;
	in->column = ps->column;
	in->text = xstrdup(line);
	if (parse_name(line, in, &rest) == -1)
		return (dockerfile_fail(ps->err, first, ps->column,
		    "unknown instruction: %.*s", (int)strcspn(line, " \t"),
		    line));
	rest = dockerfile_lex_flags(rest, in);
	if (in->kind == DOCKERFILE_ONBUILD) {
		if (parse_trigger(ps, in, rest) == -1)
			return (-1);
	} else if (parse_args(ps, in, rest) == -1 ||
	    (takes_heredocs(in) && read_heredocs(ps, in, line) == -1))
		return (-1);
	in->end_line = ps->in.line;
	if (in->trigger != NULL)
		in->trigger->end_line = ps->in.line;
	return (dockerfile_check(in, ps->err));
}

static int
add_instr(struct parser *ps, char *line, unsigned first, bool *stage)
{
	struct dockerfile *df = ps->df;
	struct dockerfile_instr *in;

	if (df->ninstrs == DOCKERFILE_MAX_INSTRS)
		return (dockerfile_fail(ps->err, first, ps->column,
		    "more than %d instructions", DOCKERFILE_MAX_INSTRS));
	in = &df->instrs[df->ninstrs++];
	trim_end(line);
	if (parse_instr(ps, line, first, in) == -1)
		return (-1);
	if (in->kind == DOCKERFILE_FROM)
		*stage = true;
	else if (!*stage && in->kind != DOCKERFILE_ARG)
		return (dockerfile_fail(ps->err, first, ps->column,
		    "no build stage in current context"));
	return (0);
}

static int
parse_all(struct parser *ps)
{
	struct buf b = { 0 };
	unsigned first = 1;
	bool stage = false;
	int ret;

	while ((ret = read_logical(ps, &b, &first)) == 1)
		if (add_instr(ps, (char *)b.data, first, &stage) == -1) {
			ret = -1;
			break;
		}
	buf_free(&b);
	if (ret == -1)
		return (-1);
	if (ps->df->ninstrs == 0)
		return (dockerfile_fail(ps->err, ps->in.line, 1,
		    "file with no instructions"));
	if (!stage)
		return (dockerfile_fail(ps->err, ps->in.line, 1,
		    "dockerfile contains no stages to build"));
	return (0);
}

struct dockerfile *
dockerfile_parse(const char *buf, size_t len, struct dockerfile_error *err)
{
	struct parser ps = { 0 };

	memset(err, 0, sizeof(*err));
	if (len == 0) {
		dockerfile_fail(err, 1, 1, "the Dockerfile cannot be empty");
		return (NULL);
	}
	if (len > DOCKERFILE_MAX_BYTES) {
		dockerfile_fail(err, 1, 1, "larger than %d bytes",
		    DOCKERFILE_MAX_BYTES);
		return (NULL);
	}
	if (memchr(buf, '\0', len) != NULL) {
		dockerfile_fail(err, 1, 1, "holds a NUL byte");
		return (NULL);
	}
	ps.err = err;
	ps.in.p = buf;
	ps.in.end = buf + len;
	if (len >= 3 && memcmp(buf, "\xef\xbb\xbf", 3) == 0)
		ps.in.p += 3;
	ps.df = xcalloc(1, sizeof(*ps.df));
	ps.df->escape = '\\';
	ps.df->instrs = xcalloc(DOCKERFILE_MAX_INSTRS, sizeof(*ps.df->instrs));
	if (parse_all(&ps) == -1) {
		dockerfile_free(ps.df);
		return (NULL);
	}
	return (ps.df);
}
