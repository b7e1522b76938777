/*
 * Paths as text: what Go's path.Clean promises, and the order of the tree.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/shared/path_clean.h"
#include "workers/shared/tree.h"
#include "tests/fuzz/fuzz.h"

static int
sign(int n)
{
	return ((n > 0) - (n < 0));
}

static void
path_order(const char *a, const char *b, const char *c)
{
	int ab = tree_path_cmp(a, b), bc = tree_path_cmp(b, c);

	HOLDS(sign(ab) == -sign(tree_path_cmp(b, a)));
	HOLDS((ab == 0) == (strcmp(a, b) == 0));
	HOLDS(ab > 0 || bc > 0 || tree_path_cmp(a, c) <= 0);
	/* what lies below is one run behind its directory */
	if (tree_path_below(c, a) && ab <= 0 && bc <= 0)
		HOLDS(tree_path_below(b, a));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	char *a = fuzz_str(&in), *b = fuzz_str(&in), *c = fuzz_rest(&in);
	char *clean, *again;
	size_t n, m;

	clean = path_clean(a, strlen(a), &n);
	HOLDS(clean != NULL && strlen(clean) == n && n > 0);
	HOLDS(strstr(clean, "//") == NULL && strstr(clean, "/./") == NULL);
	HOLDS(n == 1 || clean[n - 1] != '/');
	HOLDS((clean[0] == '/') == (a[0] == '/'));
	HOLDS(clean[0] != '/' || strstr(clean, "/../") == NULL);
	again = path_clean(clean, n, &m);
	HOLDS(again != NULL && n == m && memcmp(clean, again, n) == 0);
	if (tree_path_ok(a) && a[0] != '\0')
		HOLDS(strcmp(a, clean) == 0);
	if (tree_path_ok(a) && tree_path_ok(b) && tree_path_ok(c))
		path_order(a, b, c);
	free(clean);
	free(again);
	free(a);
	free(b);
	free(c);
	return (0);
}
