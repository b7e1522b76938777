/*
 * The engine worker: what its files share.
 *
 * One process serves one engine.  state.c finds out whether the engine is
 * there, events.c reads its events, job.c carries the requests of the other
 * workers, whose kinds are in ops.c, upload.c and exec.c; gate.c decides
 * which containers may be touched.
 */
#ifndef WHARF_ENGINE_ENGINE_H
#define WHARF_ENGINE_ENGINE_H

#include "buf.h"
#include "workers/common/worker.h"
#include "workers/engine/demux.h"
#include "workers/engine/http.h"
#include "workers/engine/jsonsplit.h"

#define ENGINE_API_MAX   "1.51"            /* the newest that is known to fit */
#define ENGINE_SHORT_MS  30000             /* calls that are answered at once */
#define ENGINE_JSON_MAX  (8 * 1024 * 1024) /* bytes of a JSON answer */
#define ENGINE_QUEUE_MAX 256               /* requests that wait */
#define ENGINE_RUN_MAX   40                /* requests that run at once */
#define ENGINE_HIGH      (1024 * 1024)     /* bytes queued: answers pause */

enum state_phase {
	STATE_WAIT, /* for the next try */
	STATE_PING,
	STATE_VERSION,
	STATE_EVENTS, /* the event stream is being opened */
	STATE_UP,
};

struct state {
	enum state_phase phase;
	bool announced; /* what was told last */
	uint64_t epoch;
	unsigned tries;  /* since it was up for a while */
	bool hangs;      /* the last ping got no answer */
	mono_t answered; /* the last ping that did */
	mono_t up_since;
	mono_t refused_since;
	bool refused;
	struct loop_timer timer;
	struct http_req *req;
	struct buf body;
	char api[16];
	char *version;
	char *error;
};

#define EVENTS_SEEN 512 /* more than an engine keeps */

struct events {
	struct http_req *req;
	struct jsonsplit split;
	struct buf error; /* an answer that is none of events */
	int64_t since_ns; /* the engine's time of the last event */
	bool paused;
	struct {
		int64_t time_ns;
		uint64_t hash;
	} seen[EVENTS_SEEN]; /* a ring */
	size_t next;
};

struct gate;
struct job;

struct engine {
	struct worker *w;
	const struct conf_engine *conf; /* own */
	struct conf_engine own;
	struct http *http;
	struct state state;
	struct events events;
	struct gate *gate;
	struct job *jobs;       /* in the order they came */
	bool in_run, run_again; /* jobs_run() */
	struct loop_timer drain;
};

/* A path below the API version that is spoken. The caller frees. */
char *engine_path(const struct engine *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether answers must wait; the paused are resumed later by themselves. */
bool engine_congested(struct engine *e);

/*
 * The service of that name, directory and role on this engine, or NULL.  Of
 * two the one that is not retired.
 */
const struct conf_service *engine_service_by_labels(const struct engine *e,
    const char *name, const char *dir, const char *role);

/*
 * The text of an engine's answer that is an error: its "message", or the
 * bytes.  The caller frees.
 */
char *engine_message(const struct buf *answer);

/* state.c */
void state_start(struct engine *e);
/* Something failed that should not have: look whether the engine is there. */
void state_suspect(struct engine *e);
/* The event stream is open, or has ended (why). */
void state_events_open(struct engine *e);
void state_events_lost(struct engine *e, const char *why);
/* Tell the state again: a peer has started. */
void state_tell(struct engine *e);
bool state_is_up(const struct engine *e);

/* events.c */
void events_open(struct engine *e);
void events_close(struct engine *e);
void events_resume(struct engine *e);

/* gate.c: containers that are known to be ours */
struct gate *gate_new(void);
void gate_free(struct gate *g);
void gate_add(struct gate *g, const char *id, const struct conf_service *s);
void gate_remove(struct gate *g, const char *id);
bool gate_knows(const struct gate *g, const char *id,
    const struct conf_service *s);
/* Forget what was known of services that the configuration has no more. */
void gate_reconf(struct gate *g, const struct conf *c);
/* Whether an inspect's JSON shows a container of that service. */
bool gate_check(const struct buf *json, const struct conf_service *s);
/* The same for an image that was built for it. */
bool gate_check_image(const struct buf *json, const struct conf_service *s);
/* Whether an inspect's JSON shows a tag that is not the service's own. */
bool gate_image_has_other_tags(const struct buf *json,
    const struct conf_service *s);

#endif
