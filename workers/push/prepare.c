/*
 * What a push has to know of a container, once per attach: its mounts, its
 * images' configuration, and its Dockerfile as a plan.  Push worker.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/push/push.h"

static void
prepare_args(struct service *s)
{
	const struct strings *l = &s->conf->build_args;

	s->args = dockerfile_env_new();
	for (size_t i = 0; i < l->n; i++)
		dockerfile_env_put(s->args, l->v[i]);
}

/* -1: the job has ended. */
static int
prepare_parse(struct task *j)
{
	struct service *s = j->s;
	struct dockerfile_error err = { 0 };
	struct buf text = { 0 };
	uint8_t sha[HASH_LEN];

	if (rules_read(s->rootfd, s->conf->dockerfile, DOCKERFILE_MAX_BYTES,
		&text) != 1) {
		task_end_why(j, RESULT_FAILED, "%s cannot be read",
		    s->conf->dockerfile);
		buf_free(&text);
		return (-1);
	}
	hash_buf(text.data, text.len, sha);
	if (memcmp(sha, manifest_meta(s->m)->dockerfile_sha256, HASH_LEN) !=
	    0) {
		task_end_why(j, RESULT_CLIMB, "%s: the Dockerfile has changed",
		    s->conf->dockerfile);
		buf_free(&text);
		return (-1);
	}
	s->df = dockerfile_parse((const char *)text.data, text.len, &err);
	buf_free(&text);
	if (s->df == NULL) {
		task_end_why(j, RESULT_FAILED, "%s:%u: %s", s->conf->dockerfile,
		    err.line, err.text);
		return (-1);
	}
	prepare_args(s);
	return (0);
}

static void
prepare_plan(struct task *j)
{
	struct service *s = j->s;
	const struct image_config *base = &s->facts.base;
	struct dockerfile_error err = { 0 };
	struct copyplan_options o = {
		.build = { .target = s->conf->target, .build_args = s->args },
		.exact = true,
	};

	if (base->env != NULL) {
		o.base_env = base->env;
		o.base_workdir = base->workdir;
		o.base_user = base->user;
		o.base_shell = (const char *const *)base->shell;
	}
	oracle_fill(&s->oracle, &o.oracle);
	s->plan = copyplan_new(s->df, &o, &err);
	if (s->plan == NULL) {
		task_end_why(j, RESULT_FAILED, "%s:%u: %s", s->conf->dockerfile,
		    err.line, err.text);
		attach_forget(s);
		return;
	}
	s->prepared = true;
	j->then(j);
}

static void
prepare_on_base(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;

	/* a base image that was pruned is no reason to stop */
	if (eng_is_away(a)) {
		task_end_answer(j, "inspecting the base image", a);
		return;
	}
	if (eng_is_ok(a))
		(void)facts_image(&j->s->facts.base, a->body, a->len);
	prepare_plan(j);
}

/* The image that the container's line of stages begins with. */
static void
prepare_base(struct task *j)
{
	struct service *s = j->s;
	struct dockerfile_error err = { 0 };
	struct dockerfile_options o = { .target = s->conf->target,
		.build_args = s->args };
	struct dockerfile_graph *g = dockerfile_graph_new(s->df, &o, &err);
	struct buf b = { 0 };
	size_t i;

	if (g == NULL) {
		task_end_why(j, RESULT_FAILED, "%s:%u: %s", s->conf->dockerfile,
		    err.line, err.text);
		attach_forget(s);
		return;
	}
	for (i = g->target; g->stages[i].base_stage != DOCKERFILE_NO_STAGE;)
		i = g->stages[i].base_stage;
	if (g->stages[i].image != NULL)
		fields_add_str(&b, F_NAME, g->stages[i].image);
	dockerfile_graph_free(g);
	if (b.len == 0)
		prepare_plan(j);
	else
		task_ask(j, MSG_ENG_INSPECT, ENG_OP_IMAGE, &b, prepare_on_base,
		    NULL);
}

static void
prepare_on_image(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;

	if (eng_is_away(a)) {
		task_end_answer(j, "inspecting the image", a);
		return;
	}
	if (eng_is_ok(a))
		(void)facts_image(&j->s->facts.image, a->body, a->len);
	prepare_base(j);
}

static void
prepare_on_container(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;
	struct buf b = { 0 };

	if (!eng_is_ok(a)) {
		task_end_answer(j, "inspecting the container", a);
		return;
	}
	if (facts_container(&j->s->facts, a->body, a->len) == -1) {
		task_end_why(j, RESULT_FAILED,
		    "the engine's answer about the container is no such JSON");
		return;
	}
	if (prepare_parse(j) == -1) {
		attach_forget(j->s);
		return;
	}
	fields_add_str(&b, F_IMAGE_ID, manifest_meta(j->s->m)->image);
	task_ask(j, MSG_ENG_INSPECT, ENG_OP_IMAGE, &b, prepare_on_image, NULL);
}

void
prepare(struct task *j, task_fn fn)
{
	if (j->s->prepared) {
		fn(j);
		return;
	}
	attach_forget(j->s);
	j->then = fn;
	task_ask(j, MSG_ENG_INSPECT, ENG_OP_CONTAINER, NULL,
	    prepare_on_container, NULL);
}

static void
prepare_on_dest(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;
	struct dest *d = oracle_unknown(&j->s->oracle);

	if (d == NULL || (!eng_is_ok(a) && (a->err != 0 || a->status != 404))) {
		task_end_answer(j, "looking for a destination", a);
		return;
	}
	d->isdir = eng_is_ok(a) && facts_stat_isdir(a->body, a->len) ?
	    COPYPLAN_YES :
	    COPYPLAN_NO;
	j->then(j);
}

bool
prepare_dest(struct task *j, task_fn fn)
{
	const struct dest *d = oracle_unknown(&j->s->oracle);
	struct buf b = { 0 };

	if (d == NULL)
		return (false);
	j->then = fn;
	fields_add_str(&b, F_PATH, d->path);
	task_ask(j, MSG_ENG_HEAD, ENG_NONE, &b, prepare_on_dest, NULL);
	return (true);
}
