/*
 * See mounts.h.  The table's paths come from whoever may mount; they are
 * taken for names of directories to be compared, no more.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/shared/tree.h"
#include "workers/watch/mounts.h"

#define MOUNTS_MAX   10000
#define MOUNTS_BYTES ((size_t)32 << 20)

/* Of a line of the table; see proc(5). */
enum { COL_ID, COL_PARENT, COL_DEV, COL_ROOT, COL_POINT, COL_MAX };

struct mount {
	char *path;   /* below the root */
	uint64_t key; /* tells it from another one at the same place */
};

struct watch_mounts {
	struct mount *v;
	size_t n;
};

char *
watch_mounts_read(int fd, size_t *len)
{
	struct buf b = { 0 };
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) == -1)
		return (NULL);
	while (b.len < MOUNTS_BYTES &&
	    (n = read(fd, buf_reserve(&b, 65536), 65536)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			buf_free(&b);
			return (NULL);
		}
		b.len += (size_t)n;
	}
	*len = b.len;
	return ((char *)b.data);
}

static uint64_t
key_add(uint64_t key, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		key = (key ^ (unsigned char)s[i]) * UINT64_C(0x100000001b3);
	return ((key ^ ' ') * UINT64_C(0x100000001b3));
}

static bool
is_octal(const char *s)
{
	for (int i = 0; i < 3; i++)
		if (s[i] < '0' || s[i] > '7')
			return (false);
	return (true);
}

/* "\040" and the like; the caller frees. */
static char *
point_unescape(const char *s, size_t len)
{
	char *out = xcalloc(len + 1, 1), *p = out;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\\' && len - i > 3 && is_octal(s + i + 1)) {
			*p++ = (char)((s[i + 1] - '0') << 6 |
			    (s[i + 2] - '0') << 3 | (s[i + 3] - '0'));
			i += 3;
		} else
			*p++ = s[i];
	}
	return (out);
}

/* What stands below the root, of an absolute path; NULL: it does not. */
static const char *
point_below(const char *point, const char *root)
{
	size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(point, root, n) != 0 || point[n] != '/' ||
	    point[n + 1] == '\0' || !tree_path_ok(point + n + 1))
		return (NULL);
	return (point + n + 1);
}

static void
parse_line(struct watch_mounts *m, const char *line, size_t len,
    const char *root)
{
	uint64_t key = UINT64_C(0xcbf29ce484222325);
	const char *p = line, *end = line + len, *sp, *below;
	char *point;

	for (int col = 0; col < COL_POINT; col++, p = sp + 1) {
		if ((sp = memchr(p, ' ', (size_t)(end - p))) == NULL)
			return;
		if (col != COL_PARENT)
			key = key_add(key, p, (size_t)(sp - p));
	}
	if ((sp = memchr(p, ' ', (size_t)(end - p))) == NULL)
		return;
	point = point_unescape(p, (size_t)(sp - p));
	if ((below = point_below(point, root)) != NULL && m->n < MOUNTS_MAX) {
		if ((m->n & (m->n - 1)) == 0)
			m->v = xreallocarray(m->v, m->n == 0 ? 1 : m->n * 2,
			    sizeof(*m->v));
		m->v[m->n++] = (struct mount) { xstrdup(below), key };
	}
	free(point);
}

static int
mount_cmp(const void *a, const void *b)
{
	const struct mount *x = a, *y = b;
	int c = tree_path_cmp(x->path, y->path);

	if (c != 0)
		return (c);
	return (x->key < y->key ? -1 : x->key > y->key);
}

struct watch_mounts *
watch_mounts_parse(const char *text, size_t len, const char *root)
{
	struct watch_mounts *m = xcalloc(1, sizeof(*m));
	const char *nl;

	for (; (nl = memchr(text, '\n', len)) != NULL;
	     len -= (size_t)(nl + 1 - text), text = nl + 1)
		parse_line(m, text, (size_t)(nl - text), root);
	if (m->n > 0)
		qsort(m->v, m->n, sizeof(*m->v), mount_cmp);
	return (m);
}

void
watch_mounts_free(struct watch_mounts *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].path);
	free(m->v);
	free(m);
}

void
watch_mounts_diff(const struct watch_mounts *old,
    const struct watch_mounts *new, void (*fn)(void *arg, const char *path),
    void *arg)
{
	size_t i = 0, k = 0;
	int c;

	while (i < old->n || k < new->n) {
		c = i == old->n ? 1 :
		    k == new->n ? -1 :
				  mount_cmp(&old->v[i], &new->v[k]);
		if (c != 0)
			fn(arg, c < 0 ? old->v[i].path : new->v[k].path);
		i += c <= 0;
		k += c >= 0;
	}
}
