/*
 * The permission table, see verb.h.  Process: control.
 */
#include "workers/control/verb.h"

static const struct {
	enum msg_type type;
	uint32_t verb; /* of CTL_DO */
	enum verb_level level;
} verbs[] = {
	{ MSG_CTL_STATUS, 0, VERB_READ },
	{ MSG_CTL_METRICS, 0, VERB_READ },
	{ MSG_CTL_MONITOR, 0, VERB_READ },
	{ MSG_CTL_DO, DO_SYNC, VERB_READ },
	{ MSG_CTL_DO, DO_PUSH, VERB_ADMIN },
	{ MSG_CTL_DO, DO_RESTART, VERB_ADMIN },
	{ MSG_CTL_DO, DO_REBUILD, VERB_ADMIN },
	{ MSG_CTL_STOP, 0, VERB_ADMIN },
	{ MSG_CTL_RELOAD, 0, VERB_ADMIN },
};

enum verb_level
verb_level(unsigned type, uint32_t do_verb)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (verbs[i].type == type &&
		    (type != MSG_CTL_DO || verbs[i].verb == do_verb))
			return (verbs[i].level);
	return (VERB_NONE);
}

bool
verb_is_admin(uid_t uid, uid_t owner)
{
	return (uid == 0 || uid == owner);
}

bool
verb_allowed(enum verb_level level, uid_t uid, uid_t owner)
{
	switch (level) {
	case VERB_READ:
		return (true);
	case VERB_ADMIN:
		return (verb_is_admin(uid, owner));
	case VERB_NONE:
		break;
	}
	return (false);
}
