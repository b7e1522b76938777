/*
 * Time.  Deadlines live on CLOCK_MONOTONIC in a type of their own, so that
 * they cannot be mixed with wall time or with plain numbers of ms.
 * Any process.
 */
#ifndef WHARF_CLOCK_H
#define WHARF_CLOCK_H

#include <stdint.h>

typedef struct {
	int64_t ns;
} mono_t;

/* A deadline that never comes. */
#define MONO_NEVER ((mono_t) { INT64_MAX })

/* CLOCK_MONOTONIC now, or the fake clock's time in tests. */
mono_t mono_now(void);

/* CLOCK_REALTIME now, ns since the epoch; for people and for the engine. */
int64_t wall_now_ns(void);

/* t + ms, saturating at MONO_NEVER. */
mono_t mono_add_ms(mono_t t, int64_t ms);

/* a - b in ms, rounded down. */
int64_t mono_diff_ms(mono_t a, mono_t b);

/* Tests only: mono_now() returns *now from here on; NULL ends it. */
void mono_fake(const mono_t *now);

#endif
