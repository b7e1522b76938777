/*
 * wharf-config: reads configuration files, once, and is then ended.
 *
 * It opens nothing and sees no file system: it asks the supervisor for files
 * by name.
 */
#include "workers/config/serve.h"

static const struct worker_handler handlers[] = { { MSG_NONE, NULL } };

static const struct worker_ops config_ops = {
	.role = PROC_CONFIG,
	.start = config_serve,
	.handlers = handlers,
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &config_ops));
}
