/*
 * Ids, names, paths, see spec.h.  Engine worker.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workers/engine/spec.h"

#define SPEC_NAME_MAX 255
#define SPEC_ID_LEN   64

static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "abcdefghijklmnopqrstuvwxyz0123456789";

bool
spec_is_container_id(const char *s)
{
	return (strlen(s) == SPEC_ID_LEN &&
	    strspn(s, "0123456789abcdef") == SPEC_ID_LEN);
}

bool
spec_is_image_id(const char *s)
{
	return (strncmp(s, "sha256:", 7) == 0 && spec_is_container_id(s + 7));
}

static bool
spec_is_alnum(char c)
{
	return (c != '\0' && strchr(alnum, c) != NULL);
}

bool
spec_is_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > SPEC_NAME_MAX || !spec_is_alnum(s[0]))
		return (false);
	for (; *s != '\0'; s++)
		if (!spec_is_alnum(*s) && strchr("_.-", *s) == NULL)
			return (false);
	return (true);
}

bool
spec_is_image_ref(const char *s)
{
	size_t n = strlen(s);
	char prev = '/';

	if (n == 0 || n > 512 || !spec_is_alnum(s[0]))
		return (false);
	for (; *s != '\0'; prev = *s++) {
		if (!spec_is_alnum(*s) && strchr("._:@/-", *s) == NULL)
			return (false);
		if (prev == '/' && (*s == '/' || *s == '.'))
			return (false);
	}
	return (prev != '/');
}

bool
spec_name_is_of(const char *name, const char *base)
{
	size_t n = strlen(base);

	return (spec_is_name(name) && strncmp(name, base, n) == 0 &&
	    (name[n] == '\0' || strchr("-._", name[n]) != NULL));
}

/* Length of the repository in a reference: up to its tag or digest. */
static size_t
spec_repository_len(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	const char *s = slash != NULL ? slash : ref;

	return ((size_t)(s - ref) + strcspn(s, ":@"));
}

bool
spec_same_repository(const char *ref, const char *image)
{
	size_t n = spec_repository_len(ref);

	return (spec_is_image_ref(ref) && strchr(ref, '@') == NULL &&
	    n == spec_repository_len(image) && strncmp(ref, image, n) == 0);
}

/* The next component behind *p; its length, 0 at the end. */
static size_t
spec_component(const char **p)
{
	*p += strspn(*p, "/");
	return (strcspn(*p, "/"));
}

bool
spec_is_path(const char *s)
{
	const char *p = s;
	size_t n;

	if (s[0] != '/' || strlen(s) >= PATH_MAX)
		return (false);
	for (; (n = spec_component(&p)) > 0; p += n)
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return (false);
	return (true);
}

bool
spec_is_workdir(const char *s)
{
	const char *p = s;
	size_t n;

	if (!spec_is_path(s))
		return (false);
	while ((n = spec_component(&p)) == 1 && *p == '.')
		p++;
	return (n != 4 || strncmp(p, "proc", 4) != 0);
}

/* The number behind "1.", -1 when s is no API version. */
static int
spec_api_minor(const char *s)
{
	size_t n;

	if (strncmp(s, "1.", 2) != 0)
		return (-1);
	s += 2;
	n = strspn(s, "0123456789");
	if (n == 0 || n > 3 || s[n] != '\0')
		return (-1);
	return ((int)strtol(s, NULL, 10));
}

bool
spec_is_api(const char *s)
{
	return (spec_api_minor(s) != -1);
}

int
spec_api_cmp(const char *a, const char *b)
{
	return (spec_api_minor(a) - spec_api_minor(b));
}

bool
spec_is_env(const char *s)
{
	return (s[0] != '\0' && s[0] != '=');
}

static bool
spec_is_bind_mode(const char *mode)
{
	static const char *const known[] = { "ro", "rw", "z", "Z", "shared",
		"rshared", "slave", "rslave", "private", "rprivate", "cached",
		"delegated", "consistent" };
	size_t n, i;

	for (;; mode += n + 1) {
		n = strcspn(mode, ",");
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strlen(known[i]) == n &&
			    strncmp(known[i], mode, n) == 0)
				break;
		if (i == sizeof(known) / sizeof(known[0]))
			return (false);
		if (mode[n] == '\0')
			return (true);
	}
}

bool
spec_is_bind(const char *s)
{
	char src[PATH_MAX], dst[PATH_MAX];
	const char *colon = strchr(s, ':'), *mode;
	const char *p = dst;
	int n;

	if (colon == NULL || (size_t)(colon - s) >= sizeof(src))
		return (false);
	snprintf(src, sizeof(src), "%.*s", (int)(colon - s), s);
	mode = strchr(colon + 1, ':');
	n = mode != NULL ? (int)(mode - colon - 1) : (int)strlen(colon + 1);
	if ((size_t)n >= sizeof(dst))
		return (false);
	snprintf(dst, sizeof(dst), "%.*s", n, colon + 1);
	if (!spec_is_path(src) || !spec_is_path(dst))
		return (false);
	/* the engine refuses to mount over the container's root */
	if (spec_component(&p) == 0)
		return (false);
	return (mode == NULL || spec_is_bind_mode(mode + 1));
}

void
spec_url_add(struct buf *b, const char *s)
{
	static const char hex[] = "0123456789ABCDEF";
	char esc[3] = "%";

	for (; *s != '\0'; s++) {
		if (spec_is_alnum(*s) || strchr("-._~", *s) != NULL) {
			buf_add(b, s, 1);
			continue;
		}
		esc[1] = hex[(unsigned char)*s >> 4];
		esc[2] = hex[(unsigned char)*s & 15];
		buf_add(b, esc, 3);
	}
}

void
spec_since(char *dst, size_t size, int64_t ns)
{
	if (ns < 0)
		ns = 0;
	snprintf(dst, size, "%" PRId64 ".%09" PRId64, ns / 1000000000,
	    ns % 1000000000);
}

static int
spec_base64_value(char c)
{
	const char *p;

	if (c == '+' || c == '-')
		return (62);
	if (c == '/' || c == '_')
		return (63);
	p = strchr(alnum, c);
	return (p != NULL && c != '\0' ? (int)(p - alnum) : -1);
}

int
spec_base64(const char *s, struct buf *out)
{
	uint32_t bits = 0;
	unsigned n = 0;
	uint8_t byte;
	int v;

	for (; *s != '\0' && *s != '='; s++) {
		if ((v = spec_base64_value(*s)) == -1)
			return (-1);
		bits = bits << 6 | (uint32_t)v;
		n += 6;
		if (n >= 8) {
			n -= 8;
			byte = (uint8_t)(bits >> n);
			buf_add(out, &byte, 1);
		}
	}
	return (
	    strspn(s, "=") == strlen(s) && strlen(s) <= 2 && n < 6 ? 0 : -1);
}
