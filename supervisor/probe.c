/*
 * --probe-sandbox, see probe.h.  One process for each worker and act: a
 * refusal may well be the end of the process.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "probe.h"
#include "workers/common/sandbox.h"

static void
probe_print(const struct child *c, bool refused, const char *how, bool first)
{
	const char *act = sandbox_act_name(c->probe);

	if (!c->sup->opt->json)
		printf("%-8s %-20s %-9s %s\n", proc_name(c->role), act,
		    refused ? "refused" : "POSSIBLE", how);
	else
		printf("%s{\"act\":\"%s\",\"refused\":%s,\"how\":\"%s\"}",
		    first ? "" : ",", act, refused ? "true" : "false", how);
}

/* The last word of what the process wrote: an errno's name, if it is one. */
static const char *
probe_said(struct child *c, char *dst, size_t size)
{
	const char *end = (const char *)c->log.data + c->log.len, *p = end;

	while (p > (const char *)c->log.data && p[-1] != ' ' && p[-1] != '\n')
		p--;
	return (log_escape(dst, size, p, (size_t)(end - p)));
}

void
probe_child_gone(struct child *c, int code)
{
	char said[64];
	bool refused = true;

	probe_said(c, said, sizeof(said));
	if (WIFSIGNALED(code))
		snprintf(said, sizeof(said), "SIG%s",
		    sigabbrev_np(WTERMSIG(code)));
	else if (WEXITSTATUS(code) != 0)
		refused = false;
	if (!refused)
		c->sup->exit_code = 1;
	probe_print(c, refused, said, c->probe == 1);
	loop_stop(c->sup->loop, 0);
}

/* A configuration as small as can be; the root stays the caller's. */
static void
probe_conf(struct sup *s, struct root *r)
{
	TAILQ_INIT(&s->roots);
	TAILQ_INSERT_TAIL(&s->roots, r, link);
	config_init(&s->conf);
	config_from_options(&s->conf, s->opt);
	TAILQ_FIRST(&s->conf.services)->manifest_fd =
	    memory_new("manifest", 4096);
}

static int
probe_act(struct options *o, int root, enum proc role, unsigned act)
{
	struct sup s = { .opt = o,
		.counter_fd = memory_new("counter", 4096),
		.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
		.run = "00000000-0000-4000-8000-000000000000" };
	struct root r = { .sup = &s, .fd = root, .path = o->dir };
	struct child *c;

	probe_conf(&s, &r);
	s.loop = loop_new();
	loop_signal(s.loop, SIGCHLD, child_on_sigchld, &s);
	c = child_init(&s, role, 0);
	c->probe = act;
	child_event(c, POLICY_EV_START, 0);
	loop_run(s.loop);
	buf_free(&c->log);
	loop_free(s.loop);
	close(s.listener);
	config_clear(&s.conf);
	close(s.counter_fd);
	return (s.exit_code);
}

static int
probe_role(struct options *o, int root, enum proc role, bool first)
{
	int r = 0;

	if (o->json)
		printf("%s{\"name\":\"%s\",\"acts\":[", first ? "" : ",",
		    proc_name(role));
	/* the first one is forbidden to all: probe_print() counts on it */
	for (unsigned act = 1; act <= sandbox_act_count(); act++)
		if (sandbox_act_forbidden(role, act))
			r |= probe_act(o, root, role, act);
	if (o->json)
		printf("]}");
	return (r);
}

int
probe_sandbox(struct options *o)
{
	char dir[] = "/tmp/wharf-probe.XXXXXX";
	int root, r = 0;

	if (mkdtemp(dir) == NULL ||
	    (root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1) {
		log_warn("%s", dir);
		return (EX_OSERR);
	}
	o->dir = xstrdup(dir);
	o->name = xstrdup("probe");
	o->dockerfile = xstrdup("Dockerfile");
	o->host = xstrdup("unix:///nonexistent");
	if (o->json)
		printf("{\"v\":1,\"uid\":%u,\"workers\":[", geteuid());
	for (enum proc p = PROC_WATCH; p <= PROC_CONTROL; p++)
		r |= probe_role(o, root, p, p == PROC_WATCH);
	r |= probe_role(o, root, PROC_CONFIG, false);
	if (o->json)
		printf("],\"all_refused\":%s}\n", r == 0 ? "true" : "false");
	close(root);
	rmdir(dir);
	return (r);
}
