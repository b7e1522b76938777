/*
 * The supervisor's state, and what its files offer one another.
 */
#ifndef WHARF_SUP_H
#define WHARF_SUP_H

#include <sys/stat.h>

#include "buf.h"
#include "channel.h"
#include "config.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "policy.h"

/* one of each role, an engine worker per engine, and config */
#define SUP_CHILDREN_MAX (5 + ENGINES_MAX + 1)
#define MANIFEST_SIZE    (256ll * 1024 * 1024) /* sparse: pages used count */

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
	struct sup *sup; /* NULL: the slot is free */
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
	struct buf facts;    /* SB_* fields of the last READY */
	uint32_t conf_start; /* serial of the configuration it started with */
	uint32_t conf_taken; /* and of the latest that it has taken */
	bool draining;       /* is replaced when what it does is done */
	bool removed;        /* its engine is: free the slot at its end */
	struct loop_timer drained_by;
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

/* A watched directory. */
struct root {
	TAILQ_ENTRY(root) link;
	struct sup *sup;
	uint32_t tree;
	char *path;
	int fd; /* -1: gone */
	dev_t dev;
	ino_t ino;
	unsigned tries; /* to open it, since it went */
	mono_t back_at; /* when it came back last */
	struct loop_timer poll;
};

struct reader;
struct reload;

struct sup {
	struct loop *loop;
	struct options *opt;
	char run[40];
	struct child children[SUP_CHILDREN_MAX];
	struct route *routes;
	uint32_t last_route;
	struct sticky *stickies;
	struct config conf; /* what is served, and what retires */
	TAILQ_HEAD(, root) roots;
	uint32_t last_tree, last_service; /* numbers given so far */
	uint32_t serial;                  /* of the configuration */
	int counter_fd;
	int listener;
	enum { SUP_RUNS, SUP_STOPS_PLAN, SUP_STOPS_ALL, SUP_KILLS } phase;
	struct loop_timer stop_timer;
	int exit_code;
	struct reader *reader; /* reads a configuration now */
	struct reload *reload; /* a reload is under way */
};

/* child.c: spawn, READY, heartbeat, death */
/* A new one, down, in a free slot; there is one for each that may be. */
struct child *child_init(struct sup *s, enum proc role, uint32_t instance);
/* It is down for good: its slot is free. */
void child_retire(struct child *c);
/* Its engine is no longer configured: end it, and free its slot then. */
void child_remove(struct child *c);
/* All that are in use. */
struct child *child_next(struct sup *s, struct child *c);
#define CHILD_FOREACH(c, s)                            \
	for ((c) = child_next((s), NULL); (c) != NULL; \
	     (c) = child_next((s), (c)))
void child_event(struct child *c, enum policy_event ev, int code);
void child_on_sigchld(void *arg, const struct signalfd_siginfo *si);
void child_send(struct child *c, enum msg_type type, const void *fixed,
    const struct buf *tail, int fd);
struct child *child_find(struct sup *s, enum proc role, uint32_t instance);
bool child_is_ready(const struct child *c);
/* It may not go on, and what it still says does not count. */
void child_condemn(struct child *c);

/* configure.c: what a worker is told before it serves, and in a reload */
void configure_send(struct child *c);
void configure_engine(struct child *c, const struct config_engine *e);
/* With its memory, where the worker maps that. */
void configure_service(struct child *c, const struct config_service *sv);
void configure_retire(struct child *c, const struct config_service *sv);
void configure_root(struct child *c, const struct root *r);
void configure_drop(struct child *c, enum conf_drop what, uint32_t id);
/* It has all of the present configuration. */
void configure_end(struct child *c);
/* Does this worker have to know of that service, that engine? */
bool configure_concerns(const struct child *c, const struct config_engine *e);

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
/* There will be no successor: who waits for it is told. */
void route_child_gone(struct child *c);
/*
 * A planned generation: the worker is replaced when what it was asked has been
 * answered, or after a while; new requests wait for the next one.
 */
void route_replace(struct child *c);

/* serve.c: requests and notes for the supervisor itself */
void serve_frame(struct child *c, struct frame *f);
void serve_event(struct sup *s, enum event_kind kind, const struct buf *tail);

/* root.c: the watched directories as inodes */
/* The root at that path, made where there is none; it may be gone. */
struct root *root_get(struct sup *s, const char *path);
void root_free(struct root *r);
/* watch says so */
void root_gone(struct sup *s, uint32_t tree);
/* are they still there? For when watch was not, and cannot have told */
void root_check_all(struct sup *s);
/* The set of roots is another one: new readers for it. */
void root_replace_readers(struct sup *s);
bool root_is_reader(const struct child *c);

/* memory.c: what outlives a worker */
int memory_new(const char *name, uint64_t size);

/* state.c: what outlives the daemon, of one service */
void state_load(struct config_service *sv);
void state_save(struct config_service *sv);

/* reload.c: another configuration while it runs */
/*
 * Serve what `next` names and retire what it does not: moved out of it.  0,
 * or -1 and nothing has changed, with *why for the person (caller frees).
 */
int reload_apply(struct sup *s, struct config *next, char **why);
/* SIGHUP: now, or after the one that is under way. */
void reload_begin(struct sup *s);
/* Somebody asks for one through control. */
void reload_on_request(struct child *c, struct frame *f);
/* A worker has taken a configuration, or is down. */
void reload_progress(struct sup *s);
/* plan has ended its work for a retired service. */
void reload_service_gone(struct sup *s, uint32_t id);

/* socket.c: the control socket; path is removed again by socket_close */
int socket_listen(const char *path);
void socket_close(struct sup *s);

/* stop.c */
void stop_begin(struct sup *s, int exit_code);
void stop_child_ready(struct child *c);
void stop_child_exits(struct child *c, int code);
void stop_child_gone(struct sup *s, bool plan_is_done);

#endif
