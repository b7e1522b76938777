/*
 * Workers with a part to play, see actor.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/actor.h"
#include "tests/unit/route_fake.h"

/* In the worker. */

void
actor_say(struct actor *a, enum msg_type type, uint32_t id, const void *fixed,
    const struct buf *tail)
{
	channel_send(a->ch, type, 0, id, fixed,
	    tail != NULL ? tail->data : NULL, tail != NULL ? tail->len : 0, -1);
}

void
actor_say_n(struct actor *a, enum msg_type type, uint32_t id, uint64_t n)
{
	struct msg_num m = { .n = n };

	actor_say(a, type, id, &m, NULL);
}

void
actor_ready(struct actor *a)
{
	a->ready = true;
	actor_say(a, MSG_READY, 0, NULL, NULL);
}

static void
actor_play(struct actor *a, struct frame *f)
{
	const struct msg_num *m = frame_fixed(f);

	if (f->head.type == MSG_CONF_END && !a->ready)
		actor_ready(a);
	else if (f->head.type == MSG_CONF_END)
		actor_say_n(a, MSG_CONF_TAKEN, 0, m->n);
	else if (f->head.type == MSG_PING)
		actor_say_n(a, MSG_PONG, 0, m->n);
	else if (f->head.type == MSG_STOP)
		loop_stop(a->loop, 0);
}

struct play {
	struct actor a;
	const struct actor_part *part;
};

static void
actor_on_frame(void *arg, struct frame *f)
{
	struct play *p = arg;

	if (p->part->name == NULL || !p->part->frame(&p->a, f))
		actor_play(&p->a, f);
}

static void
actor_on_end(void *arg, enum channel_end how, const char *why)
{
	struct play *p = arg;

	loop_stop(p->a.loop, 0);
}

void
actor_main(char **argv, const struct actor_part *parts)
{
	static const struct channel_ops ops = { .frame = actor_on_frame,
		.end = actor_on_end };
	struct play p = { .part = parts };
	const char *name = strrchr(argv[0], '/');
	char path[PATH_MAX];
	FILE *f;
	int code;

	name = name != NULL ? name + 1 : argv[0];
	if (strncmp(name, "wharf-", 6) != 0)
		return;
	p.a.role = proc_by_name(name + 6);
	snprintf(path, sizeof(path), "%s.part", argv[0]);
	if ((f = fopen(path, "re")) != NULL) {
		if (fgets(p.a.part, sizeof(p.a.part), f) == NULL)
			p.a.part[0] = '\0';
		fclose(f);
	}
	while (p.part->name != NULL && strcmp(p.part->name, p.a.part) != 0)
		p.part++;
	p.a.loop = loop_new();
	p.a.ch = channel_new(p.a.loop, 3, p.a.role, PROC_SUP, &ops, &p);
	code = loop_run(p.a.loop);
	while (channel_queued(p.a.ch) > 0 && !channel_ended(p.a.ch))
		loop_once(p.a.loop, 10);
	exit(code);
}

/* In the supervisor. */

static int64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec * 1000000000ll + ts.tv_nsec);
}

static void
stage_link(struct stage *w, enum proc role)
{
	char *path = xasprintf("%s/wharf-%s", w->dir, proc_name(role));

	assert_int_equal(symlink(w->exe, path), 0);
	free(path);
}

int
stage_up(void **state)
{
	struct stage *w = xcalloc(1, sizeof(*w));
	char dir[] = "/tmp/wharf-world.XXXXXX";

	w->fds = fd_count();
	assert_non_null(mkdtemp(dir));
	w->dir = xstrdup(dir);
	w->exe = realpath("/proc/self/exe", NULL);
	assert_non_null(w->exe);
	for (enum proc p = PROC_NONE + 1; p < PROC_MAX; p++)
		stage_link(w, p);
	w->now.ns = clock_ns();
	mono_fake(&w->now);
	w->opt.libexec = xstrdup(dir);
	w->opt.socket = xasprintf("%s/ctl.sock", dir);
	w->sup.opt = &w->opt;
	w->sup.loop = loop_new();
	assert_int_equal(loop_signal(w->sup.loop, SIGCHLD, child_on_sigchld,
			     &w->sup),
	    0);
	TAILQ_INIT(&w->sup.roots);
	config_init(&w->sup.conf);
	w->sup.listener = w->sup.counter_fd = -1;
	*state = w;
	return (0);
}

void
stage_end(struct stage *w)
{
	struct sup *s = &w->sup;
	struct child *c;

	if (child_find(s, PROC_PLAN, 0) == NULL)
		return;
	if (s->phase == SUP_RUNS)
		stop_begin(s, 0);
	CHILD_FOREACH (c, s)
		if (c->pid > 0)
			kill(c->pid, SIGKILL);
	CHILD_FOREACH (c, s) {
		c->policy.stopping = true;
		stage_until(w, c->pid == 0);
	}
}

int
stage_down(void **state)
{
	struct stage *w = *state;
	struct sup *s = &w->sup;
	struct child *c;
	struct root *r;
	char *cmd = xasprintf("rm -rf %s", w->dir);
	int fds = w->fds;

	stage_end(w);
	stage_until(w, s->reader == NULL);
	CHILD_FOREACH (c, s)
		child_retire(c);
	assert_null(s->routes);
	socket_close(s);
	if (s->counter_fd != -1)
		close(s->counter_fd);
	free(s->reload);
	config_clear(&s->conf);
	while ((r = TAILQ_FIRST(&s->roots)) != NULL)
		root_free(r);
	loop_free(s->loop);
	mono_fake(NULL);
	options_free(&w->opt);
	assert_int_equal(system(cmd), 0);
	free(cmd);
	free(w->dir);
	free(w->exe);
	free(w);
	assert_int_equal(fd_count(), fds);
	return (0);
}

char *
stage_file(struct stage *w, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", w->dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_not_equal(fputs(text, f), EOF);
	assert_int_equal(fclose(f), 0);
	return (path);
}

void
stage_part(struct stage *w, enum proc role, const char *part)
{
	char *name = xasprintf("wharf-%s.part", proc_name(role));

	free(stage_file(w, name, part));
	free(name);
}

void
stage_turn(struct stage *w, int64_t skip)
{
	w->skipped += skip;
	w->now.ns = clock_ns() + w->skipped * 1000000;
	assert_int_equal(loop_once(w->sup.loop, 10), 0);
	w->now.ns = clock_ns() + w->skipped * 1000000;
}

void
stage_config(struct stage *w, struct config *c)
{
	struct config_engine *e = xcalloc(1, sizeof(*e));
	struct config_service *sv = xcalloc(1, sizeof(*sv));

	config_init(c);
	e->name = xstrdup("e");
	e->host = xasprintf("unix://%s/engine.sock", w->dir);
	TAILQ_INSERT_TAIL(&c->engines, e, link);
	sv->manifest_fd = -1;
	sv->engine = e;
	sv->name = xstrdup("s");
	sv->dir = xstrdup(w->dir);
	sv->dockerfile = xstrdup("Dockerfile");
	sv->image = xstrdup("s:latest");
	sv->container = xstrdup("s");
	TAILQ_INSERT_TAIL(&c->services, sv, link);
}

void
stage_start(struct stage *w)
{
	static const enum proc roles[] = { PROC_CONTROL, PROC_WATCH, PROC_IMAGE,
		PROC_PUSH, PROC_PLAN };
	struct config first;
	struct child *c;
	char *why;

	w->sup.counter_fd = memory_new("counter", 4096);
	w->sup.listener = socket_listen(w->opt.socket);
	assert_int_not_equal(w->sup.listener, -1);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		child_init(&w->sup, roles[i], 0);
	stage_config(w, &first);
	assert_int_equal(reload_apply(&w->sup, &first, &why), 0);
	config_clear(&first);
	CHILD_FOREACH (c, &w->sup)
		stage_until(w, child_is_ready(c));
}

struct child *
stage_child(struct stage *w, enum proc role)
{
	struct child *c = child_find(&w->sup, role, 0);

	assert_non_null(c);
	return (c);
}
