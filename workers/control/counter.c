/*
 * The next event's number, see counter.h.  Process: control.
 */
#include "log.h"
#include "workers/control/counter.h"

uint64_t
counter_load(const struct conf_mem *m)
{
	uint64_t next;

	if (m == NULL || m->size < sizeof(next))
		return (1);
	next = __atomic_load_n((uint64_t *)m->map, __ATOMIC_ACQUIRE);
	if (next == 0)
		return (1);
	if (next > COUNTER_MAX) {
		log_warnx("event numbers start again: %llu was kept",
		    (unsigned long long)next);
		return (1);
	}
	return (next);
}

void
counter_store(const struct conf_mem *m, uint64_t next)
{
	if (m != NULL && m->size >= sizeof(next))
		__atomic_store_n((uint64_t *)m->map, next, __ATOMIC_RELEASE);
}
