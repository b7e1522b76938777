/*
 * Copying into a container: a tar per destination root, streamed to the
 * engine through a pipe.  Push worker.
 *
 * The answer to a PUT says what is in the container: 200 all of it, else any
 * part (spec/engine.md 1, archive).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/push/push.h"

#define DELIVER_TRIES 8             /* of one PUT, with another plan each */
#define DELIVER_PIPE  (1024 * 1024) /* bytes, where the kernel allows it */

static void deliver_go(struct task *j);
static void deliver_put(struct task *j);
static void deliver_up(struct task *j);

static void
deliver_close(struct task *j)
{
	struct deliver *d = &j->put;

	if (d->fd != -1) {
		loop_fd_del(j->s->w->loop, d->fd);
		close(d->fd);
		d->fd = -1;
	}
	tarstream_free(d->ts);
	d->ts = NULL;
	d->cur = NULL;
}

void
deliver_free(struct task *j)
{
	deliver_close(j);
	free(j->put.root);
	j->put.root = NULL;
}

/* The path of an item as an entry of the tar. */
static const char *
deliver_rel(const struct deliver *d, const char *to)
{
	size_t n = strlen(d->root);

	return (to + (n == 1 ? 1 : n + 1));
}

/*
 * Directories that are missing between where the engine can unpack and where
 * the items go: what COPY makes on its way is 0755 and root's.
 */
static int
deliver_add_made(struct task *j)
{
	struct deliver *d = &j->put;
	const char *root = j->fx.items.v[d->at].root;
	struct tarstream_entry e = { .type = TARSTREAM_DIR,
		.mode = 0755,
		.mtime_ns = wall_now_ns() };
	char path[TREE_PATH_MAX];
	size_t n;

	while (d->made < strlen(root)) {
		n = d->made + 1;
		n += strcspn(root + n, "/");
		if (n >= sizeof(path))
			return (-1);
		memcpy(path, root, n);
		path[n] = '\0';
		d->made = n;
		e.path = deliver_rel(d, path);
		if (*e.path != '\0' && tarstream_add(d->ts, &e, -1) == -1)
			return (-1);
		if (tarstream_fill(d->ts, MONO_NEVER) == -1)
			return (-1);
	}
	return (0);
}

/* -1: not with this root; it is sent in a PUT of its own, at the end. */
static int
deliver_link(const struct deliver *d, struct item *it, const char *target)
{
	char *root = items_link_root(it->to, target, d->root);

	if (root == NULL)
		return (0);
	if (it->moved)
		it->torn = true; /* its text has changed since */
	else {
		free(it->root);
		it->root = root;
		root = NULL;
		it->moved = true;
	}
	free(root);
	return (-1);
}

/* Fill in what is at it->from now.  -1: it cannot be sent. */
static int
deliver_open(struct task *j, struct item *it, struct tarstream_entry *e,
    char *target, size_t size, int *fd)
{
	struct deliver *d = &j->put;
	int rootfd = j->s->rootfd;

	d->scanned_ns = wall_now_ns();
	*fd = it->dir ? -1 : tree_open_file(rootfd, it->from, &d->st);
	if (*fd != -1) {
		e->type = TARSTREAM_REG;
		e->size = d->st.size;
		return (0);
	}
	if (!it->dir && errno != ENXIO && errno != ENOENT && errno != ELOOP) {
		it->error = errno;
		return (-1);
	}
	if (tree_stat_at(rootfd, it->from, &d->st) == -1) {
		it->error = errno;
		return (-1);
	}
	if (it->dir && d->st.type == TREE_DIR) {
		e->type = TARSTREAM_DIR;
		return (0);
	}
	if (!it->dir && d->st.type == TREE_LINK &&
	    tree_readlink(rootfd, it->from, target, size) != -1) {
		e->type = TARSTREAM_SYMLINK;
		e->target = target;
		return (deliver_link(d, it, target));
	}
	it->torn = true; /* not what it was: there is more to come */
	return (-1);
}

/* Begin the next item; one that cannot be sent is passed over. */
static int
deliver_add(struct task *j, struct item *it)
{
	struct deliver *d = &j->put;
	struct tarstream_entry e = { .path = deliver_rel(d, it->to),
		.uid = it->owner.uid,
		.gid = it->owner.gid };
	char target[TREE_PATH_MAX];
	int fd;

	it->torn = false;
	it->error = 0;
	if (deliver_open(j, it, &e, target, sizeof(target), &fd) == -1)
		return (0);
	e.mode = it->chmod && d->st.type != TREE_LINK ? it->mode :
	    it->dir                                   ? d->st.mode :
							items_mode(d->st.mode);
	e.mtime_ns = d->st.mtime_ns;
	if (tarstream_add(d->ts, &e, fd) == -1) {
		it->error = errno;
		return (errno == EINVAL || errno == ENAMETOOLONG ? 0 : -1);
	}
	d->cur = it;
	d->any = true;
	return (0);
}

/* The bytes of d->cur are all in the stream. */
static void
deliver_added(struct task *j)
{
	struct deliver *d = &j->put;
	const struct tarstream_result *r = tarstream_result(d->ts);
	struct item *it = d->cur;

	manifest_from_stat(&it->got, &d->st, d->scanned_ns);
	if (!it->dir)
		memcpy(it->got.sha256, r->sha256, HASH_LEN);
	it->torn = r->torn != 0;
	d->cur = NULL;
}

/* Fill the stream's buffer: 1 all is in it, 0 there is more, -1 errno. */
static int
deliver_fill(struct task *j, mono_t deadline)
{
	struct deliver *d = &j->put;
	int r;

	for (;;) {
		if (d->cur != NULL) {
			if ((r = tarstream_fill(d->ts, deadline)) == -1)
				return (-1);
			if (r == TARSTREAM_MORE)
				return (0);
			deliver_added(j);
		}
		if (d->next == d->end)
			return (tarstream_finish(d->ts) == -1 ? -1 : 1);
		if (!tarstream_wants(d->ts) || mono_now().ns >= deadline.ns)
			return (0);
		if (deliver_add(j, &j->fx.items.v[d->next++]) == -1)
			return (-1);
	}
}

/* One PUT of items at..end is answered well. */
static void
deliver_done(struct task *j)
{
	struct deliver *d = &j->put;

	for (; d->at < d->end; d->at++) {
		struct item *it = &j->fx.items.v[d->at];

		if (it->torn || it->error != 0 || (it->moved && !d->second))
			continue;
		it->sent = true;
		j->done.files += !it->dir;
		if (it->got.type == TREE_REG)
			j->done.bytes += (uint64_t)it->got.size;
	}
	d->tries = 0;
	free(d->root);
	d->root = NULL;
	deliver_go(j);
}

/* Unpack from a directory further up: which one is there? */
static void
deliver_on_head(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;
	struct deliver *d = &j->put;

	if (a->err == 0 && a->status == 404 && strcmp(d->root, "/") != 0) {
		deliver_up(j);
		return;
	}
	if (!eng_is_ok(a)) {
		task_end_answer(j, "looking for the destination", a);
		return;
	}
	if (!facts_stat_isdir(a->body, a->len))
		task_end_why(j, RESULT_CLIMB,
		    "%.200s in the container is not a directory", d->root);
	else
		deliver_put(j);
}

static void
deliver_up(struct task *j)
{
	struct deliver *d = &j->put;
	struct buf b = { 0 };
	char *slash = strrchr(d->root, '/');

	slash[slash == d->root ? 1 : 0] = '\0';
	fields_add_str(&b, F_PATH, d->root);
	task_ask(j, MSG_ENG_HEAD, ENG_NONE, &b, deliver_on_head, NULL);
}

/* Something of another type is in the way: it goes first. */
static void
deliver_conflict(struct task *j, const struct eng_answer *a)
{
	const struct deliver *d = &j->put;
	const struct item *it =
	    items_named(&j->fx.items.v[d->at], d->end - d->at, a->error);
	const struct mount *m;

	if (it == NULL && d->end - d->at == 1)
		it = &j->fx.items.v[d->at];
	if (it == NULL) {
		task_end_why(j, RESULT_CLIMB, "%s", a->error);
		return;
	}
	if ((m = facts_mount_below(&j->s->facts, it->to)) != NULL) {
		task_end_why(j, RESULT_CLIMB,
		    "%.200s is in the way, and "
		    "%.200s is mounted in it",
		    it->to, m->dest);
		return;
	}
	paths_free(&j->conflict);
	paths_add(&j->conflict, it->to);
	erase(j, &j->conflict, deliver_put);
}

static void
deliver_on_put(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;
	struct deliver *d = &j->put;
	bool whole = d->fd == -1;

	deliver_close(j);
	if (eng_is_ok(a) && whole)
		deliver_done(j);
	else if (a->err == 0 && d->tries < DELIVER_TRIES &&
	    strstr(a->error, "annot overwrite") != NULL) {
		d->tries++;
		deliver_conflict(j, a);
	} else if (a->err == 0 && a->status == 404 &&
	    d->tries < DELIVER_TRIES && strcmp(d->root, "/") != 0 &&
	    strstr(a->error, "o such container") == NULL) {
		d->tries++;
		deliver_up(j);
	} else if (strstr(a->error, "annot overwrite") != NULL)
		task_end_why(j, RESULT_CLIMB, "%s", a->error);
	else if (eng_is_ok(a))
		task_end_why(j, RESULT_RETRY,
		    "the engine has not read the archive to its end");
	else
		task_end_answer(j, "copying", a);
}

/* All is written: say so. */
static void
deliver_body_end(struct task *j, uint32_t id)
{
	struct deliver *d = &j->put;

	eng_body_end(j->s->w, id, tarstream_written(d->ts));
	loop_fd_del(j->s->w->loop, d->fd);
	close(d->fd);
	d->fd = -1;
}

/* The pipe takes more. */
static void
deliver_on_pipe(void *arg, uint32_t events)
{
	struct task *j = arg;
	struct deliver *d = &j->put;
	mono_t deadline = mono_add_ms(mono_now(), PUSH_SLICE_MS);
	int full, r;

	do {
		full = deliver_fill(j, deadline);
		r = full == -1 ? -1 : tarstream_pump(d->ts, d->fd);
	} while (
	    r == TARSTREAM_EMPTY && full == 0 && mono_now().ns < deadline.ns);
	if (r == TARSTREAM_EMPTY && full == 1)
		deliver_body_end(j, d->req);
	else if (r == -1) {
		/* the reader has gone, and its answer says why */
		log_debug("%s: writing the archive: %s", j->s->conf->name,
		    strerror(errno));
		loop_fd_del(j->s->w->loop, d->fd);
		if (full == -1) {
			eng_cancel(j->s->w, d->req);
			task_end_why(j, RESULT_FAILED,
			    "writing the archive: "
			    "%s",
			    strerror(errno));
		}
	}
}

static void
deliver_ask(struct task *j)
{
	struct deliver *d = &j->put;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1) {
		task_end_why(j, RESULT_RETRY, "no pipe: %s", strerror(errno));
		return;
	}
	d->fd = fds[1];
	/* fewer turns of three loops for what is large */
	if (d->end - d->at > 1 || tarstream_pending(d->ts) > 65536)
		(void)fcntl(d->fd, F_SETPIPE_SZ, DELIVER_PIPE);
	d->req = task_put(j, d->root, 0, fds[0], deliver_on_put);
	if (d->req != 0 &&
	    loop_fd_set(j->s->w->loop, d->fd, EPOLLOUT, deliver_on_pipe, j) ==
		-1)
		fatal("watching a pipe");
	/* a small file is gone before anything else is looked at */
	if (d->req != 0)
		deliver_on_pipe(j, EPOLLOUT);
}

/* One PUT of the items from at on that share a root. */
static void
deliver_put(struct task *j)
{
	struct deliver *d = &j->put;

	d->next = d->at;
	d->cur = NULL;
	d->any = false;
	d->made = strlen(d->root) == 1 ? 0 : strlen(d->root);
	if ((d->ts = tarstream_new(0)) == NULL || deliver_add_made(j) == -1 ||
	    deliver_fill(j, MONO_NEVER) == -1) {
		task_end_why(j, RESULT_FAILED, "making the archive: %s",
		    strerror(errno));
		return;
	}
	if (!d->any && d->next == d->end) {
		/* all of it has vanished meanwhile */
		deliver_close(j);
		deliver_done(j);
	} else
		deliver_ask(j);
}

static void
deliver_go(struct task *j)
{
	struct deliver *d = &j->put;
	const struct items *l = &j->fx.items;

	if (d->at == l->n && !d->second) {
		d->second = true;
		d->at = items_moved(&j->fx.items);
	}
	if (d->at == l->n) {
		d->then(j);
		return;
	}
	if (j->cancelled) {
		task_end(j, RESULT_CANCELLED);
		return;
	}
	d->end = d->at + 1;
	while (
	    d->end < l->n && strcmp(l->v[d->end].root, l->v[d->at].root) == 0)
		d->end++;
	d->root = xstrdup(l->v[d->at].root);
	deliver_put(j);
}

void
deliver(struct task *j, task_fn fn)
{
	deliver_free(j);
	j->put.at = 0;
	j->put.tries = 0;
	j->put.second = false;
	j->put.then = fn;
	deliver_go(j);
}
