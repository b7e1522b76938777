/*
 * The watch worker: sees changes in the source trees, and tells plan.
 *
 * It reads directories beneath the roots and rule files in them; it has no
 * network, starts nothing and writes nothing.  watch.h says how it works;
 * this file ties trees to the channel and the loop.
 */
#include <sys/inotify.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/common/worker.h"
#include "workers/watch/git.h"
#include "workers/watch/mounts.h"
#include "workers/watch/watch.h"

#define READ_BURST  (1024 * 1024) /* bytes of events in one turn */
#define MOUNTS_MS   20            /* mounts come and go in groups */
#define MOUNTS_COST 20   /* a 20th of the time goes into reading them */
#define GONE_MS     1000 /* readers are replaced so often at most */

struct wait {
	TAILQ_ENTRY(wait) link;
	uint32_t id; /* of the WATCH_SYNC */
	uint64_t token;
};
TAILQ_HEAD(waits, wait);

struct root {
	struct worker *w;
	const struct conf_root *conf;
	int ifd;
	int no_inotify; /* errno, while there is none */
	bool told_scanned;
	bool held;        /* by git */
	uint64_t numbers; /* the last that plan was told of */
	struct loop_timer git_timer;
	char *path; /* without symbolic links */
	char *home; /* see watch_home_new() */
	struct watch_mounts *mounts;
	struct loop_timer gone_timer;
	struct watch_tree *tree;
	struct waits waits;
	struct loop_timer timer;
};

struct state {
	struct watch_limits limits;
	struct watch_git *git;
	int git_ifd;
	int mounts_fd;
	struct loop_timer mounts_timer;
	mono_t mounts_next;
	mono_t begun;
	struct root *roots;
	size_t nroots;
};

static void root_on_timer(void *arg);
static void root_check_git(struct root *r);
static void root_on_events(void *arg, uint32_t events);

static void
root_fields(struct buf *b, const struct root *r)
{
	fields_add_str(b, F_ROOT, r->conf->path);
}

static void
root_event(struct root *r, enum event_kind kind, struct buf *more)
{
	struct buf b = { 0 };

	root_fields(&b, r);
	if (more != NULL)
		buf_add(&b, more->data, more->len);
	worker_event(r->w, kind, NULL, 0, &b);
	buf_free(&b);
}

static void
root_send_tree(struct root *r)
{
	struct msg_tree m = { .tree = r->conf->tree, .changes = r->numbers };

	if (r->held)
		m.flags |= TREE_HELD;
	if (r->tree->gone)
		m.flags |= TREE_ROOT_GONE;
	else if (r->tree->scanned)
		m.flags |= TREE_SCANNED;
	channel_send(r->w->ch, MSG_TREE, 0, 0, &m, NULL, 0, -1);
}

static void
root_tell_tree(struct root *r)
{
	struct watch_sub *s;

	r->numbers = r->tree->changes;
	/* plan may wait for the number that it reads here */
	TAILQ_FOREACH (s, &r->tree->subs, link)
		if (s->told < r->numbers)
			s->told = r->numbers;
	root_send_tree(r);
}

static void
root_on_git_timer(void *arg)
{
	root_check_git(arg);
}

/* Tell plan when git begins to work on the tree, and when it is done. */
static void
root_check_git(struct root *r)
{
	struct state *st = r->w->state;
	mono_t next;
	bool held;

	held = watch_git_held(st->git, r->conf->tree, &next);
	if (next.ns == MONO_NEVER.ns)
		loop_timer_cancel(&r->git_timer);
	else
		loop_timer_set(r->w->loop, &r->git_timer, next,
		    root_on_git_timer, r);
	if (held == r->held)
		return;
	r->held = held;
	/* nobody acts before the first scan is told */
	if (r->told_scanned && !r->tree->gone)
		root_send_tree(r);
}

/* A lock is seen before what was changed under it. */
static void
watch_read_git(struct worker *w)
{
	struct state *st = w->state;

	if (!watch_git_read(st->git))
		return;
	for (size_t i = 0; i < st->nroots; i++)
		root_check_git(&st->roots[i]);
}

static void
watch_on_git(void *arg, uint32_t events)
{
	watch_read_git(arg);
}

static void
root_on_git(void *arg, const char *path)
{
	struct root *r = arg;
	struct state *st = r->w->state;

	watch_git_below(st->git, r->conf->tree, r->conf->fd, path);
	root_check_git(r);
}

static void
root_on_warning(void *arg, const char *path, int err, const char *text)
{
	struct root *r = arg;
	struct buf b = { 0 };
	char *line;

	line =
	    err != 0 ? xasprintf("%s: %s", text, strerror(err)) : xstrdup(text);
	log_warnx("%s/%s: %s", r->conf->path, path, line);
	fields_add_str(&b, F_PATH, path);
	fields_add_str(&b, F_TEXT, line);
	root_event(r, EVENT_WATCH_WARNING, &b);
	buf_free(&b);
	free(line);
}

static void
root_on_scanned(void *arg, uint64_t entries, uint64_t us)
{
	struct root *r = arg;
	struct buf b = { 0 };

	log_debug("%s: %llu entries read in %llu us", r->conf->path,
	    (unsigned long long)entries, (unsigned long long)us);
	fields_add_u64(&b, F_FILES, entries);
	fields_add_u64(&b, F_US, us);
	root_event(r, EVENT_WATCH_SCANNED, &b);
	buf_free(&b);
}

static void
root_on_overflow(void *arg)
{
	struct root *r = arg;

	log_warnx("%s: events were lost (sysctl "
		  "fs.inotify.max_queued_events); comparing the tree",
	    r->conf->path);
	root_event(r, EVENT_WATCH_OVERFLOW, NULL);
}

static void
root_send_gone(void *arg)
{
	struct root *r = arg;
	struct msg_num m = { .n = r->conf->tree };

	channel_send(r->w->ch, MSG_ROOT_GONE, 0, 0, &m, NULL, 0, -1);
}

static void
root_on_gone(void *arg)
{
	struct root *r = arg;
	struct state *st = r->w->state;
	mono_t when = mono_add_ms(st->begun, GONE_MS);

	log_warnx("%s: the directory is gone", r->conf->path);
	if (r->ifd != -1) {
		loop_fd_del(r->w->loop, r->ifd);
		close(r->ifd);
		r->ifd = r->tree->ifd = -1;
	}
	root_event(r, EVENT_WATCH_ROOT_GONE, NULL);
	root_tell_tree(r);
	/* each time the readers are replaced: one that flaps has to wait */
	if (mono_now().ns >= when.ns)
		root_send_gone(r);
	else
		loop_timer_set(r->w->loop, &r->gone_timer, when, root_send_gone,
		    r);
}

/* An instance has come free, or the limit was raised. */
static int
root_on_inotify(void *arg)
{
	struct root *r = arg;
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd == -1)
		return (-1);
	if (loop_fd_set(r->w->loop, fd, EPOLLIN, root_on_events, r) == -1) {
		close(fd);
		return (-1);
	}
	r->ifd = fd;
	return (fd);
}

static const struct watch_ops tree_ops = {
	.warning = root_on_warning,
	.scanned = root_on_scanned,
	.overflow = root_on_overflow,
	.gone = root_on_gone,
	.git = root_on_git,
	.inotify = root_on_inotify,
};

static void
root_send_batch(struct root *r, struct watch_sub *s, struct watch_batch *b)
{
	struct msg_batch m = { .tree = r->conf->tree,
		.batch = b->id,
		.upto = b->upto,
		.seen_ns = b->seen_ns,
		.flags = b->scan ? BATCH_SCAN : 0 };
	struct buf tail = { 0 };

	for (size_t i = 0; i < b->n; i++)
		fields_add_str(&tail,
		    watch_dirty_is_tree(b->v[i]) ? F_SUBTREE : F_PATH,
		    b->v[i]->path);
	rpc_answer(r->w->ch, s->take, MSG_WATCH_BATCH, 0, &m, &tail, -1);
	s->take = 0;
	buf_free(&tail);
}

static void
root_answer_takes(struct root *r)
{
	struct watch_batch *b;
	struct watch_sub *s;

	watch_read_git(r->w);
	TAILQ_FOREACH (s, &r->tree->subs, link)
		if (s->take != 0 && !r->tree->gone &&
		    (b = watch_sub_next(s)) != NULL)
			root_send_batch(r, s, b);
}

static void
root_answer_syncs(struct root *r)
{
	struct msg_watch_sync m = { 0 };
	struct wait *q;

	while ((q = TAILQ_FIRST(&r->waits)) != NULL &&
	    watch_tree_synced(r->tree, q->token, &m.upto)) {
		m.flags = r->tree->gone ? TREE_ROOT_GONE : TREE_SCANNED;
		rpc_answer(r->w->ch, q->id, MSG_WATCH_SYNC_OK, 0, &m, NULL, -1);
		TAILQ_REMOVE(&r->waits, q, link);
		free(q);
	}
}

/* One turn: work, answer, and say when the next turn is wanted. */
static void
root_turn(struct root *r)
{
	mono_t next;

	watch_tree_step(r->tree);
	if (r->tree->scanned && !r->told_scanned && !r->tree->gone) {
		r->told_scanned = true;
		root_tell_tree(r);
	}
	root_answer_syncs(r);
	root_answer_takes(r);
	next = watch_tree_next(r->tree);
	if (next.ns == MONO_NEVER.ns)
		loop_timer_cancel(&r->timer);
	else
		loop_timer_set(r->w->loop, &r->timer, next, root_on_timer, r);
}

static void
root_on_timer(void *arg)
{
	root_turn(arg);
}

static void
root_on_events(void *arg, uint32_t events)
{
	struct root *r = arg;

	watch_tree_read(r->tree, READ_BURST);
	root_turn(r);
}

static void
root_on_mount(void *arg, const char *path)
{
	struct root *r = arg;

	log_debug("%s: mounts have changed", r->conf->path);
	watch_tree_mounted(r->tree, path);
}

/* Which mounts there are now; what came or went is compared. */
static void
watch_read_mounts(struct worker *w)
{
	struct state *st = w->state;
	mono_t begun = mono_now();
	struct watch_mounts *now;
	size_t len;
	char *text = watch_mounts_read(st->mounts_fd, &len);

	loop_timer_cancel(&st->mounts_timer);
	if (text == NULL) {
		log_warn("mountinfo");
		return;
	}
	for (size_t i = 0; i < st->nroots; i++) {
		struct root *r = &st->roots[i];

		if (r->path == NULL)
			continue;
		now = watch_mounts_parse(text, len, r->path);
		if (r->mounts != NULL)
			watch_mounts_diff(r->mounts, now, root_on_mount, r);
		watch_mounts_free(r->mounts);
		r->mounts = now;
		if (r->tree != NULL && !r->tree->gone)
			loop_timer_in_ms(w->loop, &r->timer, 0, root_on_timer,
			    r);
	}
	free(text);
	st->mounts_next = mono_add_ms(mono_now(),
	    MOUNTS_MS + mono_diff_ms(mono_now(), begun) * MOUNTS_COST);
}

static void
watch_on_mounts_timer(void *arg)
{
	watch_read_mounts(arg);
}

static void
watch_on_mounts(void *arg, uint32_t events)
{
	struct worker *w = arg;
	struct state *st = w->state;
	mono_t when = mono_add_ms(mono_now(), MOUNTS_MS);

	if (loop_timer_is_set(&st->mounts_timer))
		return;
	if (when.ns < st->mounts_next.ns)
		when = st->mounts_next;
	loop_timer_set(w->loop, &st->mounts_timer, when, watch_on_mounts_timer,
	    w);
}

/* A barrier: what was mounted before is compared before it is answered. */
static void
watch_sync_mounts(struct worker *w)
{
	struct state *st = w->state;
	struct pollfd p = { .fd = st->mounts_fd, .events = POLLPRI };

	if (st->mounts_fd != -1 &&
	    ((poll(&p, 1, 0) == 1 && (p.revents & POLLPRI)) ||
		loop_timer_is_set(&st->mounts_timer)))
		watch_read_mounts(w);
}

static struct root *
root_by_tree(struct worker *w, uint64_t tree)
{
	struct state *st = w->state;

	for (size_t i = 0; i < st->nroots; i++)
		if (st->roots[i].conf->tree == tree)
			return (&st->roots[i]);
	return (NULL);
}

static void
watch_on_take(struct worker *w, struct frame *f)
{
	const struct msg_take *m = frame_fixed(f);
	struct root *r = root_by_tree(w, m->tree);
	struct watch_sub *s;

	s = r != NULL ? watch_tree_sub(r->tree, m->service) : NULL;
	if (s == NULL) {
		rpc_answer_err(w->ch, f->head.id, ERR_NOT_FOUND, 0,
		    "no such subscription");
		return;
	}
	if (watch_sub_take(s, m->acked, m->taken) == -1) {
		rpc_answer_err(w->ch, f->head.id, ERR_INVALID, 0,
		    "taken before acked");
		return;
	}
	/* one stands at a time: the consumer's last word counts */
	if (s->take != 0)
		rpc_answer_err(w->ch, s->take, ERR_CANCELLED, 0,
		    "another TAKE has come");
	s->take = f->head.id;
	/* what is read later was no part of what the consumer has seen */
	watch_tree_read(r->tree, READ_BURST);
	root_turn(r);
}

static void
watch_on_sync(struct worker *w, struct frame *f)
{
	const struct msg_num *m = frame_fixed(f);
	struct root *r = root_by_tree(w, m->n);
	struct wait *q;

	if (r == NULL) {
		rpc_answer_err(w->ch, f->head.id, ERR_NOT_FOUND, 0,
		    "no such tree");
		return;
	}
	watch_sync_mounts(w);
	q = xcalloc(1, sizeof(*q));
	q->id = f->head.id;
	q->token = watch_tree_sync(r->tree);
	TAILQ_INSERT_TAIL(&r->waits, q, link);
	root_turn(r);
}

static void
watch_on_cancel(struct worker *w, struct frame *f)
{
	struct state *st = w->state;
	struct watch_sub *s;
	struct wait *q, *next;

	for (size_t i = 0; i < st->nroots; i++) {
		TAILQ_FOREACH (s, &st->roots[i].tree->subs, link)
			if (s->take == f->head.id)
				s->take = 0;
		for (q = TAILQ_FIRST(&st->roots[i].waits); q != NULL;
		     q = next) {
			next = TAILQ_NEXT(q, link);
			if (q->id != f->head.id)
				continue;
			TAILQ_REMOVE(&st->roots[i].waits, q, link);
			free(q);
		}
	}
}

static void
watch_on_status(struct worker *w, struct frame *f)
{
	struct msg_status m = { .kind = STATUS_TREE };
	struct state *st = w->state;

	for (size_t i = 0; i < st->nroots; i++) {
		const struct root *r = &st->roots[i];
		struct buf b = { 0 };
		char *why;

		root_fields(&b, r);
		fields_add_str(&b, F_BACKEND, watch_tree_backend(r->tree));
		fields_add_u64(&b, F_SEEN, r->tree->changes);
		fields_add_u64(&b, F_UNREADABLE, r->tree->nunreadable);
		fields_add_u64(&b, F_POLLED, r->tree->npolled);
		if ((why = watch_tree_why(r->tree)) != NULL)
			fields_add_str(&b, F_WHY, why);
		free(why);
		rpc_answer(w->ch, f->head.id, MSG_STATUS_ITEM, F_MORE, &m, &b,
		    -1);
		buf_free(&b);
	}
	rpc_answer_ok(w->ch, f->head.id, 0);
}

/* A plan that has just started knows of no tree. */
static void
watch_on_peer(struct worker *w, struct frame *f)
{
	const struct msg_peer *m = frame_fixed(f);
	struct state *st = w->state;

	if (m->role != PROC_PLAN || m->state != PEER_READY)
		return;
	for (size_t i = 0; i < st->nroots; i++)
		if (st->roots[i].told_scanned || st->roots[i].tree->gone)
			root_tell_tree(&st->roots[i]);
}

/* Where the directory stands. */
static char *
root_real_path(const struct conf_root *conf)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", conf->fd);
	n = readlink(link, path, sizeof(path));
	if (n <= 0 || n == sizeof(path) || *path != '/')
		return (xstrdup(conf->path));
	return (xstrndup(path, (size_t)n));
}

/* With start-up rights: inotify instances, and what only /proc tells. */
static int
watch_setup(struct worker *w)
{
	struct state *st = xcalloc(1, sizeof(*st));
	struct root *r;

	w->state = st;
	watch_limits_open(&st->limits);
	st->git_ifd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	st->git = watch_git_new(st->git_ifd);
	st->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (st->mounts_fd == -1)
		log_warn("/proc/self/mountinfo: mounts below the sources will "
			 "not be noticed");
	st->begun = mono_now();
	st->nroots = w->conf.nroots;
	st->roots = xcalloc(st->nroots + 1, sizeof(*st->roots));
	for (size_t i = 0; i < st->nroots; i++) {
		r = &st->roots[i];
		r->w = w;
		r->conf = w->conf.roots[i];
		r->ifd = -1;
		TAILQ_INIT(&r->waits);
		if (r->conf->fd == -1)
			continue;
		r->ifd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		if (r->ifd == -1)
			r->no_inotify = errno;
		r->path = root_real_path(r->conf);
		r->home = watch_home_new(r->conf->fd, r->path);
		watch_git_above(st->git, r->conf->tree, r->path);
	}
	return (0);
}

static void
root_start(struct root *r, struct watch_limits *limits)
{
	const struct conf *c = &r->w->conf;

	r->tree = watch_tree_new(r->conf->fd, r->ifd, &tree_ops, r);
	r->tree->no_inotify = r->no_inotify;
	watch_tree_limits(r->tree, limits);
	r->tree->home = r->home;
	for (size_t i = 0; i < c->nservices; i++)
		if (c->services[i]->tree == r->conf->tree)
			watch_tree_subscribe(r->tree, c->services[i]->service,
			    c->services[i]->dockerfile);
	watch_tree_start(r->tree);
	if (r->tree->gone)
		root_tell_tree(r);
}

static int
watch_start(struct worker *w)
{
	struct state *st = w->state;
	struct root *r;

	if (st->git_ifd != -1 &&
	    loop_fd_set(w->loop, st->git_ifd, EPOLLIN, watch_on_git, w) == -1) {
		log_warn("inotify");
		return (-1);
	}
	if (st->mounts_fd != -1) {
		watch_read_mounts(w);
		if (loop_fd_set(w->loop, st->mounts_fd, EPOLLPRI,
			watch_on_mounts, w) == -1)
			log_warn("mountinfo");
	}
	for (size_t i = 0; i < st->nroots; i++) {
		r = &st->roots[i];
		root_start(r, &st->limits);
		if (r->ifd != -1 &&
		    loop_fd_set(w->loop, r->ifd, EPOLLIN, root_on_events, r) ==
			-1) {
			log_warn("inotify");
			return (-1);
		}
		/* READY first: the scan follows */
		loop_timer_in_ms(w->loop, &r->timer, 0, root_on_timer, r);
	}
	return (0);
}

static bool
watch_has(const struct worker *w, const struct root *r, uint32_t service)
{
	const struct conf_service *s = conf_service(&w->conf, service);

	return (s != NULL && s->tree == r->conf->tree);
}

static void
root_drop_subs(struct root *r)
{
	struct watch_sub *s, *next;

	for (s = TAILQ_FIRST(&r->tree->subs); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (watch_has(r->w, r, s->service))
			continue;
		if (s->take != 0)
			rpc_answer_err(r->w->ch, s->take, ERR_CANCELLED, 0,
			    "the service is gone");
		watch_tree_leave(r->tree, s);
	}
}

/* The roots stay as they are: with others there is another watch. */
static void
watch_reconf(struct worker *w)
{
	struct state *st = w->state;
	struct conf_service *s;
	struct root *r;

	for (size_t i = 0; i < st->nroots; i++) {
		r = &st->roots[i];
		root_drop_subs(r);
		for (size_t j = 0; j < w->conf.nservices; j++) {
			s = w->conf.services[j];
			if (s->tree == r->conf->tree &&
			    watch_tree_sub(r->tree, s->service) == NULL)
				watch_tree_join(r->tree, s->service,
				    s->dockerfile);
		}
		loop_timer_in_ms(w->loop, &r->timer, 0, root_on_timer, r);
	}
}

static const struct worker_handler handlers[] = {
	{ MSG_TAKE, watch_on_take },
	{ MSG_WATCH_SYNC, watch_on_sync },
	{ MSG_CANCEL, watch_on_cancel },
	{ MSG_PEER, watch_on_peer },
	{ MSG_STATUS_WATCH, watch_on_status },
	{ MSG_NONE, NULL },
};

static const struct worker_ops ops = {
	.role = PROC_WATCH,
	.setup = watch_setup,
	.start = watch_start,
	.reconf = watch_reconf,
	.handlers = handlers,
};

int
main(int argc, char **argv)
{
	return (worker_main(argc, argv, &ops));
}
