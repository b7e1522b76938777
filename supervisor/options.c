/*
 * Command line and environment of wharfd, see options.h.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "names.h"
#include "options.h"
#include "options_path.h"
#include "workers/shared/utf8.h"

enum {
	OPT_NAME = 256,
	OPT_NETWORK,
	OPT_KEEP,
	OPT_SANDBOX,
	OPT_REQUIRE,
	OPT_PROBE,
	OPT_WRAP,
	OPT_MAX_RESTARTS,
	OPT_DOCKERFILE,
	OPT_TARGET,
	OPT_BUILD_ARG,
	OPT_VOLUME,
	OPT_LOG,
};

static const struct option longopts[] = {
	{ "name", required_argument, NULL, OPT_NAME },
	{ "network", required_argument, NULL, OPT_NETWORK },
	{ "keep", no_argument, NULL, OPT_KEEP },
	{ "sandbox", required_argument, NULL, OPT_SANDBOX },
	{ "require-sandbox", no_argument, NULL, OPT_REQUIRE },
	{ "probe-sandbox", no_argument, NULL, OPT_PROBE },
	{ "wrap", required_argument, NULL, OPT_WRAP },
	{ "max-restarts", required_argument, NULL, OPT_MAX_RESTARTS },
	{ "dockerfile", required_argument, NULL, OPT_DOCKERFILE },
	{ "target", required_argument, NULL, OPT_TARGET },
	{ "build-arg", required_argument, NULL, OPT_BUILD_ARG },
	{ "volume", required_argument, NULL, OPT_VOLUME },
	{ "log", required_argument, NULL, OPT_LOG },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
    "usage: wharfd [-dnvV] [-f FILE] [OPTIONS]\n"
    "       wharfd [-dnvV] [OPTIONS] [-e K=V]... [-p HOST:CONTAINER]... "
    "[-v SRC:DST]...\n"
    "              [--network N] [--name NAME] [--keep] "
    "[--dockerfile FILE]\n"
    "              [--target STAGE] [--build-arg K=V]... DIR\n"
    "       OPTIONS: [-s SOCKET] [-D TOKEN]... [--sandbox on|trap|off] "
    "[--require-sandbox]\n"
    "              [--max-restarts N] [--log text|json|syslog]\n"
    "              [--wrap WORKER=COMMAND]\n"
    "       wharfd --probe-sandbox [-j]\n";

/* A line for a terminal: names are the shell's, and may be anybody's. */
static void __attribute__((format(printf, 1, 0)))
options_say(const char *fmt, va_list ap)
{
	char text[PATH_MAX + 256], esc[2 * sizeof(text)];

	vsnprintf(text, sizeof(text), fmt, ap);
	fprintf(stderr, "wharfd: %s\n",
	    log_escape(esc, sizeof(esc), text, strlen(text)));
}

static int __attribute__((format(printf, 2, 3)))
options_fail(int *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	options_say(fmt, ap);
	va_end(ap);
	*code = EX_USAGE;
	return (-1);
}

static int __attribute__((format(printf, 2, 3)))
options_no_input(int *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	options_say(fmt, ap);
	va_end(ap);
	*code = EX_NOINPUT;
	return (-1);
}

static void
options_set(char **p, const char *s)
{
	free(*p);
	*p = xstrdup(s);
}

char *
options_name_from_dir(const char *dir)
{
	const char *base = strrchr(dir, '/');
	char *name = xstrdup(base != NULL ? base + 1 : dir);
	size_t out = 0;

	for (const char *p = base != NULL ? base + 1 : dir; *p != '\0'; p++) {
		bool upper = *p >= 'A' && *p <= 'Z';
		char c = (char)(upper ? *p + 'a' - 'A' : *p);
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		/* separators never lead, trail or repeat: one rule for all */
		if (plain)
			name[out++] = c;
		else if (out > 0 && name[out - 1] != '-')
			name[out++] = '-';
	}
	if (out > NAME_MAX_LEN)
		out = NAME_MAX_LEN;
	while (out > 0 && name[out - 1] == '-')
		out--;
	name[out] = '\0';
	/* docker wants two characters for a container */
	if (!name_is_valid(name) || name[1] == '\0') {
		free(name);
		return (NULL);
	}
	return (name);
}

static int
options_sandbox(struct options *o, const char *s, int *code)
{
	o->has_sandbox = true;
	if (strcmp(s, "on") == 0)
		o->sandbox = SANDBOX_ON;
	else if (strcmp(s, "trap") == 0)
		o->sandbox = SANDBOX_TRAP;
	else if (strcmp(s, "off") == 0)
		o->sandbox = SANDBOX_OFF;
	else
		return (options_fail(code,
		    "--sandbox: on, trap or off, not '%s'", s));
	return (0);
}

static int
options_log(struct options *o, const char *s, int *code)
{
	o->has_log = true;
	if (log_format_by_name(s, &o->log) == -1)
		return (options_fail(code,
		    "--log: text, json or syslog, not '%s'", s));
	return (0);
}

static int
options_token(struct options *o, const char *s, int *code)
{
	if (!log_token_exists(s))
		return (options_fail(code, "-D: one of %s, not '%s'",
		    log_token_names(), s));
	strings_add(&o->tokens, s);
	return (0);
}

static int
options_wrap(struct options *o, const char *s, int *code)
{
	const char *eq = strchr(s, '=');
	char *role;

	if (eq == NULL || eq[1] == '\0')
		return (
		    options_fail(code, "--wrap: WORKER=COMMAND, not '%s'", s));
	role = xstrndup(s, (size_t)(eq - s));
	o->wrap_role = proc_by_name(role);
	free(role);
	if (o->wrap_role < PROC_WATCH || o->wrap_role > PROC_CONTROL)
		return (options_fail(code, "--wrap: no worker in '%s'", s));
	options_set(&o->wrap, eq + 1);
	return (0);
}

/* K=V, with a name; the engine would take other things silently. */
static int
options_add_pair(struct strings *l, const char *what, const char *s, int *code)
{
	if (s[0] == '=' || strchr(s, '=') == NULL)
		return (options_fail(code, "%s: K=V, not '%s'", what, s));
	strings_add(l, s);
	return (0);
}

static int
options_long(struct options *o, int opt, const char *arg, int *code)
{
	const char *err;

	switch (opt) {
	case OPT_NAME:
		if (!name_is_valid(arg) || arg[1] == '\0')
			return (options_fail(code,
			    "--name: '%s' is no name for "
			    "an image and a container: two characters or "
			    "more, a-z, 0-9, and _.- between them",
			    arg));
		options_set(&o->name, arg);
		return (0);
	case OPT_NETWORK:
		options_set(&o->network, arg);
		return (0);
	case OPT_KEEP:
		o->keep = true;
		return (0);
	case OPT_SANDBOX:
		return (options_sandbox(o, arg, code));
	case OPT_REQUIRE:
		o->require_sandbox = true;
		return (0);
	case OPT_PROBE:
		o->probe = true;
		return (0);
	case OPT_WRAP:
		return (options_wrap(o, arg, code));
	case OPT_MAX_RESTARTS:
		o->max_restarts = (unsigned)strtonum(arg, 1, 1000000, &err);
		return (err == NULL ?
			0 :
			options_fail(code, "--max-restarts: %s", err));
	case OPT_DOCKERFILE:
		options_set(&o->dockerfile, arg);
		return (0);
	case OPT_TARGET:
		options_set(&o->target, arg);
		return (0);
	case OPT_BUILD_ARG:
		return (
		    options_add_pair(&o->build_args, "--build-arg", arg, code));
	case OPT_VOLUME:
		strings_add(&o->binds, arg);
		return (0);
	case OPT_LOG:
		return (options_log(o, arg, code));
	default:
		fputs(usage, stderr);
		*code = EX_USAGE;
		return (-1);
	}
}

/* An operand: DIR, or what follows a -v that was a volume after all. */
static int
options_operand(struct options *o, const char *arg, bool after_v, int *code)
{
	if (after_v && strchr(arg, ':') != NULL) {
		o->verbose--;
		strings_add(&o->binds, arg);
		return (0);
	}
	if (o->dir != NULL)
		return (options_fail(code, "one directory only, not '%s' too",
		    arg));
	o->dir = xstrdup(arg);
	return (0);
}

static int
options_short(struct options *o, int opt, const char *arg, int *code)
{
	switch (opt) {
	case 'd':
		o->foreground = true;
		return (0);
	case 'n':
		o->check = true;
		return (0);
	case 'v':
		o->verbose++;
		return (0);
	case 'j':
		o->json = true;
		return (0);
	case 'f':
		options_set(&o->file, arg);
		return (0);
	case 's':
		options_set(&o->socket, arg);
		return (0);
	case 'D':
		return (options_token(o, arg, code));
	case 'e':
		return (options_add_pair(&o->env, "-e", arg, code));
	case 'p':
		strings_add(&o->ports, arg);
		return (0);
	case 'V':
		printf("wharfd %s\n", WHARF_VERSION);
		*code = EX_OK;
		return (-1);
	default:
		return (options_long(o, opt, arg, code));
	}
}

/* getopt's complaint, about the option or about what it lacks. */
static int
options_unknown(const char *word, int *code)
{
	char letter[] = { '-', (char)optopt, '\0' };

	if (optopt > ' ' && optopt < 0x7f) /* in the middle of a word, maybe */
		word = letter;
	options_fail(code, "%s: unknown, or used wrongly", word);
	fputs(usage, stderr);
	return (-1);
}

static int
options_getopt(struct options *o, int argc, char **argv, int *code)
{
	bool after_v = false;
	int c, r;

	opterr = 0; /* its words would show what was given as it is */
	optind = 0; /* glibc: start anew, whatever was parsed before */
	while ((c = getopt_long(argc, argv, "-dnvVjf:s:D:e:p:", longopts,
		    NULL)) != -1) {
		if (c == '?')
			return (options_unknown(argv[optind - 1], code));
		r = c == 1 ? options_operand(o, optarg, after_v, code) :
			     options_short(o, c, optarg, code);
		if (r == -1)
			return (-1);
		after_v = c == 'v';
	}
	for (; optind < argc; optind++)
		if (options_operand(o, argv[optind], false, code) == -1)
			return (-1);
	return (0);
}

/* Of the command line or the environment; else where it is without them. */
static int
options_socket(struct options *o, int *code)
{
	const char *s = getenv("WHARF_SOCKET");

	if (o->socket == NULL && s != NULL && *s != '\0')
		o->socket = xstrdup(s);
	o->has_socket = o->socket != NULL;
	if (o->socket == NULL)
		o->socket = options_default_socket();
	return (options_absolute(&o->socket, code));
}

/* The Dockerfile's path below the directory. */
static int
options_dockerfile(struct options *o, int *code)
{
	struct stat st;
	char *path;
	int r;

	if (o->dockerfile == NULL)
		o->dockerfile = xstrdup("Dockerfile");
	if (o->dockerfile[0] == '/' || path_has_dotdot(o->dockerfile))
		return (options_fail(code, "--dockerfile: '%s' is not below %s",
		    o->dockerfile, o->dir));
	path = xasprintf("%s/%s", o->dir, o->dockerfile);
	r = stat(path, &st);
	if (r == -1 || !S_ISREG(st.st_mode)) {
		r = options_no_input(code, "%s: %s", path,
		    r == -1 ? strerror(errno) : "not a file");
	}
	free(path);
	return (r);
}

/* A path stands in labels and filters, which are JSON. */
static bool
path_is_utf8(const char *path)
{
	size_t len = strlen(path), w;
	uint32_t rune;

	for (size_t at = 0; at < len; at += w) {
		w = utf8_decode(path + at, len - at, &rune);
		if (rune == UTF8_BAD && w == 1)
			return (false);
	}
	return (true);
}

static int
options_dir(struct options *o, int *code)
{
	char *real = realpath(o->dir, NULL);
	struct stat st;

	if (real == NULL || stat(real, &st) == -1 || !S_ISDIR(st.st_mode)) {
		options_no_input(code, "%s: %s", o->dir,
		    real == NULL ? strerror(errno) : "not a directory");
		free(real);
		return (-1);
	}
	free(o->dir);
	o->dir = real;
	if (!path_is_utf8(o->dir))
		return (options_fail(code,
		    "%s is not UTF-8, as the engine's labels have to be: "
		    "rename it",
		    o->dir));
	if (o->name == NULL)
		o->name = options_name_from_dir(o->dir);
	if (o->name == NULL)
		return (options_fail(code,
		    "%s gives no name for image and "
		    "container: use --name",
		    o->dir));
	return (options_dockerfile(o, code));
}

/* Is anything given that is about one directory? */
static bool
options_for_dir(const struct options *o)
{
	return (o->env.n > 0 || o->ports.n > 0 || o->binds.n > 0 ||
	    o->build_args.n > 0 || o->name != NULL || o->network != NULL ||
	    o->keep || o->dockerfile != NULL || o->target != NULL);
}

/* The configuration file. */
static int
options_file(struct options *o, int *code)
{
	if (o->file == NULL) {
		o->file = options_default_file();
		if (o->file != NULL && access(o->file, F_OK) == 0)
			return (0);
		fputs(usage, stderr);
		*code = EX_USAGE;
		return (o->file == NULL ?
			-1 :
			options_fail(code,
			    "neither a directory nor a file is named, and "
			    "there is no %s",
			    o->file));
	}
	return (options_absolute(&o->file, code));
}

/* What contradicts, or is missing. */
static int
options_check(struct options *o, int *code)
{
	if (o->require_sandbox &&
	    (o->sandbox == SANDBOX_OFF || o->wrap != NULL))
		return (options_fail(code, "--require-sandbox: not with %s",
		    o->wrap != NULL ? "--wrap" : "--sandbox=off"));
	if (o->dir != NULL && o->file != NULL)
		return (options_fail(code, "a directory or -f, not both"));
	if (o->dir != NULL)
		return (0);
	if (options_for_dir(o))
		return (options_fail(code,
		    "-e, -p, a volume, --name, --network, --keep, "
		    "--dockerfile, --target and --build-arg go with a "
		    "directory; a file says this for each service"));
	return (options_file(o, code));
}

/* DOCKER_HOST counts before a context, as with docker. */
static int
options_engine(struct options *o, int *code)
{
	const char *host = getenv("DOCKER_HOST");
	const char *context = getenv("DOCKER_CONTEXT");
	const char *api = getenv("DOCKER_API_VERSION");
	char why[1024];

	if (api != NULL && *api != '\0')
		o->api = xstrdup(api);
	if (host != NULL && *host != '\0') {
		if (host_parse(host, &o->host, why, sizeof(why)) == 0)
			return (0);
		fprintf(stderr, "wharfd: DOCKER_HOST: %s\n", why);
		*code = EX_UNAVAILABLE;
		return (-1);
	}
	if (context != NULL && *context != '\0')
		o->context = xstrdup(context);
	return (0);
}

int
options_parse(struct options *o, int argc, char **argv, int *code)
{
	memset(o, 0, sizeof(*o));
	if (options_getopt(o, argc, argv, code) == -1)
		return (-1);
	o->libexec = options_libexec();
	if (options_socket(o, code) == -1)
		return (-1);
	if (o->probe)
		return (0);
	if (options_check(o, code) == -1 || options_engine(o, code) == -1 ||
	    options_docker_dir(code) == -1)
		return (-1);
	return (o->dir != NULL ? options_dir(o, code) : 0);
}

void
options_merge(struct options *o, const struct msg_config_global *g,
    const char *socket)
{
	if (!o->has_socket && socket != NULL)
		options_set(&o->socket, socket);
	if (!o->has_log && (g->has & CONFIG_HAS_LOG))
		o->log = g->log;
	if (!o->has_sandbox && (g->has & CONFIG_HAS_SANDBOX))
		o->sandbox = g->sandbox;
	if (g->has & CONFIG_HAS_REQUIRE)
		o->require_sandbox |= g->require_sandbox != 0;
	if (o->max_restarts == 0 && (g->has & CONFIG_HAS_MAX_RESTARTS))
		o->max_restarts = g->max_restarts;
}

void
options_free(struct options *o)
{
	free(o->file);
	free(o->dir);
	free(o->name);
	free(o->socket);
	free(o->host);
	free(o->context);
	free(o->api);
	free(o->dockerfile);
	free(o->target);
	free(o->network);
	free(o->wrap);
	free(o->libexec);
	strings_free(&o->env);
	strings_free(&o->ports);
	strings_free(&o->binds);
	strings_free(&o->build_args);
	strings_free(&o->tokens);
}
