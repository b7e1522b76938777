/*
 * Asking the engine worker: one request, its DATA collected, one last answer.
 * Workers plan, push and image.
 */
#ifndef WHARF_ENGINE_CLIENT_H
#define WHARF_ENGINE_CLIENT_H

#include "workers/common/worker.h"

/* Valid only inside the callback. */
struct eng_answer {
	enum err_code err;   /* 0: the engine has answered */
	unsigned status;     /* HTTP status of the deciding call */
	int64_t exit;        /* EXEC */
	const char *error;   /* the engine's message, or what went wrong; "" */
	const char *id;      /* CREATE: the container's id; "" */
	const uint8_t *body; /* DATA, when no data callback took it */
	size_t len;
};

typedef void (*eng_cb)(void *arg, const struct eng_answer *a);

/* A piece of DATA or OUTPUT (stream 1 or 2; 0 for DATA) as it comes. */
typedef void (
    *eng_data_cb)(void *arg, unsigned stream, const uint8_t *p, size_t n);

struct eng_request {
	enum msg_type type; /* MSG_ENG_* */
	struct msg_eng m;
	const struct buf *fields;
	int fd;          /* -1: none; taken */
	size_t max_body; /* more than that is an ERR_IO */
	eng_cb cb;
	eng_data_cb data; /* may be NULL */
	void *arg;
};

/*
 * Ask.  Returns the request's id for eng_cancel, eng_body_end; 0 when the
 * channel to the supervisor has ended.  `cb` is called once, unless the
 * request is cancelled.
 */
uint32_t eng_ask(struct worker *w, const struct eng_request *q);

/* Forget the request; `cb` will not be called.  0 is ignored. */
void eng_cancel(struct worker *w, uint32_t id);

/* The same for all open requests with this argument. */
void eng_forget(struct worker *w, const void *arg);

/* The body that goes with the request has been written: so many bytes. */
void eng_body_end(struct worker *w, uint32_t id, uint64_t bytes);

/* True for a transient failure: the engine or its worker went away. */
bool eng_is_away(const struct eng_answer *a);

/* True when the call itself succeeded: an answer with status 2xx or 304. */
bool eng_is_ok(const struct eng_answer *a);

#endif
