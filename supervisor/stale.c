/*
 * Stale socket files, see stale.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "stale.h"

/*
 * A mount of its own?  A file that is none is replaced by the next engine and
 * needs patience alone.  A kernel that cannot say (before 5.8) is asked in
 * vain: then it may be one.
 */
static bool
stale_is_mount(const char *path)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &stx) == -1)
		return (false);
	return ((stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0 ||
	    (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0);
}

bool
stale_is(struct stale *s, const char *path, int errnum, mono_t now)
{
	struct stat st;

	if (errnum != ECONNREFUSED || stat(path, &st) == -1) {
		s->refused = false;
		return (false);
	}
	if (!s->refused || st.st_dev != s->dev || st.st_ino != s->ino) {
		*s = (struct stale) { .refused = true,
			.since = now,
			.dev = st.st_dev,
			.ino = st.st_ino };
		return (false);
	}
	return (
	    mono_diff_ms(now, s->since) >= STALE_MS && stale_is_mount(path));
}
