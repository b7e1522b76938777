/*
 * A worker from exec to end, see worker.h.
 */
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "buf.h"
#include "workers/common/conf.h"
#include "workers/common/sandbox.h"
#include "workers/common/worker.h"

/* The worker of this process while it is being configured. */
struct start {
	struct worker *w;
	struct msg_init init;
	bool have_init;
	bool serving;
};

void
worker_end(struct worker *w, int code)
{
	loop_stop(w->loop, code);
}

void
worker_event(struct worker *w, enum event_kind kind,
    const struct conf_service *s, uint64_t job, const struct buf *fields)
{
	struct msg_event m = { .kind = kind,
		.time_ns = wall_now_ns(),
		.mono_ns = mono_now().ns };
	struct buf tail = { 0 };

	if (s != NULL)
		fields_add_str(&tail, F_SERVICE, s->name);
	if (job != 0)
		fields_add_u64(&tail, F_JOB, job);
	if (fields != NULL)
		buf_add(&tail, fields->data, fields->len);
	channel_send(w->ch, MSG_EVENT, 0, 0, &m, tail.data, tail.len, -1);
	buf_free(&tail);
}

static int
worker_fence(struct start *st, struct buf *facts)
{
	struct conf *c = &st->w->conf;
	struct sandbox_report report;
	int *fds = xcalloc(c->nroots + 1, sizeof(*fds));
	struct sandbox_spec spec = { .role = st->w->ops->role,
		.mode = st->init.sandbox,
		.uid = st->init.uid,
		.gid = st->init.gid,
		.roots = fds };
	int r;

	for (size_t i = 0; i < c->nroots; i++)
		if (c->roots[i]->fd != -1)
			fds[spec.nroots++] = c->roots[i]->fd;
	r = sandbox_enter(&spec, &report);
	if (r == 0)
		sandbox_report_fields(&report, facts);
	free(fds);
	return (r);
}

/* All configuration is there: set up, fence in, serve. */
static void
worker_serve(struct start *st)
{
	struct worker *w = st->w;
	struct buf facts = { 0 };

	if (w->ops->setup != NULL && w->ops->setup(w) == -1)
		fatalx("cannot start");
	if (worker_fence(st, &facts) == -1)
		fatalx("cannot enter the sandbox");
	if (st->init.probe != 0)
		sandbox_try(w->ops->role, st->init.probe);
	st->serving = true;
	/* first, because start may already ask others for things */
	channel_send(w->ch, MSG_READY, 0, 0, NULL, facts.data, facts.len, -1);
	buf_free(&facts);
	if (w->ops->start(w) == -1)
		fatalx("cannot start");
}

static void
worker_on_init(struct start *st, struct frame *f)
{
	struct worker *w = st->w;
	const struct msg_init *m = frame_fixed(f);
	struct field fl;
	size_t off = 0;

	st->init = *m;
	st->have_init = true;
	w->instance = m->instance;
	w->generation = m->generation;
	w->owner = m->owner;
	w->conf.run = fields_dup(&f->tail, F_RUN);
	log_init(proc_name(w->ops->role), (int)m->verbose);
	while (field_next(&f->tail, &off, &fl) == 1)
		if (fl.key == F_TOKEN)
			log_enable_token(xstrndup(fl.str, fl.len));
	if (m->role != w->ops->role || w->conf.run == NULL)
		fatalx("started for another role");
}

static void
worker_configure(struct start *st, struct frame *f)
{
	if (!st->have_init && f->head.type == MSG_INIT)
		worker_on_init(st, f);
	else if (!st->have_init)
		fatalx("%s before INIT", f->def->name);
	else if (f->head.type == MSG_CONF_END)
		worker_serve(st);
	else if (conf_take(&st->w->conf, f) == -1)
		fatalx("bad configuration in %s", f->def->name);
}

/* A reload: what changes, and at its end that it was taken. */
static void
worker_reconfigure(struct worker *w, struct frame *f)
{
	if (f->head.type != MSG_CONF_END) {
		/* a successor gets all of it anew */
		if (conf_change(&w->conf, f) == -1)
			fatalx("bad change of configuration in %s",
			    f->def->name);
		return;
	}
	if (w->ops->reconf != NULL)
		w->ops->reconf(w);
	conf_forget(&w->conf);
	channel_send(w->ch, MSG_CONF_TAKEN, 0, 0, frame_fixed(f), NULL, 0, -1);
}

static bool
worker_is_conf(unsigned type)
{
	switch (type) {
	case MSG_CONF_ENGINE:
	case MSG_CONF_ROOT:
	case MSG_CONF_SERVICE:
	case MSG_CONF_MEM:
	case MSG_CONF_LISTENER:
	case MSG_CONF_DROP:
	case MSG_CONF_END:
		return (true);
	default:
		return (false);
	}
}

static void
worker_stop(struct worker *w)
{
	if (w->stopping)
		return;
	w->stopping = true;
	if (w->ops->stop != NULL)
		w->ops->stop(w);
	else
		worker_end(w, EX_OK);
}

static void
worker_dispatch(struct worker *w, struct frame *f)
{
	const struct worker_handler *h;

	if (f->def->kind == MSG_KIND_REP) {
		if (!rpc_dispatch(w->rpc, f))
			log_debug("answer %s to nobody", f->def->name);
		return;
	}
	for (h = w->ops->handlers; h->type != MSG_NONE; h++)
		if (h->type == f->head.type) {
			h->fn(w, f);
			return;
		}
	if (f->def->kind == MSG_KIND_REQ)
		rpc_answer_err(w->ch, f->head.id, ERR_INVALID, 0,
		    "not answered by this worker");
}

static void
worker_on_frame(void *arg, struct frame *f)
{
	struct start *st = arg;
	struct worker *w = st->w;

	if (!st->serving)
		worker_configure(st, f);
	else if (f->head.type == MSG_PING)
		channel_send(w->ch, MSG_PONG, 0, 0, frame_fixed(f), NULL, 0,
		    -1);
	else if (f->head.type == MSG_STOP)
		worker_stop(w);
	else if (worker_is_conf(f->head.type))
		worker_reconfigure(w, f);
	else
		worker_dispatch(w, f);
}

static void
worker_on_end(void *arg, enum channel_end how, const char *why)
{
	struct start *st = arg;

	/* without the supervisor there is nobody to work for */
	if (how != CHANNEL_EOF)
		log_warnx("channel to the supervisor: %s", why);
	loop_stop(st->w->loop, how == CHANNEL_EOF ? EX_OK : EX_PROTOCOL);
}

int
worker_main(int argc, char **argv, const struct worker_ops *ops)
{
	static const struct channel_ops channel_ops = {
		.frame = worker_on_frame,
		.end = worker_on_end,
	};
	struct worker w = { .ops = ops,
		.conf.listener = -1,
		.conf.file_fd = -1 };
	struct start st = { .w = &w };
	int code;

	log_init(proc_name(ops->role), 0);
	if (argc > 1)
		fatalx("started by wharfd only; see wharfd(8)");
	log_to_supervisor();
	/* a terminal's ^C is for the supervisor, which then stops us */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	closefrom(WORKER_CHANNEL_FD + 1);
	w.loop = loop_new();
	w.ch = channel_new(w.loop, WORKER_CHANNEL_FD, ops->role, PROC_SUP,
	    &channel_ops, &st);
	w.rpc = rpc_new(w.ch);
	code = loop_run(w.loop);
	if (code == -1)
		fatal("event loop");
	/* no exit handlers: the sandbox would not let all of them run */
	_exit(code);
}
