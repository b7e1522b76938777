/*
 * What outlives the daemon: the manifest of a container that is kept, in the
 * state directory.  It is taken (and removed) at the start and written at a
 * clean end, so that a file is never older than its container: a daemon that
 * was killed leaves none, and then the container is made anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sup.h"

/* FNV-1a: tells directories with one name apart; no secret, no proof. */
static uint64_t
state_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3;
	return (h);
}

/* Make dir and what is missing above it. */
static int
state_mkdir(char *dir)
{
	for (char *p = dir + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(dir, 0700) == -1 && errno != EEXIST)
			return (-1);
		*p = '/';
	}
	return (mkdir(dir, 0700) == -1 && errno != EEXIST ? -1 : 0);
}

/* The file of this service, in a directory that exists; NULL, logged. */
static char *
state_path(const struct config_service *sv)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *dir, *path = NULL;

	if (xdg != NULL && *xdg == '/')
		dir = xasprintf("%s/wharf", xdg);
	else if (geteuid() == 0)
		dir = xstrdup("/var/lib/wharf");
	else if (home != NULL && *home == '/')
		dir = xasprintf("%s/.local/state/wharf", home);
	else
		return (NULL);
	if (state_mkdir(dir) == -1)
		log_warn("%s", dir);
	else
		path = xasprintf("%s/%s-%016llx.manifest", dir, sv->name,
		    (unsigned long long)state_hash(sv->dir));
	free(dir);
	return (path);
}

/* Copy what is not a hole from one to the other, at the same offsets. */
static int
state_copy(int from, int to)
{
	char chunk[65536];
	off_t at = 0, hole;
	ssize_t n;

	while ((at = lseek(from, at, SEEK_DATA)) != -1) {
		if ((hole = lseek(from, at, SEEK_HOLE)) == -1)
			return (-1);
		for (; at < hole; at += n) {
			n = pread(from, chunk,
			    hole - at < (off_t)sizeof(chunk) ?
				(size_t)(hole - at) :
				sizeof(chunk),
			    at);
			if (n <= 0 || pwrite(to, chunk, (size_t)n, at) != n)
				return (-1);
		}
	}
	return (errno == ENXIO ? 0 : -1); /* ENXIO: no data behind `at` */
}

void
state_load(struct config_service *sv)
{
	char *path = state_path(sv);
	struct stat st;
	int fd =
	    path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1)
		goto out;
	/* what it says is read as hostile by the worker; here only its size */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_uid == geteuid() && st.st_size <= MANIFEST_SIZE &&
	    state_copy(fd, sv->manifest_fd) == 0)
		log_debug("%s: taken", path);
	unlink(path);
	close(fd);
out:
	free(path);
}

void
state_save(struct config_service *sv)
{
	char *path = state_path(sv);
	char *tmp = path == NULL ? NULL : xasprintf("%s.new", path);
	int fd = -1;

	if (path == NULL)
		return;
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 || state_copy(sv->manifest_fd, fd) == -1 ||
	    ftruncate(fd, MANIFEST_SIZE) == -1 || fsync(fd) == -1 ||
	    rename(tmp, path) == -1) {
		log_warn("%s: the kept container will be made anew", path);
		unlink(tmp);
	}
	if (fd != -1)
		close(fd);
	free(tmp);
	free(path);
}
