/*
 * Expansion of Dockerfile words.  Rules: BuildKit frontend/dockerfile/shell.
 * Nesting of ${a:-${b:-...}} is bounded, so is the length of what comes out.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/buf.h"
#include "workers/shared/dockerfile_env.h"
#include "workers/shared/dockerfile_pattern.h"

#define MAX_DEPTH 32 /* of ${} within ${} */

struct lexer {
	const char *p;
	const struct dockerfile_env *env;
	char escape;
	int flags;
	bool rawescapes;
	unsigned depth;
	char *err;
	size_t errlen;
};

/* What comes out: the text, and the same text split into words. */
struct output {
	struct buf text;
	struct buf word;
	bool in_word;
	char **words;
	size_t nwords;
};

static int expand_until(struct lexer *, char, bool, struct output *);

static int __attribute__((__format__(printf, 2, 3)))
lex_fail(struct lexer *lx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(lx->err, lx->errlen, fmt, ap);
	va_end(ap);
	return (-1);
}

static int
spend(struct lexer *lx, size_t n)
{
	size_t *work = lx->env == NULL ? NULL : lx->env->work;

	if (work == NULL)
		return (0);
	if (*work < n) {
		*work = 0;
		return (lex_fail(lx, "variables expand to too much"));
	}
	*work -= n;
	return (0);
}

static void
push_word(struct output *out)
{
	if (out->word.len > 0) {
		if ((out->nwords & (out->nwords - 1)) == 0)
			out->words = xreallocarray(out->words,
			    out->nwords == 0 ? 1 : out->nwords * 2,
			    sizeof(*out->words));
		out->words[out->nwords++] =
		    xstrndup((const char *)out->word.data, out->word.len);
		out->word.len = 0;
		out->in_word = false;
	}
}

static void
add_raw(struct output *out, const char *s, size_t n)
{
	buf_add(&out->word, s, n);
	out->in_word = true;
}

static void
add_split(struct output *out, const char *s, size_t n)
{
	for (; n > 0; s++, n--) {
		if (!isspace((unsigned char)*s))
			add_raw(out, s, 1);
		else if (out->in_word)
			push_word(out);
	}
}

static void
output_free(struct output *out)
{
	size_t i;

	buf_free(&out->text);
	buf_free(&out->word);
	for (i = 0; i < out->nwords; i++)
		free(out->words[i]);
	free(out->words);
}

static char *
take_text(struct output *out)
{
	char *s;

	s = xstrndup(out->text.len == 0 ? "" : (const char *)out->text.data,
	    out->text.len);
	output_free(out);
	return (s);
}

static int
single_quote(struct lexer *lx, struct buf *b)
{
	const char *end = strchr(lx->p + 1, '\'');
	size_t raw = lx->flags & DOCKERFILE_WORDS_RAWQUOTES ? 1 : 0;

	if (end == NULL)
		return (lex_fail(lx,
		    "unexpected end of statement while "
		    "looking for matching single-quote"));
	buf_add(b, lx->p + 1 - raw, (size_t)(end - lx->p) - 1 + 2 * raw);
	lx->p = end + 1;
	return (0);
}

/* The name behind a dollar sign; "" when there is none. */
static char *
take_name(struct lexer *lx)
{
	const char *s = lx->p;

	if (isdigit((unsigned char)*s)) {
		while (isdigit((unsigned char)*lx->p))
			lx->p++;
	} else if (*s != '\0' && strchr("@*#?-$!", *s) != NULL)
		lx->p++;
	else {
		/* Letters of other scripts count as letters. */
		while (isalnum((unsigned char)*lx->p) || *lx->p == '_' ||
		    (unsigned char)*lx->p >= 0x80)
			lx->p++;
	}
	return (xstrndup(s, (size_t)(lx->p - s)));
}

/* The word within ${} up to stop, which is consumed; NULL on error. */
static char *
take_operand(struct lexer *lx, char stop, bool rawescapes)
{
	struct output out = { 0 };

	if (lx->depth == MAX_DEPTH) {
		lex_fail(lx, "variables are nested too deeply");
		return (NULL);
	}
	lx->depth++;
	if (expand_until(lx, stop, rawescapes, &out) == -1) {
		if (*lx->p == '\0')
			lex_fail(lx, "syntax error: missing '%c'%s", stop,
			    stop == '/' ? " in ${}" : "");
		output_free(&out);
		return (NULL);
	}
	lx->depth--;
	return (take_text(&out));
}

static int
add_value(struct lexer *lx, struct buf *b, const char *s)
{
	size_t n = strlen(s);

	if (b->len + n > DOCKERFILE_MAX_WORD)
		return (lex_fail(lx, "a word expands to more than %d bytes",
		    DOCKERFILE_MAX_WORD));
	buf_add(b, s, n);
	return (spend(lx, n + 1));
}

static int
complain(struct lexer *lx, const char *name, const char *word, const char *what)
{
	if (*word != '\0')
		return (lex_fail(lx, "%s: %s", name, word));
	return (lex_fail(lx, "%s: is not allowed to be %s", name, what));
}

/* ${name#pattern} and its like: remove a match at one end. */
static int
trim(struct lexer *lx, const char *value, char op, const char *word,
    struct buf *b)
{
	char *s, err[128];
	bool greedy = *word == op;
	int ret;

	if (greedy)
		word++;
	if (spend(lx, dockerfile_pattern_cost(word, value, false)) == -1)
		return (-1);
	s = dockerfile_pattern_trim(word, value, op == '%', greedy, err,
	    sizeof(err));
	if (s == NULL)
		return (lex_fail(lx, "invalid pattern (%s) in substitution: %s",
		    word, err));
	ret = add_value(lx, b, s);
	free(s);
	return (ret);
}

/* ${name-word} ${name+word} ${name?word} ${name#word} ${name%word} */
static int
modify(struct lexer *lx, const char *name, const char *value, char op,
    bool colon, struct buf *b)
{
	char *word;
	bool absent;
	int ret = -1;

	word = take_operand(lx, '}', op == '#' || op == '%');
	if (word == NULL)
		return (-1);
	absent = value == NULL || (colon && *value == '\0');
	if (value == NULL && (lx->flags & DOCKERFILE_WORDS_UNSET)) {
		char *s =
		    xasprintf("${%s%s%c%s}", name, colon ? ":" : "", op, word);
		ret = add_value(lx, b, s);
		free(s);
	} else if (op == '-')
		ret = add_value(lx, b, absent ? word : value);
	else if (op == '+')
		ret = add_value(lx, b, absent ? "" : word);
	else if (op == '?' && absent)
		ret =
		    complain(lx, name, word, value == NULL ? "unset" : "empty");
	else if (op == '?')
		ret = add_value(lx, b, value);
	else
		ret = trim(lx, value == NULL ? "" : value, op, word, b);
	free(word);
	return (ret);
}

/* ${name/pattern/replacement} */
static int
replace(struct lexer *lx, const char *name, const char *value, struct buf *b)
{
	char *pat = NULL, *repl = NULL, *s = NULL, err[128];
	bool all = *lx->p == '/';
	int ret = -1;

	if (all)
		lx->p++;
	if ((pat = take_operand(lx, '/', true)) == NULL ||
	    (repl = take_operand(lx, '}', true)) == NULL)
		goto out;
	if (value == NULL && (lx->flags & DOCKERFILE_WORDS_UNSET)) {
		s = xasprintf("${%s/%s/%s}", name, pat, repl);
		ret = add_value(lx, b, s);
		goto out;
	}
	if (value == NULL)
		value = "";
	if (spend(lx, dockerfile_pattern_cost(pat, value, true)) == -1)
		goto out;
	s = dockerfile_pattern_replace(pat, value, repl, all,
	    DOCKERFILE_MAX_WORD, err, sizeof(err));
	if (s == NULL)
		lex_fail(lx, "invalid pattern (%s) in substitution: %s", pat,
		    err);
	else
		ret = add_value(lx, b, s);
out:
	free(pat);
	free(repl);
	free(s);
	return (ret);
}

static const char *
lookup(const struct lexer *lx, const char *name)
{
	return (lx->env == NULL ? NULL : dockerfile_env_get(lx->env, name));
}

static int
plain(struct lexer *lx, const char *name, bool braces, struct buf *b)
{
	const char *value = lookup(lx, name);
	char *s;
	int ret;

	if (value != NULL)
		return (add_value(lx, b, value));
	if (!(lx->flags & DOCKERFILE_WORDS_UNSET))
		return (spend(lx, 1));
	s = xasprintf(braces ? "${%s}" : "$%s", name);
	ret = add_value(lx, b, s);
	free(s);
	return (ret);
}

/* Behind "${": the name and what follows it. */
static int
braced(struct lexer *lx, struct buf *b)
{
	const char *value;
	char *name, op;
	bool colon = false;
	int ret;

	if (*lx->p == '\0')
		return (lex_fail(lx, "syntax error: missing '}'"));
	if (*lx->p == '{' || *lx->p == '}' || *lx->p == ':')
		return (lex_fail(lx, "syntax error: bad substitution"));
	name = take_name(lx);
	value = lookup(lx, name);
	op = *lx->p;
	if (op != '\0')
		lx->p++;
	if (op == ':') {
		colon = true;
		op = *lx->p;
		if (op != '\0')
			lx->p++;
	}
	if (op == '}' && !colon)
		ret = plain(lx, name, true, b);
	else if (op == '/' && !colon)
		ret = replace(lx, name, value, b);
	else if (op != '\0' && strchr(colon ? "+-?" : "+-?#%", op) != NULL)
		ret = modify(lx, name, value, op, colon, b);
	else if (op == '\0')
		ret = lex_fail(lx, "syntax error: missing '}'");
	else
		ret = lex_fail(lx,
		    "unsupported modifier (%s%c) in "
		    "substitution",
		    colon ? ":" : "", isprint((unsigned char)op) ? op : '?');
	free(name);
	return (ret);
}

static int
dollar(struct lexer *lx, struct buf *b)
{
	char *name;
	int ret;

	lx->p++;
	if (*lx->p == '{') {
		lx->p++;
		return (braced(lx, b));
	}
	name = take_name(lx);
	if (*name == '\0')
		ret = add_value(lx, b, "$");
	else
		ret = plain(lx, name, false, b);
	free(name);
	return (ret);
}

static int
double_quote(struct lexer *lx, struct buf *b)
{
	bool raw = lx->flags & DOCKERFILE_WORDS_RAWQUOTES;

	lx->p++;
	if (raw)
		buf_add(b, "\"", 1);
	while (*lx->p != '"') {
		if (*lx->p == '\0')
			return (lex_fail(lx,
			    "unexpected end of statement "
			    "while looking for matching double-quote"));
		if (*lx->p == '$') {
			if (dollar(lx, b) == -1)
				return (-1);
			continue;
		}
		if (*lx->p == lx->escape) {
			if (lx->rawescapes)
				buf_add(b, lx->p, 1);
			/* Other escaped characters keep the escape. */
			if (lx->p[1] == '"' || lx->p[1] == '$' ||
			    lx->p[1] == lx->escape)
				lx->p++;
			else if (lx->p[1] == '\0') {
				lx->p++;
				continue;
			}
		}
		buf_add(b, lx->p++, 1);
	}
	lx->p++;
	if (raw)
		buf_add(b, "\"", 1);
	return (0);
}

/* "<<" with the blanks behind it belongs to the word that follows. */
static void
angle(struct lexer *lx, struct buf *b)
{
	buf_add(b, lx->p++, 1);
	if (*lx->p != '<')
		return;
	buf_add(b, lx->p++, 1);
	while (*lx->p == ' ' || *lx->p == '\t' || *lx->p == '\r')
		buf_add(b, lx->p++, 1);
}

/* A character that is nothing special, or an escaped one. */
static void
ordinary(struct lexer *lx, struct output *out)
{
	char c = *lx->p++;

	if (c != lx->escape) {
		add_split(out, &c, 1);
		buf_add(&out->text, &c, 1);
		return;
	}
	if (lx->rawescapes) {
		add_raw(out, &c, 1);
		buf_add(&out->text, &c, 1);
	}
	if (*lx->p == '\0')
		return;
	add_raw(out, lx->p, 1);
	buf_add(&out->text, lx->p++, 1);
}

/* $..., quotes and "<": 1 done, 0 not one of them. */
static int
special(struct lexer *lx, struct output *out)
{
	struct buf b = { 0 };
	char c = *lx->p;
	int ret = 0;

	if (c == '$')
		ret = dollar(lx, &b);
	else if (c == '\'')
		ret = single_quote(lx, &b);
	else if (c == '"')
		ret = double_quote(lx, &b);
	else if (c == '<')
		angle(lx, &b);
	else
		return (0);
	if (ret == 0) {
		if (c == '$')
			add_split(out, (const char *)b.data, b.len);
		else
			add_raw(out, (const char *)b.data, b.len);
		buf_add(&out->text, b.data, b.len);
		ret = spend(lx, b.len + 1);
	}
	buf_free(&b);
	return (ret == -1 ? -1 : 1);
}

/* Up to stop, which is consumed, or with '\0' to the end. */
static int
expand_until(struct lexer *lx, char stop, bool rawescapes, struct output *out)
{
	bool saved = lx->rawescapes;
	int ret;

	lx->rawescapes = rawescapes;
	while (*lx->p != '\0' && *lx->p != stop) {
		if ((ret = special(lx, out)) == -1)
			return (-1);
		if (ret == 0)
			ordinary(lx, out);
		if (lx->env != NULL && out->text.len > DOCKERFILE_MAX_WORD)
			return (lex_fail(lx,
			    "a word expands to more than %d "
			    "bytes",
			    DOCKERFILE_MAX_WORD));
	}
	lx->rawescapes = saved;
	if (*lx->p != stop)
		return (lex_fail(lx,
		    "unexpected end of statement while "
		    "looking for matching %c",
		    stop));
	if (stop != '\0')
		lx->p++;
	push_word(out);
	return (0);
}

static int
run(const char *text, char escape, const struct dockerfile_env *env, int flags,
    struct output *out, char *errbuf, size_t errlen)
{
	struct lexer lx = { 0 };
	char why[256];

	lx.p = text;
	lx.env = env;
	lx.escape = escape;
	lx.flags = flags;
	lx.err = why;
	lx.errlen = sizeof(why);
	if (expand_until(&lx, '\0', flags & DOCKERFILE_WORDS_RAWESCAPES, out) ==
	    -1) {
		snprintf(errbuf, errlen, "failed to process \"%.80s\": %s",
		    text, why);
		return (-1);
	}
	return (0);
}

char *
dockerfile_expand(const char *word, char escape,
    const struct dockerfile_env *env, char *errbuf, size_t errlen)
{
	struct output out = { 0 };

	if (run(word, escape, env, 0, &out, errbuf, errlen) == -1) {
		output_free(&out);
		return (NULL);
	}
	return (take_text(&out));
}

int
dockerfile_words(const char *text, char escape,
    const struct dockerfile_env *env, int flags, char ***words, size_t *n,
    char *errbuf, size_t errlen)
{
	struct output out = { 0 };

	*words = NULL;
	*n = 0;
	if (run(text, escape, env, flags, &out, errbuf, errlen) == -1) {
		output_free(&out);
		return (-1);
	}
	*words = out.words;
	*n = out.nwords;
	out.words = NULL;
	out.nwords = 0;
	output_free(&out);
	return (0);
}

void
dockerfile_words_free(char **words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(words[i]);
	free(words);
}
