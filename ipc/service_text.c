/*
 * What a service is made of, see service_text.h.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "service_text.h"

#define NTEXTS    (sizeof(texts) / sizeof(texts[0]))
#define NLISTS    (sizeof(lists) / sizeof(lists[0]))
#define HEAD_SIZE 8 /* of a field, see field.h */

static const struct {
	enum field_key key;
	size_t at;
	bool needed;
} texts[] = {
	{ F_NAME, offsetof(struct service_text, name), true },
	{ F_DIR, offsetof(struct service_text, dir), true },
	{ F_DOCKERFILE, offsetof(struct service_text, dockerfile), true },
	{ F_IMAGE, offsetof(struct service_text, image), true },
	{ F_CONTAINER, offsetof(struct service_text, container), true },
	{ F_TARGET, offsetof(struct service_text, target), false },
	{ F_NETWORK, offsetof(struct service_text, network), false },
};

static const struct {
	enum field_key key;
	size_t at;
} lists[] = {
	{ F_ENV, offsetof(struct service_text, env) },
	{ F_PORT, offsetof(struct service_text, ports) },
	{ F_BIND, offsetof(struct service_text, binds) },
	{ F_BUILD_ARG, offsetof(struct service_text, build_args) },
};

static char **
service_text_at(const struct service_text *t, size_t i)
{
	return ((char **)((uintptr_t)t + texts[i].at));
}

static struct strings *
service_list_at(const struct service_text *t, size_t i)
{
	return ((struct strings *)((uintptr_t)t + lists[i].at));
}

void
service_text_free(struct service_text *t)
{
	for (size_t i = 0; i < NTEXTS; i++)
		free(*service_text_at(t, i));
	for (size_t i = 0; i < NLISTS; i++)
		strings_free(service_list_at(t, i));
	memset(t, 0, sizeof(*t));
}

static void
service_list_take(struct strings *l, const struct fields *t, enum field_key key)
{
	struct field f;
	size_t off = 0;

	while (field_next(t, &off, &f) == 1)
		if (f.key == key)
			strings_take(l, xstrndup(f.str, f.len));
}

int
service_text_take(struct service_text *t, const struct fields *f)
{
	int ret = 0;

	for (size_t i = 0; i < NTEXTS; i++) {
		*service_text_at(t, i) = fields_dup(f, texts[i].key);
		if (texts[i].needed && *service_text_at(t, i) == NULL)
			ret = -1;
	}
	for (size_t i = 0; i < NLISTS; i++)
		service_list_take(service_list_at(t, i), f, lists[i].key);
	return (ret);
}

void
service_text_add(const struct service_text *t, struct buf *b)
{
	const struct strings *l;

	for (size_t i = 0; i < NTEXTS; i++)
		if (*service_text_at(t, i) != NULL)
			fields_add_str(b, texts[i].key, *service_text_at(t, i));
	for (size_t i = 0; i < NLISTS; i++) {
		l = service_list_at(t, i);
		for (size_t j = 0; j < l->n; j++)
			fields_add_str(b, lists[i].key, l->v[j]);
	}
}

static bool
service_same(const char *a, const char *b)
{
	return (a == NULL || b == NULL ? a == b : strcmp(a, b) == 0);
}

bool
service_text_same(const struct service_text *a, const struct service_text *b)
{
	for (size_t i = 0; i < NTEXTS; i++)
		if (!service_same(*service_text_at(a, i),
			*service_text_at(b, i)))
			return (false);
	for (size_t i = 0; i < NLISTS; i++)
		if (!strings_same(service_list_at(a, i), service_list_at(b, i)))
			return (false);
	return (true);
}

size_t
service_text_bytes(const struct service_text *t)
{
	const struct strings *l;
	size_t n = 0;

	for (size_t i = 0; i < NTEXTS; i++)
		if (*service_text_at(t, i) != NULL)
			n += strlen(*service_text_at(t, i)) + HEAD_SIZE;
	for (size_t i = 0; i < NLISTS; i++) {
		l = service_list_at(t, i);
		for (size_t j = 0; j < l->n; j++)
			n += strlen(l->v[j]) + HEAD_SIZE;
	}
	return (n);
}

size_t
service_text_most(const struct service_text *t)
{
	size_t n = 0;

	for (size_t i = 0; i < NLISTS; i++)
		if (service_list_at(t, i)->n > n)
			n = service_list_at(t, i)->n;
	return (n);
}
