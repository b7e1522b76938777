/*
 * What push does: take a container over, deliver changes, replay steps.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/plan/plan.h"

#define CRASHED_AGAIN_MS 10000 /* to a comparison that kills */
#define PATHS_PER_FRAME  (128 * 1024)
#define MERGE_MAX        (1024 * 1024) /* well below a channel's limit */
#define AGAIN_MS         50 /* for a file that changes while it is read */

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
	s->restart_after_ns = m->needs & NEED_RESTART ? m->restart_after_ns : 0;
	if (m->needs & NEED_REBUILD || m->result == RESULT_CLIMB) {
		reason = fields_dup(&f->tail, F_REASON);
		s->need_rebuild = true;
		log_escape(s->climbed, sizeof(s->climbed),
		    reason != NULL ? reason : "",
		    reason != NULL ? strlen(reason) : 0);
		free(reason);
	}
	while (field_next(&f->tail, &off, &fl) == 1)
		if (fl.key == F_PATH)
			fields_add_mem(&again, F_PATH, fl.str, fl.len);
	if (again.len > 0) {
		work_add(s, &again, 0);
		s->retry_at = mono_add_ms(mono_now(), AGAIN_MS);
	}
	buf_free(&again);
}

static const char *
act_result(uint32_t result)
{
	static const char *const names[] = { [RESULT_OK] = "ok",
		[RESULT_FAILED] = "failed",
		[RESULT_RETRY] = "retry",
		[RESULT_CANCELLED] = "cancelled",
		[RESULT_CLIMB] = "climb" };

	return (result < sizeof(names) / sizeof(names[0]) ? names[result] :
							    "failed");
}

/* Remember and tell how a job ended. */
static void
act_report(struct service *s, const char *action, const struct frame *f)
{
	const struct msg_push_done *m = frame_fixed(f);
	uint64_t us = (uint64_t)((mono_now().ns - s->op_began.ns) / 1000);
	struct buf b = { 0 };

	s->last = (struct last) { .job = s->job,
		.action = action,
		.result = act_result(m->result),
		.files = m->files,
		.deleted = m->deleted,
		.bytes = m->bytes,
		.us = us };
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	fields_add_str(&b, F_ACTION, action);
	fields_add_str(&b, F_RESULT, s->last.result);
	fields_add_u64(&b, F_FILES, m->files);
	fields_add_u64(&b, F_DELETED, m->deleted);
	fields_add_u64(&b, F_BYTES, m->bytes);
	fields_add_u64(&b, F_US, us);
	if (s->job_seen_ns != 0)
		fields_add_u64(&b, F_SEEN_TO_LIVE_US,
		    (uint64_t)(mono_now().ns - s->job_seen_ns) / 1000);
	worker_event(s->w,
	    m->result == RESULT_CANCELLED ? EVENT_PUSH_CANCEL : EVENT_PUSH_END,
	    s->conf, s->job, &b);
	buf_free(&b);
	log_info("%s: %s%s%s: %llu files, %llu deleted, %llu bytes in "
		 "%llu.%llu ms",
	    s->conf->name, action, m->result == RESULT_OK ? "" : ": ",
	    m->result == RESULT_OK ? "" : s->last.result,
	    (unsigned long long)m->files, (unsigned long long)m->deleted,
	    (unsigned long long)m->bytes, (unsigned long long)us / 1000,
	    (unsigned long long)us / 100 % 10);
}

/* The running job is given up by ourselves. */
void
act_cancelled(struct service *s)
{
	struct buf b = { 0 };

	if (s->op != OP_APPLY && s->op != OP_STEPS)
		return;
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	fields_add_str(&b, F_ACTION, s->op == OP_STEPS ? "steps" : "push");
	worker_event(s->w, EVENT_PUSH_CANCEL, s->conf, s->job, &b);
	buf_free(&b);
}

/* Is f the last answer to what runs?  Nothing else may move the job. */
static bool
act_awaits(const struct service *s, const struct frame *f, enum plan_op op)
{
	return (s->op == op && s->job_id == f->head.id &&
	    (f->head.flags & F_MORE) == 0);
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
	if (m->result == RESULT_CLIMB)
		return (true); /* need_rebuild is set */
	if (m->result == RESULT_RETRY || m->result == RESULT_CANCELLED) {
		/* the container may be gone, or not run any more */
		s->need_inspect = true;
		plan_retry(s, esc);
	} else
		plan_fail(s, "%s: %s", what, esc);
	return (false);
}

static void
act_on_attach(void *arg, struct frame *f)
{
	struct service *s = arg;
	const struct msg_push_done *m = frame_fixed(f);
	struct buf all = { 0 };

	if (!act_awaits(s, f, OP_ATTACH))
		return;
	/* it is push's now, or push cannot use it */
	if (f->head.type == MSG_PUSH_DONE && m->result != RESULT_RETRY &&
	    m->result != RESULT_CANCELLED && s->manifest_fd != -1) {
		close(s->manifest_fd);
		s->manifest_fd = -1;
	}
	if (!act_push_ok(s, f, "attaching"))
		return;
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
	int fd = -1;

	/* it says what a container of that image holds, and of no other */
	if (s->manifest_fd != -1 && strcmp(s->image_id, s->built_id) == 0)
		fd = fcntl(s->manifest_fd, F_DUPFD_CLOEXEC, 0);
	plan_op_begin(s, OP_ATTACH);
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	fields_add_str(&b, F_IMAGE_ID, s->image_id);
	s->job_id =
	    rpc_ask(s->w->rpc, MSG_ATTACH, 0, &m, &b, fd, act_on_attach, s);
	buf_free(&b);
}

/* What the first work is about, for people. */
static const char *
act_first_path(const struct service *s, char *dst, size_t size)
{
	struct fields t = { s->work->paths.data, s->work->paths.len };
	struct field f;
	size_t off = 0;

	if (field_next(&t, &off, &f) != 1 || f.len == 0)
		return ("the whole directory");
	return (log_escape(dst, size, f.str, f.len));
}

static void
act_on_applied(void *arg, struct frame *f)
{
	struct service *s = arg;
	char esc[200];
	const struct msg_push_done *m = frame_fixed(f);
	struct work *k = s->work; /* act_apply sends the first */
	bool done = f->head.type == MSG_PUSH_DONE;

	if (!act_awaits(s, f, OP_APPLY))
		return;
	if (done && (m->result != RESULT_OK || m->files > 0 || m->deleted > 0))
		act_report(s, "push", f);
	if (!done || (m->result != RESULT_OK && m->result != RESULT_CLIMB))
		s->whole |= s->job_whole;
	if (rpc_err(f) == ERR_WORKER_LOST && !work_crashed(s, k)) {
		/* it may as well have been killed from outside, each time */
		s->unblock_at = mono_add_ms(mono_now(), CRASHED_AGAIN_MS);
		plan_fail(s, "the push worker dies of comparing %s",
		    act_first_path(s, esc, sizeof(esc)));
		return;
	}
	if (!act_push_ok(s, f, "pushing"))
		return;
	if ((s->need_steps || m->needs & NEED_RESTART) && s->act_seen_ns == 0)
		s->act_seen_ns = s->job_seen_ns;
	/* it died by itself: with what has changed it may run */
	if (!s->running && (m->files > 0 || m->deleted > 0))
		s->need_start = true;
	work_free(s, k);
	batch_applied(s);
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
	struct msg_job m = { .service = s->conf->service,
		.job = ++p->jobs,
		.started_ns = s->started_ns,
		.flags = s->whole ? JOB_WHOLE : 0 };
	struct buf all = { 0 };
	struct fields t;

	if (s->work == NULL) {
		fields_add_str(&all, F_SUBTREE, "");
		work_add(s, &all, 0);
		buf_free(&all);
	}
	work_sort(s);
	act_merge(s);
	plan_op_begin(s, OP_APPLY);
	/* who asks for it from now on means a job that begins later */
	s->job_whole = s->whole;
	s->whole = false;
	s->job = m.job;
	s->job_seen_ns = m.seen_ns = s->work->seen_ns;
	t = (struct fields) { s->work->paths.data, s->work->paths.len };
	act_send_paths(s, &m, &t);
}

static void
act_on_steps(void *arg, struct frame *f)
{
	struct service *s = arg;

	if (!act_awaits(s, f, OP_STEPS))
		return;
	if (f->head.type == MSG_PUSH_DONE)
		act_report(s, "steps", f);
	if (!act_push_ok(s, f, "replaying the RUN steps"))
		return;
	/* a restart is still to come */
	if (s->restart_after_ns == 0)
		s->act_seen_ns = 0;
	s->retries = 0;
	plan_op_end(s);
	plan_next(s);
}

void
act_steps(struct service *s)
{
	struct plan *p = s->w->state;
	struct msg_job m = { .service = s->conf->service,
		.job = ++p->jobs,
		.started_ns = s->started_ns };
	struct buf b = { 0 };

	plan_op_begin(s, OP_STEPS);
	s->job = m.job;
	s->job_seen_ns = m.seen_ns = s->act_seen_ns;
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	s->job_id =
	    rpc_ask(s->w->rpc, MSG_STEPS, 0, &m, &b, -1, act_on_steps, s);
	buf_free(&b);
}
