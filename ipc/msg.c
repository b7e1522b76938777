/*
 * The message table, see msg.def.  Any process.
 */
#include <string.h>

#include "msg.h"

#define B(p) PROC_BIT(PROC_##p)

static const struct msg_def defs[MSG_MAX] = {
#define MSG(n, k, f, t, fix, tl, d, c)                            \
	[MSG_##n] = { #n, MSG_KIND_##k, f, t, sizeof(struct fix), \
		MSG_TAIL_##tl, MSG_FD_##d, c },
#include "msg.def"
#undef MSG
};

/* Fixed parts travel as they are: no holes, 8-byte steps. */
#define MSG(n, k, f, t, fix, tl, d, c)                  \
	static_assert(sizeof(struct fix) % 8 == 0, #n); \
	static_assert((MSG_KIND_##k == MSG_KIND_REQ) == ((c) > 0), #n);
#include "msg.def"
#undef MSG

static const char *const procs[PROC_MAX] = { "none", "supervisor", "watch",
	"engine", "image", "push", "plan", "control", "client", "config" };

static const char *const events[EVENT_MAX] = {
#define EVENT(name, str) [EVENT_##name] = str,
#include "event.def"
#undef EVENT
};

static const char *const errs[] = {
	[ERR_WORKER_LOST] = "worker lost",
	[ERR_BUSY] = "busy",
	[ERR_CANCELLED] = "cancelled",
	[ERR_INVALID] = "invalid request",
	[ERR_REFUSED] = "refused",
	[ERR_NOT_FOUND] = "not found",
	[ERR_ENGINE] = "engine away",
	[ERR_IO] = "input/output error",
	[ERR_UNAVAILABLE] = "not available now",
	[ERR_TIMEOUT] = "timeout",
};

const struct msg_def *
msg_def(unsigned type)
{
	return (type > MSG_NONE && type < MSG_MAX ? &defs[type] : NULL);
}

const char *
proc_name(unsigned p)
{
	return (p < PROC_MAX ? procs[p] : "?");
}

enum proc
proc_by_name(const char *name)
{
	for (unsigned p = PROC_SUP; p < PROC_MAX; p++)
		if (strcmp(procs[p], name) == 0)
			return (p);
	return (PROC_NONE);
}

const char *
event_name(unsigned kind)
{
	return (kind > EVENT_NONE && kind < EVENT_MAX ? events[kind] : "?");
}

const char *
err_name(unsigned code)
{
	if (code == 0 || code >= sizeof(errs) / sizeof(errs[0]))
		return ("?");
	return (errs[code]);
}
