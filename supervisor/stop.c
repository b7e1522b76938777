/*
 * The end of the daemon, within 8 s: plan first, because it clears away what
 * it made through the engine; then all; then by force.  Supervisor.
 */
#include <signal.h>
#include <sys/wait.h>

#include "sup.h"

#define STOP_PLAN_MS 5000
#define STOP_ALL_MS  1500
#define STOP_KILL_MS 1000

static void stop_next(void *arg);

static bool
stop_all_gone(const struct sup *s)
{
	for (size_t i = 0; i < SUP_CHILDREN_MAX; i++)
		if (s->children[i].sup != NULL && s->children[i].pid != 0)
			return (false);
	return (true);
}

static void
stop_phase_all(struct sup *s)
{
	struct child *c;

	s->phase = SUP_STOPS_ALL;
	CHILD_FOREACH (c, s) {
		/* READY ones are asked; the others have nothing to finish */
		c->policy.stopping = true;
		loop_timer_cancel(&c->due);
		if (child_is_ready(c) && c->role != PROC_CONFIG)
			child_send(c, MSG_STOP, NULL, NULL, -1);
		else if (c->pid != 0)
			kill(c->pid, SIGTERM);
	}
	loop_timer_in_ms(s->loop, &s->stop_timer, STOP_ALL_MS, stop_next, s);
}

static void
stop_phase_kill(struct sup *s)
{
	struct child *c;

	s->phase = SUP_KILLS;
	CHILD_FOREACH (c, s)
		if (c->pid != 0) {
			log_warnx("%s does not end, killing it",
			    proc_name(c->role));
			kill(c->pid, SIGKILL);
		}
	loop_timer_in_ms(s->loop, &s->stop_timer, STOP_KILL_MS, stop_next, s);
}

static void
stop_next(void *arg)
{
	struct sup *s = arg;

	if (stop_all_gone(s) || s->phase == SUP_KILLS)
		loop_stop(s->loop, s->exit_code);
	else if (s->phase == SUP_STOPS_PLAN)
		stop_phase_all(s);
	else
		stop_phase_kill(s);
}

void
stop_begin(struct sup *s, int exit_code)
{
	struct child *plan = child_find(s, PROC_PLAN, 0);

	if (s->phase != SUP_RUNS) {
		/* asked a second time: no more patience */
		loop_timer_in_ms(s->loop, &s->stop_timer, 0, stop_next, s);
		return;
	}
	log_info("stopping");
	s->exit_code = exit_code;
	s->phase = SUP_STOPS_PLAN;
	serve_event(s, EVENT_DAEMON_STOP, NULL);
	if (child_is_ready(plan))
		child_send(plan, MSG_STOP, NULL, NULL, -1);
	/* one that is down for good has nothing to clear away any more */
	loop_timer_in_ms(s->loop, &s->stop_timer,
	    plan->policy.phase == POLICY_DOWN ||
		    plan->policy.phase == POLICY_HELD ?
		0 :
		STOP_PLAN_MS,
	    stop_next, s);
}

/* A plan that comes up only now has to clear away all the same. */
void
stop_child_ready(struct child *c)
{
	if (c->sup->phase == SUP_STOPS_PLAN && c->role == PROC_PLAN)
		child_send(c, MSG_STOP, NULL, NULL, -1);
}

/* A plan that has finished is not started again; one that crashed is. */
void
stop_child_exits(struct child *c, int code)
{
	if (c->sup->phase == SUP_STOPS_PLAN && c->role == PROC_PLAN &&
	    WIFEXITED(code) && WEXITSTATUS(code) == 0)
		c->policy.stopping = true;
}

void
stop_child_gone(struct sup *s, bool plan_is_done)
{
	if (s->phase == SUP_RUNS)
		return;
	if (stop_all_gone(s) || (s->phase == SUP_STOPS_PLAN && plan_is_done))
		loop_timer_in_ms(s->loop, &s->stop_timer, 0, stop_next, s);
}
