/*
 * The watched directory as an inode.  Landlock and descriptors bind to
 * inodes: when another directory stands at the path, the readers are replaced
 * by a planned generation that gets the new one.  Supervisor.
 */
#include <fcntl.h>
#include <unistd.h>

#include "sup.h"

#define ROOT_POLL_MS 100

int
root_open(struct sup *s, const char *path)
{
	struct root *r = &s->root;
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return (-1);
	if (fstat(fd, &st) == -1) {
		close(fd);
		return (-1);
	}
	if (r->fd != -1)
		close(r->fd);
	if (r->path == NULL)
		r->path = xstrdup(path);
	r->fd = fd;
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	return (0);
}

static void
root_replace_readers(struct sup *s)
{
	for (size_t i = 0; i < s->nchildren; i++) {
		struct child *c = &s->children[i];

		if (c->role == PROC_WATCH || c->role == PROC_IMAGE ||
		    c->role == PROC_PUSH)
			child_event(c, POLICY_EV_REPLACE, 0);
	}
}

static void
root_on_poll(void *arg)
{
	struct sup *s = arg;
	struct root *r = &s->root;
	struct buf tail = { 0 };

	if (s->phase != SUP_RUNS)
		return;
	if (root_open(s, r->path) == -1) {
		loop_timer_in_ms(s->loop, &r->poll, ROOT_POLL_MS, root_on_poll,
		    s);
		return;
	}
	log_info("%s is there again", r->path);
	fields_add_str(&tail, F_ROOT, r->path);
	serve_event(s, EVENT_WATCH_ROOT_BACK, &tail);
	buf_free(&tail);
	root_replace_readers(s);
}

void
root_gone(struct sup *s)
{
	struct root *r = &s->root;

	if (loop_timer_is_set(&r->poll))
		return;
	log_warnx("%s is gone: waiting for it to come back", r->path);
	/* who starts now must not take what is left of it for the root */
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
	loop_timer_in_ms(s->loop, &r->poll, 0, root_on_poll, s);
}

void
root_check(struct sup *s)
{
	const struct root *r = &s->root;
	struct stat st;

	if (r->fd == -1 || r->ino == 0)
		return; /* gone already; or a probe's, which is no path's */
	if (stat(r->path, &st) == 0 && st.st_dev == r->dev &&
	    st.st_ino == r->ino)
		return;
	root_gone(s);
}
