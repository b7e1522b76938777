/*
 * A hostile engine: what it answers to a request, through libcurl and our
 * reading of it.  The first byte says which kind of answer is awaited.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "workers/engine/demux.h"
#include "workers/engine/http.h"
#include "workers/engine/jsonsplit.h"
#include "tests/fuzz/fuzz.h"

#define ANSWER_MAX 65536

/*
 * libcurl connects what is connected already; in the worker the sandbox says
 * that it has done so.
 */
int
connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return (0);
}

struct asker {
	struct http *http;
	struct fuzz in;
	int far; /* the engine's end */
	struct loop *loop;
	struct loop_timer dial;
	unsigned ends;
	bool exec;
	bool headers;
	struct demux demux;
	struct jsonsplit split;
};

/* The engine: says all it has to say as soon as it is asked. */
static void
asker_answer(void *arg, uint32_t events)
{
	struct asker *a = arg;
	char request[4096];

	if (read(a->far, request, sizeof(request)) > 0)
		(void)send(a->far, a->in.p, a->in.n, MSG_NOSIGNAL);
	shutdown(a->far, SHUT_WR);
	loop_fd_del(a->loop, a->far);
}

/* From the loop, as an answer of the supervisor would come. */
static void
asker_connect(void *arg)
{
	struct asker *a = arg;
	int sv[2];

	if (a->far != -1) { /* one answer is all there is */
		http_conn_fail(a->http, ECONNREFUSED);
		return;
	}
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		  sv) == 0);
	a->far = sv[1];
	HOLDS(loop_fd_set(a->loop, a->far, EPOLLIN, asker_answer, a) == 0);
	http_conn_add(a->http, sv[0]);
}

static void
asker_dial(void *arg)
{
	struct asker *a = arg;

	loop_timer_in_ms(a->loop, &a->dial, 0, asker_connect, a);
}

static void
asker_on_headers(void *arg, struct http_req *r)
{
	struct asker *a = arg;

	HOLDS(http_status(r) >= 100 && http_status(r) < 1000);
	HOLDS(!a->headers);
	a->headers = true;
}

static int
asker_on_stream(void *arg, unsigned stream, const void *p, size_t n)
{
	HOLDS(n > 0 && (stream == 1 || stream == 2));
	return (0);
}

static int
asker_on_object(void *arg, const void *p, size_t n)
{
	return (0);
}

static int
asker_on_data(void *arg, struct http_req *r, const void *p, size_t n)
{
	struct asker *a = arg;
	int e;

	HOLDS(a->ends == 0);
	if (a->exec)
		e = demux_feed(&a->demux, p, n, asker_on_stream, a);
	else
		e = jsonsplit_feed(&a->split, p, n, asker_on_object, a);
	return (e == -1 ? HTTP_ABORT : 0);
}

static void
asker_on_done(void *arg, struct http_req *r, enum http_result res)
{
	struct asker *a = arg;

	a->ends++;
	HOLDS(res != HTTP_OK || http_status(r) >= 100);
	HOLDS(http_error(r) != NULL);
	http_header_api(r);
	http_header_stat(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct http_ops ops = { .headers = asker_on_headers,
		.data = asker_on_data,
		.done = asker_on_done };
	static struct loop *loop;
	struct asker a = { .in = { data, size }, .far = -1 };
	struct http_conf conf = { .dial = asker_dial, .arg = &a };
	unsigned how = fuzz_u8(&a.in);

	if (a.in.n > ANSWER_MAX)
		return (0);
	if (loop == NULL) {
		HOLDS(http_global_init() == 0);
		loop = loop_new();
	}
	a.loop = loop;
	a.exec = how & 1;
	a.http = http_new(loop, &conf);
	http_start(a.http,
	    how & 2     ? "POST" :
		how & 4 ? "HEAD" :
			  "GET",
	    "/v1.41/x", how & 2 ? "{}" : NULL, 0, &ops, &a);
	for (int i = 0; i < 1000 && a.ends == 0; i++)
		HOLDS(loop_once(loop, i < 10 ? 0 : 1) == 0);
	HOLDS(a.ends == 1);
	loop_timer_cancel(&a.dial);
	http_free(a.http);
	jsonsplit_reset(&a.split);
	if (a.far != -1) {
		loop_fd_del(loop, a.far);
		close(a.far);
	}
	return (0);
}
