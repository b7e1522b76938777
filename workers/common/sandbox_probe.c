/*
 * The forbidden acts, see sandbox.h.  Runs in a worker that was started to try
 * one of them inside its sandbox and then ends; the supervisor uses the names.
 *
 * Each act is chosen so that it does no harm where it turns out possible.  An
 * act gives 0 when it was possible and an errno when it was refused; errnos
 * that only a call that was let through can give count as possible.
 */
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/common/sandbox_priv.h"

#define PROBE_FILE    ".wharf-probe"
#define PROBE_PAGE    4096
#define PROBE_CHANNEL 3 /* WORKER_CHANNEL_FD */
#define X32_BIT       0x40000000

static int probe_root = -1;

void
sandbox_probe_root(int fd)
{
	probe_root = fd;
}

/* Where a file of the probe would go: the first root, else here. */
static int
probe_dir(void)
{
	return (probe_root != -1 ? probe_root : AT_FDCWD);
}

/* What a call gave: 0 when it did what it says. */
static int
verdict(long rc)
{
	return (rc == -1 ? errno : 0);
}

/* The same; this errno comes from behind the fence as well. */
static int
verdict_but(long rc, int through)
{
	return (rc == -1 && errno != through ? errno : 0);
}

static int
act_open_outside(void)
{
	return (verdict(openat(AT_FDCWD, "/etc/passwd", O_RDONLY)));
}

static int
act_open_above_root(void)
{
	return (verdict(openat(probe_dir(), "..", O_RDONLY | O_DIRECTORY)));
}

static int
act_open_memory(void)
{
	return (verdict(openat(AT_FDCWD, "/proc/self/mem", O_RDONLY)));
}

static int
act_open_by_handle(void)
{
	struct {
		struct file_handle head;
		unsigned char bytes[MAX_HANDLE_SZ];
	} h = { .head = { .handle_bytes = 8, .handle_type = 1 } };

	return (verdict_but(open_by_handle_at(probe_dir(), &h.head, O_RDONLY),
	    ESTALE));
}

static int
act_create(void)
{
	int fd =
	    openat(probe_dir(), PROBE_FILE, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd != -1)
		unlinkat(probe_dir(), PROBE_FILE, 0);
	return (verdict(fd));
}

static int
act_create_openat2(void)
{
	struct open_how how = { .flags = O_CREAT | O_EXCL | O_WRONLY,
		.mode = 0600 };
	long fd =
	    syscall(SYS_openat2, probe_dir(), PROBE_FILE, &how, sizeof(how));

	if (fd != -1)
		unlinkat(probe_dir(), PROBE_FILE, 0);
	return (verdict(fd));
}

static int
act_mkdir(void)
{
	int rc = mkdirat(probe_dir(), PROBE_FILE, 0700);

	if (rc == 0)
		unlinkat(probe_dir(), PROBE_FILE, AT_REMOVEDIR);
	return (verdict(rc));
}

static int
act_unlink(void)
{
	return (verdict_but(unlinkat(probe_dir(), PROBE_FILE, 0), ENOENT));
}

static int
act_chmod(void)
{
	struct stat st;

	if (fstatat(probe_dir(), ".", &st, 0) == -1)
		st.st_mode = 0555;
	return (verdict(fchmodat(probe_dir(), ".", st.st_mode & 07777, 0)));
}

static int
act_chown(void)
{
	return (verdict(fchownat(probe_dir(), ".", (uid_t)-1, (gid_t)-1, 0)));
}

static int
act_setxattr(void)
{
	int rc = setxattr(".", "user.wharf", "1", 1, 0);

	if (rc == 0)
		removexattr(".", "user.wharf");
	return (verdict(rc));
}

static int
act_inotify(void)
{
	int fd = inotify_init1(IN_CLOEXEC);

	return (
	    fd == -1 ? errno : verdict(inotify_add_watch(fd, "/", IN_CREATE)));
}

/* Should it work, false(1) ends with 1: possible. */
static int
act_execve(void)
{
	char name[] = "false", *argv[] = { name, NULL };

	return (verdict(execve("/bin/false", argv, argv + 1)));
}

static int
act_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return (verdict(pid));
}

static int
act_socket_inet(void)
{
	return (verdict(socket(AF_INET, SOCK_STREAM, 0)));
}

static int
act_socket_unix(void)
{
	return (verdict(socket(AF_UNIX, SOCK_STREAM, 0)));
}

static int
act_socket_netlink(void)
{
	return (verdict(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)));
}

/*
 * The channel is connected, so a connect(2) that gets through fails.  "Done"
 * is what engine's filter says to it.
 */
static int
act_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
		.sun_path = "/run/docker.sock" };

	if (connect(PROBE_CHANNEL, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return (EOPNOTSUPP);
	return (
	    errno == EPERM || errno == EACCES || errno == ENOSYS ? errno : 0);
}

static int
act_kill(void)
{
	return (verdict(kill(getppid(), 0)));
}

static int
act_ptrace(void)
{
	return (verdict(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL)));
}

static int
act_pidfd_getfd(void)
{
	long pidfd = syscall(SYS_pidfd_open, getppid(), 0);

	return (pidfd == -1 ? errno :
			      verdict(syscall(SYS_pidfd_getfd, pidfd, 0, 0)));
}

static int
act_process_vm(void)
{
	char here[8];
	struct iovec local = { here, sizeof(here) };
	struct iovec remote = { &probe_root, sizeof(here) };

	return (
	    verdict_but(process_vm_readv(getppid(), &local, 1, &remote, 1, 0),
		EFAULT));
}

static int
act_unshare(void)
{
	return (verdict(unshare(CLONE_NEWUSER)));
}

static int
act_setns(void)
{
	return (verdict_but(setns(PROBE_CHANNEL, 0), EINVAL));
}

static int
act_chroot(void)
{
	return (verdict(chroot(".")));
}

static int
act_mount(void)
{
	return (verdict_but(mount("none", "/", "wharf-none", 0, NULL), ENODEV));
}

static int
act_bpf(void)
{
	char attr[128];

	memset(attr, 0xff, sizeof(attr));
	return (verdict_but(syscall(SYS_bpf, 0, attr, sizeof(attr)), EINVAL));
}

static int
act_io_uring(void)
{
	char params[256] = { 0 };

	return (verdict(syscall(SYS_io_uring_setup, 1, params)));
}

static int
act_keyctl(void)
{
	return (verdict(syscall(SYS_keyctl, 0, -3, 1)));
}

static int
act_userfaultfd(void)
{
	return (verdict(syscall(SYS_userfaultfd, 1))); /* user mode only */
}

static int
act_perf(void)
{
	struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE,
		.size = sizeof(a),
		.exclude_kernel = 1 };

	return (verdict(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0)));
}

static int
act_memfd(void)
{
	return (verdict(memfd_create("wharf", MFD_CLOEXEC)));
}

static int
act_mmap_wx(void)
{
	void *p = mmap(NULL, PROBE_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return (p == MAP_FAILED ? errno : 0);
}

static int
act_mprotect_x(void)
{
	void *p = mmap(NULL, PROBE_PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return (p == MAP_FAILED ?
		errno :
		verdict(mprotect(p, PROBE_PAGE, PROT_READ | PROT_EXEC)));
}

static int
act_prctl(void)
{
	return (verdict(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)));
}

static int
act_setuid(void)
{
	return (verdict(setuid(0)));
}

static int
act_ioctl(void)
{
	return (verdict_but(ioctl(PROBE_CHANNEL, TIOCSTI, ""), ENOTTY));
}

static int
act_foreign_abi(void)
{
	return (verdict(syscall(X32_BIT | SYS_getpid)));
}

#define ALL_BUT(p) (~PROC_BIT(p))
#define ALL        (~0u)

static const struct {
	const char *name;
	int (*act)(void);
	uint32_t roles; /* PROC_BIT()s of those who are forbidden it */
} acts[] = {
	{ "open_outside", act_open_outside, ALL },
	{ "open_above_root", act_open_above_root, ALL },
	{ "open_memory", act_open_memory, ALL },
	{ "open_by_handle", act_open_by_handle, ALL },
	{ "create", act_create, ALL },
	{ "create_openat2", act_create_openat2, ALL },
	{ "mkdir", act_mkdir, ALL },
	{ "unlink", act_unlink, ALL },
	{ "chmod", act_chmod, ALL },
	{ "chown", act_chown, ALL },
	{ "setxattr", act_setxattr, ALL },
	{ "inotify", act_inotify, ALL_BUT(PROC_WATCH) },
	{ "execve", act_execve, ALL },
	{ "fork", act_fork, ALL },
	{ "socket_inet", act_socket_inet, ALL },
	{ "socket_unix", act_socket_unix, ALL },
	{ "socket_netlink", act_socket_netlink, ALL },
	{ "connect", act_connect, ALL },
	{ "kill", act_kill, ALL },
	{ "ptrace", act_ptrace, ALL },
	{ "pidfd_getfd", act_pidfd_getfd, ALL },
	{ "process_vm_readv", act_process_vm, ALL },
	{ "unshare", act_unshare, ALL },
	{ "setns", act_setns, ALL },
	{ "chroot", act_chroot, ALL },
	{ "mount", act_mount, ALL },
	{ "bpf", act_bpf, ALL },
	{ "io_uring_setup", act_io_uring, ALL },
	{ "keyctl", act_keyctl, ALL },
	{ "userfaultfd", act_userfaultfd, ALL },
	{ "perf_event_open", act_perf, ALL },
	{ "memfd_create", act_memfd, ALL },
	{ "mmap_wx", act_mmap_wx, ALL },
	{ "mprotect_x", act_mprotect_x, ALL },
	{ "prctl", act_prctl, ALL },
	{ "setuid", act_setuid, ALL },
	{ "ioctl", act_ioctl, ALL },
	{ "foreign_abi", act_foreign_abi, ALL },
};

#define NACTS (sizeof(acts) / sizeof(acts[0]))

unsigned
sandbox_act_count(void)
{
	return (NACTS);
}

const char *
sandbox_act_name(unsigned act)
{
	return (act >= 1 && act <= NACTS ? acts[act - 1].name : "?");
}

bool
sandbox_act_forbidden(enum proc role, unsigned act)
{
	return (act >= 1 && act <= NACTS &&
	    (acts[act - 1].roles & PROC_BIT(role)) != 0);
}

void
sandbox_try(enum proc role, unsigned act)
{
	const char *name;
	int error;

	if (!sandbox_act_forbidden(role, act))
		_exit(SANDBOX_TRY_ALLOWED);
	error = acts[act - 1].act();
	if (error == 0)
		_exit(SANDBOX_TRY_POSSIBLE);
	name = strerrorname_np(error);
	if (name == NULL)
		name = "?";
	if (write(STDOUT_FILENO, name, strlen(name)) == -1)
		_exit(SANDBOX_TRY_REFUSED);
	_exit(SANDBOX_TRY_REFUSED);
}
