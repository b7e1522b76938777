/*
 * wharfctl status for people.  Process: wharfctl.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_status.h"
#include "supervisor/ctl/ctl_table.h"

static struct fields
item_fields(const struct status_item *it)
{
	return ((struct fields) { it->fields.data, it->fields.len });
}

static char *
cell_mem(const char *s, size_t n)
{
	char *esc = xcalloc(n + 1, 4);

	return (log_escape(esc, 4 * (n + 1), s, n));
}

/* A string field, escaped; "-" when absent.  The caller frees. */
static char *
cell_str(const struct fields *t, enum field_key key)
{
	struct field f;

	if (!fields_get(t, key, &f) || f.len == 0)
		return (xstrdup("-"));
	return (cell_mem(f.str, f.len));
}

/* "word N", nothing when the field is absent or 0. */
static char *
cell_count(const struct fields *t, enum field_key key, const char *word)
{
	uint64_t n = fields_u64(t, key, 0);

	return (n != 0 ? xasprintf("%" PRIu64 " %s", n, word) : NULL);
}

static void
print_daemon(const struct fields *t, FILE *out)
{
	char *version = cell_str(t, F_VERSION), *mode = cell_str(t, F_MODE);
	char *run = cell_str(t, F_RUN);

	fprintf(out, "wharfd %s  pid %" PRIu64 "  mode %s  run %s\n", version,
	    fields_u64(t, F_PID, 0), mode, run);
	free(version);
	free(mode);
	free(run);
}

static void
table_add_service(struct table *tb, const struct fields *t)
{
	char **row = table_row(tb);
	char *why;

	row[0] = cell_str(t, F_NAME);
	row[1] = cell_str(t, F_ENGINE);
	if (fields_u64(t, F_IN_STEP, 0) == 1) {
		row[2] = xstrdup("in step");
		return;
	}
	why = cell_str(t, F_WHY);
	row[2] = xasprintf("out of step: %s", why);
	row[3] = cell_count(t, F_PENDING, "pending");
	free(why);
}

static void
print_set_aside(const struct fields *t, FILE *out)
{
	struct field f;
	size_t off = 0;
	char *path;

	while (field_next(t, &off, &f) == 1) {
		if (f.key != F_SET_ASIDE)
			continue;
		path = cell_mem(f.str, f.len);
		fprintf(out, "    set aside  %s\n", path);
		free(path);
	}
}

static void
table_add_container(struct table *tb, const struct fields *t)
{
	char **row = table_row(tb);
	struct field f;

	row[0] = xstrdup("container");
	row[1] = cell_str(t, F_NAME);
	if (fields_get(t, F_CONTAINER_ID, &f))
		row[2] = cell_mem(f.str, ctl_id_len(f.len));
	row[3] = cell_str(t, F_IMAGE);
	row[4] = cell_str(t, F_TRANSPORT);
	if (fields_u64(t, F_IN_STEP, 0) == 1)
		row[5] = xstrdup("in step");
	else
		row[5] = cell_str(t, F_WHY);
}

static void
print_last(const struct fields *t, FILE *out)
{
	char *action = cell_str(t, F_ACTION), *result = cell_str(t, F_RESULT);
	uint64_t us = fields_u64(t, F_US, 0);

	fprintf(out,
	    "    last       %s %s  job %" PRIu64 "  %" PRIu64 " files  %" PRIu64
	    " bytes  %" PRIu64 ".%03" PRIu64 " ms\n",
	    action, result, fields_u64(t, F_JOB, 0), fields_u64(t, F_FILES, 0),
	    fields_u64(t, F_BYTES, 0), us / 1000, us % 1000);
	free(action);
	free(result);
}

/* What follows a service in the list until the next. */
static void
print_service_rest(const struct status *s, size_t i, FILE *out)
{
	struct table tb = { 0 };
	struct fields t = item_fields(&s->v[i]);
	size_t j;

	print_set_aside(&t, out);
	for (j = i + 1; j < s->n && s->v[j].kind != STATUS_SERVICE; j++) {
		t = item_fields(&s->v[j]);
		if (s->v[j].kind == STATUS_CONTAINER)
			table_add_container(&tb, &t);
	}
	table_print(&tb, 4, out);
	for (size_t k = i + 1; k < j; k++) {
		t = item_fields(&s->v[k]);
		if (s->v[k].kind == STATUS_LAST)
			print_last(&t, out);
	}
}

/* Services are aligned among themselves, with their own lines between. */
static void
print_services(const struct status *s, FILE *out)
{
	struct table tb = { 0 };
	struct fields t;
	char *text = NULL, *line, *end;
	size_t size = 0;
	FILE *m = open_memstream(&text, &size);

	if (m == NULL)
		fatal("open_memstream");
	for (size_t i = 0; i < s->n; i++) {
		t = item_fields(&s->v[i]);
		if (s->v[i].kind == STATUS_SERVICE)
			table_add_service(&tb, &t);
	}
	table_print(&tb, 2, m);
	if (fclose(m) != 0)
		fatal("open_memstream");
	line = text;
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].kind != STATUS_SERVICE)
			continue;
		if (line == text)
			fprintf(out, "services\n");
		end = strchr(line, '\n');
		fprintf(out, "%.*s\n", (int)(end - line), line);
		line = end + 1;
		print_service_rest(s, i, out);
	}
	free(text);
}

static void
table_add_engine(struct table *tb, const struct fields *t)
{
	char **row = table_row(tb);
	char *api = cell_str(t, F_API);

	row[0] = cell_str(t, F_NAME);
	row[1] = cell_str(t, F_STATE);
	row[2] = cell_str(t, F_HOST);
	row[3] = cell_str(t, F_VERSION);
	row[4] = xasprintf("API %s", api);
	if (fields_count(t, F_ERROR) > 0)
		row[5] = cell_str(t, F_ERROR);
	free(api);
}

static void
table_add_tree(struct table *tb, const struct fields *t)
{
	char **row = table_row(tb);

	row[0] = cell_str(t, F_ROOT);
	row[1] = cell_str(t, F_BACKEND);
	row[2] = cell_count(t, F_SEEN, "seen");
	row[3] = cell_count(t, F_UNREADABLE, "unreadable");
	row[4] = cell_count(t, F_POLLED, "polled");
	if (fields_count(t, F_WHY) > 0)
		row[5] = cell_str(t, F_WHY);
}

static char *
cell_sandbox(const struct fields *t)
{
	char *mode, *note, *cell;

	if (fields_count(t, F_SB_MODE) == 0)
		return (NULL);
	mode = cell_str(t, F_SB_MODE);
	note = cell_str(t, F_SB_NOTE);
	cell = strcmp(note, "-") == 0 ?
	    xasprintf("sandbox %s", mode) :
	    xasprintf("sandbox %s, but %s", mode, note);
	free(mode);
	free(note);
	return (cell);
}

static void
table_add_worker(struct table *tb, const struct fields *t)
{
	uint64_t instance = fields_u64(t, F_INSTANCE, 0);
	char **row = table_row(tb);
	char *name = cell_str(t, F_NAME), *exit;

	row[0] = instance == 0 ? xstrdup(name) :
				 xasprintf("%s.%" PRIu64, name, instance);
	row[1] = cell_str(t, F_STATE);
	row[2] = xasprintf("pid %" PRIu64, fields_u64(t, F_PID, 0));
	row[3] =
	    xasprintf("%" PRIu64 " restarts", fields_u64(t, F_RESTARTS, 0));
	row[4] = cell_sandbox(t);
	if (fields_count(t, F_LAST_EXIT) > 0) {
		exit = cell_str(t, F_LAST_EXIT);
		row[5] = xasprintf("last exit: %s", exit);
		free(exit);
	}
	free(name);
}

static void
table_add_build(struct table *tb, const struct fields *t)
{
	char **row = table_row(tb);

	row[0] = cell_str(t, F_SERVICE);
	row[1] = cell_str(t, F_STATE);
	if (fields_u64(t, F_STEPS, 0) != 0)
		row[2] = xasprintf("step %" PRIu64 "/%" PRIu64,
		    fields_u64(t, F_STEP, 0), fields_u64(t, F_STEPS, 0));
	row[3] = cell_str(t, F_TEXT);
}

static void
print_kind(const struct status *s, uint32_t kind, const char *title,
    void (*add)(struct table *, const struct fields *), FILE *out)
{
	struct table tb = { 0 };
	struct fields t;

	for (size_t i = 0; i < s->n; i++) {
		t = item_fields(&s->v[i]);
		if (s->v[i].kind == kind)
			add(&tb, &t);
	}
	if (tb.n == 0)
		return;
	fprintf(out, "%s\n", title);
	table_print(&tb, 2, out);
}

static void
print_missing(const struct status *s, FILE *out)
{
	struct fields t = { s->end.data, s->end.len };
	struct field f;
	size_t off = 0;
	char *text;

	while (field_next(&t, &off, &f) == 1) {
		if (f.key != F_WORKER && f.key != F_TEXT)
			continue;
		text = cell_mem(f.str, f.len);
		fprintf(out,
		    f.key == F_WORKER ?
			"%s does not answer: its part is missing\n" :
			"%s\n",
		    text);
		free(text);
	}
}

int
status_print_text(const struct status *s, FILE *out)
{
	struct fields t;

	for (size_t i = 0; i < s->n; i++) {
		t = item_fields(&s->v[i]);
		if (s->v[i].kind == STATUS_DAEMON)
			print_daemon(&t, out);
	}
	print_missing(s, out);
	print_services(s, out);
	print_kind(s, STATUS_BUILD, "builds", table_add_build, out);
	print_kind(s, STATUS_ENGINE, "engines", table_add_engine, out);
	print_kind(s, STATUS_TREE, "trees", table_add_tree, out);
	print_kind(s, STATUS_WORKER, "workers", table_add_worker, out);
	return (fflush(out) == 0 && !ferror(out) ? 0 : -1);
}
