/*
 * Landlock, the fence around the contents of files.  Runs in a worker while it
 * enters its sandbox.
 *
 * The constants are written down here: the headers of the build machine may be
 * older than the kernel that runs us.  Landlock does not cover connecting to
 * the path of a unix socket, stat, chdir, chmod, inotify and more: seccomp,
 * uid and chroot do (spec/security.md 1.2).
 */
#include <sys/syscall.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "workers/common/sandbox_priv.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

#define LL_VERSION      (1u << 0) /* flag: ask for the ABI */
#define LL_PATH_BENEATH 1         /* rule type */
#define LL_FS_READ_FILE (1ULL << 2)
#define LL_FS_READ_DIR  (1ULL << 3)
#define LL_FS_ABI1      ((1ULL << 13) - 1)      /* EXECUTE .. MAKE_SYM */
#define LL_FS_REFER     (1ULL << 13)            /* ABI 2 */
#define LL_FS_TRUNCATE  (1ULL << 14)            /* ABI 3 */
#define LL_FS_IOCTL_DEV (1ULL << 15)            /* ABI 5 */
#define LL_NET_TCP      (1ULL << 0 | 1ULL << 1) /* ABI 4: bind, connect */
#define LL_SCOPE        (1ULL << 0 | 1ULL << 1) /* ABI 6: abstract, signal */

struct ll_ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scope;
};

struct ll_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

/* The rights that this ABI knows, and how much of the struct it takes. */
static size_t
ll_rights(int abi, struct ll_ruleset *rs)
{
	memset(rs, 0, sizeof(*rs));
	rs->fs = LL_FS_ABI1;
	if (abi >= 2)
		rs->fs |= LL_FS_REFER;
	if (abi >= 3)
		rs->fs |= LL_FS_TRUNCATE;
	if (abi >= 4)
		rs->net = LL_NET_TCP;
	if (abi >= 5)
		rs->fs |= LL_FS_IOCTL_DEV;
	if (abi >= 6)
		rs->scope = LL_SCOPE;
	if (abi < 4)
		return (sizeof(rs->fs));
	return (abi < 6 ? sizeof(rs->fs) + sizeof(rs->net) : sizeof(*rs));
}

static int
ll_allow(int set, int root)
{
	struct ll_beneath rule = { .allowed = LL_FS_READ_FILE | LL_FS_READ_DIR,
		.fd = root };

	return ((
	    int)syscall(SYS_landlock_add_rule, set, LL_PATH_BENEATH, &rule, 0));
}

int
sandbox_landlock(const int *roots, size_t nroots)
{
	struct ll_ruleset rs;
	long abi, set;
	int saved;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION);
	if (abi < 1)
		return (0);
	set = syscall(SYS_landlock_create_ruleset, &rs,
	    ll_rights((int)abi, &rs), 0);
	if (set == -1)
		return (-1);
	for (size_t i = 0; i < nroots; i++)
		if (roots[i] != -1 && ll_allow((int)set, roots[i]) == -1)
			goto fail;
	if (syscall(SYS_landlock_restrict_self, set, 0) == -1)
		goto fail;
	close((int)set);
	return ((int)abi);
fail:
	saved = errno;
	close((int)set);
	errno = saved;
	return (-1);
}
