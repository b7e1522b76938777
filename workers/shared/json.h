/*
 * JSON at the edges (engine, wharfctl): the one wrapper over cJSON.
 *
 * Pure code, any process that links cJSON.  It closes cJSON's traps: numbers
 * keep their digits, input is checked to be exactly one RFC 8259 value in
 * UTF-8 with a cap on size and depth and no \u0000, names are compared with
 * their case, output carries no byte that is not UTF-8 and no control
 * character.  Of duplicate keys the first counts (cJSON's rule).
 * Objects are freed with cJSON_Delete.
 */

#ifndef WHARF_SHARED_JSON_H
#define WHARF_SHARED_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#define JSON_DEPTH_MAX 64

struct json_error {
	unsigned line, column; /* counted from 1, columns in bytes */
	char text[80];         /* what is wrong, printable ASCII */
};

/*
 * Parses exactly one value, `max` bytes at most.  NULL: *err (may be NULL)
 * tells.  The caller owns the result.
 */
cJSON *json_parse(const void *bytes, size_t len, size_t max,
    struct json_error *err);

/*
 * One line without a newline, all ASCII control characters, DEL and C1
 * escaped.  Numbers come out as they were read, which is why cJSON_Print must
 * not be used.  The value is touched while it is printed: one thread.
 * free(); NULL: no memory.
 */
char *json_print(const cJSON *);

/* The same, and a newline, to a stream.  -1: no memory, or not written. */
int json_write_line(FILE *, const cJSON *);

/*
 * Getters: NULL or -1 when the member is missing or of another type; `obj`
 * may be NULL or no object, so that calls nest.
 */
const cJSON *json_get(const cJSON *obj, const char *key);
const cJSON *json_obj(const cJSON *obj, const char *key);
const cJSON *json_arr(const cJSON *obj, const char *key);
const char *json_str(const cJSON *obj, const char *key);
int json_get_bool(const cJSON *obj, const char *key, bool *);
/* Whole numbers, no fraction, no exponent, exact over the whole range. */
int json_get_i64(const cJSON *obj, const char *key, int64_t *);
int json_get_u64(const cJSON *obj, const char *key, uint64_t *);
/* The same for a value that is at hand, such as an array's element. */
int json_i64(const cJSON *item, int64_t *);
int json_u64(const cJSON *item, uint64_t *);
/* Follows names down: json_at(o, "Config", "Labels", "a.b", NULL). */
const cJSON *json_at(const cJSON *obj, ...) __attribute__((sentinel));

/*
 * Adders: -1 when there is no memory, the object is unchanged then.
 * json_add_str: bytes that are not UTF-8, or that hold a NUL, are added as
 * base64 under KEY_b64 instead; a NULL string becomes null.
 */
int json_add_str(cJSON *obj, const char *key, const char *s);
int json_add_bytes(cJSON *obj, const char *key, const char *s, size_t len);
int json_add_i64(cJSON *obj, const char *key, int64_t);
int json_add_u64(cJSON *obj, const char *key, uint64_t);
int json_add_bool(cJSON *obj, const char *key, bool);
int json_add_null(cJSON *obj, const char *key);
/* Takes `item`, also when it fails; NULL is a failure, so that calls nest. */
int json_add(cJSON *obj, const char *key, cJSON *item);
/* New empty members, owned by `obj`.  NULL: no memory. */
cJSON *json_add_obj(cJSON *obj, const char *key);
cJSON *json_add_arr(cJSON *obj, const char *key);

/* The same for arrays; bytes that are not UTF-8 become {"b64":"..."}. */
int json_push(cJSON *arr, cJSON *item);
int json_push_str(cJSON *arr, const char *s);
int json_push_bytes(cJSON *arr, const char *s, size_t len);
int json_push_i64(cJSON *arr, int64_t);
int json_push_u64(cJSON *arr, uint64_t);
cJSON *json_push_obj(cJSON *arr);

/* Whether the bytes are UTF-8 (no overlong forms, no surrogates, no NUL). */
bool json_is_text(const char *s, size_t len);

#endif
