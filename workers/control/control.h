/*
 * The front desk: what its parts know of each other.  Process: control.
 *
 * It holds no right of its own: status is asked from those who know, orders
 * go to plan and to the supervisor, events come from all and are kept in the
 * ring.  Clients are hostile until they prove dull: what breaks a rule ends
 * the client, never the worker.
 */
#ifndef WHARF_CONTROL_CONTROL_H
#define WHARF_CONTROL_CONTROL_H

#include "buf.h"
#include "workers/common/worker.h"
#include "workers/control/metrics.h"
#include "workers/control/ring.h"

#define CLIENTS_MAX       256 /* spec/security.md R14 */
#define CLIENTS_RESERVED  32  /* of these, for root and the owner alone */
#define CLIENTS_PER_UID   32
#define CLIENTS_PER_ADMIN 128
#define CLIENT_QUEUE_MAX  (1024 * 1024)
#define CLIENT_HELLO_MS   2000 /* for the first frame, and for half a one */
#define CLIENT_SWEEP_MS   250
#define ACCEPT_PAUSE_MS   250  /* when fds or memory are gone */
#define ORDERS_OPEN_MAX   192  /* at plan, for those who are not admin */
#define ORDER_GRACE_MS    200  /* for plan to say itself what is missing */
#define ORDER_AGAIN_MS    50   /* before a lost order is given again */
#define STATUS_WAIT_MS    1000 /* for a process that runs */
#define STATUS_DOWN_MS    50   /* for one that does not */
#define STATUS_BYTES_MAX  (768 * 1024)

struct control;

/* An open request of a client. */
struct request {
	struct request *next;
	struct client *client;
	enum msg_type type;
	uint32_t id;    /* the client's */
	uint32_t asked; /* ours, at plan or the supervisor; 0: none */
	uint64_t
	    round;     /* CTL_STATUS, CTL_METRICS: answered by this gathering */
	bool counting; /* CTL_METRICS: the items are told, counters follow */
	size_t counted; /* so many parts of metrics.h are told */
	struct msg_do order;
	struct buf tail;
	mono_t deadline;
	struct loop_timer timer; /* the deadline */
	struct loop_timer again; /* asks once more */
};

struct client {
	struct client *next;
	struct control *ct;
	struct channel *ch;
	uid_t uid;
	bool admin;
	bool dropped; /* freed as soon as the loop is out of its channel */
	mono_t since;
	uint64_t frames;     /* valid ones */
	uint64_t stalled_at; /* `frames` when half a frame was seen */
	mono_t stalled;      /* since when */
	struct request *requests;
	uint32_t monitor;       /* id of its CTL_MONITOR, 0: none */
	uint64_t cursor;        /* number of the next event it gets */
	struct loop_timer more; /* it gets the rest in the next turn */
};

struct control {
	struct worker *w;
	const struct conf_mem *counter;
	struct ring *ring;
	struct metrics *metrics;
	struct client *clients; /* newest first */
	size_t nclients;
	struct loop_timer accept_again;
	struct loop_timer sweep;
	struct loop_timer reap;
	struct gather *gather;
};

/* With start-up rights: what the sandbox would not let us set. */
int control_setup(struct worker *w);

/* Take the worker's configuration and begin to listen; NULL: it cannot. */
struct control *control_new(struct worker *w);
void control_free(struct control *ct);

/* EVENT from any process: number it, keep it, show it to who is watching. */
void control_on_event(struct worker *w, struct frame *f);

/* listen.c: accept clients until the listener is closed. */
int listen_start(struct control *ct);
void listen_stop(struct control *ct);

/* client.c */
struct client *client_new(struct control *ct, int fd, uid_t uid);

/* Cancel what it asked for and free it; not from inside its own frames. */
void client_free(struct client *c);

/* End a request: forget it and cancel what is still asked elsewhere. */
void request_free(struct request *r);

/* The last answer of a request; the request is gone afterwards. */
void request_err(struct request *r, enum err_code code, const char *text);
void request_done(struct request *r, uint64_t code, const char *text);

/* monitor.c: send what it has not seen yet, as far as it reads. */
void monitor_start(struct client *c, uint32_t id, const struct msg_monitor *m);
void monitor_feed(struct client *c);

/* status.c */
struct gather *gather_new(struct control *ct);
void gather_free(struct gather *g);
void status_ask(struct request *r);
/* Go on telling counters, as far as the client reads. */
void status_feed(struct request *r);

/* command.c: CTL_DO, and CTL_STOP and CTL_RELOAD for the supervisor. */
void command_do(struct request *r);
void command_sup(struct request *r, enum msg_type type);

#endif
