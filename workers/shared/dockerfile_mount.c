/*
 * The value of RUN --mount: comma-separated fields, as BuildKit reads them.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/buf.h"
#include "workers/shared/dockerfile.h"

/* One CSV field, quotes removed; *s is moved behind it.  NULL: bad quote. */
static char *
take_field(const char **s)
{
	struct buf b = { 0 };
	const char *p = *s;
	char *out;

	if (*p != '"') {
		while (*p != '\0' && *p != ',')
			p++;
		out = xstrndup(*s, (size_t)(p - *s));
		*s = p;
		return (out);
	}
	for (p++; *p != '\0'; p++) {
		if (*p == '"' && p[1] != '"')
			break;
		if (*p == '"')
			p++;
		buf_add(&b, p, 1);
	}
	if (*p != '"' || (p[1] != '\0' && p[1] != ',')) {
		buf_free(&b);
		return (NULL);
	}
	*s = p + 1;
	out = xstrndup(b.len == 0 ? "" : (const char *)b.data, b.len);
	buf_free(&b);
	return (out);
}

static void
keep(char **where, const char *value)
{
	free(*where);
	*where = xstrdup(value);
}

static int
take_pair(struct dockerfile_mount *m, const char *key, const char *value,
    char *errbuf, size_t errlen)
{
	static const char *const types[] = { "bind", "cache", "tmpfs", "secret",
		"ssh" };
	const char *dollar;
	size_t i;

	if (strcmp(key, "from") == 0) {
		dollar = strchr(value, '$');
		if (dollar != NULL && dollar[1] != '\0') {
			snprintf(errbuf, errlen,
			    "'from' doesn't support "
			    "variable expansion, define alias stage instead");
			return (-1);
		}
		keep(&m->from, value);
	} else if (strcmp(key, "source") == 0 || strcmp(key, "src") == 0)
		keep(&m->source, value);
	else if (strcmp(key, "target") == 0 || strcmp(key, "dst") == 0 ||
	    strcmp(key, "destination") == 0)
		keep(&m->target, value);
	else if (strcmp(key, "type") == 0) {
		keep(&m->type, value);
		for (i = 0; m->type[i] != '\0'; i++)
			m->type[i] = (char)tolower((unsigned char)m->type[i]);
		if (strchr(value, '$') != NULL)
			return (0); /* a variable */
		for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			if (strcmp(types[i], m->type) == 0)
				return (0);
		snprintf(errbuf, errlen, "unsupported mount type \"%.40s\"",
		    value);
		return (-1);
	}
	return (0);
}

int
dockerfile_mount_parse(const char *s, struct dockerfile_mount *m, char *errbuf,
    size_t errlen)
{
	char *field, *eq, *p;
	int ret = 0;

	memset(m, 0, sizeof(*m));
	m->type = xstrdup("bind");
	while (*s != '\0' && ret == 0) {
		if ((field = take_field(&s)) == NULL) {
			snprintf(errbuf, errlen, "failed to parse csv mounts");
			ret = -1;
			break;
		}
		if ((eq = strchr(field, '=')) != NULL) {
			*eq = '\0';
			for (p = field; *p != '\0'; p++)
				*p = (char)tolower((unsigned char)*p);
			ret = take_pair(m, field, eq + 1, errbuf, errlen);
		}
		free(field);
		if (*s == ',')
			s++;
	}
	if (ret == -1)
		dockerfile_mount_clear(m);
	return (ret);
}

void
dockerfile_mount_clear(struct dockerfile_mount *m)
{
	free(m->type);
	free(m->from);
	free(m->source);
	free(m->target);
	memset(m, 0, sizeof(*m));
}
