/*
 * A front desk with a supervisor and clients that are made up, all on one
 * loop.  Tests only.
 */
#ifndef WHARF_TESTS_CONTROL_FAKE_H
#define WHARF_TESTS_CONTROL_FAKE_H

#include <sys/socket.h>
#include <sys/un.h>

#include "workers/control/control.h"

#define OTHER_UID 65534

struct desk {
	struct worker w;
	struct channel *sup; /* the far end of the desk's channel */
	struct sockaddr_un addr;
	socklen_t addr_len;
	struct conf_service service;
	struct conf_engine engine;
	struct conf_root root;
	struct conf_mem mem;
	struct conf_service *services[2];
	struct conf_engine *engines[2];
	struct conf_root *roots[1];
	struct conf_mem *mems[1];
	uint64_t counter;
	bool silent[PROC_MAX]; /* does not answer STATUS */
	bool down;             /* the supervisor says that plan is */
	unsigned lost;         /* orders that are answered WORKER_LOST */
	bool hold;             /* orders are not answered at all */
	unsigned orders;       /* that came */
	unsigned cancels;
	unsigned stops;
	unsigned reloads;
	uint32_t engines_asked; /* a bit for each number */
	uint32_t silent_engine;
	bool reloading; /* one is under way */
	struct conf_service more;
	struct conf_engine engine2;
	struct msg_do last;
};

struct peer {
	struct desk *d;
	struct channel *ch;
	struct rpc *rpc;
	bool ended;
	unsigned answers; /* last ones */
	unsigned err;     /* code of the last error */
	unsigned refused; /* code of an error under id 0 */
	uint64_t code;    /* of the last CTL_OK */
	unsigned missing; /* WORKER fields in it */
	unsigned texts;   /* TEXT fields in it */
	unsigned engines; /* STATUS_ENGINE items that came */
	uint32_t kinds[64];
	size_t nkinds;
	bool unknown; /* a service was shown as not in step */
	uint64_t seq; /* of the last event */
	uint64_t nevents, lost_from, lost_to, nlost;
	bool order_broken;
};

/* cmocka's set-up and tear-down: a desk that listens, in *state. */
int desk_up(void **state);
int desk_down(void **state);

/* A non-blocking connection of that user. */
int desk_connect(struct desk *d, uid_t uid);

/* Run the loop for so long. */
void desk_run_ms(struct desk *d, int64_t ms);

/* An event with so much text. */
void desk_event(struct desk *d, size_t text_len);
size_t desk_clients(const struct desk *d);

struct peer *peer_new(struct desk *d, uid_t uid);
void peer_free(struct peer *p);
void peer_ask(struct peer *p, enum msg_type type, const void *fixed);
void peer_do(struct peer *p, enum do_verb verb, uint64_t timeout_ms);
/* sync of that service */
void peer_do_one(struct peer *p, const char *service);
void peer_on_answer(void *arg, struct frame *f);

/* Run the loop until the peer has so many answers, 5 s at most. */
void peer_run(struct peer *p, unsigned n);

#endif
