/*
 * Image references.  Grammar and words: github.com/distribution/reference.
 */
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/buf.h"
#include "workers/shared/imageref.h"

#define MAX_REPOSITORY 255 /* registry and path */
#define MAX_TAG        128

static int __attribute__((__format__(printf, 3, 4)))
ref_fail(char *errbuf, size_t errlen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(errbuf, errlen, fmt, ap);
	va_end(ap);
	return (-1);
}

static bool
is_lower(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
}

static bool
is_word(char c)
{
	return (is_lower(c) || (c >= 'A' && c <= 'Z') || c == '_');
}

/*
 * Components of letters and digits, between which stand one '.', one or two
 * '_', or any number of '-'.
 */
static bool
path_ok(const char *s)
{
	size_t n;

	for (;;) {
		if (!is_lower(*s))
			return (false);
		while (is_lower(*s))
			s++;
		if (*s == '\0')
			return (true);
		if (*s == '/' || *s == '.')
			s++;
		else if (*s == '_') {
			n = strspn(s, "_");
			if (n > 2)
				return (false);
			s += n;
		} else if (*s == '-')
			s += strspn(s, "-");
		else
			return (false);
	}
}

/* host or host:port, the host a name, an address or [IPv6] */
static bool
registry_ok(const char *s)
{
	const char *start;

	if (*s == '[') {
		s++;
		if (strspn(s, "0123456789abcdefABCDEF:") == 0)
			return (false);
		s += strspn(s, "0123456789abcdefABCDEF:");
		if (*s++ != ']')
			return (false);
	} else {
		for (;;) {
			start = s;
			while (is_lower(*s) || (*s >= 'A' && *s <= 'Z') ||
			    *s == '-')
				s++;
			if (s == start || *start == '-' || s[-1] == '-')
				return (false);
			if (*s != '.')
				break;
			s++;
		}
	}
	if (*s == '\0')
		return (true);
	return (s[0] == ':' && s[1] != '\0' &&
	    s[1 + strspn(s + 1, "0123456789")] == '\0');
}

static bool
tag_ok(const char *s)
{
	size_t n;

	if (!is_word(*s))
		return (false);
	for (n = 0; is_word(s[n]) || s[n] == '.' || s[n] == '-'; n++)
		;
	return (n <= MAX_TAG && s[n] == '\0');
}

static int
digest_ok(const char *s, char *errbuf, size_t errlen)
{
	const char *hex = strchr(s, ':'), *start = s;
	size_t n, want = 0;

	if (hex == NULL || hex == s)
		return (ref_fail(errbuf, errlen, "invalid reference format"));
	for (; s < hex; s++)
		if (!isalnum((unsigned char)*s) && strchr("+._-", *s) == NULL)
			return (ref_fail(errbuf, errlen,
			    "invalid reference format"));
	hex++;
	n = strspn(hex, "0123456789abcdef");
	if (hex[n] != '\0' || n < 32)
		return (ref_fail(errbuf, errlen, "invalid reference format"));
	if (strncmp(start, "sha256:", 7) == 0)
		want = 64;
	else if (strncmp(start, "sha512:", 7) == 0)
		want = 128;
	else if (strncmp(start, "sha384:", 7) == 0)
		want = 96;
	if (want == 0)
		return (
		    ref_fail(errbuf, errlen, "unsupported digest algorithm"));
	if (n != want)
		return (
		    ref_fail(errbuf, errlen, "invalid checksum digest length"));
	return (0);
}

/* Split the registry off the front of name: whether it has one. */
static bool
has_registry(const char *name, size_t *len)
{
	const char *slash = strchr(name, '/');
	size_t i, n;

	if (slash == NULL)
		return (false);
	*len = n = (size_t)(slash - name);
	if (n == 9 && strncmp(name, "localhost", n) == 0)
		return (true);
	for (i = 0; i < n; i++)
		if (name[i] == '.' || name[i] == ':' ||
		    isupper((unsigned char)name[i]))
			return (true);
	return (false);
}

static bool
all_hex64(const char *s)
{
	return (strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64);
}

/* Cut "@digest" and ":tag" off text. */
static int
take_suffixes(char *text, struct imageref *ref, char *errbuf, size_t errlen)
{
	char *at, *colon, *slash;

	if ((at = strchr(text, '@')) != NULL) {
		*at++ = '\0';
		if (digest_ok(at, errbuf, errlen) == -1)
			return (-1);
		ref->digest = xstrdup(at);
	}
	slash = strrchr(text, '/');
	colon = strrchr(slash == NULL ? text : slash, ':');
	if (colon != NULL) {
		*colon++ = '\0';
		if (!tag_ok(colon))
			return (ref_fail(errbuf, errlen,
			    "invalid reference format"));
		ref->tag = xstrdup(colon);
	}
	return (0);
}

static int
take_name(const char *name, struct imageref *ref, char *errbuf, size_t errlen)
{
	const char *path = name, *p;
	size_t n = 0;

	if (has_registry(name, &n)) {
		ref->registry = xstrndup(name, n);
		path = name + n + 1;
	} else
		ref->registry = xstrdup("docker.io");
	if (strcmp(ref->registry, "index.docker.io") == 0) {
		free(ref->registry);
		ref->registry = xstrdup("docker.io");
	}
	for (p = path; *p != '\0'; p++)
		if (isupper((unsigned char)*p))
			return (ref_fail(errbuf, errlen,
			    "invalid reference "
			    "format: repository name (%.100s) must be "
			    "lowercase",
			    path));
	if (!registry_ok(ref->registry) || !path_ok(path))
		return (ref_fail(errbuf, errlen, "invalid reference format"));
	if (strcmp(ref->registry, "docker.io") == 0 &&
	    strchr(path, '/') == NULL)
		ref->repository = xasprintf("library/%s", path);
	else
		ref->repository = xstrdup(path);
	if (strlen(ref->registry) + 1 + strlen(ref->repository) >
	    MAX_REPOSITORY)
		return (ref_fail(errbuf, errlen,
		    "repository name must not be "
		    "more than %d characters",
		    MAX_REPOSITORY));
	return (0);
}

int
imageref_parse(const char *s, struct imageref *ref, char *errbuf, size_t errlen)
{
	char *text;
	int ret = -1;

	memset(ref, 0, sizeof(*ref));
	if (*s == '\0' || strlen(s) > IMAGEREF_MAX)
		return (ref_fail(errbuf, errlen, "invalid reference format"));
	if (all_hex64(s))
		return (ref_fail(errbuf, errlen,
		    "invalid repository name "
		    "(%s), cannot specify 64-byte hexadecimal strings",
		    s));
	text = xstrdup(s);
	if (take_suffixes(text, ref, errbuf, errlen) == -1 ||
	    take_name(text, ref, errbuf, errlen) == -1)
		goto out;
	if (ref->tag == NULL && ref->digest == NULL)
		ref->tag = xstrdup("latest");
	ret = 0;
out:
	free(text);
	if (ret == -1)
		imageref_clear(ref);
	return (ret);
}

void
imageref_clear(struct imageref *ref)
{
	free(ref->registry);
	free(ref->repository);
	free(ref->tag);
	free(ref->digest);
	memset(ref, 0, sizeof(*ref));
}

static char *
join(const char *registry, const char *repository, const struct imageref *ref)
{
	/* a reference that was parsed has both */
	assert(registry != NULL && repository != NULL);
	return (xasprintf("%s%s%s%s%s%s%s", registry,
	    *registry == '\0' ? "" : "/", repository,
	    ref->tag == NULL ? "" : ":", ref->tag == NULL ? "" : ref->tag,
	    ref->digest == NULL ? "" : "@",
	    ref->digest == NULL ? "" : ref->digest));
}

char *
imageref_format(const struct imageref *ref)
{
	return (join(ref->registry, ref->repository, ref));
}

char *
imageref_familiar(const struct imageref *ref)
{
	const char *path = ref->repository;
	size_t n;

	if (strcmp(ref->registry, "docker.io") != 0)
		return (imageref_format(ref));
	/* "library/a/b" would be read as something else without library. */
	if (strncmp(path, "library/", 8) == 0 && strchr(path + 8, '/') == NULL)
		path += 8;
	/* "docker.io/a.b/c" is not what registry a.b has as c */
	if (has_registry(path, &n))
		return (imageref_format(ref));
	return (join("", path, ref));
}

char *
imageref_normal(const char *s, char *errbuf, size_t errlen)
{
	struct imageref ref;
	char *out;

	if (imageref_parse(s, &ref, errbuf, errlen) == -1)
		return (NULL);
	out = imageref_format(&ref);
	imageref_clear(&ref);
	return (out);
}
