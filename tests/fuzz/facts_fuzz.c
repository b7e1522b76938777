/*
 * What push reads out of inspects and stats, and out of an engine's messages.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/push/items.h"
#include "tests/fuzz/fuzz.h"

static void
facts_named(struct fuzz *in)
{
	char a[] = "/app/a", b[] = "/app/b \"q\"", c[] = "/app/\xff\n";
	char root[] = "/", app[] = "/app";
	struct item v[] = { { .to = a, .root = root }, { .to = b, .root = app },
		{ .to = c, .root = app } };
	char *text = fuzz_rest(in);
	const struct item *it = items_named(v, 3, text);

	HOLDS(it == NULL || (it >= v && it < v + 3));
	free(text);
}

static void
facts_link(struct fuzz *in)
{
	char *to = fuzz_str(in), *target = fuzz_str(in), *root;
	char *text = xasprintf("/%s", to);

	root = items_link_root(text, target, "/");
	HOLDS(root == NULL || root[0] == '/');
	free(root);
	root = items_link_root(text, target, "/app");
	if (root != NULL) {
		HOLDS(tree_path_below(text, root) || strcmp(root, "/") == 0);
		/* one that will do, will do */
		free(items_link_root(text, target, root));
	}
	free(root);
	free(text);
	free(to);
	free(target);
}

static void
facts_paths(struct fuzz *in)
{
	struct paths l = { 0 };
	char *s;

	while (in->n > 0) {
		s = fuzz_str(in);
		if (tree_path_ok(s))
			paths_add(&l, s);
		free(s);
	}
	paths_settle(&l);
	for (size_t i = 1; i < l.n; i++) {
		HOLDS(tree_path_cmp(l.v[i - 1], l.v[i]) < 0);
		HOLDS(!tree_path_below(l.v[i], l.v[i - 1]));
	}
	paths_free(&l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	struct facts f = { 0 };
	const struct mount *m;

	switch (fuzz_u8(&in) % 6) {
	case 0:
		facts_container(&f, in.p, in.n);
		m = facts_mount(&f, "/proc/x");
		HOLDS(f.nmounts == 0 || m != NULL);
		facts_mount_below(&f, "/app");
		for (size_t i = 0; i < f.nmounts; i++)
			HOLDS(f.mounts[i].dest[0] == '/');
		break;
	case 1:
		facts_image(&f.image, in.p, in.n);
		break;
	case 2:
		facts_stat_isdir(in.p, in.n);
		break;
	case 3:
		facts_named(&in);
		break;
	case 4:
		facts_link(&in);
		break;
	case 5:
		facts_paths(&in);
		break;
	}
	HOLDS(f.image.shell == NULL || f.image.shell[0] != NULL);
	HOLDS(f.container.shell == NULL || f.container.shell[0] != NULL);
	facts_free(&f);
	return (0);
}
