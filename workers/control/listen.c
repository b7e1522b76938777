/*
 * The listening socket and who is let in.  Process: control.
 *
 * The limits keep one user from shutting out the others.  Whoever is at a
 * limit displaces the oldest connection of the same kind that has not said
 * anything valid: a flood of silent connections does not keep out those who
 * speak.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "workers/control/control.h"
#include "workers/control/verb.h"

#define ACCEPT_BURST 64

static void listen_on_fd(void *arg, uint32_t events);

/* The oldest client without a valid frame: of this uid, or below admin. */
static struct client *
listen_find_silent(struct control *ct, bool any_uid, uid_t uid, bool admins)
{
	struct client *found = NULL;

	for (struct client *c = ct->clients; c != NULL; c = c->next)
		if (c->frames == 0 && !c->dropped &&
		    (any_uid ? admins || !c->admin : c->uid == uid))
			found = c; /* newest first, so the last is the oldest */
	return (found);
}

static size_t
listen_count_uid(const struct control *ct, uid_t uid)
{
	size_t n = 0;

	for (const struct client *c = ct->clients; c != NULL; c = c->next)
		n += c->uid == uid;
	return (n);
}

/* Make room for one more of this uid: false when there is none. */
static bool
listen_admit(struct control *ct, uid_t uid, bool admin)
{
	size_t uid_max = admin ? CLIENTS_PER_ADMIN : CLIENTS_PER_UID;
	size_t max = admin ? CLIENTS_MAX : CLIENTS_MAX - CLIENTS_RESERVED;
	struct client *old;

	if (listen_count_uid(ct, uid) >= uid_max) {
		old = listen_find_silent(ct, false, uid, false);
		if (old == NULL)
			return (false);
		client_free(old);
	}
	if (ct->nclients >= max) {
		old = listen_find_silent(ct, true, uid, false);
		if (old == NULL && admin)
			old = listen_find_silent(ct, true, uid, true);
		if (old == NULL)
			return (false);
		client_free(old);
	}
	return (true);
}

/* Say why before the door is shut; id 0 is no request's. */
static void
listen_refuse(struct control *ct, int fd)
{
	static const struct channel_ops nothing;
	struct channel *ch;

	ch = channel_new(ct->w->loop, fd, PROC_CONTROL, PROC_CLIENT, &nothing,
	    NULL);
	rpc_answer_err(ch, 0, ERR_BUSY, 0, "too many connections");
	channel_free(ch);
}

static void
listen_take(struct control *ct, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	bool admin;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1 ||
	    len != sizeof(cred)) {
		log_warn("cannot tell who connects");
		close(fd);
		return;
	}
	admin = verb_is_admin(cred.uid, ct->w->owner);
	if (!listen_admit(ct, cred.uid, admin)) {
		log_debug("too many connections of uid %u", cred.uid);
		listen_refuse(ct, fd);
		return;
	}
	client_new(ct, fd, cred.uid);
}

static void
listen_on_again(void *arg)
{
	struct control *ct = arg;

	if (loop_fd_set(ct->w->loop, ct->w->conf.listener, EPOLLIN,
		listen_on_fd, ct) == -1)
		log_warn("epoll");
}

/* The listener stays readable, so looking at it at once would spin. */
static void
listen_pause(struct control *ct)
{
	log_warn("accept; trying again in %d ms", ACCEPT_PAUSE_MS);
	loop_fd_del(ct->w->loop, ct->w->conf.listener);
	loop_timer_in_ms(ct->w->loop, &ct->accept_again, ACCEPT_PAUSE_MS,
	    listen_on_again, ct);
}

static void
listen_on_fd(void *arg, uint32_t events)
{
	struct control *ct = arg;
	int fd;

	for (int i = 0; i < ACCEPT_BURST; i++) {
		fd = accept4(ct->w->conf.listener, NULL, NULL,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd != -1) {
			listen_take(ct, fd);
			continue;
		}
		if (errno == ECONNABORTED || errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			listen_pause(ct);
		return;
	}
}

int
listen_start(struct control *ct)
{
	if (ct->w->conf.listener == -1) {
		log_warnx("no control socket");
		return (-1);
	}
	if (loop_fd_set(ct->w->loop, ct->w->conf.listener, EPOLLIN,
		listen_on_fd, ct) == -1) {
		log_warn("control socket");
		return (-1);
	}
	return (0);
}

void
listen_stop(struct control *ct)
{
	loop_timer_cancel(&ct->accept_again);
	if (ct->w->conf.listener != -1)
		loop_fd_del(ct->w->loop, ct->w->conf.listener);
}
