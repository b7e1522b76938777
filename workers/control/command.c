/*
 * Orders: CTL_DO goes to plan, CTL_STOP and CTL_RELOAD to the supervisor.
 * Process: control.
 *
 * A barrier (sync) changes nothing, so it is simply asked again when plan
 * dies; of the others nobody knows how far they came, and the asker decides.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "workers/control/control.h"

#define ORDER_TIMEOUT_MAX (INT64_C(1000) * 3600 * 24 * 365)

static void command_ask(void *arg);

/* The answer of plan or the supervisor, with its fields, to the client. */
static void
command_pass_on(struct request *r, struct frame *f)
{
	enum msg_type type = f->head.type == MSG_OK ? MSG_CTL_OK : MSG_ERR;

	channel_send(r->client->ch, type, 0, r->id, frame_fixed(f),
	    f->tail.data, f->tail.len, -1);
	request_free(r);
}

static void
command_on_answer(void *arg, struct frame *f)
{
	struct request *r = arg;
	struct loop *l = r->client->ct->w->loop;

	if (f->head.flags & F_MORE)
		return;
	r->asked = 0;
	if (rpc_err(f) == ERR_WORKER_LOST && r->order.verb == DO_SYNC)
		loop_timer_in_ms(l, &r->again, ORDER_AGAIN_MS, command_ask, r);
	else if (rpc_err(f) == ERR_WORKER_LOST)
		request_done(r, EX_TEMPFAIL,
		    "the process that did this has "
		    "died; whether it is done is not known: see the status");
	else if (f->head.type == MSG_OK || f->head.type == MSG_ERR)
		command_pass_on(r, f);
	else
		request_err(r, ERR_UNAVAILABLE, "an answer of another kind");
}

static void
command_ask(void *arg)
{
	struct request *r = arg;
	struct msg_do m = r->order;
	int64_t left;

	if (m.timeout_ms != 0) {
		left = mono_diff_ms(r->deadline, mono_now());
		m.timeout_ms = left > 0 ? (uint64_t)left : 1;
	}
	r->asked = rpc_ask(r->client->ct->w->rpc, MSG_DO, 0, &m, &r->tail, -1,
	    command_on_answer, r);
	if (r->asked == 0)
		request_err(r, ERR_UNAVAILABLE, "wharfd is going down");
}

static void
command_on_deadline(void *arg)
{
	struct request *r = arg;
	char text[80];

	snprintf(text, sizeof(text), "not done within %llu.%03llu s",
	    (unsigned long long)r->order.timeout_ms / 1000,
	    (unsigned long long)r->order.timeout_ms % 1000);
	request_done(r, EX_TEMPFAIL, text);
}

/* Orders that plan has in hand for clients that are not admin. */
static size_t
command_count_open(const struct control *ct)
{
	size_t n = 0;

	for (const struct client *c = ct->clients; c != NULL; c = c->next)
		for (const struct request *r = c->requests;
		     r != NULL && !c->admin; r = r->next)
			n += r->type == MSG_CTL_DO;
	return (n);
}

static bool
command_knows(const struct control *ct, const struct field *name)
{
	const struct conf *conf = &ct->w->conf;

	for (size_t i = 0; i < conf->nservices; i++)
		if (!conf_is_retired(conf->services[i]) &&
		    strlen(conf->services[i]->name) == name->len &&
		    memcmp(conf->services[i]->name, name->str, name->len) == 0)
			return (true);
	return (false);
}

void
command_do(struct request *r)
{
	struct control *ct = r->client->ct;
	struct fields tail = { r->tail.data, r->tail.len };
	struct field name;

	if (!r->client->admin && command_count_open(ct) > ORDERS_OPEN_MAX) {
		request_err(r, ERR_BUSY, "too many open requests");
		return;
	}
	if (fields_get(&tail, F_SERVICE, &name) && !command_knows(ct, &name)) {
		request_err(r, ERR_NOT_FOUND, "no such service");
		return;
	}
	if (r->order.timeout_ms > ORDER_TIMEOUT_MAX)
		r->order.timeout_ms = ORDER_TIMEOUT_MAX;
	if (r->order.timeout_ms != 0) {
		r->deadline =
		    mono_add_ms(mono_now(), (int64_t)r->order.timeout_ms);
		loop_timer_set(ct->w->loop, &r->timer,
		    mono_add_ms(r->deadline, ORDER_GRACE_MS),
		    command_on_deadline, r);
	}
	command_ask(r);
}

void
command_sup(struct request *r, enum msg_type type)
{
	r->asked = rpc_ask(r->client->ct->w->rpc, type, 0, NULL, NULL, -1,
	    command_on_answer, r);
	if (r->asked == 0)
		request_err(r, ERR_UNAVAILABLE, "wharfd is going down");
}
