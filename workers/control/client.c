/*
 * One client: its channel, its requests, its end.  Process: control.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "workers/control/control.h"
#include "workers/control/verb.h"

static void
client_unlink(struct client *c)
{
	struct client **p;

	for (p = &c->ct->clients; *p != NULL; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			c->ct->nclients--;
			return;
		}
}

/* Everything it waits for is given up. */
static void
client_quit(struct client *c)
{
	while (c->requests != NULL)
		request_free(c->requests);
	loop_timer_cancel(&c->more);
	c->monitor = 0;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	client_quit(c);
	client_unlink(c);
	channel_free(c->ch);
	free(c);
}

static void
client_on_reap(void *arg)
{
	struct control *ct = arg;
	struct client *c, *next;

	for (c = ct->clients; c != NULL; c = next) {
		next = c->next;
		if (c->dropped)
			client_free(c);
	}
}

/* client_free() at the end of this turn of the loop; safe everywhere. */
static void
client_drop(struct client *c, const char *why)
{
	if (c->dropped)
		return;
	log_debug("client of uid %u dropped: %s", (unsigned)c->uid, why);
	c->dropped = true;
	client_quit(c);
	channel_pause(c->ch, true);
	loop_timer_in_ms(c->ct->w->loop, &c->ct->reap, 0, client_on_reap,
	    c->ct);
}

static struct request *
client_find(struct client *c, uint32_t id)
{
	for (struct request *r = c->requests; r != NULL; r = r->next)
		if (r->id == id)
			return (r);
	return (NULL);
}

static size_t
client_count(const struct client *c, enum msg_type type)
{
	size_t n = type == MSG_CTL_MONITOR && c->monitor != 0;

	for (const struct request *r = c->requests; r != NULL; r = r->next)
		n += r->type == type;
	return (n);
}

static struct request *
request_new(struct client *c, struct frame *f)
{
	struct request *r = xcalloc(1, sizeof(*r));
	struct field name;

	r->client = c;
	r->type = f->head.type;
	r->id = f->head.id;
	r->deadline = MONO_NEVER;
	if (r->type == MSG_CTL_DO)
		memcpy(&r->order, frame_fixed(f), sizeof(r->order));
	if (fields_get(&f->tail, F_SERVICE, &name)) /* and nothing else */
		fields_add_mem(&r->tail, F_SERVICE, name.str, name.len);
	r->next = c->requests;
	c->requests = r;
	return (r);
}

void
request_free(struct request *r)
{
	struct request **p = &r->client->requests;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	if (r->asked != 0)
		rpc_cancel(r->client->ct->w->rpc, r->asked);
	loop_timer_cancel(&r->timer);
	loop_timer_cancel(&r->again);
	buf_free(&r->tail);
	free(r);
}

void
request_err(struct request *r, enum err_code code, const char *text)
{
	rpc_answer_err(r->client->ch, r->id, code, 0, text);
	request_free(r);
}

void
request_done(struct request *r, uint64_t code, const char *text)
{
	struct msg_num m = { .n = code };
	struct buf tail = { 0 };

	if (text != NULL)
		fields_add_str(&tail, F_TEXT, text);
	rpc_answer(r->client->ch, r->id, MSG_CTL_OK, 0, &m, &tail, -1);
	buf_free(&tail);
	request_free(r);
}

static void
client_serve(struct client *c, struct frame *f)
{
	log_debug("%s of uid %u, number %u", f->def->name, (unsigned)c->uid,
	    f->head.id);
	switch (f->head.type) {
	case MSG_CTL_STATUS:
	case MSG_CTL_METRICS:
		status_ask(request_new(c, f));
		return;
	case MSG_CTL_MONITOR:
		monitor_start(c, f->head.id, frame_fixed(f));
		return;
	case MSG_CTL_DO:
		command_do(request_new(c, f));
		return;
	case MSG_CTL_STOP:
		command_sup(request_new(c, f), MSG_DAEMON_STOP);
		return;
	case MSG_CTL_RELOAD:
		command_sup(request_new(c, f), MSG_RELOAD);
		return;
	}
}

static void
client_on_frame(void *arg, struct frame *f)
{
	struct client *c = arg;
	const struct msg_do *order = frame_fixed(f);
	uint32_t id = f->head.id;
	enum verb_level level;

	if (c->dropped)
		return;
	if (id == 0 || id == c->monitor || client_find(c, id) != NULL ||
	    f->head.flags != 0) {
		client_drop(c, "request under a number that is not free");
		return;
	}
	c->frames++;
	level = verb_level(f->head.type,
	    f->head.type == MSG_CTL_DO ? order->verb : 0);
	if (level == VERB_NONE)
		rpc_answer_err(c->ch, id, ERR_INVALID, 0, "no such verb");
	else if (!verb_allowed(level, c->uid, c->ct->w->owner))
		rpc_answer_err(c->ch, id, ERR_REFUSED, 0,
		    "only root and the user that wharfd runs as may do this");
	else if (client_count(c, f->head.type) >= f->def->cap)
		rpc_answer_err(c->ch, id, ERR_BUSY, 0,
		    "too many open requests of this kind");
	else
		client_serve(c, f);
}

static void
client_on_end(void *arg, enum channel_end how, const char *why)
{
	struct client *c = arg;

	if (how != CHANNEL_EOF)
		log_debug("client of uid %u dropped: %s", (unsigned)c->uid,
		    why);
	client_free(c);
}

static void
client_on_drained(void *arg)
{
	struct client *c = arg;
	struct request *next;

	for (struct request *r = c->requests; r != NULL; r = next) {
		next = r->next;
		if (r->counting)
			status_feed(r);
	}
	if (c->monitor != 0)
		monitor_feed(c);
}

/* Why the time of a client is over; NULL when it is not. */
static const char *
client_late(struct client *c, mono_t now)
{
	if (c->frames == 0)
		return (mono_diff_ms(now, c->since) >= CLIENT_HELLO_MS ?
			"said nothing valid in time" :
			NULL);
	if (channel_pending(c->ch) == 0) {
		c->stalled_at = 0;
		return (NULL);
	}
	if (c->stalled_at != c->frames) {
		c->stalled_at = c->frames;
		c->stalled = now;
		return (NULL);
	}
	return (mono_diff_ms(now, c->stalled) >= CLIENT_HELLO_MS ?
		"did not end a frame in time" :
		NULL);
}

static void
client_on_sweep(void *arg)
{
	struct control *ct = arg;
	mono_t now = mono_now();
	const char *why;

	for (struct client *c = ct->clients; c != NULL; c = c->next)
		if (!c->dropped && (why = client_late(c, now)) != NULL)
			client_drop(c, why);
	if (ct->clients != NULL)
		loop_timer_in_ms(ct->w->loop, &ct->sweep, CLIENT_SWEEP_MS,
		    client_on_sweep, ct);
}

struct client *
client_new(struct control *ct, int fd, uid_t uid)
{
	static const struct channel_ops ops = {
		.frame = client_on_frame,
		.end = client_on_end,
		.drained = client_on_drained,
	};
	struct client *c = xcalloc(1, sizeof(*c));

	c->ct = ct;
	c->uid = uid;
	c->admin = verb_is_admin(uid, ct->w->owner);
	c->since = mono_now();
	c->ch =
	    channel_new(ct->w->loop, fd, PROC_CONTROL, PROC_CLIENT, &ops, c);
	channel_set_limit(c->ch, CLIENT_QUEUE_MAX);
	c->next = ct->clients;
	ct->clients = c;
	ct->nclients++;
	if (!loop_timer_is_set(&ct->sweep))
		loop_timer_in_ms(ct->w->loop, &ct->sweep, CLIENT_SWEEP_MS,
		    client_on_sweep, ct);
	return (c);
}
