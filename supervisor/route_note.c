/*
 * Notes between workers, see route_note.h.
 */
#include <stdlib.h>
#include <string.h>

#include "route_note.h"

/* notes that a worker may have kept for newcomers: all fit into a queue */
#define ROUTE_STICKY_ONE (32 * 1024)
#define ROUTE_STICKY     (SERVICES_MAX + ENGINES_MAX)
#define ROUTE_STICKY_LEN (2 * 1024 * 1024) /* of them together */

/*
 * The note of that type and key, or the list's end; *n and *len count the
 * source's.
 */
static struct sticky **
route_find_sticky(struct child *from, uint16_t type, uint32_t key, size_t *n,
    size_t *len)
{
	struct sticky **p, **found = NULL;

	*n = *len = 0;
	for (p = &from->sup->stickies; *p != NULL; p = &(*p)->next) {
		*n += (*p)->source == from;
		*len += (*p)->source == from ? (*p)->len : 0;
		if ((*p)->source == from && (*p)->head.type == type &&
		    (*p)->key == key)
			found = p;
	}
	return (found != NULL ? found : p);
}

static void
route_stick(struct child *from, const struct frame *f,
    const struct frame_head *h)
{
	struct sup *s = from->sup;
	struct sticky **p, *n;
	size_t count, len;
	uint32_t key;

	if (f->head.type != MSG_ENG_STATE && f->head.type != MSG_TREE)
		return;
	memcpy(&key, f->payload, sizeof(key));
	p = route_find_sticky(from, f->head.type, key, &count, &len);
	if (*p != NULL) {
		n = *p;
		*p = n->next;
		len -= n->len;
		free(n);
		count--;
	}
	if (count >= ROUTE_STICKY || f->payload_len > ROUTE_STICKY_ONE ||
	    len + f->payload_len > ROUTE_STICKY_LEN) {
		log_warnx("%s: too many or too long %s; killing it",
		    proc_name(from->role), f->def->name);
		child_condemn(from);
		return;
	}
	n = xcalloc(1, sizeof(*n) + f->payload_len);
	n->source = from;
	n->key = key;
	n->head = *h;
	n->len = f->payload_len;
	memcpy(n->payload, f->payload, n->len);
	n->next = s->stickies;
	s->stickies = n;
}

/* Of an engine its own worker speaks, and of the services that it has. */
static bool
route_is_its_own(struct child *from, const struct frame *f)
{
	const struct msg_eng_state *m = frame_fixed(f);
	const struct msg_eng_event *e = frame_fixed(f);

	if (f->head.type == MSG_ENG_STATE)
		return (m->engine == from->instance);
	return (f->head.type != MSG_ENG_EVENT ||
	    (e->engine == from->instance &&
		route_engine_of(from->sup, e->service) == from));
}

void
route_note(struct child *from, struct frame *f)
{
	struct sup *s = from->sup;
	struct frame_head h = route_head(from, f, f->head.id);
	struct child *to;

	if (!route_is_its_own(from, f)) {
		/* as is said by one whose service has just gone */
		log_debug("%s.%u: %s is not its own", proc_name(from->role),
		    from->instance, f->def->name);
		return;
	}
	route_stick(from, f, &h);
	if (from->distrusted)
		return;
	CHILD_FOREACH (to, s) {
		if (to == from || (f->def->to & PROC_BIT(to->role)) == 0)
			continue;
		/* who is not there is told when it comes, if it matters then */
		if (child_is_ready(to) || f->head.type == MSG_EVENT)
			route_deliver(from, to, &h, f->payload, f->payload_len,
			    -1);
	}
}

void
route_event(struct sup *s, const struct msg_event *m, const struct buf *tail)
{
	struct child *to = child_find(s, PROC_CONTROL, 0);
	struct frame_head h = { .type = MSG_EVENT, .source = PROC_SUP };
	struct buf b = { 0 };

	if (to == NULL)
		return; /* a probe, or asking for a context */
	buf_add(&b, m, sizeof(*m));
	if (tail != NULL)
		buf_add(&b, tail->data, tail->len);
	route_deliver(NULL, to, &h, b.data, b.len, -1);
	buf_free(&b);
}
