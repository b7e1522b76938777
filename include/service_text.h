/*
 * What a service is made of, as the one who wrote it says it: the members
 * that every process holds of it, and how they travel.  Any process.
 */
#ifndef WHARF_SERVICE_TEXT_H
#define WHARF_SERVICE_TEXT_H

#include "field.h"
#include "strlist.h"

#define SERVICE_TEXT_MEMBERS                                           \
	char *name;                                                    \
	char *dir;                 /* absolute */                      \
	char *dockerfile;          /* relative to dir */               \
	char *image;               /* the tag that is built */         \
	char *container;           /* the container's name */          \
	char *target;              /* or NULL */                       \
	char *network;             /* or NULL: the engine's default */ \
	struct strings env;        /* K=V */                           \
	struct strings ports;      /* [IP:]HOST:CONTAINER[/PROTO] */   \
	struct strings binds;      /* SRC:DST[:MODE] */                \
	struct strings build_args; /* K=V */

struct service_text {
	SERVICE_TEXT_MEMBERS
};

/* The same as members of a larger structure: s->text, and s->name alike. */
#define SERVICE_TEXT                         \
	union {                              \
		struct service_text text;    \
		struct {                     \
			SERVICE_TEXT_MEMBERS \
		};                           \
	}

/* Free what it holds; it is empty then. */
void service_text_free(struct service_text *t);

/*
 * Fill an empty one from the fields of a frame.  -1: one of those that a
 * service cannot be without is missing.
 */
int service_text_take(struct service_text *t, const struct fields *f);

/* Append it as fields. */
void service_text_add(const struct service_text *t, struct buf *b);

/* The same in every member? */
bool service_text_same(const struct service_text *a,
    const struct service_text *b);

/* Bytes of it as fields. */
size_t service_text_bytes(const struct service_text *t);

/* Items of the longest of its lists. */
size_t service_text_most(const struct service_text *t);

#endif
