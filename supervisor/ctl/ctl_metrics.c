/*
 * wharfctl metrics: OpenMetrics 1.0 text.  Process: wharfctl.
 *
 * https://github.com/OpenObservability/OpenMetrics, specification 1.0: the
 * samples of a family stand together, below its TYPE, UNIT and HELP; those of
 * a counter end in _total; the text ends with "# EOF".
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "log.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_status.h"

struct family {
	const char *name;
	const char *type;
	const char *unit; /* the end of the name, or NULL */
	const char *help;
	uint32_t kind;            /* of the items that it is made of */
	const char *counter;      /* STATUS_COUNTER: NAME */
	enum field_key key;       /* of status items: the value */
	bool us;                  /* the value is in us, and shown in s */
	enum field_key labels[3]; /* ended by F_NONE */
};

#define WORKER_LABELS              \
	{                          \
		F_NAME, F_INSTANCE \
	}

static const struct family families[] = {
	{ "wharf_build", "info", NULL, "The version of wharfd.", STATUS_DAEMON,
	    .labels = { F_VERSION } },
	{ "wharf_worker_up", "gauge", NULL, "Whether a worker process serves.",
	    STATUS_WORKER, .key = F_PID, .labels = WORKER_LABELS },
	{ "wharf_worker_restarts", "counter", NULL,
	    "Starts of a worker after a death.", STATUS_WORKER,
	    .key = F_RESTARTS, .labels = WORKER_LABELS },
	{ "wharf_worker_last_down_seconds", "gauge", "seconds",
	    "From the last death to READY.", STATUS_WORKER,
	    .key = F_LAST_DOWN_US, .us = true, .labels = WORKER_LABELS },
	{ "wharf_engine_up", "gauge", NULL, "Whether the engine answers.",
	    STATUS_ENGINE, .key = F_STATE, .labels = { F_NAME } },
	{ "wharf_tree_seen", "gauge", NULL,
	    "Number of the last change of a source tree.", STATUS_TREE,
	    .key = F_SEEN, .labels = { F_ROOT } },
	{ "wharf_tree_unreadable", "gauge", NULL,
	    "Directories that cannot be read.", STATUS_TREE,
	    .key = F_UNREADABLE, .labels = { F_ROOT } },
	{ "wharf_tree_polled", "gauge", NULL,
	    "Directories that are looked at from time to time only.",
	    STATUS_TREE, .key = F_POLLED, .labels = { F_ROOT } },
	{ "wharf_service_in_step", "gauge", NULL,
	    "Whether every change is live.", STATUS_SERVICE, .key = F_IN_STEP,
	    .labels = { F_NAME } },
	{ "wharf_service_pending", "gauge", NULL,
	    "Changes that are not live yet.", STATUS_SERVICE, .key = F_PENDING,
	    .labels = { F_NAME } },
	{ "wharf_pushes", "counter", NULL,
	    "Deliveries and repeated steps that ended.", STATUS_COUNTER,
	    "pushes", .labels = { F_SERVICE, F_RESULT } },
	{ "wharf_pushed_files", "counter", NULL, "Files sent to containers.",
	    STATUS_COUNTER, "files", .labels = { F_SERVICE } },
	{ "wharf_pushed_bytes", "counter", "bytes",
	    "Content sent to containers.", STATUS_COUNTER, "bytes",
	    .labels = { F_SERVICE } },
	{ "wharf_deleted_files", "counter", NULL,
	    "Files deleted in containers.", STATUS_COUNTER, "deleted",
	    .labels = { F_SERVICE } },
	{ "wharf_container_restarts", "counter", NULL,
	    "Containers restarted for a change.", STATUS_COUNTER, "restarts",
	    .labels = { F_SERVICE } },
	{ "wharf_seen_to_live_seconds", "histogram", "seconds",
	    "From seeing a change to its being live.", STATUS_COUNTER, "live",
	    .labels = { F_SERVICE } },
	{ "wharf_builds", "counter", NULL, "Builds of images that ended.",
	    STATUS_COUNTER, "builds", .labels = { F_SERVICE, F_RESULT } },
	{ "wharf_events", "counter", NULL, "Number of the last event.",
	    STATUS_COUNTER, "events" },
	{ "wharf_events_lost", "counter", NULL,
	    "Events that clients were too slow for.", STATUS_COUNTER, "lost" },
	{ "wharf_log_lines_lost", "counter", NULL,
	    "Lines that the log's reader did not take.", STATUS_DAEMON,
	    .key = F_LOG_LOST },
	{ "wharf_control_clients", "gauge", NULL,
	    "Connections to the control socket.", STATUS_COUNTER, "clients" },
	{ "wharf_supervisor_resident_memory_bytes", "gauge", "bytes",
	    "Memory of the supervisor.", STATUS_DAEMON, .key = F_RSS },
	{ "wharf_supervisor_open_fds", "gauge", NULL,
	    "Open file descriptors of the supervisor.", STATUS_DAEMON,
	    .key = F_FDS },
};

/* The label sets that a family has shown: none stands twice. */
struct shown {
	char **v;
	size_t n;
};

static bool
shown_add(struct shown *s, const char *labels)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i], labels) == 0)
			return (false);
	s->v = xreallocarray(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = xstrdup(labels);
	return (true);
}

static void
shown_free(struct shown *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
}

/* A label value: valid UTF-8, with backslash and quote escaped. */
static void
label_add_text(struct buf *b, const void *s, size_t n)
{
	char *esc = xcalloc(n + 1, 4);

	log_escape(esc, 4 * (n + 1), s, n);
	for (const char *p = esc; *p != '\0'; p++) {
		if (*p == '\\' || *p == '"')
			buf_add(b, "\\", 1);
		buf_add(b, p, 1);
	}
	free(esc);
}

static const char *
label_name(const struct family *f, enum field_key key)
{
	if (key != F_NAME)
		return (field_name(key));
	return (f->kind == STATUS_WORKER ? "worker" :
		f->kind == STATUS_ENGINE ? "engine" :
					   "service");
}

/* 'a="x",b="7"', terminated; the caller frees it. */
static char *
labels_make(const struct family *f, const struct fields *t)
{
	struct buf b = { 0 };
	struct field v;
	char num[24];
	const char *name;

	for (size_t i = 0; i < 3 && f->labels[i] != F_NONE; i++) {
		name = label_name(f, f->labels[i]);
		if (i > 0)
			buf_add(&b, ",", 1);
		buf_add(&b, name, strlen(name));
		buf_add(&b, "=\"", 2);
		if (f->labels[i] == F_INSTANCE) {
			snprintf(num, sizeof(num), "%" PRIu64,
			    fields_u64(t, F_INSTANCE, 0));
			buf_add(&b, num, strlen(num));
		} else if (fields_get(t, f->labels[i], &v))
			label_add_text(&b, v.str, v.len);
		buf_add(&b, "\"", 1);
	}
	buf_add(&b, "", 1);
	return ((char *)b.data);
}

static void
print_seconds(FILE *out, uint64_t us)
{
	fprintf(out, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

/* name_suffix{labels,more} without the value */
static void
print_series(const struct family *f, const char *suffix, const char *labels,
    const char *more, FILE *out)
{
	bool both = labels[0] != '\0' && more[0] != '\0';

	fprintf(out, "%s%s", f->name, suffix);
	if (labels[0] != '\0' || more[0] != '\0')
		fprintf(out, "{%s%s%s}", labels, both ? "," : "", more);
	fputc(' ', out);
}

static void
print_created(const struct family *f, const char *labels,
    const struct fields *t, FILE *out)
{
	uint64_t ns = fields_u64(t, F_CREATED_NS, 0);

	if (ns == 0)
		return;
	print_series(f, "_created", labels, "", out);
	print_seconds(out, ns / 1000);
	fputc('\n', out);
}

static bool
field_is(const struct fields *t, enum field_key key, const char *want)
{
	struct field f;

	return (fields_get(t, key, &f) && f.len == strlen(want) &&
	    memcmp(f.str, want, f.len) == 0);
}

/* What an item says of the family; false: nothing. */
static bool
item_value(const struct family *f, const struct fields *t, uint64_t *v)
{
	struct field got;

	*v = 1;
	if (strcmp(f->type, "info") == 0)
		return (true);
	if (!fields_get(t, f->kind == STATUS_COUNTER ? F_COUNT : f->key, &got))
		return (false);
	*v = got.u64;
	if (f->key == F_STATE)
		*v = field_is(t, F_STATE, "up");
	else if (f->key == F_PID)
		*v = got.u64 != 0 && !field_is(t, F_STATE, "starting");
	return (true);
}

static void
print_sample(const struct family *f, const struct fields *t,
    struct shown *shown, FILE *out)
{
	bool counter = strcmp(f->type, "counter") == 0;
	bool info = strcmp(f->type, "info") == 0;
	uint64_t v;
	char *labels;

	if (!item_value(f, t, &v))
		return;
	labels = labels_make(f, t);
	if (shown_add(shown, labels)) {
		print_series(f,
		    counter  ? "_total" :
			info ? "_info" :
			       "",
		    labels, "", out);
		if (f->us)
			print_seconds(out, v);
		else
			fprintf(out, "%" PRIu64, v);
		fputc('\n', out);
		if (counter)
			print_created(f, labels, t, out);
	}
	free(labels);
}

/* An upper bound as OpenMetrics wants it: 0.01, 2.5, 60.0. */
static void
bound_make(char *dst, size_t size, const struct fields *t)
{
	struct field us;
	size_t n;

	if (!fields_get(t, F_US, &us)) {
		snprintf(dst, size, "le=\"+Inf\"");
		return;
	}
	snprintf(dst, size, "le=\"%" PRIu64 ".%06" PRIu64, us.u64 / 1000000,
	    us.u64 % 1000000);
	for (n = strlen(dst); dst[n - 1] == '0' && dst[n - 2] != '.'; n--)
		dst[n - 1] = '\0';
	strlcat(dst, "\"", size);
}

/* Buckets come in order, each with its own count; the sum ends them. */
struct histogram {
	uint64_t count;
	bool begun;
	bool skip; /* the same labels have been shown */
};

static void
print_bucket(const struct family *f, struct histogram *h,
    const struct fields *t, struct shown *shown, FILE *out)
{
	char *labels = labels_make(f, t), bound[48];
	uint64_t n = fields_u64(t, F_COUNT, 0);

	if (!h->begun) {
		*h = (struct histogram) { .begun = true };
		h->skip = !shown_add(shown, labels);
	}
	if (h->skip)
		h->begun = field_is(t, F_NAME, "live");
	else if (field_is(t, F_NAME, "live")) {
		h->count += n;
		bound_make(bound, sizeof(bound), t);
		print_series(f, "_bucket", labels, bound, out);
		fprintf(out, "%" PRIu64 "\n", h->count);
	} else {
		print_series(f, "_count", labels, "", out);
		fprintf(out, "%" PRIu64 "\n", h->count);
		print_series(f, "_sum", labels, "", out);
		print_seconds(out, n);
		fputc('\n', out);
		print_created(f, labels, t, out);
		h->begun = false;
	}
	free(labels);
}

static void
print_family(const struct family *f, const struct status *s, FILE *out)
{
	struct shown shown = { 0 };
	struct histogram h = { 0 };
	struct fields t;

	fprintf(out, "# TYPE %s %s\n", f->name, f->type);
	if (f->unit != NULL)
		fprintf(out, "# UNIT %s %s\n", f->name, f->unit);
	fprintf(out, "# HELP %s %s\n", f->name, f->help);
	for (size_t i = 0; i < s->n; i++) {
		t.data = s->v[i].fields.data;
		t.len = s->v[i].fields.len;
		if (s->v[i].kind != f->kind)
			continue;
		if (strcmp(f->type, "histogram") == 0) {
			if (field_is(&t, F_NAME, "live") ||
			    field_is(&t, F_NAME, "live_us"))
				print_bucket(f, &h, &t, &shown, out);
		} else if (f->counter == NULL ||
		    field_is(&t, F_NAME, f->counter))
			print_sample(f, &t, &shown, out);
	}
	shown_free(&shown);
}

static int
status_print_metrics(const struct status *s, FILE *out)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		print_family(&families[i], s, out);
	fputs("# EOF\n", out);
	return (fflush(out) == 0 && !ferror(out) ? 0 : -1);
}

int
ctl_metrics(struct ctl *c)
{
	struct status s = { 0 };
	int code = ctl_ask_status(c, MSG_CTL_METRICS, &s);

	if (code == EX_OK && status_print_metrics(&s, c->out) == -1)
		code = EX_IOERR;
	status_clear(&s);
	return (code);
}
