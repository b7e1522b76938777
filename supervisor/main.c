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
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "detach.h"
#include "normal.h"
#include "probe.h"
#include "reader.h"
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
	reload_begin(arg);
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
	return (loop_signal(s->loop, SIGTERM, on_stop_signal, s) |
	    loop_signal(s->loop, SIGINT, on_stop_signal, s) |
	    loop_signal(s->loop, SIGHUP, on_hup, s));
}

static int
sup_open(struct sup *s)
{
	s->counter_fd = memory_new("counter", COUNTER_SIZE);
	if (s->counter_fd == -1) {
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
	return (EX_OK);
}

/* A manifest and a root for each service, two for each process, and room. */
static void
sup_raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void
sup_free(struct sup *s)
{
	struct config_service *sv;
	struct root *r;

	socket_close(s);
	TAILQ_FOREACH (sv, &s->conf.services, link)
		/* of one that retires too, unless another took its place */
		if ((sv->flags & SERVICE_KEEP) &&
		    (!sv->retired ||
			config_find_service(&s->conf, sv->name) == NULL))
			state_save(sv);
	config_clear(&s->conf);
	while ((r = TAILQ_FIRST(&s->roots)) != NULL)
		root_free(r);
}

static int
sup_serve(struct sup *s, struct config *first)
{
	static const enum proc roles[] = { PROC_CONTROL, PROC_WATCH, PROC_IMAGE,
		PROC_PUSH, PROC_PLAN };
	const char *what = s->opt->file != NULL ? s->opt->file : s->opt->dir;
	char *why;
	int code;

	if ((code = sup_open(s)) != EX_OK)
		return (code);
	/* what a dead worker leaves behind is ours to reap, PID 1 or not */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* workers are started again without memory; nobody does that for us */
	alloc_be_patient();
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		child_init(s, roles[i], 0);
	if (reload_apply(s, first, &why) == -1) {
		log_warnx("%s", why);
		free(why);
		sup_free(s);
		return (EX_OSERR);
	}
	detach_finish();
	log_info("serving %s, control socket %s", what, s->opt->socket);
	serve_event(s, EVENT_DAEMON_START, NULL);
	code = loop_run(s->loop);
	sup_free(s);
	return (code == -1 ? EX_OSERR : code);
}

/* What is served: a file, or a directory and the engine docker would use. */
static int
sup_configure(struct sup *s, struct config *first)
{
	struct options *o = s->opt;
	int code = reader_run(s, first);

	if (code == EX_OK && o->file == NULL)
		config_from_options(first, o);
	options_merge(o, &first->global, first->socket);
	log_set_format(o->log);
	return (code);
}

static int
sup_run(struct options *o)
{
	struct sup s = { .opt = o, .listener = -1, .counter_fd = -1 };
	struct config first;
	int code;

	make_run_id(s.run, sizeof(s.run));
	signal(SIGPIPE, SIG_IGN);
	sup_raise_files();
	s.loop = loop_new();
	log_set_loop(s.loop);
	TAILQ_INIT(&s.roots);
	config_init(&s.conf);
	config_init(&first);
	if (loop_signal(s.loop, SIGCHLD, child_on_sigchld, &s) == -1) {
		log_warn("signals");
		code = EX_OSERR;
	} else if ((code = sup_configure(&s, &first)) != EX_OK)
		;
	else if (!o->check)
		code = sup_serve(&s, &first);
	else if (o->verbose > 0)
		normal_print(o, &first);
	config_clear(&first);
	log_set_loop(NULL);
	loop_free(s.loop);
	return (code);
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
	else if ((code = detach_begin(&o)) == DETACH_SERVE)
		code = sup_run(&o);
	options_free(&o);
	log_flush(LOG_LAST_MS);
	return (code);
}
