/*
 * The control socket.  The supervisor binds it; control accepts on it.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sup.h"

#define SOCKET_BACKLOG 128

/* Somebody listens there already. */
static bool
socket_is_alive(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd == -1)
		return (false);
	alive = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ||
	    errno == EAGAIN;
	close(fd);
	return (alive);
}

static int
socket_bind(struct sockaddr_un *sun, const char *tmp)
{
	struct sockaddr_un at = *sun;
	mode_t old;
	int fd, r;

	if (strlcpy(at.sun_path, tmp, sizeof(at.sun_path)) >=
	    sizeof(at.sun_path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return (-1);
	unlink(tmp);
	old = umask(0117); /* 0660 from its first moment on */
	r = bind(fd, (struct sockaddr *)&at, sizeof(at));
	umask(old);
	/* the name appears when somebody answers behind it */
	if (r == -1 || listen(fd, SOCKET_BACKLOG) == -1 ||
	    rename(tmp, sun->sun_path) == -1) {
		r = errno;
		unlink(tmp);
		close(fd);
		errno = r;
		return (-1);
	}
	return (fd);
}

/*
 * Anybody may make the default directory of a user who has no runtime
 * directory, and would own what is put there.  -1 after saying so.
 */
static int
socket_check_dir(const char *dir)
{
	struct stat st;

	if (stat(dir, &st) == -1) {
		log_warn("%s", dir);
		return (-1);
	}
	if (geteuid() == 0 || st.st_uid == geteuid() || st.st_uid == 0)
		return (0);
	log_warnx("%s belongs to another user (uid %u): choose another socket "
		  "with -s",
	    dir, st.st_uid);
	return (-1);
}

/* A listening socket at path (0660, directory made 0750), or -1, logged. */
int
socket_listen(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char *copy = xstrdup(path), *dir = dirname(copy), *tmp = NULL;
	struct stat st;
	int fd = -1;

	if (mkdir(dir, 0750) == -1 && errno != EEXIST) {
		log_warn("%s: cannot make its directory", path);
		goto out;
	}
	if (socket_check_dir(dir) == -1)
		goto out;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		log_warnx("%s: too long for a socket's path", path);
		goto out;
	}
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
		log_warnx("%s: there is something that is no socket", path);
		goto out;
	}
	if (socket_is_alive(&sun)) {
		log_warnx("another wharfd answers at %s; choose another "
			  "socket with -s",
		    path);
		goto out;
	}
	tmp = xasprintf("%s.%d", path, getpid());
	if ((fd = socket_bind(&sun, tmp)) == -1)
		log_warn("%s", path);
out:
	free(tmp);
	free(copy);
	return (fd);
}

void
socket_close(struct sup *s)
{
	if (s->listener == -1)
		return;
	unlink(s->opt->socket);
	close(s->listener);
	s->listener = -1;
}
