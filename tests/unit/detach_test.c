/*
 * Leaving the terminal, as who started it sees it and as who goes on does.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/detach.h"

struct facts {
	pid_t pid, sid;
	char cwd[64];
	char stdio[3][64];
};

static void
tell(int fd)
{
	struct facts f = { .pid = getpid(), .sid = getsid(0) };
	char path[] = "/proc/self/fd/0";

	if (getcwd(f.cwd, sizeof(f.cwd)) == NULL)
		_exit(1);
	for (int i = 0; i < 3; i++) {
		path[sizeof(path) - 2] = (char)('0' + i);
		if (readlink(path, f.stdio[i], sizeof(f.stdio[i]) - 1) == -1)
			_exit(1);
	}
	if (write(fd, &f, sizeof(f)) != sizeof(f))
		_exit(1);
}

/* What goes on in the background. */
static void
serve(const char *how, int fd)
{
	if (strcmp(how, "serves") == 0) {
		detach_finish();
		detach_finish(); /* once is enough */
		tell(fd);
		_exit(EX_OK);
	}
	if (strcmp(how, "is killed") == 0)
		kill(getpid(), SIGKILL);
	_exit(EX_NOINPUT);
}

/* The exit code that the one who started it sees. */
static int
start(const char *how, struct facts *f)
{
	struct options o = { 0 };
	int p[2], code, r;
	pid_t pid;

	memset(f, 0, sizeof(*f));
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		if ((r = detach_begin(&o)) == DETACH_SERVE)
			serve(how, p[1]);
		_exit(r);
	}
	close(p[1]);
	assert_int_equal(waitpid(pid, &code, 0), pid);
	assert_true(WIFEXITED(code));
	r = (int)read(p[0], f, sizeof(*f));
	assert_true(r == 0 || r == (int)sizeof(*f));
	assert_int_not_equal(f->pid, pid);
	close(p[0]);
	return (WEXITSTATUS(code));
}

static void
test_serves(void **state)
{
	struct facts f;

	assert_int_equal(start("serves", &f), EX_OK);
	assert_int_not_equal(f.pid, 0);
	assert_int_equal(f.sid, f.pid);
	assert_string_equal(f.cwd, "/");
	for (int i = 0; i < 3; i++)
		assert_string_equal(f.stdio[i], "/dev/null");
}

static void
test_fails(void **state)
{
	struct facts f;

	assert_int_equal(start("ends", &f), EX_NOINPUT);
	assert_int_equal(f.pid, 0);
	assert_int_equal(start("is killed", &f), EX_SOFTWARE);
	assert_int_equal(f.pid, 0);
}

static void
test_stays(void **state)
{
	const struct options fg = { .foreground = true };
	const struct options check = { .check = true };

	assert_int_equal(detach_begin(&fg), DETACH_SERVE);
	assert_int_equal(detach_begin(&check), DETACH_SERVE);
	detach_finish(); /* nothing to leave */
	assert_int_not_equal(write(STDERR_FILENO, "", 0), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serves),
		cmocka_unit_test(test_fails),
		cmocka_unit_test(test_stays),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
