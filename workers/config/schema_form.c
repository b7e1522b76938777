/*
 * The texts that a key takes, see schema.h.  Pure code, config process.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "log.h"
#include "names.h"
#include "workers/config/schema.h"
#include "workers/engine/spec.h"
#include "workers/shared/imageref.h"
#include "workers/shared/path_clean.h"

#define FORM_SHOWN 200 /* bytes of a bad value that an error shows */

/* "VALUE" and what is wrong with it. */
static char *
form_no(char *why, size_t size, const char *text, const char *rest)
{
	char esc[FORM_SHOWN];

	log_escape(esc, sizeof(esc), text, strlen(text));
	snprintf(why, size, "\"%s\"%s %s", esc,
	    strlen(esc) > FORM_SHOWN - 6 ? "..." : "", rest);
	return (NULL);
}

/* As text alone, below the directory of the file where it is relative. */
static char *
form_join(const struct schema *s, const char *path)
{
	char *full =
	    path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", s->dir, path);
	char *clean;
	size_t n;

	clean = path_clean(full, strlen(full), &n);
	free(full);
	if (clean == NULL)
		fatalx("no memory");
	return (clean);
}

/* A relative path without "..", cleaned; NULL: it is none. */
static char *
form_beneath(const char *path)
{
	char *clean;
	size_t n;

	if (path[0] == '/' || path_has_dotdot(path) || strlen(path) >= PATH_MAX)
		return (NULL);
	if ((clean = path_clean(path, strlen(path), &n)) == NULL)
		fatalx("no memory");
	if (strcmp(clean, ".") != 0)
		return (clean);
	free(clean);
	return (NULL);
}

char *
form_socket(const struct schema *s, const char *text, char *why, size_t size)
{
	if (text[0] != '/')
		return (form_no(why, size, text, "is not an absolute path"));
	if (strlen(text) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return (form_no(why, size, text,
		    "is too long for a socket's path; 107 bytes at most"));
	return (xstrdup(text));
}

char *
form_dir(const struct schema *s, const char *text, char *why, size_t size)
{
	char *dir;

	if (text[0] == '~')
		return (form_no(why, size, text,
		    "begins with a tilde, which is not expanded; write the "
		    "whole path, or ./~ for a directory of that name"));
	dir = form_join(s, text);
	if (strlen(dir) < PATH_MAX)
		return (dir);
	free(dir);
	return (form_no(why, size, text, "is too long for a path"));
}

char *
form_dockerfile(const struct schema *s, const char *text, char *why,
    size_t size)
{
	char *path = form_beneath(text);

	if (path == NULL)
		return (form_no(why, size, text,
		    "is not below dir; a relative path without \"..\" is "
		    "expected, such as docker/Dockerfile"));
	return (path);
}

char *
form_image(const struct schema *s, const char *text, char *why, size_t size)
{
	struct imageref ref;
	char err[256], rest[512];
	const char *base;

	if (imageref_parse(text, &ref, err, sizeof(err)) == -1) {
		snprintf(rest, sizeof(rest), "is no image's name: %s", err);
		return (form_no(why, size, text, rest));
	}
	imageref_clear(&ref);
	if (!spec_is_image_ref(text) || strchr(text, '@') != NULL)
		return (form_no(why, size, text,
		    "is no name for an image that is built; "
		    "[REGISTRY/]NAME[:TAG] is expected"));
	base = strrchr(text, '/');
	if (strchr(base != NULL ? base : text, ':') != NULL)
		return (xstrdup(text));
	return (xasprintf("%s:latest", text));
}

char *
form_name(const struct schema *s, const char *text, char *why, size_t size)
{
	if (name_is_valid(text))
		return (xstrdup(text));
	return (form_no(why, size, text,
	    "is no name; small letters, digits, and \"_\", \".\", \"-\" between "
	    "them are expected, 100 at most"));
}

char *
form_container(const struct schema *s, const char *text, char *why, size_t size)
{
	if (spec_is_name(text) && text[1] != '\0')
		return (xstrdup(text));
	return (form_no(why, size, text,
	    "is no container's name; a letter or digit, then one or more "
	    "letters, digits, \"_\", \".\" and \"-\" are expected"));
}

char *
form_network(const struct schema *s, const char *text, char *why, size_t size)
{
	if (spec_is_name(text))
		return (xstrdup(text));
	return (form_no(why, size, text,
	    "is no network's name; bridge, none, host or the name of a "
	    "network is expected"));
}

char *
form_target(const struct schema *s, const char *text, char *why, size_t size)
{
	if (spec_is_name(text))
		return (xstrdup(text));
	return (form_no(why, size, text,
	    "is no stage; the name or number of one of the Dockerfile's is "
	    "expected"));
}

char *
form_host(const struct schema *s, const char *text, char *why, size_t size)
{
	char *host;

	return (host_parse(text, &host, why, size) == 0 ? host : NULL);
}

char *
form_context(const struct schema *s, const char *text, char *why, size_t size)
{
	static const char known[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_.+-";

	/* docker's rule */
	if (text[0] != '\0' && strchr("_.+-", text[0]) == NULL &&
	    strspn(text, known) == strlen(text))
		return (xstrdup(text));
	return (form_no(why, size, text,
	    "is no name of a docker context; docker context ls shows them"));
}

char *
form_api(const struct schema *s, const char *text, char *why, size_t size)
{
	if (spec_is_api(text))
		return (xstrdup(text));
	return (form_no(why, size, text,
	    "is no version of the engine's API; such as \"1.41\""));
}

char *
form_port(const struct schema *s, const char *text, char *why, size_t size)
{
	struct port_spec p;

	if (spec_port_parse(text, &p) == 0)
		return (xstrdup(text));
	return (form_no(why, size, text,
	    "is no port; [[IP:]HOST:]CONTAINER[/tcp|udp|sctp] is expected, "
	    "such as 127.0.0.1:8080:80"));
}

/* The source may be relative where it begins with a dot, as with compose. */
char *
form_volume(const struct schema *s, const char *text, char *why, size_t size)
{
	const char *colon = strchr(text, ':');
	char *src, *from, *bind;

	if (text[0] == '~')
		return (form_no(why, size, text,
		    "begins with a tilde, which is not expanded; write the "
		    "whole path"));
	if (colon == NULL || text[0] != '.')
		bind = xstrdup(text);
	else {
		src = xstrndup(text, (size_t)(colon - text));
		from = form_join(s, src);
		bind = xasprintf("%s%s", from, colon);
		free(src);
		free(from);
	}
	if (spec_is_bind(bind))
		return (bind);
	free(bind);
	return (form_no(why, size, text,
	    "is no volume; SRC:DST[:MODE] is expected, SRC a path that begins "
	    "with / or ./ and DST an absolute one, such as ./data:/data:ro"));
}

char *
form_include(const struct schema *s, const char *text, char *why, size_t size)
{
	char *path = form_beneath(text);

	if (path == NULL)
		return (form_no(why, size, text,
		    "is not below the directory of this file; a relative path "
		    "without \"..\" is expected"));
	return (path);
}
