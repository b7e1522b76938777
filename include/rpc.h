/*
 * Requests and answers over a channel: who waits for which id.
 *
 * An asker's callback gets every answer; the last one has no F_MORE.  It is
 * called exactly once with a last answer as long as the channel lives: the
 * supervisor answers for processes that die (ERR_WORKER_LOST).
 */
#ifndef WHARF_RPC_H
#define WHARF_RPC_H

#include "channel.h"

struct rpc;

/* `f` is valid only inside the call. */
typedef void (*rpc_cb)(void *arg, struct frame *f);

struct rpc *rpc_new(struct channel *c);
void rpc_free(struct rpc *r);

/*
 * Ask: sends a REQ and returns its id (never 0), 0 when the channel has
 * ended (the callback is not called then).  Takes fd.
 */
uint32_t rpc_ask(struct rpc *r, enum msg_type type, uint16_t flags,
    const void *fixed, const struct buf *tail, int fd, rpc_cb cb, void *arg);

/* Send a FOLLOW of an open request. */
int rpc_follow(struct rpc *r, uint32_t id, enum msg_type type, uint16_t flags,
    const void *fixed, const struct buf *tail);

/* Tell the answerer to stop, and forget the callback at once. */
void rpc_cancel(struct rpc *r, uint32_t id);

/* Hand an answer to its asker; false when nobody waits for it. */
bool rpc_dispatch(struct rpc *r, struct frame *f);

/* How many requests are open. */
size_t rpc_open(const struct rpc *r);

/* Answering: everything goes back under the id of the request. */
int rpc_answer(struct channel *c, uint32_t id, enum msg_type type,
    uint16_t flags, const void *fixed, const struct buf *tail, int fd);
int rpc_answer_err(struct channel *c, uint32_t id, enum err_code code,
    int errnum, const char *text);
int rpc_answer_ok(struct channel *c, uint32_t id, uint64_t n);

/* The error in an answer: its code, 0 when it is no MSG_ERR. */
enum err_code rpc_err(const struct frame *f);

#endif
