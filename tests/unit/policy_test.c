/*
 * The restart policy: every event in every phase, and what follows from
 * rows of deaths.  The clock is a number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

#include "supervisor/policy.h"

#define MIDDLE    20 /* `random` that takes nothing off and adds nothing */
#define LEAST     0
#define MOST      40
#define KILLED    9 /* wait statuses */
#define EXITED(c) ((c) << 8)

static mono_t
at(int64_t ms)
{
	return ((mono_t) { (1000000 + ms) * 1000000 });
}

static struct policy_todo
step(struct policy *p, enum policy_event ev, int64_t ms)
{
	return (policy_step(p, ev, KILLED, at(ms), MIDDLE));
}

/* A policy that is in that phase since 0. */
static struct policy
in_phase(enum policy_phase phase)
{
	struct policy p = { 0 };

	switch (phase) {
	case POLICY_DOWN:
		break;
	case POLICY_STARTING:
		step(&p, POLICY_EV_START, 0);
		break;
	case POLICY_READY:
		step(&p, POLICY_EV_START, 0);
		step(&p, POLICY_EV_READY, 0);
		break;
	case POLICY_BACKOFF:
		step(&p, POLICY_EV_START, 0);
		step(&p, POLICY_EV_EXIT, 0);
		break;
	case POLICY_HELD:
		step(&p, POLICY_EV_START, 0);
		policy_step(&p, POLICY_EV_EXIT, EXITED(EX_CONFIG), at(0),
		    MIDDLE);
		break;
	}
	assert_int_equal(p.phase, phase);
	return (p);
}

/* One cell: phase x event -> phase, action. */
struct cell {
	enum policy_phase from;
	enum policy_event ev;
	int64_t ms;
	int code;
	enum policy_phase to;
	enum policy_action action;
	int64_t delay_ms;
};

#define DOWN     POLICY_DOWN
#define STARTING POLICY_STARTING
#define READY    POLICY_READY
#define BACKOFF  POLICY_BACKOFF
#define HELD     POLICY_HELD
#define EV(e)    POLICY_EV_##e

static const struct cell cells[] = {
	{ DOWN, EV(START), 0, 0, STARTING, POLICY_SPAWN, 0 },
	{ DOWN, EV(READY), 0, 0, DOWN, POLICY_NONE, 0 },
	{ DOWN, EV(EXIT), 0, KILLED, DOWN, POLICY_NONE, 0 },
	{ DOWN, EV(DUE), 0, 0, DOWN, POLICY_NONE, 0 },
	{ DOWN, EV(REPLACE), 0, 0, DOWN, POLICY_NONE, 0 },
	{ DOWN, EV(STOP), 0, 0, DOWN, POLICY_NONE, 0 },

	{ STARTING, EV(START), 0, 0, STARTING, POLICY_NONE, 0 },
	{ STARTING, EV(READY), 5, 0, READY, POLICY_NONE, 0 },
	{ STARTING, EV(EXIT), 5, KILLED, BACKOFF, POLICY_WAIT, 100 },
	{ STARTING, EV(EXIT), 90000, KILLED, BACKOFF, POLICY_WAIT, 100 },
	{ STARTING, EV(EXIT), 5, EXITED(0), BACKOFF, POLICY_WAIT, 100 },
	{ STARTING, EV(EXIT), 5, EXITED(EX_CONFIG), HELD, POLICY_HOLD, 0 },
	{ STARTING, EV(DUE), 5, 0, STARTING, POLICY_NONE, 0 },
	{ STARTING, EV(REPLACE), 5, 0, STARTING, POLICY_TERM, 0 },
	{ STARTING, EV(STOP), 5, 0, STARTING, POLICY_TERM, 0 },

	{ READY, EV(START), 5, 0, READY, POLICY_NONE, 0 },
	{ READY, EV(READY), 5, 0, READY, POLICY_NONE, 0 },
	{ READY, EV(EXIT), 0, KILLED, BACKOFF, POLICY_WAIT, 100 },
	{ READY, EV(EXIT), 999, KILLED, BACKOFF, POLICY_WAIT, 100 },
	{ READY, EV(EXIT), 1000, KILLED, STARTING, POLICY_SPAWN, 0 },
	{ READY, EV(EXIT), 1000, EXITED(0), STARTING, POLICY_SPAWN, 0 },
	{ READY, EV(EXIT), 1000, EXITED(EX_CONFIG), HELD, POLICY_HOLD, 0 },
	/* a signal of that number is no exit code */
	{ READY, EV(EXIT), 1000, EX_CONFIG, STARTING, POLICY_SPAWN, 0 },
	{ READY, EV(DUE), 5, 0, READY, POLICY_NONE, 0 },
	{ READY, EV(REPLACE), 5, 0, READY, POLICY_TERM, 0 },
	{ READY, EV(STOP), 5, 0, READY, POLICY_TERM, 0 },

	{ BACKOFF, EV(START), 5, 0, BACKOFF, POLICY_NONE, 0 },
	{ BACKOFF, EV(READY), 5, 0, BACKOFF, POLICY_NONE, 0 },
	{ BACKOFF, EV(EXIT), 5, KILLED, BACKOFF, POLICY_NONE, 0 },
	{ BACKOFF, EV(DUE), 100, 0, STARTING, POLICY_SPAWN, 0 },
	{ BACKOFF, EV(REPLACE), 5, 0, BACKOFF, POLICY_NONE, 0 },
	{ BACKOFF, EV(STOP), 5, 0, DOWN, POLICY_NONE, 0 },

	{ HELD, EV(START), 5, 0, STARTING, POLICY_SPAWN, 0 },
	{ HELD, EV(READY), 5, 0, HELD, POLICY_NONE, 0 },
	{ HELD, EV(EXIT), 5, KILLED, HELD, POLICY_NONE, 0 },
	{ HELD, EV(DUE), 5, 0, HELD, POLICY_NONE, 0 },
	{ HELD, EV(REPLACE), 5, 0, HELD, POLICY_NONE, 0 },
	{ HELD, EV(STOP), 5, 0, DOWN, POLICY_NONE, 0 },
};

#define NCELLS (sizeof(cells) / sizeof(cells[0]))

static void
test_cells(void **state)
{
	bool seen[POLICY_HELD + 1][POLICY_EV_STOP + 1] = { 0 };

	for (size_t i = 0; i < NCELLS; i++) {
		const struct cell *c = &cells[i];
		struct policy p = in_phase(c->from);
		struct policy_todo todo =
		    policy_step(&p, c->ev, c->code, at(c->ms), MIDDLE);

		if (p.phase != c->to || todo.action != c->action ||
		    todo.delay_ms != c->delay_ms)
			fail_msg("row %zu: phase %d, action %d, delay %lld", i,
			    p.phase, todo.action, (long long)todo.delay_ms);
		seen[c->from][c->ev] = true;
	}
	for (int phase = 0; phase <= POLICY_HELD; phase++)
		for (int ev = 0; ev <= POLICY_EV_STOP; ev++)
			assert_true(seen[phase][ev]);
}

/* Once it stops, nothing starts a process any more. */
static void
test_stop_is_final(void **state)
{
	for (enum policy_phase f = POLICY_DOWN; f <= POLICY_HELD; f++)
		for (enum policy_event e = 0; e <= POLICY_EV_STOP; e++)
			for (enum policy_event g = 0; g <= POLICY_EV_STOP;
			     g++) {
				struct policy p = in_phase(f);
				unsigned before = p.restarts;

				step(&p, POLICY_EV_STOP, 10);
				assert_int_not_equal(step(&p, e, 20).action,
				    POLICY_SPAWN);
				assert_int_not_equal(step(&p, g, 30).action,
				    POLICY_SPAWN);
				step(&p, POLICY_EV_EXIT, 40);
				assert_int_equal(p.phase, POLICY_DOWN);
				assert_int_equal(p.restarts, before);
			}
}

/* One early death; returns the delay. */
static int64_t
die_early(struct policy *p, int64_t ms, uint32_t random)
{
	struct policy_todo todo =
	    policy_step(p, POLICY_EV_EXIT, KILLED, at(ms), random);

	assert_int_equal(todo.action, POLICY_WAIT);
	assert_int_equal(p->phase, POLICY_BACKOFF);
	assert_int_equal(step(p, POLICY_EV_DUE, ms).action, POLICY_SPAWN);
	return (todo.delay_ms);
}

static void
test_backoff_sequence(void **state)
{
	static const int64_t want[] = { 100, 200, 400, 800, 1600, 3200, 6400,
		12800, 25600, 30000, 30000, 30000 };
	static const struct {
		uint32_t random;
		int percent;
	} jitters[] = { { LEAST, 80 }, { MIDDLE, 100 }, { MOST, 120 },
		{ UINT32_MAX, 80 + (int)(UINT32_MAX % 41) } };

	for (size_t j = 0; j < 4; j++) {
		struct policy p = in_phase(POLICY_STARTING);

		for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
			int64_t ms = want[i] * jitters[j].percent / 100;

			assert_int_equal(die_early(&p, (int64_t)i,
					     jitters[j].random),
			    ms < 30000 ? ms : 30000);
		}
	}
}

/* Any random number, any length of the row: within +-20 %, 30 s at most. */
static void
test_backoff_bounds(void **state)
{
	struct policy p = in_phase(POLICY_STARTING);
	uint32_t random = 1;

	for (int i = 0; i < 100000; i++) {
		int64_t ms;

		random = random * 1664525 + 1013904223;
		ms = die_early(&p, i, random);
		assert_true(ms >= 80 && ms <= POLICY_LAST_MS);
		if (i > 20)
			assert_true(ms >= POLICY_LAST_MS * 80 / 100);
	}
}

/* Deaths later than 1 s after READY do not count, and end the row. */
static void
test_late_death_ends_row(void **state)
{
	struct policy p = in_phase(POLICY_STARTING);
	struct policy_todo todo;

	assert_int_equal(die_early(&p, 0, MIDDLE), 100);
	assert_int_equal(die_early(&p, 0, MIDDLE), 200);
	step(&p, POLICY_EV_READY, 1000);
	todo = step(&p, POLICY_EV_EXIT, 2000);
	assert_int_equal(todo.action, POLICY_SPAWN);
	assert_int_equal(p.phase, POLICY_STARTING);
	assert_int_equal(die_early(&p, 2001, MIDDLE), 100);
	/* READY, but not for long: the row goes on */
	step(&p, POLICY_EV_READY, 3000);
	assert_int_equal(die_early(&p, 3500, MIDDLE), 200);
	assert_int_equal(p.restarts, 5);
}

static void
test_reload_ends_hold_and_row(void **state)
{
	struct policy p = in_phase(POLICY_STARTING);

	die_early(&p, 0, MIDDLE);
	die_early(&p, 0, MIDDLE);
	policy_step(&p, POLICY_EV_EXIT, EXITED(EX_CONFIG), at(5), MIDDLE);
	assert_string_equal(policy_state_name(&p, at(5)), "held");
	assert_int_equal(p.restarts, 2);
	assert_int_equal(step(&p, POLICY_EV_DUE, 60000).action, POLICY_NONE);
	assert_int_equal(step(&p, POLICY_EV_START, 60000).action, POLICY_SPAWN);
	assert_int_equal(die_early(&p, 60001, MIDDLE), 100);
}

/* More than 5 deaths in 60 s, and no longer than they are 60 s old. */
static void
test_degraded(void **state)
{
	struct policy p = in_phase(POLICY_READY);

	for (int i = 0; i < 6; i++) {
		int64_t t = 2000 + i * 2000;

		assert_false(policy_degraded(&p, at(t)));
		step(&p, POLICY_EV_EXIT, t);
		assert_string_equal(policy_state_name(&p, at(t)), "starting");
		step(&p, POLICY_EV_READY, t);
	}
	assert_true(policy_degraded(&p, at(12000)));
	assert_string_equal(policy_state_name(&p, at(12000)), "degraded");
	/* the first of the six was at 2000 */
	assert_true(policy_degraded(&p, at(61999)));
	assert_false(policy_degraded(&p, at(62000)));
	assert_string_equal(policy_state_name(&p, at(62000)), "ready");
	/* the ring goes round: 4000 is the oldest of the last six now */
	step(&p, POLICY_EV_EXIT, 63000);
	step(&p, POLICY_EV_READY, 63000);
	assert_true(policy_degraded(&p, at(63999)));
	assert_false(policy_degraded(&p, at(64000)));
}

static void
test_degraded_in_backoff(void **state)
{
	struct policy p = in_phase(POLICY_STARTING);

	for (int i = 0; i < 5; i++)
		die_early(&p, i, MIDDLE);
	step(&p, POLICY_EV_EXIT, 5);
	assert_string_equal(policy_state_name(&p, at(5)), "degraded");
	assert_string_equal(policy_state_name(&p, at(60000)), "backoff");
}

/* Slow deaths never add up. */
static void
test_not_degraded(void **state)
{
	struct policy p = in_phase(POLICY_READY);

	for (int i = 1; i < 100; i++) {
		step(&p, POLICY_EV_EXIT, i * 12000);
		step(&p, POLICY_EV_READY, i * 12000);
		assert_false(policy_degraded(&p, at(i * 12000)));
	}
}

/* A planned generation is no death, however soon it comes. */
static void
test_replace_counts_for_nothing(void **state)
{
	struct policy p = in_phase(POLICY_READY);

	for (int i = 0; i < 20; i++) {
		assert_int_equal(step(&p, POLICY_EV_REPLACE, i).action,
		    POLICY_TERM);
		/* asked again before it has ended: one is enough */
		assert_int_equal(step(&p, POLICY_EV_REPLACE, i).action,
		    POLICY_NONE);
		assert_int_equal(step(&p, POLICY_EV_EXIT, i).action,
		    POLICY_SPAWN);
		if (i % 2 == 0)
			step(&p, POLICY_EV_READY, i);
	}
	assert_int_equal(p.restarts, 0);
	assert_int_equal(p.early, 0);
	assert_false(policy_degraded(&p, at(20)));
	/* the next one is again a death like any other */
	assert_int_equal(die_early(&p, 21, MIDDLE), 100);
	assert_int_equal(p.restarts, 1);
}

static void
test_max_restarts(void **state)
{
	struct policy p = in_phase(POLICY_READY);
	int64_t t = 0;

	p.max_restarts = 3;
	for (int i = 0; i < 3; i++) {
		t += 5000;
		step(&p, POLICY_EV_REPLACE, t);
		assert_int_equal(step(&p, POLICY_EV_EXIT, t).action,
		    POLICY_SPAWN);
		step(&p, POLICY_EV_READY, t);
		t += 5000;
		assert_int_equal(step(&p, POLICY_EV_EXIT, t).action,
		    POLICY_SPAWN);
		step(&p, POLICY_EV_READY, t);
	}
	assert_int_equal(p.restarts, 3);
	assert_int_equal(step(&p, POLICY_EV_EXIT, t + 5000).action,
	    POLICY_GIVE_UP);
	assert_int_equal(p.phase, POLICY_DOWN);
	assert_int_equal(p.restarts, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_stop_is_final),
		cmocka_unit_test(test_backoff_sequence),
		cmocka_unit_test(test_backoff_bounds),
		cmocka_unit_test(test_late_death_ends_row),
		cmocka_unit_test(test_reload_ends_hold_and_row),
		cmocka_unit_test(test_degraded),
		cmocka_unit_test(test_degraded_in_backoff),
		cmocka_unit_test(test_not_degraded),
		cmocka_unit_test(test_replace_counts_for_nothing),
		cmocka_unit_test(test_max_restarts),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
