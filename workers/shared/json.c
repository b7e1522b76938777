/*
 * JSON at the edges: the one wrapper over cJSON.  Pure code, any process that
 * links cJSON.
 *
 * A number whose digits a double could lose carries them in `valuestring`,
 * which cJSON leaves NULL for numbers, and frees.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/shared/json.h"
#include "workers/shared/json_scan.h"
#include "workers/shared/utf8.h"

/* Up to this many characters without an exponent survive a double. */
#define DOUBLE_SAFE 15
/* A bit of `type` that cJSON does not use: printed raw, but a number. */
#define RAW_NUMBER (1 << 16)

static void *
json_alloc(size_t size)
{
	return (xreallocarray(NULL, size, 1));
}

/*
 * An answer that there is no memory for is not one that is not understood:
 * the process ends, as for any other allocation, and is started again.
 */
static void __attribute__((constructor)) json_init(void)
{
	cJSON_Hooks hooks = { .malloc_fn = json_alloc, .free_fn = free };

	cJSON_InitHooks(&hooks);
}

static void
error_set(struct json_error *err, const char *s, size_t at, const char *why)
{
	size_t i;

	if (err == NULL)
		return;
	err->line = err->column = 1;
	for (i = 0; i < at; i++) {
		err->column++;
		if (s[i] == '\n') {
			err->line++;
			err->column = 1;
		}
	}
	snprintf(err->text, sizeof(err->text), "%s", why);
}

static char *
token_dup(const char *s, size_t len)
{
	char *p;

	if ((p = cJSON_malloc(len + 1)) != NULL) {
		memcpy(p, s, len);
		p[len] = '\0';
	}
	return (p);
}

static bool
number_is_safe(const char *s, size_t len)
{
	return (len <= DOUBLE_SAFE && memchr(s, 'e', len) == NULL &&
	    memchr(s, 'E', len) == NULL);
}

/* cJSON keeps the order of the text: the next number is the next token. */
static int
numbers_attach(cJSON *item, const char *s, const struct json_scan *scan,
    size_t *next)
{
	const struct json_scan_number *num;

	for (; item != NULL; item = item->next) {
		if (item->child != NULL &&
		    numbers_attach(item->child, s, scan, next) == -1)
			return (-1);
		if (!cJSON_IsNumber(item))
			continue;
		if (*next >= scan->n)
			return (-1);
		num = &scan->numbers[(*next)++];
		if (number_is_safe(s + num->at, num->len))
			continue;
		item->valuestring = token_dup(s + num->at, num->len);
		if (item->valuestring == NULL)
			return (-1);
	}
	return (0);
}

cJSON *
json_parse(const void *bytes, size_t len, size_t max, struct json_error *err)
{
	const char *s = bytes;
	struct json_scan scan = { 0 };
	cJSON *item = NULL;
	size_t next = 0;

	if (len > max) {
		error_set(err, s, 0, "more text than is allowed");
		return (NULL);
	}
	if (json_scan_text(&scan, s, len, JSON_DEPTH_MAX) == -1) {
		error_set(err, s, scan.at, scan.why);
		goto out;
	}
	item = cJSON_ParseWithLength(s, len);
	if (item == NULL || numbers_attach(item, s, &scan, &next) == -1 ||
	    next != scan.n) {
		error_set(err, s, 0, "no memory");
		cJSON_Delete(item);
		item = NULL;
	}
out:
	free(scan.numbers);
	return (item);
}

/* Makes cJSON print the digits that were read, and takes that back. */
static void
numbers_raw(cJSON *item, bool raw)
{
	for (; item != NULL; item = item->next) {
		numbers_raw(item->child, raw);
		if (raw && cJSON_IsNumber(item) && item->valuestring != NULL)
			item->type =
			    (item->type & ~0xff) | cJSON_Raw | RAW_NUMBER;
		else if (!raw && (item->type & RAW_NUMBER) != 0)
			item->type =
			    (item->type & ~0xff & ~RAW_NUMBER) | cJSON_Number;
	}
}

/* Escapes DEL and C1, which cJSON passes: they occur in strings only. */
static char *
print_escape(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	char *out, *p;

	out = p = xreallocarray(NULL, strlen(s) + 1, 6);
	for (; *u != '\0'; u++) {
		if (*u == 0x7f) {
			p += snprintf(p, 7, "\\u007f");
		} else if (u[0] == 0xc2 && u[1] >= 0x80 && u[1] <= 0x9f) {
			p += snprintf(p, 7, "\\u%04x", (unsigned)u[1]);
			u++;
		} else {
			*p++ = (char)*u;
		}
	}
	*p = '\0';
	return (out);
}

char *
json_print(const cJSON *item)
{
	/* Only types change, and they are put back: a print may be const. */
	union {
		const cJSON *in;
		cJSON *out;
	} u = { .in = item };
	cJSON *next;
	char *s, *out = NULL;

	if (item == NULL)
		return (NULL);
	next = u.out->next;
	u.out->next = NULL;
	numbers_raw(u.out, true);
	s = cJSON_PrintUnformatted(item);
	numbers_raw(u.out, false);
	u.out->next = next;
	if (s != NULL)
		out = print_escape(s);
	cJSON_free(s);
	return (out);
}

int
json_write_line(FILE *f, const cJSON *item)
{
	char *s;
	int r;

	if ((s = json_print(item)) == NULL)
		return (-1);
	r = fprintf(f, "%s\n", s) < 0 ? -1 : 0;
	free(s);
	return (r);
}

const cJSON *
json_get(const cJSON *obj, const char *key)
{
	if (!cJSON_IsObject(obj))
		return (NULL);
	return (cJSON_GetObjectItemCaseSensitive(obj, key));
}

const cJSON *
json_obj(const cJSON *obj, const char *key)
{
	const cJSON *item = json_get(obj, key);

	return (cJSON_IsObject(item) ? item : NULL);
}

const cJSON *
json_arr(const cJSON *obj, const char *key)
{
	const cJSON *item = json_get(obj, key);

	return (cJSON_IsArray(item) ? item : NULL);
}

const char *
json_str(const cJSON *obj, const char *key)
{
	return (cJSON_GetStringValue(json_get(obj, key)));
}

int
json_get_bool(const cJSON *obj, const char *key, bool *out)
{
	const cJSON *item = json_get(obj, key);

	if (!cJSON_IsBool(item))
		return (-1);
	*out = cJSON_IsTrue(item) != 0;
	return (0);
}

/* The digits of a whole number, in `buf` when a double carries them. */
static const char *
number_digits(const cJSON *item, char *buf, size_t size)
{
	double d;

	if (item == NULL || !cJSON_IsNumber(item))
		return (NULL);
	if (item->valuestring != NULL)
		return (item->valuestring);
	d = item->valuedouble;
	if (!(d > -1e15 && d < 1e15) || d != (double)(int64_t)d)
		return (NULL);
	snprintf(buf, size, "%" PRId64, (int64_t)d);
	return (buf);
}

int
json_i64(const cJSON *item, int64_t *out)
{
	char buf[32], *end;
	const char *s = number_digits(item, buf, sizeof(buf));
	intmax_t v;

	if (s == NULL)
		return (-1);
	errno = 0;
	v = strtoimax(s, &end, 10);
	if (errno != 0 || end == s || *end != '\0' || v < INT64_MIN ||
	    v > INT64_MAX)
		return (-1);
	*out = v;
	return (0);
}

int
json_u64(const cJSON *item, uint64_t *out)
{
	char buf[32], *end;
	const char *s = number_digits(item, buf, sizeof(buf));
	uintmax_t v;

	if (s == NULL || s[0] == '-')
		return (-1);
	errno = 0;
	v = strtoumax(s, &end, 10);
	if (errno != 0 || end == s || *end != '\0' || v > UINT64_MAX)
		return (-1);
	*out = v;
	return (0);
}

int
json_get_i64(const cJSON *obj, const char *key, int64_t *out)
{
	return (json_i64(json_get(obj, key), out));
}

int
json_get_u64(const cJSON *obj, const char *key, uint64_t *out)
{
	return (json_u64(json_get(obj, key), out));
}

const cJSON *
json_at(const cJSON *obj, ...)
{
	const char *key;
	va_list ap;

	va_start(ap, obj);
	while ((key = va_arg(ap, const char *)) != NULL)
		obj = json_get(obj, key);
	va_end(ap);
	return (obj);
}
