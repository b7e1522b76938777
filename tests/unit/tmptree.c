/*
 * A scratch directory for unit tests, see tmptree.h.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/tmptree.h"

void
tmptree_new(struct tmptree *t)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(t->path, sizeof(t->path), "%s/wharf.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(t->path));
	assert_int_equal(chmod(t->path, 0755), 0);
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(t->fd, -1);
}

/* By descriptors, because a test may build paths longer than PATH_MAX. */
static void
remove_below(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *d;
	int sub;

	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, d->d_name, 0) == 0)
			continue;
		if (fchmodat(fd, d->d_name, 0700, 0) == -1)
			continue;
		sub = openat(fd, d->d_name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub != -1)
			remove_below(sub);
		unlinkat(fd, d->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

void
tmptree_free(struct tmptree *t)
{
	int fd = openat(t->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd != -1)
		remove_below(fd);
	close(t->fd);
	rmdir(t->path);
}

void
tmptree_dir(struct tmptree *t, const char *path, mode_t mode)
{
	assert_int_equal(mkdirat(t->fd, path, 0755), 0);
	assert_int_equal(fchmodat(t->fd, path, mode, 0), 0);
}

void
tmptree_file(struct tmptree *t, const char *path, const char *text)
{
	int fd =
	    openat(t->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
}

void
tmptree_link(struct tmptree *t, const char *path, const char *target)
{
	assert_int_equal(symlinkat(target, t->fd, path), 0);
}

void
tmptree_fifo(struct tmptree *t, const char *path)
{
	assert_int_equal(mkfifoat(t->fd, path, 0644), 0);
}

int
tmptree_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n);
}

int
tmptree_setup(void **state)
{
	tmptree_new(*state);
	return (0);
}

int
tmptree_teardown(void **state)
{
	tmptree_free(*state);
	return (0);
}
