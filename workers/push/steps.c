/*
 * STEPS: replay the RUN instructions that a push has made due, in the order
 * of the Dockerfile and with what is in force there; what COPY brings behind
 * a replayed RUN is sent again, since the RUN may have written over it.  Push
 * worker.
 *
 * run_pending_from names the instruction that comes next: all before it is
 * done.  A step that was cut short by a crash is run again, whole, and the
 * event says so (begun.h).
 */
#include <stdlib.h>
#include <string.h>

#include "workers/push/begun.h"
#include "workers/push/push.h"

#define STEPS_LINE_MAX  1024 /* bytes of an output line that are told */
#define STEPS_LINES_MAX 500  /* lines of a step that are told */

static void steps_next(struct task *j);

static void
steps_set_pending(struct task *j, int32_t instr)
{
	struct manifest_meta meta = *manifest_meta(j->s->m);

	meta.run_pending_from = instr;
	if (instr == -1)
		meta.restart_after_ns = task_restart_after(j);
	(void)manifest_set_meta(j->s->m, &meta);
}

/*
 * Output, by lines.
 */

static void
steps_tell_line(struct task *j, unsigned stream, const void *p, size_t n)
{
	struct lines *l = &j->lines;
	struct buf b = { 0 };

	if (l->count >= STEPS_LINES_MAX) {
		l->dropped++;
		return;
	}
	l->count++;
	fields_add_mem(&b, F_OUTPUT, p, n);
	fields_add_str(&b, F_STREAM, stream == 2 ? "stderr" : "stdout");
	task_event(j, EVENT_PUSH_OUTPUT, &b);
}

/* Tell the whole lines of one stream, and with `all` the rest too. */
static void
steps_tell_lines(struct task *j, unsigned stream, bool all)
{
	struct buf *b = &j->lines.part[stream];
	size_t off = 0, n;
	uint8_t *nl;

	while ((nl = off < b->len ? memchr(b->data + off, '\n', b->len - off) :
				    NULL) != NULL) {
		n = (size_t)(nl - b->data) - off;
		steps_tell_line(j, stream, b->data + off,
		    n > 0 && nl[-1] == '\r' ? n - 1 : n);
		off += n + 1;
	}
	buf_drop(b, off);
	if (b->len > STEPS_LINE_MAX || (all && b->len > 0)) {
		steps_tell_line(j, stream, b->data, b->len);
		b->len = 0;
	}
}

static void
steps_on_output(void *arg, unsigned stream, const uint8_t *p, size_t n)
{
	struct task *j = arg;
	size_t piece;

	if (stream != 2)
		stream = 1;
	for (; n > 0; p += piece, n -= piece) {
		piece = n < STEPS_LINE_MAX ? n : STEPS_LINE_MAX;
		buf_add(&j->lines.part[stream], p, piece);
		steps_tell_lines(j, stream, false);
	}
}

static void
steps_end_output(struct task *j)
{
	struct buf b = { 0 };
	char text[64];

	steps_tell_lines(j, 1, true);
	steps_tell_lines(j, 2, true);
	if (j->lines.dropped > 0) {
		snprintf(text, sizeof(text), "[%llu more lines]",
		    (unsigned long long)j->lines.dropped);
		fields_add_str(&b, F_OUTPUT, text);
		fields_add_str(&b, F_STREAM, "stdout");
		task_event(j, EVENT_PUSH_OUTPUT, &b);
	}
	j->lines.count = 0;
	j->lines.dropped = 0;
}

/*
 * RUN.
 */

/* The words of a command, for people. */
static char *
steps_command(const struct copyplan_step *st)
{
	struct buf b = { 0 };
	size_t first = 0;

	if (st->nargv == 3 && strcmp(st->argv[1], "-c") == 0)
		first = 2;
	for (size_t i = first; i < st->nargv; i++) {
		if (i > first)
			buf_add(&b, " ", 1);
		buf_add(&b, st->argv[i], strlen(st->argv[i]));
	}
	buf_add(&b, "", 1);
	return ((char *)b.data);
}

static void
steps_on_run(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;
	const struct copyplan_step *st = copyplan_step(j->s->plan, j->step);
	struct buf b = { 0 };
	char *cmd;

	steps_end_output(j);
	if (!eng_is_ok(a)) {
		/* refused: no such container, or it is not running */
		if (a->err == 0 && (a->status == 404 || a->status == 409))
			begun_clear(j->s->m, st->instr);
		task_end_answer(j, "replaying a RUN step", a);
		return;
	}
	fields_add_i64(&b, F_EXIT_CODE, a->exit);
	fields_add_u64(&b, F_LINE, st->line);
	task_event(j, EVENT_PUSH_RETURN, &b);
	j->done.exit_code = a->exit;
	/* users and directories may be others now */
	oracle_clear(&j->s->oracle);
	j->s->passwd.asked = j->s->group.asked = false;
	if (a->exit != 0) {
		begun_clear(j->s->m, st->instr);
		cmd = steps_command(st);
		task_end_why(j, RESULT_FAILED,
		    "RUN at line %u: exit %lld: "
		    "%.200s",
		    st->line, (long long)a->exit, cmd);
		free(cmd);
		return;
	}
	/* first, or a death in between would hide that it runs again */
	steps_set_pending(j, (int32_t)st->instr + 1);
	begun_clear(j->s->m, st->instr);
	j->step++;
	steps_next(j);
}

/* Is this variable of the container one that the image does not know? */
static void
steps_unset_foreign(const struct service *s, const struct copyplan_step *st,
    struct buf *b)
{
	const struct dockerfile_env *c = s->facts.container.env;
	const struct dockerfile_env *image = s->facts.image.env;

	for (size_t i = 0; c != NULL && image != NULL && i < c->nvars; i++) {
		const char *name = c->vars[i].name;
		const char *v = dockerfile_env_get(image, name);
		char *kv;

		if (dockerfile_env_get(st->env, name) != NULL)
			continue;
		if (v == NULL)
			fields_add_str(b, F_ENV, name);
		else if (strcmp(v, c->vars[i].value) != 0) {
			kv = xasprintf("%s=%s", name, v);
			fields_add_str(b, F_ENV, kv);
			free(kv);
		}
	}
}

static void
steps_env(const struct service *s, const struct copyplan_step *st,
    struct buf *b)
{
	char *kv;

	steps_unset_foreign(s, st, b);
	for (size_t i = 0; i < st->env->nvars; i++) {
		kv = xasprintf("%s=%s", st->env->vars[i].name,
		    st->env->vars[i].value);
		fields_add_str(b, F_ENV, kv);
		free(kv);
	}
	/* a bare name takes it away (Engine API: exec, Env) */
	for (size_t i = 0; i < st->nunset; i++)
		fields_add_str(b, F_ENV, st->unset[i]);
}

static void
steps_run(struct task *j, const struct copyplan_step *st)
{
	struct buf b = { 0 };
	char *cmd = steps_command(st);

	fields_add_str(&b, F_COMMAND, cmd);
	fields_add_u64(&b, F_LINE, st->line);
	fields_add_bool(&b, F_RERUN, begun_mark(j->s->m, st->instr));
	task_event(j, EVENT_PUSH_COMMAND, &b);
	free(cmd);
	/* without a USER before it a step is root's, whatever comes later */
	fields_add_str(&b, F_USER, *st->user != '\0' ? st->user : "0");
	fields_add_str(&b, F_WORKDIR, st->workdir);
	for (size_t i = 0; i < st->nargv; i++)
		fields_add_str(&b, F_ARG, st->argv[i]);
	steps_env(j->s, st, &b);
	task_ask(j, MSG_ENG_EXEC, ENG_NONE, &b, steps_on_run, steps_on_output);
}

/*
 * COPY behind a replayed RUN.
 */

static void
steps_copied(struct task *j)
{
	struct manifest *m = j->s->m;
	const struct manifest_entry *old;
	struct manifest_entry e;

	for (size_t i = 0; i < j->fx.items.n; i++) {
		const struct item *it = &j->fx.items.v[i];

		old = manifest_get(m, it->from);
		if (it->sent && old != NULL &&
		    memcmp(old->sha256, it->got.sha256, HASH_LEN) == 0)
			continue;
		/* another state of the file than the other places have */
		if (it->error != 0)
			task_trouble(j, "%s: %s", it->from,
			    strerror(it->error));
		task_again(j, it->from);
		if (old != NULL) {
			e = *old;
			e.state = MANIFEST_UNKNOWN;
			(void)manifest_set(m, it->from, &e);
		}
	}
	j->step++;
	steps_next(j);
}

static void
steps_deliver(struct task *j)
{
	deliver(j, steps_copied);
}

static void
steps_placed(struct task *j)
{
	effects_place(&j->fx, j->s->plan, &j->s->facts);
	if (!task_has_effects(j))
		return;
	owners_resolve(j, steps_deliver);
}

static void
steps_copy(struct task *j)
{
	j->s->oracle.changes = NULL;
	effects_step(&j->fx, j->s->plan, j->step);
	if (!prepare_dest(j, steps_copy))
		steps_placed(j);
}

/* From j->step on: the next one that has something to do. */
static void
steps_next(struct task *j)
{
	struct copyplan *p = j->s->plan;
	const struct copyplan_step *st;

	if (j->cancelled) {
		task_end(j, RESULT_CANCELLED);
		return;
	}
	for (; j->step < copyplan_nsteps(p); j->step++) {
		st = copyplan_step(p, j->step);
		if (!copyplan_step_in_target(p, j->step) ||
		    (st->kind != COPYPLAN_RUN && st->kind != COPYPLAN_COPY))
			continue;
		steps_set_pending(j, (int32_t)st->instr);
		if (st->kind == COPYPLAN_COPY)
			steps_copy(j);
		else if (st->refusal != NULL)
			task_end_why(j, RESULT_CLIMB, "RUN at line %u: %s",
			    st->line, st->refusal);
		else
			steps_run(j, st);
		return;
	}
	steps_set_pending(j, -1);
	task_end(j, RESULT_OK);
}

static void
steps_begin(struct task *j)
{
	const struct copyplan *p = j->s->plan;
	int32_t from = manifest_meta(j->s->m)->run_pending_from;

	while (j->step < copyplan_nsteps(p) &&
	    copyplan_step(p, j->step)->instr < (size_t)from)
		j->step++;
	steps_next(j);
}

void
steps_start(struct task *j)
{
	if (task_is_stale(j))
		task_end_why(j, RESULT_RETRY,
		    "another container is attached to");
	else if (manifest_meta(j->s->m)->run_pending_from == -1)
		task_end(j, RESULT_OK);
	else
		prepare(j, steps_begin);
}
