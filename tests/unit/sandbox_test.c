/*
 * The sandbox: each role works in it, as root and as an ordinary user, and
 * can do nothing else.
 */
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "channel.h"
#include "log.h"
#include "sandbox_child.h"
#include "workers/common/sandbox_priv.h"
#include "workers/shared/tree.h"

/* The work of each role. */

static int
compare_long(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x < y ? -1 : x > y);
}

static int
work_memory(void)
{
	size_t n = 200000;
	long *v = calloc(n, sizeof(*v));
	char *p = malloc(64 << 20), *q;

	if (v == NULL || p == NULL)
		return (1);
	memset(p, 1, 64 << 20);
	q = realloc(p, 96 << 20);
	for (size_t i = 0; i < n; i++)
		v[i] = (long)(i * 7919 % n);
	qsort(v, n, sizeof(*v), compare_long);
	if (q == NULL || v[1] < v[0])
		return (2);
	free(q);
	free(v);
	return (0);
}

static int
work_time(void)
{
	char text[64];
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y %H:%M", &tm) == 0)
		return (3);
	printf("%s %.3f %s\n", text, 0.5, strerror(EACCES));
	fflush(stdout);
	log_warnx("%s", text);
	usleep(1000);
	return (mono_now().ns > 0 ? 0 : 4);
}

struct echo {
	struct loop *loop;
	struct channel *a;
	int got;
};

static void
echo_frame(void *arg, struct frame *f)
{
	struct echo *e = arg;
	struct stat st;
	int fd = frame_take_fd(f);

	e->got = fd != -1 && fstat(fd, &st) == 0;
	close(fd);
	loop_stop(e->loop, 0);
}

static void
echo_end(void *arg, enum channel_end how, const char *why)
{
	struct echo *e = arg;

	loop_stop(e->loop, 1);
}

static void
on_signal(void *arg, const struct signalfd_siginfo *si)
{
}

/* The channel is fd 3; its other end sends DIAL_OK with an fd. */
static int
work_channel(void)
{
	static const struct channel_ops ops = { .frame = echo_frame,
		.end = echo_end };
	struct echo e = { .loop = loop_new() };
	struct channel *c;
	struct msg_num n = { 1 };

	if (loop_signal(e.loop, SIGTERM, on_signal, NULL) == -1)
		return (5);
	c = channel_new(e.loop, 3, PROC_ENGINE, PROC_SUP, &ops, &e);
	channel_send(c, MSG_DIAL, 0, 1, &n, NULL, 0, -1);
	if (loop_run(e.loop) != 0 || !e.got)
		return (6);
	channel_free(c);
	loop_free(e.loop);
	return (0);
}

static int
work_read_tree(void)
{
	struct tree_stat st;
	char text[16];
	DIR *d;
	int fd, n = 0;

	if ((fd = tree_open_file(sandbox_root, "sub/deep", &st)) == -1)
		return (10);
	if (read(fd, text, sizeof(text)) != 4 || st.size != 4)
		return (11);
	close(fd);
	if (tree_readlink(sandbox_root, "link", text, sizeof(text)) != 4)
		return (12);
	if ((fd = tree_open_dir(sandbox_root, "sub")) == -1)
		return (13);
	if ((d = fdopendir(fd)) == NULL)
		return (14);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	if (n != 3 ||
	    fstatat(sandbox_root, "file", &(struct stat) { 0 }, 0) == -1)
		return (15);
	/* descriptors of directories outside were opened before: no use */
	if (openat(sandbox_outside, "secret", O_RDONLY) != -1)
		return (16);
	return (errno == EACCES ? 0 : 17);
}

static int talk = -1; /* the channel's descriptor, kept */

static int
work_watch(void)
{
	char ev[512];
	int fd = inotify_init1(IN_CLOEXEC);

	if (fd == -1 || fchdir(sandbox_root) == -1 ||
	    inotify_add_watch(fd, ".", IN_CREATE) == -1)
		return (20);
	if (write(talk, "w", 1) != 1)
		return (21);
	return (read(fd, ev, sizeof(ev)) > 0 ? 0 : 22);
}

static int
work_pipe(void)
{
	struct tree_stat st;
	int p[2], fd;

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) == -1)
		return (30);
	fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
	fd = tree_open_file(sandbox_root, "file", &st);
	if (fd == -1 || splice(fd, NULL, p[1], NULL, 64, 0) != 6)
		return (31);
	return (0);
}

static curl_socket_t
give_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	return (*(int *)arg);
}

static int
set_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	return (CURL_SOCKOPT_ALREADY_CONNECTED);
}

static size_t
count_bytes(char *p, size_t size, size_t n, void *arg)
{
	*(size_t *)arg += size * n;
	return ((size * n));
}

static int engine_fd = -1;

static int
work_curl(void)
{
	CURLM *m = curl_multi_init();
	CURL *e = curl_easy_init();
	size_t got = 0;
	long code = 0;
	int running = 1;

	curl_easy_setopt(e, CURLOPT_URL, "http://127.0.0.1/_ping");
	curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, "/nonexistent");
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, give_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, &engine_fd);
	curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, set_socket);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, count_bytes);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, &got);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, 5000L);
	curl_multi_add_handle(m, e);
	while (running > 0) {
		curl_multi_perform(m, &running);
		if (running > 0)
			curl_multi_poll(m, NULL, 0, 1000, NULL);
	}
	curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &code);
	curl_multi_remove_handle(m, e);
	curl_easy_cleanup(e);
	curl_multi_cleanup(m);
	return (code == 200 && got == 2 ? 0 : 40);
}

static int listener = -1;

static int
work_accept(void)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1)
		return (50);
	return (0);
}

static int
work(void *arg)
{
	const struct sandbox_child *c = arg;
	int rc;

	talk = fcntl(3, F_DUPFD_CLOEXEC, 20);
	if ((rc = work_memory()) != 0 || (rc = work_time()) != 0 ||
	    (rc = work_channel()) != 0)
		return (rc);
	if (sandbox_role_reads(c->role) && (rc = work_read_tree()) != 0)
		return (rc);
	if (c->role == PROC_WATCH)
		return (work_watch());
	if (c->role == PROC_IMAGE || c->role == PROC_PUSH)
		return (work_pipe());
	if (c->role == PROC_ENGINE)
		return (work_curl());
	return (c->role == PROC_CONTROL ? work_accept() : 0);
}

/* What stands on the other side of a working role. */

static void
serve_channel(struct sandbox_child *c)
{
	struct frame_head h = { .length = sizeof(h) | FRAME_FD,
		.type = MSG_DIAL_OK,
		.source = PROC_SUP };
	char buf[256], ctl[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &h, sizeof(h) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl,
		.msg_controllen = sizeof(ctl) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&m);

	if (read(c->channel, buf, sizeof(buf)) <= 0)
		return;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(cm), &sandbox_root, sizeof(int));
	sendmsg(c->channel, &m, MSG_NOSIGNAL);
}

static void
serve_http(int fd)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
				 "\r\nOK";
	char buf[1024];

	if (read(fd, buf, sizeof(buf)) > 0 &&
	    send(fd, ok, strlen(ok), MSG_NOSIGNAL) == -1)
		return;
}

static void
serve(struct sandbox_child *c, int http)
{
	char byte;

	serve_channel(c);
	if (c->role == PROC_WATCH && read(c->channel, &byte, 1) == 1) {
		sandbox_put_file(sandbox_root, "new", "");
		unlinkat(sandbox_root, "new", 0);
	}
	if (c->role == PROC_ENGINE)
		serve_http(http);
}

static int
connect_listener(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/ctl", sandbox_dir);
	unlink(sun.sun_path);
	listener = fcntl(socket(AF_UNIX, SOCK_STREAM, 0), F_DUPFD, 20);
	assert_int_equal(bind(listener, (struct sockaddr *)&sun, sizeof(sun)),
	    0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return (fd);
}

static void
curl_start(void *arg)
{
	curl_global_init(CURL_GLOBAL_NOTHING);
}

static void
check_work(enum proc role, enum sandbox_mode mode, bool user)
{
	struct sandbox_child c = { .role = role,
		.mode = mode,
		.user = user,
		.root = sandbox_root,
		.fn = work,
		.before = curl_start };
	int http[2], client;

	c.arg = &c;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, http), 0);
	engine_fd = fcntl(http[1], F_DUPFD, 20);
	close(http[1]);
	client = connect_listener();
	sandbox_child_start(&c);
	close(engine_fd);
	close(listener);
	if (c.entered)
		serve(&c, http[0]);
	sandbox_child_wait(&c);
	close(http[0]);
	close(client);
	if (!c.entered || c.status != 0)
		fail_msg("%s, mode %d, %s: status %x: %s", proc_name(role),
		    mode, user ? "user" : "root", c.status, c.err_text);
}

static void
test_every_role_works(void **state)
{
	sandbox_each(check_work);
}

/* The acts. */

static int
try_act(void *arg)
{
	const unsigned *act = arg;

	sandbox_try((enum proc)(*act >> 16), *act & 0xffff);
}

static void
check_act(enum proc role, enum sandbox_mode mode, bool user, unsigned act)
{
	unsigned arg = (unsigned)role << 16 | act;
	struct sandbox_child c = { .role = role,
		.mode = mode,
		.user = user,
		.root = sandbox_root,
		.fn = try_act,
		.arg = &arg };
	int expect = sandbox_act_forbidden(role, act) ? SANDBOX_TRY_REFUSED :
							SANDBOX_TRY_ALLOWED;

	sandbox_child_run(&c);
	if (!c.entered)
		fail_msg("%s: not entered: %s", proc_name(role), c.err_text);
	if (sandbox_child_killed(&c) && expect == SANDBOX_TRY_REFUSED)
		return;
	if (!WIFEXITED(c.status) || WEXITSTATUS(c.status) != expect)
		fail_msg("%s, mode %d, %s: %s: status %x, %s", proc_name(role),
		    mode, user ? "user" : "root", sandbox_act_name(act),
		    c.status, c.err_text);
	if (expect == SANDBOX_TRY_REFUSED && c.out_text[0] != 'E')
		fail_msg("%s: %s: no errno's name", proc_name(role),
		    sandbox_act_name(act));
}

static void
check_acts(enum proc role, enum sandbox_mode mode, bool user)
{
	for (unsigned act = 1; act <= sandbox_act_count(); act++)
		check_act(role, mode, user, act);
}

static void
test_every_act_is_refused(void **state)
{
	assert_true(sandbox_act_count() >= 20);
	sandbox_each(check_acts);
}

/* Without the sandbox root can do these: the acts do find open doors. */
static void
test_acts_are_possible_outside(void **state)
{
	static const char *const possible[] = { "open_outside",
		"open_above_root", "open_memory", "create", "create_openat2",
		"mkdir", "unlink", "chmod", "chown", "inotify", "execve",
		"fork", "socket_inet", "socket_unix", "socket_netlink",
		"connect", "kill", "unshare", "setns", "chroot", "mount", "bpf",
		"memfd_create", "mmap_wx", "mprotect_x", "prctl", "setuid",
		"ioctl" };
	struct sandbox_child c;
	unsigned arg, found = 0;

	if (geteuid() != 0)
		skip();
	for (unsigned act = 1; act <= sandbox_act_count(); act++)
		for (size_t i = 0; i < sizeof(possible) / sizeof(*possible);
		     i++) {
			if (strcmp(possible[i], sandbox_act_name(act)) != 0)
				continue;
			arg = PROC_PUSH << 16 | act;
			c = (struct sandbox_child) { .role = PROC_PUSH,
				.mode = SANDBOX_OFF,
				.root = sandbox_root,
				.fn = try_act,
				.arg = &arg };
			sandbox_child_run(&c);
			if (!WIFEXITED(c.status) ||
			    WEXITSTATUS(c.status) != SANDBOX_TRY_POSSIBLE)
				fail_msg("%s: status %x", possible[i],
				    c.status);
			found++;
		}
	assert_int_equal(found, sizeof(possible) / sizeof(*possible));
}

static void
test_trap_names_the_call(void **state)
{
	struct sandbox_child c = { .role = PROC_PLAN,
		.mode = SANDBOX_TRAP,
		.user = geteuid() != 0,
		.root = -1,
		.fn = try_act };
	unsigned arg = 0;

	for (unsigned act = 1; act <= sandbox_act_count(); act++)
		if (strcmp(sandbox_act_name(act), "memfd_create") == 0)
			arg = PROC_PLAN << 16 | act;
	c.arg = &arg;
	sandbox_child_run(&c);
	assert_true(sandbox_child_killed(&c));
	assert_non_null(strstr(c.err_text, "(memfd_create)\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_role_works),
		cmocka_unit_test(test_every_act_is_refused),
		cmocka_unit_test(test_acts_are_possible_outside),
		cmocka_unit_test(test_trap_names_the_call),
	};

	signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, sandbox_dirs_make,
	    sandbox_dirs_remove));
}
