/*
 * The walls of the sandbox: what the report says of them, what holds where a
 * kernel or a container withholds one, and what neighbours can do.
 */
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
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

#include "buf.h"
#include "log.h"
#include "sandbox_child.h"
#include "workers/common/sandbox_priv.h"
#include "workers/shared/tree.h"

/* What the report says, and where walls are missing. */

static int
nothing(void *arg)
{
	return (0);
}

static void
check_report(enum proc role, enum sandbox_mode mode, bool user)
{
	struct sandbox_child c = { .role = role,
		.mode = mode,
		.user = user,
		.root = sandbox_root,
		.fn = nothing };
	bool as_root = geteuid() == 0 && !user;
	bool reads = sandbox_role_reads(role);

	sandbox_child_run(&c);
	assert_true(c.entered);
	assert_int_equal(c.status, 0);
	assert_int_equal(c.report.mode, mode);
	assert_true(c.report.seccomp);
	assert_true(c.report.no_new_privs);
	assert_false(c.report.dumpable);
	assert_int_equal(c.report.uid,
	    as_root            ? SANDBOX_CHILD_UID + role :
		geteuid() == 0 ? SANDBOX_CHILD_USER :
				 geteuid());
	assert_int_equal(c.report.chrooted, as_root);
	assert_string_equal(c.report.caps,
	    as_root && reads && c.report.landlock > 0 ? "dac_read_search" : "");
	if (!as_root)
		assert_non_null(strstr(c.report.note, "not started as root"));
	if (SANDBOX_ASAN)
		assert_non_null(strstr(c.report.note, "address sanitizer"));
	else if (as_root && c.report.netns && c.report.mdwe &&
	    c.report.landlock > 0)
		assert_string_equal(c.report.note, "");
}

static void
test_report(void **state)
{
	sandbox_each(check_report);
}

static void
test_report_fields(void **state)
{
	struct sandbox_report r = { .mode = SANDBOX_TRAP,
		.uid = 47001,
		.seccomp = true,
		.landlock = 7,
		.chrooted = true,
		.no_new_privs = true,
		.mdwe = true,
		.note = "why" };
	struct buf b = { 0 };
	struct fields t;
	char *s;

	strlcpy(r.caps, "dac_read_search", sizeof(r.caps));
	sandbox_report_fields(&r, &b);
	t = (struct fields) { b.data, b.len };
	assert_true(fields_valid(&t));
	s = fields_dup(&t, F_SB_MODE);
	assert_string_equal(s, "trap");
	free(s);
	s = fields_dup(&t, F_SB_CAPS);
	assert_string_equal(s, "dac_read_search");
	free(s);
	s = fields_dup(&t, F_SB_NOTE);
	assert_string_equal(s, "why");
	free(s);
	assert_int_equal(fields_u64(&t, F_SB_UID, 0), 47001);
	assert_int_equal(fields_u64(&t, F_SB_SECCOMP, 0), 1);
	assert_int_equal(fields_u64(&t, F_SB_LANDLOCK, 0), 7);
	assert_int_equal(fields_u64(&t, F_SB_CHROOT, 0), 1);
	assert_int_equal(fields_u64(&t, F_SB_NO_NEW_PRIVS, 0), 1);
	assert_int_equal(fields_u64(&t, F_SB_DUMPABLE, 1), 0);
	assert_int_equal(fields_u64(&t, F_SB_NETNS, 1), 0);
	assert_int_equal(fields_u64(&t, F_SB_MDWE, 0), 1);
	buf_free(&b);
}

static void
test_off_only_reports(void **state)
{
	struct sandbox_child c = { .role = PROC_PLAN,
		.mode = SANDBOX_OFF,
		.root = -1,
		.fn = nothing };

	sandbox_child_run(&c);
	assert_true(c.entered);
	assert_false(c.report.seccomp);
	assert_int_equal(c.report.landlock, 0);
	assert_false(c.report.chrooted);
	assert_false(c.report.no_new_privs);
	assert_true(c.report.dumpable);
	assert_int_equal(c.report.uid, geteuid());
	assert_string_equal(c.report.note, "switched off");
}

/* A kernel that lacks what these numbers are. */
static void
lose_call(uint32_t nr, uint32_t nr2, int error)
{
	struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					  offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == -1)
		_exit(95);
}

static void
lose_landlock(void *arg)
{
	lose_call(SYS_landlock_create_ruleset, SYS_landlock_create_ruleset,
	    ENOSYS);
}

/* No Landlock: no right to read everything, no openat2, still at work. */
static int
read_without_landlock(void *arg)
{
	int fd;

	if (syscall(SYS_openat2, sandbox_root, "file", NULL, 0) != -1 ||
	    errno != ENOSYS)
		return (1);
	if ((fd = tree_open_file(sandbox_root, "sub/deep", NULL)) == -1)
		return (2);
	return (openat(sandbox_root, "made", O_CREAT | O_WRONLY, 0644) == -1 ?
		3 :
		4);
}

static void
test_no_landlock(void **state)
{
	struct sandbox_child c = { .role = PROC_PUSH,
		.mode = SANDBOX_ON,
		.root = sandbox_root,
		.before = lose_landlock,
		.fn = read_without_landlock };

	sandbox_child_run(&c);
	assert_true(c.entered);
	assert_int_equal(c.report.landlock, 0);
	assert_string_equal(c.report.caps, "");
	assert_non_null(strstr(c.report.note, "no Landlock"));
	/* writing is refused by the filter, which ends it */
	assert_true(sandbox_child_killed(&c));
	assert_int_equal(faccessat(sandbox_root, "made", F_OK, 0), -1);
}

static void
lose_seccomp(void *arg)
{
	struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					  offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_GET_SECCOMP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == -1)
		_exit(95);
}

static int
open_secret(void *arg)
{
	return (openat(sandbox_outside, "secret", O_RDONLY) == -1 ? 0 : 1);
}

static void
test_no_seccomp(void **state)
{
	struct sandbox_child c = { .role = PROC_PLAN,
		.mode = SANDBOX_ON,
		.root = -1,
		.before = lose_seccomp,
		.fn = open_secret };

	sandbox_child_run(&c);
	assert_true(c.entered);
	assert_false(c.report.seccomp);
	assert_non_null(strstr(c.report.note, "no seccomp"));
	if (c.report.landlock > 0)
		assert_int_equal(c.status, 0);
}

/* What Docker gives a container's root. */
static void
lose_caps(void *arg)
{
	uint64_t caps = 1 << CAP_CHOWN | 1 << CAP_DAC_OVERRIDE |
	    1 << CAP_FSETID | 1 << CAP_FOWNER | 1 << CAP_SETGID |
	    1 << CAP_SETUID | 1 << CAP_SETPCAP | 1 << CAP_NET_BIND_SERVICE |
	    1 << CAP_NET_RAW | 1 << CAP_SYS_CHROOT | 1 << CAP_KILL;
	struct __user_cap_header_struct h = { .version =
						  _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	if (arg != NULL)
		caps = 0;
	d[0].permitted = d[0].effective = (uint32_t)caps;
	if (syscall(SYS_capset, &h, d) == -1)
		_exit(94);
}

static void
test_container(void **state)
{
	struct sandbox_child c = { .role = PROC_WATCH,
		.mode = SANDBOX_ON,
		.root = sandbox_root,
		.before = lose_caps,
		.fn = nothing };

	if (geteuid() != 0)
		skip();
	sandbox_child_run(&c);
	assert_true(c.entered);
	assert_int_equal(c.status, 0);
	assert_true(c.report.chrooted);
	assert_false(c.report.netns);
	assert_int_equal(c.report.uid, SANDBOX_CHILD_UID + PROC_WATCH);
	assert_string_equal(c.report.caps, "");
	assert_non_null(strstr(c.report.note, "no CAP_SYS_ADMIN"));
}

static void
test_container_without_rights(void **state)
{
	struct sandbox_child c = { .role = PROC_WATCH,
		.mode = SANDBOX_ON,
		.root = sandbox_root,
		.before = lose_caps,
		.fn = nothing,
		.arg = sandbox_dir };

	if (geteuid() != 0)
		skip();
	sandbox_child_run(&c);
	assert_true(c.entered);
	assert_int_equal(c.report.uid, 0);
	assert_false(c.report.chrooted);
	assert_true(c.report.seccomp);
	assert_string_equal(c.report.caps, "");
	assert_non_null(strstr(c.report.note, "uid kept: no CAP_SETUID"));
}

static void
test_root_is_no_uid(void **state)
{
	struct sandbox_spec spec = { .role = PROC_PLAN, .mode = SANDBOX_ON };
	struct sandbox_report r;
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	if ((pid = fork()) == 0)
		_exit(sandbox_enter(&spec, &r) == -1 ? 0 : 1);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* The whole way out, with what libraries and sanitizers do there. */
static int
leave(void *arg)
{
	exit(0);
}

static void
check_exit(enum proc role, enum sandbox_mode mode, bool user)
{
	struct sandbox_child c = { .role = role,
		.mode = mode,
		.user = user,
		.root = sandbox_root,
		.fn = leave };

	sandbox_child_run(&c);
	assert_true(c.entered);
	assert_int_equal(c.status, 0);
}

static void
test_exit(void **state)
{
	fflush(NULL);
	sandbox_each(check_exit);
}

/* T13: neighbours. */

static int
sit(void *arg)
{
	char byte;

	return (read(3, &byte, 1) == 0 ? 0 : 1);
}

/* Try to get at a process; a bit for each way that is open. */
static int
attack(pid_t victim)
{
	char path[64], here[8];
	struct iovec local = { here, sizeof(here) };
	struct iovec remote = { sandbox_dir, sizeof(here) };
	long pidfd = syscall(SYS_pidfd_open, victim, 0);
	int open_ways = 0;

	if (syscall(SYS_pidfd_getfd, pidfd, 3, 0) != -1)
		open_ways |= 1;
	if (process_vm_readv(victim, &local, 1, &remote, 1, 0) != -1)
		open_ways |= 2;
	if (ptrace(PTRACE_SEIZE, victim, NULL, NULL) != -1)
		open_ways |= 4;
	snprintf(path, sizeof(path), "/proc/%d/mem", victim);
	if (open(path, O_RDWR) != -1)
		open_ways |= 8;
	snprintf(path, sizeof(path), "/proc/%d/fd/3", victim);
	if (open(path, O_RDWR) != -1)
		open_ways |= 16;
	return (open_ways);
}

static int
attack_as(uid_t uid, pid_t victim)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (uid != 0 &&
		    (setresgid(uid, uid, uid) == -1 ||
			setresuid(uid, uid, uid) == -1))
			_exit(128);
		if (uid != 0 && uid != SANDBOX_CHILD_UID + PROC_PLAN &&
		    kill(victim, SIGTERM) == 0)
			_exit(64);
		_exit(attack(victim));
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

static void
test_neighbours(void **state)
{
	struct sandbox_child c = { .role = PROC_PLAN,
		.mode = SANDBOX_ON,
		.root = -1,
		.fn = sit };

	if (geteuid() != 0)
		skip();
	assert_int_equal(sandbox_child_start(&c), 0);
	/* another worker's uid; then even its own, where dumpable helps */
	assert_int_equal(attack_as(SANDBOX_CHILD_UID + PROC_PUSH, c.pid), 0);
	assert_int_equal(attack_as(SANDBOX_CHILD_UID + PROC_PLAN, c.pid), 0);
	/* root may: the attack does find open doors */
	assert_int_not_equal(attack_as(0, c.pid), 0);
	shutdown(c.channel, SHUT_RDWR);
	sandbox_child_wait(&c);
	assert_int_equal(c.status, 0);
}

/* The supervisor's death is the worker's. */
static void
test_dies_with_parent(void **state)
{
	struct sandbox_child c = { .role = PROC_PLAN,
		.mode = SANDBOX_ON,
		.root = -1,
		.fn = sit };
	struct pollfd p = { .events = POLLIN };
	int alive[2], hold;
	pid_t pid;

	assert_int_equal(pipe(alive), 0);
	if ((pid = fork()) == 0) {
		close(alive[0]);
		if (sandbox_child_start(&c) == -1)
			_exit(1);
		/* let its channel stay open: only the signal ends it */
		if (write(alive[1], "s", 1) != 1)
			_exit(1);
		hold = fork();
		if (hold == 0) {
			close(alive[1]);
			prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
			sleep(2);
			_exit(0);
		}
		_exit(0);
	}
	close(alive[1]);
	assert_int_equal(waitpid(pid, &(int) { 0 }, 0), pid);
	p.fd = alive[0];
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(read(alive[0], (char[2]) { 0 }, 1), 1);
	/* the last writer's end */
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(read(alive[0], (char[2]) { 0 }, 1), 0);
	close(alive[0]);
}

/* A log that is a file does not end the worker (RLIMIT_FSIZE). */
static int log_file = -1;

static void
log_to_file(void *arg)
{
	if (dup2(log_file, 2) == -1)
		_exit(93);
}

static int
log_something(void *arg)
{
	log_warnx("still here");
	return (0);
}

static void
test_log_to_a_file(void **state)
{
	struct sandbox_child c = { .role = PROC_PLAN,
		.mode = SANDBOX_ON,
		.root = -1,
		.before = log_to_file,
		.fn = log_something };
	struct stat st;

	log_file = sandbox_open_high("log", O_CREAT | O_RDWR | O_APPEND);
	sandbox_child_run(&c);
	assert_int_equal(c.status, 0);
	assert_int_equal(fstat(log_file, &st), 0);
	assert_true(st.st_size > 0);
	close(log_file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_report_fields),
		cmocka_unit_test(test_off_only_reports),
		cmocka_unit_test(test_no_landlock),
		cmocka_unit_test(test_no_seccomp),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_container_without_rights),
		cmocka_unit_test(test_root_is_no_uid),
		cmocka_unit_test(test_exit),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_dies_with_parent),
		cmocka_unit_test(test_log_to_a_file),
	};

	signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, sandbox_dirs_make,
	    sandbox_dirs_remove));
}
