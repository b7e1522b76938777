/*
 * The fences of a worker: spec/security.md section 4.  Entered once, after
 * setup and before the first byte from outside is read.
 */
#ifndef WHARF_SANDBOX_H
#define WHARF_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

#include "msg.h"

struct sandbox_spec {
	enum proc role;
	enum sandbox_mode mode;
	uid_t uid; /* to become, when started as root */
	gid_t gid;
	const int *roots; /* readers: directories that may be read */
	size_t nroots;
};

/* What holds now; probed from the kernel, not assumed. */
struct sandbox_report {
	enum sandbox_mode mode;
	uid_t uid;
	bool seccomp;
	unsigned landlock; /* ABI in force, 0: none */
	bool chrooted;
	bool no_new_privs;
	bool dumpable; /* should be false */
	bool netns;    /* a network namespace of its own */
	bool mdwe;
	char caps[64];  /* "" or "dac_read_search" */
	char note[160]; /* which wall is missing, and why; "" when none */
};

/*
 * Enter the sandbox of spec->role.  -1 after logging when a step that must
 * hold fails (uid change, no_new_privs, seccomp where the kernel has it).
 * With SANDBOX_OFF only the report is filled.
 */
int sandbox_enter(const struct sandbox_spec *spec,
    struct sandbox_report *report);

/* The report as SB_* fields of a READY frame. */
void sandbox_report_fields(const struct sandbox_report *r, struct buf *out);

#define SANDBOX_TRY_REFUSED  0
#define SANDBOX_TRY_POSSIBLE 1
#define SANDBOX_TRY_ALLOWED  2 /* the role may: sandbox_act_forbidden() */

/*
 * Try forbidden act number `act` (1..sandbox_act_count()) inside the sandbox
 * and end the process with SANDBOX_TRY_*; the errno's name is written to
 * standard output when it was refused.  The kernel may end the process first
 * (SIGSYS; SIGABRT in trap mode), which is a refusal too.
 */
void sandbox_try(enum proc role, unsigned act) __attribute__((noreturn));

/* For the supervisor: how many acts there are, and their names in JSON. */
unsigned sandbox_act_count(void);
const char *sandbox_act_name(unsigned act);

/* False for an act that belongs to the work of the role. */
bool sandbox_act_forbidden(enum proc role, unsigned act);

#endif
