/*
 * One build: stream the context by docker build's rule, read the answer.
 *
 * The context is whole for the engine worker only after BODY_END; a death of
 * this process at any point before makes it abort the request.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "workers/image/image.h"

#define MANIFEST_SIZE (256ull * 1024 * 1024) /* sparse */
#define SLICE_MS      20

static struct build *builds;

static void build_pump(void *arg);

static void
build_free(struct build *b)
{
	struct build **p;

	for (p = &builds; *p != NULL; p = &(*p)->next)
		if (*p == b) {
			*p = b->next;
			break;
		}
	loop_timer_cancel(&b->slice);
	if (b->pipe_w != -1) {
		loop_fd_del(b->w->loop, b->pipe_w);
		close(b->pipe_w);
	}
	if (b->mem_fd != -1)
		close(b->mem_fd);
	context_free(b->context);
	tarstream_free(b->tar);
	manifest_free(b->manifest);
	if (b->map != NULL)
		munmap(b->map, b->map_size);
	rules_free(&b->rules);
	output_free(&b->out);
	free(b);
}

/* Answer plan and forget the build. Takes fd. */
static void
build_answer(struct build *b, enum result result, const char *error, int fd)
{
	const struct context_stats *st =
	    b->context != NULL ? context_stats(b->context) : NULL;
	struct msg_build_done m = { .result = result,
		.files = st != NULL ? st->entries : 0,
		.bytes = st != NULL ? st->bytes : 0 };
	static const char *const names[] = { "ok", "failed", "retry",
		"cancelled", "climb" };
	struct buf t = { 0 };

	if (b->out.image_id[0] != '\0' && result == RESULT_OK)
		fields_add_str(&t, F_IMAGE_ID, b->out.image_id);
	if (error[0] != '\0')
		fields_add_str(&t, F_ERROR, error);
	rpc_answer(b->w->ch, b->id, MSG_BUILD_DONE, 0, &m, &t, fd);
	fields_add_str(&t, F_RESULT, names[result]);
	fields_add_u64(&t, F_FILES, m.files);
	fields_add_u64(&t, F_BYTES, m.bytes);
	fields_add_u64(&t, F_US,
	    (uint64_t)(mono_now().ns - b->began.ns) / 1000);
	worker_event(b->w, EVENT_BUILD_END, b->conf, b->job, &t);
	buf_free(&t);
	build_free(b);
}

/* Stop an engine request that still runs, then answer. */
static void
build_abort(struct build *b, enum result result, const char *error)
{
	eng_cancel(b->w, b->eng_id);
	b->eng_id = 0;
	build_answer(b, result, error, -1);
}

/* The answer. */

static void
build_on_text(void *arg, const char *s, size_t n)
{
	struct build *b = arg;
	struct buf t = { 0 };

	fields_add_mem(&t, F_TEXT, s, n);
	fields_add_u64(&t, F_STEP, b->out.step);
	fields_add_u64(&t, F_STEPS, b->out.steps);
	worker_event(b->w, EVENT_BUILD_OUTPUT, b->conf, b->job, &t);
	buf_free(&t);
}

static void
build_on_data(void *arg, unsigned stream, const uint8_t *p, size_t n)
{
	struct build *b = arg;

	output_feed(&b->out, p, n);
}

/* Write what was sent where the next worker finds it. */
static int
build_write_manifest(struct build *b)
{
	const struct manifest_entry *e =
	    manifest_get(b->manifest, b->conf->dockerfile);
	struct manifest_meta meta = { .run_pending_from = -1, .epoch = 1 };

	if (e != NULL)
		memcpy(meta.dockerfile_sha256, e->sha256, HASH_LEN);
	memcpy(meta.ignore_sha256, b->rules.sha256, HASH_LEN);
	if (strlcpy(meta.image, b->out.image_id, sizeof(meta.image)) >=
	    sizeof(meta.image))
		return (-1);
	if (manifest_set_meta(b->manifest, &meta) == -1 ||
	    manifest_attach(b->manifest, b->map, b->map_size) == -1)
		return (-1);
	return (manifest_renew(b->manifest));
}

static void
build_on_answer(void *arg, const struct eng_answer *a)
{
	struct build *b = arg;
	int fd;

	b->eng_id = 0;
	output_end(&b->out);
	if (eng_is_away(a) || a->err == ERR_CANCELLED)
		build_answer(b, RESULT_RETRY, a->error, -1);
	else if (!eng_is_ok(a))
		build_answer(b, RESULT_FAILED, a->error, -1);
	else if (b->out.error[0] != '\0')
		build_answer(b, RESULT_FAILED, b->out.error, -1);
	else if (b->out.image_id[0] == '\0' || !b->streamed)
		build_answer(b, RESULT_RETRY,
		    "the engine's answer ends without an image", -1);
	else if (build_write_manifest(b) == -1)
		build_answer(b, RESULT_FAILED,
		    "the list of what was sent is too long", -1);
	else {
		fd = b->mem_fd;
		b->mem_fd = -1;
		build_answer(b, RESULT_OK, "", fd);
	}
}

/* The context. */

static void
build_on_writable(void *arg, uint32_t events)
{
	struct build *b = arg;

	loop_fd_del(b->w->loop, b->pipe_w);
	build_pump(b);
}

static void
build_close_pipe(struct build *b)
{
	loop_fd_del(b->w->loop, b->pipe_w);
	close(b->pipe_w);
	b->pipe_w = -1;
}

/* All has been written.  A root that went meanwhile was not read whole. */
static void
build_streamed(struct build *b)
{
	if (tree_root_gone(b->root->fd) != 0) {
		build_abort(b, RESULT_RETRY, "the directory is gone");
		return;
	}
	b->streamed = true;
	eng_body_end(b->w, b->eng_id, tarstream_written(b->tar));
	build_close_pipe(b);
}

static void
build_pump(void *arg)
{
	struct build *b = arg;
	mono_t deadline = mono_add_ms(mono_now(), SLICE_MS);
	int r = CONTEXT_MORE, p;

	do {
		if ((r = context_stream(b->context, b->tar, deadline)) == -1) {
			build_abort(b, RESULT_FAILED,
			    errno == EBADMSG ?
				"a pattern of the ignore file cannot be matched" :
				strerror(errno));
			return;
		}
		p = tarstream_pump(b->tar, b->pipe_w);
		if (p == -1) {
			/* the engine reads no more: its answer says why */
			build_close_pipe(b);
			return;
		}
		if (p == TARSTREAM_AGAIN) {
			loop_fd_set(b->w->loop, b->pipe_w, EPOLLOUT,
			    build_on_writable, b);
			return;
		}
	} while (r != CONTEXT_DONE && mono_now().ns < deadline.ns);
	if (r == CONTEXT_DONE)
		build_streamed(b);
	else
		loop_timer_in_ms(b->w->loop, &b->slice, 0, build_pump, b);
}

static void
build_note(void *arg, enum context_note kind, const char *path, int err)
{
	struct build *b = arg;
	char esc[512];

	log_escape(esc, sizeof(esc), path, strlen(path));
	if (kind == CONTEXT_UNREADABLE)
		log_warnx("%s: %s: left out of the image: %s", b->conf->name,
		    esc, strerror(err));
	else
		log_debug("%s: %s: %s", b->conf->name, esc,
		    kind == CONTEXT_SPECIAL ?
			"neither file, directory nor link: left out" :
			"changed while it was sent");
}

static int
build_open(struct build *b)
{
	struct context_opts o = { .rootfd = b->root->fd,
		.ignore = b->rules.ignore,
		.dockerfile = b->conf->dockerfile,
		.ignorefile = b->rules.file,
		.epoch = 1,
		.arg = b,
		.note = build_note };

	if ((b->manifest = manifest_new()) == NULL)
		return (-1);
	o.manifest = b->manifest;
	b->context = context_new(&o);
	b->tar = tarstream_new(0);
	return (b->context != NULL && b->tar != NULL ? 0 : -1);
}

static void
build_send(struct build *b)
{
	struct eng_request q = { .type = MSG_ENG_BUILD,
		.m = { .service = b->conf->service,
		    .flags = b->flags & JOB_NO_CACHE ? ENG_NO_CACHE : 0 },
		.cb = build_on_answer,
		.data = build_on_data,
		.arg = b };
	int p[2];

	if (pipe2(p, O_CLOEXEC) == -1) {
		build_answer(b, RESULT_RETRY, strerror(errno), -1);
		return;
	}
	log_debug("%s: job %llu sends the context%s", b->conf->name,
	    (unsigned long long)b->job,
	    b->flags & JOB_NO_CACHE ? ", nothing from the cache" : "");
	b->pipe_w = p[1];
	fcntl(p[1], F_SETFL, O_WRONLY | O_NONBLOCK);
	q.fd = p[0];
	b->eng_id = eng_ask(b->w, &q);
	build_pump(b);
}

static void
build_on_memory(void *arg, struct frame *f)
{
	struct build *b = arg;
	const struct msg_num *m = frame_fixed(f);
	char error[256];

	b->mem_id = 0;
	if (f->head.type != MSG_MEM_NEW_OK) {
		build_answer(b, RESULT_RETRY, "no memory for the manifest", -1);
		return;
	}
	b->mem_fd = frame_take_fd(f);
	b->map_size = m->n;
	b->map = mmap(NULL, b->map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    b->mem_fd, 0);
	if (b->map == MAP_FAILED) {
		b->map = NULL;
		build_answer(b, RESULT_RETRY, strerror(errno), -1);
	} else if (rules_load(&b->rules, b->root->fd, b->conf->dockerfile,
		       error, sizeof(error)) == -1)
		build_answer(b, RESULT_FAILED, error, -1);
	else if (build_open(b) == -1)
		build_answer(b, RESULT_RETRY, strerror(errno), -1);
	else
		build_send(b);
}

void
build_begin(struct worker *w, struct frame *f)
{
	const struct msg_job *m = frame_fixed(f);
	const struct conf_service *conf = conf_service(&w->conf, m->service);
	const struct conf_root *root =
	    conf != NULL ? conf_root(&w->conf, conf->tree) : NULL;
	struct msg_num size = { .n = MANIFEST_SIZE };
	struct build *b;

	if (root == NULL) {
		rpc_answer_err(w->ch, f->head.id, ERR_INVALID, 0,
		    "no such service");
		return;
	}
	b = xcalloc(1, sizeof(*b));
	b->w = w;
	b->conf = conf;
	b->root = root;
	b->id = f->head.id;
	b->job = m->job;
	b->flags = m->flags;
	b->began = mono_now();
	b->mem_fd = b->pipe_w = -1;
	b->out.text = build_on_text;
	b->out.arg = b;
	b->next = builds;
	builds = b;
	worker_event(w, EVENT_BUILD_START, conf, b->job, NULL);
	if (root->fd == -1 || tree_root_gone(root->fd) != 0)
		build_answer(b, RESULT_RETRY, "the directory is gone", -1);
	else
		b->mem_id = rpc_ask(w->rpc, MSG_MEM_NEW, 0, &size, NULL, -1,
		    build_on_memory, b);
}

/* Nobody waits for what still runs for a service that is dropped. */
void
build_reconf(struct worker *w)
{
	struct build *b, *next;

	for (b = builds; b != NULL; b = next) {
		next = b->next;
		if (conf_service(&w->conf, b->conf->service) == b->conf &&
		    conf_root(&w->conf, b->conf->tree) == b->root)
			continue;
		if (b->mem_id != 0)
			rpc_cancel(w->rpc, b->mem_id);
		build_abort(b, RESULT_CANCELLED, "the service is gone");
	}
}

void
build_cancel(struct worker *w, struct frame *f)
{
	struct build *b;

	for (b = builds; b != NULL; b = b->next)
		if (b->id == f->head.id)
			break;
	if (b == NULL)
		return;
	if (b->mem_id != 0)
		rpc_cancel(w->rpc, b->mem_id);
	eng_cancel(w, b->eng_id);
	rpc_answer_err(w->ch, b->id, ERR_CANCELLED, 0, "cancelled");
	build_free(b);
}
