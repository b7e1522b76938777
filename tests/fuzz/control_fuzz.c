/*
 * A client of the control socket: any bytes, in pieces, from a user who may
 * and from one who may not give orders.  What must hold is that the desk goes
 * on serving: another client is answered afterwards.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/control_fake.h"
#include "tests/fuzz/fuzz.h"

static void
turn(struct desk *d, int n)
{
	for (int i = 0; i < n; i++)
		HOLDS(loop_once(d->w.loop, 0) == 0);
}

static void
still_serves(struct desk *d)
{
	static const struct msg_do none = { 0 };
	struct peer *p = peer_new(d, 0);

	peer_ask(p, MSG_CTL_DO, &none);
	for (int i = 0; i < 100 && p->answers == 0; i++)
		turn(d, 1);
	HOLDS(p->answers == 1 && p->err == ERR_INVALID);
	peer_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void *state;
	struct fuzz in = { data, size };
	unsigned how = fuzz_u8(&in), orders, stops;
	size_t first = fuzz_u8(&in);
	struct desk *d;
	uint8_t bin[4096];
	int fd;

	if (state == NULL)
		HOLDS(desk_up(&state) == 0);
	d = state;
	if (in.n > 65536)
		return (0);
	d->hold = how & 2;
	d->down = how & 4;
	orders = d->orders;
	stops = d->stops;
	fd = desk_connect(d, how & 1 ? OTHER_UID : 0);
	if (first > in.n)
		first = in.n;
	(void)send(fd, in.p, first, MSG_NOSIGNAL);
	turn(d, 2);
	(void)send(fd, in.p + first, in.n - first, MSG_NOSIGNAL);
	turn(d, 6);
	while (recv(fd, bin, sizeof(bin), MSG_DONTWAIT) > 0)
		turn(d, 1);
	if (how & 1) /* who may not: no order but a barrier gets through */
		HOLDS(d->stops == stops &&
		    (d->orders == orders || d->last.verb == DO_SYNC));
	close(fd);
	turn(d, 6);
	still_serves(d);
	turn(d, 4);
	HOLDS(desk_clients(d) == 0);
	return (0);
}
