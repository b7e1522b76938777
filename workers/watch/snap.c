/*
 * What the snapshot keeps of an entry, and when two of them are the same.
 * Pure code in the watch worker.
 */
#include <string.h>

#include "workers/watch/watch.h"

/*
 * A change within this time of another may leave the same time stamp.  Where
 * these are whole seconds (FAT: two) the time is as long.
 */
#define SNAP_RACY_NS   10000000
#define SNAP_COARSE_NS 2010000000

/* No change leaves a time that is still to come: it was set by hand. */
static bool
snap_is_recent(int64_t ns, int64_t now, int64_t span)
{
	return (ns >= now - span && ns <= now + span);
}

void
watch_snap_from(struct watch_snap *s, const struct tree_stat *st)
{
	int64_t now = wall_now_ns(), span;

	memset(s, 0, sizeof(*s));
	s->type = (uint8_t)st->type;
	if (st->type == TREE_ABSENT)
		return;
	s->size = st->size;
	s->mtime_ns = st->mtime_ns;
	s->ctime_ns = st->ctime_ns;
	s->ino = st->ino;
	s->dev = (uint32_t)(st->dev ^ st->dev >> 32);
	s->uid = st->uid;
	s->gid = st->gid;
	s->mode = (uint16_t)st->mode;
	span =
	    st->mtime_ns % 1000000000 == 0 && st->ctime_ns % 1000000000 == 0 ?
	    SNAP_COARSE_NS :
	    SNAP_RACY_NS;
	s->racy = snap_is_recent(st->mtime_ns, now, span) ||
	    snap_is_recent(st->ctime_ns, now, span);
}

bool
watch_snap_same(const struct watch_snap *a, const struct watch_snap *b,
    bool times)
{
	if (a->type != b->type)
		return (false);
	if (a->type == TREE_ABSENT)
		return (true);
	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid ||
	    a->ino != b->ino || a->dev != b->dev)
		return (false);
	/* a directory's times and size tell of its names, which are watched */
	if (a->type == TREE_DIR)
		return (true);
	return (a->size == b->size && a->mtime_ns == b->mtime_ns &&
	    (!times || a->ctime_ns == b->ctime_ns));
}
