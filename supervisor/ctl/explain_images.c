/*
 * "wharfctl explain images": the images from outside that a build stands on.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "supervisor/ctl/explain_build.h"
#include "supervisor/ctl/explain_images.h"
#include "workers/shared/dockerfile_graph.h"
#include "workers/shared/json.h"

static int
usage(FILE *err)
{
	fprintf(err,
	    "usage: wharfctl explain images [-f DOCKERFILE] "
	    "[--target T] [--platform P]\n"
	    "           [--build-arg K=V]...\n");
	return (EX_USAGE);
}

static int
print_images(const struct dockerfile_graph *g, FILE *out)
{
	cJSON *root, *list, *item;
	size_t i;
	int code = EX_OK;

	root = cJSON_CreateObject();
	list = json_add_arr(root, "images");
	for (i = 0; i < g->nimages; i++) {
		item = json_push_obj(list);
		json_add_str(item, "ref", g->images[i].ref);
		json_add_u64(item, "line", g->images[i].line);
		json_add_str(item, "instruction",
		    dockerfile_kind_name(g->images[i].kind));
	}
	if (json_write_line(out, root) == -1)
		code = EX_IOERR;
	cJSON_Delete(root);
	return (code);
}

static int
run(const char *path, const struct dockerfile_options *opt, FILE *out,
    FILE *err)
{
	struct dockerfile *df = NULL;
	struct dockerfile_graph *g;
	struct dockerfile_error e;
	int code;

	if ((code = explain_dockerfile(path, &df, err)) != 0)
		return (code);
	g = dockerfile_graph_new(df, opt, &e);
	if (g == NULL)
		code = explain_complain(path, &e, err);
	else
		code = print_images(g, out);
	dockerfile_graph_free(g);
	dockerfile_free(df);
	return (code);
}

int
explain_images(int argc, char **argv, FILE *out, FILE *err)
{
	static const struct option longs[] = { { "file", required_argument,
						   NULL, 'f' },
		{ "target", required_argument, NULL, 't' },
		{ "platform", required_argument, NULL, 'p' },
		{ "build-arg", required_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 } };
	struct dockerfile_options opt = { 0 };
	struct dockerfile_env *args = dockerfile_env_new();
	const char *path = "Dockerfile";
	int c, code = 0;

	opt.build_args = args;
	optind = 0;
	opterr = 0;
	while (code == 0 &&
	    (c = getopt_long(argc, argv, "+f:", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			path = optarg;
			break;
		case 't':
			opt.target = optarg;
			break;
		case 'p':
			opt.platform = optarg;
			break;
		case 'b':
			code = explain_build_arg(args, optarg, err);
			break;
		default:
			code = usage(err);
		}
	}
	if (code == 0 && optind != argc)
		code = usage(err);
	if (code == 0)
		code = run(path, &opt, out, err);
	dockerfile_env_free(args);
	return (code);
}
