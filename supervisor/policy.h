/*
 * The restart policy of one worker: a pure function of state, event and time
 * (design.md section 4).  Supervisor; no system calls.
 */
#ifndef WHARF_POLICY_H
#define WHARF_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define POLICY_FIRST_MS  100 /* backoff of the first early death */
#define POLICY_LAST_MS   30000
#define POLICY_EARLY_MS  1000  /* a death this soon after READY is early */
#define POLICY_DEATHS    5     /* more than so many ... */
#define POLICY_WINDOW_MS 60000 /* ... within this show as degraded */
#define POLICY_PING_MS   10000
#define POLICY_MISSES    3     /* unanswered pings that make a hang */
#define POLICY_TERM_MS   5000  /* asked to end; then by force */
#define POLICY_READY_MS  60000 /* start to READY; longer is a hang */

enum policy_phase {
	POLICY_DOWN,     /* not started yet, or ended for good */
	POLICY_STARTING, /* spawned, not READY */
	POLICY_READY,
	POLICY_BACKOFF, /* waits before the next start */
	POLICY_HELD,    /* EX_CONFIG: waits for a reload */
};

enum policy_event {
	POLICY_EV_START, /* start of the daemon, or a reload */
	POLICY_EV_READY,
	POLICY_EV_EXIT,    /* died; `code` is the wait status */
	POLICY_EV_DUE,     /* the backoff is over */
	POLICY_EV_REPLACE, /* a planned generation is wanted */
	POLICY_EV_STOP,    /* the daemon ends */
};

enum policy_action {
	POLICY_NONE,
	POLICY_SPAWN,
	POLICY_WAIT,    /* arm the timer for `delay_ms` */
	POLICY_TERM,    /* end the process; its exit comes as an event */
	POLICY_HOLD,    /* say that it waits for a reload */
	POLICY_GIVE_UP, /* --max-restarts is used up: end the daemon */
};

struct policy {
	enum policy_phase phase;
	bool replacing; /* the next exit is ours and counts for nothing */
	bool stopping;
	unsigned early;        /* early deaths in a row */
	unsigned restarts;     /* after deaths, not planned ones */
	unsigned max_restarts; /* 0: no limit */
	mono_t ready_at;
	mono_t deaths[POLICY_DEATHS + 1]; /* the latest ones, a ring */
	unsigned ndeaths;
};

struct policy_todo {
	enum policy_action action;
	int64_t delay_ms;
};

/*
 * Feed one event.  `code` is the wait status of an exit, `random` any number
 * (jitter of +-20 % comes from it, which
 * never exceeds POLICY_LAST_MS).  Returns what has to be done.
 */
struct policy_todo policy_step(struct policy *p, enum policy_event ev, int code,
    mono_t now, uint32_t random);

/* More than POLICY_DEATHS deaths within POLICY_WINDOW_MS. */
bool policy_degraded(const struct policy *p, mono_t now);

/* "starting", "ready", "backoff", "degraded", "held" or "down". */
const char *policy_state_name(const struct policy *p, mono_t now);

#endif
