/*
 * Deleting in a container.  The engine has no call for it: rm by exec where
 * the container runs and has one; else an archive whose only entry is a hard
 * link to nothing, which makes the engine remove the path before it fails
 * (spec/live-update-peers.md 0, fact 6).  That is a side effect and no
 * contract, so that it is confirmed.  Push worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/push/push.h"
#include "workers/shared/json.h"

#define ERASE_ARGS_MAX 100000 /* bytes of the paths of one exec */
#define ERASE_OUTPUT   2048
#define ERASE_TARGET   ".wharf-there-is-no-such-file"

static void erase_go(struct task *j);
static void erase_one(struct task *j);
static void erase_confirm(struct task *j);

size_t
erase_chunk(const struct paths *p, size_t at)
{
	size_t bytes = 0, n = 0;

	while (at + n < p->n) {
		bytes += strlen(p->v[at + n]) + 1;
		if (n > 0 && bytes > ERASE_ARGS_MAX)
			break;
		n++;
	}
	return (n);
}

static void
erase_on_output(void *arg, unsigned stream, const uint8_t *p, size_t n)
{
	struct task *j = arg;
	struct buf *b = &j->erase.output;

	if (n > ERASE_OUTPUT - b->len)
		n = ERASE_OUTPUT - b->len;
	buf_add(b, p, n);
}

static void
erase_on_exec(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;
	struct erase *e = &j->erase;

	if (eng_is_away(a) || (a->err == 0 && a->status == 404)) {
		task_end_answer(j, "deleting", a);
		return;
	}
	if (!eng_is_ok(a) || a->exit == 126 || a->exit == 127) {
		log_debug("%s: no rm in the container: %s", j->s->conf->name,
		    a->error);
		e->one_by_one = true;
		erase_go(j);
		return;
	}
	if (a->exit != 0) {
		/* it also complains of what lies below something else by now */
		erase_confirm(j);
		return;
	}
	e->at = e->end;
	erase_go(j);
}

static void
erase_exec(struct task *j)
{
	static const char *const rm[] = { "rm", "-rf", "--" };
	struct erase *e = &j->erase;
	struct buf b = { 0 };

	e->end = e->at + erase_chunk(e->paths, e->at);
	e->output.len = 0;
	for (size_t i = e->at; i < e->end; i++)
		/* JSON cannot carry it to the engine */
		if (!json_is_text(e->paths->v[i], strlen(e->paths->v[i]))) {
			e->end = i;
			break;
		}
	if (e->end == e->at) {
		erase_one(j);
		return;
	}
	fields_add_str(&b, F_USER, "0");
	fields_add_str(&b, F_WORKDIR, "/");
	for (size_t i = 0; i < sizeof(rm) / sizeof(rm[0]); i++)
		fields_add_str(&b, F_ARG, rm[i]);
	for (size_t i = e->at; i < e->end; i++)
		fields_add_str(&b, F_ARG, e->paths->v[i]);
	task_ask(j, MSG_ENG_EXEC, ENG_NONE, &b, erase_on_exec, erase_on_output);
}

/*
 * Whether the paths from `at` to `end` are gone: a HEAD of each.  The engine
 * answers 404 for what is not there, but 500 where a parent is no directory:
 * then the parents are asked about, upwards.
 */

static void erase_ask(struct task *j);

static void
erase_confirmed(struct task *j, bool there)
{
	struct erase *e = &j->erase;

	if (there)
		task_trouble(j, "deleting %.200s: it is still there%s%.*s",
		    e->paths->v[e->at], e->output.len > 0 ? ": " : "",
		    (int)e->output.len,
		    e->output.len > 0 ? (const char *)e->output.data : "");
	if (++e->at < e->end)
		erase_confirm(j);
	else
		erase_go(j);
}

static void
erase_on_head(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;
	struct erase *e = &j->erase;
	char *slash = strrchr(e->asked, '/');

	if (eng_is_away(a))
		task_end_answer(j, "deleting", a);
	else if (a->err == 0 && a->status == 404)
		erase_confirmed(j, false);
	else if (eng_is_ok(a))
		erase_confirmed(j,
		    strcmp(e->asked, e->paths->v[e->at]) == 0 ||
			facts_stat_isdir(a->body, a->len));
	else if (slash == e->asked)
		erase_confirmed(j, true);
	else {
		*slash = '\0';
		erase_ask(j);
	}
}

static void
erase_ask(struct task *j)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_PATH, j->erase.asked);
	task_ask(j, MSG_ENG_HEAD, ENG_NONE, &b, erase_on_head, NULL);
}

static void
erase_confirm(struct task *j)
{
	struct erase *e = &j->erase;

	free(e->asked);
	e->asked = xstrdup(e->paths->v[e->at]);
	erase_ask(j);
}

/*
 * The side way.
 */

static void
erase_on_put(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;

	if (eng_is_away(a) ||
	    (a->err == 0 && a->status == 404 &&
		strstr(a->error, "o such container") != NULL)) {
		task_end_answer(j, "deleting", a);
		return;
	}
	erase_confirm(j);
}

/* A whole tar with the one entry; it always fits into a pipe.  -1. */
static int
erase_tar(const char *name, int fd, uint64_t *bytes)
{
	struct tarstream_entry e = { .type = TARSTREAM_HARDLINK,
		.path = name,
		.target = ERASE_TARGET,
		.mode = 0600 };
	struct tarstream *ts = tarstream_new(0);
	int r = -1;

	if (ts != NULL && tarstream_add(ts, &e, -1) == 0 &&
	    tarstream_fill(ts, MONO_NEVER) == TARSTREAM_DONE &&
	    tarstream_finish(ts) == 0 &&
	    tarstream_pump(ts, fd) == TARSTREAM_EMPTY) {
		*bytes = tarstream_written(ts);
		r = 0;
	}
	tarstream_free(ts);
	return (r);
}

static void
erase_one(struct task *j)
{
	struct erase *e = &j->erase;
	const char *path = e->paths->v[e->at];
	const char *name = strrchr(path, '/') + 1;
	char *dir;
	uint64_t bytes = 0;
	int fds[2];

	e->end = e->at + 1;
	e->output.len = 0;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1) {
		task_end_why(j, RESULT_RETRY, "no pipe: %s", strerror(errno));
		return;
	}
	if (erase_tar(name, fds[1], &bytes) == -1) {
		close(fds[0]);
		close(fds[1]);
		task_trouble(j, "deleting %.200s: no tar can hold its name",
		    path);
		e->at++;
		erase_go(j);
		return;
	}
	dir = xstrndup(path, name - path > 1 ? (size_t)(name - path) - 1 : 1);
	eng_body_end(j->s->w,
	    task_put(j, dir, ENG_OVERWRITE, fds[0], erase_on_put), bytes);
	close(fds[1]);
	free(dir);
}

static void
erase_tell(struct task *j)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < j->erase.paths->n && i < PUSH_EVENTS_MAX; i++) {
		fields_add_str(&b, F_PATH, j->erase.paths->v[i]);
		task_event(j, EVENT_PUSH_DELETE, &b);
	}
	if (j->erase.paths->n > PUSH_EVENTS_MAX) {
		fields_add_u64(&b, F_DELETED,
		    j->erase.paths->n - PUSH_EVENTS_MAX);
		task_event(j, EVENT_PUSH_DELETE, &b);
	}
}

static void
erase_go(struct task *j)
{
	struct erase *e = &j->erase;

	if (e->at < e->paths->n && j->cancelled)
		task_end(j, RESULT_CANCELLED);
	else if (e->at < e->paths->n && e->one_by_one)
		erase_one(j);
	else if (e->at < e->paths->n)
		erase_exec(j);
	else {
		erase_tell(j);
		e->then(j);
	}
}

void
erase(struct task *j, const struct paths *paths, task_fn fn)
{
	struct erase *e = &j->erase;

	e->paths = paths;
	e->at = 0;
	e->one_by_one = false;
	e->then = fn;
	if (paths->n == 0)
		fn(j);
	else
		erase_go(j);
}

/*
 * Directories that may be empty, the last first.
 */

static void erase_rmdir(struct task *j);

static void
erase_on_rmdir(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;

	if (eng_is_away(a) || (a->err == 0 && a->status == 404)) {
		task_end_answer(j, "deleting", a);
		return;
	}
	/* one that is not empty holds what the container made, and stays */
	erase_rmdir(j);
}

static void
erase_rmdir(struct task *j)
{
	struct erase *e = &j->erase;
	struct buf b = { 0 };
	size_t bytes = 0, n = 0;

	e->output.len = 0;
	fields_add_str(&b, F_USER, "0");
	fields_add_str(&b, F_WORKDIR, "/");
	fields_add_str(&b, F_ARG, "rmdir");
	fields_add_str(&b, F_ARG, "--");
	while (e->at > 0 && bytes < ERASE_ARGS_MAX) {
		const char *path = e->paths->v[--e->at];

		/* JSON cannot carry every name to the engine */
		if (!json_is_text(path, strlen(path)))
			continue;
		fields_add_str(&b, F_ARG, path);
		bytes += strlen(path) + 1;
		n++;
	}
	if (n > 0)
		task_ask(j, MSG_ENG_EXEC, ENG_NONE, &b, erase_on_rmdir,
		    erase_on_output);
	else {
		buf_free(&b);
		e->then(j);
	}
}

void
erase_empty(struct task *j, const struct paths *paths, task_fn fn)
{
	j->erase.paths = paths;
	j->erase.at = paths->n;
	j->erase.then = fn;
	erase_rmdir(j);
}
