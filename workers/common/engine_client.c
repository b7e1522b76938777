/*
 * Asking the engine worker, see engine_client.h.
 */
#include <stdlib.h>

#include "buf.h"
#include "workers/common/engine_client.h"

struct eng_open {
	struct eng_open *next;
	struct worker *w;
	uint32_t id;
	eng_cb cb;
	eng_data_cb data;
	void *arg;
	size_t max_body;
	struct buf body;
	bool too_long;
};

static struct eng_open *opens; /* one list per process is enough */

static struct eng_open **
eng_find(uint32_t id)
{
	struct eng_open **p;

	for (p = &opens; *p != NULL; p = &(*p)->next)
		if ((*p)->id == id)
			return (p);
	return (NULL);
}

static void
eng_free(struct eng_open **p)
{
	struct eng_open *o = *p;

	*p = o->next;
	buf_free(&o->body);
	free(o);
}

static void
eng_on_piece(struct eng_open *o, const struct frame *f)
{
	const struct msg_num *m = frame_fixed(f);
	unsigned stream = f->head.type == MSG_ENG_OUTPUT ? (unsigned)m->n : 0;

	if (o->data != NULL)
		o->data(o->arg, stream, f->tail.data, f->tail.len);
	else if (o->body.len + f->tail.len > o->max_body)
		o->too_long = true;
	else
		buf_add(&o->body, f->tail.data, f->tail.len);
}

/* What the last frame says, in words. */
static void
eng_on_last(struct eng_open *o, const struct frame *f)
{
	struct eng_answer a = { .err = rpc_err(f) };
	const struct msg_eng_done *d = frame_fixed(f);
	char *error = fields_dup(&f->tail, F_ERROR);
	char *id = fields_dup(&f->tail, F_CONTAINER_ID);

	if (a.err == 0 && f->head.type != MSG_ENG_DONE)
		a.err = ERR_INVALID;
	if (a.err == 0) {
		a.status = d->status;
		a.exit = d->exit;
	}
	if (a.err == 0 && o->too_long)
		a.err = ERR_IO;
	a.error = error != NULL ? error : o->too_long ? "answer too long" : "";
	a.id = id != NULL ? id : "";
	a.body = o->body.data;
	a.len = o->body.len;
	o->cb(o->arg, &a);
	free(error);
	free(id);
}

static void
eng_on_answer(void *arg, struct frame *f)
{
	struct eng_open *o = arg;
	uint32_t id = o->id;
	struct eng_open **p;

	if (f->head.flags & F_MORE) {
		eng_on_piece(o, f);
		return;
	}
	eng_on_last(o, f);
	if ((p = eng_find(id)) != NULL)
		eng_free(p);
}

uint32_t
eng_ask(struct worker *w, const struct eng_request *q)
{
	struct eng_open *o = xcalloc(1, sizeof(*o));

	o->w = w;
	o->cb = q->cb;
	o->data = q->data;
	o->arg = q->arg;
	o->max_body = q->max_body;
	o->id = rpc_ask(w->rpc, q->type, 0, &q->m, q->fields, q->fd,
	    eng_on_answer, o);
	if (o->id == 0) {
		free(o);
		return (0);
	}
	o->next = opens;
	opens = o;
	return (o->id);
}

void
eng_cancel(struct worker *w, uint32_t id)
{
	struct eng_open **p = eng_find(id);

	if (id == 0 || p == NULL)
		return;
	rpc_cancel(w->rpc, id);
	eng_free(p);
}

void
eng_forget(struct worker *w, const void *arg)
{
	struct eng_open *o, *next;

	for (o = opens; o != NULL; o = next) {
		next = o->next;
		if (o->arg == arg)
			eng_cancel(w, o->id);
	}
}

void
eng_body_end(struct worker *w, uint32_t id, uint64_t bytes)
{
	struct msg_num m = { .n = bytes };

	rpc_follow(w->rpc, id, MSG_BODY_END, 0, &m, NULL);
}

bool
eng_is_away(const struct eng_answer *a)
{
	return (a->err == ERR_ENGINE || a->err == ERR_WORKER_LOST ||
	    a->err == ERR_BUSY || a->err == ERR_UNAVAILABLE ||
	    a->err == ERR_TIMEOUT);
}

bool
eng_is_ok(const struct eng_answer *a)
{
	return (a->err == 0 &&
	    ((a->status >= 200 && a->status < 300) || a->status == 304));
}
