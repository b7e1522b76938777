/*
 * The push worker: what its files share.
 *
 * It reads contexts beneath their root descriptors and cannot talk to
 * anybody but the supervisor: what reaches a container goes through the
 * engine worker, as typed requests and as tars through pipes.
 *
 * plan sends jobs.  attach.c says which container is meant and what it holds;
 * apply.c compares tree and manifest and brings the container in step, with
 * prepare.c (what container and Dockerfile are), owners.c, erase.c and
 * deliver.c; steps.c replays RUN steps.  The jobs of one service run one
 * after the other; those of several services at the same time.
 *
 * The manifest is written before an effect (UNKNOWN) and after the engine has
 * confirmed it (KNOWN), see manifest.h: a successor of a killed worker does
 * again what may not have been done.
 */
#ifndef WHARF_PUSH_PUSH_H
#define WHARF_PUSH_PUSH_H

#include "workers/common/engine_client.h"
#include "workers/common/worker.h"
#include "workers/push/compare.h"
#include "workers/push/facts.h"
#include "workers/push/items.h"
#include "workers/push/oracle.h"
#include "workers/shared/rules.h"
#include "workers/shared/tarstream.h"

#define PUSH_SLICE_MS   20
#define PUSH_EVENTS_MAX 50 /* files of a job that are told one by one */
#define PUSH_REASON_MAX 512
#define PUSH_PATHS_MAX  (64 * 1024 * 1024) /* bytes of a job's paths */

struct task;
typedef void (*task_fn)(struct task *j);

/* A small file of the container, for --chown. */
struct cfile {
	bool asked;
	struct buf tar;
	const char *text; /* in tar; NULL: there is none */
	size_t len;
};

struct service {
	struct service *next;
	struct worker *w;
	const struct conf_service *conf;
	int rootfd; /* -1: the root was not there */
	struct manifest *m;
	/* The last job ended badly: the next one compares everything. */
	bool behind;

	/* Of the container attached to; made by prepare.c. */
	bool prepared;
	struct facts facts;
	struct dockerfile_env *args;
	struct dockerfile *df;
	struct copyplan *plan;
	struct oracle oracle;
	struct cfile passwd, group;

	struct task *jobs; /* the first is in work */
	size_t ntasks;     /* these, and what is about to be freed */
	bool dropped;      /* the last of them frees it */
};

struct push {
	struct service *services;
};

/* service.c */
int push_start(struct worker *w);
/* New services get their state; what was dropped is freed. */
void push_reconf(struct worker *w);
/* Free what start made; a worker just ends. */
void push_free(struct worker *w);
struct service *push_service(struct worker *w, uint32_t id);

/* One PUT after the other, deliver.c. */
struct deliver {
	size_t at, end;   /* the items of this PUT */
	size_t next;      /* the next of them to be added */
	char *root;       /* where it is unpacked */
	size_t made;      /* bytes of the path of directories made on the way */
	struct item *cur; /* whose content is being added */
	struct tree_stat st; /* of cur */
	int64_t scanned_ns;
	bool any;    /* something was added */
	bool second; /* the links that need another root */
	struct tarstream *ts;
	int fd;       /* the pipe's writing end, or -1 */
	uint32_t req; /* the PUT */
	unsigned tries;
	task_fn then;
};

/* Deleting, erase.c. */
struct erase {
	const struct paths *paths;
	size_t at;
	size_t end;      /* of the paths in this exec */
	bool one_by_one; /* exec cannot be used */
	struct buf output;
	char *asked; /* whether it is there */
	task_fn then;
};

struct lines {
	struct buf part[3]; /* by stream */
	unsigned count;
	uint64_t dropped;
};

struct task {
	struct task *next;
	struct service *s;
	enum msg_type type;
	uint32_t id; /* of the request */
	struct msg_job m;
	char *container;
	char *image;
	int fd;
	struct buf paths; /* fields */
	bool collecting;
	bool running;
	bool cancelled;
	struct loop_timer timer;
	task_fn later;
	task_fn then; /* where prepare.c and owners.c go on */

	struct rules rules;
	struct compare *cmp;
	struct changes changes;
	struct effects fx;
	struct deliver put;
	struct erase erase;
	struct paths conflict;
	size_t step; /* steps.c: of the copyplan */
	struct lines lines;
	mono_t began;

	struct msg_push_done done;
	char reason[PUSH_REASON_MAX];
	char trouble[PUSH_REASON_MAX]; /* what failed though the job went on */
	struct buf again;              /* PATH fields */
};

/* task.c */
void task_on_request(struct worker *w, struct frame *f);
void task_on_paths(struct worker *w, struct frame *f);
void task_on_cancel(struct worker *w, struct frame *f);
/* Go on with fn when the loop has turned. */
void task_later(struct task *j, task_fn fn);
/* Answer and free the job; the next one of its service starts. */
void task_end(struct task *j, enum result result);
/*
 * From when on a container must have been started for this job's copies to be
 * live in it: now, and by the engine's clock later than its last start that
 * is known, should ours have been put back since.
 */
int64_t task_restart_after(const struct task *j);
void task_end_why(struct task *j, enum result result, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Can they be had?  If not, the job has ended with the reason. */
bool task_has_effects(struct task *j);
/* The same by an engine's answer that is not the expected one. */
void task_end_answer(struct task *j, const char *what,
    const struct eng_answer *a);
/* Something did not work; the job goes on and fails at its end. */
void task_trouble(struct task *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Look at this path again. */
void task_again(struct task *j, const char *path);
/* Ask about the job's container; b (taken, may be NULL) has more fields. */
uint32_t task_ask(struct task *j, enum msg_type type, enum eng_op op,
    struct buf *b, eng_cb cb, eng_data_cb data);
/* PUT what comes out of the pipe fd (taken) at path; flags: ENG_* */
uint32_t task_put(struct task *j, const char *path, uint32_t flags, int fd,
    eng_cb cb);
/* An event of this job; b is taken. */
void task_event(struct task *j, enum event_kind kind, struct buf *b);
/* True for a job that works on another container than the attached one. */
bool task_is_stale(const struct task *j);

/* attach.c */
void attach_start(struct task *j);
void attach_forget(struct service *s);
uint32_t attach_needs(const struct service *s);

/* prepare.c: facts and plan of the service's container, then fn */
void prepare(struct task *j, task_fn fn);
/*
 * Ask the container about a destination that the plan wants to know of, then
 * fn, which makes the plan anew.  False: nothing is to be asked.
 */
bool prepare_dest(struct task *j, task_fn fn);

/* owners.c: fill in the owners and modes of fx.items, then fn */
void owners_resolve(struct task *j, task_fn fn);

/* apply.c */
void apply_start(struct task *j);

/* deliver.c: send fx.items, then fn; ends the job when that is impossible */
void deliver(struct task *j, task_fn fn);
void deliver_free(struct task *j);

/* erase.c: delete these paths, then fn; what stays is task_trouble */
void erase(struct task *j, const struct paths *paths, task_fn fn);
/* Remove those of these directories that are empty, the last first. */
void erase_empty(struct task *j, const struct paths *paths, task_fn fn);
/* How many of the paths from `at` on fit into one exec. */
size_t erase_chunk(const struct paths *p, size_t at);

/* steps.c */
void steps_start(struct task *j);

#endif
