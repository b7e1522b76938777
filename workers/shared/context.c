/*
 * A docker build context, see context.h.  Runs in the image worker.
 *
 * The walker is paused at each entry, which makes it an iterator.  The
 * command line keeps the Dockerfile and the ignore file by adding exceptions
 * to the patterns (docker/cli TrimBuildFilesFromExcludes); the walker's list
 * of kept paths does the same without reading a file name as a pattern.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/shared/context.h"

#define NS_PER_S 1000000000

struct context {
	struct context_opts o;
	char *dockerfile;
	char *ignorefile;
	const char *keep[2];
	struct tree_walk *walk;
	struct context_stats stats;

	int have; /* entry is set */
	struct context_entry entry;
	char path[TREE_PATH_MAX];
	char target[TREE_PATH_MAX];

	int sending;  /* the stream has the entry's header */
	int finished; /* the walk is over */
};

static void
context_note(struct context *c, enum context_note kind, const char *path,
    int err)
{
	if (kind == CONTEXT_TORN)
		c->stats.torn++;
	else
		c->stats.left_out++;
	if (c->o.note != NULL)
		c->o.note(c->o.arg, kind, path, err);
}

static void
on_error(void *arg, const char *path, int err)
{
	context_note(arg, CONTEXT_UNREADABLE, path, err);
}

static enum tree_verdict
found(struct context *c, const struct tree_entry *e)
{
	c->entry.path = c->path;
	c->entry.target = NULL;
	c->entry.st = e->st;
	c->entry.scanned_ns = e->scanned_ns;
	c->entry.kept = e->kept;
	memcpy(c->path, e->path, strlen(e->path) + 1);
	if (e->st.type == TREE_LINK) {
		if (tree_readlink(c->o.rootfd, e->path, c->target,
			sizeof(c->target)) == -1) {
			context_note(c, CONTEXT_UNREADABLE, e->path, errno);
			return (TREE_GO);
		}
		c->entry.target = c->target;
	}
	c->have = 1;
	return (TREE_PAUSE);
}

static enum tree_verdict
on_enter(void *arg, const struct tree_entry *e)
{
	/* An excluded directory is not sent, only what is kept below it. */
	return (e->excluded ? TREE_GO : found(arg, e));
}

static enum tree_verdict
on_entry(void *arg, const struct tree_entry *e)
{
	if (e->st.type != TREE_REG && e->st.type != TREE_LINK) {
		context_note(arg, CONTEXT_SPECIAL, e->path, 0);
		return (TREE_GO);
	}
	return (found(arg, e));
}

/* Keeps a path of the context; what cannot be one lies outside of it. */
static char *
keep_path(const char *path)
{
	if (path == NULL || *path == '\0' || !tree_path_ok(path))
		return (NULL);
	return (xstrdup(path));
}

struct context *
context_new(const struct context_opts *opts)
{
	struct context *c = xcalloc(1, sizeof(*c));
	struct tree_walk_opts w = { .rootfd = opts->rootfd,
		.ignore = opts->ignore,
		.keep = c->keep,
		.arg = c,
		.entry = on_entry,
		.enter = on_enter,
		.error = on_error };

	c->o = *opts;
	c->dockerfile = keep_path(opts->dockerfile);
	c->ignorefile = keep_path(opts->ignorefile);
	if (c->dockerfile != NULL)
		c->keep[w.nkeep++] = c->dockerfile;
	if (c->ignorefile != NULL)
		c->keep[w.nkeep++] = c->ignorefile;
	if ((c->walk = tree_walk_new(&w)) == NULL) {
		context_free(c);
		return (NULL);
	}
	return (c);
}

void
context_free(struct context *c)
{
	if (c == NULL)
		return;
	tree_walk_free(c->walk);
	free(c->dockerfile);
	free(c->ignorefile);
	free(c);
}

const struct context_stats *
context_stats(const struct context *c)
{
	return (&c->stats);
}

/* 1 and c->entry, CONTEXT_MORE, CONTEXT_DONE or -1. */
static int
context_advance(struct context *c, mono_t deadline)
{
	int rc;

	c->have = 0;
	if (c->finished)
		return (CONTEXT_DONE);
	rc = tree_walk_step(c->walk, 0, deadline);
	if (rc == TREE_WALK_DONE)
		c->finished = 1;
	if (rc == -1)
		return (-1);
	if (c->have)
		return (CONTEXT_ENTRY);
	return (rc == TREE_WALK_DONE ? CONTEXT_DONE : CONTEXT_MORE);
}

int
context_next(struct context *c, struct context_entry *e, mono_t deadline)
{
	int rc = context_advance(c, deadline);

	if (rc == CONTEXT_ENTRY) {
		c->stats.entries++;
		*e = c->entry;
	}
	return (rc);
}

/* Writes the header of c->entry.  0 sent, 1 left out, -1 errno. */
static int
send_begin(struct context *c, struct tarstream *ts)
{
	struct context_entry *e = &c->entry;
	struct tarstream_entry t = { .path = e->path, .target = e->target };
	int64_t frac;
	int fd = -1;

	if (e->st.type == TREE_REG) {
		e->scanned_ns = wall_now_ns();
		fd = tree_open_file(c->o.rootfd, e->path, &e->st);
		if (fd == -1) {
			/* Gone since it was listed: as if never there. */
			if (errno != ENOENT)
				context_note(c, CONTEXT_UNREADABLE, e->path,
				    errno);
			return (1);
		}
	}
	t.type = e->st.type == TREE_REG ? TARSTREAM_REG :
	    e->st.type == TREE_DIR      ? TARSTREAM_DIR :
					  TARSTREAM_SYMLINK;
	/* Links have no mode of their own on Linux; the kernel says 0777. */
	t.mode = e->st.mode;
	t.size = e->st.size;
	/* The command line sends whole seconds. */
	frac = e->st.mtime_ns % NS_PER_S;
	t.mtime_ns = e->st.mtime_ns - frac;
	if (frac < 0 && t.mtime_ns >= INT64_MIN + NS_PER_S)
		t.mtime_ns -= NS_PER_S;
	if (tarstream_add(ts, &t, fd) == -1)
		return (-1);
	c->sending = 1;
	return (0);
}

/* Accounts for c->entry, which is complete in the stream. */
static void
send_end(struct context *c, const struct tarstream_result *r)
{
	const struct context_entry *e = &c->entry;
	struct manifest_entry m;

	c->sending = 0;
	c->stats.entries++;
	c->stats.bytes += (uint64_t)r->size;
	if (r->torn)
		context_note(c, CONTEXT_TORN, e->path, r->error);
	if (c->o.manifest == NULL)
		return;
	manifest_from_stat(&m, &e->st, e->scanned_ns);
	m.epoch = c->o.epoch;
	if (e->st.type != TREE_DIR)
		memcpy(m.sha256, r->sha256, HASH_LEN);
	/* The stat of a torn file does not belong to what was sent. */
	if (r->torn)
		m.racy = 1;
	/* A full region is the manifest's to remember: manifest_lossy. */
	(void)manifest_set(c->o.manifest, e->path, &m);
}

int
context_stream(struct context *c, struct tarstream *ts, mono_t deadline)
{
	int rc, steps = 0;

	for (;;) {
		if (c->sending) {
			if ((rc = tarstream_fill(ts, deadline)) == -1)
				return (-1);
			if (rc == TARSTREAM_MORE)
				return (CONTEXT_MORE);
			send_end(c, tarstream_result(ts));
		}
		if (!c->finished && !tarstream_wants(ts))
			return (CONTEXT_MORE);
		if (steps++ > 0 && deadline.ns != MONO_NEVER.ns &&
		    mono_now().ns >= deadline.ns)
			return (CONTEXT_MORE);
		rc = context_advance(c, deadline);
		if (rc == CONTEXT_DONE)
			return (tarstream_finish(ts) == -1 ? -1 : CONTEXT_DONE);
		if (rc != CONTEXT_ENTRY)
			return (rc);
		if (send_begin(c, ts) == -1)
			return (-1);
	}
}
