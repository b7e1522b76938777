/*
 * Typed fields, see field.h.  Any process; reads what other processes wrote.
 */
#include <stdlib.h>
#include <string.h>

#include "field.h"

struct field_head {
	uint16_t key;
	uint16_t zero;
	uint32_t len;
};

static const struct {
	const char *name;
	enum field_type type;
} keys[F_MAX] = {
#define FIELD(n, json, t) [F_##n] = { json, FIELD_##t },
#include "field.def"
#undef FIELD
};

const char *
field_name(unsigned key)
{
	return (key < F_MAX ? keys[key].name : NULL);
}

enum field_type
field_key_type(enum field_key key)
{
	return (keys[key].type);
}

void
fields_add_mem(struct buf *b, enum field_key key, const void *p, size_t n)
{
	struct field_head h = { .key = (uint16_t)key, .len = (uint32_t)n };

	buf_add(b, &h, sizeof(h));
	buf_add(b, p, n);
}

void
fields_add_str(struct buf *b, enum field_key key, const char *s)
{
	fields_add_mem(b, key, s, strlen(s));
}

void
fields_add_u64(struct buf *b, enum field_key key, uint64_t v)
{
	fields_add_mem(b, key, &v, sizeof(v));
}

void
fields_add_i64(struct buf *b, enum field_key key, int64_t v)
{
	fields_add_mem(b, key, &v, sizeof(v));
}

void
fields_add_bool(struct buf *b, enum field_key key, bool v)
{
	fields_add_u64(b, key, v);
}

static int
field_read_value(struct field *f, const uint8_t *p)
{
	if (f->type == FIELD_STR) {
		f->str = (const char *)p;
		return (memchr(p, '\0', f->len) == NULL ? 0 : -1);
	}
	if (f->len != sizeof(uint64_t))
		return (-1);
	memcpy(&f->u64, p, sizeof(f->u64));
	memcpy(&f->i64, p, sizeof(f->i64));
	return (f->type == FIELD_BOOL && f->u64 > 1 ? -1 : 0);
}

int
field_next(const struct fields *t, size_t *off, struct field *out)
{
	struct field_head h;

	if (*off == t->len)
		return (0);
	if (t->len - *off < sizeof(h))
		return (-1);
	memcpy(&h, t->data + *off, sizeof(h));
	if (h.key == F_NONE || h.key >= F_MAX || h.zero != 0 ||
	    h.len > t->len - *off - sizeof(h))
		return (-1);
	memset(out, 0, sizeof(*out));
	out->key = h.key;
	out->type = keys[h.key].type;
	out->len = h.len;
	if (field_read_value(out, t->data + *off + sizeof(h)) == -1)
		return (-1);
	*off += sizeof(h) + h.len;
	return (1);
}

bool
fields_valid(const struct fields *t)
{
	struct field f;
	size_t off = 0;
	int r;

	while ((r = field_next(t, &off, &f)) == 1)
		continue;
	return (r == 0);
}

bool
fields_get(const struct fields *t, enum field_key key, struct field *out)
{
	size_t off = 0;

	while (field_next(t, &off, out) == 1)
		if (out->key == key)
			return (true);
	return (false);
}

char *
fields_dup(const struct fields *t, enum field_key key)
{
	struct field f;

	if (!fields_get(t, key, &f) || f.type != FIELD_STR)
		return (NULL);
	return (xstrndup(f.str, f.len));
}

uint64_t
fields_u64(const struct fields *t, enum field_key key, uint64_t fallback)
{
	struct field f;

	return (fields_get(t, key, &f) ? f.u64 : fallback);
}

int64_t
fields_i64(const struct fields *t, enum field_key key, int64_t fallback)
{
	struct field f;

	return (fields_get(t, key, &f) ? f.i64 : fallback);
}

size_t
fields_count(const struct fields *t, enum field_key key)
{
	struct field f;
	size_t off = 0, n = 0;

	while (field_next(t, &off, &f) == 1)
		n += f.key == key;
	return (n);
}
