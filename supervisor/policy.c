/*
 * Restart policy, see policy.h.
 */
#include <sys/wait.h>
#include <sysexits.h>

#include "policy.h"

static const struct policy_todo nothing = { POLICY_NONE, 0 };

static struct policy_todo
policy_spawn(struct policy *p)
{
	p->phase = POLICY_STARTING;
	return ((struct policy_todo) { POLICY_SPAWN, 0 });
}

/* 100 ms x 2^n, +-20 %, never more than 30 s. */
static int64_t
policy_backoff_ms(unsigned early, uint32_t random)
{
	int64_t ms = POLICY_FIRST_MS;

	for (unsigned i = 1; i < early && ms < POLICY_LAST_MS; i++)
		ms *= 2;
	if (ms > POLICY_LAST_MS)
		ms = POLICY_LAST_MS;
	ms = ms * (80 + random % 41) / 100;
	return (ms < POLICY_LAST_MS ? ms : POLICY_LAST_MS);
}

static bool
policy_has_process(const struct policy *p)
{
	return (p->phase == POLICY_STARTING || p->phase == POLICY_READY);
}

static struct policy_todo
policy_on_exit(struct policy *p, int code, mono_t now, uint32_t random)
{
	bool early = p->phase == POLICY_STARTING ||
	    mono_diff_ms(now, p->ready_at) < POLICY_EARLY_MS;

	if (!policy_has_process(p))
		return (nothing);
	if (p->stopping) {
		p->phase = POLICY_DOWN;
		return (nothing);
	}
	if (p->replacing) {
		p->replacing = false;
		return (policy_spawn(p));
	}
	p->deaths[p->ndeaths++ % (POLICY_DEATHS + 1)] = now;
	if (WIFEXITED(code) && WEXITSTATUS(code) == EX_CONFIG) {
		p->phase = POLICY_HELD;
		return ((struct policy_todo) { POLICY_HOLD, 0 });
	}
	if (p->max_restarts != 0 && p->restarts >= p->max_restarts) {
		p->phase = POLICY_DOWN;
		return ((struct policy_todo) { POLICY_GIVE_UP, 0 });
	}
	p->restarts++;
	if (!early) {
		p->early = 0;
		return (policy_spawn(p));
	}
	p->early++;
	p->phase = POLICY_BACKOFF;
	return ((struct policy_todo) { POLICY_WAIT,
	    policy_backoff_ms(p->early, random) });
}

static struct policy_todo
policy_on_replace(struct policy *p)
{
	if (!policy_has_process(p))
		return (nothing); /* the next start sees the new state anyway */
	if (p->replacing || p->stopping)
		return (nothing);
	p->replacing = true;
	return ((struct policy_todo) { POLICY_TERM, 0 });
}

struct policy_todo
policy_step(struct policy *p, enum policy_event ev, int code, mono_t now,
    uint32_t random)
{
	switch (ev) {
	case POLICY_EV_START:
		if (p->stopping ||
		    (p->phase != POLICY_DOWN && p->phase != POLICY_HELD))
			return (nothing);
		p->early = 0;
		return (policy_spawn(p));
	case POLICY_EV_READY:
		if (p->phase != POLICY_STARTING)
			return (nothing);
		p->phase = POLICY_READY;
		p->ready_at = now;
		return (nothing);
	case POLICY_EV_EXIT:
		return (policy_on_exit(p, code, now, random));
	case POLICY_EV_DUE:
		return (p->phase == POLICY_BACKOFF && !p->stopping ?
			policy_spawn(p) :
			nothing);
	case POLICY_EV_REPLACE:
		return (policy_on_replace(p));
	case POLICY_EV_STOP:
		p->stopping = true;
		if (policy_has_process(p))
			return ((struct policy_todo) { POLICY_TERM, 0 });
		p->phase = POLICY_DOWN;
		return (nothing);
	}
	return (nothing);
}

bool
policy_degraded(const struct policy *p, mono_t now)
{
	/* the slot to be overwritten next holds the oldest of the last ones */
	mono_t oldest = p->deaths[p->ndeaths % (POLICY_DEATHS + 1)];

	return (p->ndeaths > POLICY_DEATHS &&
	    mono_diff_ms(now, oldest) < POLICY_WINDOW_MS);
}

const char *
policy_state_name(const struct policy *p, mono_t now)
{
	switch (p->phase) {
	case POLICY_HELD:
		return ("held");
	case POLICY_BACKOFF:
		return (policy_degraded(p, now) ? "degraded" : "backoff");
	case POLICY_STARTING:
		return ("starting");
	case POLICY_READY:
		return (policy_degraded(p, now) ? "degraded" : "ready");
	case POLICY_DOWN:
		break;
	}
	return ("down");
}
