/*
 * The plan worker's state: one job per service, from a change to its end.
 * Only workers/plan includes this.
 *
 * One operation runs at a time per service: it is the lease on the container.
 * plan_next() looks at what is known and starts the next one; every answer
 * changes what is known and calls plan_next() again.  All of it can be lost
 * with the process: a new generation lists the containers, asks push which
 * manifest it holds, and is offered again what was not acknowledged.
 */
#ifndef WHARF_PLAN_H
#define WHARF_PLAN_H

#include "buf.h"
#include "workers/common/engine_client.h"
#include "workers/common/worker.h"

#define PLAN_ID_LEN 80

/* Paths that are delivered together; `acked` follows when all are done. */
struct work {
	struct work *next;
	struct buf paths; /* PATH* and SUBTREE* fields */
	size_t npaths;
	unsigned crashes; /* workers that died with it in flight */
	int64_t seen_ns;  /* oldest change, CLOCK_MONOTONIC; 0: none */
};

/* A request of control; it is answered when no service is left. */
struct order {
	uint32_t id; /* of the request */
	size_t left; /* waiters that point here */
	int code;    /* sysexits; of the worst service */
	char text[320];
};

struct waiter {
	struct waiter *next;
	uint32_t sync_id; /* open WATCH_SYNC, 0: answered */
	bool synced;
	uint64_t upto; /* the change that has to be live */
	struct order *order;
};

enum plan_op {
	OP_NONE,
	OP_LIST,   /* which containers are there */
	OP_ATTACH, /* does push know this container */
	OP_BUILD,
	OP_REPLACE, /* create, stop, rename, start, remove: replace.c */
	OP_START,
	OP_INSPECT,
	OP_RECHECK, /* the same, on a hint: it is in step until it says no */
	OP_APPLY,
	OP_STEPS,
	OP_RESTART,
	OP_REMOVE, /* the end: end.c */
	OP_DETACH, /* push forgets a retired service's container */
};

/* What the last finished job did, for status. */
struct last {
	uint64_t job;
	const char *action;
	const char *result;
	uint64_t files, deleted, bytes, us;
};

struct service {
	struct worker *w;
	const struct conf_service *conf;
	/* the world */
	bool engine_up;
	bool root_gone;
	bool held;          /* somebody is at work in the sources' repository */
	bool scanned;       /* by the present watch generation */
	uint32_t watch_gen; /* whose numbers these are; 0: none yet */
	uint64_t tree_upto; /* number of the last change it told of */
	bool listed;
	char id[PLAN_ID_LEN];       /* the container; "": none */
	char image_id[PLAN_ID_LEN]; /* it was made from */
	char built_id[PLAN_ID_LEN]; /* image of the last build */
	bool running;
	bool paused;
	bool attached;      /* push holds its manifest */
	int64_t started_ns; /* wall clock of its last start */
	char ports[256];    /* where it is published, as told last */
	/* what has to be done */
	bool need_inspect, need_start, need_rebuild, need_steps;
	bool recheck; /* an event hints at a change; a look will tell */
	bool whole;   /* deliver everything again */
	bool no_cache;
	int64_t restart_after_ns; /* copies that a restart makes live */
	int64_t restarted_for;    /* the same, of the last restart or start */
	bool force_restart;
	unsigned not_started; /* times in a row that the engine refused to */
	bool blocked;         /* fails until something changes */
	mono_t unblock_at;    /* or until then; ns 0: for good */
	char why[256];        /* why it is not in step; "" */
	char climbed[256];    /* why a rebuild is needed */
	/* changes */
	uint32_t take_id;
	bool take_held;   /* until the engine is back: see batch_resume() */
	uint64_t batch;   /* last one taken */
	uint64_t applied; /* all up to it are in the container */
	uint64_t acked;
	uint64_t upto; /* change number that the last batch covers */
	uint64_t applied_upto;
	uint64_t acked_upto;
	struct work *work;
	struct buf set_aside;          /* SET_ASIDE fields */
	struct loop_timer aside_timer; /* then they are tried again */
	int64_t aside_ms;
	mono_t quiet_at; /* actions wait until then */
	mono_t hurry_at; /* but not longer than this */
	int64_t quiet_ms;
	/* the operation that runs */
	enum plan_op op;
	uint64_t job;
	uint32_t job_id; /* open request to push or image */
	mono_t op_began;
	bool op_touched; /* something has changed since */
	int64_t job_seen_ns;
	int64_t act_seen_ns; /* oldest change that waits for an action */
	/* what was asked for and is being done; it comes back if that fails */
	bool job_whole, job_restart, job_no_cache;
	unsigned retries;
	mono_t retry_at; /* nothing is begun before */
	struct loop_timer timer;
	struct loop_timer take_timer;
	int manifest_fd; /* of the last build, until push has it */
	struct last last;
	struct buf builds; /* fields of the build's status item */
	bool was_in_step;
	struct waiter *waiters;
	struct replace *replace; /* of OP_REPLACE */
	/* the end */
	bool retiring; /* the configuration has it no more */
	unsigned end_at;
	bool ended;
};

#define PLAN_ENGINES 256 /* an instance is a byte of every frame */

enum plan_engine { PLAN_UNKNOWN, PLAN_DOWN, PLAN_UP };

struct plan {
	struct worker *w;
	struct service **services;
	size_t n;
	uint8_t engine[PLAN_ENGINES]; /* enum plan_engine */
	uint32_t watch_gen;           /* that told of these */
	struct plan_tree *trees;
	uint64_t jobs;
	size_t removing; /* services whose container goes at the end */
};

/* handlers.c: the worker as worker_main() and tests run it */
extern const struct worker_ops plan_ops;

/* reconf.c: services come and go */
int plan_start(struct worker *w);
void plan_reconf(struct worker *w);
/* Free what start made; a worker just ends.  Takes NULL. */
void plan_free(struct plan *p);
/* watch of that generation has told of a tree. */
void plan_tree_is(struct plan *p, uint32_t generation,
    const struct msg_tree *m);
/* A retired service that has to do with the same container is not gone. */
bool plan_must_wait(const struct service *s);
/* A new service goes on with this retired one's container. */
bool plan_is_taken_over(const struct service *s);
/*
 * A new service has its name, or needs the name of its container: that one
 * must not stay, even if it would when the worker ends.
 */
bool plan_is_replaced(const struct service *s);
/* Its end has come, alone or with the whole worker. */
bool plan_is_ending(const struct service *s);
void plan_cut_short(struct service *s);
void plan_abandon(struct service *s);
/* All is done that was to be done for a retired service. */
void plan_retired(struct service *s);

/* confhash.c */
#define CONFIG_HASH_SIZE 65
/* What its container is made of, in hex, with a NUL. */
void plan_config_hash(const struct conf_service *s, char hex[CONFIG_HASH_SIZE]);

/* service.c: what happens next */
void plan_next(struct service *s);
void plan_wait_until(struct service *s, mono_t when);
void plan_fail(struct service *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void plan_unblock(struct service *s);
void plan_retry(struct service *s, const char *why);
void plan_op_begin(struct service *s, enum plan_op op);
void plan_op_end(struct service *s);
bool plan_in_step(const struct service *s);
/* Nothing that is under way brings it into step. */
bool plan_is_stuck(const struct service *s);
bool plan_wants_restart(const struct service *s);
const char *plan_why(const struct service *s);

/* batch.c: changes from watch */
void batch_take(struct service *s);

/*
 * The engine is back.  While it is away watch collects what changes, since it
 * names each path once; here all of them would be kept, over and over.
 */
void batch_resume(struct service *s);
void batch_ack(struct service *s);
void batch_applied(struct service *s);
void batch_watch_is(struct service *s, uint32_t generation);
struct work *work_add(struct service *s, const struct buf *paths,
    int64_t seen_ns);
void work_free(struct service *s, struct work *k);
void work_sort(struct service *s);
bool work_crashed(struct service *s, struct work *k);

/* act.c: single operations on the container */
uint32_t act_ask(struct service *s, enum msg_type type, enum eng_op op,
    uint32_t flags, eng_cb cb);
void act_failed(struct service *s, const char *what,
    const struct eng_answer *a);
void act_start(struct service *s);
void act_restart(struct service *s);

/* inventory.c: what is there */
void act_list(struct service *s);
void act_inspect(struct service *s);
int act_read_state(struct service *s, const struct eng_answer *a);

/* pushing.c: what push does */
void act_attach(struct service *s);
void act_apply(struct service *s);
void act_steps(struct service *s);
void act_cancelled(struct service *s);

/* end.c: what was made is taken away */
void end_next(struct service *s);
void end_give_up(struct service *s);
void end_done(struct service *s);

/* replace.c: build, and put a new container in the old one's place */
void replace_build(struct service *s);
/* Forget a replacement that nobody will answer. */
void replace_abandon(struct service *s);
/* Remove new_id (may be ""), bring the container that was put aside back. */
void replace_recover(struct service *s, const char *new_id, const char *old_id);

/* verbs.c: control's requests */
void verbs_do(struct worker *w, struct frame *f);
void verbs_cancel(struct worker *w, struct frame *f);
void verbs_status(struct worker *w, struct frame *f);
void verbs_settle(struct service *s);
/* Tell all who wait that the service goes. */
void verbs_retired(struct service *s);
/* Drop all who wait, without an answer. */
void verbs_forget(struct service *s);
void verbs_watch_restarted(struct service *s);

/* ports.c: tell where the container is published, from its inspection */
struct cJSON;
void ports_tell(struct service *s, const struct cJSON *inspect);

/* when.c */
/* RFC 3339 with up to nine digits of fraction as ns since 1970; -1. */
int when_parse(const char *s, int64_t *ns);

#endif
