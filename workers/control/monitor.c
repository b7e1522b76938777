/*
 * Clients that watch events.  Process: control.
 *
 * Each has a cursor into the ring and is fed as fast as it reads: what waits
 * for it is in the ring once, not in a queue of its own.  Where the ring has
 * gone on without it, it gets monitor.lost with the numbers it missed.
 */
#include "workers/control/control.h"

#define MONITOR_BURST 256          /* events in one turn of the loop */
#define MONITOR_QUEUE (256 * 1024) /* bytes that may wait in its channel */

static int
monitor_send(struct client *c, uint64_t seq, const struct msg_event *e,
    const void *fields, size_t len)
{
	struct msg_ctl_event m = { .seq = seq,
		.time_ns = e->time_ns,
		.mono_ns = e->mono_ns,
		.kind = e->kind };
	struct buf tail = { 0 };
	int r;

	buf_add(&tail, fields, len);
	fields_add_str(&tail, F_RUN, c->ct->w->conf.run);
	r = rpc_answer(c->ch, c->monitor, MSG_CTL_EVENT, F_MORE, &m, &tail, -1);
	buf_free(&tail);
	return (r);
}

/* It carries the last number lost, so that the next one follows on it. */
static int
monitor_send_lost(struct client *c, uint64_t from, uint64_t to)
{
	struct msg_event e = { .kind = EVENT_MONITOR_LOST,
		.time_ns = wall_now_ns(),
		.mono_ns = mono_now().ns };
	struct buf tail = { 0 };
	int r;

	fields_add_u64(&tail, F_FROM, from);
	fields_add_u64(&tail, F_TO, to);
	r = monitor_send(c, to, &e, tail.data, tail.len);
	buf_free(&tail);
	return (r);
}

static void
monitor_on_more(void *arg)
{
	monitor_feed(arg);
}

void
monitor_feed(struct client *c)
{
	const struct ring *ring = c->ct->ring;
	const struct ring_event *e;
	uint64_t first = ring_first(ring);
	int r;

	for (int i = 0; i < MONITOR_BURST; i++) {
		if (channel_queued(c->ch) >= MONITOR_QUEUE)
			return; /* goes on when the queue has run empty */
		if (c->cursor < first) {
			metrics_lost(c->ct->metrics, first - c->cursor);
			r = monitor_send_lost(c, c->cursor, first - 1);
			c->cursor = first;
		} else if ((e = ring_get(ring, c->cursor)) != NULL) {
			r = monitor_send(c, e->seq, &e->m, e->fields, e->len);
			c->cursor++;
		} else
			return;
		if (r == -1)
			return; /* its end comes from the loop */
	}
	loop_timer_in_ms(c->ct->w->loop, &c->more, 0, monitor_on_more, c);
}

void
monitor_start(struct client *c, uint32_t id, const struct msg_monitor *m)
{
	uint64_t next = ring_next(c->ct->ring);

	c->monitor = id;
	c->cursor = next;
	if (m->flags & MONITOR_SINCE) {
		/* a number yet to come is one of another run: show all */
		c->cursor =
		    m->since > next ? ring_first(c->ct->ring) : m->since;
		if (c->cursor == 0)
			c->cursor = 1; /* the first number there is */
	}
	monitor_feed(c);
}
