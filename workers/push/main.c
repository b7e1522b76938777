/*
 * wharf-push: what changed goes into the running containers.  Started by
 * wharfd, see workers/push/push.h.  Reads trees and makes pipes; no network,
 * no exec.
 */
#include "workers/push/push.h"

static const struct worker_handler handlers[] = {
	{ MSG_ATTACH, task_on_request },
	{ MSG_DETACH, task_on_request },
	{ MSG_APPLY, task_on_request },
	{ MSG_STEPS, task_on_request },
	{ MSG_APPLY_PATHS, task_on_paths },
	{ MSG_CANCEL, task_on_cancel },
	{ MSG_NONE, NULL },
};

static const struct worker_ops ops = {
	.role = PROC_PUSH,
	.start = push_start,
	.reconf = push_reconf,
	.handlers = handlers,
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &ops));
}
