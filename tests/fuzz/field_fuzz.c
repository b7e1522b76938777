/*
 * Typed fields: a valid tail is made of its fields, byte for byte.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static void
field_again(struct buf *b, const struct field *f)
{
	switch (f->type) {
	case FIELD_STR:
		fields_add_mem(b, f->key, f->str, f->len);
		break;
	case FIELD_U64:
		fields_add_u64(b, f->key, f->u64);
		break;
	case FIELD_I64:
		fields_add_i64(b, f->key, f->i64);
		break;
	case FIELD_BOOL:
		HOLDS(f->u64 <= 1);
		fields_add_bool(b, f->key, f->u64 == 1);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fields t = { data, size };
	struct buf again = { 0 };
	struct field f, first;
	size_t off = 0, n = 0;
	char *s;
	int r;

	while ((r = field_next(&t, &off, &f)) == 1) {
		HOLDS(off <= size);
		HOLDS(field_name(f.key) != NULL);
		HOLDS(field_key_type(f.key) == f.type);
		field_again(&again, &f);
		/* the rest of the interface sees the same fields */
		if (n++ < 8) {
			HOLDS(fields_get(&t, f.key, &first));
			HOLDS(fields_count(&t, f.key) > 0);
			s = fields_dup(&t, f.key);
			HOLDS((s != NULL) == (f.type == FIELD_STR));
			free(s);
			fields_u64(&t, f.key, 7);
			fields_i64(&t, f.key, 7);
		}
	}
	HOLDS(fields_valid(&t) == (r == 0));
	if (r == 0) {
		HOLDS(off == size && again.len == size);
		HOLDS(size == 0 || memcmp(again.data, data, size) == 0);
	}
	buf_free(&again);
	return (0);
}
