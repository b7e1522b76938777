/*
 * The ignore rules in force, see rules.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/shared/rules.h"
#include "workers/shared/tree.h"

int
rules_read(int rootfd, const char *path, size_t max, struct buf *out)
{
	int fd = tree_open_file(rootfd, path, NULL);
	ssize_t n;

	if (fd == -1)
		return (errno == ENOENT || errno == ENXIO ? 0 : -1);
	do {
		n = read(fd, buf_reserve(out, 65536), 65536);
		if (n > 0)
			out->len += (size_t)n;
	} while (n > 0 && out->len <= max);
	close(fd);
	if (n > 0)
		errno = EFBIG;
	return (n == 0 ? 1 : -1);
}

static int
rules_parse(struct rules *r, const char *file, const struct buf *text,
    char *error, size_t size)
{
	struct ignore_error err;
	struct hash h;

	r->ignore = ignore_parse((const char *)text->data, text->len, &err);
	if (r->ignore == NULL) {
		snprintf(error, size, "%s:%u: %s", file, err.line, err.text);
		return (-1);
	}
	r->file = xstrdup(file);
	hash_init(&h);
	hash_add(&h, file, strlen(file) + 1);
	hash_add(&h, text->data, text->len);
	hash_end(&h, r->sha256);
	return (0);
}

int
rules_load(struct rules *r, int rootfd, const char *dockerfile, char *error,
    size_t size)
{
	struct ignore_names names;
	struct buf text = { 0 };
	const char *file;
	int got;

	memset(r, 0, sizeof(*r));
	if (ignore_names(dockerfile, &names) == -1) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return (-1);
	}
	file = names.own;
	got = rules_read(rootfd, file, IGNORE_FILE_MAX, &text);
	if (got == 0) {
		file = names.common;
		got = rules_read(rootfd, file, IGNORE_FILE_MAX, &text);
	}
	if (got == -1)
		snprintf(error, size, "%s: %s", file, strerror(errno));
	else if (got == 0)
		r->ignore = ignore_parse("", 0, NULL);
	else
		got = rules_parse(r, file, &text, error, size);
	free(names.own);
	buf_free(&text);
	return (got == -1 ? -1 : 0);
}

void
rules_free(struct rules *r)
{
	ignore_free(r->ignore);
	free(r->file);
	memset(r, 0, sizeof(*r));
}
