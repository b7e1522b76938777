/*
 * wharfctl sync, push, restart, rebuild, reload, stop.  Process: wharfctl.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "supervisor/ctl/ctl.h"
#include "workers/shared/json.h"

#define SYNC_GRACE_MS  1000 /* wharfd answers by itself at the deadline */
#define AGAIN_FIRST_MS 50
#define AGAIN_MAX_MS   1000

struct outcome {
	struct ctl *c;
	const char *verb;
	const char *service;
	int code;
	bool lines; /* the text speaks for itself */
};

static const char *const verbs[] = {
	[DO_SYNC] = "sync",
	[DO_PUSH] = "push",
	[DO_RESTART] = "restart",
	[DO_REBUILD] = "rebuild",
};

static void
outcome_print_json(struct outcome *o, const struct field *text)
{
	cJSON *obj = cJSON_CreateObject();

	if (json_add_i64(obj, "v", 1) == -1 ||
	    json_add_str(obj, "command", o->verb) == -1 ||
	    json_add_str(obj, "service", o->service) == -1 ||
	    json_add_i64(obj, "code", o->code) == -1 ||
	    (text != NULL ? json_add_bytes(obj, "text", text->str, text->len) :
			    json_add_null(obj, "text")) == -1 ||
	    json_write_line(o->c->out, obj) == -1)
		o->code = EX_IOERR;
	cJSON_Delete(obj);
}

/* All TEXT fields as one, with newlines between them; false: there is none. */
static bool
outcome_text(const struct fields *tail, struct buf *all)
{
	struct field f;
	size_t off = 0;
	bool has = false;

	while (field_next(tail, &off, &f) == 1) {
		if (f.key != F_TEXT)
			continue;
		if (has)
			buf_add(all, "\n", 1);
		buf_add(all, f.str, f.len);
		has = true;
	}
	return (has);
}

/* A line for each; they name themselves what they are about. */
static void
outcome_print_lines(const struct fields *tail, FILE *out)
{
	struct field f;
	size_t off = 0;

	while (field_next(tail, &off, &f) == 1)
		if (f.key == F_TEXT) {
			ctl_print_text(out, f.str, f.len);
			fputc('\n', out);
		}
}

static void
outcome_print(struct outcome *o, const struct fields *tail)
{
	FILE *out = o->code == EX_OK ? o->c->out : o->c->err;
	struct buf all = { 0 };
	bool has = outcome_text(tail, &all);
	struct field text = { .key = F_TEXT,
		.str = (const char *)all.data,
		.len = all.len };

	if (o->c->json)
		outcome_print_json(o, has ? &text : NULL);
	else {
		if (o->code != EX_OK && !(o->lines && has))
			fprintf(out, "wharfctl: %s: ", o->verb);
		if (has)
			outcome_print_lines(tail, out);
		else if (o->code != EX_OK)
			fprintf(out, "failed\n");
	}
	buf_free(&all);
}

static void
outcome_on_answer(void *arg, struct frame *f)
{
	struct outcome *o = arg;
	const struct msg_num *m = frame_fixed(f);

	if (f->head.type == MSG_CTL_OK) {
		o->code = m->n <= EX__MAX ? (int)m->n : EX_PROTOCOL;
		outcome_print(o, &f->tail);
	} else if (f->head.type == MSG_ERR)
		o->code = ctl_complain_err(o->c, f);
	else
		o->code = EX_PROTOCOL;
}

static void
sleep_ms(int64_t ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* The time is over and nobody has said more. */
static int
outcome_late(struct outcome *o)
{
	struct fields none = { 0 };

	o->code = EX_TEMPFAIL;
	if (o->c->json)
		outcome_print(o, &none);
	else
		ctl_complain(o->c, "%s: no answer in time", o->verb);
	return (o->code);
}

/* A barrier is asked again until it is answered or the time is over. */
static int
do_sync(struct outcome *o, struct msg_do *m, const struct buf *tail)
{
	mono_t end = MONO_NEVER;
	int64_t pause = AGAIN_FIRST_MS, left;
	enum ctl_wait r;
	int code;

	if (m->timeout_ms != 0)
		end = mono_add_ms(mono_now(), (int64_t)m->timeout_ms);
	for (;;) {
		if ((code = ctl_connect(o->c, end)) != EX_OK)
			return (code);
		r = ctl_ask(o->c, MSG_CTL_DO, m, tail,
		    mono_add_ms(end, SYNC_GRACE_MS), outcome_on_answer, o);
		if (r == CTL_ANSWERED)
			return (o->code);
		left = mono_diff_ms(end, mono_now());
		if (r == CTL_LATE || left <= 0)
			return (outcome_late(o));
		sleep_ms(pause < left ? pause : left);
		pause = pause * 2 < AGAIN_MAX_MS ? pause * 2 : AGAIN_MAX_MS;
		if (m->timeout_ms != 0) {
			left = mono_diff_ms(end, mono_now());
			m->timeout_ms = left > 0 ? (uint64_t)left : 1;
		}
	}
}

/* Asked once: when the answer is lost, nobody knows whether it was done. */
static int
do_once(struct outcome *o, enum msg_type type, const void *fixed,
    const struct buf *tail)
{
	int code;

	if ((code = ctl_connect(o->c, MONO_NEVER)) != EX_OK)
		return (code);
	if (ctl_ask(o->c, type, fixed, tail, MONO_NEVER, outcome_on_answer,
		o) == CTL_ANSWERED)
		return (o->code);
	ctl_complain(o->c, "%s: %s; whether it was done is not known", o->verb,
	    o->c->why);
	return (EX_TEMPFAIL);
}

int
ctl_do(struct ctl *c, enum do_verb verb, const char *service,
    uint64_t timeout_ms)
{
	struct msg_do m = { .verb = verb, .timeout_ms = timeout_ms };
	struct outcome o = { .c = c, .verb = verbs[verb], .service = service };
	struct buf tail = { 0 };
	int code;

	if (service != NULL)
		fields_add_str(&tail, F_SERVICE, service);
	code = verb == DO_SYNC ? do_sync(&o, &m, &tail) :
				 do_once(&o, MSG_CTL_DO, &m, &tail);
	buf_free(&tail);
	return (code);
}

int
ctl_stop(struct ctl *c)
{
	struct outcome o = { .c = c, .verb = "stop" };

	return (do_once(&o, MSG_CTL_STOP, NULL, NULL));
}

int
ctl_reload(struct ctl *c)
{
	struct outcome o = { .c = c, .verb = "reload", .lines = true };

	return (do_once(&o, MSG_CTL_RELOAD, NULL, NULL));
}
