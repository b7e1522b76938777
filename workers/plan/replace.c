/*
 * Build the image, and put a new container in the old one's place.
 *
 * The old container is only removed when the new one has started: whatever
 * fails before leaves the old one as it was.  A plan that dies in the middle
 * leaves containers that act_list finds by their labels: it clears them away,
 * or goes the way back here when the new one has not been started.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/plan/plan.h"
#include "workers/shared/json.h"

#define BODY_MAX (4 * 1024 * 1024)
#define STOP_S   1 /* what the old container gets to end */

#define CREATE_TRIES 4 /* where the name is taken */

enum replace_at {
	AT_IMAGE,   /* which ports does it expose */
	AT_NETWORK, /* has the engine a bridge */
	AT_CREATE,
	AT_STOP_OLD,
	AT_RENAME_OLD,
	AT_RENAME_NEW,
	AT_START_NEW,
	AT_REMOVE_OLD,
	AT_FORGET_IMAGE, /* the one before, if nothing else uses it */
	AT_DONE,
	/* the way back */
	AT_UNDO_NEW,
	AT_UNDO_RENAME,
	AT_UNDO_START,
	AT_UNDONE,
};

struct replace {
	struct service *s;
	enum replace_at at;
	char new_id[PLAN_ID_LEN];
	char old_id[PLAN_ID_LEN];
	char old_image[PLAN_ID_LEN];
	struct buf ports; /* PORT fields: what the image exposes */
	bool any_port;    /* the exposed numbers are taken on the host */
	bool again;       /* from the start, with other ports */
	bool stopped;     /* the old one, by us */
	bool aside;       /* the old one has its other name */
	bool recover;     /* only the way back, of an earlier plan */
	enum replace_at failed_at;
	char error[256];
};

static void replace_step(struct replace *r);
static void replace_on_answer(void *arg, const struct eng_answer *a);

static uint32_t
replace_ask(struct replace *r, enum msg_type type, enum eng_op op,
    uint32_t flags, uint32_t arg, const struct buf *fields)
{
	struct eng_request q = { .type = type,
		.m = { .service = r->s->conf->service,
		    .op = op,
		    .flags = flags,
		    .arg = arg },
		.fields = fields,
		.fd = -1,
		.max_body = BODY_MAX,
		.cb = replace_on_answer,
		.arg = r };

	return (eng_ask(r->s->w, &q));
}

/* An operation on one container. */
static void
replace_container(struct replace *r, enum eng_op op, const char *id,
    const char *suffix)
{
	struct buf b = { 0 };
	char *name;

	fields_add_str(&b, F_CONTAINER_ID, id);
	if (suffix != NULL) {
		name = xasprintf("%s%s", r->s->conf->container, suffix);
		fields_add_str(&b, F_NAME, name);
		free(name);
	}
	replace_ask(r, MSG_ENG_CONTAINER, op,
	    op == ENG_OP_REMOVE ? ENG_FORCE : 0, op == ENG_OP_STOP ? STOP_S : 0,
	    &b);
	buf_free(&b);
}

static void
replace_inspect_image(struct replace *r)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_IMAGE_ID, r->s->built_id);
	replace_ask(r, MSG_ENG_INSPECT, ENG_OP_IMAGE, 0, 0, &b);
	buf_free(&b);
}

static void
replace_inspect_network(struct replace *r)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_NETWORK, "bridge");
	replace_ask(r, MSG_ENG_INSPECT, ENG_OP_NETWORK, 0, 0, &b);
	buf_free(&b);
}

static void
replace_create(struct replace *r)
{
	struct buf b = { 0 };
	char *name = xasprintf("%s.next", r->s->conf->container);
	char hash[CONFIG_HASH_SIZE];

	plan_config_hash(r->s->conf, hash);
	fields_add_str(&b, F_NAME, name);
	fields_add_str(&b, F_IMAGE_ID, r->s->built_id);
	fields_add_str(&b, F_CONTEXT_HASH, r->s->built_id);
	fields_add_str(&b, F_CONFIG_HASH, hash);
	buf_add(&b, r->ports.data, r->ports.len);
	replace_ask(r, MSG_ENG_CREATE, ENG_NONE, 0, 0, &b);
	free(name);
	buf_free(&b);
}

static void
replace_free(struct replace *r)
{
	r->s->replace = NULL;
	buf_free(&r->ports);
	free(r);
}

/* The order stands until a new container does; what came since stays too. */
static void
replace_again(struct service *s)
{
	s->need_rebuild = true;
	s->no_cache |= s->job_no_cache;
}

/* The new container stands in the old one's place. */
static void
replace_done(struct replace *r)
{
	struct service *s = r->s;
	struct buf b = { 0 };

	strlcpy(s->id, r->new_id, sizeof(s->id));
	strlcpy(s->image_id, s->built_id, sizeof(s->image_id));
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	worker_event(s->w, EVENT_CONTAINER_CREATE, s->conf, s->job, &b);
	worker_event(s->w, EVENT_CONTAINER_START, s->conf, s->job, &b);
	buf_free(&b);
	log_info("%s: runs as container %s (%.12s)", s->conf->name,
	    s->conf->container, s->id);
	/* it was made of all that was known; the comparison finds the rest */
	while (s->work != NULL)
		work_free(s, s->work);
	s->attached = s->paused = false;
	s->running = true;
	s->need_steps = s->need_start = false;
	s->whole = s->force_restart = false;
	s->restart_after_ns = s->restarted_for = s->act_seen_ns = 0;
	if (!s->need_rebuild)
		s->climbed[0] = '\0';
	s->not_started = 0;
	s->need_inspect = true;
	s->retries = 0;
	replace_free(r);
	plan_op_end(s);
	plan_next(s);
}

/* What is there is listed anew, leftovers are cleared away. */
static void
replace_give_up(struct replace *r)
{
	struct service *s = r->s;

	s->listed = false;
	if (!r->recover)
		replace_again(s);
	replace_free(r);
	plan_retry(s, "replacing the container");
}

/* As before; the way back has been gone. */
static void
replace_undone(struct replace *r)
{
	struct service *s = r->s;
	bool start = r->failed_at == AT_START_NEW;
	char error[256];

	if (r->recover) {
		if (!r->aside)
			log_info("%s: a replacement was cut short; the old "
				 "container is back",
			    s->conf->name);
		replace_give_up(r);
		return;
	}
	strlcpy(error, r->error, sizeof(error));
	replace_free(r);
	replace_again(s);
	s->need_inspect = true;
	if (error[0] != '\0') {
		plan_fail(s,
		    start ? "the new container does not start: %s" :
			    "the container cannot be replaced: %s",
		    error);
		return;
	}
	/* not a failure: the end has come in between */
	plan_op_end(s);
	plan_next(s);
}

/* Steps that there is nothing to do for. */
static bool
replace_skips(struct replace *r)
{
	const struct service *s = r->s;
	bool old = r->old_id[0] != '\0';

	switch (r->at) {
	case AT_NETWORK: /* a chosen one: nothing is published by itself */
		if (s->conf->network != NULL)
			r->ports.len = 0;
		return (r->ports.len == 0);
	case AT_STOP_OLD:
	case AT_RENAME_OLD:
		return (!old || r->aside);
	case AT_REMOVE_OLD:
		return (!old);
	case AT_FORGET_IMAGE:
		return (r->old_image[0] == '\0' ||
		    strcmp(r->old_image, s->built_id) == 0);
	case AT_UNDO_NEW:
		return (r->new_id[0] == '\0');
	case AT_UNDO_RENAME:
		return (!old || !r->aside);
	case AT_UNDO_START:
		return (!old || !r->stopped);
	default:
		return (false);
	}
}

static void
replace_forget_image(struct replace *r)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_IMAGE_ID, r->old_image);
	replace_ask(r, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE, 0, 0, &b);
	buf_free(&b);
}

static void
replace_step(struct replace *r)
{
	if (plan_is_ending(r->s) && r->at < AT_STOP_OLD)
		r->at = AT_UNDO_NEW;
	while (replace_skips(r))
		r->at++;
	switch (r->at) {
	case AT_IMAGE:
		replace_inspect_image(r);
		break;
	case AT_NETWORK:
		replace_inspect_network(r);
		break;
	case AT_CREATE:
		replace_create(r);
		break;
	case AT_STOP_OLD:
		r->stopped = true;
		replace_container(r, ENG_OP_STOP, r->old_id, NULL);
		break;
	case AT_RENAME_OLD:
		replace_container(r, ENG_OP_RENAME, r->old_id, ".old");
		break;
	case AT_RENAME_NEW:
		replace_container(r, ENG_OP_RENAME, r->new_id, "");
		break;
	case AT_START_NEW:
		replace_container(r, ENG_OP_START, r->new_id, NULL);
		break;
	case AT_REMOVE_OLD:
		replace_container(r, ENG_OP_REMOVE, r->old_id, NULL);
		break;
	case AT_FORGET_IMAGE:
		replace_forget_image(r);
		break;
	case AT_DONE:
		replace_done(r);
		break;
	case AT_UNDO_NEW:
		replace_container(r, ENG_OP_REMOVE, r->new_id, NULL);
		break;
	case AT_UNDO_RENAME:
		replace_container(r, ENG_OP_RENAME, r->old_id, "");
		break;
	case AT_UNDO_START:
		replace_container(r, ENG_OP_START, r->old_id, NULL);
		break;
	case AT_UNDONE:
		replace_undone(r);
		break;
	}
}

/* "8080/tcp" of the image as "127.0.0.1:8080:8080/tcp". */
static void
replace_read_ports(struct replace *r, const struct eng_answer *a)
{
	cJSON *j = json_parse(a->body, a->len, BODY_MAX, NULL);
	const cJSON *p;
	unsigned port;
	char proto[8], spec[64];

	r->ports.len = 0;
	cJSON_ArrayForEach (p,
	    json_obj(json_obj(j, "Config"), "ExposedPorts")) {
		/* NOLINTNEXTLINE(cert-err34-c): five digits cannot overflow */
		if (sscanf(p->string, "%5u/%4[a-z]", &port, proto) != 2 ||
		    port == 0 || port > 65535)
			continue;
		if (r->any_port)
			snprintf(spec, sizeof(spec), "127.0.0.1::%u/%s", port,
			    proto);
		else
			snprintf(spec, sizeof(spec), "127.0.0.1:%u:%u/%s", port,
			    port, proto);
		fields_add_str(&r->ports, F_PORT, spec);
	}
	cJSON_Delete(j);
}

/* The exposed numbers may be taken: then the engine chooses others. */
static bool
replace_wants_other_ports(struct replace *r, const struct eng_answer *a)
{
	return (!r->any_port && r->ports.len > 0 &&
	    (strstr(a->error, "port is already allocated") != NULL ||
		strstr(a->error, "address already in use") != NULL));
}

/* It cannot be done: the way back, and perhaps a second try. */
static void
replace_turn_back(struct replace *r, const struct eng_answer *a)
{
	if (r->at == AT_START_NEW && replace_wants_other_ports(r, a)) {
		r->any_port = r->again = true;
		log_info("%s: the exposed ports are taken on this host; the "
			 "engine chooses others",
		    r->s->conf->name);
	} else {
		r->failed_at = r->at;
		log_escape(r->error, sizeof(r->error), a->error,
		    strlen(a->error));
		if (r->error[0] == '\0')
			snprintf(r->error, sizeof(r->error), "status %u",
			    a->status);
	}
	r->at = AT_UNDO_NEW;
}

static void
replace_failed(struct replace *r, const struct eng_answer *a)
{
	bool gone = a->err == 0 && a->status == 404;
	/* of a create whose answer was lost: the next list clears it away */
	bool there = a->err == 0 && a->status == 409 && r->at == AT_CREATE &&
	    r->s->retries < CREATE_TRIES;

	if (there || eng_is_away(a) || (gone && r->at <= AT_CREATE)) {
		/* away, or what is there is not what it was */
		replace_give_up(r);
		return;
	}
	if (gone && (r->at == AT_STOP_OLD || r->at == AT_RENAME_OLD))
		r->old_id[0] = '\0'; /* somebody has removed it */
	else if (r->at < AT_REMOVE_OLD)
		replace_turn_back(r, a);
	else
		/* what stays is seen by the next list, or is still in use */
		r->at++;
	replace_step(r);
}

/* What an answer brings that later steps need. */
static void
replace_keep(struct replace *r, const struct eng_answer *a)
{
	struct buf b = { 0 };

	switch (r->at) {
	case AT_IMAGE:
		replace_read_ports(r, a);
		break;
	case AT_CREATE:
		strlcpy(r->new_id, a->id, sizeof(r->new_id));
		break;
	case AT_RENAME_OLD:
		r->aside = true;
		break;
	case AT_UNDO_RENAME:
		r->aside = false;
		break;
	case AT_REMOVE_OLD:
		fields_add_str(&b, F_CONTAINER_ID, r->old_id);
		worker_event(r->s->w, EVENT_CONTAINER_REMOVE, r->s->conf,
		    r->s->job, &b);
		buf_free(&b);
		break;
	default:
		break;
	}
}

static void
replace_on_answer(void *arg, const struct eng_answer *a)
{
	struct replace *r = arg;
	bool ok = eng_is_ok(a);

	if (r->at == AT_NETWORK && a->err == 0) {
		/* an engine without a bridge publishes nothing */
		if (!ok)
			r->ports.len = 0;
	} else if (!ok) {
		replace_failed(r, a);
		return;
	}
	replace_keep(r, a);
	if (r->at == AT_UNDO_NEW) {
		r->new_id[0] = '\0';
		/* the same again with ports that the engine chooses */
		if (r->again && !plan_is_ending(r->s)) {
			r->again = false;
			r->at = AT_IMAGE;
			replace_step(r);
			return;
		}
	}
	r->at++;
	replace_step(r);
}

void
replace_abandon(struct service *s)
{
	if (s->replace == NULL)
		return;
	eng_forget(s->w, s->replace);
	replace_free(s->replace);
}

void
replace_recover(struct service *s, const char *new_id, const char *old_id)
{
	struct replace *r = xcalloc(1, sizeof(*r));

	plan_op_begin(s, OP_REPLACE);
	r->s = s;
	s->replace = r;
	r->recover = r->aside = r->stopped = true;
	r->at = AT_UNDO_NEW;
	strlcpy(r->new_id, new_id, sizeof(r->new_id));
	strlcpy(r->old_id, old_id, sizeof(r->old_id));
	replace_step(r);
}

static void
replace_begin(struct service *s)
{
	struct replace *r = xcalloc(1, sizeof(*r));

	plan_op_begin(s, OP_REPLACE);
	r->s = s;
	s->replace = r;
	strlcpy(r->old_id, s->id, sizeof(r->old_id));
	strlcpy(r->old_image, s->image_id, sizeof(r->old_image));
	replace_step(r);
}

/* Building. */

static bool
replace_awaits(const struct service *s, const struct frame *f)
{
	return (s->op == OP_BUILD && s->job_id == f->head.id &&
	    (f->head.flags & F_MORE) == 0);
}

static void
replace_on_built(void *arg, struct frame *f)
{
	struct service *s = arg;
	const struct msg_build_done *m = frame_fixed(f);
	char *id, *error, esc[200] = "";

	if (!replace_awaits(s, f))
		return;
	s->builds.len = 0;
	if (f->head.type != MSG_BUILD_DONE) {
		replace_again(s);
		if (rpc_err(f) == ERR_WORKER_LOST)
			s->retries = 0;
		plan_retry(s, err_name(rpc_err(f)));
		return;
	}
	id = fields_dup(&f->tail, F_IMAGE_ID);
	error = fields_dup(&f->tail, F_ERROR);
	if (error != NULL)
		log_escape(esc, sizeof(esc), error, strlen(error));
	if (m->result == RESULT_OK && id != NULL && f->fd != -1) {
		strlcpy(s->built_id, id, sizeof(s->built_id));
		if (s->manifest_fd != -1)
			close(s->manifest_fd);
		s->manifest_fd = frame_take_fd(f);
		log_info("%s: built %.19s from %llu files in %lld ms",
		    s->conf->name, id, (unsigned long long)m->files,
		    (long long)mono_diff_ms(mono_now(), s->op_began));
		replace_begin(s);
	} else {
		replace_again(s);
		if (m->result == RESULT_RETRY || m->result == RESULT_CANCELLED)
			plan_retry(s, esc);
		else
			plan_fail(s, "the build failed: %s",
			    esc[0] != '\0' ?
				esc :
				"no image and manifest have come of it");
	}
	free(id);
	free(error);
}

void
replace_build(struct service *s)
{
	struct plan *p = s->w->state;
	struct msg_job m = { .service = s->conf->service,
		.job = ++p->jobs,
		.flags = s->no_cache ? JOB_NO_CACHE : 0 };
	struct buf b = { 0 };

	if (s->id[0] != '\0' && s->climbed[0] != '\0') {
		fields_add_str(&b, F_REASON, s->climbed);
		worker_event(s->w, EVENT_PUSH_CLIMB, s->conf, m.job, &b);
		buf_free(&b);
		log_info("%s: the image is built anew: %s", s->conf->name,
		    s->climbed);
	}
	plan_op_begin(s, OP_BUILD);
	/* who asks for one from now on means one that begins later */
	s->need_rebuild = false;
	s->job_no_cache = s->no_cache;
	s->no_cache = false;
	s->job = m.job;
	s->builds.len = 0;
	fields_add_str(&s->builds, F_SERVICE, s->conf->name);
	fields_add_str(&s->builds, F_STATE, "building");
	fields_add_u64(&s->builds, F_JOB, m.job);
	s->job_id =
	    rpc_ask(s->w->rpc, MSG_BUILD, 0, &m, NULL, -1, replace_on_built, s);
}
