/*
 * Single operations on a service's container.
 */
#include <stdio.h>
#include <string.h>

#include "workers/plan/plan.h"

#define BODY_MAX    (4 * 1024 * 1024)
#define START_TRIES 4

/* Ask the engine about this service; CONTAINER_ID is added when it has one. */
uint32_t
act_ask(struct service *s, enum msg_type type, enum eng_op op, uint32_t flags,
    eng_cb cb)
{
	struct buf b = { 0 };
	struct eng_request q = { .type = type,
		.m = { .service = s->conf->service, .op = op, .flags = flags },
		.fields = &b,
		.fd = -1,
		.max_body = BODY_MAX,
		.cb = cb,
		.arg = s };
	uint32_t id;

	if (s->id[0] != '\0' && type != MSG_ENG_LIST)
		fields_add_str(&b, F_CONTAINER_ID, s->id);
	id = eng_ask(s->w, &q);
	buf_free(&b);
	return (id);
}

/* A failure of the engine: away for a moment, or a refusal. */
void
act_failed(struct service *s, const char *what, const struct eng_answer *a)
{
	char esc[200];

	/* it may be the container that is gone, with no event that said so */
	if (a->err == 0 && a->status == 404)
		s->need_inspect = true;
	if (eng_is_away(a))
		plan_retry(s, what);
	else
		plan_fail(s, "%s: %s", what,
		    log_escape(esc, sizeof(esc), a->error, strlen(a->error)));
}

/*
 * The engine has the container and does not start it: once more, because one
 * that was killed has to clear up first, and then the next rung, a new one.
 */
static void
act_not_started(struct service *s, const char *what, const struct eng_answer *a)
{
	char esc[160];

	if (eng_is_away(a) || a->err != 0 || a->status < 500) {
		act_failed(s, what, a);
		return;
	}
	if (++s->not_started < START_TRIES) {
		plan_retry(s, a->error);
		return;
	}
	s->not_started = 0;
	s->need_rebuild = true;
	snprintf(s->climbed, sizeof(s->climbed), "%s: %s", what,
	    log_escape(esc, sizeof(esc), a->error, strlen(a->error)));
	plan_op_end(s);
	plan_next(s);
}

static void
act_on_start(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;
	struct buf b = { 0 };

	if (!eng_is_ok(a)) {
		act_not_started(s, "starting the container", a);
		return;
	}
	s->not_started = 0;
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	worker_event(s->w, EVENT_CONTAINER_START, s->conf, 0, &b);
	buf_free(&b);
	s->need_start = false;
	s->force_restart = false;
	s->restarted_for = s->restart_after_ns;
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

/* Restart: decided by StartedAt, so that it is not done twice. */

static void
act_on_restarted(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;
	struct buf b = { 0 };

	if (!eng_is_ok(a)) {
		s->force_restart |= s->job_restart && eng_is_away(a);
		/* who asks for a restart is told; nobody asked for more */
		if (s->job_restart)
			act_failed(s, "restarting the container", a);
		else
			act_not_started(s, "restarting the container", a);
		return;
	}
	s->not_started = 0;
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	fields_add_u64(&b, F_US,
	    (uint64_t)((mono_now().ns - s->op_began.ns) / 1000));
	if (s->act_seen_ns != 0)
		fields_add_u64(&b, F_SEEN_TO_LIVE_US,
		    (uint64_t)(mono_now().ns - s->act_seen_ns) / 1000);
	worker_event(s->w, EVENT_PUSH_RESTART, s->conf, s->job, &b);
	buf_free(&b);
	log_info("%s: restarted in %lld ms", s->conf->name,
	    (long long)mono_diff_ms(mono_now(), s->op_began));
	/* whatever the engine's clock says, this one is done */
	s->restarted_for = s->restart_after_ns;
	s->act_seen_ns = 0;
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

	if (!eng_is_ok(a)) {
		s->force_restart |= s->job_restart && eng_is_away(a);
		act_failed(s, "inspecting the container", a);
		return;
	}
	if (act_read_state(s, a) == -1) {
		plan_fail(s, "the engine's answer is not understood");
		return;
	}
	if (!s->job_restart && s->restart_after_ns <= s->started_ns) {
		/* somebody else has restarted it */
		s->act_seen_ns = 0;
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
	/* who asks from now on means a restart that begins later */
	s->job_restart = s->force_restart;
	s->force_restart = false;
	act_ask(s, MSG_ENG_INSPECT, ENG_OP_CONTAINER, 0,
	    act_on_restart_inspected);
}
