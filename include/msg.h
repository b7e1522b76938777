/*
 * Messages: the fixed parts, and what msg.def makes of the table.
 */
#ifndef WHARF_MSG_H
#define WHARF_MSG_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "field.h"
#include "proc.h"

/* Flags of a frame. */
#define F_MORE 0x0001 /* more frames of this request or answer follow */

/* No fixed part; takes no bytes on the wire. */
struct msg_none {
	char none[0];
};

struct msg_num {
	uint64_t n;
};

enum sandbox_mode { SANDBOX_ON, SANDBOX_TRAP, SANDBOX_OFF };

/* fields: RUN, TOKEN* */
struct msg_init {
	uint32_t role; /* enum proc */
	uint32_t instance;
	uint32_t generation;
	uint32_t sandbox; /* enum sandbox_mode */
	uint32_t uid;     /* who to become; the caller's own when not root */
	uint32_t gid;
	uint32_t verbose;
	uint32_t probe; /* 0, or the forbidden act to try (sandbox.h) */
	uint32_t owner; /* the uid wharfd runs as: may do all, like root */
	uint32_t zero;
};

/* fields: NAME, HOST ("unix:///path"), API (pinned version, or absent) */
struct msg_conf_engine {
	uint32_t instance;
	uint32_t zero;
};

/* fields: ROOT; fd: the directory, readers only */
struct msg_conf_root {
	uint32_t tree;
	uint32_t gone; /* 1: there is no such directory now, and no fd */
};

#define SERVICES_MAX 1024 /* of one configuration */
#define ENGINES_MAX  16   /* an instance is a byte of every frame */

#define SERVICE_KEEP    0x1 /* leave the container when wharfd ends */
#define SERVICE_RETIRED 0x2 /* goes: end what runs, then SERVICE_GONE */

/*
 * fields: NAME, DIR, DOCKERFILE (relative to DIR), IMAGE, CONTAINER,
 * TARGET, ENV*, PORT*, BIND*, NETWORK, BUILD_ARG*
 *
 * Numbers of services and trees are given once in a run: a service that
 * changes in a reload is retired, and a new one with the same name and
 * another number takes its container over.
 */
struct msg_conf_service {
	uint32_t service;
	uint32_t tree;
	uint32_t engine;
	uint32_t flags;
};

enum mem_kind {
	MEM_MANIFEST = 1, /* push: the manifest of a service's container */
	MEM_COUNTER,      /* control: the next event's sequence number */
};

/* fd: a memfd sealed against growing and shrinking */
struct msg_conf_mem {
	uint32_t kind;
	uint32_t service;
	uint64_t size;
};

enum conf_drop { DROP_ENGINE = 1, DROP_ROOT, DROP_SERVICE };

struct msg_conf_drop {
	uint32_t what; /* enum conf_drop */
	uint32_t id;
};

enum config_place {
	CONFIG_DOCKER, /* below docker's configuration directory */
	CONFIG_INCLUDE /* below the directory of the file that names it */
};

struct msg_config_open {
	uint32_t place; /* enum config_place */
	uint32_t from;  /* CONFIG_INCLUDE: number of the including file */
};

#define CONFIG_HAS_SANDBOX      0x1
#define CONFIG_HAS_REQUIRE      0x2
#define CONFIG_HAS_MAX_RESTARTS 0x4
#define CONFIG_HAS_LOG          0x8

enum log_format { LOG_TEXT, LOG_JSON, LOG_SYSLOG };

/* fields: SOCKET, where the file names one */
struct msg_config_global {
	uint32_t has;     /* CONFIG_HAS_*: which of these the file sets */
	uint32_t sandbox; /* enum sandbox_mode */
	uint32_t require_sandbox;
	uint32_t max_restarts;
	uint32_t log; /* enum log_format */
	uint32_t zero;
};

/*
 * fields: NAME, DIR (absolute), DOCKERFILE, IMAGE, CONTAINER, TARGET, ENV*,
 * PORT*, BIND*, NETWORK, BUILD_ARG*, and PATH, LINE: where it is defined
 */
struct msg_config_service {
	uint32_t engine; /* the n-th CONFIG_ENGINE, from 0 */
	uint32_t flags;  /* SERVICE_KEEP */
};

/*
 * CONF_CONTEXT fields: DIR (docker's configuration directory, for messages),
 *              NAME (the context asked for; absent: what config.json says)
 *              HOST (DOCKER_HOST, which counts before all contexts)
 * CONF_FILE    fields: PATH, absolute; fd: file number 0.  Without it config
 *              is asked for the context alone, and answers CONFIG_HOST
 * CONFIG_OPEN  fields: PATH; of docker's "config.json" or
 *              "contexts/meta/HASH/meta.json" only
 * CONFIG_FILE  n: the file's number; fields: PATH, absolute
 * CONFIG_HOST  n: a sysexits code; fields: HOST, NAME, PATH (absent for the
 *              built-in context), or ERROR
 * With CONF_FILE config answers CONFIG_GLOBAL, CONFIG_ENGINE+ (fields: NAME,
 * HOST, API), CONFIG_SERVICE*, CONFIG_DONE; or CONFIG_ERROR+ (n: a sysexits
 * code; fields: ERROR, "file:line:column: what is wrong") and CONFIG_DONE with
 * the first one's code.
 */

enum peer_state { PEER_DOWN, PEER_READY };

struct msg_peer {
	uint32_t role;
	uint32_t instance;
	uint32_t generation;
	uint32_t state;
};

enum err_code {
	ERR_WORKER_LOST = 1, /* the answerer died; ask again */
	ERR_BUSY,            /* too many open requests of this kind */
	ERR_CANCELLED,
	ERR_INVALID, /* bad request; asking again is of no use */
	ERR_REFUSED, /* not allowed */
	ERR_NOT_FOUND,
	ERR_ENGINE, /* engine away, or the connection broke */
	ERR_IO,
	ERR_UNAVAILABLE, /* cannot be done now */
	ERR_TIMEOUT,
};

/* fields: ERROR */
struct msg_err {
	uint32_t code; /* enum err_code */
	uint32_t errnum;
};

/*
 * The standing TAKE.  Batches up to `acked` are done; batches above it up to
 * `taken` are in work; all above go back to the dirty set.  A consumer that
 * has just started sends 0, 0 and so is offered all that was in work.
 */
struct msg_take {
	uint32_t tree;
	uint32_t service; /* the subscription */
	uint64_t acked;
	uint64_t taken;
};

#define BATCH_SCAN 0x1 /* made by the first scan of this watch generation */

/* fields: PATH* (look there), SUBTREE* (compare all below; "" is the root) */
struct msg_batch {
	uint32_t tree;
	uint32_t flags;
	uint64_t batch;  /* grows by one; starts at 1 in each generation */
	uint64_t upto;   /* with this batch, changes numbered <= upto are out */
	int64_t seen_ns; /* CLOCK_MONOTONIC of the oldest change in it */
};

#define TREE_SCANNED   0x1 /* the present generation has read it all */
#define TREE_ROOT_GONE 0x2
#define TREE_HELD      0x4 /* a repository is being changed: actions wait */

struct msg_watch_sync {
	uint32_t flags; /* TREE_* */
	uint32_t zero;
	uint64_t upto; /* number of the last change seen */
};

struct msg_tree {
	uint32_t tree;
	uint32_t flags;   /* TREE_* */
	uint64_t changes; /* number of the last change seen */
};

#define JOB_NO_CACHE 0x1
#define JOB_WHOLE    0x2 /* APPLY: deliver everything again */
#define JOB_KEEP     0x4 /* DETACH: the manifest outlives the service */

/*
 * BUILD  fields: none
 * ATTACH fields: CONTAINER_ID, IMAGE_ID; fd: manifest of the image's context
 * DETACH fields: CONTAINER_ID
 * APPLY  fields: CONTAINER_ID, PATH*, SUBTREE*; F_MORE: APPLY_PATHS follow,
 *        the last without F_MORE
 * STEPS  fields: CONTAINER_ID
 */
struct msg_job {
	uint32_t service;
	uint32_t flags;
	uint64_t job;
	int64_t seen_ns;    /* CLOCK_MONOTONIC of the change that caused it */
	int64_t started_ns; /* the engine's word for when the container began */
};

enum result {
	RESULT_OK,
	RESULT_FAILED, /* will fail again until something changes */
	RESULT_RETRY,  /* engine or a worker went away in the middle */
	RESULT_CANCELLED,
	RESULT_CLIMB, /* this rung cannot do it: the next one has to */
};

/* fields: IMAGE_ID, ERROR; fd: memfd with the manifest of what was sent */
struct msg_build_done {
	uint32_t result;
	uint32_t zero;
	uint64_t files;
	uint64_t bytes;
};

#define NEED_STEPS   0x1 /* RUN steps are pending */
#define NEED_RESTART 0x2 /* if StartedAt is before restart_after_ns */
#define NEED_REBUILD 0x4

/*
 * ATTACH: `known` says that a manifest for this container is there.
 * fields: REASON (what climbs or failed, and why), PATH* (changed while they
 * were read: look there again)
 */
struct msg_push_done {
	uint32_t result; /* enum result */
	uint32_t needs;  /* NEED_* */
	uint32_t known;
	uint32_t zero;
	uint64_t files;
	uint64_t deleted;
	uint64_t bytes;
	int64_t restart_after_ns; /* wall clock */
	int64_t exit_code;        /* of the last RUN step */
};

enum eng_op {
	ENG_NONE,
	/* ENG_INSPECT */
	ENG_OP_CONTAINER,
	ENG_OP_IMAGE,
	ENG_OP_NETWORK,
	/* ENG_CONTAINER */
	ENG_OP_START,
	ENG_OP_STOP,
	ENG_OP_KILL,
	ENG_OP_RESTART,
	ENG_OP_REMOVE,
	ENG_OP_RENAME,
	/* ENG_IMAGE */
	ENG_OP_TAG,
	ENG_OP_IMAGE_REMOVE,
};

#define ENG_FORCE     0x1
#define ENG_NO_CACHE  0x2
#define ENG_OVERWRITE 0x4 /* PUT: an entry may replace a directory */

/*
 * INSPECT   op, fields IMAGE_ID | CONTAINER_ID | NAME | NETWORK
 *           -> DATA*, DONE: the JSON as it came
 * LIST      containers with the service's labels -> DATA*, DONE
 * CREATE    fields NAME, IMAGE_ID, CONTEXT_HASH, CONFIG_HASH, PORT*; all else
 *           as configured -> DONE with CONTAINER_ID
 * CONTAINER op, arg (stop time, s; signal), fields CONTAINER_ID, NAME (rename)
 * PUT       fields CONTAINER_ID, PATH; fd: pipe with an uncompressed tar;
 *           BODY_END follows
 * HEAD      fields CONTAINER_ID, PATH -> DATA (stat as JSON), DONE
 * GET       fields CONTAINER_ID, PATH -> DATA* (tar, <= 1 MiB), DONE
 * EXEC      fields CONTAINER_ID, USER, WORKDIR, ARG+, ENV*
 *           -> OUTPUT*, DONE with exit
 * BUILD     fd: pipe with the context's tar; BODY_END follows
 *           -> DATA* as they come (JSON lines), DONE
 * IMAGE     op, fields IMAGE_ID, NAME (tag)
 */
struct msg_eng {
	uint32_t service;
	uint32_t op;    /* enum eng_op */
	uint32_t flags; /* ENG_* */
	uint32_t arg;
};

/*
 * fields: ERROR (the engine's message), CONTAINER_ID.  Not answered by the
 * engine at all: MSG_ERR instead.
 */
struct msg_eng_done {
	uint32_t status; /* HTTP status of the deciding call */
	uint32_t zero;
	int64_t exit;   /* EXEC: exit code */
	uint64_t bytes; /* of DATA or OUTPUT sent before this */
};

enum eng_state { ENG_STATE_DOWN, ENG_STATE_UP };

/* fields: API, VERSION, ERROR */
struct msg_eng_state {
	uint32_t engine;
	uint32_t state; /* enum eng_state */
	uint64_t epoch; /* grows with each time it came up */
};

/* fields: TYPE, ACTION, CONTAINER_ID, NAME, EXIT_CODE; a container of ours */
struct msg_eng_event {
	uint32_t engine;
	uint32_t service;
	int64_t time_ns; /* the engine's clock */
};

enum event_kind {
	EVENT_NONE,
#define EVENT(name, str) EVENT_##name,
#include "event.def"
#undef EVENT
	EVENT_MAX
};

/* fields: whatever the event says; SERVICE, CONTAINER_ID, JOB where known */
struct msg_event {
	uint32_t kind;
	uint32_t zero;
	int64_t time_ns; /* wall clock */
	int64_t mono_ns;
};

enum status_kind {
	STATUS_DAEMON = 1, /* RUN PID MODE VERSION RSS FDS LOG_LOST */
	STATUS_WORKER,    /* NAME INSTANCE PID GEN STATE RESTARTS LAST_* SB_* */
	STATUS_ENGINE,    /* NAME HOST STATE API VERSION */
	STATUS_TREE,      /* ROOT BACKEND SEEN UNREADABLE POLLED WHY */
	STATUS_SERVICE,   /* NAME ENGINE IN_STEP WHY PENDING SET_ASIDE* */
	STATUS_CONTAINER, /* of the service before it: CONTAINER_ID NAME IMAGE
			     TRANSPORT WHY IN_STEP */
	STATUS_LAST,      /* of the service before: JOB ACTION FILES BYTES US
			     RESULT */
	STATUS_BUILD,     /* SERVICE STATE STEP STEPS TEXT */
	STATUS_COUNTER,   /* CTL_METRICS only: NAME SERVICE RESULT US COUNT; of
			     control itself: metrics.h */
};

struct msg_status {
	uint32_t kind;
	uint32_t zero;
};

enum do_verb { DO_SYNC = 1, DO_PUSH, DO_RESTART, DO_REBUILD };

/* fields: SERVICE (absent: all).  Answer: OK with a sysexits code, TEXT */
struct msg_do {
	uint32_t verb;
	uint32_t flags;
	uint64_t timeout_ms; /* 0: none */
};

#define MONITOR_SINCE 0x1

struct msg_monitor {
	uint64_t since; /* first sequence number wanted, with MONITOR_SINCE */
	uint32_t flags;
	uint32_t zero;
};

/* fields: as in EVENT, and RUN */
struct msg_ctl_event {
	uint64_t seq;
	int64_t time_ns;
	int64_t mono_ns;
	uint32_t kind;
	uint32_t zero;
};

enum msg_type {
	MSG_NONE,
#define MSG(name, kind, from, to, fixed, tail, fd, cap) MSG_##name,
#include "msg.def"
#undef MSG
	MSG_MAX
};

enum msg_kind { MSG_KIND_NOTE, MSG_KIND_REQ, MSG_KIND_REP, MSG_KIND_FOLLOW };
enum msg_tail { MSG_TAIL_NONE, MSG_TAIL_FIELDS, MSG_TAIL_BYTES };
enum msg_fd { MSG_FD_NO, MSG_FD_MUST, MSG_FD_MAY };

struct msg_def {
	const char *name;
	enum msg_kind kind;
	uint32_t from; /* PROC_BIT()s */
	uint32_t to;
	size_t fixed;
	enum msg_tail tail;
	enum msg_fd fd;
	unsigned cap;
};

/* The row of a type, NULL for a number that is none. */
const struct msg_def *msg_def(unsigned type);

/* Name of an event and of an error, "?" for a number that is none. */
const char *event_name(unsigned kind);
const char *err_name(unsigned code);

#endif
