/*
 * The dirty set of a subscription, and the batches that are taken from it.
 * Pure memory.  Watch worker.
 *
 * What lies below a SUBTREE is told with it, and what lay below a directory
 * that is gone needs no telling.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/watch/watch.h"

#define FIELD_HEAD 8 /* of a field on the wire (field.h) */

int
watch_path_cmp(const struct watch_dirty *a, const struct watch_dirty *b)
{
	return (tree_path_cmp(a->path, b->path));
}

int
watch_number_cmp(const struct watch_dirty *a, const struct watch_dirty *b)
{
	if (a->number != b->number)
		return (a->number < b->number ? -1 : 1);
	return (tree_path_cmp(a->path, b->path));
}

RB_GENERATE(watch_paths, watch_dirty, by_path, watch_path_cmp)
RB_GENERATE(watch_numbers, watch_dirty, by_number, watch_number_cmp)

struct watch_sub *
watch_sub_new(struct watch_tree *t, uint32_t service)
{
	struct watch_sub *s = xcalloc(1, sizeof(*s));

	s->tree = t;
	s->service = service;
	RB_INIT(&s->paths);
	RB_INIT(&s->numbers);
	TAILQ_INIT(&s->flying);
	TAILQ_INIT(&s->recent);
	return (s);
}

static void
batch_free(struct watch_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->v[i]);
	free(b->v);
	free(b);
}

static void
dirty_unlink(struct watch_sub *s, struct watch_dirty *d)
{
	RB_REMOVE(watch_paths, &s->paths, d);
	RB_REMOVE(watch_numbers, &s->numbers, d);
	s->ndirty--;
}

static void
dirty_link(struct watch_sub *s, struct watch_dirty *d)
{
	RB_INSERT(watch_paths, &s->paths, d);
	RB_INSERT(watch_numbers, &s->numbers, d);
	s->ndirty++;
}

void
watch_sub_clear(struct watch_sub *s)
{
	struct watch_batch *b;
	struct watch_dirty *d;

	while ((d = RB_ROOT(&s->paths)) != NULL) {
		dirty_unlink(s, d);
		free(d);
	}
	while ((b = TAILQ_FIRST(&s->flying)) != NULL) {
		TAILQ_REMOVE(&s->flying, b, link);
		batch_free(b);
	}
	while ((b = TAILQ_FIRST(&s->recent)) != NULL) {
		TAILQ_REMOVE(&s->recent, b, link);
		batch_free(b);
	}
}

void
watch_sub_free(struct watch_sub *s)
{
	if (s == NULL)
		return;
	watch_sub_clear(s);
	watch_rules_free(&s->rules);
	free(s);
}

/* A key to look for a path with; the caller frees it. */
static struct watch_dirty *
dirty_new(const char *path)
{
	size_t len = strlen(path) + 1;
	struct watch_dirty *d;

	d = xcalloc(1, offsetof(struct watch_dirty, path) + len);
	memcpy(d->path, path, len);
	return (d);
}

bool
watch_dirty_is_tree(const struct watch_dirty *d)
{
	return ((d->flags & (DIRTY_TREE | DIRTY_GONE)) == DIRTY_TREE);
}

/* The entry that covers d->path from above; NULL: none does. */
static struct watch_dirty *
dirty_cover(struct watch_sub *s, struct watch_dirty *d)
{
	struct watch_dirty *c;
	char *slash = d->path + strlen(d->path), cut;

	if (*d->path == '\0')
		return (NULL);
	for (;;) {
		while (slash > d->path && *slash != '/')
			slash--;
		cut = *slash;
		*slash = '\0';
		c = RB_FIND(watch_paths, &s->paths, d);
		*slash = cut;
		if (c != NULL && watch_dirty_is_tree(c))
			return (c);
		if (slash == d->path)
			return (NULL);
		slash--;
	}
}

/* `to` is told as early as `from` would have been. */
static void
dirty_age(struct watch_dirty *to, const struct watch_dirty *from)
{
	if (from->number < to->number)
		to->number = from->number;
	if (from->seen_ns < to->seen_ns)
		to->seen_ns = from->seen_ns;
	to->flags |= from->flags & DIRTY_SCAN;
}

/* Take in all that lies below d, which is about to be linked. */
static void
dirty_swallow(struct watch_sub *s, struct watch_dirty *d)
{
	struct watch_dirty *n;

	while ((n = RB_NFIND(watch_paths, &s->paths, d)) != NULL &&
	    tree_path_below(n->path, d->path)) {
		dirty_unlink(s, n);
		dirty_age(d, n);
		free(n);
	}
}

/* Put d into the set; takes it. */
static void
dirty_put(struct watch_sub *s, struct watch_dirty *d)
{
	struct watch_dirty *cover;

	if ((cover = dirty_cover(s, d)) != NULL) {
		/* told as part of it, whose place in the order may move */
		RB_REMOVE(watch_numbers, &s->numbers, cover);
		dirty_age(cover, d);
		RB_INSERT(watch_numbers, &s->numbers, cover);
		free(d);
		return;
	}
	if (d->flags & (DIRTY_TREE | DIRTY_GONE))
		dirty_swallow(s, d);
	dirty_link(s, d);
}

void
watch_dirty_add(struct watch_sub *s, const char *path, uint32_t flags,
    uint64_t number, int64_t seen_ns)
{
	struct watch_dirty *d = dirty_new(path), *old;

	d->flags = flags;
	d->number = number;
	d->seen_ns = seen_ns;
	if ((old = RB_FIND(watch_paths, &s->paths, d)) != NULL) {
		dirty_unlink(s, old);
		dirty_age(d, old);
		d->flags |= old->flags & DIRTY_TREE;
		free(old);
	}
	dirty_put(s, d);
}

/* A batch that nobody works on goes back. */
static void
batch_return(struct watch_sub *s, struct watch_batch *b)
{
	struct watch_dirty *d, *old;

	for (size_t i = 0; i < b->n; i++) {
		d = b->v[i];
		if ((old = RB_FIND(watch_paths, &s->paths, d)) != NULL) {
			dirty_unlink(s, old);
			dirty_age(d, old);
			d->flags |= old->flags & DIRTY_TREE;
			d->flags &= ~(uint32_t)DIRTY_GONE;
			d->flags |= old->flags & DIRTY_GONE;
			free(old);
		}
		dirty_put(s, d);
	}
	b->n = 0;
	batch_free(b);
	s->sent = 0;
}

/* Acknowledged, and all that is held has begun since. */
static void
batch_forget(struct watch_sub *s)
{
	const struct watch_hold *h = TAILQ_FIRST(&s->tree->order);
	struct watch_batch *b;

	while ((b = TAILQ_FIRST(&s->recent)) != NULL &&
	    b->acked_at != WATCH_UNKNOWN &&
	    (h == NULL || h->number > b->acked_at)) {
		TAILQ_REMOVE(&s->recent, b, link);
		batch_free(b);
	}
}

int
watch_sub_take(struct watch_sub *s, uint64_t acked, uint64_t taken)
{
	struct watch_batch *b, *next;

	if (taken < acked)
		return (-1);
	if (taken > s->last_batch)
		acked = taken = 0;
	/* a consumer that begins knows of no number */
	if (taken == 0)
		s->sent = 0;
	for (b = TAILQ_FIRST(&s->flying); b != NULL; b = next) {
		next = TAILQ_NEXT(b, link);
		if (b->id > acked && b->id <= taken)
			continue;
		TAILQ_REMOVE(&s->flying, b, link);
		if (b->id > acked) {
			batch_return(s, b);
			continue;
		}
		b->acked_at = WATCH_UNKNOWN;
		TAILQ_INSERT_TAIL(&s->recent, b, link);
	}
	batch_forget(s);
	return (0);
}

void
watch_sub_drained(struct watch_sub *s)
{
	struct watch_batch *b;

	TAILQ_FOREACH (b, &s->recent, link)
		if (b->acked_at == WATCH_UNKNOWN)
			b->acked_at = s->tree->changes;
	batch_forget(s);
}

static void
batch_again(struct watch_sub *s, const struct watch_batch *b, uint64_t number)
{
	for (size_t i = 0; i < b->n; i++)
		watch_dirty_add(s, b->v[i]->path, b->v[i]->flags & DIRTY_TREE,
		    number, mono_now().ns);
}

void
watch_sub_lost(struct watch_sub *s, uint64_t number)
{
	const struct watch_batch *b;

	TAILQ_FOREACH (b, &s->flying, link)
		batch_again(s, b, number);
	TAILQ_FOREACH (b, &s->recent, link)
		if (b->acked_at == WATCH_UNKNOWN)
			batch_again(s, b, number);
}

static bool
batch_covers(const struct watch_batch *b, const char *path)
{
	for (size_t i = 0; i < b->n; i++)
		if (watch_dirty_is_tree(b->v[i]) ?
			tree_path_below(path, b->v[i]->path) :
			strcmp(path, b->v[i]->path) == 0)
			return (true);
	return (false);
}

bool
watch_sub_looked(struct watch_sub *s, const char *path, uint64_t number)
{
	const struct watch_batch *b;

	TAILQ_FOREACH (b, &s->flying, link)
		if (batch_covers(b, path))
			return (true);
	TAILQ_FOREACH (b, &s->recent, link)
		if (b->acked_at >= number && batch_covers(b, path))
			return (true);
	return (false);
}

uint64_t
watch_sub_upto(const struct watch_sub *s)
{
	const struct watch_hold *h = TAILQ_FIRST(&s->tree->order);
	const struct watch_dirty *d = RB_ROOT(&s->numbers);
	uint64_t n = s->tree->changes + 1;

	while (d != NULL && RB_LEFT(d, by_number) != NULL)
		d = RB_LEFT(d, by_number);
	if (h != NULL && h->number < n)
		n = h->number;
	if (d != NULL && d->number < n)
		n = d->number;
	return (n - 1);
}

/* Move the oldest changes into the batch, as many as fit into a frame. */
static void
batch_fill(struct watch_sub *s, struct watch_batch *b)
{
	size_t bytes = 0, max = s->ndirty;
	struct watch_dirty *d;

	if (max > WATCH_BATCH_PATHS)
		max = WATCH_BATCH_PATHS;
	b->v = xreallocarray(NULL, max + 1, sizeof(struct watch_dirty *));
	while (b->n < max) {
		if ((d = RB_MIN(watch_numbers, &s->numbers)) == NULL)
			break;
		bytes += strlen(d->path) + FIELD_HEAD;
		if (bytes > WATCH_BATCH_BYTES)
			break;
		dirty_unlink(s, d);
		if (b->n == 0 || d->seen_ns < b->seen_ns)
			b->seen_ns = d->seen_ns;
		if (d->flags & DIRTY_SCAN)
			b->scan = true;
		b->v[b->n++] = d;
	}
}

struct watch_batch *
watch_sub_next(struct watch_sub *s)
{
	struct watch_batch *b;

	/* nothing to tell, but somebody may wait for a number to be out */
	if (s->ndirty == 0 &&
	    (s->sent >= s->told || watch_sub_upto(s) <= s->sent))
		return (NULL);
	b = xcalloc(1, sizeof(*b));
	b->seen_ns = mono_now().ns;
	batch_fill(s, b);
	b->id = ++s->last_batch;
	b->upto = watch_sub_upto(s);
	s->sent = b->upto;
	TAILQ_INSERT_TAIL(&s->flying, b, link);
	return (b);
}
