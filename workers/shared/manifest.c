/*
 * What was delivered to one container, see manifest.h: the part in memory.
 * Pure.  The region is manifest_journal.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/shared/manifest_private.h"

static int
manifest_node_cmp(const struct manifest_node *a, const struct manifest_node *b)
{
	return (tree_path_cmp(a->path, b->path));
}

RB_GENERATE(manifest_tree, manifest_node, tree, manifest_node_cmp)

struct manifest *
manifest_new(void)
{
	struct manifest *m = xcalloc(1, sizeof(*m));

	RB_INIT(&m->entries);
	m->meta.run_pending_from = -1;
	m->slot = -1;
	return (m);
}

void
manifest_mem_clear(struct manifest *m)
{
	struct manifest_node *n;
	size_t i;

	while ((n = RB_ROOT(&m->entries)) != NULL) {
		RB_REMOVE(manifest_tree, &m->entries, n);
		free(n);
	}
	for (i = 0; i < m->nstr; i++) {
		free(m->str[i].key);
		free(m->str[i].value);
	}
	m->nstr = 0;
	m->count = 0;
	m->live = 0;
	memset(&m->meta, 0, sizeof(m->meta));
	m->meta.run_pending_from = -1;
}

void
manifest_free(struct manifest *m)
{
	if (m == NULL)
		return;
	manifest_mem_clear(m);
	free(m);
}

int
manifest_lossy(const struct manifest *m)
{
	return (m->lossy != 0);
}

size_t
manifest_count(const struct manifest *m)
{
	return (m->count);
}

static struct manifest_node *
node_find(const struct manifest *m, const char *path)
{
	struct manifest_node key = { .path = path };
	struct manifest_tree head = m->entries;

	return (RB_FIND(manifest_tree, &head, &key));
}

/* The first node at or behind path. */
static struct manifest_node *
node_from(const struct manifest *m, const char *path)
{
	struct manifest_node key = { .path = path };
	struct manifest_tree head = m->entries;

	return (RB_NFIND(manifest_tree, &head, &key));
}

int
manifest_entry_ok(const char *path, const struct manifest_entry *e)
{
	if (!tree_path_ok(path) || *path == '\0')
		return (0);
	if (e->type != TREE_REG && e->type != TREE_DIR && e->type != TREE_LINK)
		return (0);
	if (e->state != MANIFEST_KNOWN && e->state != MANIFEST_UNKNOWN)
		return (0);
	return (e->racy <= 1 && e->mode <= 07777 && e->size >= 0);
}

static int
chars_ok(const char *s, size_t size, const char *set)
{
	size_t len = strnlen(s, size);

	return (len < size && strspn(s, set) == len);
}

int
manifest_meta_ok(const struct manifest_meta *meta)
{
	if (!chars_ok(meta->container, sizeof(meta->container),
		"0123456789abcdef"))
		return (0);
	if (meta->container[0] != '\0' && strlen(meta->container) != 64)
		return (0);
	if (!chars_ok(meta->image, sizeof(meta->image),
		"abcdefghijklmnopqrstuvwxyz0123456789:+._-"))
		return (0);
	return (meta->run_pending_from >= -1);
}

static struct manifest_string *
str_find(const struct manifest *m, const char *key)
{
	size_t i;

	for (i = 0; i < m->nstr; i++)
		if (strcmp(m->str[i].key, key) == 0)
			return (
			    (struct manifest_string *)(uintptr_t)&m->str[i]);
	return (NULL);
}

int
manifest_str_ok(const struct manifest *m, const char *key, const char *value)
{
	if (*key == '\0' ||
	    !chars_ok(key, MANIFEST_KEY_MAX,
		"abcdefghijklmnopqrstuvwxyz0123456789._-"))
		return (0);
	if (value == NULL)
		return (1);
	return (strnlen(value, MANIFEST_STR_MAX) < MANIFEST_STR_MAX &&
	    (m->nstr < MANIFEST_NSTR_MAX || str_find(m, key) != NULL));
}

void
manifest_mem_set(struct manifest *m, const char *path,
    const struct manifest_entry *e)
{
	struct manifest_node *n;
	size_t len;
	char *copy;

	if ((n = node_find(m, path)) == NULL) {
		len = strlen(path) + 1;
		n = xcalloc(1, sizeof(*n) + len);
		copy = (char *)(n + 1);
		memcpy(copy, path, len);
		n->path = copy;
		RB_INSERT(manifest_tree, &m->entries, n);
		m->count++;
		m->live += manifest_entry_cost(path);
	}
	n->e = *e;
}

void
manifest_mem_remove(struct manifest *m, const char *path)
{
	struct manifest_node *n;

	if ((n = node_find(m, path)) == NULL)
		return;
	RB_REMOVE(manifest_tree, &m->entries, n);
	m->count--;
	m->live -= manifest_entry_cost(n->path);
	free(n);
}

void
manifest_mem_str(struct manifest *m, const char *key, const char *value)
{
	struct manifest_string *s = str_find(m, key);
	char *copy = value != NULL ? xstrdup(value) : NULL;

	if (s != NULL) {
		m->live -= manifest_str_cost(s->key, s->value);
		free(s->value);
		s->value = copy;
		if (copy == NULL) {
			free(s->key);
			*s = m->str[--m->nstr];
			return;
		}
	} else {
		if (copy == NULL)
			return;
		s = &m->str[m->nstr++];
		s->key = xstrdup(key);
		s->value = copy;
	}
	m->live += manifest_str_cost(s->key, s->value);
}

static int
entry_same(const struct manifest_entry *a, const struct manifest_entry *b)
{
	return (a->type == b->type && a->state == b->state &&
	    a->racy == b->racy && a->mode == b->mode && a->epoch == b->epoch &&
	    a->size == b->size && a->mtime_ns == b->mtime_ns &&
	    a->ctime_ns == b->ctime_ns && a->ino == b->ino &&
	    memcmp(a->sha256, b->sha256, HASH_LEN) == 0);
}

int
manifest_set(struct manifest *m, const char *path,
    const struct manifest_entry *e)
{
	const struct manifest_entry *old;

	if (!manifest_entry_ok(path, e)) {
		errno = EINVAL;
		return (-1);
	}
	if ((old = manifest_get(m, path)) != NULL && entry_same(old, e))
		return (0);
	manifest_mem_set(m, path, e);
	return (manifest_put_entry(m, path, e));
}

int
manifest_remove(struct manifest *m, const char *path)
{
	char copy[TREE_PATH_MAX];

	if (!tree_path_ok(path)) {
		errno = EINVAL;
		return (-1);
	}
	if (manifest_get(m, path) == NULL)
		return (0);
	/* The caller may have the path from the very node that goes. */
	memcpy(copy, path, strlen(path) + 1);
	manifest_mem_remove(m, copy);
	return (manifest_put_remove(m, copy));
}

const struct manifest_entry *
manifest_get(const struct manifest *m, const char *path)
{
	const struct manifest_node *n = node_find(m, path);

	return (n != NULL ? &n->e : NULL);
}

int
manifest_clear(struct manifest *m)
{
	manifest_mem_clear(m);
	m->lossy &= ~MANIFEST_LOSSY_MEMORY;
	return (m->map != NULL ? manifest_compact(m) : 0);
}

const struct manifest_entry *
manifest_next(const struct manifest *m, const char *dir, const char *after,
    const char **path)
{
	struct manifest_node *n;

	if (after != NULL && tree_path_cmp(after, dir) < 0)
		after = NULL;
	n = node_from(m, after != NULL ? after : dir);
	if (n != NULL && after != NULL && strcmp(n->path, after) == 0)
		n = RB_NEXT(manifest_tree, NULL, n);
	if (n == NULL || !tree_path_below(n->path, dir))
		return (NULL);
	if (path != NULL)
		*path = n->path;
	return (&n->e);
}

int
manifest_iter_below(const struct manifest *m, const char *dir,
    int (*cb)(void *arg, const char *path, const struct manifest_entry *e),
    void *arg)
{
	struct manifest_node *n;
	int rc;

	for (n = node_from(m, dir); n != NULL && tree_path_below(n->path, dir);
	     n = RB_NEXT(manifest_tree, NULL, n))
		if ((rc = cb(arg, n->path, &n->e)) != 0)
			return (rc);
	return (0);
}

const struct manifest_meta *
manifest_meta(const struct manifest *m)
{
	return (&m->meta);
}

int
manifest_set_meta(struct manifest *m, const struct manifest_meta *meta)
{
	if (!manifest_meta_ok(meta)) {
		errno = EINVAL;
		return (-1);
	}
	m->meta = *meta;
	return (manifest_put_meta(m));
}

const char *
manifest_str(const struct manifest *m, const char *key)
{
	const struct manifest_string *s = str_find(m, key);

	return (s != NULL ? s->value : NULL);
}

int
manifest_set_str(struct manifest *m, const char *key, const char *value)
{
	const char *old;

	if (!manifest_str_ok(m, key, value)) {
		errno = EINVAL;
		return (-1);
	}
	old = manifest_str(m, key);
	if (old == value ||
	    (old != NULL && value != NULL && strcmp(old, value) == 0))
		return (0);
	manifest_mem_str(m, key, value);
	return (manifest_put_str(m, key, value));
}

int
manifest_copy(struct manifest *dst, const struct manifest *src)
{
	struct manifest_node *n;
	struct manifest_tree head = src->entries;
	size_t i;

	if (dst == src)
		return (0);
	manifest_mem_clear(dst);
	RB_FOREACH (n, manifest_tree, &head)
		manifest_mem_set(dst, n->path, &n->e);
	for (i = 0; i < src->nstr; i++)
		manifest_mem_str(dst, src->str[i].key, src->str[i].value);
	dst->meta = src->meta;
	dst->lossy = src->lossy & MANIFEST_LOSSY_MEMORY;
	return (dst->map != NULL ? manifest_compact(dst) : 0);
}

void
manifest_from_stat(struct manifest_entry *e, const struct tree_stat *st,
    int64_t scanned_ns)
{
	int64_t near = scanned_ns - MANIFEST_RACY_NS;

	memset(e, 0, sizeof(*e));
	e->type = (uint8_t)st->type;
	e->state = MANIFEST_KNOWN;
	e->mode = st->mode;
	e->size = st->size;
	e->mtime_ns = st->mtime_ns;
	e->ctime_ns = st->ctime_ns;
	e->ino = st->ino;
	/*
	 * The kernel sets ctime: one that lies ahead means a clock that went
	 * back.  mtime may be set at will, and only nearness counts.
	 */
	e->racy = st->ctime_ns >= near ||
	    (st->mtime_ns >= near &&
		st->mtime_ns - MANIFEST_RACY_NS <= scanned_ns);
}

int
manifest_same_stat(const struct manifest_entry *e, const struct tree_stat *st)
{
	return (e->state == MANIFEST_KNOWN && !e->racy && e->type == st->type &&
	    e->mode == st->mode && e->size == st->size &&
	    e->mtime_ns == st->mtime_ns && e->ctime_ns == st->ctime_ns &&
	    e->ino == st->ino);
}
