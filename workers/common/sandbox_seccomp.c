/*
 * The system calls that a role may make.  Runs in a worker as the last step
 * of entering its sandbox.
 *
 * What is not listed kills the process.  Calls that glibc and libcurl make on
 * their own and can do without are refused softly, with an errno: a filter
 * that kills for them breaks with the next libc (spec/security.md 2.1).
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/common/sandbox_priv.h"

#define NCALLS        1024 /* system call numbers that a trap can name */
#define FILTER_MAX    2048 /* instructions */
#define FILTER_TIME_S 20   /* some milliseconds are enough */
#define READ_MASK     (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND)
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

struct filter {
	scmp_filter_ctx ctx;
	int error; /* the first, negative errno; 0: none */
};

struct soft {
	int nr;
	int error;
};

/* Every role: its channel, its loop, memory, time, the end. */
static const int common[] = { SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write),
	SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(sendto),
	SCMP_SYS(shutdown), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_create1), SCMP_SYS(eventfd2),
	SCMP_SYS(signalfd4), SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime), SCMP_SYS(close), SCMP_SYS(dup),
	SCMP_SYS(fstat), SCMP_SYS(lseek), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(msync), SCMP_SYS(futex),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
	SCMP_SYS(time), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(getrandom), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(getrusage), SCMP_SYS(sysinfo),
	SCMP_SYS(exit), SCMP_SYS(exit_group) };

static const int readers[] = { SCMP_SYS(getdents64), SCMP_SYS(newfstatat),
	SCMP_SYS(statx), SCMP_SYS(readlinkat), SCMP_SYS(fchdir),
	SCMP_SYS(fstatfs), SCMP_SYS(fadvise64), SCMP_SYS(fgetxattr),
	SCMP_SYS(flistxattr) };

static const int watch[] = { SCMP_SYS(inotify_init1),
	SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch) };

/* They make the pipes whose reading end they hand to engine. */
static const int senders[] = { SCMP_SYS(pipe2), SCMP_SYS(splice),
	SCMP_SYS(sendfile) };

static const int engine[] = { SCMP_SYS(getsockname), SCMP_SYS(getpeername) };

static const int control[] = { SCMP_SYS(accept4), SCMP_SYS(getpeername) };

/* Harmless and refused, so that libraries go on without it. */
static const struct soft soft_all[] = { { SCMP_SYS(open), ENOENT },
	{ SCMP_SYS(stat), ENOENT }, { SCMP_SYS(lstat), ENOENT },
	{ SCMP_SYS(access), ENOENT }, { SCMP_SYS(faccessat), ENOENT },
	{ SCMP_SYS(faccessat2), ENOENT }, { SCMP_SYS(readlink), ENOENT },
	{ SCMP_SYS(getcwd), ENOENT }, { SCMP_SYS(uname), EPERM } };

static const struct soft soft_no_files[] = { { SCMP_SYS(openat), ENOENT },
	{ SCMP_SYS(openat2), ENOENT }, { SCMP_SYS(readlinkat), ENOENT },
	{ SCMP_SYS(statx), ENOENT } };

/*
 * A report of the address sanitizer makes a pipe and may start a symbolizer:
 * the one is let, the other refused, so that the report itself comes out.
 */
static const int asan[] = { SCMP_SYS(pipe), SCMP_SYS(pipe2) };
static const struct soft soft_asan[] = { { SCMP_SYS(fork), EPERM },
	{ SCMP_SYS(vfork), EPERM }, { SCMP_SYS(clone), EPERM } };

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

static void
add(struct filter *f, uint32_t action, int nr, unsigned n,
    const struct scmp_arg_cmp *args)
{
	int r = seccomp_rule_add_array(f->ctx, action, nr, n, args);

	if (r < 0 && r != -EEXIST && f->error == 0)
		f->error = r;
}

static void
allow(struct filter *f, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(f, SCMP_ACT_ALLOW, calls[i], 0, NULL);
}

static void
refuse(struct filter *f, const struct soft *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(f, SCMP_ACT_ERRNO((uint32_t)s[i].error), s[i].nr, 0, NULL);
}

/* One argument must be this. */
static void
when(struct filter *f, uint32_t action, int nr, unsigned arg, uint64_t value)
{
	struct scmp_arg_cmp a = SCMP_CMP(arg, SCMP_CMP_EQ, value, 0);

	add(f, action, nr, 1, &a);
}

/* Of these bits of one argument, exactly `value` may be set. */
static void
when_bits(struct filter *f, uint32_t action, int nr, unsigned arg,
    uint64_t mask, uint64_t value)
{
	struct scmp_arg_cmp a = SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, value);

	add(f, action, nr, 1, &a);
}

static void
rules_common(struct filter *f)
{
	static const int cmds[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL,
		F_DUPFD_CLOEXEC, F_GET_SEALS, F_GETPIPE_SZ, F_SETPIPE_SZ };
	struct scmp_arg_cmp limit[] = { SCMP_CMP(0, SCMP_CMP_EQ, 0, 0),
		SCMP_CMP(2, SCMP_CMP_EQ, 0, 0) };

	allow(f, common, NELEM(common));
	refuse(f, soft_all, NELEM(soft_all));
	for (size_t i = 0; i < NELEM(cmds); i++)
		when(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, cmds[i]);
	when_bits(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
	when_bits(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	/* abort(3) and raise(3), of this process alone */
	when(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 0, (uint64_t)getpid());
	/* ask for limits, never set them */
	add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, limit);
	when(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, FIONBIO);
	when(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, FIONREAD);
	when(f, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1, TCGETS);
	when(f, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1, TIOCGWINSZ);
	when(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 0, PR_GET_SECCOMP);
	/* malloc(3) names its memory in newer libcs */
	when(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 0, PR_SET_VMA);
}

static void
rules_files(struct filter *f, bool openat2)
{
	allow(f, readers, NELEM(readers));
	when_bits(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 2, READ_MASK, O_RDONLY);
	/* its flags are out of a filter's sight: only where Landlock looks */
	add(f, openat2 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS),
	    SCMP_SYS(openat2), 0, NULL);
}

static void
rules_no_files(struct filter *f)
{
	refuse(f, soft_no_files, NELEM(soft_no_files));
	/* fstat(3) is newfstatat(2) with an empty path */
	when_bits(f, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH,
	    AT_EMPTY_PATH);
	when_bits(f, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(newfstatat), 3,
	    AT_EMPTY_PATH, 0);
}

static void
rules_engine(struct filter *f)
{
	struct scmp_arg_cmp keep[] = { SCMP_CMP(1, SCMP_CMP_EQ, SOL_SOCKET, 0),
		SCMP_CMP(2, SCMP_CMP_EQ, SO_KEEPALIVE, 0) };

	allow(f, engine, NELEM(engine));
	/*
	 * libcurl 7.88 calls connect(2) on sockets that it was told are
	 * connected: "done", and nothing happens (spec/security.md 0.1).
	 */
	add(f, SCMP_ACT_ERRNO(0), SCMP_SYS(connect), 0, NULL);
	when(f, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 1, SOL_SOCKET);
	add(f, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, keep);
	when(f, SCMP_ACT_ERRNO(EOPNOTSUPP), SCMP_SYS(setsockopt), 1,
	    IPPROTO_TCP);
	/* what curl_multi_wakeup(3) is made of */
	when(f, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 0, AF_UNIX);
}

static void
rules_role(struct filter *f, enum proc role, bool openat2)
{
	if (sandbox_role_reads(role))
		rules_files(f, openat2);
	else
		rules_no_files(f);
	if (role == PROC_WATCH)
		allow(f, watch, NELEM(watch));
	if (role == PROC_IMAGE || role == PROC_PUSH)
		allow(f, senders, NELEM(senders));
	if (role == PROC_ENGINE)
		rules_engine(f);
	if (role == PROC_CONTROL) {
		allow(f, control, NELEM(control));
		when(f, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 1, SOL_SOCKET);
	}
	if (SANDBOX_ASAN) {
		allow(f, asan, NELEM(asan));
		refuse(f, soft_asan, NELEM(soft_asan));
	}
}

/* --sandbox=trap: say what was called, then end. */

static char *names[NCALLS]; /* made before: nothing is allocated in a signal */

static void
trap_say(const char *s)
{
	if (write(STDERR_FILENO, s, strlen(s)) == -1)
		return;
}

/*
 * The only signal handler of all processes; it calls nothing but write(2) and
 * abort(3), and does not return.
 */
static void
trap_on_sigsys(int signo, siginfo_t *si, void *context)
{
	unsigned nr = (unsigned)si->si_syscall, n = nr;
	char digits[16], *p = digits + sizeof(digits) - 1;

	*p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	trap_say("sandbox: refused system call ");
	trap_say(p);
	trap_say(" (");
	trap_say(nr < NCALLS && names[nr] != NULL ? names[nr] : "unknown");
	trap_say(")\n");
	abort();
}

static int
trap_set(void)
{
	struct sigaction sa = { .sa_sigaction = trap_on_sigsys,
		.sa_flags = SA_SIGINFO };

	for (int i = 0; i < NCALLS; i++)
		names[i] =
		    seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
	sigemptyset(&sa.sa_mask);
	return (sigaction(SIGSYS, &sa, NULL));
}

/* Does the kernel know the action that we want? */
static bool
seccomp_here(void)
{
	return (
	    prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != -1 && seccomp_api_get() >= 3);
}

/* The program that libseccomp makes of the rules: its bytes, or -1. */
static ssize_t
filter_export(scmp_filter_ctx ctx, struct sock_filter *dst, size_t size)
{
	ssize_t n = -1;
	int p[2], r;

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) == -1)
		return (-1);
	r = seccomp_export_bpf(ctx, p[1]);
	close(p[1]);
	if (r == 0)
		n = read(p[0], dst, size);
	else
		errno = -r;
	close(p[0]);
	return (n);
}

/*
 * libseccomp 2.5 does not notice each allocation that fails while it makes a
 * program, and loads one that is wrong.  Two that are alike are right.
 */
static int
filter_load(scmp_filter_ctx ctx)
{
	struct sock_filter first[FILTER_MAX], second[FILTER_MAX];
	ssize_t n = filter_export(ctx, first, sizeof(first));
	struct sock_fprog prog = { .filter = first };

	if (n <= 0 || (size_t)n % sizeof(first[0]) != 0 ||
	    (size_t)n == sizeof(first))
		return (n == -1 ? -errno : -E2BIG);
	if (filter_export(ctx, second, sizeof(second)) != n ||
	    memcmp(first, second, (size_t)n) != 0)
		return (-ENOMEM);
	alarm(0); /* not allowed behind the filter */
	prog.len = (unsigned short)((size_t)n / sizeof(first[0]));
	/* no_new_privs is set */
	return (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) == -1 ?
		-errno :
		0);
}

int
sandbox_seccomp(enum proc role, enum sandbox_mode mode, bool openat2)
{
	uint32_t action =
	    mode == SANDBOX_TRAP ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS;
	struct filter f = { 0 };

	if (!seccomp_here())
		return (0);
	if (mode == SANDBOX_TRAP && trap_set() == -1)
		return (-1);
	if ((f.ctx = seccomp_init(action)) == NULL)
		return (-1);
	f.error = seccomp_attr_set(f.ctx, SCMP_FLTATR_ACT_BADARCH, action);
	/* as a binary tree: it is looked through at every call */
	seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* nor does libseccomp come back each time from a lack of memory */
	alarm(FILTER_TIME_S);
	rules_common(&f);
	rules_role(&f, role, openat2);
	if (f.error == 0)
		f.error = filter_load(f.ctx);
	else
		alarm(0);
	seccomp_release(f.ctx);
	if (f.error != 0) {
		errno = -f.error;
		return (-1);
	}
	/* the kernel's word for it, 2: a filter is in force */
	return (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2 ? 1 : -1);
}
