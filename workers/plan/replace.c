/*
 * Build the image, and put a new container in the old one's place.
 *
 * The old container is only removed when the new one has started: whatever
 * fails before leaves the old one as it was.  A plan that dies in the middle
 * leaves containers that act_list finds by their labels and clears away.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/plan/plan.h"
#include "workers/shared/json.h"

#define BODY_MAX (4 * 1024 * 1024)
#define STOP_S	 1 /* what the old container gets to end */

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
	struct buf ports;    /* PORT fields: what the image exposes */
	bool any_port;       /* the exposed numbers are taken on the host */
	char error[256];
};

static void replace_step(struct replace *r);
static void replace_on_answer(void *arg, const struct eng_answer *a);

static uint32_t
replace_ask(struct replace *r, enum msg_type type, enum eng_op op,
    uint32_t flags, uint32_t arg, const struct buf *fields)
{
	struct eng_request q = { .type = type,
		.m = { .service = r->s->conf->service, .op = op,
		    .flags = flags, .arg = arg },
		.fields = fields, .fd = -1, .max_body = BODY_MAX,
		.cb = replace_on_answer, .arg = r };

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
	    op == ENG_OP_REMOVE ? ENG_FORCE : 0,
	    op == ENG_OP_STOP ? STOP_S : 0, &b);
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

	fields_add_str(&b, F_NAME, name);
	fields_add_str(&b, F_IMAGE_ID, r->s->built_id);
	fields_add_str(&b, F_CONTEXT_HASH, r->s->built_id);
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
	s->attached = false;
	s->running = true;
	s->need_rebuild = s->need_steps = s->need_start = false;
	s->whole = s->force_restart = false;
	s->restart_after_ns = 0;
	s->climbed[0] = '\0';
	s->need_inspect = true;
	s->retries = 0;
	replace_free(r);
	plan_op_end(s);
	plan_next(s);
}

static void
replace_undone(struct replace *r)
{
	struct service *s = r->s;
	char error[256];

	strlcpy(error, r->error, sizeof(error));
	replace_free(r);
	plan_fail(s, "the new container does not start: %s", error);
}

static void
replace_step(struct replace *r)
{
	const struct conf_service *conf = r->s->conf;

	if (r->s->w->stopping && r->at < AT_STOP_OLD)
		r->at = r->new_id[0] != '\0' ? AT_UNDO_NEW : AT_UNDONE;
	/* without an old one there is nothing to put aside or to bring back */
	if (r->old_id[0] == '\0' &&
	    (r->at == AT_STOP_OLD || r->at == AT_RENAME_OLD))
		r->at = AT_RENAME_NEW;
	if (r->old_id[0] == '\0' && r->at == AT_REMOVE_OLD)
		r->at = AT_DONE;
	if (r->old_id[0] == '\0' && r->at == AT_UNDO_RENAME)
		r->at = AT_UNDONE;
	if (r->at == AT_FORGET_IMAGE && (r->old_image[0] == '\0' ||
	    strcmp(r->old_image, r->s->built_id) == 0))
		r->at = AT_DONE;
	/* a network was chosen: nothing is published by itself */
	if (r->at == AT_NETWORK && (r->ports.len == 0 ||
	    conf->network != NULL)) {
		r->ports.len = 0;
		r->at = AT_CREATE;
	}
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
	case AT_FORGET_IMAGE: {
		struct buf b = { 0 };

		fields_add_str(&b, F_IMAGE_ID, r->old_image);
		replace_ask(r, MSG_ENG_IMAGE, ENG_OP_IMAGE_REMOVE, 0, 0, &b);
		buf_free(&b);
		break;
	}
	case AT_UNDO_NEW:
		replace_container(r, ENG_OP_REMOVE, r->new_id, NULL);
		break;
	case AT_UNDO_RENAME:
		replace_container(r, ENG_OP_RENAME, r->old_id, "");
		break;
	case AT_UNDO_START:
		replace_container(r, ENG_OP_START, r->old_id, NULL);
		break;
	case AT_DONE:
		replace_done(r);
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
	cJSON_ArrayForEach(p, json_obj(json_obj(j, "Config"), "ExposedPorts")) {
		if (sscanf(p->string, "%5u/%4[a-z]", &port, proto) != 2 ||
		    port == 0 || port > 65535)
			continue;
		if (r->any_port)
			snprintf(spec, sizeof(spec), "127.0.0.1::%u/%s", port,
			    proto);
		else
			snprintf(spec, sizeof(spec), "127.0.0.1:%u:%u/%s",
			    port, port, proto);
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

static void
replace_failed(struct replace *r, const struct eng_answer *a)
{
	struct service *s = r->s;

	log_escape(r->error, sizeof(r->error), a->error, strlen(a->error));
	if (eng_is_away(a) || a->status == 404) {
		/* what is there is listed anew, leftovers are cleared away */
		s->listed = false;
		replace_free(r);
		plan_retry(s, "replacing the container");
		return;
	}
	switch (r->at) {
	case AT_START_NEW:
		if (replace_wants_other_ports(r, a)) {
			r->any_port = true;
			log_info("%s: the exposed ports are taken on this "
			    "host; the engine chooses others", s->conf->name);
			s->listed = false;
		}
		r->at = AT_UNDO_NEW;
		break;
	case AT_RENAME_NEW:
		r->at = AT_UNDO_NEW;
		break;
	case AT_REMOVE_OLD:
		r->at = AT_FORGET_IMAGE;
		break;
	case AT_FORGET_IMAGE: /* something else uses it */
		r->at = AT_DONE;
		break;
	case AT_UNDO_NEW:
		r->at = AT_UNDO_RENAME;
		break;
	default:
		r->at = r->new_id[0] != '\0' ? AT_UNDO_NEW : AT_UNDONE;
	}
	replace_step(r);
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
	if (r->at == AT_IMAGE)
		replace_read_ports(r, a);
	if (r->at == AT_CREATE)
		strlcpy(r->new_id, a->id, sizeof(r->new_id));
	if (r->at == AT_UNDO_NEW) {
		r->new_id[0] = '\0';
		/* the same again with ports that the engine chooses */
		if (r->any_port && !r->s->listed) {
			r->s->listed = true;
			r->at = AT_IMAGE;
			replace_step(r);
			return;
		}
	}
	r->at++;
	replace_step(r);
}

void
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

static void
replace_on_built(void *arg, struct frame *f)
{
	struct service *s = arg;
	const struct msg_build_done *m = frame_fixed(f);
	char *id, *error, esc[200] = "";

	s->builds.len = 0;
	if (f->head.type != MSG_BUILD_DONE) {
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
		s->no_cache = false;
		log_info("%s: built %.19s from %llu files in %lld ms",
		    s->conf->name, id, (unsigned long long)m->files,
		    (long long)mono_diff_ms(mono_now(), s->op_began));
		replace_begin(s);
	} else if (m->result == RESULT_FAILED)
		plan_fail(s, "the build failed: %s", esc);
	else
		plan_retry(s, esc);
	free(id);
	free(error);
}

void
replace_build(struct service *s)
{
	struct plan *p = s->w->state;
	struct msg_job m = { .service = s->conf->service, .job = ++p->jobs,
		.flags = s->no_cache ? JOB_NO_CACHE : 0 };
	struct buf b = { 0 };

	if (s->id[0] != '\0' && s->climbed[0] != '\0') {
		fields_add_str(&b, F_REASON, s->climbed);
		worker_event(s->w, EVENT_PUSH_CLIMB, s->conf, m.job, &b);
		buf_free(&b);
		log_info("%s: the image is built anew: %s", s->conf->name,
		    s->climbed);
	}
	s->need_rebuild = true;
	plan_op_begin(s, OP_BUILD);
	s->job = m.job;
	s->builds.len = 0;
	fields_add_str(&s->builds, F_SERVICE, s->conf->name);
	fields_add_str(&s->builds, F_STATE, "building");
	fields_add_u64(&s->builds, F_JOB, m.job);
	s->job_id = rpc_ask(s->w->rpc, MSG_BUILD, 0, &m, NULL, -1,
	    replace_on_built, s);
}
