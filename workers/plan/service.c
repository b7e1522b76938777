/*
 * What happens next with a service: the one place that decides.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "workers/plan/plan.h"

#define RETRY_FIRST_MS 50
#define RETRY_LAST_MS  2000

static void
plan_on_timer(void *arg)
{
	plan_next(arg);
}

void
plan_wait_until(struct service *s, mono_t when)
{
	loop_timer_set(s->w->loop, &s->timer, when, plan_on_timer, s);
}

static const char *
op_name(enum plan_op op)
{
	static const char *const names[] = {
		[OP_LIST] = "list containers",
		[OP_ATTACH] = "attach",
		[OP_BUILD] = "build",
		[OP_REPLACE] = "replace the container",
		[OP_START] = "start",
		[OP_INSPECT] = "inspect",
		[OP_RECHECK] = "inspect on a hint",
		[OP_APPLY] = "push",
		[OP_STEPS] = "repeat steps",
		[OP_RESTART] = "restart",
		[OP_REMOVE] = "remove the container",
	};

	if (op <= OP_NONE || op >= sizeof(names) / sizeof(names[0]))
		return ("nothing");
	return (names[op]);
}

void
plan_op_begin(struct service *s, enum plan_op op)
{
	log_debug("%s: %s", s->conf->name, op_name(op));
	s->op = op;
	s->job_id = 0;
	s->op_began = mono_now();
	s->op_touched = false;
	loop_timer_cancel(&s->timer);
}

void
plan_op_end(struct service *s)
{
	s->op = OP_NONE;
	s->job_id = 0;
}

void
plan_unblock(struct service *s)
{
	s->blocked = false;
	s->unblock_at.ns = 0;
	s->why[0] = '\0';
}

/*
 * The operation cannot succeed until something changes.  What has changed
 * while it ran may be just that.
 */
void
plan_fail(struct service *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	log_warnx("%s: %s", s->conf->name, s->why);
	if (s->op != OP_NONE && s->op_touched) {
		s->why[0] = '\0';
		plan_retry(s, "something has changed meanwhile");
		return;
	}
	s->blocked = true;
	s->retries = 0;
	plan_op_end(s);
	plan_next(s);
}

/* The operation was cut short by something that comes back. */
void
plan_retry(struct service *s, const char *why)
{
	int64_t ms = RETRY_FIRST_MS;

	for (unsigned i = 0; i < s->retries && ms < RETRY_LAST_MS; i++)
		ms *= 2;
	if (ms > RETRY_LAST_MS)
		ms = RETRY_LAST_MS;
	s->retries++;
	log_debug("%s: again in %lld ms: %s", s->conf->name, (long long)ms,
	    why);
	plan_op_end(s);
	s->retry_at = mono_add_ms(mono_now(), ms);
	plan_next(s);
}

bool
plan_wants_restart(const struct service *s)
{
	/*
	 * An engine with a clock of its own is not asked twice.  Later copies
	 * have another number, be it a smaller one after a clock was put back.
	 */
	return (s->force_restart ||
	    (s->restart_after_ns > s->started_ns &&
		s->restart_after_ns != s->restarted_for));
}

static bool
plan_has_needs(const struct service *s)
{
	return (s->need_inspect || s->need_start || s->need_rebuild ||
	    s->need_steps || s->whole || plan_wants_restart(s));
}

bool
plan_in_step(const struct service *s)
{
	return (!s->retiring && s->engine_up && s->listed && s->scanned &&
	    !s->root_gone && s->attached && s->running && !s->paused &&
	    s->work == NULL && !plan_has_needs(s) && !s->blocked &&
	    s->set_aside.len == 0 &&
	    (s->op == OP_NONE || s->op == OP_RECHECK) && s->acked == s->batch &&
	    s->acked_upto >= s->tree_upto);
}

bool
plan_is_stuck(const struct service *s)
{
	if (s->op != OP_NONE || s->recheck || !s->engine_up)
		return (false);
	if (s->blocked || s->root_gone || s->paused)
		return (true);
	/* all is delivered that can be, and yet it is not live */
	return (s->listed && s->attached && s->work == NULL &&
	    !plan_has_needs(s) && s->acked == s->batch &&
	    (!s->running || s->set_aside.len > 0));
}

const char *
plan_why(const struct service *s)
{
	if (plan_in_step(s))
		return ("");
	if (s->retiring)
		return ("the configuration has changed");
	if (!s->engine_up)
		return ("the engine is away");
	if (s->root_gone)
		return ("the directory is gone");
	if (s->paused)
		return ("the container is paused");
	if (s->why[0] != '\0')
		return (s->why);
	if (s->set_aside.len > 0)
		return ("paths are set aside");
	if (s->op == OP_BUILD)
		return ("the image is being built");
	if (s->op == OP_REPLACE)
		return ("the container is being replaced");
	if (plan_must_wait(s))
		return ("what the configuration had here before is being "
			"ended");
	if (s->need_rebuild && s->climbed[0] != '\0')
		return (s->climbed);
	if (!s->scanned)
		return ("the directory is being read");
	if (s->id[0] == '\0')
		return ("there is no container yet");
	if (!s->running && s->op == OP_NONE)
		return ("the container is not running");
	return ("changes are on their way");
}

/* Say it when a service comes into step, or falls out of it. */
static void
plan_announce(struct service *s)
{
	bool now = plan_in_step(s);
	struct buf b = { 0 };

	if (now == s->was_in_step)
		return;
	s->was_in_step = now;
	if (!now)
		fields_add_str(&b, F_WHY, plan_why(s));
	worker_event(s->w,
	    now ? EVENT_SERVICE_IN_STEP : EVENT_SERVICE_OUT_OF_STEP, s->conf, 0,
	    &b);
	buf_free(&b);
}

/*
 * Actions wait for the tree to settle, and for git to be done with it; true
 * when they may start.
 */
static bool
plan_is_quiet(struct service *s)
{
	mono_t until = s->held ? s->hurry_at : s->quiet_at;

	if (mono_now().ns >= until.ns)
		return (true);
	plan_wait_until(s, until);
	return (false);
}

/* The actions, lowest rung last: what is built anew need not be restarted. */
static void
plan_next_action(struct service *s)
{
	if (s->need_rebuild || s->id[0] == '\0') {
		if (plan_is_quiet(s))
			replace_build(s);
	} else if (!s->attached)
		act_attach(s);
	else if (s->need_start)
		act_start(s);
	else if (s->work != NULL || s->whole)
		act_apply(s);
	else if (s->need_steps) {
		if (!s->running)
			act_start(s);
		else if (plan_is_quiet(s))
			act_steps(s);
	} else if (plan_wants_restart(s)) {
		if (plan_is_quiet(s))
			act_restart(s);
	} else {
		s->retries = 0;
		batch_ack(s);
	}
}

static void
plan_next_op(struct service *s)
{
	if (!s->engine_up || s->root_gone || plan_must_wait(s))
		return;
	if (s->blocked && s->unblock_at.ns != 0) {
		if (mono_now().ns < s->unblock_at.ns)
			plan_wait_until(s, s->unblock_at);
		else
			plan_unblock(s);
	}
	if (mono_now().ns < s->retry_at.ns)
		plan_wait_until(s, s->retry_at);
	else if (!s->listed) {
		if (!s->blocked)
			act_list(s);
	} else if ((s->need_inspect || s->recheck) && s->id[0] != '\0')
		act_inspect(s);
	else if (!s->blocked && !s->paused)
		plan_next_action(s);
}

void
plan_next(struct service *s)
{
	if (s->op != OP_NONE || s->ended)
		return;
	if (plan_is_ending(s))
		end_next(s);
	else
		plan_next_op(s);
	plan_announce(s);
	verbs_settle(s);
}
