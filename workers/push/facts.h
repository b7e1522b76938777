/*
 * What the engine says of a container and of the images it stands on.  Push
 * worker; pure: the answers are read as hostile JSON.
 */
#ifndef WHARF_PUSH_FACTS_H
#define WHARF_PUSH_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/shared/dockerfile_env.h"

#define FACTS_MAX (4 * 1024 * 1024) /* bytes of an inspect's answer */

enum mount_kind { MOUNT_NONE, MOUNT_TMPFS, MOUNT_BIND, MOUNT_VOLUME };

struct mount {
	enum mount_kind kind;
	bool read_only;
	char *dest; /* absolute */
};

/* The configuration of an image or a container. */
struct image_config {
	struct dockerfile_env *env;
	char *user;
	char *workdir;
	char **shell; /* NULL-terminated; NULL: none given */
};

struct facts {
	bool read_only; /* the root file system */
	struct mount *mounts;
	size_t nmounts;
	struct image_config container, image, base;
};

/* Read an inspect of a container, of an image.  -1: not understood. */
int facts_container(struct facts *f, const void *json, size_t len);
int facts_image(struct image_config *c, const void *json, size_t len);
void facts_free(struct facts *f);

/* The mount that `path` (absolute, clean) lies in, or NULL. */
const struct mount *facts_mount(const struct facts *f, const char *path);

/*
 * A mount at or below `path`, or NULL: a recursive delete would go on in what
 * is mounted, on the host's side too.
 */
const struct mount *facts_mount_below(const struct facts *f, const char *path);

/*
 * Whether the stat of a path in a container (what HEAD gives) is a directory,
 * or a link, which for all that COPY does is taken for one to a directory.
 */
bool facts_stat_isdir(const void *json, size_t len);

#endif
