/*
 * Counters of what has happened, fed by the events that pass.
 * Process: control.
 *
 * They begin with this process: where it is replaced they begin again, which
 * their CREATED_NS tells (OpenMetrics: _created).
 */
#ifndef WHARF_CONTROL_METRICS_H
#define WHARF_CONTROL_METRICS_H

#include <stdbool.h>

#include "buf.h"
#include "msg.h"

struct metrics;

/* created_ns: the wall clock's. */
struct metrics *metrics_new(int64_t created_ns);
void metrics_free(struct metrics *m);

/* Count an event; most change nothing. */
void metrics_count(struct metrics *m, enum event_kind kind,
    const struct fields *f);

/* So many events were lost to a client that read too slowly. */
void metrics_lost(struct metrics *m, uint64_t n);

/*
 * Call tell for counters of the i-th part, of 0 on; false: there is no such
 * part.  Each call has the fields of one counter: NAME, COUNT and CREATED_NS,
 * and SERVICE, RESULT, US where the counter has them.  NAME is one of
 *
 *   lost       events, the only one without SERVICE
 *   pushes     by RESULT, as is builds
 *   files, bytes, deleted, restarts
 *   live       by US, the upper bound of a bucket that counts only its own;
 *              without US all beyond the last bound
 *   live_us    their sum
 */
bool metrics_tell(const struct metrics *m, size_t i,
    void (*tell)(void *arg, const struct buf *fields), void *arg);

#endif
