/*
 * wharfctl explain ignore: which paths a build leaves out, and why.
 * Process: wharfctl.  Needs neither engine nor daemon.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "include/log.h"
#include "supervisor/ctl/explain_ignore.h"
#include "workers/shared/ignore.h"
#include "workers/shared/json.h"

struct question {
	const char *context, *dockerfile;
	FILE *out, *err;
	char *file;        /* the .dockerignore that applies; NULL: none */
	const char *shown; /* its name in the answers */
	struct ignore *ignore;
};

static int
usage(FILE *err)
{
	fprintf(err,
	    "usage: wharfctl explain ignore [-C context] "
	    "[-f dockerfile] path ...\n");
	return (EX_USAGE);
}

/* "file:line:column: what is wrong"; line 0 leaves the place out. */
static void
complain(FILE *err, const char *file, unsigned line, const char *what)
{
	char name[1024];

	log_escape(name, sizeof(name), file, strlen(file));
	if (line != 0)
		fprintf(err, "%s:%u:1: %s\n", name, line, what);
	else
		fprintf(err, "%s: %s\n", name, what);
}

/* Reads at most one byte more than is allowed.  NULL: errno. */
static char *
file_read(const char *path, size_t *len)
{
	char *buf = NULL;
	struct stat st;
	ssize_t n = 0;
	int fd, save;

	/* O_NONBLOCK: a FIFO must not hold us. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return (NULL);
	*len = 0;
	errno = EINVAL;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		goto out;
	if ((buf = malloc(IGNORE_FILE_MAX + 1)) == NULL)
		goto out;
	while (*len <= IGNORE_FILE_MAX) {
		n = read(fd, buf + *len, IGNORE_FILE_MAX + 1 - *len);
		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	if (n == -1) {
		save = errno;
		free(buf);
		buf = NULL;
		errno = save;
	}
out:
	save = errno;
	close(fd);
	errno = save;
	return (buf);
}

static int
file_parse(struct question *q)
{
	struct ignore_error e;
	size_t len = 0;
	char *text;

	if ((text = file_read(q->file, &len)) == NULL) {
		complain(q->err, q->file, 0,
		    errno == EINVAL ? "not a regular file" : strerror(errno));
		return (EX_NOINPUT);
	}
	q->ignore = ignore_parse(text, len, &e);
	free(text);
	if (q->ignore == NULL) {
		complain(q->err, q->file, e.line == 0 ? 1 : e.line, e.text);
		return (EX_DATAERR);
	}
	return (EX_OK);
}

static bool
exists(const char *path)
{
	struct stat st;

	return (stat(path, &st) == 0);
}

/* The name of the file in the answers: relative to the context beneath it. */
static const char *
shown_name(const struct question *q)
{
	size_t n = strlen(q->context);

	if (strcmp(q->context, ".") == 0)
		return (strncmp(q->file, "./", 2) == 0 ? q->file + 2 : q->file);
	while (n > 1 && q->context[n - 1] == '/')
		n--;
	if (strncmp(q->file, q->context, n) == 0 && q->file[n] == '/')
		return (q->file + n + strspn(q->file + n, "/"));
	return (q->file);
}

/* Finds and reads the file that applies; none is an empty one. */
static int
question_open(struct question *q)
{
	struct ignore_names names = { 0 };
	struct ignore_error e;
	char *dockerfile = NULL;
	struct stat st;
	int r = EX_OSERR;

	if (stat(q->context, &st) == -1 || !S_ISDIR(st.st_mode)) {
		complain(q->err, q->context, 0, "not a directory");
		return (EX_NOINPUT);
	}
	if (q->dockerfile != NULL)
		dockerfile = strdup(q->dockerfile);
	else if (asprintf(&dockerfile, "%s/Dockerfile", q->context) == -1)
		dockerfile = NULL;
	if (dockerfile == NULL || ignore_names(dockerfile, &names) == -1)
		goto out;
	if (exists(names.own)) {
		q->file = names.own;
		names.own = NULL;
	} else if (asprintf(&q->file, "%s/%s", q->context, names.common) ==
	    -1) {
		q->file = NULL;
		goto out;
	} else if (!exists(q->file)) {
		q->ignore = ignore_parse("", 0, &e);
		r = q->ignore == NULL ? EX_OSERR : EX_OK;
		goto out;
	}
	q->shown = shown_name(q);
	r = file_parse(q);
out:
	free(names.own);
	free(dockerfile);
	return (r);
}

static int
answer_add(const struct question *q, cJSON *o, const char *path,
    const struct ignore_match *m)
{
	bool known = m->pattern != NULL;

	if (json_add_str(o, "path", path) == -1 ||
	    json_add_bool(o, "excluded", m->excluded) == -1 ||
	    json_add_str(o, "pattern", m->pattern) == -1 ||
	    json_add_str(o, "file", known ? q->shown : NULL) == -1)
		return (-1);
	return (known ? json_add_u64(o, "line", m->line) :
			json_add_null(o, "line"));
}

static int
answer(const struct question *q, const char *path)
{
	struct ignore_error e;
	struct ignore_match m;
	cJSON *o;
	int r = EX_OSERR;

	if (ignore_path(q->ignore, path, strlen(path), &m, &e) == -1) {
		complain(q->err, q->file, e.line, e.text);
		return (e.line != 0 ? EX_DATAERR : EX_OSERR);
	}
	o = cJSON_CreateObject();
	if (o != NULL && answer_add(q, o, path, &m) == 0 &&
	    json_write_line(q->out, o) == 0)
		r = EX_OK;
	cJSON_Delete(o);
	return (r);
}

static int
options(struct question *q, int argc, char **argv)
{
	int c;

	opterr = 0;
	optind = 0; /* glibc: start anew, whoever used getopt before */
	while ((c = getopt(argc, argv, "+C:f:")) != -1) {
		switch (c) {
		case 'C':
			q->context = optarg;
			break;
		case 'f':
			q->dockerfile = optarg;
			break;
		default:
			return (-1);
		}
	}
	return (optind < argc && q->context[0] != '\0' ? 0 : -1);
}

int
explain_ignore(int argc, char **argv, FILE *out, FILE *err)
{
	struct question q = { .context = ".", .out = out, .err = err };
	int i, r;

	if (options(&q, argc, argv) == -1)
		return (usage(err));
	r = question_open(&q);
	if (r == EX_OSERR)
		fprintf(err, "wharfctl: no memory\n");
	for (i = optind; i < argc && r == EX_OK; i++)
		r = answer(&q, argv[i]);
	if (r == EX_OK && fflush(out) == EOF)
		r = EX_IOERR;
	ignore_free(q.ignore);
	free(q.file);
	return (r);
}
