/*
 * A YAML file as nodes, see ydoc.h.  Nothing here is called yaml_*: libyaml
 * calls functions of its own by such names, and would find ours.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "buf.h"
#include "log.h"
#include "workers/config/ydoc.h"
#include "workers/shared/utf8.h"

struct anchor {
	char *name;
	struct ynode *node;
};

struct ydoc {
	struct ynode **nodes; /* all, to be freed */
	size_t nnodes, cap;
	struct ynode *stack[YDOC_DEPTH_MAX]; /* lists and maps being read */
	unsigned depth;
	struct ynode *root;
	size_t weight; /* so far, aliases written out */
	size_t bytes;  /* likewise */
	struct anchor *anchors;
	size_t nanchors;
	unsigned documents;
	struct ydoc_error *err;
};

static int __attribute__((format(printf, 4, 5)))
ydoc_fail(struct ydoc_error *err, size_t line, size_t column, const char *fmt,
    ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err->line = (unsigned)line;
	err->column = (unsigned)column;
	log_escape(err->text, sizeof(err->text), text, strlen(text));
	return (-1);
}

static int
ydoc_fail_at(struct ydoc *y, const yaml_event_t *ev, const char *text)
{
	return (ydoc_fail(y->err, ev->start_mark.line + 1,
	    ev->start_mark.column + 1, "%s", text));
}

/* Text. */

static bool
ydoc_is_break(uint32_t c)
{
	return (
	    c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029);
}

/* YAML 1.1, 5.1: what may stand in a file. */
static bool
ydoc_is_text(uint32_t c)
{
	if (c < 0xa0)
		return (
		    c == '\t' || ydoc_is_break(c) || (c >= 0x20 && c < 0x7f));
	return (c != 0xfeff && c != 0xfffe && c != 0xffff);
}

/*
 * Go to a position, counted as libyaml does, or stop before it at what is no
 * text: -1 and the position, with *bad what stands there.
 */
static int
ydoc_scan(const char *s, size_t len, size_t *line, size_t *column,
    uint32_t *bad, size_t *at)
{
	size_t l = 1, col = 1, off = 0, width;
	uint32_t c;

	while (off < len && (l < *line || (l == *line && col < *column))) {
		width = utf8_decode(s + off, len - off, &c);
		if ((c == UTF8_BAD && width == 1) || !ydoc_is_text(c)) {
			*line = l;
			*column = col;
			*bad = c;
			*at = off;
			return (-1);
		}
		if (c == '\r' && off + 1 < len && s[off + 1] == '\n')
			width++;
		off += width;
		col = ydoc_is_break(c) ? 1 : col + 1;
		l += ydoc_is_break(c);
	}
	*at = off;
	return (0);
}

static int
ydoc_check_text(const char *s, size_t len, struct ydoc_error *err)
{
	size_t line = SIZE_MAX, column = SIZE_MAX, at;
	uint32_t bad;

	if (len > YDOC_FILE_MAX)
		return (ydoc_fail(err, 1, 1, "longer than %d bytes",
		    YDOC_FILE_MAX));
	if (ydoc_scan(s, len, &line, &column, &bad, &at) == 0)
		return (0);
	if (bad == UTF8_BAD)
		return (ydoc_fail(err, line, column,
		    "the byte 0x%02x is not UTF-8; save the file as UTF-8",
		    (unsigned char)s[at]));
	return (ydoc_fail(err, line, column,
	    "the control character U+%04X; in double quotes it can be "
	    "written as an escape",
	    bad));
}

/* What libyaml found wrong. */
static int
ydoc_fail_syntax(struct ydoc *y, const yaml_parser_t *p, const char *s,
    size_t len)
{
	size_t line = p->problem_mark.line + 1;
	size_t column = p->problem_mark.column + 1;
	const char *what = p->problem != NULL ? p->problem : "bad YAML";
	size_t at;
	uint32_t bad;

	if (p->error == YAML_MEMORY_ERROR)
		return (ydoc_fail(y->err, 1, 1, "no memory"));
	if (ydoc_scan(s, len, &line, &column, &bad, &at) == 0 && at < len &&
	    s[at] == '\t')
		return (ydoc_fail(y->err, line, column,
		    "a tab; indent with blanks"));
	if (p->context == NULL)
		return (ydoc_fail(y->err, line, column, "%s", what));
	return (ydoc_fail(y->err, line, column, "%s, %s that begins at %zu:%zu",
	    what, p->context, p->context_mark.line + 1,
	    p->context_mark.column + 1));
}

/* Nodes. */

static struct ynode *
ydoc_node_new(struct ydoc *y, enum ynode_kind kind, const yaml_event_t *ev)
{
	struct ynode *n = xcalloc(1, sizeof(*n));

	n->kind = kind;
	n->line = (unsigned)ev->start_mark.line + 1;
	n->column = (unsigned)ev->start_mark.column + 1;
	n->height = 1;
	n->weight = 1;
	if (y->nnodes == y->cap) {
		y->cap = y->cap == 0 ? 64 : y->cap * 2;
		y->nodes = xreallocarray(y->nodes, y->cap, sizeof(*y->nodes));
	}
	y->nodes[y->nnodes++] = n;
	return (n);
}

/* Keys are scalars, and no merge. */
static int
ydoc_check_key(struct ydoc *y, const struct ynode *n, const yaml_event_t *ev)
{
	if (n->kind != YNODE_SCALAR)
		return (ydoc_fail_at(y, ev, "a key has to be a scalar"));
	if (n->plain && strcmp(n->text, "<<") == 0)
		return (ydoc_fail_at(y, ev,
		    "merge keys (<<) are not taken; write the keys out, or "
		    "give an alias as the whole value of a key"));
	return (0);
}

/* One more node, or all that an alias stands for, within the limits. */
static int
ydoc_count(struct ydoc *y, const struct ynode *n, const yaml_event_t *ev)
{
	size_t line = ev->start_mark.line + 1;
	size_t column = ev->start_mark.column + 1;

	if (n->weight > YDOC_NODES_MAX - y->weight)
		return (ydoc_fail(y->err, line, column,
		    "more than %d values, aliases written out",
		    YDOC_NODES_MAX));
	if (n->bytes > YDOC_TEXT_MAX - y->bytes)
		return (ydoc_fail(y->err, line, column,
		    "more than %d bytes of text, aliases written out",
		    YDOC_TEXT_MAX));
	if (y->depth + n->height > YDOC_DEPTH_MAX)
		return (ydoc_fail(y->err, line, column, "deeper than %d levels",
		    YDOC_DEPTH_MAX));
	y->weight += n->weight;
	y->bytes += n->bytes;
	return (0);
}

/* A node, new or known, becomes the next child of what is being read. */
static int
ydoc_attach(struct ydoc *y, struct ynode *n, const yaml_event_t *ev)
{
	struct ynode *up = y->depth > 0 ? y->stack[y->depth - 1] : NULL;

	if (ydoc_count(y, n, ev) == -1)
		return (-1);
	if (up == NULL) {
		y->root = n;
		return (0);
	}
	if (up->kind == YNODE_MAP && up->nkids % 2 == 0 &&
	    ydoc_check_key(y, n, ev) == -1)
		return (-1);
	if (up->nkids == up->cap) {
		up->cap = up->cap == 0 ? 4 : up->cap * 2;
		up->kids = xreallocarray(up->kids, up->cap, sizeof(*up->kids));
	}
	up->kids[up->nkids++] = n;
	return (0);
}

/* The latest anchor of a name counts. */
static int
ydoc_anchor(struct ydoc *y, const yaml_char_t *name, struct ynode *n)
{
	struct anchor *a;

	if (name == NULL)
		return (0);
	if (y->nanchors == YDOC_ANCHORS_MAX)
		return (ydoc_fail(y->err, n->line, n->column,
		    "more than %d anchors", YDOC_ANCHORS_MAX));
	y->anchors =
	    xreallocarray(y->anchors, y->nanchors + 1, sizeof(*y->anchors));
	a = &y->anchors[y->nanchors++];
	a->name = xstrdup((const char *)name);
	a->node = n;
	return (0);
}

static int
ydoc_on_alias(struct ydoc *y, const yaml_event_t *ev)
{
	const char *name = (const char *)ev->data.alias.anchor;

	for (size_t i = y->nanchors; i-- > 0;) {
		if (strcmp(y->anchors[i].name, name) != 0)
			continue;
		if (y->anchors[i].node->open)
			return (ydoc_fail_at(y, ev,
			    "an alias within what it stands for"));
		return (ydoc_attach(y, y->anchors[i].node, ev));
	}
	return (ydoc_fail(y->err, ev->start_mark.line + 1,
	    ev->start_mark.column + 1, "no anchor &%s before this alias",
	    name));
}

static int
ydoc_on_scalar(struct ydoc *y, const yaml_event_t *ev)
{
	const char *s = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	struct ynode *n;

	if (len > YDOC_SCALAR_MAX)
		return (ydoc_fail(y->err, ev->start_mark.line + 1,
		    ev->start_mark.column + 1,
		    "a key or value of more than %d bytes", YDOC_SCALAR_MAX));
	if (memchr(s, '\0', len) != NULL)
		return (ydoc_fail_at(y, ev, "a NUL in a key or value"));
	n = ydoc_node_new(y, YNODE_SCALAR, ev);
	n->text = xstrndup(s, len);
	n->bytes = len;
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (ydoc_attach(y, n, ev) == -1)
		return (-1);
	return (ydoc_anchor(y, ev->data.scalar.anchor, n));
}

static int
ydoc_on_open(struct ydoc *y, const yaml_event_t *ev, enum ynode_kind kind,
    const yaml_char_t *anchor)
{
	struct ynode *n = ydoc_node_new(y, kind, ev);

	/* attached first: it says so when it stands too deep */
	if (ydoc_attach(y, n, ev) == -1)
		return (-1);
	n->open = true;
	y->stack[y->depth++] = n;
	return (ydoc_anchor(y, anchor, n));
}

static void
ydoc_on_close(struct ydoc *y)
{
	struct ynode *n = y->stack[--y->depth];

	n->open = false;
	for (size_t i = 0; i < n->nkids; i++) {
		n->weight += n->kids[i]->weight;
		n->bytes += n->kids[i]->bytes;
		if (n->kids[i]->height >= n->height)
			n->height = n->kids[i]->height + 1;
	}
}

/* Events. */

static const yaml_char_t *
ydoc_tag(const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return (ev->data.scalar.tag);
	case YAML_SEQUENCE_START_EVENT:
		return (ev->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return (ev->data.mapping_start.tag);
	default:
		return (NULL);
	}
}

static int
ydoc_on_event(struct ydoc *y, const yaml_event_t *ev)
{
	if (ydoc_tag(ev) != NULL)
		return (ydoc_fail_at(y, ev,
		    "tags are not taken: the key says what its value is"));
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++y->documents > 1)
			return (ydoc_fail_at(y, ev,
			    "a second document; a file holds one"));
		return (0);
	case YAML_ALIAS_EVENT:
		return (ydoc_on_alias(y, ev));
	case YAML_SCALAR_EVENT:
		return (ydoc_on_scalar(y, ev));
	case YAML_SEQUENCE_START_EVENT:
		return (ydoc_on_open(y, ev, YNODE_LIST,
		    ev->data.sequence_start.anchor));
	case YAML_MAPPING_START_EVENT:
		return (ydoc_on_open(y, ev, YNODE_MAP,
		    ev->data.mapping_start.anchor));
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		ydoc_on_close(y);
		return (0);
	default:
		return (0);
	}
}

static int
ydoc_events(struct ydoc *y, yaml_parser_t *p, const char *s, size_t len)
{
	yaml_event_t ev;
	bool end;
	int r;

	do {
		if (yaml_parser_parse(p, &ev) == 0)
			return (ydoc_fail_syntax(y, p, s, len));
		end = ev.type == YAML_STREAM_END_EVENT;
		r = ydoc_on_event(y, &ev);
		yaml_event_delete(&ev);
	} while (r == 0 && !end);
	return (r);
}

struct ydoc *
ydoc_read(const void *data, size_t len, struct ydoc_error *err)
{
	const char *s = len > 0 ? data : "";
	struct ydoc *y;
	yaml_parser_t p;
	int r;

	memset(err, 0, sizeof(*err));
	if (len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) {
		s += 3;
		len -= 3;
	}
	if (ydoc_check_text(s, len, err) == -1)
		return (NULL);
	if (yaml_parser_initialize(&p) == 0)
		fatalx("libyaml: no memory");
	y = xcalloc(1, sizeof(*y));
	y->err = err;
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)s, len);
	r = ydoc_events(y, &p, s, len);
	yaml_parser_delete(&p);
	y->err = NULL;
	if (r == 0)
		return (y);
	ydoc_free(y);
	return (NULL);
}

void
ydoc_free(struct ydoc *y)
{
	if (y == NULL)
		return;
	for (size_t i = 0; i < y->nnodes; i++) {
		free(y->nodes[i]->text);
		free(y->nodes[i]->kids);
		free(y->nodes[i]);
	}
	free(y->nodes);
	for (size_t i = 0; i < y->nanchors; i++)
		free(y->anchors[i].name);
	free(y->anchors);
	free(y);
}

const struct ynode *
ydoc_root(const struct ydoc *y)
{
	return (y->root);
}

bool
ynode_is_nothing(const struct ynode *n)
{
	return (n->kind == YNODE_SCALAR && n->plain && n->text[0] == '\0');
}
