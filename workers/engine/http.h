/*
 * HTTP requests over connections that somebody else opens: libcurl's multi
 * interface driven by our loop.  The one place that knows libcurl.
 *
 * libcurl asks for a socket in a callback and must get it at once, but ours
 * come as answers from the supervisor.  So a request first looks for an idle
 * connection or a spare fd; without one it waits until http_conn_add() brings
 * an fd.  Engine worker.
 */
#ifndef WHARF_ENGINE_HTTP_H
#define WHARF_ENGINE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop.h"

struct http;
struct http_req;

enum http_result {
	HTTP_OK,      /* a whole answer; its status may say anything */
	HTTP_NO_CONN, /* no connection: nothing has been sent; see errnum */
	HTTP_BROKEN,  /* the connection or the answer broke */
	HTTP_TIMEOUT,
	HTTP_STOPPED, /* a callback of the asker wanted no more */
};

#define HTTP_PAUSE (-2)
#define HTTP_ABORT (-1)

struct http_ops {
	/* The answer's headers are there; may be NULL. */
	void (*headers)(void *arg, struct http_req *r);
	/*
	 * Part of the answer's body: 0, HTTP_PAUSE (the same bytes come again
	 * after http_resume) or HTTP_ABORT.  NULL: the body is dropped.
	 */
	int (*data)(void *arg, struct http_req *r, const void *p, size_t n);
	/* More of the request's body: bytes, 0 at its end, HTTP_* */
	ssize_t (*body)(void *arg, void *p, size_t n);
	/*
	 * The end, called once, from the loop; r is freed after it and may be
	 * looked at inside.
	 */
	void (*done)(void *arg, struct http_req *r, enum http_result res);
};

struct http_conf {
	/* Get a connection: http_conn_add() or http_conn_fail() follows. */
	void (*dial)(void *arg);
	void *arg;
};

struct http *http_new(struct loop *l, const struct http_conf *conf);
void http_free(struct http *h);

/* Once, before the sandbox. -1: no libcurl. */
int http_global_init(void);

/* The answers to dial(); http_conn_add takes fd, a connected socket. */
void http_conn_add(struct http *h, int fd);
void http_conn_fail(struct http *h, int errnum);

/*
 * Close every idle connection and spare fd: the engine behind them is gone.
 */
void http_forget_conns(struct http *h);

/*
 * Begin a request.  `path` with its query; `json` is the body or NULL; with
 * ops->body the body is streamed as application/x-tar.  The answer must end
 * within timeout_ms (0: no limit).  Never calls back before it returns.
 */
struct http_req *http_start(struct http *h, const char *method,
    const char *path, const char *json, int64_t timeout_ms,
    const struct http_ops *ops, void *arg);

/*
 * End a request at once; done is not called.  A body that was on its way
 * ends with its connection, never with a clean last chunk.  Takes NULL.
 * Not from inside data() and body().
 */
void http_cancel(struct http_req *r);

/* Go on after HTTP_PAUSE.  Not from inside data() and body(). */
void http_resume(struct http_req *r);

/* What is known of the answer; the status is 0 before there is one. */
unsigned http_status(const struct http_req *r);
int http_errnum(const struct http_req *r);
const char *http_error(const struct http_req *r);       /* text of a failure */
const char *http_header_api(const struct http_req *r);  /* or NULL */
const char *http_header_stat(const struct http_req *r); /* or NULL */

#endif
