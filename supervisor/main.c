/*
 * wharfd: the supervisor.  Starts the workers, routes their frames, restarts
 * the dead.  It links no HTTP, JSON, YAML or tar, and reads no payload from a
 * worker beyond fixed structs.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "context.h"
#include "normal.h"
#include "probe.h"
#include "sup.h"

#define COUNTER_SIZE 4096
#define LOG_LAST_MS  200 /* for a reader to take the last words */

static void
on_stop_signal(void *arg, const struct signalfd_siginfo *si)
{
	stop_begin(arg, EX_OK);
}

static void
on_hup(void *arg, const struct signalfd_siginfo *si)
{
	log_info("nothing to reload: a directory is served without a "
		 "configuration file");
}

/* A random UUID (RFC 4122, version 4) that names this run. */
static void
make_run_id(char *dst, size_t size)
{
	uint8_t b[16];

	arc4random_buf(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(dst, size,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
}

static int
sup_signals(struct sup *s)
{
	signal(SIGPIPE, SIG_IGN);
	return (loop_signal(s->loop, SIGCHLD, child_on_sigchld, s) |
	    loop_signal(s->loop, SIGTERM, on_stop_signal, s) |
	    loop_signal(s->loop, SIGINT, on_stop_signal, s) |
	    loop_signal(s->loop, SIGHUP, on_hup, s));
}

static int
sup_open(struct sup *s)
{
	if (root_open(s, s->opt->dir) == -1) {
		log_warn("%s", s->opt->dir);
		return (EX_NOINPUT);
	}
	s->manifest_fd = memory_new("manifest", MANIFEST_SIZE);
	s->counter_fd = memory_new("counter", COUNTER_SIZE);
	if (s->manifest_fd == -1 || s->counter_fd == -1) {
		log_warn("memfd");
		return (EX_OSERR);
	}
	s->listener = socket_listen(s->opt->socket);
	if (s->listener == -1)
		return (EX_CANTCREAT);
	if (sup_signals(s) != 0) {
		log_warn("signals");
		return (EX_OSERR);
	}
	state_load(s);
	return (EX_OK);
}

static int
sup_run(struct options *o)
{
	static const enum proc roles[] = { PROC_CONTROL, PROC_WATCH,
		PROC_ENGINE, PROC_IMAGE, PROC_PUSH, PROC_PLAN };
	struct sup s = { .opt = o, .root.fd = -1, .listener = -1 };
	int code;

	make_run_id(s.run, sizeof(s.run));
	s.loop = loop_new();
	log_set_loop(s.loop);
	if ((code = sup_open(&s)) != EX_OK)
		return (code);
	/* what a dead worker leaves behind is ours to reap, PID 1 or not */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* workers are started again without memory; nobody does that for us */
	alloc_be_patient();
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		child_init(&s, roles[i], 0);
	for (size_t i = 0; i < s.nchildren; i++)
		child_event(&s.children[i], POLICY_EV_START, 0);
	log_info("serving %s, engine %s, control socket %s", o->dir, o->host,
	    o->socket);
	serve_event(&s, EVENT_DAEMON_START, NULL);
	code = loop_run(s.loop);
	log_set_loop(NULL);
	socket_close(&s);
	if (o->keep)
		state_save(&s);
	return (code == -1 ? EX_OSERR : code);
}

/* Started without them, other files would be taken for the log. */
static int
main_open_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd != -1)
		close(fd);
	return (fd == -1 ? -1 : 0);
}

int
main(int argc, char **argv)
{
	struct options o;
	int code;

	if (main_open_stdio() == -1)
		return (EX_OSERR);
	if (options_parse(&o, argc, argv, &code) == -1)
		return (code);
	log_init("wharfd", o.verbose);
	for (size_t i = 0; i < o.tokens.n; i++)
		log_enable_token(o.tokens.v[i]);
	log_set_format(o.log);
	if (o.probe)
		code = probe_sandbox(&o);
	else if ((code = context_resolve(&o)) != EX_OK)
		;
	else if (!o.check)
		code = sup_run(&o);
	else if (o.verbose > 0)
		normal_print(&o);
	options_free(&o);
	log_flush(LOG_LAST_MS);
	return (code);
}
