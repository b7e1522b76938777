/*
 * The comparison of a tree with a manifest: what has to be delivered, what
 * has to be deleted.  Push worker; reads beneath a root descriptor, sends
 * nothing.
 *
 * Only a manifest entry's stat is written here, where the content proved to
 * be the same.
 */
#ifndef WHARF_PUSH_COMPARE_H
#define WHARF_PUSH_COMPARE_H

#include "clock.h"
#include "workers/push/changes.h"
#include "workers/shared/ignore.h"
#include "workers/shared/manifest.h"

struct compare_opts {
	int rootfd; /* borrowed, like all of these */
	struct manifest *manifest;
	const struct ignore *ignore; /* NULL: nothing is left out */
	bool whole;                  /* all that is there counts as changed */
};

enum compare_state { COMPARE_DONE, COMPARE_MORE };

struct compare;

struct compare *compare_new(const struct compare_opts *opts);
void compare_free(struct compare *c);

/*
 * Look at one path, or at all at and below one ("" is everything).  Bytes as
 * they came; -1 for what is no path beneath the root.
 */
int compare_add(struct compare *c, const char *path, size_t len, bool subtree);

/*
 * Go on until the deadline: COMPARE_DONE, COMPARE_MORE, or -1 with errno:
 * EBADMSG for an ignore rule that cannot be matched, else the error of
 * reading the root.
 */
int compare_step(struct compare *c, mono_t deadline);

/* After COMPARE_DONE: the changes are the caller's from now on. */
void compare_take(struct compare *c, struct changes *out);

/* A path that could not be read, with errno; NULL when there is none. */
const char *compare_unreadable(const struct compare *c, int *err);

/* Paths that changed under the comparison, to be looked at again. */
size_t compare_again(const struct compare *c, char *const **paths);

#endif
