/*
 * ipc_pingpong: how long a request and its answer take, in three ways, one
 * line of nanoseconds each round: routed bare relayed.
 *
 *   routed   plan asks watch (WATCH_SYNC) through the supervisor: loop,
 *            channel, checks and routing as they are, three processes
 *   bare     64 bytes there and back over a socketpair, two processes
 *   relayed  64 bytes there and back through a third process that only copies
 *
 * usage: ipc_pingpong ROUNDS
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rpc.h"
#include "supervisor/sup.h"

#define WARMUP 200
#define BYTES  64

static void
pair(int sv[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		err(1, "socketpair");
}

/* A process that ends with this one; true in the new one. */
static bool
fork_server(void)
{
	switch (fork()) {
	case -1:
		err(1, "fork");
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return (true);
	default:
		return (false);
	}
}

static void
on_end(void *arg, enum channel_end how, const char *why)
{
	_exit(how == CHANNEL_EOF ? 0 : 1);
}

/* The supervisor between two workers that are READY. */

static void
sup_on_frame(void *arg, struct frame *f)
{
	struct child *c = arg;

	if (route_refuses(c, f))
		errx(1, "%s refused", f->def->name);
	route_frame(c, f);
}

static void
sup_on_drained(void *arg)
{
	route_child_drained(arg);
}

static void
sup_serve(int plan, int watch)
{
	static const struct channel_ops ops = { .frame = sup_on_frame,
		.end = on_end,
		.drained = sup_on_drained };
	static const enum proc roles[] = { PROC_PLAN, PROC_WATCH };
	static struct options opt;
	static struct sup s;
	const int fds[] = { plan, watch };

	s.opt = &opt;
	s.loop = loop_new();
	for (size_t i = 0; i < 2; i++)
		child_init(&s, roles[i], 0);
	for (size_t i = 0; i < 2; i++) {
		struct child *c = child_find(&s, roles[i], 0);

		c->generation = 1;
		c->policy.phase = POLICY_READY;
		c->ch = channel_new(s.loop, fds[i], PROC_SUP, c->role, &ops, c);
		route_child_ready(c);
	}
	_exit(loop_run(s.loop) == -1);
}

static void
watch_on_frame(void *arg, struct frame *f)
{
	struct channel **ch = arg;
	struct msg_watch_sync m = { 0 };

	if (f->head.type == MSG_WATCH_SYNC)
		rpc_answer(*ch, f->head.id, MSG_WATCH_SYNC_OK, 0, &m, NULL, -1);
}

static void
watch_serve(int fd)
{
	static const struct channel_ops ops = { .frame = watch_on_frame,
		.end = on_end };
	struct loop *l = loop_new();
	struct channel *ch;

	ch = channel_new(l, fd, PROC_WATCH, PROC_SUP, &ops, &ch);
	_exit(loop_run(l) == -1);
}

/* The asker. */

struct asker {
	struct loop *loop;
	struct channel *ch;
	struct rpc *rpc;
	bool answered;
};

static void
asker_on_frame(void *arg, struct frame *f)
{
	struct asker *a = arg;

	if (f->head.type != MSG_PEER && !rpc_dispatch(a->rpc, f))
		errx(1, "unexpected %s", f->def->name);
}

static void
asker_on_answer(void *arg, struct frame *f)
{
	struct asker *a = arg;

	if (f->head.type != MSG_WATCH_SYNC_OK)
		errx(1, "unexpected %s", f->def->name);
	a->answered = true;
}

static void
asker_start(struct asker *a)
{
	static const struct channel_ops ops = { .frame = asker_on_frame,
		.end = on_end };
	int plan[2], watch[2];

	pair(plan);
	pair(watch);
	if (fork_server()) {
		close(plan[0]);
		close(watch[0]);
		sup_serve(plan[1], watch[1]);
	}
	if (fork_server()) {
		close(plan[0]);
		close(plan[1]);
		close(watch[1]);
		watch_serve(watch[0]);
	}
	close(plan[1]);
	close(watch[0]);
	close(watch[1]);
	a->loop = loop_new();
	a->ch = channel_new(a->loop, plan[0], PROC_PLAN, PROC_SUP, &ops, a);
	a->rpc = rpc_new(a->ch);
}

static void
asker_round(struct asker *a)
{
	struct msg_num m = { 0 };

	a->answered = false;
	if (rpc_ask(a->rpc, MSG_WATCH_SYNC, 0, &m, NULL, -1, asker_on_answer,
		a) == 0)
		errx(1, "the channel has ended");
	while (!a->answered)
		if (loop_once(a->loop, -1) == -1)
			err(1, "loop_once");
}

/* Bare sockets. */

static void
move(int from, int to)
{
	char b[BYTES];

	if (recv(from, b, sizeof(b), MSG_WAITALL) != sizeof(b) ||
	    send(to, b, sizeof(b), MSG_NOSIGNAL) != sizeof(b))
		_exit(0);
}

static int
bare_start(void)
{
	int sv[2];

	pair(sv);
	if (fork_server()) {
		close(sv[0]);
		for (;;)
			move(sv[1], sv[1]);
	}
	close(sv[1]);
	return (sv[0]);
}

static int
relay_start(void)
{
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int sv[2], far = bare_start();

	pair(sv);
	if (fork_server()) {
		close(sv[0]);
		p[0].fd = sv[1];
		p[1].fd = far;
		for (;;) {
			if (poll(p, 2, -1) == -1)
				_exit(1);
			for (int i = 0; i < 2; i++)
				if (p[i].revents != 0)
					move(p[i].fd, p[!i].fd);
		}
	}
	close(sv[1]);
	close(far);
	return (sv[0]);
}

static void
bare_round(int fd)
{
	char b[BYTES] = { 0 };

	if (send(fd, b, sizeof(b), MSG_NOSIGNAL) != sizeof(b) ||
	    recv(fd, b, sizeof(b), MSG_WAITALL) != sizeof(b))
		errx(1, "the other end is gone");
}

int
main(int argc, char *argv[])
{
	const char *bad = "no number";
	struct asker a = { 0 };
	int bare, relay;
	long long rounds = 0;

	if (argc == 2)
		rounds = strtonum(argv[1], 1, 1000000000, &bad);
	if (bad != NULL) {
		fprintf(stderr, "usage: ipc_pingpong ROUNDS\n");
		return (64);
	}
	log_init("ipc_pingpong", 0);
	asker_start(&a);
	bare = bare_start();
	relay = relay_start();
	for (long long i = -WARMUP; i < rounds; i++) {
		int64_t t[4];

		t[0] = mono_now().ns;
		asker_round(&a);
		t[1] = mono_now().ns;
		bare_round(bare);
		t[2] = mono_now().ns;
		bare_round(relay);
		t[3] = mono_now().ns;
		if (i >= 0)
			printf("%lld %lld %lld\n", (long long)(t[1] - t[0]),
			    (long long)(t[2] - t[1]), (long long)(t[3] - t[2]));
	}
	return (0);
}
