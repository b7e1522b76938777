/*
 * The tar writer of tarstream.h, on libarchive.  Runs in the image and push
 * workers.
 *
 * Two writers share the buffer.  What plain ustar can hold goes through that;
 * the rest, and what has nanoseconds, through pax in binary mode, which never
 * asks the locale for a conversion but spends 1 KiB on an extended header for
 * each entry.  ("pax restricted" drops the nanoseconds of a time unless the
 * entry needs an extended header anyway.)
 */
#include <sys/stat.h>
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "workers/shared/tarstream.h"
#include "workers/shared/tree.h"

#define TARSTREAM_LIMIT (256 * 1024)

struct tarstream {
	struct archive *pax;
	struct archive *ustar;
	struct archive *a; /* the one that has the present entry */
	struct buf out;
	size_t head; /* bytes of out that are already written */
	size_t limit;
	uint64_t written;
	int broken; /* errno of a failed archive; nothing works any more */
	int finished;
	int closing; /* nothing is written any more */

	int busy;  /* an entry is being filled */
	int fd;    /* its content, or -1 */
	int ended; /* it has no more */
	int64_t left;
	struct tree_stat before;
	struct hash hash;
	struct tarstream_result result;
	uint8_t step[TARSTREAM_STEP];
};

static la_ssize_t
out_write(struct archive *a, void *arg, const void *data, size_t len)
{
	struct tarstream *ts = arg;

	if (ts->closing) {
		archive_set_error(a, ECANCELED, "dropped");
		return (-1);
	}
	buf_add(&ts->out, data, len);
	return ((la_ssize_t)len);
}

/* Unbuffered, so that the writers' output does not mix up. */
static int
writer_open(struct tarstream *ts, struct archive *a)
{
	if (archive_write_set_bytes_per_block(a, 0) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
	    archive_write_open(a, ts, NULL, out_write, NULL) != ARCHIVE_OK)
		return (-1);
	return (0);
}

struct tarstream *
tarstream_new(size_t limit)
{
	struct tarstream *ts = xcalloc(1, sizeof(*ts));

	ts->limit = limit != 0 ? limit : TARSTREAM_LIMIT;
	ts->fd = -1;
	ts->pax = archive_write_new();
	ts->ustar = archive_write_new();
	if (ts->pax == NULL || ts->ustar == NULL ||
	    archive_write_set_format_pax(ts->pax) != ARCHIVE_OK ||
	    archive_write_set_options(ts->pax, "hdrcharset=BINARY") !=
		ARCHIVE_OK ||
	    writer_open(ts, ts->pax) == -1 ||
	    archive_write_set_format_ustar(ts->ustar) != ARCHIVE_OK ||
	    writer_open(ts, ts->ustar) == -1) {
		tarstream_free(ts);
		errno = ENOMEM;
		return (NULL);
	}
	ts->a = ts->pax;
	return (ts);
}

void
tarstream_free(struct tarstream *ts)
{
	if (ts == NULL)
		return;
	/* libarchive would fill up the entry and end the archive.  (After
	 * archive_write_fail it does not, but leaks its output buffer.) */
	ts->closing = 1;
	archive_write_free(ts->pax);
	archive_write_free(ts->ustar);
	if (ts->fd != -1)
		close(ts->fd);
	buf_free(&ts->out);
	free(ts);
}

static int
stream_broken(struct tarstream *ts)
{
	ts->broken = archive_errno(ts->a);
	if (ts->broken <= 0)
		ts->broken = EIO;
	errno = ts->broken;
	return (-1);
}

static int
entry_ok(const struct tarstream_entry *e, int fd)
{
	if (!tree_path_ok(e->path) || *e->path == '\0' || e->mode > 07777)
		return (0);
	switch (e->type) {
	case TARSTREAM_REG:
		return (e->size >= 0 && (fd != -1 || e->size == 0));
	case TARSTREAM_DIR:
		return (fd == -1);
	case TARSTREAM_SYMLINK:
	case TARSTREAM_HARDLINK:
		return (fd == -1 && e->target != NULL && *e->target != '\0');
	}
	return (0);
}

static struct archive_entry *
entry_make(struct tarstream *ts, const struct tarstream_entry *e)
{
	static const mode_t type[] = {
		[TARSTREAM_REG] = S_IFREG,
		[TARSTREAM_DIR] = S_IFDIR,
		[TARSTREAM_SYMLINK] = S_IFLNK,
		[TARSTREAM_HARDLINK] = S_IFREG,
	};
	struct archive_entry *ae = archive_entry_new2(ts->a);
	int64_t sec = e->mtime_ns / 1000000000, ns = e->mtime_ns % 1000000000;

	if (ae == NULL)
		return (NULL);
	if (ns < 0) {
		sec--;
		ns += 1000000000;
	}
	archive_entry_copy_pathname(ae, e->path);
	archive_entry_set_mode(ae, type[e->type] | e->mode);
	archive_entry_set_uid(ae, e->uid);
	archive_entry_set_gid(ae, e->gid);
	archive_entry_set_mtime(ae, sec, (long)ns);
	archive_entry_set_size(ae, e->type == TARSTREAM_REG ? e->size : 0);
	if (e->type == TARSTREAM_SYMLINK)
		archive_entry_copy_symlink(ae, e->target);
	if (e->type == TARSTREAM_HARDLINK)
		archive_entry_copy_hardlink(ae, e->target);
	return (ae);
}

static int
entry_begin(struct tarstream *ts, const struct tarstream_entry *e)
{
	struct archive_entry *ae = entry_make(ts, e);
	int rc = ARCHIVE_FAILED;

	if (ae == NULL)
		return (stream_broken(ts));
	/* "Failed" is an entry that the format cannot hold. */
	ts->a = ts->ustar;
	if (e->mtime_ns % 1000000000 == 0)
		rc = archive_write_header(ts->a, ae);
	if (rc == ARCHIVE_FAILED) {
		ts->a = ts->pax;
		rc = archive_write_header(ts->a, ae);
	}
	archive_entry_free(ae);
	if (rc != ARCHIVE_OK)
		return (stream_broken(ts));
	memset(&ts->result, 0, sizeof(ts->result));
	hash_init(&ts->hash);
	if (e->type == TARSTREAM_SYMLINK)
		hash_add(&ts->hash, e->target, strlen(e->target));
	ts->left = e->type == TARSTREAM_REG ? e->size : 0;
	ts->ended = 0;
	ts->busy = 1;
	return (0);
}

int
tarstream_add(struct tarstream *ts, const struct tarstream_entry *e, int fd)
{
	int rc = -1, err = 0;

	if (ts->broken)
		err = ts->broken;
	else if (ts->busy || ts->finished)
		err = EBUSY;
	else if (!entry_ok(e, fd))
		err = EINVAL;
	else if ((rc = entry_begin(ts, e)) == 0) {
		ts->fd = fd;
		if (fd != -1 && tree_stat_fd(fd, &ts->before) == -1)
			ts->result.torn = 1;
		return (0);
	} else
		err = errno;
	if (fd != -1)
		close(fd);
	errno = err;
	return (rc);
}

/* The next bytes of the file, zeros where it has none. */
static size_t
content_read(struct tarstream *ts)
{
	size_t want = sizeof(ts->step);
	ssize_t n = 0;

	if ((int64_t)want > ts->left)
		want = (size_t)ts->left;
	if (!ts->ended) {
		do
			n = read(ts->fd, ts->step, want);
		while (n == -1 && errno == EINTR);
		if (n > 0)
			return ((size_t)n);
		ts->ended = 1;
		ts->result.torn = 1;
		ts->result.error = n == -1 ? errno : 0;
	}
	memset(ts->step, 0, want);
	return (want);
}

static int
entry_end(struct tarstream *ts)
{
	struct tree_stat st;
	char c;

	if (ts->fd != -1) {
		/* What was added behind the size in the header is cut. */
		if (!ts->result.torn && read(ts->fd, &c, 1) == 1)
			ts->result.torn = 1;
		/* Written to meanwhile: may be half old and half new. */
		if (tree_stat_fd(ts->fd, &st) == -1 ||
		    st.mtime_ns != ts->before.mtime_ns)
			ts->result.torn = 1;
		close(ts->fd);
		ts->fd = -1;
	}
	hash_end(&ts->hash, ts->result.sha256);
	ts->busy = 0;
	if (archive_write_finish_entry(ts->a) != ARCHIVE_OK)
		return (stream_broken(ts));
	return (TARSTREAM_DONE);
}

int
tarstream_fill(struct tarstream *ts, mono_t deadline)
{
	size_t n;
	int steps = 0;

	if (ts->broken) {
		errno = ts->broken;
		return (-1);
	}
	if (!ts->busy)
		return (TARSTREAM_DONE);
	while (ts->left > 0) {
		if (tarstream_pending(ts) >= ts->limit)
			return (TARSTREAM_MORE);
		if (steps++ > 0 && deadline.ns != MONO_NEVER.ns &&
		    mono_now().ns >= deadline.ns)
			return (TARSTREAM_MORE);
		n = content_read(ts);
		hash_add(&ts->hash, ts->step, n);
		if (archive_write_data(ts->a, ts->step, n) != (la_ssize_t)n)
			return (stream_broken(ts));
		ts->left -= (int64_t)n;
		ts->result.size += (int64_t)n;
	}
	return (entry_end(ts));
}

const struct tarstream_result *
tarstream_result(const struct tarstream *ts)
{
	return (&ts->result);
}

int
tarstream_finish(struct tarstream *ts)
{
	if (ts->broken || ts->busy) {
		errno = ts->broken ? ts->broken : EBUSY;
		return (-1);
	}
	if (ts->finished)
		return (0);
	ts->a = ts->pax;
	if (archive_write_close(ts->a) != ARCHIVE_OK)
		return (stream_broken(ts));
	ts->finished = 1;
	return (0);
}

size_t
tarstream_pending(const struct tarstream *ts)
{
	return (ts->out.len - ts->head);
}

int
tarstream_wants(const struct tarstream *ts)
{
	return (
	    !ts->busy && !ts->finished && tarstream_pending(ts) < ts->limit);
}

uint64_t
tarstream_written(const struct tarstream *ts)
{
	return (ts->written);
}

static void
out_drop(struct tarstream *ts, size_t n)
{
	ts->head += n;
	ts->written += n;
	/* Move the rest only when it is the smaller part. */
	if (ts->head >= ts->out.len - ts->head) {
		buf_drop(&ts->out, ts->head);
		ts->head = 0;
	}
}

int
tarstream_pump(struct tarstream *ts, int fd)
{
	ssize_t n;

	while (tarstream_pending(ts) > 0) {
		n = write(fd, ts->out.data + ts->head, tarstream_pending(ts));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return (TARSTREAM_AGAIN);
		if (n == -1)
			return (-1);
		out_drop(ts, (size_t)n);
	}
	return (TARSTREAM_EMPTY);
}

size_t
tarstream_take(struct tarstream *ts, void *buf, size_t size)
{
	size_t n = tarstream_pending(ts);

	if (n > size)
		n = size;
	if (n > 0)
		memcpy(buf, ts->out.data + ts->head, n);
	out_drop(ts, n);
	return (n);
}
