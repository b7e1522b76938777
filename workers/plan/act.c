/*
 * Single operations on a service's container.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/plan/plan.h"
#include "workers/shared/json.h"

#define BODY_MAX	(4 * 1024 * 1024)
#define PATHS_PER_FRAME (128 * 1024)
#define MERGE_MAX	(8 * 1024 * 1024)

/* Ask the engine about this service; CONTAINER_ID is added when it has one. */
static uint32_t
act_ask(struct service *s, enum msg_type type, enum eng_op op, uint32_t flags,
    eng_cb cb)
{
	struct buf b = { 0 };
	struct eng_request q = { .type = type,
		.m = { .service = s->conf->service, .op = op,
		    .flags = flags },
		.fields = &b, .fd = -1, .max_body = BODY_MAX, .cb = cb,
		.arg = s };
	uint32_t id;

	if (s->id[0] != '\0' && type != MSG_ENG_LIST)
		fields_add_str(&b, F_CONTAINER_ID, s->id);
	id = eng_ask(s->w, &q);
	buf_free(&b);
	return (id);
}

/* A failure of the engine: away for a moment, or a refusal. */
static void
act_failed(struct service *s, const char *what, const struct eng_answer *a)
{
	char esc[200];

	if (eng_is_away(a))
		plan_retry(s, what);
	else
		plan_fail(s, "%s: %s", what, log_escape(esc, sizeof(esc),
		    a->error, strlen(a->error)));
}

/* Inventory. */

static void
act_on_removed(void *arg, const struct eng_answer *a)
{
	if (!eng_is_ok(a))
		log_debug("leftover container: %s", a->error);
}

static void
act_remove_leftover(struct service *s, const char *id)
{
	struct buf b = { 0 };
	struct eng_request q = { .type = MSG_ENG_CONTAINER,
		.m = { .service = s->conf->service, .op = ENG_OP_REMOVE,
		    .flags = ENG_FORCE },
		.fields = &b, .fd = -1, .cb = act_on_removed };

	fields_add_str(&b, F_CONTAINER_ID, id);
	eng_ask(s->w, &q);
	buf_free(&b);
}

static bool
act_has_name(const cJSON *container, const char *name)
{
	const cJSON *n;

	cJSON_ArrayForEach(n, json_arr(container, "Names"))
		if (cJSON_IsString(n) && n->valuestring[0] == '/' &&
		    strcmp(n->valuestring + 1, name) == 0)
			return (true);
	return (false);
}

static void
act_adopt(struct service *s, const cJSON *container)
{
	const char *id = json_str(container, "Id");
	const char *image = json_str(container, "ImageID");
	const char *state = json_str(container, "State");

	if (strcmp(s->id, id) != 0)
		s->attached = false;
	if (strlcpy(s->id, id, sizeof(s->id)) >= sizeof(s->id))
		s->id[0] = '\0';
	strlcpy(s->image_id, image != NULL ? image : "", sizeof(s->image_id));
	s->running = state != NULL && strcmp(state, "running") == 0;
	/* it ran when the engine went, or nobody knows: it runs again */
	s->need_start = !s->running;
	s->need_inspect = true;
}

static void
act_on_list(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;
	cJSON *list, *c;
	const cJSON *ours = NULL;

	if (!eng_is_ok(a)) {
		act_failed(s, "listing the containers", a);
		return;
	}
	list = json_parse(a->body, a->len, BODY_MAX, NULL);
	cJSON_ArrayForEach(c, list) {
		if (json_str(c, "Id") == NULL)
			continue;
		if (ours == NULL && act_has_name(c, s->conf->container))
			ours = c;
		else
			act_remove_leftover(s, json_str(c, "Id"));
	}
	s->listed = true;
	if (ours != NULL)
		act_adopt(s, ours);
	else {
		s->id[0] = '\0';
		s->attached = s->running = false;
	}
	cJSON_Delete(list);
	s->retries = 0;
	plan_op_end(s);
	plan_next(s);
}

void
act_list(struct service *s)
{
	plan_op_begin(s, OP_LIST);
	act_ask(s, MSG_ENG_LIST, ENG_NONE, 0, act_on_list);
}

/* Inspect. */

static int
act_read_state(struct service *s, const struct eng_answer *a)
{
	cJSON *j = json_parse(a->body, a->len, BODY_MAX, NULL);
	const cJSON *st = json_obj(j, "State");
	const char *at = json_str(st, "StartedAt");
	bool paused = false;
	int r = -1;

	if (at != NULL && when_parse(at, &s->started_ns) == 0 &&
	    json_get_bool(st, "Running", &s->running) == 0)
		r = 0;
	ports_tell(s, j);
	json_get_bool(st, "Paused", &paused);
	if (r == 0 && paused)
		strlcpy(s->why, "the container is paused", sizeof(s->why));
	else if (strcmp(s->why, "the container is paused") == 0)
		s->why[0] = '\0';
	cJSON_Delete(j);
	return (r);
}

/* The container is not there any more: somebody removed it. */
static void
act_lost_container(struct service *s)
{
	s->id[0] = '\0';
	s->attached = s->running = s->need_start = false;
	s->need_steps = false;
	s->restart_after_ns = 0;
	s->need_rebuild = true;
	plan_fail(s, "the container was removed; the next change or `wharfctl "
	    "rebuild` makes a new one");
}

static void
act_on_inspect(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;

	s->need_inspect = false;
	if (a->err == 0 && a->status == 404) {
		act_lost_container(s);
		return;
	}
	if (!eng_is_ok(a)) {
		s->need_inspect = eng_is_away(a);
		act_failed(s, "inspecting the container", a);
		return;
	}
	if (act_read_state(s, a) == -1) {
		plan_fail(s, "the engine's answer is not understood");
		return;
	}
	s->retries = 0;
	plan_op_end(s);
	plan_next(s);
}

void
act_inspect(struct service *s)
{
	plan_op_begin(s, OP_INSPECT);
	act_ask(s, MSG_ENG_INSPECT, ENG_OP_CONTAINER, 0, act_on_inspect);
}

static void
act_on_start(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;

	if (!eng_is_ok(a)) {
		act_failed(s, "starting the container", a);
		return;
	}
	worker_event(s->w, EVENT_CONTAINER_START, s->conf, 0, NULL);
	s->need_start = false;
	s->force_restart = false;
	s->need_inspect = true;
	s->retries = 0;
	plan_op_end(s);
	plan_next(s);
}

void
act_start(struct service *s)
{
	plan_op_begin(s, OP_START);
	act_ask(s, MSG_ENG_CONTAINER, ENG_OP_START, 0, act_on_start);
}

/* Push. */

/* What push says is pending, whatever it was asked. */
static void
act_take_needs(struct service *s, struct frame *f)
{
	const struct msg_push_done *m = frame_fixed(f);
	struct buf again = { 0 };
	struct field fl;
	size_t off = 0;
	char *reason;

	s->need_steps = (m->needs & NEED_STEPS) != 0;
	s->restart_after_ns = m->needs & NEED_RESTART ? m->restart_after_ns :
							0;
	if (m->needs & NEED_REBUILD || m->result == RESULT_CLIMB) {
		reason = fields_dup(&f->tail, F_REASON);
		s->need_rebuild = true;
		log_escape(s->climbed, sizeof(s->climbed),
		    reason != NULL ? reason : "", reason != NULL ?
		    strlen(reason) : 0);
		free(reason);
	}
	while (field_next(&f->tail, &off, &fl) == 1)
		if (fl.key == F_PATH)
			fields_add_mem(&again, F_PATH, fl.str, fl.len);
	if (again.len > 0)
		work_add(s, &again, 0);
	buf_free(&again);
}

/* Sort an answer of push: true when it went well. */
static bool
act_push_ok(struct service *s, struct frame *f, const char *what)
{
	const struct msg_push_done *m = frame_fixed(f);
	char *reason = NULL, esc[200] = "";

	if (f->head.type != MSG_PUSH_DONE) {
		/* a worker's death is over in milliseconds */
		if (rpc_err(f) == ERR_WORKER_LOST)
			s->retries = 0;
		plan_retry(s, err_name(rpc_err(f)));
		return (false);
	}
	act_take_needs(s, f);
	if (m->result == RESULT_OK)
		return (true);
	if ((reason = fields_dup(&f->tail, F_REASON)) != NULL)
		log_escape(esc, sizeof(esc), reason, strlen(reason));
	free(reason);
	if (m->result == RESULT_RETRY || m->result == RESULT_CANCELLED)
		plan_retry(s, esc);
	else if (m->result == RESULT_FAILED)
		plan_fail(s, "%s: %s", what, esc);
	else
		return (true); /* it climbs: need_rebuild is set */
	return (false);
}

static void
act_on_attach(void *arg, struct frame *f)
{
	struct service *s = arg;
	const struct msg_push_done *m = frame_fixed(f);
	struct buf all = { 0 };

	if (!act_push_ok(s, f, "attaching"))
		return;
	if (s->manifest_fd != -1) {
		close(s->manifest_fd);
		s->manifest_fd = -1;
	}
	if (m->known) {
		s->attached = true;
		fields_add_str(&all, F_SUBTREE, "");
		work_add(s, &all, 0);
		buf_free(&all);
	} else {
		s->need_rebuild = true;
		strlcpy(s->climbed, "what the container holds is not known",
		    sizeof(s->climbed));
	}
	s->retries = 0;
	plan_op_end(s);
	plan_next(s);
}

void
act_attach(struct service *s)
{
	struct plan *p = s->w->state;
	struct msg_job m = { .service = s->conf->service, .job = ++p->jobs };
	struct buf b = { 0 };
	int fd = s->manifest_fd == -1 ? -1 :
					fcntl(s->manifest_fd, F_DUPFD_CLOEXEC,
					    0);

	plan_op_begin(s, OP_ATTACH);
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	fields_add_str(&b, F_IMAGE_ID, s->image_id);
	s->job_id = rpc_ask(s->w->rpc, MSG_ATTACH, 0, &m, &b, fd,
	    act_on_attach, s);
	buf_free(&b);
}

/* Remember and tell how a job ended. */
static void
act_report(struct service *s, const char *action, const struct frame *f)
{
	const struct msg_push_done *m = frame_fixed(f);
	uint64_t us = (uint64_t)((mono_now().ns - s->op_began.ns) / 1000);
	struct buf b = { 0 };

	s->last = (struct last) { .job = s->job, .action = action,
		.result = m->result == RESULT_OK ? "ok" : "climb",
		.files = m->files, .deleted = m->deleted, .bytes = m->bytes,
		.us = us };
	fields_add_str(&b, F_ACTION, action);
	fields_add_str(&b, F_RESULT, s->last.result);
	fields_add_u64(&b, F_FILES, m->files);
	fields_add_u64(&b, F_DELETED, m->deleted);
	fields_add_u64(&b, F_BYTES, m->bytes);
	fields_add_u64(&b, F_US, us);
	if (s->job_seen_ns != 0)
		fields_add_u64(&b, F_SEEN_TO_LIVE_US,
		    (uint64_t)(mono_now().ns - s->job_seen_ns) / 1000);
	worker_event(s->w, EVENT_PUSH_END, s->conf, s->job, &b);
	buf_free(&b);
	log_info("%s: %s: %llu files, %llu deleted, %llu bytes in %llu.%llu ms",
	    s->conf->name, action, (unsigned long long)m->files,
	    (unsigned long long)m->deleted, (unsigned long long)m->bytes,
	    (unsigned long long)us / 1000,
	    (unsigned long long)us / 100 % 10);
}

static void
act_on_applied(void *arg, struct frame *f)
{
	struct service *s = arg;
	const struct msg_push_done *m = frame_fixed(f);
	struct work *k = s->work; /* act_apply sends the first */

	if (rpc_err(f) == ERR_WORKER_LOST && k != NULL)
		work_crashed(s, k);
	if (!act_push_ok(s, f, "pushing"))
		return;
	if (m->files > 0 || m->deleted > 0)
		act_report(s, "push", f);
	s->whole = false;
	if (k != NULL)
		work_free(s, k);
	if (s->work == NULL) {
		s->applied = s->batch;
		s->applied_upto = s->upto;
	}
	s->retries = 0;
	plan_op_end(s);
	plan_next(s);
}

/* One job for all that waits, unless something in it is under suspicion. */
static void
act_merge(struct service *s)
{
	struct work *k = s->work, *n;

	while ((n = k->next) != NULL && k->crashes == 0 && n->crashes == 0 &&
	    k->paths.len + n->paths.len < MERGE_MAX) {
		buf_add(&k->paths, n->paths.data, n->paths.len);
		k->npaths += n->npaths;
		if (k->seen_ns == 0 ||
		    (n->seen_ns != 0 && n->seen_ns < k->seen_ns))
			k->seen_ns = n->seen_ns;
		work_free(s, n);
	}
}

/* The paths in frames of a bearable size; the first is the request. */
static void
act_send_paths(struct service *s, const struct msg_job *m,
    const struct fields *t)
{
	struct buf b = { 0 };
	struct field f;
	size_t off = 0;
	int more = 1;

	s->job_id = 0;
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	while (more) {
		more = field_next(t, &off, &f) == 1;
		if (more)
			fields_add_mem(&b, f.key, f.str, f.len);
		if (more && b.len < PATHS_PER_FRAME)
			continue;
		if (s->job_id == 0)
			s->job_id = rpc_ask(s->w->rpc, MSG_APPLY,
			    more ? F_MORE : 0, m, &b, -1, act_on_applied, s);
		else
			rpc_follow(s->w->rpc, s->job_id, MSG_APPLY_PATHS,
			    more ? F_MORE : 0, NULL, &b);
		b.len = 0;
	}
	buf_free(&b);
}

void
act_apply(struct service *s)
{
	struct plan *p = s->w->state;
	struct msg_job m = { .service = s->conf->service, .job = ++p->jobs,
		.flags = s->whole ? JOB_WHOLE : 0 };
	struct buf all = { 0 };
	struct fields t;

	if (s->work == NULL) {
		fields_add_str(&all, F_SUBTREE, "");
		work_add(s, &all, 0);
		buf_free(&all);
	}
	act_merge(s);
	plan_op_begin(s, OP_APPLY);
	s->job = m.job;
	s->job_seen_ns = m.seen_ns = s->work->seen_ns;
	t = (struct fields) { s->work->paths.data, s->work->paths.len };
	act_send_paths(s, &m, &t);
}

static void
act_on_steps(void *arg, struct frame *f)
{
	struct service *s = arg;

	if (!act_push_ok(s, f, "replaying the RUN steps"))
		return;
	act_report(s, "steps", f);
	s->retries = 0;
	plan_op_end(s);
	plan_next(s);
}

void
act_steps(struct service *s)
{
	struct plan *p = s->w->state;
	struct msg_job m = { .service = s->conf->service, .job = ++p->jobs };
	struct buf b = { 0 };

	plan_op_begin(s, OP_STEPS);
	s->job = m.job;
	s->job_seen_ns = 0;
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	s->job_id = rpc_ask(s->w->rpc, MSG_STEPS, 0, &m, &b, -1, act_on_steps,
	    s);
	buf_free(&b);
}

/* Restart: decided by StartedAt, so that it is not done twice. */

static void
act_on_restarted(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;
	struct buf b = { 0 };

	if (!eng_is_ok(a)) {
		act_failed(s, "restarting the container", a);
		return;
	}
	fields_add_u64(&b, F_US,
	    (uint64_t)((mono_now().ns - s->op_began.ns) / 1000));
	worker_event(s->w, EVENT_PUSH_RESTART, s->conf, s->job, &b);
	buf_free(&b);
	log_info("%s: restarted in %lld ms", s->conf->name,
	    (long long)mono_diff_ms(mono_now(), s->op_began));
	/* whatever the engine's clock says, this one is done */
	s->restart_after_ns = 0;
	s->force_restart = false;
	s->need_start = false;
	s->need_inspect = true;
	s->retries = 0;
	plan_op_end(s);
	plan_next(s);
}

static void
act_on_restart_inspected(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;

	if (!eng_is_ok(a) || act_read_state(s, a) == -1) {
		act_failed(s, "inspecting the container", a);
		return;
	}
	if (!s->force_restart && s->restart_after_ns <= s->started_ns) {
		plan_op_end(s);
		plan_next(s);
		return;
	}
	act_ask(s, MSG_ENG_CONTAINER,
	    s->running ? ENG_OP_RESTART : ENG_OP_START, 0, act_on_restarted);
}

void
act_restart(struct service *s)
{
	plan_op_begin(s, OP_RESTART);
	act_ask(s, MSG_ENG_INSPECT, ENG_OP_CONTAINER, 0,
	    act_on_restart_inspected);
}

/* The end: what was made is taken away, unless it is to be kept. */

static void
act_removed_one(struct service *s)
{
	struct plan *p = s->w->state;

	if (--p->removing == 0)
		worker_end(s->w, 0);
}

static void
act_on_image_removed(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;

	if (!eng_is_ok(a))
		log_debug("image %s: %s", s->conf->image, a->error);
	act_removed_one(s);
}

static void
act_on_gone(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;
	struct buf b = { 0 };
	struct eng_request q = { .type = MSG_ENG_IMAGE,
		.m = { .service = s->conf->service,
		    .op = ENG_OP_IMAGE_REMOVE },
		.fields = &b, .fd = -1, .cb = act_on_image_removed,
		.arg = s };

	if (!eng_is_ok(a) && a->status != 404)
		log_warnx("%s: the container stays: %s", s->conf->name,
		    a->error);
	worker_event(s->w, EVENT_CONTAINER_REMOVE, s->conf, 0, NULL);
	fields_add_str(&b, F_IMAGE_ID, s->image_id);
	eng_ask(s->w, &q);
	buf_free(&b);
}

void
act_remove(struct service *s)
{
	plan_op_begin(s, OP_REMOVE);
	if (s->conf->flags & SERVICE_KEEP || !s->engine_up ||
	    s->id[0] == '\0')
		act_removed_one(s);
	else
		act_ask(s, MSG_ENG_CONTAINER, ENG_OP_REMOVE, ENG_FORCE,
		    act_on_gone);
}
