/*
 * Configuration frames into struct conf (worker.h).  Worker start-up only.
 */
#ifndef WHARF_CONF_H
#define WHARF_CONF_H

#include "worker.h"

/*
 * Take one CONF_* frame; its fd becomes the configuration's.  0, or -1 with
 * a log line when the frame says what cannot be.
 */
int conf_take(struct conf *c, struct frame *f);

#endif
