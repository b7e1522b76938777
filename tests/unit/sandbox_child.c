/*
 * Children for tests of the sandbox, see sandbox_child.h.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"
#include "sandbox_child.h"

#define CHILD_PATIENCE_MS 10000
#define CHILD_FDS         10 /* above: what the function brought along */

static void
child_become_user(void)
{
	if (geteuid() != 0)
		return;
	if (setgroups(0, NULL) == -1 ||
	    setresgid(SANDBOX_CHILD_USER, SANDBOX_CHILD_USER,
		SANDBOX_CHILD_USER) == -1 ||
	    setresuid(SANDBOX_CHILD_USER, SANDBOX_CHILD_USER,
		SANDBOX_CHILD_USER) == -1)
		_exit(99);
}

/* As a worker is started: the channel on 3, the log on 2. */
static void __attribute__((noreturn))
child_main(struct sandbox_child *c, int channel, int out, int err, int told)
{
	struct sandbox_report r;
	struct sandbox_spec spec = { .role = c->role,
		.mode = c->mode,
		.uid = (uid_t)(SANDBOX_CHILD_UID + c->role),
		.gid = (gid_t)(SANDBOX_CHILD_UID + c->role),
		.roots = &c->root,
		.nroots = c->root != -1 };

	channel = fcntl(channel, F_DUPFD, CHILD_FDS);
	told = fcntl(told, F_DUPFD, CHILD_FDS);
	if (dup2(out, 1) == -1 || dup2(err, 2) == -1)
		_exit(98);
	/* the tests keep what they need away from 3 */
	if (dup2(channel, 3) == -1)
		_exit(98);
	close(channel);
	log_init(proc_name(c->role), 0);
	if (c->user)
		child_become_user();
	if (c->before != NULL)
		c->before(c->arg);
	if (sandbox_enter(&spec, &r) == -1)
		_exit(97);
	if (write(told, &r, sizeof(r)) != (ssize_t)sizeof(r))
		_exit(96);
	close(told);
	_exit(c->fn(c->arg));
}

int
sandbox_child_start(struct sandbox_child *c)
{
	int ch[2], out[2], err[2], told[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ch) == -1 ||
	    pipe2(out, O_CLOEXEC) == -1 || pipe2(err, O_CLOEXEC) == -1 ||
	    pipe2(told, O_CLOEXEC) == -1)
		abort();
	c->pid = fork();
	if (c->pid == -1)
		abort();
	if (c->pid == 0) {
		close(ch[0]);
		close(out[0]);
		close(err[0]);
		close(told[0]);
		child_main(c, ch[1], out[1], err[1], told[1]);
	}
	close(ch[1]);
	close(out[1]);
	close(err[1]);
	close(told[1]);
	c->channel = ch[0];
	c->out = out[0];
	c->err = err[0];
	c->entered = read(told[0], &c->report, sizeof(c->report)) ==
	    (ssize_t)sizeof(c->report);
	close(told[0]);
	return (c->entered ? 0 : -1);
}

static void
child_collect(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len + 1 < size && (n = read(fd, text + len, size - len - 1)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fd);
}

void
sandbox_child_wait(struct sandbox_child *c)
{
	/* the end of output is the end of the process */
	struct pollfd p = { .fd = c->out, .events = 0 };

	while (
	    poll(&p, 1, CHILD_PATIENCE_MS) == 1 && (p.revents & POLLHUP) == 0)
		continue;
	if ((p.revents & POLLHUP) == 0)
		kill(c->pid, SIGKILL);
	waitpid(c->pid, &c->status, 0);
	child_collect(c->out, c->out_text, sizeof(c->out_text));
	child_collect(c->err, c->err_text, sizeof(c->err_text));
	close(c->channel);
}

void
sandbox_child_run(struct sandbox_child *c)
{
	sandbox_child_start(c);
	sandbox_child_wait(c);
}

bool
sandbox_child_killed(const struct sandbox_child *c)
{
	if (!c->entered || !WIFSIGNALED(c->status))
		return (false);
	if (c->mode == SANDBOX_TRAP)
		return (WTERMSIG(c->status) == SIGABRT &&
		    strstr(c->err_text, "refused system call ") != NULL);
	return (WTERMSIG(c->status) == SIGSYS);
}

/* Fixtures. */

char sandbox_dir[] = "/tmp/wharf-sandbox-XXXXXX";
int sandbox_root = -1;
int sandbox_outside = -1;

int
sandbox_open_high(const char *name, int flags)
{
	char path[128];
	int fd, high;

	snprintf(path, sizeof(path), "%s/%s", sandbox_dir, name);
	if ((fd = open(path, flags | O_CLOEXEC, 0644)) == -1)
		return (-1);
	high = fcntl(fd, F_DUPFD_CLOEXEC, 20);
	close(fd);
	return (high);
}

void
sandbox_put_file(int at, const char *name, const char *text)
{
	int fd = openat(at, name, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

int
sandbox_dirs_make(void **state)
{
	char path[128];

	assert_non_null(mkdtemp(sandbox_dir));
	assert_int_equal(chmod(sandbox_dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/root", sandbox_dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/outside", sandbox_dir);
	assert_int_equal(mkdir(path, 0755), 0);
	sandbox_root = sandbox_open_high("root", O_RDONLY | O_DIRECTORY);
	sandbox_outside = sandbox_open_high("outside", O_RDONLY | O_DIRECTORY);
	assert_int_equal(mkdirat(sandbox_root, "sub", 0755), 0);
	sandbox_put_file(sandbox_root, "file", "inside");
	sandbox_put_file(sandbox_root, "sub/deep", "deep");
	sandbox_put_file(sandbox_outside, "secret", "outside");
	assert_int_equal(symlinkat("file", sandbox_root, "link"), 0);
	return (0);
}

int
sandbox_dirs_remove(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", sandbox_dir);
	return (system(cmd));
}

void
sandbox_each(void (*fn)(enum proc role, enum sandbox_mode mode, bool user))
{
	for (enum proc role = PROC_WATCH; role < PROC_MAX; role++)
		for (int user = geteuid() != 0;
		     role != PROC_CLIENT && user <= 1; user++) {
			fn(role, SANDBOX_ON, user);
			fn(role, SANDBOX_TRAP, user);
		}
}
