/*
 * What config does once it is in its sandbox.  Config process.
 */
#ifndef WORKERS_CONFIG_SERVE_H
#define WORKERS_CONFIG_SERVE_H

#include "workers/common/worker.h"

/*
 * Begin to answer for w->conf: asks the supervisor for files, and ends with
 * CONFIG_HOST, or with CONFIG_DONE where there is a file.  One at a time.
 * 0; there is nothing that fails.
 */
int config_serve(struct worker *w);

#endif
