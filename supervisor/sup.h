/*
 * The supervisor's state, and what its files offer one another.
 */
#ifndef WHARF_SUP_H
#define WHARF_SUP_H

#include <sys/stat.h>

#include "buf.h"
#include "channel.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "policy.h"
#include "stale.h"

#define SUP_ROLES_MAX 6
#define MANIFEST_SIZE (256ll * 1024 * 1024) /* sparse: pages used count */

/* A frame that waits for its receiver to be READY. */
struct waiting {
	struct waiting *next;
	struct frame_head head;
	int fd;
	size_t len;
	uint8_t payload[];
};

/* One worker: the same object through all its generations. */
struct child {
	struct sup *sup;
	enum proc role;
	uint32_t instance;
	uint32_t generation;
	pid_t pid;       /* 0: down */
	bool reaped;     /* pid is nobody's, or another's, any more */
	bool distrusted; /* broke a rule: nothing of it is read */
	struct policy policy;
	struct channel *ch;
	int logfd;
	struct buf log;        /* an unfinished line */
	struct loop_timer due; /* backoff */
	struct loop_timer beat;
	unsigned misses;
	unsigned probe;         /* not 0: started for --probe-sandbox */
	bool wrapped;           /* under a debugger: no heartbeat, no fences */
	struct loop_timer over; /* its queue is over the mark for too long */
	struct child *held_by;  /* not read from until that one drains */
	struct waiting *wait;
	struct waiting **wait_tail;
	size_t wait_bytes;
	bool wait_full; /* something had to be dropped: said once */
	mono_t died_at;
	uint64_t last_down_us;
	char last_exit[48];
	struct buf facts; /* SB_* fields of the last READY */
};

/* A request on its way, from ask to last answer. */
struct route {
	struct route *next;
	uint32_t id;      /* the id the answerer sees */
	uint32_t from_id; /* the id the asker gave */
	struct child *from;
	struct child *to;
	uint16_t type;
};

/* The latest note of a kind that newcomers have to know. */
struct sticky {
	struct sticky *next;
	struct child *source;
	uint32_t key;
	struct frame_head head;
	size_t len;
	uint8_t payload[];
};

struct root {
	uint32_t tree;
	char *path;
	int fd; /* -1: gone */
	dev_t dev;
	ino_t ino;
	struct loop_timer poll;
};

struct context;

struct sup {
	struct loop *loop;
	struct options *opt;
	char run[40];
	struct child children[SUP_ROLES_MAX];
	size_t nchildren;
	struct route *routes;
	uint32_t last_route;
	struct sticky *stickies;
	struct root root;
	struct stale stale; /* the engine's socket */
	int manifest_fd;
	int counter_fd;
	int listener;
	enum { SUP_RUNS, SUP_STOPS_PLAN, SUP_STOPS_ALL, SUP_KILLS } phase;
	struct loop_timer stop_timer;
	int exit_code;
	struct context *context; /* this one asks config alone (context.c) */
};

/* child.c: spawn, READY, heartbeat, death */
void child_init(struct sup *s, enum proc role, uint32_t instance);
void child_event(struct child *c, enum policy_event ev, int code);
void child_on_sigchld(void *arg, const struct signalfd_siginfo *si);
void child_send(struct child *c, enum msg_type type, const void *fixed,
    const struct buf *tail, int fd);
struct child *child_find(struct sup *s, enum proc role, uint32_t instance);
bool child_is_ready(const struct child *c);
/* It may not go on, and what it still says does not count. */
void child_condemn(struct child *c);

/* configure.c: what a worker is told before it serves */
void configure_send(struct child *c);

/* route.c: frames between workers */
/* Before READY nothing is taken of a worker, by whomever it is meant for. */
bool route_refuses(const struct child *c, const struct frame *f);
void route_frame(struct child *c, struct frame *f);
/* An event of our own: to control, now or when it is READY again. */
void route_event(struct sup *s, const struct msg_event *m,
    const struct buf *tail);
void route_child_ready(struct child *c);
void route_child_died(struct child *c);
void route_child_drained(struct child *c);

/* serve.c: requests and notes for the supervisor itself */
void serve_frame(struct child *c, struct frame *f);
void serve_event(struct sup *s, enum event_kind kind, const struct buf *tail);

/* root.c: the watched directory as an inode */
int root_open(struct sup *s, const char *path);
void root_gone(struct sup *s);
/* is it still there? For when watch was not, and cannot have told */
void root_check(struct sup *s);

/* memory.c: what outlives a worker */
int memory_new(const char *name, uint64_t size);

/* state.c: what outlives the daemon */
void state_load(struct sup *s);
void state_save(struct sup *s);

/* socket.c: the control socket; path is removed again by socket_close */
int socket_listen(const char *path);
void socket_close(struct sup *s);

/* stop.c */
void stop_begin(struct sup *s, int exit_code);
void stop_child_ready(struct child *c);
void stop_child_exits(struct child *c, int code);
void stop_child_gone(struct child *c);

#endif
