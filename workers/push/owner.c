/*
 * Owners and modes of COPY, see owner.h.  Push worker; pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workers/push/owner.h"

#define TAR_BLOCK  512
#define OWNER_NAME 256

/* Digits only, up to the largest id; -1. */
static int
owner_number(const char *s, size_t n, uint32_t *out)
{
	uint64_t v = 0;

	if (n == 0 || n > 10)
		return (-1);
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return (-1);
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	if (v > INT32_MAX)
		return (-1);
	*out = (uint32_t)v;
	return (0);
}

static size_t
owner_split(const char *spec, const char **group)
{
	size_t n = strcspn(spec, ":");

	*group = spec[n] == ':' ? spec + n + 1 : NULL;
	return (n);
}

bool
owner_needs_files(const char *spec)
{
	const char *group;
	size_t n = owner_split(spec, &group);
	uint32_t id;

	return (owner_number(spec, n, &id) == -1 ||
	    (group != NULL && owner_number(group, strlen(group), &id) == -1));
}

/* The field number `want` of a line whose first field is name. */
static int
owner_lookup(const char *text, size_t len, const char *name, size_t n,
    unsigned want, uint32_t *out)
{
	const char *end = text + len, *eol, *p, *colon;

	for (; text < end; text = eol + 1) {
		eol = memchr(text, '\n', (size_t)(end - text));
		if (eol == NULL)
			eol = end;
		if ((size_t)(eol - text) <= n || text[n] != ':' ||
		    memcmp(text, name, n) != 0)
			continue;
		p = text;
		for (unsigned i = 0; i < want && p != NULL; i++) {
			p = memchr(p, ':', (size_t)(eol - p));
			if (p != NULL)
				p++;
		}
		if (p == NULL)
			continue;
		colon = memchr(p, ':', (size_t)(eol - p));
		if (owner_number(p, (size_t)((colon != NULL ? colon : eol) - p),
			out) == 0)
			return (0);
	}
	return (-1);
}

int
owner_parse(const char *spec, const char *passwd, size_t passwd_len,
    const char *group, size_t group_len, struct owner *out, char *why,
    size_t size)
{
	const char *g;
	size_t n = owner_split(spec, &g), gn;

	if (g == NULL) {
		g = spec;
		gn = n;
	} else
		gn = strlen(g);
	if (n == 0 || gn == 0 || n > OWNER_NAME || gn > OWNER_NAME) {
		snprintf(why, size, "--chown=%.100s is no USER[:GROUP]", spec);
		return (-1);
	}
	if (owner_number(spec, n, &out->uid) == -1 &&
	    (passwd == NULL ||
		owner_lookup(passwd, passwd_len, spec, n, 2, &out->uid) ==
		    -1)) {
		snprintf(why, size, "--chown: the container has no user %.*s",
		    (int)n, spec);
		return (-1);
	}
	if (owner_number(g, gn, &out->gid) == -1 &&
	    (group == NULL ||
		owner_lookup(group, group_len, g, gn, 2, &out->gid) == -1)) {
		snprintf(why, size, "--chown: the container has no group %.*s",
		    (int)gn, g);
		return (-1);
	}
	return (0);
}

/* Octal, with blanks and NULs around it; -1. */
static int
tar_number(const uint8_t *p, size_t n, size_t *out)
{
	size_t v = 0, i = 0;

	while (i < n && p[i] == ' ')
		i++;
	if (i == n || p[i] < '0' || p[i] > '7')
		return (-1);
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
		if (v > OWNER_FILE_MAX)
			return (-1);
		v = v * 8 + (size_t)(p[i] - '0');
	}
	if (i < n && p[i] != ' ' && p[i] != '\0')
		return (-1);
	*out = v;
	return (0);
}

int
owner_untar(const uint8_t *tar, size_t len, const char **text, size_t *text_len)
{
	size_t off = 0, size;

	while (off + TAR_BLOCK <= len) {
		const uint8_t *h = tar + off;

		if (memcmp(h + 257, "ustar", 5) != 0 ||
		    tar_number(h + 124, 12, &size) == -1 ||
		    size > len - off - TAR_BLOCK)
			return (-1);
		off += TAR_BLOCK;
		if (h[156] == '0' || h[156] == '\0') {
			*text = (const char *)tar + off;
			*text_len = size;
			return (0);
		}
		/* extended headers may come before it, nothing else */
		if (h[156] != 'x' && h[156] != 'g')
			return (-1);
		off += (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	}
	return (-1);
}

int
owner_mode(const char *spec, uint32_t *mode)
{
	uint32_t v = 0;
	size_t n = strlen(spec);

	if (n == 0 || n > 5 || strspn(spec, "01234567") != n)
		return (-1);
	for (size_t i = 0; i < n; i++)
		v = v * 8 + (uint32_t)(spec[i] - '0');
	if (v > 07777)
		return (-1);
	*mode = v;
	return (0);
}
