/*
 * wharf-control: the front desk.  Started by wharfd, see workers/control/
 * control.h.  May accept connections and talk on them; opens nothing.
 */
#include "workers/control/control.h"

static int
control_start(struct worker *w)
{
	w->state = control_new(w);
	return (w->state != NULL ? 0 : -1);
}

static const struct worker_handler handlers[] = {
	{ MSG_EVENT, control_on_event },
	{ MSG_NONE, NULL },
};

static const struct worker_ops ops = {
	.role = PROC_CONTROL,
	.setup = control_setup,
	.start = control_start,
	.handlers = handlers,
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &ops));
}
