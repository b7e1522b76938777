/*
 * The lower half of the Dockerfile parser: physical lines, flags, words, JSON
 * arrays and heredoc words.  Rules: BuildKit frontend/dockerfile/parser.
 */
#include <sys/types.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "include/buf.h"
#include "workers/shared/dockerfile_env.h"
#include "workers/shared/dockerfile_lex.h"

static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r' ||
	    c == '\n');
}

const char *
dockerfile_lex_skip(const char *s)
{
	while (is_blank(*s))
		s++;
	return (s);
}

int
dockerfile_lex_line(struct dockerfile_lines *in, const char **s, size_t *len,
    size_t *full)
{
	const char *nl;
	size_t n;

	if (in->p == in->end)
		return (0);
	nl = memchr(in->p, '\n', (size_t)(in->end - in->p));
	n = nl == NULL ? (size_t)(in->end - in->p) : (size_t)(nl - in->p) + 1;
	in->line++;
	if (n >= DOCKERFILE_MAX_LINE)
		return (-1);
	*s = in->p;
	*full = n;
	while (n > 0 && (in->p[n - 1] == '\n' || in->p[n - 1] == '\r'))
		n--;
	*len = n;
	in->p += *full;
	return (1);
}

static void
add_flag(struct dockerfile_instr *in, const struct buf *word)
{
	struct dockerfile_flag *f;
	char *text, *eq;

	text = xstrndup((const char *)word->data + 2, word->len - 2);
	if ((in->nflags & (in->nflags - 1)) == 0)
		in->flags = xreallocarray(in->flags,
		    in->nflags == 0 ? 1 : in->nflags * 2, sizeof(*in->flags));
	f = &in->flags[in->nflags++];
	f->value = NULL;
	if ((eq = strchr(text, '=')) != NULL) {
		*eq = '\0';
		f->value = xstrdup(eq + 1);
	}
	f->key = text;
}

/* One flag word, quotes and backslashes removed; where it ends. */
static const char *
flag_word(const char *s, struct buf *word)
{
	char quote = '\0';

	for (; *s != '\0'; s++) {
		if (quote == '\0' && is_blank(*s))
			break;
		if (quote == '\0' && (*s == '"' || *s == '\'')) {
			quote = *s;
			continue;
		}
		if (quote != '\0' && *s == quote) {
			quote = '\0';
			continue;
		}
		if (*s == '\\' && s[1] == '\0')
			continue;
		if (*s == '\\')
			s++;
		buf_add(word, s, 1);
	}
	return (s);
}

const char *
dockerfile_lex_flags(const char *s, struct dockerfile_instr *in)
{
	struct buf word = { 0 };
	bool stop = false;

	s = dockerfile_lex_skip(s);
	while (!stop && s[0] == '-' && s[1] == '-') {
		word.len = 0;
		s = dockerfile_lex_skip(flag_word(s, &word));
		if (word.len == 2)
			stop = true; /* "--" ends the flags */
		else
			add_flag(in, &word);
	}
	buf_free(&word);
	return (s);
}

void
dockerfile_lex_add(struct dockerfile_instr *in, char *s)
{
	if ((in->nargs & (in->nargs - 1)) == 0)
		in->args = xreallocarray(in->args,
		    in->nargs == 0 ? 1 : in->nargs * 2, sizeof(*in->args));
	in->args[in->nargs++] = s;
}

void
dockerfile_lex_split(const char *s, struct dockerfile_instr *in)
{
	const char *e;

	for (s = dockerfile_lex_skip(s); *s != '\0';
	     s = dockerfile_lex_skip(e)) {
		for (e = s; *e != '\0' && !is_blank(*e); e++)
			;
		dockerfile_lex_add(in, xstrndup(s, (size_t)(e - s)));
	}
}

/* The end of the word at s; what must stay is appended to word. */
static const char *
kept_word(const char *s, char escape, struct buf *word)
{
	char quote = '\0';

	for (; *s != '\0'; s++) {
		if (quote == '\0' && is_blank(*s))
			break;
		if (*s == escape && quote != '\'') {
			if (s[1] == '\0')
				continue; /* nothing left to escape */
			buf_add(word, s++, 1);
		} else if (quote == '\0' && (*s == '"' || *s == '\''))
			quote = *s;
		else if (*s == quote)
			quote = '\0';
		buf_add(word, s, 1);
	}
	return (s);
}

void
dockerfile_lex_words(const char *s, char escape, struct dockerfile_instr *in)
{
	struct buf word = { 0 };

	for (s = dockerfile_lex_skip(s); *s != '\0';
	     s = dockerfile_lex_skip(s)) {
		word.len = 0;
		s = kept_word(s, escape, &word);
		if (word.len > 0)
			dockerfile_lex_add(in,
			    xstrndup((const char *)word.data, word.len));
	}
	buf_free(&word);
}

/*
 * What cJSON takes and Go's encoding/json does not: control characters in
 * strings.  And \u0000, which would cut a string short.
 */
static bool
json_clean(const char *s)
{
	bool in = false;

	for (; *s != '\0'; s++) {
		if (in && (unsigned char)*s < 0x20)
			return (false);
		if (in && *s == '\\') {
			if (strncmp(s, "\\u0000", 6) == 0)
				return (false);
			if (s[1] == '\0')
				return (false);
			s++;
		} else if (*s == '"')
			in = !in;
	}
	return (!in);
}

int
dockerfile_lex_json(const char *s, struct dockerfile_instr *in)
{
	const char *end;
	cJSON *root, *item;
	int ret = 1;

	s = dockerfile_lex_skip(s);
	if (*s != '[' || !json_clean(s))
		return (0);
	root = cJSON_ParseWithOpts(s, &end, 0);
	if (root == NULL)
		return (0);
	if (!cJSON_IsArray(root) || *dockerfile_lex_skip(end) != '\0') {
		cJSON_Delete(root);
		return (0);
	}
	cJSON_ArrayForEach (item, root)
		if (!cJSON_IsString(item))
			ret = -1;
	if (ret == 1) {
		cJSON_ArrayForEach (item, root)
			dockerfile_lex_add(in, xstrdup(item->valuestring));
		in->json = true;
	}
	cJSON_Delete(root);
	return (ret);
}

static size_t
count_quotes(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		if (*s == '"' || *s == '\'')
			n++;
	return (n);
}

/* [digits]<<[-][blanks]word, the word without '<'. */
int
dockerfile_lex_heredoc(const char *s, struct dockerfile_heredoc *h)
{
	char **words, **raw, err[64];
	size_t n, nraw;
	int ret = 0;

	memset(h, 0, sizeof(*h));
	while (isdigit((unsigned char)*s))
		s++;
	if (s[0] != '<' || s[1] != '<')
		return (0);
	s += 2;
	if (*s == '-') {
		h->strip = true;
		s++;
	}
	s = dockerfile_lex_skip(s);
	if (*s == '\0' || strchr(s, '<') != NULL)
		return (0);
	if (dockerfile_words(s, '\\', NULL, DOCKERFILE_WORDS_UNSET, &words, &n,
		err, sizeof(err)) == -1)
		return (0);
	if (dockerfile_words(s, '\\', NULL,
		DOCKERFILE_WORDS_UNSET | DOCKERFILE_WORDS_RAWQUOTES, &raw,
		&nraw, err, sizeof(err)) == -1) {
		dockerfile_words_free(words, n);
		return (0);
	}
	if (n == 1 && nraw == 1) {
		h->name = xstrdup(words[0]);
		h->expand = count_quotes(words[0]) == count_quotes(raw[0]);
		ret = 1;
	}
	dockerfile_words_free(words, n);
	dockerfile_words_free(raw, nraw);
	return (ret);
}

int
dockerfile_lex_heredocs(const char *line, struct dockerfile_instr *in,
    char *errbuf, size_t errlen)
{
	struct dockerfile_heredoc h;
	char **words, err[64];
	size_t i, n;
	int ret = 0;

	if (strstr(line, "<<") == NULL)
		return (0);
	if (dockerfile_words(line, '\\', NULL,
		DOCKERFILE_WORDS_UNSET | DOCKERFILE_WORDS_RAWQUOTES |
		    DOCKERFILE_WORDS_RAWESCAPES,
		&words, &n, err, sizeof(err)) == -1)
		return (0); /* BuildKit lets it pass: no heredocs */
	for (i = 0; i < n && ret == 0; i++) {
		if (dockerfile_lex_heredoc(words[i], &h) == 0)
			continue;
		if (in->nheredocs == DOCKERFILE_MAX_HEREDOCS) {
			snprintf(errbuf, errlen, "more than %d heredocs",
			    DOCKERFILE_MAX_HEREDOCS);
			free(h.name);
			ret = -1;
			break;
		}
		in->heredocs =
		    xreallocarray(in->heredocs, in->nheredocs + 1, sizeof(h));
		in->heredocs[in->nheredocs++] = h;
	}
	dockerfile_words_free(words, n);
	return (ret);
}
