/*
 * Children for tests of the sandbox: each enters a role's real sandbox and
 * runs one function in it.
 */
#ifndef WHARF_SANDBOX_CHILD_H
#define WHARF_SANDBOX_CHILD_H

#include <sys/types.h>

#include "workers/common/sandbox.h"

#define SANDBOX_CHILD_UID  47100 /* plus the role, as wharfd would */
#define SANDBOX_CHILD_USER 65534

struct sandbox_child {
	enum proc role;
	enum sandbox_mode mode;
	bool user;                 /* start as an ordinary user */
	int root;                  /* of readers; -1: none */
	void (*before)(void *arg); /* with start-up rights; may be NULL */
	int (*fn)(void *arg);      /* in the sandbox; its exit code */
	void *arg;

	pid_t pid;
	int channel;                  /* our end of the child's fd 3 */
	int out;                      /* what it writes to standard output */
	int err;                      /* what it logs */
	struct sandbox_report report; /* as the child got it */
	bool entered;
	int status; /* of waitpid(2) */
	char out_text[4096];
	char err_text[4096];
};

/* Start it and wait until it is inside; -1 when it did not get there. */
int sandbox_child_start(struct sandbox_child *c);

/* Wait for its end, at most 10 s, and collect its output. */
void sandbox_child_wait(struct sandbox_child *c);

/* Both. */
void sandbox_child_run(struct sandbox_child *c);

/* Did the filter end it, as its mode says? */
bool sandbox_child_killed(const struct sandbox_child *c);

/* Run fn for every role, as root where we are, and as a user. */
void sandbox_each(
    void (*fn)(enum proc role, enum sandbox_mode mode, bool user));

/*
 * Group fixtures: a directory with root/ (what readers may read: file,
 * sub/deep, link -> file) and outside/ (secret).
 */
extern char sandbox_dir[];
extern int sandbox_root;
extern int sandbox_outside;
int sandbox_dirs_make(void **state);
int sandbox_dirs_remove(void **state);

/* Write a file; the test fails when it cannot be done. */
void sandbox_put_file(int at, const char *name, const char *text);

/* Open beneath sandbox_dir, well above the numbers a worker is given. */
int sandbox_open_high(const char *name, int flags);

#endif
