/*
 * Which RUN steps have begun and not been seen to end: such a step may have
 * been run for the change at hand already, and its next run is a repeated one
 * (design.md section 4, "what runs how often").  Push worker; pure: the marks
 * are strings of the manifest and outlive the worker with it.
 */
#ifndef WHARF_PUSH_BEGUN_H
#define WHARF_PUSH_BEGUN_H

#include <stdbool.h>
#include <stddef.h>

#include "workers/shared/manifest.h"

/*
 * The step of this instruction is about to run.  True when an earlier run of
 * it has begun and its end is not known.
 */
bool begun_mark(struct manifest *m, size_t instr);

/* It has ended, or never began. */
void begun_clear(struct manifest *m, size_t instr);

#endif
