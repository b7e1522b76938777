/*
 * The front desk's parts put together, see control.h.  Process: control.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "log.h"
#include "workers/control/control.h"
#include "workers/control/counter.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* since Linux 6.16 */
#endif

struct control *
control_new(struct worker *w)
{
	struct control *ct = xcalloc(1, sizeof(*ct));

	ct->w = w;
	ct->counter = conf_mem(&w->conf, MEM_COUNTER, 0);
	if (ct->counter == NULL)
		log_warnx("event numbers are not kept");
	ct->ring = ring_new(RING_BYTES, RING_COUNT, counter_load(ct->counter));
	ct->metrics = metrics_new(wall_now_ns());
	ct->gather = gather_new(ct);
	if (listen_start(ct) == -1) {
		control_free(ct);
		return (NULL);
	}
	return (ct);
}

void
control_free(struct control *ct)
{
	if (ct == NULL)
		return;
	listen_stop(ct);
	while (ct->clients != NULL)
		client_free(ct->clients);
	loop_timer_cancel(&ct->sweep);
	loop_timer_cancel(&ct->reap);
	gather_free(ct->gather);
	ring_free(ct->ring);
	metrics_free(ct->metrics);
	free(ct);
}

void
control_on_event(struct worker *w, struct frame *f)
{
	struct control *ct = w->state;
	const struct msg_event *m = frame_fixed(f);

	if (m->kind <= EVENT_NONE || m->kind >= EVENT_MAX) {
		log_debug("%s reports an event of kind %u",
		    proc_name(f->source), m->kind);
		return;
	}
	/* first the number: it is lost rather than given twice */
	counter_store(ct->counter, ring_next(ct->ring) + 1);
	ring_add(ct->ring, m, &f->tail);
	metrics_count(ct->metrics, m->kind, &f->tail);
	for (struct client *c = ct->clients; c != NULL; c = c->next)
		if (c->monitor != 0)
			monitor_feed(c);
}

int
control_setup(struct worker *w)
{
	int off = 0;

	if (w->conf.listener == -1)
		return (0);
	if (fcntl(w->conf.listener, F_SETFL, O_RDWR | O_NONBLOCK) == -1) {
		log_warn("control socket");
		return (-1);
	}
	/* accepted sockets inherit it: older kernels leave it to the check */
	setsockopt(w->conf.listener, SOL_SOCKET, SO_PASSRIGHTS, &off,
	    sizeof(off));
	return (0);
}
