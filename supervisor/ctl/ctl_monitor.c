/*
 * wharfctl monitor: events as they come.  Process: wharfctl.
 *
 * When only the front desk was restarted it goes on where it was: the numbers
 * tell what was missed.
 */
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_json.h"
#include "supervisor/ctl/ctl_monitor.h"

#define AGAIN_MAX      20 /* connections in a row that brought nothing */
#define AGAIN_PAUSE_US 100000

struct monitor {
	struct ctl *c;
	struct msg_monitor m;
	unsigned idle; /* connections in a row that brought nothing */
	int code;
};

static bool
is_plain(const struct field *f)
{
	for (size_t i = 0; i < f->len; i++)
		if (f->str[i] == ' ' || f->str[i] == '"' || f->str[i] == '=')
			return (false);
	return (f->len > 0);
}

static void
print_value(const struct field *f, FILE *out)
{
	const char *p, *q, *end;

	switch (f->type) {
	case FIELD_U64:
		fprintf(out, "%" PRIu64, f->u64);
		return;
	case FIELD_I64:
		fprintf(out, "%" PRId64, f->i64);
		return;
	case FIELD_BOOL:
		fputs(f->u64 != 0 ? "yes" : "no", out);
		return;
	case FIELD_STR:
		break;
	}
	if (is_plain(f)) {
		ctl_print_text(out, f->str, f->len);
		return;
	}
	end = f->str + f->len;
	fputc('"', out);
	for (p = f->str; (q = memchr(p, '"', (size_t)(end - p))) != NULL;
	     p = q + 1) {
		ctl_print_text(out, p, (size_t)(q - p));
		fputs("\\\"", out);
	}
	ctl_print_text(out, p, (size_t)(end - p));
	fputc('"', out);
}

/* An id as docker shows it to people; the JSON has it whole. */
static struct field
shorten_id(const struct field *f)
{
	static const char algo[] = "sha256:";
	struct field id = *f;

	if (id.len > strlen(algo) && memcmp(id.str, algo, strlen(algo)) == 0) {
		id.str += strlen(algo);
		id.len -= strlen(algo);
	}
	id.len = ctl_id_len(id.len);
	return (id);
}

static void
print_field(const struct field *f, FILE *out)
{
	struct field id;

	if (f->key == F_US || f->key == F_SEEN_TO_LIVE_US) {
		fprintf(out, " %s=%" PRIu64 ".%03" PRIu64 "ms",
		    f->key == F_US ? "took" : "seen_to_live", f->u64 / 1000,
		    f->u64 % 1000);
		return;
	}
	fprintf(out, " %s=", field_name(f->key));
	if (f->key == F_CONTAINER_ID || f->key == F_IMAGE_ID) {
		id = shorten_id(f);
		f = &id;
	}
	print_value(f, out);
}

static void
print_time(int64_t ns, FILE *out)
{
	time_t s = ns / 1000000000;
	char when[40];
	struct tm tm;

	if (ns < 0 || localtime_r(&s, &tm) == NULL ||
	    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm) == 0)
		fputs("-", out);
	else
		fprintf(out, "%s.%03d", when, (int)(ns % 1000000000 / 1000000));
}

void
monitor_print_text(const struct msg_ctl_event *m, const struct fields *t,
    FILE *out)
{
	struct field f;
	size_t off = 0;

	print_time(m->time_ns, out);
	fprintf(out, " %s", event_name(m->kind));
	if (fields_get(t, F_SERVICE, &f)) {
		fputc(' ', out);
		print_value(&f, out);
	}
	while (field_next(t, &off, &f) == 1)
		if (f.key != F_SERVICE && f.key != F_RUN)
			print_field(&f, out);
	fputc('\n', out);
}

static int
monitor_print_json(const struct msg_ctl_event *m, const struct fields *t,
    FILE *out)
{
	cJSON *o = ctl_json_event(m, t);
	int r = o != NULL ? json_write_line(out, o) : -1;

	cJSON_Delete(o);
	return (r);
}

static void
monitor_on_event(void *arg, struct frame *f)
{
	struct monitor *mo = arg;
	const struct msg_ctl_event *m = frame_fixed(f);

	if (f->head.type == MSG_ERR) {
		mo->code = ctl_complain_err(mo->c, f);
		return;
	}
	if (f->head.type != MSG_CTL_EVENT)
		return;
	mo->idle = 0;
	mo->m.since = m->seq + 1;
	mo->m.flags = MONITOR_SINCE;
	if (mo->c->json)
		monitor_print_json(m, &f->tail, mo->c->out);
	else
		monitor_print_text(m, &f->tail, mo->c->out);
	/* a line that cannot be written ends us: nobody reads on */
	if (fflush(mo->c->out) != 0 || ferror(mo->c->out))
		_exit(EX_IOERR);
}

int
ctl_monitor(struct ctl *c, bool has_since, uint64_t since)
{
	struct monitor mo = { .c = c,
		.code = EX_PROTOCOL,
		.m.since = since,
		.m.flags = has_since ? MONITOR_SINCE : 0 };
	int code;

	while (mo.idle++ < AGAIN_MAX) {
		if ((code = ctl_connect(c, MONO_NEVER)) != EX_OK)
			return (code);
		if (ctl_ask(c, MSG_CTL_MONITOR, &mo.m, NULL, MONO_NEVER,
			monitor_on_event, &mo) == CTL_ANSWERED)
			return (mo.code);
		usleep(AGAIN_PAUSE_US);
	}
	ctl_complain(c, "%s", c->why);
	return (EX_TEMPFAIL);
}
