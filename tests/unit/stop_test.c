/*
 * The end of the daemon: plan first, then all, then by force.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/unit/actor.h"
#include "tests/unit/route_fake.h"

static bool
play_stays(struct actor *a, struct frame *f)
{
	signal(SIGTERM, SIG_IGN);
	return (f->head.type == MSG_STOP);
}

static bool
play_exit_config(struct actor *a, struct frame *f)
{
	if (f->head.type == MSG_CONF_END)
		loop_stop(a->loop, EX_CONFIG);
	return (true);
}

/* Crashes at the first STOP; its successor ends well. */
static bool
play_crashes(struct actor *a, struct frame *f)
{
	if (f->head.type == MSG_STOP)
		loop_stop(a->loop, 1);
	return (f->head.type == MSG_STOP);
}

static const struct actor_part parts[] = {
	{ "stays", play_stays },
	{ "exit-config", play_exit_config },
	{ "crashes", play_crashes },
	{ NULL, NULL },
};

static bool
all_gone(struct stage *w)
{
	struct child *c;

	CHILD_FOREACH (c, &w->sup)
		if (c->pid != 0)
			return (false);
	return (true);
}

/* The loop's end, as main() sees it. */
static int
run(struct stage *w)
{
	for (int i = 0; i < 1000 && !all_gone(w); i++)
		stage_turn(w, 0);
	assert_true(all_gone(w));
	stage_turn(w, 0);
	return (loop_run(w->sup.loop));
}

static void
test_well(void **state)
{
	struct stage *w = *state;
	struct child *plan;

	stage_start(w);
	plan = stage_child(w, PROC_PLAN);
	stop_begin(&w->sup, EX_TEMPFAIL);
	assert_int_equal(w->sup.phase, SUP_STOPS_PLAN);
	stage_until(w, plan->pid == 0);
	/* plan was first, because it needs the others */
	assert_int_not_equal(stage_child(w, PROC_ENGINE)->pid, 0);
	assert_int_equal(run(w), EX_TEMPFAIL);
}

/* A plan that does not end, and workers that do not: within 8 s. */
static void
test_stays(void **state)
{
	struct stage *w = *state;

	stage_part(w, PROC_PLAN, "stays");
	stage_part(w, PROC_PUSH, "stays");
	stage_start(w);
	stop_begin(&w->sup, 0);
	stage_turn(w, 4900);
	assert_int_equal(w->sup.phase, SUP_STOPS_PLAN);
	stage_turn(w, 101);
	stage_until(w, w->sup.phase == SUP_STOPS_ALL);
	stage_until(w, stage_child(w, PROC_WATCH)->pid == 0);
	assert_int_not_equal(stage_child(w, PROC_PUSH)->pid, 0);
	stage_turn(w, 1501);
	stage_until(w, w->sup.phase == SUP_KILLS);
	assert_int_equal(run(w), 0);
	assert_string_equal(stage_child(w, PROC_PLAN)->last_exit,
	    "signal 9 (KILL)");
}

/* Asked again and again, it is sooner. */
static void
test_no_patience(void **state)
{
	struct stage *w = *state;

	stage_part(w, PROC_PLAN, "stays");
	stage_start(w);
	stop_begin(&w->sup, 0);
	stop_begin(&w->sup, 1);
	stage_until(w, w->sup.phase == SUP_STOPS_ALL);
	stop_begin(&w->sup, 1);
	stage_until(w, w->sup.phase == SUP_KILLS);
	assert_int_equal(run(w), 0);
}

/* A crash is no end: its successor has to clear away. */
static void
test_plan_crashes(void **state)
{
	struct stage *w = *state;
	struct child *plan;

	stage_part(w, PROC_PLAN, "crashes");
	stage_start(w);
	plan = stage_child(w, PROC_PLAN);
	stage_turn(w, 2000);
	stage_part(w, PROC_PLAN, "good");
	stop_begin(&w->sup, 0);
	stage_until(w, plan->generation == 2);
	stage_until(w, plan->pid == 0);
	assert_string_equal(plan->last_exit, "exit 0");
	assert_int_equal(run(w), 0);
}

/* A plan that is down for good is not waited for. */
static void
test_plan_is_held(void **state)
{
	struct stage *w = *state;
	struct child *plan;

	stage_start(w);
	plan = stage_child(w, PROC_PLAN);
	stage_part(w, PROC_PLAN, "exit-config");
	stage_turn(w, 2000);
	kill(plan->pid, SIGKILL);
	stage_until(w, plan->policy.phase == POLICY_HELD);
	stop_begin(&w->sup, 0);
	stage_until(w, w->sup.phase == SUP_STOPS_ALL);
	assert_int_equal(run(w), 0);
}

/* Who is in its backoff is not started any more. */
static void
test_backoff(void **state)
{
	struct stage *w = *state;
	struct child *c;
	uint32_t gen;

	stage_start(w);
	c = stage_child(w, PROC_PUSH);
	kill(c->pid, SIGKILL);
	stage_until(w, c->policy.phase == POLICY_BACKOFF);
	gen = c->generation;
	stop_begin(&w->sup, 0);
	assert_int_equal(run(w), 0);
	assert_int_equal(c->generation, gen);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, stage_up, stage_down)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_well),
		TEST(test_stays),
		TEST(test_no_patience),
		TEST(test_plan_crashes),
		TEST(test_plan_is_held),
		TEST(test_backoff),
	};

	actor_main(argv, parts);
	signal(SIGPIPE, SIG_IGN);
	setenv("XDG_STATE_HOME", "/nonexistent", 1);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
