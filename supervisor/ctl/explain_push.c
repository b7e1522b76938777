/*
 * "wharfctl explain push": what a live push would do with these changes.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "include/buf.h"
#include "supervisor/ctl/explain_build.h"
#include "supervisor/ctl/explain_context.h"
#include "supervisor/ctl/explain_push.h"
#include "workers/shared/copyplan.h"
#include "workers/shared/json.h"

static int
usage(FILE *err)
{
	fprintf(err,
	    "usage: wharfctl explain push [-C CONTEXT] "
	    "[-f DOCKERFILE] [--target T]\n"
	    "           [--platform P] [--build-arg K=V]...\n"
	    "           [--changed P]... [--deleted P]...\n");
	return (EX_USAGE);
}

static void
print_copy(const struct copyplan_step *s, const struct push_op *op, cJSON *o)
{
	cJSON *list, *f;
	size_t i;

	list = json_add_arr(o, "files");
	for (i = 0; i < op->nfiles; i++) {
		f = json_push_obj(list);
		json_add_str(f, "from", op->files[i].from);
		json_add_str(f, "to", op->files[i].to);
		if (op->files[i].dir)
			json_add_bool(f, "dir", true);
	}
	if (s->chown != NULL)
		json_add_str(o, "chown", s->chown);
	if (s->chmod != NULL)
		json_add_str(o, "chmod", s->chmod);
}

static void
print_run(const struct copyplan_step *s, cJSON *o)
{
	cJSON *list;
	size_t i;

	list = json_add_arr(o, "argv");
	for (i = 0; i < s->nargv; i++)
		json_push_str(list, s->argv[i]);
	list = json_add_obj(o, "env");
	for (i = 0; i < s->env->nvars; i++)
		json_add_str(list, s->env->vars[i].name, s->env->vars[i].value);
	json_add_str(o, "user", s->user);
	json_add_str(o, "workdir", s->workdir);
	if (s->nunset == 0)
		return;
	list = json_add_arr(o, "unset");
	for (i = 0; i < s->nunset; i++)
		json_push_str(list, s->unset[i]);
}

static void
print_op(const struct copyplan *p, const struct push_op *op, cJSON *o)
{
	static const char *const names[] = {
		[PUSH_COPY] = "copy",
		[PUSH_DELETE] = "delete",
		[PUSH_RUN] = "run",
		[PUSH_STAGECOPY] = "stagecopy",
	};
	const struct copyplan_step *s = copyplan_step(p, op->step);
	cJSON *list;
	size_t i;

	json_add_str(o, "op", names[op->kind]);
	json_add_u64(o, "line", op->line);
	if (op->kind == PUSH_COPY)
		print_copy(s, op, o);
	else if (op->kind == PUSH_RUN)
		print_run(s, o);
	else if (op->kind == PUSH_DELETE) {
		list = json_add_arr(o, "paths");
		for (i = 0; i < op->npaths; i++)
			json_push_str(list, op->paths[i]);
	} else {
		json_add_u64(o, "stage", s->from);
		json_add_str(o, "from", op->from);
		json_add_str(o, "to", op->to);
	}
	if (op->refresh)
		json_add_bool(o, "refresh", true);
}

/*
 * The steps of a stage.  A COPY of which nothing changed is no step of this
 * push; that it is sent again because a RUN before it is replayed stands
 * beside, as "refresh": [line...].
 */
static void
print_stage(const struct copyplan *p, const struct push_stage *st, cJSON *o)
{
	const char *name = copyplan_graph(p)->stages[st->index].name;
	cJSON *steps, *again;
	size_t i;

	json_add_u64(o, "index", st->index);
	json_add_str(o, "name", name == NULL ? "" : name);
	steps = json_add_arr(o, "steps");
	again = json_add_arr(o, "refresh");
	for (i = 0; i < st->nops; i++) {
		const struct push_op *op = &st->ops[i];

		if (op->kind == PUSH_COPY && op->refresh && op->nfiles == 0)
			json_push_u64(again, op->line);
		else
			print_op(p, op, json_push_obj(steps));
	}
}

static int
print_plan(const struct copyplan *p, const struct push_plan *pp, FILE *out)
{
	cJSON *root, *stages;
	size_t i;
	int code = EX_OK;

	root = cJSON_CreateObject();
	json_add_bool(root, "needed", pp->needed);
	json_add_bool(root, "restart", pp->restart);
	json_add_bool(root, "rebuild", pp->rebuild);
	json_add_bool(root, "needs_stage_containers",
	    pp->needs_stage_containers);
	json_add_str(root, "reason", pp->reason);
	stages = json_add_arr(root, "stages");
	for (i = 0; i < pp->nstages; i++)
		print_stage(p, &pp->stages[i], json_push_obj(stages));
	if (json_write_line(out, root) == -1)
		code = EX_IOERR;
	cJSON_Delete(root);
	return (code);
}

struct request {
	const char *context;
	const char *path; /* of the Dockerfile, or NULL */
	struct copyplan_options opt;
	struct explain_paths changed;
	struct explain_paths deleted;
};

static int
plan(const struct request *rq, const struct dockerfile *df, const char *path,
    FILE *out, FILE *err)
{
	struct dockerfile_error e;
	struct copyplan *p;
	struct push_plan *pp;
	int code;

	if ((p = copyplan_new(df, &rq->opt, &e)) == NULL)
		return (explain_complain(path, &e, err));
	pp = copyplan_changes(p, rq->changed.v, rq->changed.n, rq->deleted.v,
	    rq->deleted.n);
	code = print_plan(p, pp, out);
	push_plan_free(pp);
	copyplan_free(p);
	return (code);
}

static int
run(struct request *rq, FILE *out, FILE *err)
{
	struct explain_context *ctx = NULL;
	struct dockerfile *df = NULL;
	char *path;
	int code;

	path = rq->path != NULL ? xstrdup(rq->path) :
				  xasprintf("%s/Dockerfile", rq->context);
	if ((code = explain_dockerfile(path, &df, err)) == 0 &&
	    (code = explain_context_open(rq->context, path, &rq->changed,
		 &rq->deleted, &ctx, err)) == 0) {
		explain_context_fill(ctx, &rq->opt);
		code = plan(rq, df, path, out, err);
	}
	explain_context_close(ctx);
	dockerfile_free(df);
	free(path);
	return (code);
}

static int
take_option(struct request *rq, struct dockerfile_env *args, int c, FILE *err)
{
	switch (c) {
	case 'C':
		rq->context = optarg;
		return (0);
	case 'f':
		rq->path = optarg;
		return (0);
	case 't':
		rq->opt.build.target = optarg;
		return (0);
	case 'p':
		rq->opt.build.platform = optarg;
		return (0);
	case 'b':
		return (explain_build_arg(args, optarg, err));
	case 'c':
		explain_paths_add(&rq->changed, optarg);
		return (0);
	case 'd':
		explain_paths_add(&rq->deleted, optarg);
		return (0);
	default:
		return (usage(err));
	}
}

int
explain_push(int argc, char **argv, FILE *out, FILE *err)
{
	static const struct option longs[] = { { "context", required_argument,
						   NULL, 'C' },
		{ "file", required_argument, NULL, 'f' },
		{ "target", required_argument, NULL, 't' },
		{ "platform", required_argument, NULL, 'p' },
		{ "build-arg", required_argument, NULL, 'b' },
		{ "changed", required_argument, NULL, 'c' },
		{ "deleted", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 } };
	struct dockerfile_env *args = dockerfile_env_new();
	struct request rq = { 0 };
	int c, code = 0;

	rq.context = ".";
	rq.opt.build.build_args = args;
	optind = 0;
	opterr = 0;
	while (code == 0 &&
	    (c = getopt_long(argc, argv, "+C:f:", longs, NULL)) != -1)
		code = take_option(&rq, args, c, err);
	if (code == 0 && optind != argc)
		code = usage(err);
	if (code == 0)
		code = run(&rq, out, err);
	explain_paths_free(&rq.changed);
	explain_paths_free(&rq.deleted);
	dockerfile_env_free(args);
	return (code);
}
