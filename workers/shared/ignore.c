/*
 * .dockerignore: reading the file, and the walk that decides on a path.
 * Pure code, any process.  The patterns themselves: ignore_pattern.c.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/shared/ignore.h"
#include "workers/shared/ignore_pattern.h"
#include "workers/shared/ignore_regex.h"
#include "workers/shared/path_clean.h"
#include "workers/shared/utf8.h"

struct ignore {
	struct ignore_pattern *pat;
	size_t n, cap;
};

struct ignore_state {
	uint64_t bits[1]; /* as many as the patterns need */
};

static int
error_set(struct ignore_error *err, unsigned line, const char *why)
{
	if (err != NULL) {
		err->line = line;
		snprintf(err->text, sizeof(err->text), "%s", why);
	}
	return (-1);
}

/* unicode.IsSpace */
static bool
is_space(uint32_t r)
{
	return ((r >= '\t' && r <= '\r') || r == ' ' || r == 0x85 ||
	    r == 0xa0 || r == 0x1680 || (r >= 0x2000 && r <= 0x200a) ||
	    r == 0x2028 || r == 0x2029 || r == 0x202f || r == 0x205f ||
	    r == 0x3000);
}

/* strings.TrimSpace */
static void
trim(const char **s, size_t *len)
{
	uint32_t rune;
	size_t at, end = 0, width;

	while (*len > 0) {
		width = utf8_decode(*s, *len, &rune);
		if (!is_space(rune))
			break;
		*s += width;
		*len -= width;
	}
	for (at = 0; at < *len; at += width) {
		width = utf8_decode(*s + at, *len - at, &rune);
		if (!is_space(rune))
			end = at + width;
	}
	*len = end;
}

/* Takes `text`, cleaned; what remains of patternmatcher.New. */
static int
pattern_add(struct ignore *ig, char *text, size_t len, unsigned line,
    struct ignore_error *err)
{
	struct ignore_pattern *pat;
	const char *why;

	if (ig->n == ig->cap) {
		ig->cap = ig->cap * 2 + 16;
		ig->pat = xreallocarray(ig->pat, ig->cap, sizeof(*pat));
	}
	pat = &ig->pat[ig->n++];
	memset(pat, 0, sizeof(*pat));
	pat->text = text;
	pat->line = line;
	pat->exception = text[0] == '!';
	pat->p = text + pat->exception;
	pat->len = len - pat->exception;
	if (pat->len == 0)
		return (error_set(err, line, "'!' without a pattern"));
	if ((why = ignore_pattern_check(pat->p, pat->len)) != NULL)
		return (error_set(err, line, why));
	if (ignore_pattern_compile(pat) == -1)
		return (error_set(err, line, "no memory"));
	return (0);
}

/* What patternmatcher.New does with one pattern; blank ones are skipped. */
static int
pattern_new(struct ignore *ig, const char *s, size_t len, unsigned line,
    struct ignore_error *err)
{
	char *text;

	trim(&s, &len);
	if (len == 0)
		return (0);
	if (len >= IGNORE_LINE_MAX)
		return (error_set(err, line, "the pattern is too long"));
	if (ig->n == IGNORE_PATTERNS_MAX)
		return (error_set(err, line, "too many patterns"));
	text = path_clean(s, len, &len);
	return (pattern_add(ig, text, len, line, err));
}

/* The cleaning of the file's reader, in a copy: '!' stays, one '/' goes. */
static int
line_clean(struct ignore *ig, const char *s, size_t len, bool exception,
    unsigned line, struct ignore_error *err)
{
	char *clean = NULL, *text = NULL;
	const char *p = "";
	int r;

	if (len > 0) {
		clean = path_clean(s, len, &len);
		p = clean;
		if (len > 1 && p[0] == '/') {
			p++;
			len--;
		}
	}
	text = xreallocarray(NULL, len + 2, 1);
	text[0] = '!';
	memcpy(text + 1, p, len);
	r = pattern_new(ig, text + !exception, len + exception, line, err);
	free(text);
	free(clean);
	return (r);
}

static int
line_read(struct ignore *ig, const char *s, size_t len, unsigned line,
    struct ignore_error *err)
{
	bool exception;

	if (len >= IGNORE_LINE_MAX)
		return (error_set(err, line, "the line is too long"));
	if (line == 1 && len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) {
		s += 3;
		len -= 3;
	}
	if (len > 0 && s[0] == '#')
		return (0);
	trim(&s, &len);
	if (len == 0)
		return (0);
	exception = s[0] == '!';
	if (exception) {
		s++;
		len--;
		trim(&s, &len);
	}
	return (line_clean(ig, s, len, exception, line, err));
}

struct ignore *
ignore_parse(const char *text, size_t len, struct ignore_error *err)
{
	struct ignore *ig;
	const char *end = text + len, *nl;
	unsigned line = 0;

	if (len > IGNORE_FILE_MAX) {
		error_set(err, 0, "the file is too large");
		return (NULL);
	}
	ig = xcalloc(1, sizeof(*ig));
	while (text < end) {
		if ((nl = memchr(text, '\n', (size_t)(end - text))) == NULL)
			nl = end;
		if (line_read(ig, text, (size_t)(nl - text), ++line, err) ==
		    -1) {
			ignore_free(ig);
			return (NULL);
		}
		text = nl < end ? nl + 1 : end;
	}
	return (ig);
}

struct ignore *
ignore_from_patterns(const char *const *patterns, size_t n,
    struct ignore_error *err)
{
	struct ignore *ig;
	size_t i;

	ig = xcalloc(1, sizeof(*ig));
	for (i = 0; i < n; i++) {
		if (pattern_new(ig, patterns[i], strlen(patterns[i]),
			(unsigned)i + 1, err) == -1) {
			ignore_free(ig);
			return (NULL);
		}
	}
	return (ig);
}

void
ignore_free(struct ignore *ig)
{
	size_t i;

	if (ig == NULL)
		return;
	for (i = 0; i < ig->n; i++) {
		free(ig->pat[i].text);
		ignore_regex_free(ig->pat[i].regex);
	}
	free(ig->pat);
	free(ig);
}

size_t
ignore_count(const struct ignore *ig)
{
	return (ig->n);
}

struct ignore_state *
ignore_state_new(const struct ignore *ig)
{
	return (xcalloc(1,
	    sizeof(struct ignore_state) + ig->n / 64 * sizeof(uint64_t)));
}

void
ignore_state_free(struct ignore_state *st)
{
	free(st);
}

static bool
state_has(const struct ignore_state *st, size_t i)
{
	return (st != NULL && (st->bits[i / 64] >> i % 64 & 1) != 0);
}

static void
state_put(struct ignore_state *st, size_t i, bool on)
{
	if (st == NULL)
		return;
	st->bits[i / 64] &= ~(UINT64_C(1) << i % 64);
	st->bits[i / 64] |= (uint64_t)on << i % 64;
}

static void
match_set(struct ignore_match *m, const struct ignore_pattern *pat)
{
	m->line = pat->line;
	m->pattern = pat->text;
	m->error = pat->error;
}

/*
 * MatchesUsingParentResults: a pattern that matched a parent counts at once;
 * else a positive pattern is looked at only while nothing excludes the path,
 * an exception only while something does.
 */
int
ignore_walk(const struct ignore *ig, const struct ignore_state *parent,
    const char *path, size_t len, struct ignore_state *out,
    struct ignore_match *m)
{
	const struct ignore_pattern *pat;
	bool hit;
	size_t i;

	memset(m, 0, sizeof(*m));
	for (i = 0; i < ig->n; i++) {
		pat = &ig->pat[i];
		hit = state_has(parent, i);
		if (!hit && pat->exception == m->excluded) {
			if (pat->error != NULL) {
				match_set(m, pat);
				return (-1);
			}
			hit = ignore_pattern_match(pat, path, len);
		}
		state_put(out, i, hit);
		if (hit && pat->exception == m->excluded) {
			m->excluded = !pat->exception;
			match_set(m, pat);
		}
	}
	return (0);
}

/* Walks through the parents of a clean path, then to it. */
static int
walk_down(const struct ignore *ig, const char *path, size_t len,
    struct ignore_state *st, struct ignore_match *m)
{
	size_t i;

	/* Go splits "/a" into "" and "a", and takes "/" for its parent. */
	if (path[0] == '/') {
		if (ignore_walk(ig, st, "", 0, st, m) == -1)
			return (-1);
		if (memrchr(path, '/', len) == path &&
		    ignore_walk(ig, st, "/", 1, st, m) == -1)
			return (-1);
	}
	for (i = 1; i < len; i++)
		if (path[i] == '/' && ignore_walk(ig, st, path, i, st, m) == -1)
			return (-1);
	return (ignore_walk(ig, st, path, len, st, m));
}

int
ignore_path(const struct ignore *ig, const char *path, size_t len,
    struct ignore_match *m, struct ignore_error *err)
{
	struct ignore_state *st;
	char *clean;
	int r = -1;

	memset(m, 0, sizeof(*m));
	st = ignore_state_new(ig);
	clean = path_clean(path, len, &len);
	if (st == NULL || clean == NULL)
		error_set(err, 0, "no memory");
	else if (len == 1 && clean[0] == '.')
		r = 0;
	else if ((r = walk_down(ig, clean, len, st, m)) == -1)
		error_set(err, m->line, m->error);
	free(clean);
	ignore_state_free(st);
	return (r);
}

/*
 * What lies below inherits the pattern that excluded the directory, so that
 * only exceptions behind that one can bring something back.
 */
bool
ignore_may_include_below(const struct ignore *ig, const char *dir, size_t len)
{
	struct ignore_match m;
	size_t i;
	char *slashed;
	bool may = false;

	if ((slashed = path_clean(dir, len, &len)) == NULL)
		return (true);
	if (ignore_path(ig, slashed, len, &m, NULL) == -1 || !m.excluded) {
		free(slashed);
		return (true);
	}
	slashed[len++] = '/';
	for (i = ig->n; i-- > 0 && !may;) {
		if (ig->pat[i].text == m.pattern)
			break;
		if (ig->pat[i].exception)
			may = ig->pat[i].error != NULL ||
			    ignore_pattern_may_follow(&ig->pat[i], slashed,
				len);
	}
	free(slashed);
	return (may);
}

int
ignore_names(const char *dockerfile, struct ignore_names *names)
{
	names->common = ".dockerignore";
	if (asprintf(&names->own, "%s.dockerignore", dockerfile) == -1) {
		names->own = NULL;
		return (-1);
	}
	return (0);
}
