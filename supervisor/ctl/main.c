/*
 * wharfctl: asks and commands wharfd.
 *
 * Any user's; the daemon decides by the caller's uid what may be asked.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "log.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/explain_ignore.h"
#include "supervisor/ctl/explain_images.h"
#include "supervisor/ctl/explain_push.h"

#define SERVICE_MAX 4096                       /* of a service's name, bytes */
#define TIMEOUT_MAX (INT64_C(3600) * 24 * 365) /* s */

struct args {
	const char *socket;
	bool json;
	bool has_since;
	uint64_t since;
	uint64_t timeout_ms;
	const char *service;
};

struct command {
	const char *name;
	bool takes_service;
	bool takes_since;
	bool takes_timeout;
	int (*run)(struct ctl *c, const struct args *a);
};

static int
run_status(struct ctl *c, const struct args *a)
{
	return (ctl_status(c));
}

static int
run_metrics(struct ctl *c, const struct args *a)
{
	return (ctl_metrics(c));
}

static int
run_monitor(struct ctl *c, const struct args *a)
{
	return (ctl_monitor(c, a->has_since, a->since));
}

static int
run_sync(struct ctl *c, const struct args *a)
{
	return (ctl_do(c, DO_SYNC, a->service, a->timeout_ms));
}

static int
run_push(struct ctl *c, const struct args *a)
{
	return (ctl_do(c, DO_PUSH, a->service, 0));
}

static int
run_restart(struct ctl *c, const struct args *a)
{
	return (ctl_do(c, DO_RESTART, a->service, 0));
}

static int
run_rebuild(struct ctl *c, const struct args *a)
{
	return (ctl_do(c, DO_REBUILD, a->service, 0));
}

static int
run_stop(struct ctl *c, const struct args *a)
{
	return (ctl_stop(c));
}

static int
run_reload(struct ctl *c, const struct args *a)
{
	return (ctl_reload(c));
}

static const struct command commands[] = {
	{ "status", false, false, false, run_status },
	{ "metrics", false, false, false, run_metrics },
	{ "monitor", false, true, false, run_monitor },
	{ "sync", true, false, true, run_sync },
	{ "push", true, false, false, run_push },
	{ "restart", true, false, false, run_restart },
	{ "rebuild", true, false, false, run_rebuild },
	{ "reload", false, false, false, run_reload },
	{ "stop", false, false, false, run_stop },
};

static const struct {
	const char *name;
	int (*run)(int argc, char **argv, FILE *out, FILE *err);
} explains[] = {
	{ "ignore", explain_ignore },
	{ "images", explain_images },
	{ "push", explain_push },
};

static int
usage(void)
{
	fputs("usage: wharfctl [-j] [-s socket] command ...\n"
	      "       wharfctl -V\n"
	      "commands:\n"
	      "       status\n"
	      "       metrics\n"
	      "       monitor [--since seq]\n"
	      "       sync [service] [--timeout seconds]\n"
	      "       push | restart | rebuild [service]\n"
	      "       reload | stop\n"
	      "       explain ignore | images | push ...\n",
	    stderr);
	return (EX_USAGE);
}

static int
bad_value(const char *option, const char *value, const char *what)
{
	char esc[256];

	log_escape(esc, sizeof(esc), value, strlen(value));
	fprintf(stderr, "wharfctl: %s %s: %s\n", option, esc, what);
	return (-1);
}

/* Digits only: strtoull takes signs and spaces. */
static int
parse_seq(const char *s, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(s, &end, 10);
	if (s[strspn(s, "0123456789")] != '\0' || end == s || errno != 0)
		return (bad_value("--since", s, "not a number"));
	return (0);
}

/* Seconds with up to three decimals; no time at all is 1 ms. */
static int
parse_timeout(const char *s, uint64_t *out)
{
	size_t whole = strspn(s, "0123456789"), part = 0;
	uint64_t sec, ms = 0, unit = 100;

	if (whole == 0 || whole > 9)
		return (bad_value("--timeout", s, "not a number of seconds"));
	sec = strtoull(s, NULL, 10);
	if (s[whole] == '.') {
		part = strspn(s + whole + 1, "0123456789");
		for (size_t i = 0; i < part; i++, unit /= 10)
			ms += (uint64_t)(s[whole + 1 + i] - '0') * unit;
		part++;
	}
	if (s[whole + part] != '\0' || part == 1)
		return (bad_value("--timeout", s, "not a number of seconds"));
	if (sec > TIMEOUT_MAX)
		return (bad_value("--timeout", s, "more than a year"));
	*out = sec * 1000 + ms;
	if (*out == 0)
		*out = 1;
	return (0);
}

/* One option of a command: 0, -1 when it is wrong. */
static int
parse_option(const struct command *cmd, int opt, struct args *a)
{
	switch (opt) {
	case 'j':
		a->json = true;
		return (0);
	case 's':
		a->socket = optarg;
		return (0);
	case 'S':
		a->has_since = true;
		return (cmd->takes_since ? parse_seq(optarg, &a->since) : -1);
	case 'T':
		return (cmd->takes_timeout ?
			parse_timeout(optarg, &a->timeout_ms) :
			-1);
	}
	return (-1);
}

static int
parse_command(const struct command *cmd, int argc, char **argv, struct args *a)
{
	static const struct option longs[] = {
		{ "since", required_argument, NULL, 'S' },
		{ "timeout", required_argument, NULL, 'T' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	optind = 0; /* glibc: start anew */
	while ((opt = getopt_long(argc, argv, "js:", longs, NULL)) != -1)
		if (parse_option(cmd, opt, a) == -1)
			return (-1);
	if (optind < argc && cmd->takes_service)
		a->service = argv[optind++];
	if (optind < argc)
		return (-1);
	if (a->service != NULL &&
	    (a->service[0] == '\0' || strlen(a->service) > SERVICE_MAX))
		return (bad_value("service", a->service, "not a name"));
	return (0);
}

static int
run_command(const struct command *cmd, const struct args *a)
{
	const char *path = ctl_socket_path(a->socket);
	struct ctl c;
	int code;

	if (path == NULL) {
		fputs("wharfctl: no socket: -s, $WHARF_SOCKET and "
		      "$XDG_RUNTIME_DIR are not given, and there is no "
		      "/tmp/wharf-UID of ours\n",
		    stderr);
		return (EX_USAGE);
	}
	ctl_init(&c, path, stdout, stderr);
	c.json = a->json;
	code = cmd->run(&c, a);
	ctl_done(&c);
	if (code == EX_OK && fflush(stdout) != 0)
		code = EX_IOERR;
	return (code);
}

static int
run_explain(int argc, char **argv)
{
	int code;

	for (size_t i = 0; i < sizeof(explains) / sizeof(explains[0]); i++) {
		if (argc < 2 || strcmp(argv[1], explains[i].name) != 0)
			continue;
		code = explains[i].run(argc - 1, argv + 1, stdout, stderr);
		if (code == EX_OK && (fflush(stdout) != 0 || ferror(stdout)))
			code = EX_IOERR;
		return (code);
	}
	return (usage());
}

int
main(int argc, char **argv)
{
	struct args a = { 0 };
	int opt;

	log_init("wharfctl", 0);
	while ((opt = getopt(argc, argv, "+js:V")) != -1)
		switch (opt) {
		case 'j':
			a.json = true;
			break;
		case 's':
			a.socket = optarg;
			break;
		case 'V':
			puts("wharfctl " WHARF_VERSION);
			return (EX_OK);
		default:
			return (usage());
		}
	argc -= optind;
	argv += optind;
	if (argc > 0 && strcmp(argv[0], "explain") == 0)
		return (run_explain(argc, argv));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc == 0 || strcmp(argv[0], commands[i].name) != 0)
			continue;
		if (parse_command(&commands[i], argc, argv, &a) == -1)
			return (usage());
		return (run_command(&commands[i], &a));
	}
	return (usage());
}
