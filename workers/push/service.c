/*
 * The services of the push worker: those of the start, and those that come
 * and go with reloads.  See push.h.
 */
#include <stdlib.h>

#include "workers/push/push.h"

static void
service_free(struct service *s)
{
	if (s == NULL)
		return;
	attach_forget(s);
	manifest_free(s->m);
	s->m = NULL;
	/* a job that has been answered may still be on its way out */
	s->dropped = true;
	if (s->ntasks == 0)
		free(s);
}

static int
service_setup(struct service *s)
{
	const struct conf *c = &s->w->conf;
	const struct conf_root *root = conf_root(c, s->conf->tree);
	const struct conf_mem *mem =
	    conf_mem(c, MEM_MANIFEST, s->conf->service);

	s->rootfd = root != NULL && !root->gone ? root->fd : -1;
	if ((s->m = manifest_new()) == NULL)
		return (-1);
	if (mem == NULL || manifest_attach(s->m, mem->map, mem->size) == -1) {
		log_warnx("%s: no memory for the manifest", s->conf->name);
		return (-1);
	}
	if (manifest_load(s->m) == -1)
		return (-1);
	s->oracle.rootfd = s->rootfd;
	s->oracle.manifest = s->m;
	return (0);
}

static int
service_add(struct worker *w, const struct conf_service *conf)
{
	struct push *p = w->state;
	struct service *s = xcalloc(1, sizeof(*s));

	s->w = w;
	s->conf = conf;
	s->next = p->services;
	p->services = s;
	return (service_setup(s));
}

struct service *
push_service(struct worker *w, uint32_t id)
{
	struct push *p = w->state;
	struct service *s;

	for (s = p->services; s != NULL; s = s->next)
		if (s->conf->service == id)
			break;
	return (s);
}

int
push_start(struct worker *w)
{
	w->state = xcalloc(1, sizeof(struct push));
	for (size_t i = 0; i < w->conf.nservices; i++)
		if (service_add(w, w->conf.services[i]) == -1)
			return (-1);
	return (0);
}

/* plan has seen the end of all that it asked for a service that is dropped. */
static void
services_drop(struct worker *w)
{
	struct push *p = w->state;
	struct service *s, **q = &p->services;

	while ((s = *q) != NULL) {
		if (conf_service(&w->conf, s->conf->service) == s->conf) {
			q = &s->next;
			continue;
		}
		if (s->jobs != NULL)
			fatalx("%s: dropped while a job runs", s->conf->name);
		*q = s->next;
		service_free(s);
	}
}

void
push_reconf(struct worker *w)
{
	const struct conf *c = &w->conf;

	services_drop(w);
	for (size_t i = 0; i < c->nservices; i++)
		if (push_service(w, c->services[i]->service) == NULL &&
		    service_add(w, c->services[i]) == -1)
			fatalx("cannot take a new service");
}

void
push_free(struct worker *w)
{
	struct push *p = w->state;
	struct service *s;

	while (p != NULL && (s = p->services) != NULL) {
		p->services = s->next;
		service_free(s);
	}
	free(p);
	w->state = NULL;
}
