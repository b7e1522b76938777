/*
 * JSON at the edges: making values.  Pure code, any process that links cJSON.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/shared/json.h"
#include "workers/shared/utf8.h"

bool
json_is_text(const char *s, size_t len)
{
	uint32_t rune;
	size_t at, width;

	for (at = 0; at < len; at += width) {
		width = utf8_decode(s + at, len - at, &rune);
		if (rune == 0 || (rune == UTF8_BAD && width == 1))
			return (false);
	}
	return (true);
}

/* NUL-terminated.  NULL: no memory. */
static char *
base64(const char *s, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *u = (const unsigned char *)s;
	char *out, *p;
	uint32_t bits;
	size_t i, have, k;

	out = p = xreallocarray(NULL, len / 3 + 2, 4);
	for (i = 0; i < len; i += 3) {
		have = len - i < 3 ? len - i : 3;
		bits = (uint32_t)u[i] << 16;
		if (have > 1)
			bits |= (uint32_t)u[i + 1] << 8;
		if (have > 2)
			bits |= u[i + 2];
		for (k = 0; k < 4; k++)
			*p++ = (char)(k <= have ?
				digits[bits >> (18 - 6 * k) & 63] :
				'=');
	}
	*p = '\0';
	return (out);
}

static cJSON *
new_base64(const char *s, size_t len)
{
	cJSON *item;
	char *b64;

	if ((b64 = base64(s, len)) == NULL)
		return (NULL);
	item = cJSON_CreateString(b64);
	free(b64);
	return (item);
}

static cJSON *
new_text(const char *s, size_t len)
{
	cJSON *item;
	char *copy;

	if ((copy = strndup(s, len)) == NULL)
		return (NULL);
	item = cJSON_CreateString(copy);
	free(copy);
	return (item);
}

/* A number that carries its digits, as json_parse makes them. */
static cJSON *
new_number(double d, const char *digits)
{
	cJSON *item;

	if ((item = cJSON_CreateNumber(d)) == NULL)
		return (NULL);
	if ((item->valuestring = cJSON_malloc(strlen(digits) + 1)) == NULL) {
		cJSON_Delete(item);
		return (NULL);
	}
	memcpy(item->valuestring, digits, strlen(digits) + 1);
	return (item);
}

static cJSON *
json_new_i64(int64_t v)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%" PRId64, v);
	return (new_number((double)v, buf));
}

static cJSON *
json_new_u64(uint64_t v)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%" PRIu64, v);
	return (new_number((double)v, buf));
}

int
json_add(cJSON *obj, const char *key, cJSON *item)
{
	if (item == NULL)
		return (-1);
	if (!cJSON_IsObject(obj) || !cJSON_AddItemToObject(obj, key, item)) {
		cJSON_Delete(item);
		return (-1);
	}
	return (0);
}

int
json_add_bytes(cJSON *obj, const char *key, const char *s, size_t len)
{
	char *name;
	int r;

	if (json_is_text(s, len))
		return (json_add(obj, key, new_text(s, len)));
	if (asprintf(&name, "%s_b64", key) == -1)
		return (-1);
	r = json_add(obj, name, new_base64(s, len));
	free(name);
	return (r);
}

int
json_add_str(cJSON *obj, const char *key, const char *s)
{
	if (s == NULL)
		return (json_add_null(obj, key));
	return (json_add_bytes(obj, key, s, strlen(s)));
}

int
json_add_i64(cJSON *obj, const char *key, int64_t v)
{
	return (json_add(obj, key, json_new_i64(v)));
}

int
json_add_u64(cJSON *obj, const char *key, uint64_t v)
{
	return (json_add(obj, key, json_new_u64(v)));
}

int
json_add_bool(cJSON *obj, const char *key, bool v)
{
	return (json_add(obj, key, cJSON_CreateBool(v)));
}

int
json_add_null(cJSON *obj, const char *key)
{
	return (json_add(obj, key, cJSON_CreateNull()));
}

cJSON *
json_add_obj(cJSON *obj, const char *key)
{
	cJSON *item = cJSON_CreateObject();

	return (json_add(obj, key, item) == -1 ? NULL : item);
}

cJSON *
json_add_arr(cJSON *obj, const char *key)
{
	cJSON *item = cJSON_CreateArray();

	return (json_add(obj, key, item) == -1 ? NULL : item);
}

int
json_push(cJSON *arr, cJSON *item)
{
	if (item == NULL)
		return (-1);
	if (!cJSON_IsArray(arr) || !cJSON_AddItemToArray(arr, item)) {
		cJSON_Delete(item);
		return (-1);
	}
	return (0);
}

int
json_push_bytes(cJSON *arr, const char *s, size_t len)
{
	cJSON *item;

	if (json_is_text(s, len))
		return (json_push(arr, new_text(s, len)));
	if ((item = cJSON_CreateObject()) == NULL ||
	    json_add(item, "b64", new_base64(s, len)) == -1) {
		cJSON_Delete(item);
		return (-1);
	}
	return (json_push(arr, item));
}

int
json_push_str(cJSON *arr, const char *s)
{
	if (s == NULL)
		return (json_push(arr, cJSON_CreateNull()));
	return (json_push_bytes(arr, s, strlen(s)));
}

int
json_push_i64(cJSON *arr, int64_t v)
{
	return (json_push(arr, json_new_i64(v)));
}

int
json_push_u64(cJSON *arr, uint64_t v)
{
	return (json_push(arr, json_new_u64(v)));
}

cJSON *
json_push_obj(cJSON *arr)
{
	cJSON *item = cJSON_CreateObject();

	return (json_push(arr, item) == -1 ? NULL : item);
}
