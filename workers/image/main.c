/*
 * wharf-image: streams build contexts to the engine worker and reads what the
 * builder answers.  It reads the configured trees; it has no network and no
 * exec.
 */
#include "workers/image/image.h"

static int
image_start(struct worker *w)
{
	return (0);
}

int
main(int argc, char **argv)
{
	static const struct worker_handler handlers[] = {
		{ MSG_BUILD, build_begin },
		{ MSG_CANCEL, build_cancel },
		{ MSG_NONE, NULL },
	};
	static const struct worker_ops ops = {
		.role = PROC_IMAGE,
		.start = image_start,
		.reconf = build_reconf,
		.handlers = handlers,
	};

	return (worker_main(argc, argv, &ops));
}
