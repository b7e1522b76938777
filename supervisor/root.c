/*
 * The watched directories as inodes.  Landlock and descriptors bind to
 * inodes: when another directory stands at a path, or the set of roots is
 * another one, the readers are replaced by a planned generation that gets
 * them.  Supervisor.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sup.h"

#define ROOT_POLL_MS     100
#define ROOT_POLL_MAX_MS 2000
#define ROOT_FLAP_MS     1000 /* one that comes and goes is not run after */

static int
root_open(struct root *r)
{
	struct stat st;
	int fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return (-1);
	if (fstat(fd, &st) == -1) {
		close(fd);
		return (-1);
	}
	r->fd = fd;
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	r->tries = 0;
	r->back_at = mono_now();
	return (0);
}

bool
root_is_reader(const struct child *c)
{
	return (c->role == PROC_WATCH || c->role == PROC_IMAGE ||
	    c->role == PROC_PUSH);
}

void
root_replace_readers(struct sup *s)
{
	struct child *c;

	CHILD_FOREACH (c, s)
		if (root_is_reader(c))
			route_replace(c);
}

static void
root_on_poll(void *arg)
{
	struct root *r = arg;
	struct sup *s = r->sup;
	struct buf tail = { 0 };
	int64_t ms;

	if (s->phase != SUP_RUNS)
		return;
	if (root_open(r) == -1) {
		ms = ROOT_POLL_MS * (1 + r->tries++ / 10);
		loop_timer_in_ms(s->loop, &r->poll,
		    ms < ROOT_POLL_MAX_MS ? ms : ROOT_POLL_MAX_MS, root_on_poll,
		    r);
		return;
	}
	log_info("%s is there again", r->path);
	fields_add_str(&tail, F_ROOT, r->path);
	serve_event(s, EVENT_WATCH_ROOT_BACK, &tail);
	buf_free(&tail);
	root_replace_readers(s);
}

static void
root_wait(struct root *r)
{
	int64_t since = mono_diff_ms(mono_now(), r->back_at);

	if (loop_timer_is_set(&r->poll))
		return;
	log_warnx("%s is gone: waiting for it to come back", r->path);
	/* who starts now must not take what is left of it for the root */
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
	loop_timer_in_ms(r->sup->loop, &r->poll,
	    since < ROOT_FLAP_MS ? ROOT_FLAP_MS - since : 0, root_on_poll, r);
}

void
root_gone(struct sup *s, uint32_t tree)
{
	struct root *r;

	TAILQ_FOREACH (r, &s->roots, link)
		if (r->tree == tree)
			root_wait(r);
}

void
root_check_all(struct sup *s)
{
	struct root *r;
	struct stat st;

	TAILQ_FOREACH (r, &s->roots, link) {
		if (r->fd == -1 || r->ino == 0)
			continue; /* gone already; or a probe's: no path's */
		if (stat(r->path, &st) == -1 || st.st_dev != r->dev ||
		    st.st_ino != r->ino)
			root_wait(r);
	}
}

struct root *
root_get(struct sup *s, const char *path)
{
	struct root *r;

	TAILQ_FOREACH (r, &s->roots, link)
		if (strcmp(r->path, path) == 0)
			return (r);
	r = xcalloc(1, sizeof(*r));
	r->sup = s;
	r->tree = ++s->last_tree;
	r->path = xstrdup(path);
	r->fd = -1;
	TAILQ_INSERT_TAIL(&s->roots, r, link);
	if (root_open(r) == 0)
		return (r);
	log_warn("%s: waiting for it to come", path);
	loop_timer_in_ms(s->loop, &r->poll, ROOT_POLL_MS, root_on_poll, r);
	return (r);
}

void
root_free(struct root *r)
{
	loop_timer_cancel(&r->poll);
	TAILQ_REMOVE(&r->sup->roots, r, link);
	if (r->fd != -1)
		close(r->fd);
	free(r->path);
	free(r);
}
