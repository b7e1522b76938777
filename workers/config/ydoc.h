/*
 * A YAML file as nodes with positions, within limits.  Pure code, config
 * process; libyaml's events, never its documents.
 *
 * Aliases stand for the node that they name, which so has several parents;
 * what they would come to when written out counts against YDOC_NODES_MAX.
 */
#ifndef WORKERS_CONFIG_YDOC_H
#define WORKERS_CONFIG_YDOC_H

#include <stdbool.h>
#include <stddef.h>

#define YDOC_FILE_MAX    (1024 * 1024)     /* bytes */
#define YDOC_SCALAR_MAX  (64 * 1024)       /* bytes of one key or value */
#define YDOC_NODES_MAX   100000            /* with all aliases written out */
#define YDOC_TEXT_MAX    (4 * 1024 * 1024) /* bytes, likewise */
#define YDOC_DEPTH_MAX   32
#define YDOC_ANCHORS_MAX 1024

enum ynode_kind { YNODE_SCALAR, YNODE_LIST, YNODE_MAP };

struct ynode {
	enum ynode_kind kind;
	bool plain;            /* a scalar without quotes */
	bool open;             /* its end has not been read yet */
	unsigned line, column; /* where it begins, from 1 */
	unsigned height;       /* levels, with its own */
	size_t weight;         /* nodes in it, with itself and aliases */
	size_t bytes;          /* of text in it, likewise */
	char *text;            /* of a scalar */
	struct ynode **kids;   /* of a map: key, value, key, value */
	size_t nkids, cap;
};

/* What is wrong with a file as YAML. */
struct ydoc_error {
	unsigned line, column; /* from 1, columns in characters */
	char text[256];        /* printable */
};

struct ydoc;

/*
 * Read one document.  NULL: *err tells the first thing that is wrong, for
 * nothing behind that can be understood.
 */
struct ydoc *ydoc_read(const void *data, size_t len, struct ydoc_error *err);
void ydoc_free(struct ydoc *);

/* Its outermost node, valid as long as the document; NULL: an empty file. */
const struct ynode *ydoc_root(const struct ydoc *);

/* Nothing stands there: "key:" with no value. */
bool ynode_is_nothing(const struct ynode *);

#endif
