/*
 * Entering the sandbox, see sandbox.h.  Runs in every worker, once, between
 * its setup and the first byte from outside.
 *
 * The order is measured (spec/security.md 4): what needs rights comes before
 * they are dropped; PDEATHSIG after the uid change, which clears it; seccomp
 * last, since it refuses all the rest.  A wall that is missing must be missing
 * in the kernel or forbidden to us: it is tried, and what the kernel says goes
 * into the report.
 */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "workers/common/sandbox_priv.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_GET_MDWE              66
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

#define CAP(c) (1ULL << (c))
#define GIB    (1024ULL * 1024 * 1024)

#define MANIFEST_SPACE (256ULL * 1024 * 1024) /* the supervisor's memfds */

#if SANDBOX_ASAN
/*
 * At exit the leak checker starts a thread and traces the process, which the
 * filter forbids; it asks here first.
 */
static int entered;

int __lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
	return (entered);
}
#endif

static void __attribute__((format(printf, 2, 3)))
sandbox_note(struct sandbox_report *r, const char *fmt, ...)
{
	size_t len = strlen(r->note);
	va_list ap;

	if (len > 0 && len + 3 < sizeof(r->note)) {
		memcpy(r->note + len, "; ", 3);
		len += 2;
	}
	va_start(ap, fmt);
	vsnprintf(r->note + len, sizeof(r->note) - len, fmt, ap);
	va_end(ap);
}

/* Capabilities, by the bare system calls. */

static int
caps_get(uint64_t *permitted, uint64_t *effective)
{
	struct __user_cap_header_struct h = { .version =
						  _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	if (syscall(SYS_capget, &h, d) == -1)
		return (-1);
	*permitted = (uint64_t)d[1].permitted << 32 | d[0].permitted;
	*effective = (uint64_t)d[1].effective << 32 | d[0].effective;
	return (0);
}

/* Exactly these, of what is permitted. */
static int
caps_set(uint64_t caps)
{
	struct __user_cap_header_struct h = { .version =
						  _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };
	uint64_t permitted, effective;

	if (caps_get(&permitted, &effective) == -1)
		return (-1);
	caps &= permitted;
	d[0].permitted = d[0].effective = (uint32_t)caps;
	d[1].permitted = d[1].effective = (uint32_t)(caps >> 32);
	return ((int)syscall(SYS_capset, &h, d));
}

static bool
caps_have(int cap)
{
	uint64_t permitted, effective;

	return (caps_get(&permitted, &effective) == 0 &&
	    (effective & CAP(cap)) != 0);
}

/* No execve happens any more; should one, then without rights. */
static void
caps_drop_bounds(void)
{
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) != -1; c++)
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) == -1)
			return;
}

/* The steps, in their order. */

static void
enter_namespaces(struct sandbox_report *r)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC) == 0)
		r->netns = true;
	else
		sandbox_note(r, "no netns: %s",
		    errno == EPERM ? "no CAP_SYS_ADMIN" : strerror(errno));
}

/* A directory that nobody can put anything into: it is already removed. */
static int
open_removed_dir(void)
{
	static const char *const bases[] = { "/run", "/tmp", "/dev/shm",
		"/var/tmp" };
	char path[64];
	int fd;

	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		snprintf(path, sizeof(path), "%s/.wharf-XXXXXX", bases[i]);
		if (mkdtemp(path) == NULL)
			continue;
		fd =
		    open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* searched by another uid: "no such file", not "denied" */
		if (fd != -1 && fchmod(fd, 0555) == -1) {
			close(fd);
			fd = -1;
		}
		rmdir(path);
		if (fd != -1)
			return (fd);
	}
	return (-1);
}

static int
enter_chroot(struct sandbox_report *r)
{
	int fd, rc = -1;

	if (!caps_have(CAP_SYS_CHROOT)) {
		sandbox_note(r, "no chroot: no CAP_SYS_CHROOT");
		return (0);
	}
	if ((fd = open_removed_dir()) == -1) {
		sandbox_note(r, "no chroot: no place for a directory: %s",
		    strerror(errno));
		return (0);
	}
	if (fchdir(fd) == -1 || chroot(".") == -1 || chdir("/") == -1) {
		log_warn("chroot");
		goto out;
	}
	r->chrooted = true;
	rc = 0;
out:
	close(fd);
	return (rc);
}

static int
limit(int what, rlim_t most)
{
	struct rlimit rl;

	if (getrlimit(what, &rl) == -1)
		return (-1);
	if (rl.rlim_max == RLIM_INFINITY || rl.rlim_max > most)
		rl.rlim_max = most;
	rl.rlim_cur = rl.rlim_max;
	return (setrlimit(what, &rl));
}

/*
 * Address space.  Most of what push maps are manifests, shared and sparse, one
 * for each service, retired ones beside those of a reload; private memory has
 * a limit of its own.
 */
static rlim_t
limit_space(const struct sandbox_spec *spec)
{
	rlim_t most = (sandbox_role_reads(spec->role) ? 8 : 4) * GIB;

	/* a third each: served, to be served, and on their way out */
	if (spec->role == PROC_PUSH)
		most += 3 * SERVICES_MAX * MANIFEST_SPACE;
	return (most);
}

static int
enter_limits(const struct sandbox_spec *spec)
{
	rlim_t data = (sandbox_role_reads(spec->role) ? 8 : 4) * GIB;
	rlim_t files = 256 + 2 * spec->nroots;

	if (spec->role == PROC_CONTROL || spec->role == PROC_PLAN)
		files = 512; /* clients; manifests on their way */
	if (limit(RLIMIT_CORE, 0) == -1 || limit(RLIMIT_NPROC, 0) == -1 ||
	    limit(RLIMIT_NOFILE, files) == -1 ||
	    (!SANDBOX_ASAN &&
		(limit(RLIMIT_AS, limit_space(spec)) == -1 ||
		    limit(RLIMIT_DATA, data) == -1))) {
		log_warn("setrlimit");
		return (-1);
	}
	return (0);
}

/* Nothing is written but pipes and sockets, unless the log is a file. */
static int
limit_file_size(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode))
		return (0);
	return (limit(RLIMIT_FSIZE, 0));
}

static int
become(const struct sandbox_spec *spec, struct sandbox_report *r)
{
	uid_t uid, euid, suid;

	if (geteuid() != 0) {
		sandbox_note(r, "uid kept: not started as root");
		return (0);
	}
	if (!caps_have(CAP_SETUID) || !caps_have(CAP_SETGID)) {
		sandbox_note(r, "uid kept: no CAP_SETUID");
		return (0);
	}
	if (spec->uid == 0) {
		log_warnx("sandbox: root is no uid for a worker");
		return (-1);
	}
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1 ||
	    setgroups(0, NULL) == -1 ||
	    setresgid(spec->gid, spec->gid, spec->gid) == -1 ||
	    setresuid(spec->uid, spec->uid, spec->uid) == -1) {
		log_warn("sandbox: uid %u, gid %u", spec->uid, spec->gid);
		return (-1);
	}
	if (getresuid(&uid, &euid, &suid) == -1 || uid != spec->uid ||
	    euid != spec->uid || suid != spec->uid) {
		log_warnx("sandbox: still uid %u", uid);
		return (-1);
	}
	return (0);
}

/* Readers keep the right to read, until Landlock has the last word. */
static int
drop_rights(const struct sandbox_spec *spec)
{
	uint64_t keep = sandbox_role_reads(spec->role) && getuid() != 0 ?
	    CAP(CAP_DAC_READ_SEARCH) :
	    0;

	if (caps_set(keep) == -1) {
		log_warn("capset");
		return (-1);
	}
	if (getuid() != 0 && setuid(0) != -1) {
		log_warnx("sandbox: root again by setuid");
		return (-1);
	}
	return (0);
}

static int
enter_process(struct sandbox_report *r, pid_t parent)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
		log_warn("no_new_privs");
		return (-1);
	}
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1) {
		log_warn("dumpable");
		return (-1);
	}
	if (SANDBOX_ASAN)
		sandbox_note(r, "address sanitizer: no MDWE, no memory limit");
	else if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == -1)
		sandbox_note(r, "no MDWE: %s", strerror(errno));
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1) {
		log_warn("pdeathsig");
		return (-1);
	}
	if (getppid() != parent) {
		log_warnx("sandbox: the supervisor is gone");
		return (-1);
	}
	return (0);
}

static int
enter_landlock(const struct sandbox_spec *spec, struct sandbox_report *r)
{
	bool reads = sandbox_role_reads(spec->role);
	int abi;

	abi = sandbox_landlock(spec->roots, reads ? spec->nroots : 0);
	if (abi > 0) {
		r->landlock = (unsigned)abi;
		return (0);
	}
	if (abi == -1) {
		log_warn("landlock");
		return (-1);
	}
	sandbox_note(r, "no Landlock: %s", strerror(errno));
	/* the right to read everything is not for a process without it */
	if (caps_set(0) == -1) {
		log_warn("capset");
		return (-1);
	}
	return (0);
}

static int
enter_seccomp(const struct sandbox_spec *spec, struct sandbox_report *r)
{
	int rc;

	if (limit_file_size() == -1) {
		log_warn("setrlimit");
		return (-1);
	}
#if SANDBOX_ASAN
	entered = 1;
#endif
	rc = sandbox_seccomp(spec->role, spec->mode,
	    r->landlock >= LANDLOCK_ABI_TRUNCATE);
	if (rc == -1) {
		log_warn("seccomp");
		return (-1);
	}
	r->seccomp = rc == 1;
	return (0);
}

/* What the kernel says about this process, but for the filter. */
static void
report_fill(struct sandbox_report *r)
{
	uint64_t permitted = 0, effective = 0;

	r->uid = geteuid();
	r->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	r->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0;
	r->mdwe = prctl(PR_GET_MDWE, 0, 0, 0, 0) > 0;
	caps_get(&permitted, &effective);
	if (permitted == CAP(CAP_DAC_READ_SEARCH))
		snprintf(r->caps, sizeof(r->caps), "dac_read_search");
	else if (permitted != 0)
		snprintf(r->caps, sizeof(r->caps), "0x%llx",
		    (unsigned long long)permitted);
}

static int
enter_all(const struct sandbox_spec *spec, struct sandbox_report *r,
    pid_t parent)
{
	/* what is read from files that will be out of reach */
	tzset();
	enter_namespaces(r);
	if (enter_chroot(r) == -1 || enter_limits(spec) == -1)
		return (-1);
	caps_drop_bounds();
	if (become(spec, r) == -1 || drop_rights(spec) == -1 ||
	    enter_process(r, parent) == -1 || enter_landlock(spec, r) == -1)
		return (-1);
	report_fill(r);
	/* nothing after this but what the filter lets through */
	return (enter_seccomp(spec, r));
}

int
sandbox_enter(const struct sandbox_spec *spec, struct sandbox_report *report)
{
	pid_t parent = getppid();

	memset(report, 0, sizeof(*report));
	report->mode = spec->mode;
	sandbox_probe_root(sandbox_role_reads(spec->role) && spec->nroots > 0 ?
		spec->roots[0] :
		-1);
	if (spec->mode == SANDBOX_OFF) {
		sandbox_note(report, "switched off");
		report_fill(report);
		return (0);
	}
	if (enter_all(spec, report, parent) == -1)
		return (-1);
	if (!report->seccomp)
		sandbox_note(report, "no seccomp in this kernel");
	return (0);
}

void
sandbox_report_fields(const struct sandbox_report *r, struct buf *out)
{
	static const char *const modes[] = { [SANDBOX_ON] = "on",
		[SANDBOX_TRAP] = "trap",
		[SANDBOX_OFF] = "off" };

	fields_add_str(out, F_SB_MODE, modes[r->mode]);
	fields_add_u64(out, F_SB_UID, r->uid);
	fields_add_bool(out, F_SB_SECCOMP, r->seccomp);
	fields_add_u64(out, F_SB_LANDLOCK, r->landlock);
	fields_add_bool(out, F_SB_CHROOT, r->chrooted);
	fields_add_str(out, F_SB_CAPS, r->caps);
	fields_add_bool(out, F_SB_NO_NEW_PRIVS, r->no_new_privs);
	fields_add_bool(out, F_SB_DUMPABLE, r->dumpable);
	fields_add_bool(out, F_SB_NETNS, r->netns);
	fields_add_bool(out, F_SB_MDWE, r->mdwe);
	fields_add_str(out, F_SB_NOTE, r->note);
}
