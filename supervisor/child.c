/*
 * One worker through its generations: spawn, READY, heartbeat, death.
 * Supervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "probe.h"
#include "reader.h"
#include "sup.h"

#define CHILD_FD       3
#define CHILD_LOG_LINE 4000
#define CHILD_LOG_LAST 17            /* reads of 4 KiB: 64 KiB and the end */
#define CHILD_DRAIN    (1024 * 1024) /* more than a socket holds */
#define CHILD_FACTS    4096 /* bytes of a READY; they go into status frames */

extern char **environ;

static void child_spawn(struct child *c);
static void child_on_beat(void *arg);

struct child *
child_init(struct sup *s, enum proc role, uint32_t instance)
{
	struct child *c = s->children;

	while (c->sup != NULL)
		c++;
	memset(c, 0, sizeof(*c));
	c->sup = s;
	c->role = role;
	c->instance = instance;
	c->logfd = -1;
	c->wait_tail = &c->wait;
	c->policy.max_restarts = s->opt->max_restarts;
	c->wrapped = s->opt->wrap_role == role;
	return (c);
}

void
child_retire(struct child *c)
{
	loop_timer_cancel(&c->due);
	loop_timer_cancel(&c->beat);
	loop_timer_cancel(&c->over);
	loop_timer_cancel(&c->drained_by);
	route_child_gone(c);
	buf_free(&c->log);
	buf_free(&c->facts);
	c->sup = NULL;
}

void
child_remove(struct child *c)
{
	c->removed = true;
	child_event(c, POLICY_EV_STOP, 0);
	if (c->pid == 0)
		child_retire(c);
}

struct child *
child_next(struct sup *s, struct child *c)
{
	for (c = c == NULL ? s->children : c + 1;
	     c < s->children + SUP_CHILDREN_MAX; c++)
		if (c->sup != NULL)
			return (c);
	return (NULL);
}

struct child *
child_find(struct sup *s, enum proc role, uint32_t instance)
{
	struct child *c;

	CHILD_FOREACH (c, s)
		if (c->role == role && c->instance == instance)
			return (c);
	return (NULL);
}

bool
child_is_ready(const struct child *c)
{
	return (c->policy.phase == POLICY_READY && c->ch != NULL);
}

static void
child_kill(struct child *c, int sig)
{
	if (c->pid > 0 && !c->reaped)
		kill(c->pid, sig);
}

void
child_condemn(struct child *c)
{
	c->distrusted = true;
	channel_pause(c->ch, true);
	child_kill(c, SIGKILL);
}

void
child_send(struct child *c, enum msg_type type, const void *fixed,
    const struct buf *tail, int fd)
{
	if (c->ch == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	channel_send(c->ch, type, 0, 0, fixed, tail != NULL ? tail->data : NULL,
	    tail != NULL ? tail->len : 0, fd);
}

/* The log pipe: whole lines go out, one at a time. */

static void
child_log_flush(struct child *c)
{
	if (c->probe != 0)
		return; /* what it says is its answer */
	if (c->log.len > 0)
		log_relay(proc_name(c->role), c->pid, (char *)c->log.data,
		    c->log.len);
	c->log.len = 0;
}

static void
child_on_log(void *arg, uint32_t events)
{
	struct child *c = arg;
	char chunk[4096], *nl;
	ssize_t n = read(c->logfd, chunk, sizeof(chunk));
	char *p = chunk;

	if (n <= 0) {
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		child_log_flush(c);
		loop_fd_del(c->sup->loop, c->logfd);
		close(c->logfd);
		c->logfd = -1;
		return;
	}
	while ((nl = memchr(p, '\n', (size_t)(chunk + n - p))) != NULL) {
		buf_add(&c->log, p, (size_t)(nl - p));
		child_log_flush(c);
		p = nl + 1;
	}
	buf_add(&c->log, p, (size_t)(chunk + n - p));
	if (c->log.len > CHILD_LOG_LINE)
		child_log_flush(c);
}

/* Its last words: as much as a pipe holds, should others write there too. */
static void
child_log_end(struct child *c)
{
	for (int i = 0; i < CHILD_LOG_LAST && c->logfd != -1; i++)
		child_on_log(c, 0);
	if (c->logfd == -1)
		return;
	child_log_flush(c);
	loop_fd_del(c->sup->loop, c->logfd);
	close(c->logfd);
	c->logfd = -1;
}

/* Events of policy.c. */

static void
child_on_due(void *arg)
{
	child_event(arg, POLICY_EV_DUE, 0);
}

/* It was asked to end, and has not. */
static void
child_on_late(void *arg)
{
	struct child *c = arg;

	log_warnx("%s does not end, killing it", proc_name(c->role));
	child_kill(c, SIGKILL);
}

void
child_event(struct child *c, enum policy_event ev, int code)
{
	struct policy_todo todo =
	    policy_step(&c->policy, ev, code, mono_now(), arc4random());

	log_debug("%s.%u is %s", proc_name(c->role), c->instance,
	    policy_state_name(&c->policy, mono_now()));
	switch (todo.action) {
	case POLICY_NONE:
		break;
	case POLICY_SPAWN:
		child_spawn(c);
		break;
	case POLICY_WAIT:
		loop_timer_in_ms(c->sup->loop, &c->due, todo.delay_ms,
		    child_on_due, c);
		break;
	case POLICY_TERM:
		child_kill(c, SIGTERM);
		if (c->pid != 0 && !c->wrapped)
			loop_timer_in_ms(c->sup->loop, &c->beat, POLICY_TERM_MS,
			    child_on_late, c);
		break;
	case POLICY_HOLD:
		log_warnx("%s waits for a change of its configuration",
		    proc_name(c->role));
		break;
	case POLICY_GIVE_UP:
		log_warnx("%s died %u times: giving up", proc_name(c->role),
		    c->policy.ndeaths);
		stop_begin(c->sup, EXIT_FAILURE);
		break;
	}
}

/* Heartbeat. */

static void
child_beat_arm(struct child *c)
{
	c->misses = 0;
	if (!c->wrapped && !c->policy.replacing && !c->removed)
		loop_timer_in_ms(c->sup->loop, &c->beat,
		    c->policy.phase == POLICY_STARTING ? POLICY_READY_MS :
							 POLICY_PING_MS,
		    child_on_beat, c);
}

static void
child_on_beat(void *arg)
{
	struct child *c = arg;
	struct msg_num m = { .n = c->misses };

	if (c->policy.phase == POLICY_STARTING || ++c->misses > POLICY_MISSES) {
		/* what we do not read from cannot have answered */
		if (c->held_by != NULL)
			c->misses = 0;
		else {
			log_warnx("%s hangs, killing it", proc_name(c->role));
			child_kill(c, SIGKILL);
			return;
		}
	}
	child_send(c, MSG_PING, &m, NULL, -1);
	loop_timer_in_ms(c->sup->loop, &c->beat, POLICY_PING_MS, child_on_beat,
	    c);
}

/* Frames. */

/* --require-sandbox: is a wall missing in what the worker reports? */
static void
child_check_walls(struct child *c, const struct fields *facts)
{
	bool walls = fields_u64(facts, F_SB_SECCOMP, 0) != 0 &&
	    fields_u64(facts, F_SB_LANDLOCK, 0) != 0 &&
	    fields_u64(facts, F_SB_NO_NEW_PRIVS, 0) != 0 &&
	    fields_u64(facts, F_SB_DUMPABLE, 1) == 0;
	char *note = fields_dup(facts, F_SB_NOTE);

	if (!walls && c->sup->phase == SUP_RUNS) {
		log_warnx("%s: the sandbox lacks a wall (%s), and "
			  "--require-sandbox is given",
		    proc_name(c->role),
		    note != NULL && *note != '\0' ? note : "no reason given");
		if (c->role == PROC_CONFIG)
			reader_fail(c->sup, EX_UNAVAILABLE,
			    "the sandbox of config lacks a wall");
		else
			stop_begin(c->sup, EX_UNAVAILABLE);
	}
	free(note);
}

static void
child_on_ready(struct child *c, struct frame *f)
{
	struct buf tail = { 0 };

	if (c->policy.phase != POLICY_STARTING)
		return;
	if (f->tail.len > CHILD_FACTS) {
		log_warnx("%s says too much of its sandbox; killing it",
		    proc_name(c->role));
		child_condemn(c);
		return;
	}
	child_event(c, POLICY_EV_READY, 0);
	c->facts.len = 0;
	buf_add(&c->facts, f->tail.data, f->tail.len);
	if (c->sup->opt->require_sandbox)
		child_check_walls(c, &f->tail);
	if (c->died_at.ns != 0)
		c->last_down_us =
		    (uint64_t)((mono_now().ns - c->died_at.ns) / 1000);
	child_beat_arm(c);
	if (c->role == PROC_CONFIG)
		return; /* nobody's peer */
	if (c->conf_taken < c->conf_start)
		c->conf_taken = c->conf_start;
	log_debug("%s %u is ready, pid %d, generation %u, %llu us after the "
		  "last one's death",
	    proc_name(c->role), c->instance, c->pid, c->generation,
	    (unsigned long long)c->last_down_us);
	fields_add_str(&tail, F_WORKER, proc_name(c->role));
	fields_add_u64(&tail, F_PID, (uint64_t)c->pid);
	fields_add_u64(&tail, F_GEN, c->generation);
	fields_add_u64(&tail, F_US, c->last_down_us);
	serve_event(c->sup, EVENT_WORKER_READY, &tail);
	buf_free(&tail);
	route_child_ready(c);
	stop_child_ready(c);
	if (c->role == PROC_WATCH)
		root_check_all(c->sup);
	reload_progress(c->sup);
}

static void
child_on_frame(void *arg, struct frame *f)
{
	struct child *c = arg;

	if (c->distrusted)
		return;
	if (f->head.type == MSG_READY)
		child_on_ready(c, f);
	else if (route_refuses(c, f))
		child_condemn(c);
	else if (f->head.type == MSG_PONG)
		c->misses = 0;
	else if (f->def->to == PROC_BIT(PROC_SUP))
		serve_frame(c, f);
	else
		route_frame(c, f);
}

static void
child_on_end(void *arg, enum channel_end how, const char *why)
{
	struct child *c = arg;

	/* death itself is seen by wait(2); here only what cannot live on */
	if (how != CHANNEL_EOF)
		log_warnx("%s broke its channel: %s; killing it",
		    proc_name(c->role), why);
	child_kill(c, SIGKILL);
}

static void
child_on_drained(void *arg)
{
	route_child_drained(arg);
}

/* Spawning. */

static int
child_exec(struct child *c, int chan, int logfd)
{
	struct options *o = c->sup->opt;
	char *path = xasprintf("%s/wharf-%s", o->libexec, proc_name(c->role));
	char *cmd = c->wrapped ? xasprintf("exec %s %s", o->wrap, path) : NULL;
	char sh[] = "/bin/sh", dashc[] = "-c",
	     env_path[] = "PATH=/usr/bin:/bin";
	char *argv[] = { path, NULL, NULL, NULL };
	char *wrap_argv[] = { sh, dashc, cmd, NULL };
	char *env[] = { env_path, NULL, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	/* the sanitizers' options are the one thing handed down */
	for (char **e = environ; *e != NULL; e++)
		if (strncmp(*e, "ASAN_OPTIONS=", 13) == 0)
			env[1] = *e;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	/* without one of these it would have files of ours */
	if ((r = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY,
		 0)) != 0 ||
	    (r = posix_spawn_file_actions_adddup2(&fa, logfd, 1)) != 0 ||
	    (r = posix_spawn_file_actions_adddup2(&fa, logfd, 2)) != 0 ||
	    (r = posix_spawn_file_actions_adddup2(&fa, chan, CHILD_FD)) != 0)
		goto out;
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);
	/* a debugger needs the terminal's process group */
	posix_spawnattr_setflags(&attr,
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
		(c->wrapped ? 0 : POSIX_SPAWN_SETPGROUP));
	r = posix_spawn(&c->pid, c->wrapped ? sh : path, &fa, &attr,
	    c->wrapped ? wrap_argv : argv, c->wrapped ? environ : env);
out:
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	if (r != 0)
		log_warnx("cannot start %s: %s", path, strerror(r));
	free(path);
	free(cmd);
	return (r == 0 ? 0 : -1);
}

/*
 * dup2 onto the same number would leave close-on-exec set; above all numbers
 * that the child uses this cannot happen.
 */
static int
fd_above(int fd)
{
	int up;

	if (fd == -1 || fd > CHILD_FD)
		return (fd);
	up = fcntl(fd, F_DUPFD_CLOEXEC, CHILD_FD + 1);
	close(fd);
	return (up);
}

static int
child_open(int sv[2], int lp[2])
{
	sv[0] = sv[1] = lp[0] = lp[1] = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1 ||
	    pipe2(lp, O_CLOEXEC | O_NONBLOCK) == -1)
		return (-1);
	sv[1] = fd_above(sv[1]);
	lp[1] = fd_above(lp[1]);
	return (sv[1] == -1 || lp[1] == -1 ? -1 : 0);
}

static void
child_spawn(struct child *c)
{
	static const struct channel_ops ops = {
		.frame = child_on_frame,
		.end = child_on_end,
		.drained = child_on_drained,
	};
	struct loop *l = c->sup->loop;
	int sv[2], lp[2];
	int r;

	if ((r = child_open(sv, lp)) == -1)
		log_warn("%s", proc_name(c->role));
	else
		r = child_exec(c, sv[1], lp[1]);
	if (sv[1] != -1)
		close(sv[1]);
	if (lp[1] != -1)
		close(lp[1]);
	if (r == -1) {
		if (c->probe != 0)
			fatalx("cannot probe %s", proc_name(c->role));
		if (sv[0] != -1)
			close(sv[0]);
		if (lp[0] != -1)
			close(lp[0]);
		c->pid = 0;
		if (c->role == PROC_CONFIG)
			reader_child_gone(c);
		else
			child_event(c, POLICY_EV_EXIT, 0);
		return;
	}
	c->generation++;
	c->reaped = c->distrusted = false;
	c->logfd = lp[0];
	if (loop_fd_set(l, c->logfd, EPOLLIN, child_on_log, c) == -1)
		log_warn("%s: its log is read only when it ends",
		    proc_name(c->role));
	c->ch = channel_new(l, sv[0], PROC_SUP, c->role, &ops, c);
	child_beat_arm(c);
	configure_send(c);
}

/* Death. */

static void
child_say_exit(struct child *c, int code)
{
	struct buf tail = { 0 };

	if (WIFSIGNALED(code))
		snprintf(c->last_exit, sizeof(c->last_exit), "signal %d (%s)",
		    WTERMSIG(code), sigabbrev_np(WTERMSIG(code)));
	else
		snprintf(c->last_exit, sizeof(c->last_exit), "exit %d",
		    WEXITSTATUS(code));
	if (c->sup->phase == SUP_RUNS && !c->policy.replacing)
		log_info("%s (pid %d) ended: %s", proc_name(c->role), c->pid,
		    c->last_exit);
	fields_add_str(&tail, F_WORKER, proc_name(c->role));
	fields_add_u64(&tail, F_PID, (uint64_t)c->pid);
	fields_add_u64(&tail, F_GEN, c->generation);
	fields_add_str(&tail, F_RESULT, c->last_exit);
	serve_event(c->sup, EVENT_WORKER_EXIT, &tail);
	buf_free(&tail);
}

/* What it had said before it died still counts, be it its last answer. */
static void
child_died(struct child *c, int code)
{
	struct sup *s = c->sup;

	c->reaped = true;
	channel_drain(c->ch, CHILD_DRAIN);
	c->died_at = mono_now();
	loop_timer_cancel(&c->beat);
	loop_timer_cancel(&c->over);
	channel_free(c->ch);
	c->ch = NULL;
	child_log_end(c);
	if (c->probe == 0 && c->role != PROC_CONFIG)
		child_say_exit(c, code);
	c->pid = 0;
	if (c->probe != 0) {
		probe_child_gone(c, code);
		return;
	}
	if (c->role == PROC_CONFIG) {
		reader_child_gone(c);
		stop_child_gone(s, false);
		return;
	}
	route_child_died(c);
	stop_child_exits(c, code);
	child_event(c, POLICY_EV_EXIT, code);
	stop_child_gone(s, c->role == PROC_PLAN && c->policy.stopping);
	if (c->removed)
		child_retire(c);
	reload_progress(s);
}

void
child_on_sigchld(void *arg, const struct signalfd_siginfo *si)
{
	struct sup *s = arg;
	struct child *c;
	int code;
	pid_t pid;

	/* as PID 1 others' orphans come here too, and are only reaped */
	while ((pid = waitpid(-1, &code, WNOHANG)) > 0)
		CHILD_FOREACH (c, s)
			if (c->pid == pid) {
				child_died(c, code);
				break;
			}
}
