/*
 * Configuration frames into struct conf (worker.h): of a worker that starts,
 * and what a reload changes in one that serves.
 */
#ifndef WHARF_CONF_H
#define WHARF_CONF_H

#include "worker.h"

/*
 * Take one CONF_* frame; its fd becomes the configuration's.  0, or -1 with
 * a log line when the frame says what cannot be.
 */
int conf_take(struct conf *c, struct frame *f);

/*
 * The same in a worker that serves: no new rights come with it.  What is
 * dropped leaves its array at once and lives until conf_forget().
 */
int conf_change(struct conf *c, struct frame *f);

/* Free what was dropped: close its directories, unmap its memory. */
void conf_forget(struct conf *c);

#endif
