/*
 * Jobs of the push worker: their queue, their requests to the engine, their
 * answer.  See push.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/push/push.h"

static void
task_free(struct task *j)
{
	struct service *s = j->s;

	loop_timer_cancel(&j->timer);
	deliver_free(j);
	compare_free(j->cmp);
	changes_free(&j->changes);
	effects_free(&j->fx);
	paths_free(&j->conflict);
	rules_free(&j->rules);
	buf_free(&j->paths);
	buf_free(&j->again);
	buf_free(&j->erase.output);
	free(j->erase.asked);
	for (size_t i = 0; i < 3; i++)
		buf_free(&j->lines.part[i]);
	if (j->fd != -1)
		close(j->fd);
	free(j->container);
	free(j->image);
	free(j);
	if (--s->ntasks == 0 && s->dropped)
		free(s);
}

static void
task_run(struct service *s)
{
	struct task *j = s->jobs;

	if (j == NULL || j->running || j->collecting)
		return;
	j->running = true;
	j->began = mono_now();
	if (j->cancelled) {
		task_end(j, RESULT_CANCELLED);
		return;
	}
	switch (j->type) {
	case MSG_APPLY:
		apply_start(j);
		break;
	case MSG_STEPS:
		steps_start(j);
		break;
	default:
		attach_start(j);
		break;
	}
}

static void
task_on_timer(void *arg)
{
	struct task *j = arg;

	j->later(j);
}

void
task_later(struct task *j, task_fn fn)
{
	j->later = fn;
	loop_timer_in_ms(j->s->w->loop, &j->timer, 0, task_on_timer, j);
}

static void
task_next(struct task *j)
{
	task_run(j->s);
	task_free(j);
}

int64_t
task_restart_after(const struct task *j)
{
	int64_t now = wall_now_ns();

	return (j->m.started_ns < now || j->m.started_ns == INT64_MAX ?
		now :
		j->m.started_ns + 1);
}

void
task_end(struct task *j, enum result result)
{
	struct service *s = j->s;
	const struct manifest_meta *meta = manifest_meta(s->m);
	struct buf b = { 0 };

	if (result == RESULT_OK && j->trouble[0] != '\0') {
		result = RESULT_FAILED;
		strlcpy(j->reason, j->trouble, sizeof(j->reason));
	}
	j->done.result = result;
	j->done.needs |= attach_needs(s);
	j->done.restart_after_ns = meta->restart_after_ns;
	/* what a failed job was told may not be told again */
	if (result == RESULT_FAILED || result == RESULT_CLIMB)
		s->behind = true;
	if (j->reason[0] != '\0')
		fields_add_str(&b, F_REASON, j->reason);
	if (j->again.len > 0)
		buf_add(&b, j->again.data, j->again.len);
	rpc_answer(s->w->ch, j->id, MSG_PUSH_DONE, 0, &j->done, &b, -1);
	buf_free(&b);
	s->jobs = j->next;
	/* freed when nobody up the stack looks at it any more */
	deliver_free(j);
	task_later(j, task_next);
}

void
task_end_why(struct task *j, enum result result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->reason, sizeof(j->reason), fmt, ap);
	va_end(ap);
	if (result == RESULT_CLIMB)
		j->done.needs |= NEED_REBUILD;
	task_end(j, result);
}

bool
task_has_effects(struct task *j)
{
	if (j->fx.verdict == EFFECTS_OK)
		return (true);
	task_end_why(j,
	    j->fx.verdict == EFFECTS_CLIMB ? RESULT_CLIMB : RESULT_FAILED, "%s",
	    j->fx.reason);
	return (false);
}

void
task_end_answer(struct task *j, const char *what, const struct eng_answer *a)
{
	enum result r = RESULT_FAILED;

	if (eng_is_away(a) || a->err == ERR_CANCELLED)
		r = RESULT_RETRY;
	else if (a->err == 0 && a->status == 404 &&
	    strstr(a->error, "o such container") != NULL)
		r = RESULT_RETRY;
	else if (strstr(a->error, "marked read-only") != NULL)
		r = RESULT_CLIMB;
	task_end_why(j, r, "%s: %s", what,
	    *a->error != '\0' ? a->error : err_name(a->err));
}

void
task_trouble(struct task *j, const char *fmt, ...)
{
	va_list ap;

	if (j->trouble[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(j->trouble, sizeof(j->trouble), fmt, ap);
	va_end(ap);
}

void
task_again(struct task *j, const char *path)
{
	/* more than that is found by the next comparison of everything */
	if (j->again.len < FRAME_MAX / 2)
		fields_add_str(&j->again, F_PATH, path);
	else
		j->s->behind = true;
}

/* Ask; b is taken, and has the container's id in front. */
static uint32_t
task_send(struct task *j, struct eng_request *q, struct buf *b)
{
	struct buf fields = { 0 };
	uint32_t id;

	if (q->m.op != ENG_OP_IMAGE)
		fields_add_str(&fields, F_CONTAINER_ID, j->container);
	if (b != NULL) {
		buf_add(&fields, b->data, b->len);
		buf_free(b);
	}
	q->m.service = j->s->conf->service;
	q->fields = &fields;
	q->max_body = FACTS_MAX;
	q->arg = j;
	id = eng_ask(j->s->w, q);
	q->fields = NULL;
	buf_free(&fields);
	return (id);
}

uint32_t
task_ask(struct task *j, enum msg_type type, enum eng_op op, struct buf *b,
    eng_cb cb, eng_data_cb data)
{
	struct eng_request q = { .type = type,
		.m = { .op = op },
		.fd = -1,
		.cb = cb,
		.data = data };

	return (task_send(j, &q, b));
}

uint32_t
task_put(struct task *j, const char *path, uint32_t flags, int fd, eng_cb cb)
{
	struct eng_request q = { .type = MSG_ENG_PUT,
		.m = { .flags = flags },
		.fd = fd,
		.cb = cb };
	struct buf b = { 0 };

	fields_add_str(&b, F_PATH, path);
	return (task_send(j, &q, &b));
}

void
task_event(struct task *j, enum event_kind kind, struct buf *b)
{
	struct buf all = { 0 };

	if (j->container != NULL)
		fields_add_str(&all, F_CONTAINER_ID, j->container);
	if (b != NULL) {
		buf_add(&all, b->data, b->len);
		buf_free(b);
	}
	worker_event(j->s->w, kind, j->s->conf, j->m.job, &all);
	buf_free(&all);
}

bool
task_is_stale(const struct task *j)
{
	return (j->container == NULL || *j->container == '\0' ||
	    strcmp(manifest_meta(j->s->m)->container, j->container) != 0);
}

void
task_on_request(struct worker *w, struct frame *f)
{
	const struct msg_job *m = frame_fixed(f);
	struct service *s = push_service(w, m->service);
	struct task *j, **p;

	if (s == NULL) {
		rpc_answer_err(w->ch, f->head.id, ERR_INVALID, 0,
		    "no such service");
		return;
	}
	j = xcalloc(1, sizeof(*j));
	j->s = s;
	s->ntasks++;
	j->type = f->head.type;
	j->id = f->head.id;
	j->m = *m;
	j->fd = frame_take_fd(f);
	j->put.fd = -1;
	j->fx.pending = -1;
	j->container = fields_dup(&f->tail, F_CONTAINER_ID);
	j->image = fields_dup(&f->tail, F_IMAGE_ID);
	j->collecting = (f->head.flags & F_MORE) != 0;
	if (j->type == MSG_APPLY)
		buf_add(&j->paths, f->tail.data, f->tail.len);
	for (p = &s->jobs; *p != NULL; p = &(*p)->next)
		;
	*p = j;
	task_run(s);
}

static struct task *
task_find(struct worker *w, uint32_t id)
{
	const struct push *p = w->state;

	for (struct service *s = p->services; s != NULL; s = s->next)
		for (struct task *j = s->jobs; j != NULL; j = j->next)
			if (j->id == id)
				return (j);
	return (NULL);
}

void
task_on_paths(struct worker *w, struct frame *f)
{
	struct task *j = task_find(w, f->head.id);

	if (j == NULL || !j->collecting)
		return;
	if (j->paths.len + f->tail.len <= PUSH_PATHS_MAX)
		buf_add(&j->paths, f->tail.data, f->tail.len);
	else
		j->s->behind = true; /* everything is compared instead */
	j->collecting = (f->head.flags & F_MORE) != 0;
	task_run(j->s);
}

void
task_on_cancel(struct worker *w, struct frame *f)
{
	struct task *j = task_find(w, f->head.id);

	/* looked at where nothing is half done */
	if (j == NULL)
		return;
	j->cancelled = true;
	j->collecting = false;
	task_run(j->s);
}
