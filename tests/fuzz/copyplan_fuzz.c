/*
 * The live-push planner over a hostile Dockerfile: the first lines are base
 * image facts and paths, the rest is the file.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/shared/copyplan.h"
#include "tests/fuzz/fuzz.h"

static const char *const tree[] = { "a", "a/b", "a/b/c.js", "a/x.md", "d.tar",
	"e f", "link", "pkg.json" };

#define TREE_N (sizeof(tree) / sizeof(tree[0]))

static enum copyplan_type
ask_type(void *arg, const char *path)
{
	size_t n = strlen(path);

	if (n == 0)
		return (COPYPLAN_DIR);
	for (size_t i = 0; i < TREE_N; i++) {
		if (strncmp(tree[i], path, n) == 0 && tree[i][n] == '/')
			return (COPYPLAN_DIR);
		if (strcmp(tree[i], path) == 0 &&
		    (i + 1 == TREE_N || strncmp(tree[i + 1], path, n) != 0 ||
			tree[i + 1][n] != '/'))
			return (COPYPLAN_FILE);
	}
	return (COPYPLAN_ABSENT);
}

static void
ask_list(void *arg, const char *dir,
    int (*fn)(void *fnarg, const char *name, bool isdir), void *fnarg)
{
	size_t n = strlen(dir);

	for (size_t i = 0; i < TREE_N; i++) {
		const char *name = tree[i] + (n > 0 ? n + 1 : 0);

		if (n > 0 &&
		    (strncmp(tree[i], dir, n) != 0 || tree[i][n] != '/'))
			continue;
		if (strchr(name, '/') != NULL)
			continue;
		if (fn(fnarg, name, ask_type(NULL, tree[i]) == COPYPLAN_DIR))
			return;
	}
}

static char *
ask_resolve(void *arg, const char *path)
{
	return (strcmp(path, "link") == 0 ? xstrdup("a/b") : NULL);
}

static enum copyplan_answer
ask_archive(void *arg, const char *path)
{
	return (strcmp(path, "d.tar") == 0 ? COPYPLAN_YES : COPYPLAN_NO);
}

static enum copyplan_answer
ask_destdir(void *arg, const char *path)
{
	HOLDS(path[0] == '/');
	return ((enum copyplan_answer)(strlen(path) % 3));
}

static int
on_file(void *arg, const char *from, const char *to)
{
	HOLDS(from[0] != '/' && to[0] == '/');
	HOLDS(strstr(to, "/../") == NULL);
	return (0);
}

static void
plan_look(struct copyplan *p, const struct push_plan *pp)
{
	HOLDS(memchr(pp->reason, '\0', sizeof(pp->reason)) != NULL);
	for (size_t i = 0; i < pp->nstages; i++)
		for (size_t j = 0; j < pp->stages[i].nops; j++) {
			const struct push_op *op = &pp->stages[i].ops[j];

			HOLDS(op->step < copyplan_nsteps(p));
			for (size_t k = 0; k < op->nfiles; k++)
				HOLDS(op->files[k].to[0] == '/');
			for (size_t k = 0; k < op->npaths; k++)
				HOLDS(op->paths[k][0] == '/');
			if (op->kind == PUSH_RUN)
				HOLDS(copyplan_step(p, op->step)->nargv > 0 ||
				    pp->rebuild);
		}
}

static void
plan_try(struct copyplan *p, const char *changed, const char *deleted)
{
	struct copyplan_place *places;
	struct push_plan *pp;
	size_t n;

	for (size_t i = 0; i < copyplan_nsteps(p); i++) {
		copyplan_step_in_target(p, i);
		if (copyplan_step(p, i)->kind == COPYPLAN_COPY)
			copyplan_files(p, i, on_file, NULL);
	}
	for (size_t i = 0; i < TREE_N; i++) {
		copyplan_map(p, tree[i], i == 0, &places, &n);
		for (size_t j = 0; j < n; j++)
			HOLDS(places[j].dest[0] == '/');
		copyplan_places_free(places, n);
	}
	copyplan_rescan(p);
	pp = copyplan_changes(p, &changed, 1, &deleted, 1);
	plan_look(p, pp);
	copyplan_dir_stays(p, "/app/a");
	push_plan_free(pp);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	unsigned how = fuzz_u8(&in);
	const char *shell[] = { NULL, "-c", NULL };
	struct copyplan_options opt = { .exact = how & 1,
		.dockerfile = "Dockerfile",
		.base_shell = how & 2 ? shell : NULL,
		.oracle = { NULL, ask_type, ask_list, ask_resolve, ask_archive,
		    ask_destdir } };
	const char *changed = tree[how >> 2 & 7], *deleted = tree[how >> 5];
	char *workdir = fuzz_str(&in), *sh = fuzz_str(&in);
	struct dockerfile_error err = { 0 };
	struct dockerfile *df;
	struct copyplan *p;

	if (*workdir != '\0')
		opt.base_workdir = workdir;
	if (*sh != '\0')
		shell[0] = sh;
	df = dockerfile_parse((const char *)in.p, in.n, &err);
	if (df != NULL) {
		p = copyplan_new(df, &opt, &err);
		if (p != NULL)
			plan_try(p, changed, deleted);
		else
			HOLDS(err.text[0] != '\0');
		copyplan_free(p);
	}
	dockerfile_free(df);
	free(workdir);
	free(sh);
	return (0);
}
