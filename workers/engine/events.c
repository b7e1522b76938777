/*
 * The engine's events: one stream, kept over reconnects.  Engine worker.
 *
 * The stream is opened again with `since` at the last event, so that what
 * happened meanwhile comes once more with what was seen; the ring of seen
 * events drops that.  Nothing of an API version's own shape is read: status,
 * id and from are gone since 1.52.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/engine/create.h"
#include "workers/engine/engine.h"
#include "workers/engine/spec.h"
#include "workers/shared/json.h"

#define EVENTS_ERROR_MAX 4096

/* FNV-1a, over the NUL as well */
static uint64_t
events_hash(uint64_t h, const char *s)
{
	do
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	while (*s++ != '\0');
	return (h);
}

/* True when this event came before; remembers it. */
static bool
events_seen(struct events *ev, int64_t time_ns, const char *id,
    const char *action)
{
	uint64_t h = events_hash(events_hash(0xcbf29ce484222325u, id), action);

	for (size_t i = 0; i < EVENTS_SEEN; i++)
		if (ev->seen[i].time_ns == time_ns && ev->seen[i].hash == h)
			return (true);
	ev->seen[ev->next].time_ns = time_ns;
	ev->seen[ev->next].hash = h;
	ev->next = (ev->next + 1) % EVENTS_SEEN;
	return (false);
}

/*
 * The action as it is forwarded: exec's command is cut off, other engines'
 * words are Docker's.  NULL: of no use to anybody.
 */
static const char *
events_action(const char *action)
{
	static const struct {
		const char *theirs, *ours;
	} known[] = { { "create", NULL }, { "start", NULL }, { "die", NULL },
		{ "died", "die" }, { "stop", NULL }, { "restart", NULL },
		{ "destroy", NULL }, { "remove", "destroy" }, { "kill", NULL },
		{ "pause", NULL }, { "unpause", NULL }, { "rename", NULL },
		{ "oom", NULL }, { "exec_create", NULL },
		{ "exec", "exec_start" }, { "exec_start", NULL },
		{ "exec_die", NULL }, { "exec_died", "exec_die" } };
	size_t n = strcspn(action, ":");

	if (strncmp(action, "health_status", 13) == 0)
		return (action);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].theirs) == n &&
		    strncmp(action, known[i].theirs, n) == 0)
			return (known[i].ours != NULL ? known[i].ours :
							known[i].theirs);
	return (NULL);
}

/* exitCode is a string of digits; podman calls it containerExitCode. */
static void
events_exit_code(struct buf *tail, const cJSON *attrs)
{
	const char *s = json_str(attrs, "exitCode"), *err;
	int64_t code;

	if (s == NULL)
		s = json_str(attrs, "containerExitCode");
	if (s == NULL)
		return;
	code = strtonum(s, 0, INT32_MAX, &err);
	if (err == NULL)
		fields_add_i64(tail, F_EXIT_CODE, code);
}

static void
events_forward(struct engine *e, const struct conf_service *s,
    const cJSON *actor, const char *action, int64_t time_ns)
{
	const cJSON *attrs = json_obj(actor, "Attributes");
	const char *id = json_str(actor, "ID");
	const char *name = json_str(attrs, "name");
	struct msg_eng_event m = { .engine = e->conf->instance,
		.service = s->service,
		.time_ns = time_ns };
	struct buf tail = { 0 };

	fields_add_str(&tail, F_TYPE, "container");
	fields_add_str(&tail, F_ACTION, action);
	fields_add_str(&tail, F_CONTAINER_ID, id);
	if (name != NULL && strlen(name) <= 255)
		fields_add_str(&tail, F_NAME, name);
	events_exit_code(&tail, attrs);
	channel_send(e->w->ch, MSG_ENG_EVENT, 0, 0, &m, tail.data, tail.len,
	    -1);
	buf_free(&tail);
	if (strcmp(action, "destroy") == 0)
		gate_remove(e->gate, id);
}

static void
events_take(struct engine *e, const cJSON *o)
{
	struct events *ev = &e->events;
	const cJSON *actor = json_obj(o, "Actor");
	const cJSON *attrs = json_obj(actor, "Attributes");
	const char *type = json_str(o, "Type");
	const char *action = json_str(o, "Action");
	const char *id = json_str(actor, "ID");
	const struct conf_service *s;
	int64_t t;

	if (type == NULL || action == NULL || id == NULL ||
	    json_get_i64(o, "timeNano", &t) == -1)
		return;
	if (strcmp(type, "container") != 0 || !spec_is_container_id(id) ||
	    events_seen(ev, t, id, action))
		return;
	if (t > ev->since_ns)
		ev->since_ns = t;
	s = engine_service_by_labels(e, json_str(attrs, LABEL_SERVICE),
	    json_str(attrs, LABEL_DIR), json_str(attrs, LABEL_ROLE));
	action = events_action(action);
	if (s == NULL || action == NULL || strlen(action) > 255)
		return;
	events_forward(e, s, actor, action, t);
}

static int
events_on_object(void *arg, const void *p, size_t n)
{
	struct engine *e = arg;
	cJSON *o = json_parse(p, n, JSONSPLIT_MAX, NULL);

	if (o == NULL)
		return (-1);
	events_take(e, o);
	cJSON_Delete(o);
	return (0);
}

static int
events_on_data(void *arg, struct http_req *r, const void *p, size_t n)
{
	struct engine *e = arg;
	struct events *ev = &e->events;

	if (http_status(r) != 200) {
		if (ev->error.len + n > EVENTS_ERROR_MAX)
			return (HTTP_ABORT);
		buf_add(&ev->error, p, n);
		return (0);
	}
	if (engine_congested(e)) {
		ev->paused = true;
		return (HTTP_PAUSE);
	}
	return (jsonsplit_feed(&ev->split, p, n, events_on_object, e) == -1 ?
		HTTP_ABORT :
		0);
}

static void
events_on_headers(void *arg, struct http_req *r)
{
	if (http_status(r) == 200)
		state_events_open(arg);
}

static void
events_on_done(void *arg, struct http_req *r, enum http_result res)
{
	struct engine *e = arg;
	struct events *ev = &e->events;
	char *why;

	ev->req = NULL;
	ev->paused = false;
	jsonsplit_reset(&ev->split);
	if (res == HTTP_OK && http_status(r) != 200)
		why = engine_message(&ev->error);
	else if (res == HTTP_STOPPED)
		why = xstrdup("the event stream is no JSON");
	else
		why = xstrdup("the event stream ended");
	state_events_lost(e, why);
	free(why);
}

void
events_open(struct engine *e)
{
	static const struct http_ops ops = { .headers = events_on_headers,
		.data = events_on_data,
		.done = events_on_done };
	struct events *ev = &e->events;
	struct buf filter = { 0 };
	char since[32], *path;

	events_close(e);
	/* the subscription is made later than the answer's headers */
	if (ev->since_ns == 0)
		ev->since_ns = wall_now_ns();
	spec_since(since, sizeof(since), ev->since_ns);
	create_filter(NULL, &filter);
	path = engine_path(e, "/events?since=%s&%.*s", since, (int)filter.len,
	    (const char *)filter.data);
	buf_free(&filter);
	ev->req = http_start(e->http, "GET", path, NULL, 0, &ops, e);
	free(path);
}

void
events_close(struct engine *e)
{
	struct events *ev = &e->events;

	http_cancel(ev->req);
	ev->req = NULL;
	ev->paused = false;
	ev->error.len = 0;
	jsonsplit_reset(&ev->split);
}

void
events_resume(struct engine *e)
{
	if (!e->events.paused || e->events.req == NULL)
		return;
	e->events.paused = false;
	http_resume(e->events.req);
}
