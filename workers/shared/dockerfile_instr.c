/*
 * A parsed Dockerfile as its readers see it: flags, heredocs, errors, and its
 * end.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "include/buf.h"
#include "workers/shared/dockerfile.h"
#include "workers/shared/dockerfile_lex.h"

int
dockerfile_fail(struct dockerfile_error *err, unsigned line, unsigned column,
    const char *fmt, ...)
{
	va_list ap;
	char *p;

	err->line = line;
	err->column = column;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	for (p = err->text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
	return (-1);
}

void
dockerfile_instr_clear(struct dockerfile_instr *in)
{
	size_t i;

	for (i = 0; i < in->nflags; i++) {
		free(in->flags[i].key);
		free(in->flags[i].value);
	}
	free(in->flags);
	for (i = 0; i < in->nargs; i++)
		free(in->args[i]);
	free(in->args);
	for (i = 0; i < in->nheredocs; i++) {
		free(in->heredocs[i].name);
		free(in->heredocs[i].content);
	}
	free(in->heredocs);
	free(in->text);
}

void
dockerfile_free(struct dockerfile *df)
{
	struct dockerfile_instr *in;
	size_t i;

	if (df == NULL)
		return;
	for (i = 0; i < df->ninstrs; i++) {
		in = &df->instrs[i];
		if (in->trigger != NULL)
			dockerfile_instr_clear(in->trigger);
		free(in->trigger);
		dockerfile_instr_clear(in);
	}
	free(df->instrs);
	for (i = 0; i < df->ndirectives; i++) {
		free(df->directives[i].key);
		free(df->directives[i].value);
	}
	free(df->directives);
	free(df);
}

const char *
dockerfile_flag(const struct dockerfile_instr *in, const char *key)
{
	size_t i;

	for (i = 0; i < in->nflags; i++)
		if (strcmp(in->flags[i].key, key) == 0)
			return (in->flags[i].value == NULL ?
				"" :
				in->flags[i].value);
	return (NULL);
}

bool
dockerfile_flag_on(const struct dockerfile_instr *in, const char *key)
{
	const char *v = dockerfile_flag(in, key);

	return (v != NULL && strcasecmp(v, "false") != 0);
}

char *
dockerfile_heredoc_text(const struct dockerfile_heredoc *h)
{
	const char *s;
	char *out, *o;
	bool start = true;

	out = o = xcalloc(1, strlen(h->content) + 1);
	for (s = h->content; *s != '\0'; s++) {
		if (start && h->strip && *s == '\t')
			continue;
		start = *s == '\n';
		*o++ = *s;
	}
	return (out);
}

const struct dockerfile_heredoc *
dockerfile_heredoc_of(const struct dockerfile_instr *in, const char *word)
{
	struct dockerfile_heredoc h;
	size_t i;
	const struct dockerfile_heredoc *found = NULL;

	if (in->json || dockerfile_lex_heredoc(word, &h) == 0)
		return (NULL);
	/* Of two with one name BuildKit takes the last. */
	for (i = 0; i < in->nheredocs; i++)
		if (strcmp(in->heredocs[i].name, h.name) == 0)
			found = &in->heredocs[i];
	free(h.name);
	return (found);
}
