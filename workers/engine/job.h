/*
 * Jobs: requests of other workers on their way to the engine.  A job waits
 * for the engine (and for the first block of its body), then makes one or
 * several HTTP requests, and is answered once.  Engine worker.
 */
#ifndef WHARF_ENGINE_JOB_H
#define WHARF_ENGINE_JOB_H

#include "workers/engine/body.h"
#include "workers/engine/engine.h"

struct job;

struct job_op {
	enum msg_type type;
	bool gated; /* CONTAINER_ID must be a container of the service */
	/* Check the fields before anything else: -1 and why. */
	int (*check)(struct job *j, char *why, size_t size);
	/* The engine is there: make the first request. */
	void (*go)(struct job *j);
};

/* Where the bytes of a good answer go. */
enum job_sink {
	SINK_DROP,
	SINK_COLLECT, /* job->answer; JSON for us */
	SINK_ASKER,   /* ENG_DATA */
	SINK_OUTPUT,  /* ENG_OUTPUT, taken out of its frames */
};

/* The next thing to do after a whole answer. */
typedef void (*job_next)(struct job *j, unsigned status);

struct job {
	struct job *next, **prevp;
	struct engine *e;
	const struct job_op *op;
	uint32_t id;
	enum proc source;
	struct msg_eng m;
	const struct conf_service *service;
	struct buf tail;
	struct fields f; /* in tail */
	char *cid;       /* CONTAINER_ID, or NULL */
	char *name;      /* NAME, or NULL */
	char *path;      /* PATH, or NULL */
	bool running;
	bool paused;    /* the answer waits for the channel */
	bool committed; /* something may have happened at the engine */
	bool body_on;   /* the request that takes the body is on its way */
	bool too_big;
	struct body *body;
	bool body_ready;
	struct http_req *req;
	job_next then;
	enum job_sink sink;
	uint64_t limit; /* bytes for the asker, 0: none */
	struct buf answer;
	char *stat;     /* X-Docker-Container-Path-Stat of the last answer */
	uint64_t bytes; /* sent to the asker */
	/* exec */
	struct demux demux;
	bool bad_frames;
	char *exec_id;
	char head[256]; /* how the output begins */
	size_t head_len;
	unsigned polls;
	struct loop_timer timer;
};

/* All kinds of jobs; ended by MSG_NONE. */
extern const struct job_op ops_simple[];
extern const struct job_op ops_upload[];
extern const struct job_op ops_exec[];

/* A request has come, or what follows one. */
void job_on_request(struct engine *e, struct frame *f);
void job_on_cancel(struct engine *e, struct frame *f);
void job_on_body_end(struct engine *e, struct frame *f);

/* End the jobs of services that the configuration has no more. */
void jobs_reconf(struct engine *e);

/* Start what waits, as far as the engine allows it. */
void jobs_run(struct engine *e);
/* The engine is gone: what runs has failed. */
void jobs_abort(struct engine *e, const char *why);
/* The channel took what was queued. */
void jobs_resume(struct engine *e);
void jobs_free(struct engine *e);

/*
 * One request of a job; `then` gets its status.  Takes path.  An answer with
 * a status of 300 or more is always collected.
 */
void job_http(struct job *j, const char *method, char *path, const char *json,
    int64_t timeout_ms, enum job_sink sink, job_next then);

/* The end of a job: each frees it. */
void job_done(struct job *j, unsigned status, int64_t exit_code,
    const char *error, const char *container_id);
void job_fail(struct job *j, enum err_code code, const char *why);
/* ENG_DONE, with the engine's message if the status is an error. */
void job_done_status(struct job *j, unsigned status);

/*
 * What a 201 says was made, which the caller frees; NULL: it says something
 * else, and the job has ended.
 */
char *job_created_id(struct job *j, unsigned status);

/*
 * The answer to the inspection of its container: is it one of the service's?
 * If not, the job has ended.
 */
bool job_is_admitted(struct job *j, unsigned status);

/* ENG_DATA to the asker. */
void job_send_data(struct job *j, const void *p, size_t n);

#endif
