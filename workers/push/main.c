/*
 * wharf-push: what changed goes into the running containers.  Started by
 * wharfd, see workers/push/push.h.  Reads trees and makes pipes; no network,
 * no exec.
 */
#include "workers/push/push.h"

static int
push_service_new(struct worker *w, struct service *s,
    const struct conf_service *conf)
{
	const struct conf_root *root = conf_root(&w->conf, conf->tree);
	const struct conf_mem *mem =
	    conf_mem(&w->conf, MEM_MANIFEST, conf->service);

	s->w = w;
	s->conf = conf;
	s->rootfd = root != NULL && !root->gone ? root->fd : -1;
	if ((s->m = manifest_new()) == NULL)
		return (-1);
	if (mem == NULL || manifest_attach(s->m, mem->map, mem->size) == -1) {
		log_warnx("%s: no memory for the manifest", conf->name);
		return (-1);
	}
	if (manifest_load(s->m) == -1)
		return (-1);
	s->oracle.rootfd = s->rootfd;
	s->oracle.manifest = s->m;
	return (0);
}

static int
push_start(struct worker *w)
{
	struct service *v = xcalloc(w->conf.nservices + 1, sizeof(*v));

	w->state = v;
	for (size_t i = 0; i < w->conf.nservices; i++)
		if (push_service_new(w, &v[i], w->conf.services[i]) == -1)
			return (-1);
	return (0);
}

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
	.handlers = handlers,
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &ops));
}
