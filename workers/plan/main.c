/*
 * wharf-plan: owns each service's job, from a change to its end.  It holds
 * neither files nor engine connections: it asks watch what changed, push and
 * image to act, and engine about containers.
 */
#include "workers/plan/plan.h"

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &plan_ops));
}
