/*
 * HTTP over given connections, see http.h.  Engine worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "workers/engine/http_priv.h"

#define HTTP_IDLE_MAX  8 /* connections kept for the next request */
#define HTTP_DIALS_MAX 6 /* fewer than DIAL's cap in msg.def */

int
http_global_init(void)
{
	return (curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK ? 0 : -1);
}

/* Requests. */

static void
http_req_free(struct http_req *r)
{
	struct http *h = r->http;

	loop_timer_cancel(&r->deadline);
	if (r->added) {
		curl_multi_remove_handle(h->multi, r->easy);
		h->running--;
	}
	curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	*r->prevp = r->next;
	if (r->next != NULL)
		r->next->prevp = r->prevp;
	free(r->json);
	free(r->api);
	free(r->stat);
	free(r);
}

static void
http_req_done(struct http_req *r, enum http_result res)
{
	r->ops->done(r->arg, r, res);
	http_req_free(r);
}

static void
http_on_deadline(void *arg)
{
	struct http_req *r = arg;

	strlcpy(r->error, "no answer in time", sizeof(r->error));
	http_req_done(r, HTTP_TIMEOUT);
}

/* Give the request another timeout from now on; 0: none. */
static void
http_set_timeout(struct http_req *r, int64_t ms)
{
	if (ms == 0)
		loop_timer_cancel(&r->deadline);
	else
		loop_timer_in_ms(r->http->loop, &r->deadline, ms,
		    http_on_deadline, r);
}

/* Ask for as many connections as there are requests that wait for one. */
static void
http_dial(struct http *h)
{
	unsigned waiting = 0;

	for (struct http_req *r = h->reqs; r != NULL; r = r->next)
		waiting += r->waits;
	while (h->dials < waiting && h->dials < HTTP_DIALS_MAX) {
		h->dials++;
		h->conf.dial(h->conf.arg);
	}
}

/* Hand the request to libcurl, or wait for a connection. */
static void
http_go(struct http_req *r)
{
	struct http *h = r->http;

	r->waits =
	    conns_spare(&h->conns) == 0 && (r->no_fd || h->open <= h->running);
	if (r->waits) {
		http_dial(h);
		return;
	}
	r->no_fd = false;
	r->sent = false;
	r->status = 0;
	r->header_bytes = 0;
	r->error[0] = '\0';
	if (curl_multi_add_handle(h->multi, r->easy) != CURLM_OK)
		fatalx("curl_multi_add_handle");
	r->added = true;
	h->running++;
}

static struct http_req *
http_first_waiting(struct http *h)
{
	struct http_req *r, *first = NULL;

	/* the list has the newest in front */
	for (r = h->reqs; r != NULL; r = r->next)
		if (r->waits)
			first = r;
	return (first);
}

void
http_conn_add(struct http *h, int fd)
{
	struct http_req *r;

	h->dials--;
	conns_put(&h->conns, fd);
	if ((r = http_first_waiting(h)) != NULL)
		http_go(r);
	http_dial(h);
}

void
http_conn_fail(struct http *h, int errnum)
{
	struct http_req *r = http_first_waiting(h);

	h->dials--;
	if (r == NULL)
		return;
	r->waits = false;
	r->errnum = errnum;
	strlcpy(r->error, strerror(errnum), sizeof(r->error));
	http_req_done(r, HTTP_NO_CONN);
	http_dial(h);
}

static enum http_result
http_result(struct http_req *r, CURLcode rc)
{
	if (rc == CURLE_OK && r->status >= 100)
		return (HTTP_OK);
	if (r->stopped)
		return (HTTP_STOPPED);
	if (rc ==
	    CURLE_OK) /* libcurl takes some lines for a status that is none */
		strlcpy(r->error, "an answer without a status",
		    sizeof(r->error));
	if (r->error[0] == '\0')
		strlcpy(r->error, curl_easy_strerror(rc), sizeof(r->error));
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return (HTTP_TIMEOUT);
	return (HTTP_BROKEN);
}

static void
http_on_message(struct http *h, CURL *easy, CURLcode rc)
{
	struct http_req *r = NULL;
	char *priv = NULL;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &priv);
	r = (struct http_req *)(void *)priv;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(h->multi, easy);
	r->added = false;
	r->paused = false;
	h->running--;
	if (rc != CURLE_OK && r->no_fd && (!r->sent || r->idempotent)) {
		/* the idle connection was not one: begin anew */
		http_go(r);
		return;
	}
	r->status = (unsigned)status;
	http_req_done(r, http_result(r, rc));
}

static void
http_check_done(struct http *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL)
		if (m->msg == CURLMSG_DONE)
			http_on_message(h, m->easy_handle, m->data.result);
}

/* libcurl's sockets and timer on our loop. */

static void
http_act(struct http *h, curl_socket_t s, int what)
{
	int running;

	curl_multi_socket_action(h->multi, s, what, &running);
	http_check_done(h);
}

/* The loop tells which fd only by arg: one of these for each socket. */
struct http_sock {
	struct http *http;
	int fd;
};

static void
http_on_fd(void *arg, uint32_t ev)
{
	struct http_sock *s = arg;

	http_act(s->http, s->fd,
	    ((ev & EPOLLIN) ? CURL_CSELECT_IN : 0) |
		((ev & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
		((ev & (EPOLLERR | EPOLLHUP)) ?
			CURL_CSELECT_IN | CURL_CSELECT_ERR :
			0));
}

static int
http_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sockp)
{
	struct http *h = arg;
	struct http_sock *s = sockp;
	uint32_t ev = 0;

	if (what == CURL_POLL_REMOVE) {
		loop_fd_del(h->loop, fd);
		free(s);
		return (0);
	}
	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		s->http = h;
		s->fd = fd;
		curl_multi_assign(h->multi, fd, s);
	}
	if (what & CURL_POLL_IN)
		ev |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		ev |= EPOLLOUT;
	if (loop_fd_set(h->loop, fd, ev, http_on_fd, s) == -1)
		log_warn("epoll");
	return (0);
}

static void
http_on_timer(void *arg)
{
	http_act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
http_on_set_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;

	if (ms < 0)
		loop_timer_cancel(&h->timer);
	else
		loop_timer_in_ms(h->loop, &h->timer, ms, http_on_timer, h);
	return (0);
}

/* Connections. */

static curl_socket_t
http_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct http_req *r = arg;
	int fd = -1;

	/*
	 * A second socket after the request went out is libcurl's retry on a
	 * connection that died.  What may change something is not sent twice.
	 */
	if (!r->sent || r->idempotent)
		fd = conns_take(&r->http->conns);
	if (fd == -1) {
		r->no_fd = true;
		return (CURL_SOCKET_BAD);
	}
	r->http->open++;
	return (fd);
}

static int
http_socket_opened(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	return (CURL_SOCKOPT_ALREADY_CONNECTED);
}

static int
http_close_socket(void *arg, curl_socket_t fd)
{
	struct http *h = arg;

	loop_fd_del(h->loop, fd);
	h->open--;
	return (close(fd));
}

static void
http_set_sockets(struct http_req *r)
{
	CURL *e = r->easy;

	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, http_open_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, r);
	curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, http_socket_opened);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, http_close_socket);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, r->http);
}

struct http_req *
http_start(struct http *h, const char *method, const char *path,
    const char *json, int64_t timeout_ms, const struct http_ops *ops, void *arg)
{
	struct http_req *r = xcalloc(1, sizeof(*r));

	r->http = h;
	r->ops = ops;
	r->arg = arg;
	r->json = json != NULL ? xstrdup(json) : NULL;
	http_req_setup(r, method, path);
	http_set_sockets(r);
	r->next = h->reqs;
	r->prevp = &h->reqs;
	if (r->next != NULL)
		r->next->prevp = &r->next;
	h->reqs = r;
	http_set_timeout(r, timeout_ms);
	http_go(r);
	return (r);
}

void
http_cancel(struct http_req *r)
{
	if (r != NULL)
		http_req_free(r);
}

static void
http_on_resume_failed(void *arg)
{
	struct http_req *r = arg;

	strlcpy(r->error, "cannot be resumed", sizeof(r->error));
	http_req_done(r, r->stopped ? HTTP_STOPPED : HTTP_BROKEN);
}

void
http_resume(struct http_req *r)
{
	struct http *h = r->http;

	if (!r->paused)
		return;
	r->paused = false;
	/* libcurl calls data() inside, and forgets what that said */
	if (curl_easy_pause(r->easy, CURLPAUSE_CONT) != CURLE_OK)
		loop_timer_in_ms(h->loop, &r->deadline, 0,
		    http_on_resume_failed, r);
	/* what libcurl found out meanwhile is told from the loop */
	loop_timer_in_ms(h->loop, &h->kick, 0, http_on_timer, h);
}

struct http *
http_new(struct loop *l, const struct http_conf *conf)
{
	struct http *h = xcalloc(1, sizeof(*h));

	h->loop = l;
	h->conf = *conf;
	if ((h->multi = curl_multi_init()) == NULL)
		fatalx("curl_multi_init");
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, http_on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, http_on_set_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_IDLE_MAX);
	return (h);
}

void
http_free(struct http *h)
{
	if (h == NULL)
		return;
	while (h->reqs != NULL)
		http_req_free(h->reqs);
	curl_multi_cleanup(h->multi);
	loop_timer_cancel(&h->timer);
	loop_timer_cancel(&h->kick);
	conns_close(&h->conns);
	free(h);
}

void
http_forget_conns(struct http *h)
{
	conns_close(&h->conns);
}
