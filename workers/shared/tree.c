/*
 * Safe reading beneath a root, see tree.h: opening, stat, links.  The walker
 * is in tree_walk.c.  Runs in the workers that read trees.
 *
 * The rule is measured, not believed: lstat-then-open and realpath-then-open
 * are raced within a second, openat2 and per-component O_NOFOLLOW never
 * (spec/security.md 0.7, T2).
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/openat2.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "workers/shared/tree.h"

#define TREE_RESOLVE \
	(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

static int no_openat2; /* the kernel has none: use the fallback at once */

void
tree_set_fallback(int on)
{
	no_openat2 = on;
}

static int
component_ok(const char *s, size_t len)
{
	if (len == 0)
		return (0);
	if (len == 1 && s[0] == '.')
		return (0);
	return (!(len == 2 && s[0] == '.' && s[1] == '.'));
}

int
tree_path_ok(const char *path)
{
	const char *end;

	if (path == NULL || strnlen(path, TREE_PATH_MAX) == TREE_PATH_MAX)
		return (0);
	if (*path == '\0')
		return (1);
	for (;;) {
		end = strchrnul(path, '/');
		if (!component_ok(path, (size_t)(end - path)))
			return (0);
		if (*end == '\0')
			return (1);
		path = end + 1;
	}
}

/* The weight of a byte: the end, then '/', then all others in their order. */
static int
path_weight(unsigned char c)
{
	if (c == '\0')
		return (-2);
	return (c == '/' ? -1 : c);
}

int
tree_path_cmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (
	    path_weight((unsigned char)*a) - path_weight((unsigned char)*b));
}

int
tree_path_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 0)
		return (1);
	return (strncmp(path, dir, len) == 0 &&
	    (path[len] == '\0' || path[len] == '/'));
}

/* One component at a time, none of which may be a link. */
static int
open_by_component(int rootfd, const char *path, int flags)
{
	char name[NAME_MAX + 1];
	const char *end;
	size_t len;
	int fd = rootfd, next, saved;

	for (;;) {
		end = strchrnul(path, '/');
		len = (size_t)(end - path);
		if (len > NAME_MAX) {
			errno = ENAMETOOLONG;
			next = -1;
		} else {
			memcpy(name, path, len);
			name[len] = '\0';
			next = openat(fd, name,
			    (*end == '\0' ? flags : O_PATH | O_DIRECTORY) |
				O_NOFOLLOW | O_CLOEXEC);
		}
		if (fd != rootfd) {
			saved = errno;
			close(fd);
			errno = saved;
		}
		if (next == -1 || *end == '\0')
			return (next);
		fd = next;
		path = end + 1;
	}
}

/* Opens beneath the root without following a link in any component. */
static int
open_beneath(int rootfd, const char *path, int flags)
{
	struct open_how how = { .resolve = TREE_RESOLVE };
	long fd;

	if (!tree_path_ok(path)) {
		errno = EINVAL;
		return (-1);
	}
	if (*path == '\0')
		return (openat(rootfd, ".", flags | O_CLOEXEC));
	if (!no_openat2) {
		how.flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC);
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
		if (fd != -1)
			return ((int)fd);
		if (errno == ENOSYS)
			no_openat2 = 1;
		/* EPERM: an outer filter that does not know the call. */
		else if (errno != EPERM && errno != EAGAIN)
			return (-1);
	}
	return (open_by_component(rootfd, path, flags));
}

static enum tree_type
type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return (TREE_REG);
	case S_IFDIR:
		return (TREE_DIR);
	case S_IFLNK:
		return (TREE_LINK);
	case S_IFIFO:
		return (TREE_FIFO);
	case S_IFSOCK:
		return (TREE_SOCK);
	default:
		return (TREE_DEV);
	}
}

/* File systems may hold any second: clamp instead of overflow. */
static int64_t
time_ns(const struct timespec *ts)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)ts->tv_sec, 1000000000, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)ts->tv_nsec, &ns))
		return (ts->tv_sec < 0 ? INT64_MIN : INT64_MAX);
	return (ns);
}

void
tree_stat_from(struct tree_stat *st, const struct stat *sb)
{
	st->type = type_of(sb->st_mode);
	st->mode = sb->st_mode & 07777;
	st->uid = sb->st_uid;
	st->gid = sb->st_gid;
	st->nlink =
	    sb->st_nlink > UINT32_MAX ? UINT32_MAX : (uint32_t)sb->st_nlink;
	st->size = sb->st_size < 0 ? 0 : sb->st_size;
	st->mtime_ns = time_ns(&sb->st_mtim);
	st->ctime_ns = time_ns(&sb->st_ctim);
	st->ino = sb->st_ino;
	st->dev = sb->st_dev;
}

int
tree_stat_fd(int fd, struct tree_stat *st)
{
	struct stat sb;

	if (fstat(fd, &sb) == -1)
		return (-1);
	tree_stat_from(st, &sb);
	return (0);
}

int
tree_stat_at(int rootfd, const char *path, struct tree_stat *st)
{
	int fd, rc, saved;

	if ((fd = open_beneath(rootfd, path, O_PATH)) == -1) {
		/* ELOOP: a link on the way, so the path is not of this tree. */
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			return (-1);
		memset(st, 0, sizeof(*st));
		st->type = TREE_ABSENT;
		return (0);
	}
	rc = tree_stat_fd(fd, st);
	saved = errno;
	close(fd);
	errno = saved;
	return (rc);
}

int
tree_open_file(int rootfd, const char *path, struct tree_stat *st)
{
	struct tree_stat seen;
	int fd;

	/* Look first: opening a device can already be an act. */
	if (tree_stat_at(rootfd, path, &seen) == -1)
		return (-1);
	if (seen.type != TREE_REG) {
		errno = seen.type == TREE_ABSENT ? ENOENT : ENXIO;
		return (-1);
	}
	fd = open_beneath(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd == -1) {
		if (errno == ELOOP)
			errno = ENXIO;
		return (-1);
	}
	/* Look again at what was opened: that it may have been swapped. */
	if (tree_stat_fd(fd, &seen) == -1 || seen.type != TREE_REG) {
		close(fd);
		errno = ENXIO;
		return (-1);
	}
	if (st != NULL)
		*st = seen;
	return (fd);
}

int
tree_open_dir(int rootfd, const char *path)
{
	return (
	    open_beneath(rootfd, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK));
}

long
tree_readlink(int rootfd, const char *path, char *buf, size_t size)
{
	struct tree_stat st;
	ssize_t n = -1;
	int fd, saved;

	if ((fd = open_beneath(rootfd, path, O_PATH)) == -1)
		return (-1);
	if (tree_stat_fd(fd, &st) == -1)
		goto out;
	if (st.type != TREE_LINK) {
		errno = EINVAL;
		goto out;
	}
	n = readlinkat(fd, "", buf, size);
	if (n != -1 && (size_t)n >= size) {
		errno = ENAMETOOLONG;
		n = -1;
	}
	if (n != -1)
		buf[n] = '\0';
out:
	saved = errno;
	close(fd);
	errno = saved;
	return (n);
}

int
tree_root_gone(int rootfd)
{
	struct stat sb;

	if (fstat(rootfd, &sb) == -1)
		return (-1);
	return (sb.st_nlink == 0);
}
