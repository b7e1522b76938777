/*
 * The next event's number, kept where it outlives this process.
 * Process: control.
 *
 * The memory is the supervisor's (MEM_COUNTER) and was written by an earlier
 * generation of this worker, so what stands there is read as hostile.
 */
#ifndef WHARF_CONTROL_COUNTER_H
#define WHARF_CONTROL_COUNTER_H

#include <stdint.h>

#include "workers/common/worker.h"

/* Numbers stay exact for readers that hold them in a double. */
#define COUNTER_MAX (UINT64_C(1) << 53)

/*
 * The number to go on with, 1 at the first start.  Without memory, or when
 * the value cannot be one of ours, it starts again at 1.
 */
uint64_t counter_load(const struct conf_mem *m);

/* Remember the number to go on with; m may be NULL. */
void counter_store(const struct conf_mem *m, uint64_t next);

#endif
