/*
 * What the parts of the sandbox share; only sandbox*.c may include this.
 */
#ifndef WHARF_SANDBOX_PRIV_H
#define WHARF_SANDBOX_PRIV_H

#include "workers/common/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_ASAN 1
#endif
#endif
#ifndef SANDBOX_ASAN
#define SANDBOX_ASAN 0
#endif

/* The first Landlock that knows truncation: openat2 needs no other guard. */
#define LANDLOCK_ABI_TRUNCATE 3

/* Roles that read source trees. */
static inline bool
sandbox_role_reads(enum proc role)
{
	return (role == PROC_WATCH || role == PROC_IMAGE || role == PROC_PUSH);
}

/*
 * Refuse every access to files but reading beneath the roots, and what else
 * the kernel's Landlock can refuse.  Returns the ABI in force, 0 with errno
 * when the kernel has none, -1 with errno when it has and it failed.
 */
int sandbox_landlock(const int *roots, size_t nroots);

/*
 * Load the role's filter.  1 when it is in force, 0 when the kernel has no
 * seccomp, -1 with errno when it has and loading failed.
 */
int sandbox_seccomp(enum proc role, enum sandbox_mode mode, bool openat2);

/* Remember the root that the forbidden acts try to get out of, or -1. */
void sandbox_probe_root(int fd);

#endif
