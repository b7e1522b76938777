/*
 * What is to be sent to and deleted from a container, made from a push plan.
 * Push worker; pure.
 */
#ifndef WHARF_PUSH_ITEMS_H
#define WHARF_PUSH_ITEMS_H

#include "workers/push/changes.h"
#include "workers/push/facts.h"
#include "workers/push/owner.h"
#include "workers/shared/copyplan.h"
#include "workers/shared/manifest.h"

struct item {
	char *from; /* context path */
	char *to;   /* absolute, in the container */
	bool dir;
	size_t step;  /* of the plan that it is of */
	size_t order; /* the later of two with the same `to` counts */
	char *root;   /* a directory that should exist: PUT's path */
	struct owner owner;
	bool chmod;
	uint32_t mode; /* with chmod */
	bool moved;    /* a link that needs another root than the others */
	/* what became of it */
	bool sent; /* its bytes are in a PUT that was answered well */
	bool torn; /* changed or vanished under the reader */
	int error; /* it could not be read: errno */
	struct manifest_entry got;
};

struct items {
	struct item *v;
	size_t n;
};

struct paths {
	char **v;
	size_t n;
};

void paths_add(struct paths *l, const char *s);
/* Sort, and drop what is the same as, or lies below, another. */
void paths_settle(struct paths *l);
void paths_free(struct paths *l);

/*
 * The mode that a file of that mode has behind COPY: the builder's chown(2)
 * takes setuid away, and setgid where the group may execute (chown(2), NOTES;
 * moby builder fixPermissions).  Directories keep theirs.
 */
uint32_t items_mode(uint32_t mode);

/*
 * The engine refuses a link whose text leads out of the directory that it
 * unpacks in (go-archive: "invalid symlink").  NULL when `root` will do for
 * the link at `to`; else the nearest directory above it that does, the
 * caller's to free.
 */
char *items_link_root(const char *to, const char *target, const char *root);

/* Whether both are the same to a container: type, mode and content. */
bool items_same(const struct manifest_entry *a, const struct manifest_entry *b);

/*
 * The item among n that the engine's message names in its first quotes (Go's
 * %q): by its whole path, else by the longest end of it.  NULL: none.
 */
const struct item *items_named(const struct item *v, size_t n,
    const char *message);

/* Sort the moved behind the others; the index of the first that is unsent. */
size_t items_moved(struct items *l);

/* What a plan comes to. */
struct effects {
	struct items items;
	struct paths erase; /* absolute */
	/*
	 * Directories that are gone, or that no rule includes and that came
	 * into being for what was in them, which is gone: to be removed if
	 * they are empty.  The deepest is last.
	 */
	struct paths hollow;
	struct paths skipped; /* lie in a bind mount: hidden from the image */
	int32_t pending;      /* instruction of the first RUN to replay, -1 */
	enum {
		EFFECTS_OK,
		EFFECTS_CLIMB, /* a push cannot do it */
		EFFECTS_FAIL,  /* nothing can */
	} verdict;
	char reason[512];
};

/*
 * Turn a plan for these changes into effects.  Type changes of directories
 * are deleted first, which the plan does not know of.
 */
void effects_plan(struct effects *e, struct copyplan *p,
    const struct dockerfile *df, const struct push_plan *pp,
    const struct changes *changes, const struct manifest *m);

/* The whole of one COPY step, for a refresh. */
void effects_step(struct effects *e, struct copyplan *p, size_t step);

/*
 * Give each item its root, drop what lies in bind mounts, refuse what cannot
 * be pushed; sort by root and path.
 */
void effects_place(struct effects *e, const struct copyplan *p,
    const struct facts *f);

void effects_free(struct effects *e);

#endif
