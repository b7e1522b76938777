/*
 * A plan worker under test: the real handlers, with the test as supervisor
 * and as all its peers, on a clock that only the test moves.
 */
#ifndef WHARF_PLAN_FAKE_H
#define WHARF_PLAN_FAKE_H

#include "workers/plan/plan.h"

#define BENCH_FRAMES   256
#define BENCH_SERVICES 4
#define BENCH_NEXT     "/app.next"
#define BENCH_OLD      "/app.old"

/* A frame that plan has sent. */
struct got {
	struct frame_head head;
	_Alignas(8) uint8_t fixed[FRAME_FIXED_MAX];
	struct buf tail;
	bool fd;
	bool done; /* looked at */
	bool cancelled;
};

struct bench {
	struct worker w;
	struct conf_service services[BENCH_SERVICES];
	struct conf_service *service_list[BENCH_SERVICES];
	struct conf_engine engine;
	struct conf_engine *engine_list[1];
	struct channel *sup;
	struct got got[BENCH_FRAMES]; /* all but TAKE and EVENT */
	size_t n;
	struct got take; /* the standing one */
	bool taking;
	uint32_t serving; /* the service whose TAKE it is; 1 at first */
	unsigned events[EVENT_MAX];
	struct buf event[EVENT_MAX]; /* fields of the last of a kind */
	uint32_t watch_gen;
	uint64_t batch;
	bool stopped;
	char built[64]; /* id of the last image */
	unsigned builds;
};

/* Of what the container of the first service is made. */
extern char bench_hash[CONFIG_HASH_SIZE];

struct bench *bench_new(size_t nservices);
/* A new plan as after a death, with everybody else as before. */
void bench_restart(struct bench *b);
void bench_free(struct bench *b);
struct service *bench_service(struct bench *b);

/* Turn the loop until nothing more comes; let time go by. */
void bench_settle(struct bench *b);
void bench_ms(struct bench *b, int64_t ms);

/* The next request, which must be of this type (and operation). */
struct got *bench_expect(struct bench *b, enum msg_type type);
struct got *bench_expect_eng(struct bench *b, enum msg_type type,
    enum eng_op op);
/* Nothing is asked. */
void bench_quiet(struct bench *b);
/* An answer to control: its code, and the text. */
int bench_answered(struct bench *b, uint32_t id, char *text, size_t size);
bool bench_is_answered(struct bench *b, uint32_t id);
bool got_has(const struct got *g, enum field_key key, const char *value);

/* Answer and tell, from a peer. */
void bench_reply(struct bench *b, enum proc source, const struct got *g,
    enum msg_type type, uint16_t flags, const void *fixed,
    const struct buf *tail, int fd);
void bench_note(struct bench *b, enum proc source, enum msg_type type,
    uint32_t id, const void *fixed, const struct buf *tail);
void bench_err(struct bench *b, const struct got *g, enum err_code code);
void bench_lost(struct bench *b, const struct got *g);

void engine_state(struct bench *b, enum eng_state state);
void engine_event(struct bench *b, const char *id, const char *action);
/* DONE with this status, after `body` (may be NULL) as DATA. */
void engine_done(struct bench *b, const struct got *g, unsigned status,
    const char *body);
void engine_error(struct bench *b, const struct got *g, unsigned status,
    const char *error);
/* The list, from JSON objects: "" or bench_item()s with commas. */
void engine_list(struct bench *b, const char *items);
const char *bench_item(const char *id, const char *name, const char *state);
/* Answer an inspection: it started at so many s after 1970; 0: is dead. */
void engine_inspect(struct bench *b, unsigned started_s);
/* Take and answer one engine operation with 204. */
void engine_does(struct bench *b, enum eng_op op, const char *id);

void watch_tree(struct bench *b, uint32_t flags, uint64_t changes);
/* A batch up to `upto`; paths end with NULL, "*" is the whole tree. */
void watch_batch(struct bench *b, uint32_t flags, uint64_t upto, ...);
void watch_lost(struct bench *b);
/* Answer the open WATCH_SYNC. */
void watch_synced(struct bench *b, uint64_t upto);

struct push {
	enum result result;
	uint32_t needs;
	uint32_t known;
	uint64_t files;
	int64_t restart_s; /* restart_after */
	const char *reason;
	const char *again;
};
void push_done(struct bench *b, const struct got *g, struct push p);
/* Take and answer one request to push. */
struct got *push_does(struct bench *b, enum msg_type type, struct push p);

/* Take and answer a BUILD, with an image of its own each time. */
void image_builds(struct bench *b);
void image_fails(struct bench *b, enum result result, const char *error);
/* Take and answer what follows up to the start of container `id`. */
void bench_creates(struct bench *b, const char *id);
/* Build and start it as container `id`, in the place of `old` (or NULL). */
void bench_deploys(struct bench *b, const char *id, const char *old);
/* Attach with the manifest, compare all: in step. */
void bench_attaches(struct bench *b, const char *id);

/* Both, in the place of `old`: in step. */
void bench_replaces(struct bench *b, const char *id, const char *old);
/* A change that needs a new image, up to the request for it. */
void bench_wants_build(struct bench *b);
/* The engine comes up and lists these; the one that runs is attached. */
void bench_finds(struct bench *b, const char *items);

/* Up and in step with container "c1". */
struct bench *bench_up(void);

uint32_t control_do(struct bench *b, enum do_verb verb, const char *service);
/*
 * Reloads: a service as the first but for its number, which the caller may
 * change further; one that goes; one that is gone; and the news of it.
 */
struct conf_service *bench_add(struct bench *b, uint32_t id);
void bench_retire(struct bench *b, uint32_t id);
void bench_drop(struct bench *b, uint32_t id);
void bench_reconf(struct bench *b);
/* How often SERVICE_GONE has come for it. */
unsigned bench_gone(struct bench *b, uint32_t id);
void bench_stop(struct bench *b);
/* The worker has left its loop with 0. */
bool bench_ended(struct bench *b);

#endif
