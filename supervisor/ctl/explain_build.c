/*
 * What the "explain" verbs that read a Dockerfile have in common.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <sys/stat.h>

#include "include/buf.h"
#include "supervisor/ctl/explain_build.h"

void
explain_print_name(const char *s, FILE *err)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c >= 0x7f || c == '\\')
			fprintf(err, "\\%03o", c);
		else
			fputc(c, err);
	}
}

static int
fail_file(const char *path, const char *why, int code, FILE *err)
{
	explain_print_name(path, err);
	fprintf(err, ": %s\n", why);
	return (code);
}

int
explain_read_file(const char *path, size_t max, char **text, size_t *len,
    FILE *err)
{
	struct buf b = { 0 };
	struct stat st;
	ssize_t n = 0;
	int fd, code = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return (fail_file(path, strerror(errno), EX_NOINPUT, err));
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return (fail_file(path, "not a regular file", EX_NOINPUT, err));
	}
	while (
	    b.len <= max && (n = read(fd, buf_reserve(&b, 65536), 65536)) > 0)
		b.len += (size_t)n;
	if (n == -1)
		code = fail_file(path, strerror(errno), EX_IOERR, err);
	else if (b.len > max)
		code = fail_file(path, "file is too large", EX_DATAERR, err);
	else {
		*len = b.len;
		buf_add(&b, "", 1);
		*text = (char *)b.data;
		close(fd);
		return (0);
	}
	close(fd);
	buf_free(&b);
	return (code);
}

int
explain_complain(const char *path, const struct dockerfile_error *e, FILE *err)
{
	explain_print_name(path, err);
	if (e->line != 0)
		fprintf(err, ":%u:%u", e->line, e->column);
	fprintf(err, ": %s\n", e->text);
	return (EX_DATAERR);
}

int
explain_dockerfile(const char *path, struct dockerfile **df, FILE *err)
{
	struct dockerfile_error e;
	char *text;
	size_t len;
	int code;

	code = explain_read_file(path, DOCKERFILE_MAX_BYTES, &text, &len, err);
	if (code != 0)
		return (code);
	*df = dockerfile_parse(text, len, &e);
	free(text);
	return (*df == NULL ? explain_complain(path, &e, err) : 0);
}

int
explain_build_arg(struct dockerfile_env *env, const char *arg, FILE *err)
{
	const char *eq = strchr(arg, '='), *value;
	char *name;
	int ret = 0;

	name = eq == NULL ? xstrdup(arg) : xstrndup(arg, (size_t)(eq - arg));
	value = eq == NULL ? getenv(name) : eq + 1;
	if (*name == '\0') {
		fprintf(err, "--build-arg needs NAME=VALUE\n");
		ret = EX_USAGE;
	} else if (value != NULL &&
	    dockerfile_env_set(env, name, value) == -1) {
		fprintf(err, "the build arguments are too long\n");
		ret = EX_USAGE;
	}
	free(name);
	return (ret);
}
