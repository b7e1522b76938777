/*
 * The control socket: where it is bound, and where not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/sup.h"

static char dir[] = "/tmp/wharf-socket.XXXXXX";

static int
set_up(void **state)
{
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	return (chdir(dir));
}

static int
tear_down(void **state)
{
	char *cmd = xasprintf("rm -rf %s", dir);
	int r = chdir("/") | system(cmd);

	free(cmd);
	return (r);
}

/* errno of a connect(2), 0 when somebody answers. */
static int
try_connect(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), e;

	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	e = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 ? 0 : errno;
	close(fd);
	return (e);
}

static void
test_listens(void **state)
{
	struct options o = { .socket = xstrdup("made/ctl.sock") };
	struct sup s = { .opt = &o, .listener = socket_listen(o.socket) };
	struct stat st;

	assert_int_not_equal(s.listener, -1);
	assert_int_equal(stat("made", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_int_equal(stat(o.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(try_connect(o.socket), 0);
	/* it is taken, and stays as it is */
	assert_int_equal(socket_listen(o.socket), -1);
	assert_int_equal(try_connect(o.socket), 0);
	socket_close(&s);
	assert_int_equal(s.listener, -1);
	assert_int_equal(try_connect(o.socket), ENOENT);
	free(o.socket);
}

/* What a killed daemon left is replaced. */
static void
test_stale(void **state)
{
	int fd = socket_listen("stale/ctl.sock");

	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(try_connect("stale/ctl.sock"), ECONNREFUSED);
	fd = socket_listen("stale/ctl.sock");
	assert_int_not_equal(fd, -1);
	assert_int_equal(try_connect("stale/ctl.sock"), 0);
	close(fd);
}

static void
test_impossible(void **state)
{
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(socket_listen(path), -1);
	path[107] = '\0'; /* fits, but not with what is added at first */
	assert_int_equal(socket_listen(path), -1);
	assert_int_equal(socket_listen("no/such/dir/ctl.sock"), -1);
}

/* A file that is none of ours is not put out of the way. */
static void
test_file_there(void **state)
{
	FILE *f = fopen("precious", "we");
	struct stat st;

	assert_non_null(f);
	assert_true(fputs("text", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(socket_listen("./precious"), -1);
	assert_int_equal(symlink("precious", "link"), 0);
	assert_int_equal(socket_listen("./link"), -1);
	assert_int_equal(lstat("precious", &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_size, 4);
}

/* socket_listen() as another user: 1 when it listens, 0 when it does not. */
static int
listens_as(uid_t uid, const char *path)
{
	int code;
	pid_t pid = fork();

	if (pid == 0) {
		if (setuid(uid) == -1)
			_exit(2);
		_exit(socket_listen(path) != -1);
	}
	assert_int_equal(waitpid(pid, &code, 0), pid);
	assert_true(WIFEXITED(code));
	return (WEXITSTATUS(code));
}

static void
test_directory_of_another(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir("trap", 0777), 0);
	assert_int_equal(chmod("trap", 0777), 0);
	assert_int_equal(chown("trap", 4711, 4711), 0);
	assert_int_equal(listens_as(4712, "trap/ctl.sock"), 0);
	assert_int_equal(access("trap/ctl.sock", F_OK), -1);
	assert_int_equal(listens_as(4711, "trap/ctl.sock"), 1);
	/* a directory of root's that all may write to, such as /tmp */
	assert_int_equal(mkdir("shared", 0777), 0);
	assert_int_equal(chmod("shared", 01777), 0);
	assert_int_equal(listens_as(4712, "shared/ctl.sock"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listens),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_impossible),
		cmocka_unit_test(test_file_there),
		cmocka_unit_test(test_directory_of_another),
	};

	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
