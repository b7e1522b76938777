/*
 * Mounts below a watched root: what appears or goes with them makes no event.
 * Watch worker; pure but for reading the kernel's table.
 */
#ifndef WHARF_WATCH_MOUNTS_H
#define WHARF_WATCH_MOUNTS_H

#include <stddef.h>

struct watch_mounts;

/* The whole of /proc/self/mountinfo from its descriptor; NULL with errno. */
char *watch_mounts_read(int fd, size_t *len);

/* Those below `root` (absolute, without symbolic links). */
struct watch_mounts *watch_mounts_parse(const char *text, size_t len,
    const char *root);
void watch_mounts_free(struct watch_mounts *m);

/* Call fn for the path below the root of each that came or went. */
void watch_mounts_diff(const struct watch_mounts *old,
    const struct watch_mounts *new, void (*fn)(void *arg, const char *path),
    void *arg);

#endif
