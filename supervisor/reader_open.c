/*
 * The files that the config process may have, see reader.h.
 *
 * It opens nothing: it asks for docker's files and for included ones by name,
 * and they are opened here, beneath the directory they belong to and owned by
 * who owns the including file, or by root.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "reader.h"

#define READER_FILE     "config.json"
#define READER_META     "contexts/meta/"
#define READER_META_END "/meta.json"
#define READER_HASH_LEN 64
#define READER_FLAGS    (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* As docker finds it: $DOCKER_CONFIG, else .docker at home; NULL: no home. */
static char *
reader_find_docker(void)
{
	const char *s;
	struct passwd *pw;

	if ((s = getenv("DOCKER_CONFIG")) != NULL && *s != '\0')
		return (xstrdup(s));
	if ((s = getenv("HOME")) == NULL || *s == '\0')
		s = (pw = getpwuid(geteuid())) != NULL ? pw->pw_dir : NULL;
	return (s != NULL ? xasprintf("%s/.docker", s) : NULL);
}

void
reader_open_docker(struct reader *r)
{
	r->docker_dir = reader_find_docker();
	r->docker_fd = r->docker_dir == NULL ?
	    -1 :
	    open(r->docker_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void
reader_close(struct reader *r)
{
	if (r->docker_fd != -1)
		close(r->docker_fd);
	free(r->docker_dir);
	for (uint32_t i = 0; i < r->nfiles; i++) {
		if (r->files[i].dirfd != -1)
			close(r->files[i].dirfd);
		free(r->files[i].path);
	}
}

/* contexts/meta/HASH/meta.json and nothing else. */
static bool
path_is_meta(const char *path)
{
	const char *hash = path + strlen(READER_META);

	return (strncmp(path, READER_META, strlen(READER_META)) == 0 &&
	    strspn(hash, "0123456789abcdef") == READER_HASH_LEN &&
	    strcmp(hash + READER_HASH_LEN, READER_META_END) == 0);
}

static int
reader_openat(int dirfd, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

	return ((int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
}

/* -1 and *why when the file is not for us to believe. */
static int
reader_check_file(int fd, uid_t owner, const char **why)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		*why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*why = "not a file";
	else if (st.st_uid != owner && st.st_uid != 0)
		*why = "it belongs to another user";
	else if (st.st_mode & S_IWOTH)
		*why = "everybody may write to it";
	else
		return (0);
	return (-1);
}

/* The directory of path, relative to dirfd. */
static int
reader_open_dir(int dirfd, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ?
	    xstrdup(".") :
	    xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
	int fd = dirfd == AT_FDCWD ?
	    open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) :
	    reader_openat(dirfd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	free(dir);
	return (fd);
}

int
reader_open_first(struct reader *r)
{
	struct reader_file *f = &r->files[0];
	const char *path = r->sup->opt->file, *why = NULL;
	struct stat st;
	int fd = open(path, READER_FLAGS);

	if (fd == -1) {
		reader_fail(r->sup, EX_NOINPUT, "%s: %s", path,
		    strerror(errno));
		return (-1);
	}
	if (reader_check_file(fd, geteuid(), &why) == -1) {
		reader_fail(r->sup, EX_NOPERM, "%s: %s", path, why);
		close(fd);
		return (-1);
	}
	f->path = xstrdup(path);
	f->owner = fstat(fd, &st) == 0 ? st.st_uid : 0;
	f->dirfd = reader_open_dir(AT_FDCWD, path);
	r->nfiles = 1;
	return (fd);
}

/* Beneath the directory of the file that names it. */
static int
reader_open_include(struct reader *r, uint32_t from, const char *path,
    uint32_t *number, const char **why)
{
	const struct reader_file *by;
	struct reader_file *f;
	const char *slash;
	struct stat st;
	int fd;

	if (from >= r->nfiles || r->nfiles == READER_FILES_MAX) {
		*why = from >= r->nfiles ? "no such file includes" :
					   "too many files";
		errno = EMFILE;
		return (-1);
	}
	by = &r->files[from];
	f = &r->files[r->nfiles];
	/* paths of files that include one another grow, and go into frames */
	if (strlen(by->path) + strlen(path) >= PATH_MAX) {
		*why = strerror(errno = ENAMETOOLONG);
		return (-1);
	}
	if ((fd = reader_openat(by->dirfd, path, READER_FLAGS)) == -1) {
		*why = errno == EXDEV ?
		    "it leads out of the including file's directory" :
		    strerror(errno);
		return (-1);
	}
	if (reader_check_file(fd, by->owner, why) == -1) {
		close(fd);
		errno = EPERM;
		return (-1);
	}
	slash = strrchr(by->path, '/');
	f->path = xasprintf("%.*s%s",
	    slash == NULL ? 0 : (int)(slash - by->path) + 1, by->path, path);
	f->owner = fstat(fd, &st) == 0 ? st.st_uid : 0;
	f->dirfd = reader_open_dir(by->dirfd, path);
	*number = r->nfiles++;
	return (fd);
}

/* The person's own config.json may be a link to anywhere; the rest not. */
static int
reader_open_dockers(const struct reader *r, const char *path, const char **why)
{
	int fd;

	if (strcmp(path, READER_FILE) != 0 && !path_is_meta(path)) {
		*why = "no file of docker's";
		errno = EPERM;
		return (-1);
	}
	if (r->docker_fd == -1) {
		*why = strerror(errno = ENOENT);
		return (-1);
	}
	fd = strcmp(path, READER_FILE) == 0 ?
	    openat(r->docker_fd, path, READER_FLAGS) :
	    reader_openat(r->docker_fd, path, READER_FLAGS);
	if (fd == -1) {
		*why = errno == EXDEV ? "it leads out of docker's directory" :
					strerror(errno);
		return (-1);
	}
	if (reader_check_file(fd, geteuid(), why) == -1) {
		close(fd);
		errno = EPERM;
		return (-1);
	}
	return (fd);
}

int
reader_open(struct reader *r, enum config_place place, uint32_t from,
    const char *path, uint32_t *number, enum err_code *code, const char **why)
{
	int fd = -1;

	*number = 0;
	if (path == NULL) {
		*why = "no name";
		errno = EPERM;
	} else if (place == CONFIG_INCLUDE)
		fd = reader_open_include(r, from, path, number, why);
	else
		fd = reader_open_dockers(r, path, why);
	if (fd == -1)
		*code = errno == EPERM                  ? ERR_REFUSED :
		    errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND :
							  ERR_IO;
	return (fd);
}
