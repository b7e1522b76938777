/*
 * Fields as JSON, see ctl_json.h.  Process: wharfctl.
 */
#include <string.h>
#include <time.h>

#include "supervisor/ctl/ctl_json.h"

static int
json_add_field(cJSON *obj, const char *name, const struct field *f)
{
	switch (f->type) {
	case FIELD_STR:
		return (json_add_bytes(obj, name, f->str, f->len));
	case FIELD_U64:
		return (json_add_u64(obj, name, f->u64));
	case FIELD_I64:
		return (json_add_i64(obj, name, f->i64));
	case FIELD_BOOL:
		return (json_add_bool(obj, name, f->u64 != 0));
	}
	return (-1);
}

static int
json_push_field(cJSON *arr, const struct field *f)
{
	switch (f->type) {
	case FIELD_STR:
		return (json_push_bytes(arr, f->str, f->len));
	case FIELD_U64:
		return (json_push_u64(arr, f->u64));
	case FIELD_I64:
		return (json_push_i64(arr, f->i64));
	case FIELD_BOOL:
		return (json_push(arr, cJSON_CreateBool(f->u64 != 0)));
	}
	return (-1);
}

static int
json_add_list(cJSON *obj, const struct fields *t, enum field_key key)
{
	cJSON *arr = json_add_arr(obj, field_name(key));
	struct field f;
	size_t off = 0;

	if (arr == NULL)
		return (-1);
	while (field_next(t, &off, &f) == 1)
		if (f.key == key && json_push_field(arr, &f) == -1)
			return (-1);
	return (0);
}

static int
json_add_absent(cJSON *obj, const char *name, enum absent absent)
{
	switch (absent) {
	case ABSENT_ZERO:
		return (json_add_u64(obj, name, 0));
	case ABSENT_FALSE:
		return (json_add_bool(obj, name, false));
	case ABSENT_NULL:
	case ABSENT_LIST:
		break;
	}
	return (json_add_null(obj, name));
}

int
ctl_json_keys(cJSON *obj, const struct fields *t, const struct ctl_key *rows)
{
	struct field f;
	int r;

	for (; rows->key != F_NONE; rows++) {
		if (rows->absent == ABSENT_LIST)
			r = json_add_list(obj, t, rows->key);
		else if (fields_get(t, rows->key, &f))
			r = json_add_field(obj, field_name(rows->key), &f);
		else
			r = json_add_absent(obj, field_name(rows->key),
			    rows->absent);
		if (r == -1)
			return (-1);
	}
	return (0);
}

static bool
rows_have(const struct ctl_key *rows, enum field_key key)
{
	for (; rows != NULL && rows->key != F_NONE; rows++)
		if (rows->key == key)
			return (true);
	return (false);
}

int
ctl_json_fields(cJSON *obj, const struct fields *t, const struct ctl_key *first,
    const struct ctl_key *skip)
{
	bool seen[F_MAX] = { false };
	struct field f;
	size_t off = 0;
	int r;

	if (ctl_json_keys(obj, t, first) == -1)
		return (-1);
	while (field_next(t, &off, &f) == 1) {
		if (seen[f.key] || rows_have(first, f.key) ||
		    rows_have(skip, f.key))
			continue;
		seen[f.key] = true;
		r = fields_count(t, f.key) > 1 ?
		    json_add_list(obj, t, f.key) :
		    json_add_field(obj, field_name(f.key), &f);
		if (r == -1)
			return (-1);
	}
	return (0);
}

int
ctl_json_time(char *dst, size_t size, int64_t ns)
{
	time_t s = ns / 1000000000;
	long rest = ns % 1000000000;
	struct tm tm;
	size_t n;

	if (ns < 0 || gmtime_r(&s, &tm) == NULL)
		return (-1);
	n = strftime(dst, size, "%Y-%m-%dT%H:%M:%S", &tm);
	if (n == 0 ||
	    snprintf(dst + n, size - n, ".%09ldZ", rest) >= (int)(size - n))
		return (-1);
	return (0);
}

/* The container's name where the event has one, else its id. */
static int
json_add_container(cJSON *obj, const struct fields *t)
{
	struct field f;

	if (fields_get(t, F_CONTAINER, &f) || fields_get(t, F_CONTAINER_ID, &f))
		return (json_add_bytes(obj, "container", f.str, f.len));
	return (json_add_null(obj, "container"));
}

cJSON *
ctl_json_event(const struct msg_ctl_event *m, const struct fields *t)
{
	static const struct ctl_key run[] = { { F_RUN, ABSENT_NULL },
		{ F_NONE } };
	static const struct ctl_key whose[] = { { F_SERVICE, ABSENT_NULL },
		{ F_ENGINE, ABSENT_NULL }, { F_NONE } };
	static const struct ctl_key job[] = { { F_JOB, ABSENT_NULL },
		{ F_NONE } };
	static const struct ctl_key done[] = { { F_RUN }, { F_SERVICE },
		{ F_ENGINE }, { F_CONTAINER }, { F_NONE } };
	char when[40];
	bool timed = ctl_json_time(when, sizeof(when), m->time_ns) == 0;
	cJSON *o = cJSON_CreateObject();

	if (json_add_u64(o, "seq", m->seq) == -1 ||
	    ctl_json_keys(o, t, run) == -1 ||
	    json_add_str(o, "time", timed ? when : NULL) == -1 ||
	    json_add_i64(o, "mono_ns", m->mono_ns) == -1 ||
	    json_add_str(o, "event", event_name(m->kind)) == -1 ||
	    ctl_json_keys(o, t, whose) == -1 ||
	    json_add_container(o, t) == -1 ||
	    ctl_json_fields(o, t, job, done) == -1) {
		cJSON_Delete(o);
		return (NULL);
	}
	return (o);
}
