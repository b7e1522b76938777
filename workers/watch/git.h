/*
 * Whether git is at work on a tree: index.lock in the repository it belongs
 * to (design.md section 5).  Watch worker; main.c and the tests call it.
 *
 * The repository above a root is out of the worker's sight once it is fenced
 * in: it is opened and watched with start-up rights.  Those below the root are
 * found by the scan, whatever the ignore rules say of them.
 */
#ifndef WHARF_WATCH_GIT_H
#define WHARF_WATCH_GIT_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define WATCH_GIT_MAX      256   /* repositories below one root */
#define WATCH_GIT_STALE_MS 30000 /* a lock that is older is of the dead */
#define WATCH_GIT_REST_MS  100   /* between two locks of one command */

struct watch_git;

struct inotify_event;
struct watch_inotify;

/* The instance stays the caller's, and tells of the locks from now on. */
struct watch_git *watch_git_new(struct watch_inotify *in);
void watch_git_free(struct watch_git *g);

/*
 * With start-up rights: the repository that the directory `path` (absolute,
 * without symbolic links) lies in, found upward on its file system, a .git
 * file followed.  It must belong to the directory's owner, to us or to root.
 * True when there is one that is watched now.
 */
bool watch_git_above(struct watch_git *g, uint32_t tree, const char *path);

/*
 * A name ".git" at `path` below the root; what lies outside of the root is
 * not followed.  rootfd must outlive g.
 */
void watch_git_below(struct watch_git *g, uint32_t tree, int rootfd,
    const char *path);

/* An event of the instance, whomever it concerns. */
void watch_git_event(struct watch_git *g, const struct inotify_event *ev,
    const char *name);

/* Whether there were events of ours since this was asked last. */
bool watch_git_stirred(struct watch_git *g);

/* Whether a repository has the watch. */
bool watch_git_has(const struct watch_git *g, int wd);

/*
 * Whether a repository of the tree is locked, or was until just now.  *next:
 * when to ask again, or MONO_NEVER: after the next event.
 */
bool watch_git_held(struct watch_git *g, uint32_t tree, mono_t *next);

/* The directory that a .git file names; NULL: it names none.  Pure. */
char *watch_git_dir(const char *text, size_t len);

#endif
