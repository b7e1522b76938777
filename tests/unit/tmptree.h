/*
 * A scratch directory for unit tests.  Every call fails the test when it
 * cannot do what it says.
 */

#ifndef WHARF_TMPTREE_H
#define WHARF_TMPTREE_H

#include <stddef.h>
#include <sys/types.h>

struct tmptree {
	char path[256];
	int fd;
};

void tmptree_new(struct tmptree *t);
void tmptree_free(struct tmptree *t);

/*
 * Fixtures of one test; its state is the struct tmptree:
 * cmocka_unit_test_prestate_setup_teardown(f, ..., &t).
 */
int tmptree_setup(void **state);
int tmptree_teardown(void **state);

/* All paths are relative; parents must exist. */
void tmptree_dir(struct tmptree *t, const char *path, mode_t mode);
void tmptree_file(struct tmptree *t, const char *path, const char *text);
void tmptree_link(struct tmptree *t, const char *path, const char *target);
void tmptree_fifo(struct tmptree *t, const char *path);

/* Entries of /proc/self/fd. */
int tmptree_open_fds(void);

#endif
