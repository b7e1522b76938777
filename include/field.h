/*
 * Typed fields: the tails of messages.  One field on the wire is
 * {u16 key, u16 0, u32 length, bytes}; numbers are 8 bytes of the host.
 * A tail is checked whole before any handler sees it (msg_check).
 */
#ifndef WHARF_FIELD_H
#define WHARF_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum field_type { FIELD_STR, FIELD_U64, FIELD_I64, FIELD_BOOL };

enum field_key {
	F_NONE,
#define FIELD(name, json, type) F_##name,
#include "field.def"
#undef FIELD
	F_MAX
};

struct field {
	enum field_key key;
	enum field_type type;
	const char *str; /* FIELD_STR: not terminated */
	size_t len;
	uint64_t u64; /* FIELD_U64, FIELD_BOOL */
	int64_t i64;  /* FIELD_I64 */
};

/* The tail of a received message, or of one that is being made. */
struct fields {
	const uint8_t *data;
	size_t len;
};

/* Name in JSON and type of a key; NULL for a number that is no key. */
const char *field_name(unsigned key);
enum field_type field_key_type(enum field_key key);

void fields_add_str(struct buf *b, enum field_key key, const char *s);
void fields_add_mem(struct buf *b, enum field_key key, const void *p, size_t n);
void fields_add_u64(struct buf *b, enum field_key key, uint64_t v);
void fields_add_i64(struct buf *b, enum field_key key, int64_t v);
void fields_add_bool(struct buf *b, enum field_key key, bool v);

/*
 * Take the field at *off and move *off behind it: 1 and *out, 0 at the end,
 * -1 when what stands there is no valid field.
 */
int field_next(const struct fields *t, size_t *off, struct field *out);

/* True when the whole tail is valid fields and ends exactly at its end. */
bool fields_valid(const struct fields *t);

/* First field with that key: true and *out. */
bool fields_get(const struct fields *t, enum field_key key, struct field *out);

/*
 * First string with that key as an allocated C string (caller frees), NULL
 * when absent.
 */
char *fields_dup(const struct fields *t, enum field_key key);

/* First number with that key, or fallback. */
uint64_t fields_u64(const struct fields *t, enum field_key key,
    uint64_t fallback);
int64_t fields_i64(const struct fields *t, enum field_key key,
    int64_t fallback);

/* How many fields have that key. */
size_t fields_count(const struct fields *t, enum field_key key);

#endif
