/*
 * wharf-engine: the Docker-API worker, one process per engine, the only
 * holder of connections to it.
 *
 * It may not open files, start programs or connect anywhere: connections come
 * from the supervisor.  It builds every request itself from typed fields, for
 * the containers and images of the configuration, and passes bytes back.
 */
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "workers/engine/engine.h"
#include "workers/engine/job.h"

/*
 * libcurl 7.88 ignores CURL_SOCKOPT_ALREADY_CONNECTED and connects the sockets
 * that it is given.  All of them are connected: this process has no others.
 */
int
connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return (0);
}

static void
engine_on_dialled(void *arg, struct frame *f)
{
	struct engine *e = arg;
	const struct msg_err *m = frame_fixed(f);

	if (f->head.type == MSG_DIAL_OK)
		http_conn_add(e->http, frame_take_fd(f));
	else
		http_conn_fail(e->http,
		    m->errnum > 0 && m->errnum < 4096 ? (int)m->errnum : EIO);
}

static void
engine_dial(void *arg)
{
	struct engine *e = arg;
	struct msg_num m = { .n = e->conf->instance };

	rpc_ask(e->w->rpc, MSG_DIAL, 0, &m, NULL, -1, engine_on_dialled, e);
}

static int
engine_setup(struct worker *w)
{
	return (http_global_init());
}

static int
engine_start(struct worker *w)
{
	struct engine *e = xcalloc(1, sizeof(*e));
	struct http_conf conf = { .dial = engine_dial, .arg = e };
	const struct conf_engine *c = conf_engine(&w->conf, w->instance);

	e->w = w;
	if (c == NULL) {
		log_warnx("engine %u is not configured", w->instance);
		return (-1);
	}
	/* a reload may drop it before this process is told to stop */
	e->own = (struct conf_engine) { .instance = c->instance,
		.name = xstrdup(c->name),
		.host = xstrdup(c->host),
		.api = c->api != NULL ? xstrdup(c->api) : NULL };
	e->conf = &e->own;
	w->state = e;
	e->gate = gate_new();
	e->http = http_new(w->loop, &conf);
	state_start(e);
	return (0);
}

static void
engine_reconf(struct worker *w)
{
	struct engine *e = w->state;

	jobs_reconf(e);
	gate_reconf(e->gate, &w->conf);
}

static void
engine_stop(struct worker *w)
{
	struct engine *e = w->state;

	if (e != NULL) {
		events_close(e);
		jobs_free(e);
	}
	worker_end(w, EX_OK);
}

static void
engine_on_request(struct worker *w, struct frame *f)
{
	job_on_request(w->state, f);
}

static void
engine_on_cancel(struct worker *w, struct frame *f)
{
	job_on_cancel(w->state, f);
}

static void
engine_on_body_end(struct worker *w, struct frame *f)
{
	job_on_body_end(w->state, f);
}

/* A peer that has just started does not know how the engine is. */
static void
engine_on_peer(struct worker *w, struct frame *f)
{
	const struct msg_peer *m = frame_fixed(f);

	if (m->state == PEER_READY &&
	    (m->role == PROC_PLAN || m->role == PROC_PUSH ||
		m->role == PROC_IMAGE))
		state_tell(w->state);
}

static void
engine_on_status(struct worker *w, struct frame *f)
{
	struct engine *e = w->state;
	struct msg_status m = { .kind = STATUS_ENGINE };
	struct buf tail = { 0 };

	fields_add_str(&tail, F_NAME, e->conf->name);
	fields_add_str(&tail, F_HOST, e->conf->host);
	fields_add_str(&tail, F_STATE, e->state.announced ? "up" : "down");
	fields_add_str(&tail, F_API, e->state.api);
	fields_add_str(&tail, F_VERSION,
	    e->state.version != NULL ? e->state.version : "");
	if (e->state.error != NULL)
		fields_add_str(&tail, F_ERROR, e->state.error);
	rpc_answer(w->ch, f->head.id, MSG_STATUS_ITEM, F_MORE, &m, &tail, -1);
	rpc_answer_ok(w->ch, f->head.id, 0);
	buf_free(&tail);
}

int
main(int argc, char **argv)
{
	static const struct worker_handler handlers[] = {
		{ MSG_ENG_INSPECT, engine_on_request },
		{ MSG_ENG_LIST, engine_on_request },
		{ MSG_ENG_CREATE, engine_on_request },
		{ MSG_ENG_CONTAINER, engine_on_request },
		{ MSG_ENG_PUT, engine_on_request },
		{ MSG_ENG_HEAD, engine_on_request },
		{ MSG_ENG_GET, engine_on_request },
		{ MSG_ENG_EXEC, engine_on_request },
		{ MSG_ENG_BUILD, engine_on_request },
		{ MSG_ENG_IMAGE, engine_on_request },
		{ MSG_CANCEL, engine_on_cancel },
		{ MSG_BODY_END, engine_on_body_end },
		{ MSG_PEER, engine_on_peer },
		{ MSG_STATUS_ENGINE, engine_on_status },
		{ MSG_NONE, NULL },
	};
	static const struct worker_ops ops = {
		.role = PROC_ENGINE,
		.setup = engine_setup,
		.start = engine_start,
		.stop = engine_stop,
		.reconf = engine_reconf,
		.handlers = handlers,
	};

	return (worker_main(argc, argv, &ops));
}
