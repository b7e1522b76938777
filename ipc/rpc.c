/*
 * Requests and answers, see rpc.h.  Any process.
 */
#include <stdlib.h>

#include "buf.h"
#include "log.h"
#include "rpc.h"

struct ask {
	struct ask *next;
	uint32_t id;
	uint32_t to; /* PROC_BIT()s of who may answer */
	rpc_cb cb;
	void *arg;
};

struct rpc {
	struct channel *ch;
	struct ask *asks;
	uint32_t last_id;
};

struct rpc *
rpc_new(struct channel *c)
{
	struct rpc *r = xcalloc(1, sizeof(*r));

	r->ch = c;
	return (r);
}

void
rpc_free(struct rpc *r)
{
	struct ask *a;

	if (r == NULL)
		return;
	while ((a = r->asks) != NULL) {
		r->asks = a->next;
		free(a);
	}
	free(r);
}

static struct ask **
rpc_find(struct rpc *r, uint32_t id)
{
	struct ask **p;

	for (p = &r->asks; *p != NULL; p = &(*p)->next)
		if ((*p)->id == id)
			return (p);
	return (NULL);
}

static void
rpc_forget(struct ask **p)
{
	struct ask *a = *p;

	*p = a->next;
	free(a);
}

uint32_t
rpc_ask(struct rpc *r, enum msg_type type, uint16_t flags, const void *fixed,
    const struct buf *tail, int fd, rpc_cb cb, void *arg)
{
	struct ask *a = xcalloc(1, sizeof(*a));

	do
		a->id = ++r->last_id;
	while (a->id == 0 || rpc_find(r, a->id) != NULL);
	a->to = msg_def(type)->to;
	a->cb = cb;
	a->arg = arg;
	if (channel_send(r->ch, type, flags, a->id, fixed,
		tail != NULL ? tail->data : NULL, tail != NULL ? tail->len : 0,
		fd) == -1) {
		free(a);
		return (0);
	}
	a->next = r->asks;
	r->asks = a;
	return (a->id);
}

int
rpc_follow(struct rpc *r, uint32_t id, enum msg_type type, uint16_t flags,
    const void *fixed, const struct buf *tail)
{
	return (rpc_answer(r->ch, id, type, flags, fixed, tail, -1));
}

void
rpc_cancel(struct rpc *r, uint32_t id)
{
	struct ask **p = rpc_find(r, id);

	if (p == NULL)
		return;
	rpc_follow(r, id, MSG_CANCEL, 0, NULL, NULL);
	rpc_forget(p);
}

bool
rpc_dispatch(struct rpc *r, struct frame *f)
{
	struct ask **p = rpc_find(r, f->head.id);
	struct ask a;

	if (p == NULL)
		return (false);
	/* only who was asked may answer, or the supervisor on its behalf */
	if (((*p)->to & PROC_BIT(f->source)) == 0 &&
	    (f->source != PROC_SUP || f->head.type != MSG_ERR))
		return (false);
	a = **p;
	if ((f->head.flags & F_MORE) == 0)
		rpc_forget(p);
	a.cb(a.arg, f);
	return (true);
}

size_t
rpc_open(const struct rpc *r)
{
	size_t n = 0;

	for (const struct ask *a = r->asks; a != NULL; a = a->next)
		n++;
	return (n);
}

int
rpc_answer(struct channel *c, uint32_t id, enum msg_type type, uint16_t flags,
    const void *fixed, const struct buf *tail, int fd)
{
	return (channel_send(c, type, flags, id, fixed,
	    tail != NULL ? tail->data : NULL, tail != NULL ? tail->len : 0,
	    fd));
}

int
rpc_answer_err(struct channel *c, uint32_t id, enum err_code code, int errnum,
    const char *text)
{
	struct msg_err m = { .code = code, .errnum = (uint32_t)errnum };
	struct buf tail = { 0 };
	int r;

	if (text != NULL)
		fields_add_str(&tail, F_ERROR, text);
	r = rpc_answer(c, id, MSG_ERR, 0, &m, &tail, -1);
	buf_free(&tail);
	return (r);
}

int
rpc_answer_ok(struct channel *c, uint32_t id, uint64_t n)
{
	struct msg_num m = { .n = n };

	return (rpc_answer(c, id, MSG_OK, 0, &m, NULL, -1));
}

enum err_code
rpc_err(const struct frame *f)
{
	const struct msg_err *m = frame_fixed(f);

	return (f->head.type == MSG_ERR ? (enum err_code)m->code : 0);
}
