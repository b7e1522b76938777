/*
 * The event ring, see ring.h.  Process: control.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/control/ring.h"

struct ring {
	struct ring_event **slots; /* by number modulo count */
	size_t count;
	size_t bytes_max;
	size_t bytes;
	uint64_t first;
	uint64_t next;
};

struct ring *
ring_new(size_t bytes, size_t count, uint64_t next)
{
	struct ring *r = xcalloc(1, sizeof(*r));

	r->slots = xcalloc(count, sizeof(struct ring_event *));
	r->count = count;
	r->bytes_max = bytes;
	r->first = next;
	r->next = next;
	return (r);
}

static void
ring_drop_first(struct ring *r)
{
	struct ring_event **slot = &r->slots[r->first % r->count];

	r->bytes -= sizeof(**slot) + (*slot)->len;
	free(*slot);
	*slot = NULL;
	r->first++;
}

void
ring_free(struct ring *r)
{
	if (r == NULL)
		return;
	while (r->first != r->next)
		ring_drop_first(r);
	free(r->slots);
	free(r);
}

/* Copy the fields that fit; how many bytes they take. */
static size_t
ring_copy_fields(uint8_t *dst, const struct fields *from)
{
	struct field f;
	size_t off = 0, start = 0, len = 0;

	if (from->len <= RING_FIELDS_MAX) {
		if (from->len > 0)
			memcpy(dst, from->data, from->len);
		return (from->len);
	}
	while (field_next(from, &off, &f) == 1) {
		if (off - start <= RING_FIELDS_MAX - len) {
			memcpy(dst + len, from->data + start, off - start);
			len += off - start;
		}
		start = off;
	}
	return (len);
}

void
ring_add(struct ring *r, const struct msg_event *m, const struct fields *fields)
{
	size_t room =
	    fields->len < RING_FIELDS_MAX ? fields->len : RING_FIELDS_MAX;
	struct ring_event *e = xcalloc(1, sizeof(*e) + room);

	e->len = ring_copy_fields(e->fields, fields);
	e->m = *m;
	e->seq = r->next;
	while (r->first != r->next &&
	    (r->next - r->first == r->count ||
		r->bytes + sizeof(*e) + e->len > r->bytes_max))
		ring_drop_first(r);
	r->slots[e->seq % r->count] = e;
	r->bytes += sizeof(*e) + e->len;
	r->next++;
}

uint64_t
ring_first(const struct ring *r)
{
	return (r->first);
}

uint64_t
ring_next(const struct ring *r)
{
	return (r->next);
}

const struct ring_event *
ring_get(const struct ring *r, uint64_t seq)
{
	if (seq < r->first || seq >= r->next)
		return (NULL);
	return (r->slots[seq % r->count]);
}
