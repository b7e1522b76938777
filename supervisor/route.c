/*
 * Frames between workers: who gets what, and what happens to requests when
 * one of both ends dies.  Supervisor.  Payloads pass unread.
 *
 * A request gets an id of the supervisor's own on its way, so that ids of
 * different askers never meet and an answer finds its asker.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "route_note.h"
#include "rpc.h"
#include "sup.h"

#define ROUTE_HIGH     (1024 * 1024) /* queued bytes that stop the senders */
#define ROUTE_HUNG_MS  5000          /* over it for so long: hung */
#define ROUTE_WAIT     (4 * 1024 * 1024) /* for a worker that is not READY */
#define ROUTE_DRAIN_MS 60000 /* a planned generation waits no longer */

static void
route_err(struct child *to, uint32_t id, enum err_code code)
{
	if (to->ch != NULL)
		rpc_answer_err(to->ch, id, code, 0, err_name(code));
}

static struct route **
route_find(struct sup *s, uint32_t id)
{
	struct route **p;

	for (p = &s->routes; *p != NULL; p = &(*p)->next)
		if ((*p)->id == id)
			return (p);
	return (NULL);
}

static struct route *
route_find_asked(struct sup *s, const struct child *from, uint32_t from_id)
{
	for (struct route *r = s->routes; r != NULL; r = r->next)
		if (r->from == from && r->from_id == from_id)
			return (r);
	return (NULL);
}

static bool
route_waits(const struct waiting *w, uint32_t id)
{
	return (
	    w->head.id == id && msg_def(w->head.type)->kind != MSG_KIND_NOTE);
}

/* Does the request still wait for c to be READY? */
static bool
route_is_waiting(const struct child *c, uint32_t id)
{
	for (const struct waiting *w = c->wait; w != NULL; w = w->next)
		if (route_waits(w, id))
			return (true);
	return (false);
}

static void
waiting_free(struct waiting *w)
{
	if (w->fd != -1)
		close(w->fd);
	free(w);
}

/* Forget the request and what follows it, with their fds. */
static void
route_unwait(struct child *c, uint32_t id)
{
	struct waiting **p = &c->wait, *w;

	while ((w = *p) != NULL) {
		if (!route_waits(w, id)) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		c->wait_bytes -= sizeof(*w) + w->len;
		waiting_free(w);
	}
	c->wait_tail = p;
}

static void
route_drop(struct route **p)
{
	struct route *r;

	if (p == NULL)
		return;
	r = *p;
	*p = r->next;
	route_unwait(r->to, r->id);
	free(r);
}

/* Back-pressure: the sender is not read until the receiver has drained. */

static void
route_on_hung(void *arg)
{
	struct child *c = arg;

	if (c->ch == NULL || channel_queued(c->ch) <= ROUTE_HIGH)
		return;
	log_warnx("%s does not read what is sent to it; killing it",
	    proc_name(c->role));
	child_condemn(c);
}

static void
route_hold(struct child *from, struct child *to)
{
	if (channel_queued(to->ch) <= ROUTE_HIGH)
		return;
	if (!loop_timer_is_set(&to->over))
		loop_timer_in_ms(to->sup->loop, &to->over, ROUTE_HUNG_MS,
		    route_on_hung, to);
	if (from != NULL && from->ch != NULL && from->held_by == NULL) {
		from->held_by = to;
		channel_pause(from->ch, true);
	}
}

void
route_child_drained(struct child *c)
{
	struct child *o;

	loop_timer_cancel(&c->over);
	CHILD_FOREACH (o, c->sup) {
		if (o->held_by != c)
			continue;
		o->held_by = NULL;
		if (o->ch != NULL && !o->distrusted)
			channel_pause(o->ch, false);
	}
}

/* Delivery, now or when the receiver is READY. */

/* Too much waits: a request is answered, a note is lost. */
static void
route_refuse(struct child *to, const struct frame_head *head)
{
	struct route **p = route_find(to->sup, head->id);

	if (!to->wait_full)
		log_warnx("too much waits for %s; dropping a %s and more",
		    proc_name(to->role), msg_def(head->type)->name);
	to->wait_full = true;
	if (msg_def(head->type)->kind == MSG_KIND_NOTE || p == NULL)
		return;
	route_err((*p)->from, (*p)->from_id, ERR_BUSY);
	route_drop(p);
}

static void
route_wait(struct child *to, const struct frame_head *head, const void *payload,
    size_t len, int fd)
{
	struct waiting *w;

	if (to->wait_bytes + sizeof(*w) + len > ROUTE_WAIT) {
		if (fd != -1)
			close(fd);
		route_refuse(to, head);
		return;
	}
	w = xcalloc(1, sizeof(*w) + len);
	w->head = *head;
	w->fd = fd;
	w->len = len;
	memcpy(w->payload, payload, len);
	*to->wait_tail = w;
	to->wait_tail = &w->next;
	to->wait_bytes += sizeof(*w) + len;
}

/* What is to be replaced gets no new requests, and all else. */
static bool
route_has_to_wait(const struct child *to, const struct frame_head *head)
{
	return (to->draining &&
	    (msg_def(head->type)->kind == MSG_KIND_REQ ||
		route_is_waiting(to, head->id)));
}

void
route_deliver(struct child *from, struct child *to,
    const struct frame_head *head, const void *payload, size_t len, int fd)
{
	if (!child_is_ready(to) || route_has_to_wait(to, head)) {
		route_wait(to, head, payload, len, fd);
		return;
	}
	channel_forward(to->ch, head, payload, len, fd);
	route_hold(from, to);
}

struct frame_head
route_head(const struct child *from, const struct frame *f, uint32_t id)
{
	struct frame_head h = f->head;

	h.source = (uint8_t)from->role;
	h.instance = (uint8_t)from->instance;
	h.generation = from->generation;
	h.id = id;
	return (h);
}

/* Requests and answers. */

struct child *
route_engine_of(struct sup *s, uint32_t service)
{
	const struct config_service *sv;

	TAILQ_FOREACH (sv, &s->conf.services, link)
		if (sv->id == service)
			return (
			    child_find(s, PROC_ENGINE, sv->engine->instance));
	return (NULL);
}

static unsigned
route_count(struct sup *s, const struct child *from, uint16_t type)
{
	unsigned n = 0;

	for (struct route *r = s->routes; r != NULL; r = r->next)
		n += r->from == from && r->type == type;
	return (n);
}

/* Engines have a worker each: the request's fixed part says which. */
static struct child *
route_answerer(struct sup *s, const struct frame *f)
{
	const struct msg_num *n = frame_fixed(f);
	const struct msg_eng *m = frame_fixed(f);
	struct child *c;

	if (f->head.type == MSG_STATUS_ENGINE)
		return (child_find(s, PROC_ENGINE, (uint32_t)n->n));
	if (f->def->to == PROC_BIT(PROC_ENGINE))
		return (route_engine_of(s, m->service));
	CHILD_FOREACH (c, s)
		if (f->def->to & PROC_BIT(c->role))
			return (c);
	return (NULL);
}

static void
route_req(struct child *from, struct frame *f)
{
	struct sup *s = from->sup;
	struct child *to = route_answerer(s, f);
	struct frame_head h;
	struct route *r;

	if (to == NULL || route_find_asked(s, from, f->head.id) != NULL) {
		route_err(from, f->head.id, ERR_INVALID);
		return;
	}
	if (route_count(s, from, f->head.type) >= f->def->cap) {
		route_err(from, f->head.id, ERR_BUSY);
		return;
	}
	r = xcalloc(1, sizeof(*r));
	do
		r->id = ++s->last_route;
	while (r->id == 0 || route_find(s, r->id) != NULL);
	r->from_id = f->head.id;
	r->from = from;
	r->to = to;
	r->type = f->head.type;
	r->next = s->routes;
	s->routes = r;
	h = route_head(from, f, r->id);
	route_deliver(from, to, &h, f->payload, f->payload_len,
	    frame_take_fd(f));
}

static void
route_follow(struct child *from, struct frame *f)
{
	struct route *r = route_find_asked(from->sup, from, f->head.id);
	struct frame_head h;

	if (r == NULL)
		return; /* it has been answered meanwhile */
	if (f->head.type == MSG_CANCEL && route_is_waiting(r->to, r->id)) {
		route_err(from, f->head.id, ERR_CANCELLED);
		route_drop(route_find(from->sup, r->id));
		return;
	}
	h = route_head(from, f, r->id);
	route_deliver(from, r->to, &h, f->payload, f->payload_len,
	    frame_take_fd(f));
}

/* Planned generations. */

static bool
route_is_idle(const struct child *c)
{
	const struct route *r;

	for (r = c->sup->routes; r != NULL; r = r->next)
		if (r->to == c && !route_is_waiting(c, r->id))
			return (false);
	return (true);
}

static void
route_replace_now(void *arg)
{
	child_event(arg, POLICY_EV_REPLACE, 0);
}

static void
route_replace_if_idle(struct child *c)
{
	if (c->draining && route_is_idle(c))
		route_replace_now(c);
}

void
route_replace(struct child *c)
{
	/* what watch was asked stands until something changes */
	if (c->role == PROC_WATCH || !child_is_ready(c)) {
		route_replace_now(c);
		return;
	}
	if (c->draining)
		return;
	c->draining = true;
	loop_timer_in_ms(c->sup->loop, &c->drained_by, ROUTE_DRAIN_MS,
	    route_replace_now, c);
	route_replace_if_idle(c);
}

static void
route_rep(struct child *from, struct frame *f)
{
	struct route **p = route_find(from->sup, f->head.id);
	struct child *to;
	struct frame_head h;

	/* the asker may have died; somebody else's request is not answered */
	if (p == NULL || (*p)->to != from ||
	    (f->def->to & PROC_BIT((*p)->from->role)) == 0)
		return;
	to = (*p)->from;
	h = route_head(from, f, (*p)->from_id);
	if ((f->head.flags & F_MORE) == 0)
		route_drop(p);
	if (to->ch != NULL) {
		channel_forward(to->ch, &h, f->payload, f->payload_len,
		    frame_take_fd(f));
		route_hold(from, to);
	}
	route_replace_if_idle(from);
}

bool
route_refuses(const struct child *c, const struct frame *f)
{
	if (c->policy.phase == POLICY_READY)
		return (false);
	log_warnx("%s sends %s before READY; killing it", proc_name(c->role),
	    f->def->name);
	return (true);
}

void
route_frame(struct child *c, struct frame *f)
{
	switch (f->def->kind) {
	case MSG_KIND_NOTE:
		route_note(c, f);
		break;
	case MSG_KIND_REQ:
		route_req(c, f);
		break;
	case MSG_KIND_FOLLOW:
		route_follow(c, f);
		break;
	case MSG_KIND_REP:
		route_rep(c, f);
		break;
	}
}

/* Life and death. */

static void
route_tell_peers(struct child *c, enum peer_state state)
{
	struct sup *s = c->sup;
	struct child *o;
	struct msg_peer m = { .role = c->role,
		.instance = c->instance,
		.generation = c->generation,
		.state = state };

	CHILD_FOREACH (o, s)
		if (o != c && o->role != PROC_CONFIG && child_is_ready(o))
			child_send(o, MSG_PEER, &m, NULL, -1);
}

/* What waited goes out, in its order. */
static void
route_flush(struct child *c)
{
	struct waiting *w = c->wait, *next;

	c->wait = NULL;
	c->wait_tail = &c->wait;
	c->wait_bytes = 0;
	c->wait_full = false;
	for (; w != NULL; w = next) {
		next = w->next;
		channel_forward(c->ch, &w->head, w->payload, w->len, w->fd);
		free(w);
	}
}

void
route_child_ready(struct child *c)
{
	struct sup *s = c->sup;

	for (struct sticky *n = s->stickies; n != NULL; n = n->next)
		if (n->source != c &&
		    msg_def(n->head.type)->to & PROC_BIT(c->role))
			channel_forward(c->ch, &n->head, n->payload, n->len,
			    -1);
	route_flush(c);
	route_tell_peers(c, PEER_READY);
}

void
route_child_died(struct child *c)
{
	struct sup *s = c->sup;
	struct route **p = &s->routes;
	struct sticky **q = &s->stickies, *n;

	while (*p != NULL) {
		struct route *r = *p;
		struct frame_head h = { .type = MSG_CANCEL,
			.id = r->id,
			.source = (uint8_t)c->role,
			.instance = (uint8_t)c->instance,
			.generation = c->generation };

		if (r->from == c) {
			if (child_is_ready(r->to))
				channel_forward(r->to->ch, &h, NULL, 0, -1);
			route_drop(p);
		} else if (r->to == c && !route_is_waiting(c, r->id)) {
			/* what still waits was not lost with c */
			route_err(r->from, r->from_id, ERR_WORKER_LOST);
			route_drop(p);
		} else
			p = &r->next;
	}
	while ((n = *q) != NULL)
		if (n->source == c) {
			*q = n->next;
			free(n);
		} else
			q = &n->next;
	c->held_by = NULL;
	c->draining = false;
	loop_timer_cancel(&c->drained_by);
	route_child_drained(c);
	route_tell_peers(c, PEER_DOWN);
}

void
route_child_gone(struct child *c)
{
	struct route **p = &c->sup->routes;
	struct waiting *w;

	while (*p != NULL) {
		struct route *r = *p;

		if (r->to != c) {
			p = &r->next;
			continue;
		}
		route_err(r->from, r->from_id, ERR_UNAVAILABLE);
		route_drop(p);
	}
	/* notes */
	while ((w = c->wait) != NULL) {
		c->wait = w->next;
		waiting_free(w);
	}
}
