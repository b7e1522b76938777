/*
 * Jobs, see job.h.  Engine worker.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/engine/job.h"
#include "workers/engine/spec.h"
#include "workers/shared/json.h"

#define JOB_ERROR_MAX   (64 * 1024) /* bytes of an error's answer */
#define JOB_MESSAGE_MAX 4096
#define JOB_DRAIN_MS    5

static const struct job_op *
job_op_of(enum msg_type type)
{
	static const struct job_op *const lists[] = { ops_simple, ops_upload,
		ops_exec };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (const struct job_op *o = lists[i]; o->type != MSG_NONE;
		     o++)
			if (o->type == type)
				return (o);
	fatalx("no such job: %u", type);
}

static void
job_free(struct job *j)
{
	http_cancel(j->req);
	body_free(j->body);
	loop_timer_cancel(&j->timer);
	*j->prevp = j->next;
	if (j->next != NULL)
		j->next->prevp = j->prevp;
	buf_free(&j->tail);
	buf_free(&j->answer);
	free(j->cid);
	free(j->name);
	free(j->path);
	free(j->exec_id);
	free(j->stat);
	free(j);
}

/* The end of j; others may run now. */
static void
job_end(struct job *j)
{
	struct engine *e = j->e;

	job_free(j);
	jobs_run(e);
}

void
job_fail(struct job *j, enum err_code code, const char *why)
{
	char text[256];

	log_debug("%s for %s: %s: %s", msg_def(j->op->type)->name,
	    proc_name(j->source), err_name(code),
	    log_escape(text, sizeof(text), why, strlen(why)));
	rpc_answer_err(j->e->w->ch, j->id, code, 0, why);
	job_end(j);
}

void
job_done(struct job *j, unsigned status, int64_t exit_code, const char *error,
    const char *container_id)
{
	struct msg_eng_done m = { .status = status,
		.exit = exit_code,
		.bytes = j->bytes };
	struct buf tail = { 0 };

	if (error != NULL)
		fields_add_mem(&tail, F_ERROR, error,
		    strnlen(error, JOB_MESSAGE_MAX));
	if (container_id != NULL)
		fields_add_str(&tail, F_CONTAINER_ID, container_id);
	rpc_answer(j->e->w->ch, j->id, MSG_ENG_DONE, 0, &m, &tail, -1);
	buf_free(&tail);
	job_end(j);
}

char *
engine_message(const struct buf *answer)
{
	cJSON *o = json_parse(answer->data, answer->len, ENGINE_JSON_MAX, NULL);
	const char *msg = json_str(o, "message");
	char *s;
	size_t n;

	if (msg != NULL)
		s = xstrdup(msg);
	else {
		n = answer->len;
		if (n > JOB_MESSAGE_MAX)
			n = JOB_MESSAGE_MAX;
		s = answer->data != NULL ?
		    xstrndup((const char *)answer->data, n) :
		    xstrdup("");
	}
	cJSON_Delete(o);
	for (n = strlen(s); n > 0 && strchr(" \r\n", s[n - 1]) != NULL;)
		s[--n] = '\0';
	return (s);
}

void
job_done_status(struct job *j, unsigned status)
{
	char *msg = status >= 400 ? engine_message(&j->answer) : NULL;

	job_done(j, status, 0, msg, NULL);
	free(msg);
}

char *
job_created_id(struct job *j, unsigned status)
{
	char *id = NULL;
	const char *s;
	cJSON *o;

	if (status != 201) {
		job_done_status(j, status);
		return (NULL);
	}
	o = json_parse(j->answer.data, j->answer.len, ENGINE_JSON_MAX, NULL);
	s = json_str(o, "Id");
	if (s != NULL && spec_is_container_id(s))
		id = xstrdup(s);
	cJSON_Delete(o);
	if (id == NULL)
		job_fail(j, ERR_ENGINE, "the engine's answer has no id");
	return (id);
}

void
job_send_data(struct job *j, const void *p, size_t n)
{
	channel_send(j->e->w->ch, MSG_ENG_DATA, F_MORE, j->id, NULL, p, n, -1);
	j->bytes += n;
}

/* Back-pressure: the asker reads slower than the engine sends. */

static void
job_on_drain(void *arg)
{
	struct engine *e = arg;

	if (engine_congested(e))
		return;
	jobs_resume(e);
	events_resume(e);
}

bool
engine_congested(struct engine *e)
{
	if (channel_queued(e->w->ch) < ENGINE_HIGH)
		return (false);
	if (!loop_timer_is_set(&e->drain))
		loop_timer_in_ms(e->w->loop, &e->drain, JOB_DRAIN_MS,
		    job_on_drain, e);
	return (true);
}

void
jobs_resume(struct engine *e)
{
	for (struct job *j = e->jobs; j != NULL; j = j->next)
		if (j->paused) {
			j->paused = false;
			if (j->req != NULL)
				http_resume(j->req);
		}
}

/* HTTP. */

static int
job_collect(struct job *j, const void *p, size_t n, size_t max)
{
	if (j->answer.len + n > max) {
		j->too_big = true;
		return (HTTP_ABORT);
	}
	buf_add(&j->answer, p, n);
	return (0);
}

static int
job_on_output(void *arg, unsigned stream, const void *p, size_t n)
{
	struct job *j = arg;
	struct msg_num m = { .n = stream };
	size_t k = sizeof(j->head) - 1 - j->head_len;

	k = n < k ? n : k;
	memcpy(j->head + j->head_len, p, k);
	j->head_len += k;
	j->bytes += n;
	return (channel_send(j->e->w->ch, MSG_ENG_OUTPUT, F_MORE, j->id, &m, p,
	    n, -1));
}

static int
job_on_data(void *arg, struct http_req *r, const void *p, size_t n)
{
	struct job *j = arg;

	if (http_status(r) >= 300)
		return (job_collect(j, p, n, JOB_ERROR_MAX));
	if (j->sink == SINK_DROP)
		return (0);
	if (j->sink == SINK_COLLECT)
		return (job_collect(j, p, n, ENGINE_JSON_MAX));
	if (engine_congested(j->e)) {
		j->paused = true;
		return (HTTP_PAUSE);
	}
	if (j->sink == SINK_OUTPUT) {
		j->bad_frames =
		    demux_feed(&j->demux, p, n, job_on_output, j) == -1;
		return (j->bad_frames ? HTTP_ABORT : 0);
	}
	if (j->limit != 0 && j->bytes + n > j->limit) {
		j->too_big = true;
		return (HTTP_ABORT);
	}
	job_send_data(j, p, n);
	return (0);
}

static ssize_t
job_on_read(void *arg, void *p, size_t n)
{
	struct job *j = arg;

	return (body_read(j->body, p, n));
}

/* Nothing has reached the engine: wait for it like one that just came. */
static void
job_again(struct job *j)
{
	j->running = false;
	j->paused = false;
	j->body_on = false;
	state_suspect(j->e);
}

static void
job_broken(struct job *j, struct http_req *r, enum http_result res)
{
	if (res == HTTP_STOPPED) {
		if (j->too_big)
			job_fail(j, ERR_IO, "the answer is too big");
		else if (j->bad_frames)
			job_fail(j, ERR_ENGINE, "output without its frames");
		else
			job_fail(j, ERR_INVALID,
			    j->body != NULL ? body_why(j->body) : "stopped");
		return;
	}
	state_suspect(j->e);
	job_fail(j, res == HTTP_TIMEOUT ? ERR_TIMEOUT : ERR_ENGINE,
	    http_error(r));
}

static void
job_on_done(void *arg, struct http_req *r, enum http_result res)
{
	struct job *j = arg;

	j->req = NULL;
	free(j->stat);
	j->stat =
	    http_header_stat(r) != NULL ? xstrdup(http_header_stat(r)) : NULL;
	if (res == HTTP_OK)
		j->then(j, http_status(r));
	else if (res == HTTP_NO_CONN && !j->committed)
		job_again(j);
	else
		job_broken(j, r, res);
}

void
job_http(struct job *j, const char *method, char *path, const char *json,
    int64_t timeout_ms, enum job_sink sink, job_next then)
{
	static const struct http_ops plain = { .data = job_on_data,
		.done = job_on_done };
	static const struct http_ops upload = { .data = job_on_data,
		.body = job_on_read,
		.done = job_on_done };

	j->answer.len = 0;
	j->sink = sink;
	j->then = then;
	j->req = http_start(j->e->http, method, path, json, timeout_ms,
	    j->body_on ? &upload : &plain, j);
	free(path);
}

/* From the queue to the engine. */

bool
job_is_admitted(struct job *j, unsigned status)
{
	if (status != 200) {
		job_done_status(j, status);
		return (false);
	}
	if (!gate_check(&j->answer, j->service)) {
		job_fail(j, ERR_REFUSED, "not a container of this service");
		return (false);
	}
	gate_add(j->e->gate, j->cid, j->service);
	return (true);
}

static void
job_on_inspected(struct job *j, unsigned status)
{
	if (job_is_admitted(j, status))
		j->op->go(j);
}

static void
job_start(struct job *j)
{
	j->running = true;
	log_debug("%s for %s begins, container %.12s",
	    msg_def(j->op->type)->name, proc_name(j->source),
	    j->cid != NULL && j->cid[0] != '\0' ? j->cid : "-");
	if (j->op->gated && !gate_knows(j->e->gate, j->cid, j->service))
		job_http(j, "GET",
		    engine_path(j->e, "/containers/%s/json", j->cid), NULL,
		    ENGINE_SHORT_MS, SINK_COLLECT, job_on_inspected);
	else
		j->op->go(j);
}

static bool
job_is_ready(const struct job *j)
{
	return (!j->running && (j->body == NULL || j->body_ready));
}

void
jobs_run(struct engine *e)
{
	struct job *j, *next;
	unsigned running;

	/* a job may end inside its start, and ask for this again */
	e->run_again = true;
	if (!state_is_up(e) || e->in_run)
		return;
	e->in_run = true;
	while (e->run_again) {
		e->run_again = false;
		running = 0;
		for (j = e->jobs; j != NULL; j = j->next)
			running += j->running;
		for (j = e->jobs; j != NULL && running < ENGINE_RUN_MAX;
		     j = next) {
			next = j->next;
			if (job_is_ready(j)) {
				job_start(j);
				running++;
			}
		}
	}
	e->in_run = false;
}

void
jobs_abort(struct engine *e, const char *why)
{
	struct job *j, *next;

	for (j = e->jobs; j != NULL; j = next) {
		next = j->next;
		if (!j->running)
			continue;
		rpc_answer_err(e->w->ch, j->id, ERR_ENGINE, 0, why);
		job_free(j);
	}
}

void
jobs_free(struct engine *e)
{
	while (e->jobs != NULL)
		job_free(e->jobs);
}

/* Requests. */

static void
job_on_body(void *arg, enum body_news news)
{
	struct job *j = arg;

	switch (news) {
	case BODY_READY:
		j->body_ready = true;
		jobs_run(j->e);
		return;
	case BODY_MORE:
		if (j->req != NULL && j->body_on)
			http_resume(j->req);
		return;
	case BODY_BAD:
		job_fail(j, ERR_INVALID, body_why(j->body));
		return;
	}
}

static struct job *
job_new(struct engine *e, struct frame *f)
{
	struct job *j = xcalloc(1, sizeof(*j)), **p;

	j->e = e;
	j->op = job_op_of(f->head.type);
	j->id = f->head.id;
	j->source = f->source;
	memcpy(&j->m, frame_fixed(f), sizeof(j->m));
	j->service = conf_service(&e->w->conf, j->m.service);
	buf_add(&j->tail, f->tail.data, f->tail.len);
	j->f.data = j->tail.data;
	j->f.len = j->tail.len;
	j->cid = fields_dup(&j->f, F_CONTAINER_ID);
	j->name = fields_dup(&j->f, F_NAME);
	j->path = fields_dup(&j->f, F_PATH);
	for (p = &e->jobs; *p != NULL; p = &(*p)->next)
		;
	*p = j;
	j->prevp = p;
	return (j);
}

static int
job_check(struct job *j, char *why, size_t size)
{
	if (j->service == NULL || j->service->engine != j->e->conf->instance) {
		strlcpy(why, "no such service on this engine", size);
		return (-1);
	}
	if (j->op->gated && (j->cid == NULL || !spec_is_container_id(j->cid))) {
		strlcpy(why, "no container id", size);
		return (-1);
	}
	return (j->op->check != NULL ? j->op->check(j, why, size) : 0);
}

static bool
job_queue_full(const struct engine *e)
{
	unsigned n = 0;

	for (const struct job *j = e->jobs; j != NULL; j = j->next)
		n += !j->running;
	return (n > ENGINE_QUEUE_MAX);
}

void
job_on_request(struct engine *e, struct frame *f)
{
	struct job *j = job_new(e, f);
	char why[1024] = "";

	if (job_check(j, why, sizeof(why)) == -1) {
		job_fail(j, ERR_INVALID, why);
		return;
	}
	if (job_queue_full(e)) {
		job_fail(j, ERR_BUSY, "too many requests wait for the engine");
		return;
	}
	if (f->fd != -1)
		j->body =
		    body_new(e->w->loop, frame_take_fd(f), job_on_body, j);
	jobs_run(e);
}

/* The first job of a service that is not configured any more. */
static struct job *
job_find_dropped(struct engine *e)
{
	struct job *j;

	for (j = e->jobs; j != NULL; j = j->next)
		if (conf_service(&e->w->conf, j->m.service) != j->service)
			break;
	return (j);
}

void
jobs_reconf(struct engine *e)
{
	struct job *j;

	while ((j = job_find_dropped(e)) != NULL)
		job_fail(j, ERR_CANCELLED, "the service is gone");
}

/* The open job that a FOLLOW frame belongs to. */
static struct job *
job_find(struct engine *e, const struct frame *f)
{
	struct job *j;

	for (j = e->jobs; j != NULL; j = j->next)
		if (j->id == f->head.id)
			return (j);
	return (NULL);
}

/*
 * Nobody wants the answer.  A body on its way ends with its connection.  What
 * the engine has begun goes on there: it completes a restart, and it has no
 * call that ends an exec's process.
 */
void
job_on_cancel(struct engine *e, struct frame *f)
{
	struct job *j = job_find(e, f);

	if (j != NULL)
		job_fail(j, ERR_CANCELLED, "cancelled");
}

void
job_on_body_end(struct engine *e, struct frame *f)
{
	const struct msg_num *m = frame_fixed(f);
	struct job *j = job_find(e, f);

	if (j != NULL && j->body != NULL)
		body_end(j->body, m->n);
}
