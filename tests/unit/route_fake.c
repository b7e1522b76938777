/*
 * Fake workers, see route_fake.h.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/route_fake.h"

int
fd_count(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return (n);
}

/* Ends of the channels. */

static void
sup_on_frame(void *arg, struct frame *f)
{
	struct child *c = arg;

	if (c->distrusted)
		return;
	if (route_refuses(c, f))
		child_condemn(c);
	else if (f->def->to == PROC_BIT(PROC_SUP))
		serve_frame(c, f);
	else
		route_frame(c, f);
}

static void
on_end(void *arg, enum channel_end how, const char *why)
{
}

static void
sup_on_drained(void *arg)
{
	route_child_drained(arg);
}

static void
fake_on_frame(void *arg, struct frame *f)
{
	struct fake *w = arg;
	struct got *g = &w->got[w->n++];

	assert_true(w->n < GOT_MAX);
	g->head = f->head;
	memcpy(&g->fixed, frame_fixed(f), sizeof(g->fixed));
	g->len = f->payload_len;
	g->fd = frame_take_fd(f);
	w->bytes += f->payload_len;
}

/* Let everything that is under way arrive. */
void
fakes_pump(struct fixture *t)
{
	for (int i = 0; i < 200; i++)
		assert_int_equal(loop_once(t->sup.loop, 0), 0);
}

/* A new process: a channel, and not READY yet. */
void
fake_spawn(struct fake *w)
{
	static const struct channel_ops ops = { .frame = sup_on_frame,
		.end = on_end,
		.drained = sup_on_drained };
	static const struct channel_ops fake_ops = { .frame = fake_on_frame,
		.end = on_end };
	struct child *c = w->c;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
	    0);
	c->generation++;
	c->distrusted = false;
	c->policy.phase = POLICY_STARTING;
	c->ch = channel_new(c->sup->loop, sv[0], PROC_SUP, c->role, &ops, c);
	w->ch =
	    channel_new(c->sup->loop, sv[1], c->role, PROC_SUP, &fake_ops, w);
}

void
fake_ready(struct fake *w)
{
	w->c->policy.phase = POLICY_READY;
	route_child_ready(w->c);
}

void
fake_forget(struct fake *w)
{
	for (; w->read < w->n; w->read++)
		if (w->got[w->read].fd != -1)
			close(w->got[w->read].fd);
	w->n = w->read = w->bytes = 0;
}

void
fake_die(struct fake *w)
{
	channel_free(w->c->ch);
	w->c->ch = NULL;
	channel_free(w->ch);
	w->ch = NULL;
	route_child_died(w->c);
	w->c->policy.phase = POLICY_BACKOFF;
	fake_forget(w);
}

void
fake_restart(struct fixture *t, struct fake *w)
{
	fake_spawn(w);
	fake_ready(w);
	fakes_pump(t);
}

static struct fake *
fakes(struct fixture *t, size_t i)
{
	struct fake *all[] = { &t->control, &t->watch, &t->engine, &t->image,
		&t->push, &t->plan };

	return (i < 6 ? all[i] : NULL);
}

/* One service, number 0, on the engine of instance 3. */
static void
fakes_configure(struct sup *s)
{
	struct config_engine *e = calloc(1, sizeof(*e));
	struct config_service *sv = calloc(1, sizeof(*sv));

	TAILQ_INIT(&s->roots);
	config_init(&s->conf);
	s->listener = s->counter_fd = -1;
	e->instance = 3;
	e->name = xstrdup("e");
	e->host = xstrdup("unix:///nonexistent/e.sock");
	TAILQ_INSERT_TAIL(&s->conf.engines, e, link);
	sv->engine = e;
	sv->manifest_fd = -1;
	sv->name = xstrdup("first");
	sv->dir = xstrdup("/nonexistent/first");
	sv->dockerfile = xstrdup("Dockerfile");
	sv->image = xstrdup("first:latest");
	sv->container = xstrdup("first");
	TAILQ_INSERT_TAIL(&s->conf.services, sv, link);
}

int
fakes_up(void **state)
{
	static const enum proc roles[] = { PROC_CONTROL, PROC_WATCH,
		PROC_ENGINE, PROC_IMAGE, PROC_PUSH, PROC_PLAN };
	struct fixture *t = calloc(1, sizeof(*t));
	struct fake *w;

	t->fds = fd_count();
	t->now = mono_now();
	mono_fake(&t->now);
	t->sup.opt = &t->opt;
	t->sup.loop = loop_new();
	fakes_configure(&t->sup);
	for (size_t i = 0; i < 6; i++) {
		child_init(&t->sup, roles[i], roles[i] == PROC_ENGINE ? 3 : 0);
		w = fakes(t, i);
		w->c = &t->sup.children[i];
		fake_spawn(w);
	}
	for (size_t i = 0; (w = fakes(t, i)) != NULL; i++)
		fake_ready(w);
	fakes_pump(t);
	for (size_t i = 0; (w = fakes(t, i)) != NULL; i++)
		fake_forget(w);
	*state = t;
	return (0);
}

/* All die, which must leave nothing behind: no route, no note, no fd. */
int
fakes_down(void **state)
{
	struct fixture *t = *state;
	struct fake *w;
	struct root *r;
	int fds;

	for (size_t i = 0; (w = fakes(t, i)) != NULL; i++)
		if (w->ch != NULL)
			fake_die(w);
	assert_null(t->sup.routes);
	assert_null(t->sup.stickies);
	for (size_t i = 0; (w = fakes(t, i)) != NULL; i++) {
		/* notes that wait have no asker who could end them */
		while (w->c->wait != NULL) {
			struct waiting *next = w->c->wait->next;

			assert_int_equal(w->c->wait->head.type, MSG_EVENT);
			free(w->c->wait);
			w->c->wait = next;
		}
	}
	config_clear(&t->sup.conf);
	while ((r = TAILQ_FIRST(&t->sup.roots)) != NULL)
		root_free(r);
	loop_free(t->sup.loop);
	mono_fake(NULL);
	fds = t->fds;
	free(t);
	assert_int_equal(fd_count(), fds);
	return (0);
}

/* Sending and looking. */

void
fake_say_fd(struct fixture *t, struct fake *w, enum msg_type type,
    uint16_t flags, uint32_t id, int fd)
{
	uint8_t fixed[FRAME_FIXED_MAX] = { 0 };

	channel_send(w->ch, type, flags, id, fixed, NULL, 0, fd);
	fakes_pump(t);
}

void
fake_say(struct fixture *t, struct fake *w, enum msg_type type, uint16_t flags,
    uint32_t id)
{
	fake_say_fd(t, w, type, flags, id, -1);
}

void
fake_say_n(struct fixture *t, struct fake *w, enum msg_type type, uint32_t id,
    uint32_t first, uint32_t second)
{
	uint32_t fixed[FRAME_FIXED_MAX / 4] = { first, second };

	channel_send(w->ch, type, 0, id, fixed, NULL, 0, -1);
	fakes_pump(t);
}

/* The next frame that w got, which is of that type. */
struct got *
fake_got(struct fake *w, enum msg_type type)
{
	assert_true(w->read < w->n);
	if (w->got[w->read].head.type != type)
		fail_msg("%s instead of %s",
		    msg_def(w->got[w->read].head.type)->name,
		    msg_def(type)->name);
	return (&w->got[w->read++]);
}

void
fake_got_nothing(struct fake *w)
{
	if (w->read < w->n)
		fail_msg("unexpected %s",
		    msg_def(w->got[w->read].head.type)->name);
}

void
fake_got_err(struct fake *w, uint32_t id, enum err_code code)
{
	struct got *g = fake_got(w, MSG_ERR);

	assert_int_equal(g->head.id, id);
	assert_int_equal(g->head.source, PROC_SUP);
	assert_int_equal((uint32_t)g->fixed.n, code);
}

void
got_is_from(const struct got *g, const struct fake *w)
{
	assert_int_equal(g->head.source, w->c->role);
	assert_int_equal(g->head.instance, w->c->instance);
	assert_int_equal(g->head.generation, w->c->generation);
}

/* A process whose death can be seen; c->pid of a fake. */
void
fake_give_process(struct fake *w)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	assert_true(pid > 0);
	w->c->pid = pid;
}

void
fake_assert_killed(struct fake *w, bool killed)
{
	int code;
	pid_t pid = w->c->pid;

	w->c->pid = 0;
	if (!killed) {
		assert_int_equal(waitpid(pid, &code, WNOHANG), 0);
		kill(pid, SIGTERM);
	}
	assert_int_equal(waitpid(pid, &code, 0), pid);
	assert_true(WIFSIGNALED(code));
	assert_int_equal(WTERMSIG(code), killed ? SIGKILL : SIGTERM);
}

int
fd_null(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	return (fd);
}
