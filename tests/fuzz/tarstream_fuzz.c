/*
 * The tar that is sent: whatever names, links, times and owners a tree has,
 * libarchive reads back what was put in.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "workers/shared/tarstream.h"
#include "workers/shared/tree.h"
#include "tests/fuzz/fuzz.h"

#define ENTRIES 8

struct sent {
	struct tarstream_entry e;
	char *path, *target;
};

static void
sent_take(struct sent *s, struct fuzz *in)
{
	s->e.type = fuzz_u8(in) % 4;
	s->e.mode = (uint32_t)fuzz_u64(in) & 07777;
	s->e.uid = (uint32_t)fuzz_u64(in);
	s->e.gid = s->e.uid >> 3;
	s->e.mtime_ns = (int64_t)fuzz_u64(in);
	s->e.path = s->path = fuzz_str(in);
	s->target = fuzz_str(in);
	if (s->e.type == TARSTREAM_SYMLINK || s->e.type == TARSTREAM_HARDLINK)
		s->e.target = s->target;
	if (s->e.type == TARSTREAM_REG)
		s->e.size = fuzz_u8(in) * 16;
}

static void
drain(struct tarstream *ts, struct buf *out)
{
	size_t n = tarstream_pending(ts);

	out->len += tarstream_take(ts, buf_reserve(out, n), n);
}

/* False when it was refused. */
static bool
sent_write(struct sent *s, struct tarstream *ts, struct buf *out)
{
	int fd = -1;

	if (s->e.type == TARSTREAM_REG) {
		fd = memfd_create("content", MFD_CLOEXEC);
		HOLDS(ftruncate(fd, s->e.size) == 0);
	}
	if (tarstream_add(ts, &s->e, fd) == -1)
		return (false);
	while (tarstream_fill(ts, MONO_NEVER) == TARSTREAM_MORE)
		drain(ts, out);
	if (s->e.type == TARSTREAM_REG)
		HOLDS(tarstream_result(ts)->size == s->e.size);
	drain(ts, out);
	return (true);
}

static void
sent_same(const struct sent *s, struct archive_entry *ae)
{
	static const mode_t types[] = { AE_IFREG, AE_IFDIR, AE_IFLNK, 0 };
	const char *path = archive_entry_pathname(ae);
	size_t n = strlen(s->path);

	HOLDS(path != NULL && strncmp(path, s->path, n) == 0);
	HOLDS(path[n] == '\0' || (path[n] == '/' && path[n + 1] == '\0'));
	HOLDS((mode_t)archive_entry_filetype(ae) == types[s->e.type] ||
	    s->e.type == TARSTREAM_HARDLINK);
	HOLDS((uint32_t)archive_entry_uid(ae) == s->e.uid);
	if (s->e.type == TARSTREAM_SYMLINK)
		HOLDS(strcmp(archive_entry_symlink(ae), s->target) == 0);
	else if (s->e.type == TARSTREAM_HARDLINK)
		HOLDS(strcmp(archive_entry_hardlink(ae), s->target) == 0);
	else
		HOLDS(((uint32_t)archive_entry_mode(ae) & 07777) == s->e.mode);
	if (s->e.type == TARSTREAM_REG)
		HOLDS(archive_entry_size(ae) == s->e.size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	struct sent v[ENTRIES] = { 0 };
	size_t n = 0, made = 0;
	struct tarstream *ts = tarstream_new(4096);
	struct archive *a = archive_read_new();
	struct archive_entry *ae;
	struct buf out = { 0 };

	while (made < ENTRIES && in.n > 0) {
		sent_take(&v[n], &in);
		made++;
		if (sent_write(&v[n], ts, &out)) {
			HOLDS(tree_path_ok(v[n].path) && v[n].path[0] != '\0');
			n++;
		} else {
			free(v[n].path);
			free(v[n].target);
		}
	}
	HOLDS(tarstream_finish(ts) == 0);
	drain(ts, &out);
	HOLDS(out.len % 512 == 0 && tarstream_written(ts) == out.len);
	archive_read_support_format_tar(a);
	HOLDS(archive_read_open_memory(a, out.data, out.len) == ARCHIVE_OK);
	for (size_t i = 0; i < n; i++) {
		HOLDS(archive_read_next_header(a, &ae) >= ARCHIVE_WARN);
		sent_same(&v[i], ae);
		free(v[i].path);
		free(v[i].target);
	}
	HOLDS(archive_read_next_header(a, &ae) == ARCHIVE_EOF);
	archive_read_free(a);
	tarstream_free(ts);
	buf_free(&out);
	return (0);
}
