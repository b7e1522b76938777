/*
 * Exec output, see demux.h.  Engine worker.
 */
#include <string.h>

#include "workers/engine/demux.h"

/* 0 is standard input's echo; 3 is the engine's own error text */
static const unsigned streams[] = { 1, 1, 2, 2 };

static int
demux_head_done(struct demux *d)
{
	const uint8_t *h = d->head;

	if (h[0] >= sizeof(streams) / sizeof(streams[0]) || h[1] != 0 ||
	    h[2] != 0 || h[3] != 0)
		return (-1);
	d->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 |
	    (uint32_t)h[6] << 8 | h[7];
	if (d->left == 0)
		d->have = 0;
	return (0);
}

int
demux_feed(struct demux *d, const void *data, size_t n, demux_cb cb, void *arg)
{
	const uint8_t *p = data;
	size_t k;

	while (n > 0) {
		if (d->have < sizeof(d->head)) {
			d->head[d->have++] = *p++;
			n--;
			if (d->have == sizeof(d->head) &&
			    demux_head_done(d) == -1)
				return (-1);
			continue;
		}
		k = n < d->left ? n : d->left;
		if (cb(arg, streams[d->head[0]], p, k) == -1)
			return (-1);
		p += k;
		n -= k;
		d->left -= (uint32_t)k;
		if (d->left == 0)
			d->have = 0;
	}
	return (0);
}

bool
demux_at_rest(const struct demux *d)
{
	return (d->have == 0);
}
