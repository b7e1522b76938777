/*
 * engine_drive: plays the supervisor for one wharf-engine.
 *
 * usage: engine_drive WORKER HOST KEY=VALUE...
 *
 * KEY=VALUE are the service's fields (name, dir, dockerfile, image,
 * container, target, env, port, bind, network, build_arg), or api= (the
 * engine's pinned version), sandbox=on|off, uid=N.  Commands are lines of
 * standard input, tab-separated KEY=VALUE:
 *
 *   type=ENG_PUT tag=T op=N flags=N number=N FIELD=VALUE... body=FILE
 *       [cut=BYTES] [end=BYTES]   body goes through a pipe, by a child; cut:
 *       so much of it, and no BODY_END; end: what BODY_END says instead
 *   type=CANCEL tag=T             type=STOP   type=PEER   type=STATUS_ENGINE
 *   hold, go                      stop and resume reading from the worker
 *
 * Every frame of the worker is one JSON line on standard output.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "log.h"
#include "rpc.h"
#include "workers/shared/json.h"

#define SERVICE 7
#define ENGINE  1

struct ask {
	struct ask *next;
	uint32_t id;
	char *tag;
	mono_t sent;
	pid_t writer; /* of the body; 0: none */
	uint64_t end;
	bool cut;
};

struct drive {
	struct loop *loop;
	struct channel *ch;
	const char *host;
	struct ask *asks;
	uint32_t last_id;
	struct buf in;
	pid_t worker; /* -1: it has ended */
	int status;   /* of its end */
};

static enum field_key
drive_key(const char *name, size_t n)
{
	for (unsigned k = F_NONE + 1; k < F_MAX; k++)
		if (strlen(field_name(k)) == n &&
		    strncmp(field_name(k), name, n) == 0)
			return (k);
	return (F_NONE);
}

/* Append KEY=VALUE as a field; false when KEY is none. */
static bool
drive_field(struct buf *tail, const char *kv)
{
	const char *eq = strchr(kv, '=');
	enum field_key k;

	if (eq == NULL || (k = drive_key(kv, (size_t)(eq - kv))) == F_NONE)
		return (false);
	fields_add_str(tail, k, eq + 1);
	return (true);
}

static uint64_t
drive_number(const char *s)
{
	const char *err;
	uint64_t n = (uint64_t)strtonum(s, 0, INT64_MAX, &err);

	if (err != NULL)
		fatalx("%s: %s", s, err);
	return (n);
}

static struct ask *
drive_find(struct drive *d, const char *tag)
{
	for (struct ask *a = d->asks; a != NULL; a = a->next)
		if (strcmp(a->tag, tag) == 0)
			return (a);
	return (NULL);
}

/* Frames of the worker. */

static void
drive_put_fields(cJSON *o, const struct fields *t)
{
	struct field f;
	size_t off = 0;

	while (field_next(t, &off, &f) == 1) {
		if (f.type == FIELD_STR)
			json_add_bytes(o, field_name(f.key), f.str, f.len);
		else if (f.type == FIELD_I64)
			json_add_i64(o, field_name(f.key), f.i64);
		else
			json_add_u64(o, field_name(f.key), f.u64);
	}
}

static void
drive_put_fixed(cJSON *o, const struct frame *f)
{
	const struct msg_eng_done *done = frame_fixed(f);
	const struct msg_err *err = frame_fixed(f);
	const struct msg_eng_state *st = frame_fixed(f);
	const struct msg_event *ev = frame_fixed(f);
	const struct msg_eng_event *ee = frame_fixed(f);
	const struct msg_num *num = frame_fixed(f);

	switch (f->head.type) {
	case MSG_ENG_DONE:
		json_add_u64(o, "status", done->status);
		json_add_i64(o, "exit", done->exit);
		json_add_u64(o, "bytes", done->bytes);
		break;
	case MSG_ERR:
		json_add_str(o, "code", err_name(err->code));
		break;
	case MSG_ENG_STATE:
		json_add_u64(o, "up", st->state);
		json_add_u64(o, "epoch", st->epoch);
		break;
	case MSG_EVENT:
		json_add_str(o, "event", event_name(ev->kind));
		break;
	case MSG_ENG_EVENT:
		json_add_u64(o, "service", ee->service);
		json_add_i64(o, "time_ns", ee->time_ns);
		break;
	case MSG_ENG_OUTPUT:
		json_add_u64(o, "stream", num->n);
		break;
	default:
		break;
	}
}

static void
drive_print(struct drive *d, const struct frame *f)
{
	cJSON *o = cJSON_CreateObject();
	struct ask *a, **p;

	json_add_str(o, "frame", f->def->name);
	drive_put_fixed(o, f);
	if (f->def->tail == MSG_TAIL_FIELDS)
		drive_put_fields(o, &f->tail);
	else if (f->def->tail == MSG_TAIL_BYTES)
		json_add_bytes(o, "data", (const char *)f->tail.data,
		    f->tail.len);
	for (p = &d->asks; (a = *p) != NULL; p = &a->next)
		if (a->id == f->head.id && f->def->kind == MSG_KIND_REP) {
			json_add_str(o, "tag", a->tag);
			json_add_i64(o, "us",
			    (mono_now().ns - a->sent.ns) / 1000);
			if ((f->head.flags & F_MORE) == 0) {
				*p = a->next;
				free(a->tag);
				free(a);
			}
			break;
		}
	json_write_line(stdout, o);
	fflush(stdout);
	cJSON_Delete(o);
}

static void
drive_dial(struct drive *d, const struct frame *f)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, e;

	strlcpy(sun.sun_path, d->host + strlen("unix://"),
	    sizeof(sun.sun_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1 &&
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0) {
		rpc_answer(d->ch, f->head.id, MSG_DIAL_OK, 0, NULL, NULL, fd);
		return;
	}
	e = errno;
	close(fd);
	rpc_answer_err(d->ch, f->head.id, ERR_ENGINE, e, strerror(e));
}

static void
drive_on_frame(void *arg, struct frame *f)
{
	struct drive *d = arg;

	if (f->head.type == MSG_DIAL)
		drive_dial(d, f);
	else
		drive_print(d, f);
}

static void
drive_on_end(void *arg, enum channel_end how, const char *why)
{
	struct drive *d = arg;

	if (how != CHANNEL_EOF)
		log_warnx("worker: %s", why);
	loop_stop(d->loop, how == CHANNEL_EOF ? 0 : 1);
}

/* Commands. */

/* A child copies the file into the pipe, and dies if told to. */
static void
drive_write_body(const char *path, int fd, uint64_t cut)
{
	char block[65536];
	int in = open(path, O_RDONLY);
	size_t want;
	ssize_t n;

	signal(SIGPIPE, SIG_DFL);
	while (cut > 0) {
		want = cut < sizeof(block) ? cut : sizeof(block);
		n = read(in, block, want);
		if (n <= 0 || write(fd, block, (size_t)n) != n)
			break;
		cut -= (uint64_t)n;
	}
	_exit(0);
}

static int
drive_body(struct ask *a, const char *path, uint64_t cut)
{
	struct stat st;
	int p[2];

	if (stat(path, &st) == -1 || pipe2(p, O_CLOEXEC) == -1)
		fatal("%s", path);
	a->cut = cut != UINT64_MAX;
	if (a->end == UINT64_MAX)
		a->end = (uint64_t)st.st_size;
	if ((a->writer = fork()) == -1)
		fatal("fork");
	if (a->writer == 0) {
		close(p[0]);
		drive_write_body(path, p[1], cut);
	}
	close(p[1]);
	return (p[0]);
}

static void
drive_send(struct drive *d, const struct msg_def *def, unsigned type,
    struct ask *a, const void *fixed, const struct buf *tail, int fd)
{
	struct frame_head h = { .type = (uint16_t)type,
		.id = a->id,
		.generation = 1 };
	struct buf b = { 0 };

	for (unsigned p = PROC_WATCH; p < PROC_MAX; p++)
		if (def->from & PROC_BIT(p))
			h.source = (uint8_t)p;
	buf_add(&b, fixed, def->fixed);
	if (tail != NULL)
		buf_add(&b, tail->data, tail->len);
	channel_forward(d->ch, &h, b.data, b.len, fd);
	buf_free(&b);
}

static void
drive_follow(struct drive *d, struct ask *a, unsigned type, uint64_t n)
{
	struct msg_num m = { .n = n };

	drive_send(d, msg_def(type), type, a, &m, NULL, -1);
}

static unsigned
drive_type(const char *name)
{
	for (unsigned t = MSG_NONE + 1; t < MSG_MAX; t++)
		if (strcmp(msg_def(t)->name, name) == 0)
			return (t);
	fatalx("no message %s", name);
}

static void
drive_note(struct drive *d, unsigned type)
{
	struct msg_peer peer = { .role = PROC_PLAN,
		.generation = 2,
		.state = PEER_READY };

	channel_send(d->ch, type, 0, 0, &peer, NULL, 0, -1);
}

/* KEY=VALUE of a command that is no field. */
static void
drive_word(struct msg_eng *m, struct ask *a, const char *kv, const char **body,
    uint64_t *cut)
{
	const char *v = strchr(kv, '=') + 1;

	if (strncmp(kv, "op=", 3) == 0)
		m->op = (uint32_t)drive_number(v);
	else if (strncmp(kv, "flags=", 6) == 0)
		m->flags = (uint32_t)drive_number(v);
	else if (strncmp(kv, "number=", 7) == 0)
		m->arg = (uint32_t)drive_number(v);
	else if (strncmp(kv, "service_id=", 11) == 0)
		m->service = (uint32_t)drive_number(v);
	else if (strncmp(kv, "tag=", 4) == 0)
		a->tag = xstrdup(v);
	else if (strncmp(kv, "body=", 5) == 0)
		*body = v;
	else if (strncmp(kv, "cut=", 4) == 0)
		*cut = drive_number(v);
	else if (strncmp(kv, "end=", 4) == 0)
		a->end = drive_number(v);
	else
		fatalx("unknown word %s", kv);
}

static void
drive_request(struct drive *d, unsigned type, char *rest)
{
	struct msg_eng m = { .service = SERVICE };
	struct ask *a = xcalloc(1, sizeof(*a));
	struct buf tail = { 0 };
	const char *body = NULL;
	uint64_t cut = UINT64_MAX;
	char *kv;
	int fd = -1;

	a->end = UINT64_MAX;
	while ((kv = strsep(&rest, "\t")) != NULL)
		if (!drive_field(&tail, kv))
			drive_word(&m, a, kv, &body, &cut);
	if (a->tag == NULL)
		a->tag = xstrdup("");
	if (body != NULL)
		fd = drive_body(a, body, cut);
	a->id = ++d->last_id;
	a->sent = mono_now();
	a->next = d->asks;
	d->asks = a;
	drive_send(d, msg_def(type), type, a, &m, &tail, fd);
	buf_free(&tail);
}

static void
drive_line(struct drive *d, char *line)
{
	char *rest = line, *word = strsep(&rest, "\t");
	unsigned type;
	struct ask *a;

	if (strcmp(word, "hold") == 0 || strcmp(word, "go") == 0) {
		channel_pause(d->ch, word[0] == 'h');
		return;
	}
	if (strncmp(word, "type=", 5) != 0)
		fatalx("no type: %s", word);
	type = drive_type(word + 5);
	if (type == MSG_STOP || type == MSG_PEER)
		drive_note(d, type);
	else if (type == MSG_CANCEL) {
		if ((a = drive_find(d, rest + 4)) != NULL)
			drive_follow(d, a, type, 0);
	} else
		drive_request(d, type, rest);
}

static void
drive_on_input(void *arg, uint32_t ev)
{
	struct drive *d = arg;
	char *nl;
	ssize_t n;

	n = read(0, buf_reserve(&d->in, 65536), 65536);
	if (n <= 0) {
		loop_stop(d->loop, 0);
		return;
	}
	d->in.len += (size_t)n;
	while ((nl = memchr(d->in.data, '\n', d->in.len)) != NULL) {
		*nl = '\0';
		drive_line(d, (char *)d->in.data);
		buf_drop(&d->in, (size_t)(nl + 1 - (char *)d->in.data));
	}
}

static void
drive_on_child(void *arg, const struct signalfd_siginfo *si)
{
	struct drive *d = arg;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == d->worker) {
			d->worker = -1;
			d->status = status;
		}
		for (struct ask *a = d->asks; a != NULL; a = a->next)
			if (a->writer == pid && !a->cut)
				drive_follow(d, a, MSG_BODY_END, a->end);
	}
}

/* Start. */

static void
drive_spawn(struct drive *d, char *worker)
{
	static const struct channel_ops ops = { .frame = drive_on_frame,
		.end = drive_on_end };
	char *argv[] = { worker, NULL };
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		fatal("socketpair");
	if ((d->worker = fork()) == -1)
		fatal("fork");
	if (d->worker == 0) {
		if (dup2(sv[1], 3) == -1 ||
		    (sv[1] == 3 && fcntl(3, F_SETFD, 0) == -1))
			fatal("dup2");
		execv(worker, argv);
		fatal("%s", worker);
	}
	close(sv[1]);
	d->ch = channel_new(d->loop, sv[0], PROC_SUP, PROC_ENGINE, &ops, d);
}

static void
drive_configure(struct drive *d, char **kv)
{
	struct msg_init init = { .role = PROC_ENGINE,
		.instance = ENGINE,
		.generation = 1,
		.sandbox = SANDBOX_OFF,
		.uid = getuid(),
		.gid = getgid() };
	struct msg_conf_engine ce = { .instance = ENGINE };
	struct msg_conf_service cs = { .service = SERVICE,
		.tree = 1,
		.engine = ENGINE };
	struct buf ti = { 0 }, te = { 0 }, ts = { 0 };

	fields_add_str(&ti, F_RUN, "11111111-2222-4333-8444-555555555555");
	fields_add_str(&te, F_NAME, "default");
	fields_add_str(&te, F_HOST, d->host);
	for (; *kv != NULL; kv++)
		if (strncmp(*kv, "api=", 4) == 0)
			fields_add_str(&te, F_API, *kv + 4);
		else if (strcmp(*kv, "sandbox=on") == 0)
			init.sandbox = SANDBOX_ON;
		else if (strncmp(*kv, "uid=", 4) == 0)
			init.uid = init.gid = (uint32_t)drive_number(*kv + 4);
		else if (strncmp(*kv, "verbose=", 8) == 0)
			init.verbose = (uint32_t)drive_number(*kv + 8);
		else if (!drive_field(&ts, *kv))
			fatalx("unknown word %s", *kv);
	channel_send(d->ch, MSG_INIT, 0, 0, &init, ti.data, ti.len, -1);
	channel_send(d->ch, MSG_CONF_ENGINE, 0, 0, &ce, te.data, te.len, -1);
	channel_send(d->ch, MSG_CONF_SERVICE, 0, 0, &cs, ts.data, ts.len, -1);
	channel_send(d->ch, MSG_CONF_END, 0, 0, NULL, NULL, 0, -1);
	buf_free(&ti);
	buf_free(&te);
	buf_free(&ts);
}

int
main(int argc, char **argv)
{
	struct drive d = { 0 };
	struct ask *a;
	int code;

	log_init("engine_drive", 0);
	if (argc < 3)
		fatalx("usage: engine_drive worker host key=value ...");
	d.host = argv[2];
	d.loop = loop_new();
	signal(SIGPIPE, SIG_IGN);
	drive_spawn(&d, argv[1]);
	loop_signal(d.loop, SIGCHLD, drive_on_child, &d);
	drive_configure(&d, argv + 3);
	if (loop_fd_set(d.loop, 0, EPOLLIN, drive_on_input, &d) == -1)
		fatal("standard input must be a pipe");
	code = loop_run(d.loop);
	channel_free(d.ch);
	if (d.worker != -1 && waitpid(d.worker, &d.status, 0) == -1)
		fatal("waitpid");
	if (code == 0)
		code = WIFEXITED(d.status) ? WEXITSTATUS(d.status) : 1;
	loop_free(d.loop);
	while ((a = d.asks) != NULL) {
		d.asks = a->next;
		free(a->tag);
		free(a);
	}
	buf_free(&d.in);
	return (code);
}
