/*
 * What is there: listing the service's containers, inspecting its own.
 */
#include <string.h>

#include "workers/plan/plan.h"
#include "workers/shared/json.h"

#define BODY_MAX (4 * 1024 * 1024)

static void
act_on_removed(void *arg, const struct eng_answer *a)
{
	char esc[200];

	if (!eng_is_ok(a))
		log_debug("leftover container: %s",
		    log_escape(esc, sizeof(esc), a->error, strlen(a->error)));
}

static void
act_remove_leftover(struct service *s, const char *id)
{
	struct buf b = { 0 };
	struct eng_request q = { .type = MSG_ENG_CONTAINER,
		.m = { .service = s->conf->service,
		    .op = ENG_OP_REMOVE,
		    .flags = ENG_FORCE },
		.fields = &b,
		.fd = -1,
		.cb = act_on_removed };

	fields_add_str(&b, F_CONTAINER_ID, id);
	eng_ask(s->w, &q);
	buf_free(&b);
}

static bool
act_has_name(const cJSON *container, const char *name, const char *suffix)
{
	size_t len = strlen(name);
	const cJSON *n;

	cJSON_ArrayForEach (n, json_arr(container, "Names"))
		if (cJSON_IsString(n) && n->valuestring[0] == '/' &&
		    strncmp(n->valuestring + 1, name, len) == 0 &&
		    strcmp(n->valuestring + 1 + len, suffix) == 0)
			return (true);
	return (false);
}

/* A container of an earlier start, or of what a reload has changed. */
static void
act_check_config(struct service *s, const cJSON *container)
{
	const char *was =
	    json_str(json_obj(container, "Labels"), "wharf.config-hash");
	char now[CONFIG_HASH_SIZE];

	plan_config_hash(s->conf, now);
	if (was != NULL && strcmp(was, now) == 0)
		return;
	s->need_rebuild = true;
	strlcpy(s->climbed, "the container was made by another configuration",
	    sizeof(s->climbed));
}

static void
act_adopt(struct service *s, const cJSON *container)
{
	const char *id = json_str(container, "Id");
	const char *image = json_str(container, "ImageID");
	const char *state = json_str(container, "State");

	if (strcmp(s->id, id) != 0) {
		s->attached = s->need_steps = false;
		s->restart_after_ns = s->restarted_for = 0;
	}
	if (strlcpy(s->id, id, sizeof(s->id)) >= sizeof(s->id))
		s->id[0] = '\0';
	strlcpy(s->image_id, image != NULL ? image : "", sizeof(s->image_id));
	s->running = state != NULL && strcmp(state, "running") == 0;
	/*
	 * It ran when the engine went, or nobody knows: it runs again.  The
	 * inspection that follows sees whether it runs, if paused.
	 */
	s->need_start = !s->running;
	s->need_inspect = true;
	act_check_config(s, container);
}

/*
 * A replacement was cut short between putting the old container aside and
 * starting the new one: the old one is what runs, it is not cleared away.
 */
static bool
act_was_cut_short(const cJSON *ours, const cJSON *aside)
{
	const char *state = json_str(ours, "State");

	return (aside != NULL &&
	    (ours == NULL || (state != NULL && strcmp(state, "created") == 0)));
}

static void
act_take_list(struct service *s, const cJSON *list)
{
	const cJSON *c, *ours = NULL, *aside = NULL;

	cJSON_ArrayForEach (c, list) {
		if (json_str(c, "Id") == NULL)
			continue;
		if (ours == NULL && act_has_name(c, s->conf->container, ""))
			ours = c;
		if (aside == NULL &&
		    act_has_name(c, s->conf->container, ".old"))
			aside = c;
	}
	if (plan_is_ending(s) || !act_was_cut_short(ours, aside))
		aside = NULL;
	cJSON_ArrayForEach (c, list)
		if (json_str(c, "Id") != NULL && c != ours && c != aside)
			act_remove_leftover(s, json_str(c, "Id"));
	if (aside != NULL) {
		replace_recover(s, ours != NULL ? json_str(ours, "Id") : "",
		    json_str(aside, "Id"));
		return;
	}
	s->listed = true;
	if (ours != NULL)
		act_adopt(s, ours);
	else {
		s->id[0] = '\0';
		s->attached = s->running = s->paused = false;
	}
	plan_op_end(s);
	plan_next(s);
}

static void
act_on_list(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;
	cJSON *list;

	if (!eng_is_ok(a)) {
		act_failed(s, "listing the containers", a);
		return;
	}
	list = json_parse(a->body, a->len, BODY_MAX, NULL);
	if (cJSON_IsArray(list))
		act_take_list(s, list);
	else
		plan_fail(s,
		    "the engine's list of containers is not "
		    "understood");
	cJSON_Delete(list);
}

void
act_list(struct service *s)
{
	plan_op_begin(s, OP_LIST);
	act_ask(s, MSG_ENG_LIST, ENG_NONE, 0, act_on_list);
}

/* Inspect. */

int
act_read_state(struct service *s, const struct eng_answer *a)
{
	cJSON *j = json_parse(a->body, a->len, BODY_MAX, NULL);
	const cJSON *st = json_obj(j, "State");
	const char *at = json_str(st, "StartedAt");
	int r = -1;

	if (at != NULL && when_parse(at, &s->started_ns) == 0 &&
	    json_get_bool(st, "Running", &s->running) == 0)
		r = 0;
	ports_tell(s, j);
	s->paused = false;
	json_get_bool(st, "Paused", &s->paused);
	if (r == 0 && s->running)
		s->need_start = false;
	cJSON_Delete(j);
	return (r);
}

/* The container is not there any more: somebody removed it. */
static void
act_lost_container(struct service *s)
{
	s->id[0] = '\0';
	s->attached = s->running = s->paused = s->need_start = false;
	s->need_steps = false;
	s->restart_after_ns = s->restarted_for = 0;
	s->need_rebuild = true;
	plan_fail(s,
	    "the container was removed; the next change or `wharfctl "
	    "rebuild` makes a new one");
}

static void
act_on_inspect(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;

	s->need_inspect = s->recheck = false;
	if (a->err == 0 && a->status == 404) {
		act_lost_container(s);
		return;
	}
	if (!eng_is_ok(a)) {
		s->need_inspect = eng_is_away(a);
		act_failed(s, "inspecting the container", a);
		return;
	}
	if (act_read_state(s, a) == -1) {
		plan_fail(s, "the engine's answer is not understood");
		return;
	}
	plan_op_end(s);
	plan_next(s);
}

void
act_inspect(struct service *s)
{
	plan_op_begin(s, s->need_inspect ? OP_INSPECT : OP_RECHECK);
	act_ask(s, MSG_ENG_INSPECT, ENG_OP_CONTAINER, 0, act_on_inspect);
}
