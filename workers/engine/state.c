/*
 * Is the engine there?  Ping, version, event stream, then UP; and what of it
 * is told to the others.  Engine worker.
 *
 * Every try is paced by us: a full accept queue, a refused connection and an
 * event stream that ends at once all fail in no time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "workers/engine/engine.h"
#include "workers/engine/job.h"
#include "workers/engine/spec.h"
#include "workers/shared/json.h"

#define STATE_FIRST_MS   100 /* first wait, doubled each time */
#define STATE_LAST_MS    5000
#define STATE_PING_MS    3000  /* an answer's time while it is down */
#define STATE_ALIVE_MS   2500  /* between pings while it is up */
#define STATE_ALIVE_WAIT 2500  /* an answer's time then */
#define STATE_HANG_MS    30000 /* silent so long: what runs is given up */
#define STATE_SUSPECT_MS 100
#define STATE_EVENTS_MS  2000  /* go on when events send no headers */
#define STATE_STABLE_MS  1000  /* up so long: begin the waits anew */
#define STATE_STALE_MS   30000 /* refused so long: a stale socket file? */
#define STATE_ERROR_MAX  1024  /* bytes of an engine's words that are told */

static void state_ping(struct engine *e);
static void state_on_timer(void *arg);

bool
state_is_up(const struct engine *e)
{
	return (e->state.phase == STATE_UP);
}

/* Telling. */

static void
state_send(struct engine *e)
{
	struct state *s = &e->state;
	struct msg_eng_state m = { .engine = e->conf->instance,
		.state = s->announced ? ENG_STATE_UP : ENG_STATE_DOWN,
		.epoch = s->epoch };
	struct buf tail = { 0 };

	if (s->api[0] != '\0')
		fields_add_str(&tail, F_API, s->api);
	if (s->version != NULL)
		fields_add_str(&tail, F_VERSION, s->version);
	if (s->error != NULL)
		fields_add_str(&tail, F_ERROR, s->error);
	channel_send(e->w->ch, MSG_ENG_STATE, 0, 0, &m, tail.data, tail.len,
	    -1);
	buf_free(&tail);
}

static void
state_event(struct engine *e, enum event_kind kind)
{
	struct state *s = &e->state;
	struct buf f = { 0 };

	fields_add_str(&f, F_ENGINE, e->conf->name);
	if (kind == EVENT_ENGINE_UP) {
		fields_add_str(&f, F_API, s->api);
		fields_add_str(&f, F_VERSION, s->version);
	} else if (s->error != NULL)
		fields_add_str(&f, F_ERROR, s->error);
	worker_event(e->w, kind, NULL, 0, &f);
	buf_free(&f);
}

void
state_tell(struct engine *e)
{
	state_send(e);
}

static void
state_clear_error(struct engine *e)
{
	free(e->state.error);
	e->state.error = NULL;
}

/* It is down, for this reason: told when either is new. */
static void
state_announce_down(struct engine *e, const char *why)
{
	struct state *s = &e->state;
	char text[256];

	if (!s->announced && s->error != NULL &&
	    strncmp(s->error, why, STATE_ERROR_MAX) == 0)
		return;
	free(s->error);
	s->error = xstrndup(why, STATE_ERROR_MAX);
	s->announced = false;
	log_info("engine %s is down: %s", e->conf->name,
	    log_escape(text, sizeof(text), why, strlen(why)));
	state_send(e);
	state_event(e, EVENT_ENGINE_DOWN);
}

static void
state_announce_up(struct engine *e)
{
	struct state *s = &e->state;

	state_clear_error(e);
	s->announced = true;
	s->epoch++;
	log_info("engine %s is up: version %s, API %s", e->conf->name,
	    s->version, s->api);
	state_send(e);
	state_event(e, EVENT_ENGINE_UP);
}

/* Going down. */

static int64_t
state_delay(unsigned tries)
{
	int64_t ms = STATE_FIRST_MS;

	while (tries-- > 0 && ms < STATE_LAST_MS)
		ms *= 2;
	if (ms > STATE_LAST_MS)
		ms = STATE_LAST_MS;
	/* up to a quarter less, so that many do not come at once */
	return (ms - arc4random_uniform((uint32_t)(ms / 4 + 1)));
}

static void
state_wait(struct engine *e)
{
	struct state *s = &e->state;

	s->phase = STATE_WAIT;
	loop_timer_in_ms(e->w->loop, &s->timer, state_delay(s->tries),
	    state_on_timer, e);
	if (s->tries < 16)
		s->tries++;
}

/* This try has failed. */
static void
state_fail(struct engine *e, const char *why)
{
	struct state *s = &e->state;

	http_cancel(s->req);
	s->req = NULL;
	events_close(e);
	http_forget_conns(e->http);
	state_announce_down(e, why);
	/* a stopped or swamped engine may go on: no build is thrown away */
	if (!s->hangs || mono_diff_ms(mono_now(), s->answered) >= STATE_HANG_MS)
		jobs_abort(e, why);
	state_wait(e);
}

static void
state_refused(struct engine *e, int errnum)
{
	struct state *s = &e->state;
	mono_t now = mono_now();
	char *why;
	int64_t ms;

	if (errnum != ECONNREFUSED || !s->refused)
		s->refused_since = now;
	s->refused = errnum == ECONNREFUSED;
	ms = mono_diff_ms(now, s->refused_since);
	if (s->refused && ms >= STATE_STALE_MS)
		why = xasprintf("%s: %s; a stale socket file? If it is "
				"mounted, mount its directory instead",
		    e->conf->host, strerror(errnum));
	else
		why = xasprintf("%s: %s", e->conf->host, strerror(errnum));
	state_fail(e, why);
	free(why);
}

/* A request of ours failed without an answer. */
static void
state_no_answer(struct engine *e, struct http_req *r, enum http_result res)
{
	char *why;

	if (res == HTTP_NO_CONN) {
		state_refused(e, http_errnum(r));
		return;
	}
	e->state.refused = false;
	why = xasprintf("%s: %s", e->conf->host, http_error(r));
	state_fail(e, why);
	free(why);
}

/* Coming up. */

static void
state_up(struct engine *e)
{
	struct state *s = &e->state;

	s->phase = STATE_UP;
	s->refused = false;
	s->up_since = mono_now();
	loop_timer_in_ms(e->w->loop, &s->timer, STATE_ALIVE_MS, state_on_timer,
	    e);
	state_announce_up(e);
	jobs_run(e);
}

void
state_events_open(struct engine *e)
{
	/* this is inside a callback of libcurl */
	if (e->state.phase == STATE_EVENTS)
		loop_timer_in_ms(e->w->loop, &e->state.timer, 0, state_on_timer,
		    e);
}

void
state_events_lost(struct engine *e, const char *why)
{
	struct state *s = &e->state;

	if (s->phase == STATE_EVENTS) {
		state_fail(e, why);
		return;
	}
	if (s->phase != STATE_UP)
		return;
	/*
	 * Mostly the engine is gone; what runs on other connections ends by
	 * itself, or goes on if it was only this one.
	 */
	http_cancel(s->req);
	s->req = NULL;
	s->hangs = false;
	state_announce_down(e, why);
	if (mono_diff_ms(mono_now(), s->up_since) < STATE_STABLE_MS) {
		state_wait(e);
		return;
	}
	s->tries = 0;
	s->phase = STATE_PING;
	state_ping(e);
}

static int
state_collect(void *arg, struct http_req *r, const void *p, size_t n)
{
	struct engine *e = arg;

	if (e->state.body.len + n > ENGINE_JSON_MAX)
		return (HTTP_ABORT);
	buf_add(&e->state.body, p, n);
	return (0);
}

/* The versioned call: what it says shows that the version will do. */
static void
state_on_version(void *arg, struct http_req *r, enum http_result res)
{
	struct engine *e = arg;
	struct state *s = &e->state;
	cJSON *o;
	const char *version;
	char *why;

	s->req = NULL;
	if (res != HTTP_OK) {
		state_no_answer(e, r, res);
		return;
	}
	if (http_status(r) != 200) {
		why = engine_message(&s->body);
		state_fail(e, why);
		free(why);
		return;
	}
	o = json_parse(s->body.data, s->body.len, ENGINE_JSON_MAX, NULL);
	version = json_str(o, "Version");
	free(s->version);
	s->version = xstrndup(version != NULL ? version : "?", 128);
	cJSON_Delete(o);
	s->phase = STATE_EVENTS;
	loop_timer_in_ms(e->w->loop, &s->timer, STATE_EVENTS_MS, state_on_timer,
	    e);
	events_open(e);
}

static void
state_ask_version(struct engine *e)
{
	static const struct http_ops ops = { .data = state_collect,
		.done = state_on_version };
	struct state *s = &e->state;
	char *path = engine_path(e, "/version");

	s->phase = STATE_VERSION;
	s->body.len = 0;
	s->req =
	    http_start(e->http, "GET", path, NULL, ENGINE_SHORT_MS, &ops, e);
	free(path);
}

/* Choose the version to speak: -1 and why when the answer is no engine's. */
static int
state_negotiate(struct engine *e, struct http_req *r, const char **why)
{
	struct state *s = &e->state;
	const char *theirs = http_header_api(r);
	const char *api = ENGINE_API_MAX;

	*why = "no Docker Engine answers /_ping there";
	if (http_status(r) != 200)
		return (-1);
	if (e->conf->api != NULL)
		api = e->conf->api;
	else if (theirs == NULL || !spec_is_api(theirs))
		return (-1);
	else if (spec_api_cmp(theirs, api) < 0)
		api = theirs;
	*why = "the pinned API version is no version";
	if (!spec_is_api(api))
		return (-1);
	strlcpy(s->api, api, sizeof(s->api));
	return (0);
}

/* A ping while up. */
static void
state_on_alive(struct engine *e, struct http_req *r, enum http_result res)
{
	struct state *s = &e->state;

	if (res != HTTP_OK) {
		state_no_answer(e, r, res);
		return;
	}
	if (mono_diff_ms(mono_now(), s->up_since) >= STATE_STABLE_MS)
		s->tries = 0;
	loop_timer_in_ms(e->w->loop, &s->timer, STATE_ALIVE_MS, state_on_timer,
	    e);
	jobs_run(e);
}

static void
state_on_ping(void *arg, struct http_req *r, enum http_result res)
{
	struct engine *e = arg;
	struct state *s = &e->state;
	const char *why;

	s->req = NULL;
	s->hangs = res == HTTP_TIMEOUT;
	if (res == HTTP_OK)
		s->answered = mono_now();
	if (s->phase == STATE_UP) {
		state_on_alive(e, r, res);
		return;
	}
	if (res != HTTP_OK)
		state_no_answer(e, r, res);
	else if (state_negotiate(e, r, &why) == -1)
		state_fail(e, why);
	else
		state_ask_version(e);
}

static void
state_ping(struct engine *e)
{
	static const struct http_ops ops = { .done = state_on_ping };
	struct state *s = &e->state;
	bool up = s->phase == STATE_UP;

	if (s->req != NULL)
		return;
	loop_timer_cancel(&s->timer);
	if (!up)
		s->phase = STATE_PING;
	s->req = http_start(e->http, "GET", "/_ping", NULL,
	    up ? STATE_ALIVE_WAIT : STATE_PING_MS, &ops, e);
}

static void
state_on_timer(void *arg)
{
	struct engine *e = arg;

	if (e->state.phase == STATE_EVENTS)
		state_up(e);
	else
		state_ping(e);
}

void
state_suspect(struct engine *e)
{
	struct state *s = &e->state;

	if (s->phase == STATE_UP && s->req == NULL)
		loop_timer_in_ms(e->w->loop, &s->timer, STATE_SUSPECT_MS,
		    state_on_timer, e);
}

/* After READY has gone out. */
static void
state_on_start(void *arg)
{
	struct engine *e = arg;

	state_send(e);
	state_ping(e);
}

void
state_start(struct engine *e)
{
	loop_timer_in_ms(e->w->loop, &e->state.timer, 0, state_on_start, e);
}
