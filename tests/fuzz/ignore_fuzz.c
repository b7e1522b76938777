/*
 * Ignore rules: the first byte says how many lines are rules, the others are
 * paths.  Two ways to ask must agree, twice; and what is not entered holds
 * nothing that is wanted.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/shared/ignore.h"
#include "workers/shared/path_clean.h"
#include "workers/shared/tree.h"
#include "tests/fuzz/fuzz.h"

static void
ignore_same(const struct ignore_match *a, const struct ignore_match *b)
{
	HOLDS(a->excluded == b->excluded);
	HOLDS(a->line == b->line && a->pattern == b->pattern);
}

/* As a walker asks: component by component. */
static int
ignore_by_steps(const struct ignore *ig, const char *path,
    struct ignore_match *m, bool *pruned)
{
	struct ignore_state *st = NULL, *next;
	const char *p = path;
	size_t n;
	int r = 0;

	*pruned = false;
	for (;;) {
		n = (size_t)(p - path) + strcspn(p, "/");
		next = ignore_state_new(ig);
		r = ignore_walk(ig, st, path, n, next, m);
		ignore_state_free(st);
		st = next;
		if (r == -1 || path[n] == '\0')
			break;
		if (m->excluded && !ignore_may_include_below(ig, path, n))
			*pruned = true;
		p = path + n + 1;
	}
	ignore_state_free(st);
	return (r);
}

static void
ignore_ask(const struct ignore *ig, const char *path)
{
	struct ignore_match a, b;
	struct ignore_error err = { 0 };
	size_t n = strlen(path);
	bool pruned;
	int r = ignore_path(ig, path, n, &a, &err);

	HOLDS(ignore_path(ig, path, n, &b, &err) == r);
	if (r == -1) {
		HOLDS(err.text[0] != '\0');
		fuzz_printable(err.text, strlen(err.text), false);
		return;
	}
	ignore_same(&a, &b);
	HOLDS((a.line == 0) == (a.pattern == NULL));
	if (!tree_path_ok(path) || path[0] == '\0')
		return;
	r = ignore_by_steps(ig, path, &b, &pruned);
	HOLDS(r == 0);
	ignore_same(&a, &b);
	HOLDS(a.excluded || !pruned);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	size_t lines = fuzz_u8(&in) % 16, n = 0;
	struct ignore_error err = { 0 };
	struct ignore *ig;
	char *path;

	for (; n < in.n && lines > 0; n++)
		lines -= in.p[n] == '\n';
	ig = ignore_parse((const char *)in.p, n, &err);
	in.p += n;
	in.n -= n;
	if (ig == NULL) {
		HOLDS(err.text[0] != '\0');
		fuzz_printable(err.text, strlen(err.text), false);
		return (0);
	}
	for (int i = 0; i < 8 && in.n > 0; i++) {
		path = fuzz_str(&in);
		ignore_ask(ig, path);
		free(path);
	}
	ignore_free(ig);
	return (0);
}
