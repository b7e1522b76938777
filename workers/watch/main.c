/*
 * The watch worker: sees changes in the source trees, and tells plan.
 *
 * It reads directories beneath the roots and rule files in them; it has no
 * network, starts nothing and writes nothing.  watch.h says how it works;
 * this file starts it and takes what others ask.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/watch/root.h"

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
	watch_read(w);
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
	watch_read(w);
	root_turn(r);
}

/* Until it is answered it counts as open. */
static void
watch_cancelled(struct worker *w, uint32_t *id)
{
	rpc_answer_err(w->ch, *id, ERR_CANCELLED, 0, "cancelled");
	*id = 0;
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
				watch_cancelled(w, &s->take);
		for (q = TAILQ_FIRST(&st->roots[i].waits); q != NULL;
		     q = next) {
			next = TAILQ_NEXT(q, link);
			if (q->id != f->head.id)
				continue;
			watch_cancelled(w, &q->id);
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

/* With start-up rights: the inotify instance, and what only /proc tells. */
static int
watch_setup(struct worker *w)
{
	struct state *st = xcalloc(1, sizeof(*st));
	struct root *r;

	w->state = st;
	st->in = watch_inotify_new();
	watch_inotify_open(st->in);
	st->git = watch_git_new(st->in);
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
		TAILQ_INIT(&r->waits);
		if (r->conf->fd == -1)
			continue;
		r->path = root_real_path(r->conf);
		r->home = watch_home_new(r->conf->fd, r->path);
		watch_git_above(st->git, r->conf->tree, r->path);
	}
	return (0);
}

static void
root_start(struct root *r)
{
	const struct conf *c = &r->w->conf;
	struct state *st = r->w->state;

	r->tree = watch_tree_new(r->conf->fd, st->in, &root_ops, r);
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

	if (st->in->fd != -1 && watch_open_inotify(w) == -1) {
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
		root_start(&st->roots[i]);
		/* READY first: the scan follows */
		root_soon(&st->roots[i]);
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
		root_soon(r);
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
