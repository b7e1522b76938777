/*
 * Names, paths and addresses, see names.h.
 */
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "buf.h"
#include "log.h"
#include "names.h"

bool
name_is_valid(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_.-");

	return (n > 0 && s[n] == '\0' && strchr("_.-", s[0]) == NULL &&
	    strchr("_.-", s[n - 1]) == NULL && n <= NAME_MAX_LEN);
}

bool
path_has_dotdot(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")) != NULL; p += 2)
		if ((p == path || p[-1] == '/') &&
		    (p[2] == '/' || p[2] == '\0'))
			return (true);
	return (false);
}

/* What is not served, in words. */
static const char *
host_kind(const char *h)
{
	static const struct {
		const char *prefix;
		const char *kind;
	} kinds[] = { { "ssh://", "ssh" }, { "tcp://", "tcp" },
		{ "http://", "tcp" }, { "https://", "tcp" },
		{ "npipe://", "a Windows pipe" }, { "fd://", "fd" },
		{ "unix://", "a path that is not absolute" } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(h, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return (kinds[i].kind);
	return ("another form");
}

int
host_parse(const char *given, char **host, char *why, size_t size)
{
	const char *h = given;
	char esc[512];

	/* as docker reads both */
	if (*h == '\0' || strcmp(h, "unix://") == 0)
		h = HOST_DEFAULT;
	if (strncmp(h, "unix:///", 8) == 0 &&
	    strlen(h + 7) < sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		*host = xstrdup(h);
		return (0);
	}
	log_escape(esc, sizeof(esc), h, strlen(h));
	if (strncmp(h, "unix:///", 8) == 0)
		snprintf(why, size, "%s: too long for a socket's path", esc);
	else
		snprintf(why, size,
		    "only unix:///path is served so far; %s is %s", esc,
		    host_kind(h));
	return (-1);
}
