/*
 * wharfctl status: ask, and the JSON form.  Process: wharfctl.
 *
 * The shape is a contract: every key is always there.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_json.h"
#include "supervisor/ctl/ctl_status.h"

#define STATUS_PATIENCE_MS 5000
#define STATUS_AGAIN_US    50000

static const struct ctl_key no_keys[] = { { F_NONE } };

static const struct ctl_key daemon_keys[] = {
	{ F_RUN, ABSENT_NULL },
	{ F_PID, ABSENT_ZERO },
	{ F_MODE, ABSENT_NULL },
	{ F_VERSION, ABSENT_NULL },
	{ F_NONE },
};

static const struct ctl_key worker_keys[] = {
	{ F_NAME, ABSENT_NULL },
	{ F_INSTANCE, ABSENT_ZERO },
	{ F_PID, ABSENT_ZERO },
	{ F_GEN, ABSENT_ZERO },
	{ F_STATE, ABSENT_NULL },
	{ F_RESTARTS, ABSENT_ZERO },
	{ F_LAST_EXIT, ABSENT_NULL },
	{ F_LAST_DOWN_US, ABSENT_NULL },
	{ F_NONE },
};

/* null: not known yet, which is not the same as "not there" */
static const struct ctl_key sandbox_keys[] = {
	{ F_SB_MODE, ABSENT_NULL },
	{ F_SB_UID, ABSENT_NULL },
	{ F_SB_SECCOMP, ABSENT_NULL },
	{ F_SB_LANDLOCK, ABSENT_NULL },
	{ F_SB_CHROOT, ABSENT_NULL },
	{ F_SB_CAPS, ABSENT_NULL },
	{ F_SB_NO_NEW_PRIVS, ABSENT_NULL },
	{ F_SB_DUMPABLE, ABSENT_NULL },
	{ F_SB_NETNS, ABSENT_NULL },
	{ F_SB_MDWE, ABSENT_NULL },
	{ F_SB_NOTE, ABSENT_NULL },
	{ F_NONE },
};

static const struct ctl_key engine_keys[] = {
	{ F_NAME, ABSENT_NULL },
	{ F_HOST, ABSENT_NULL },
	{ F_STATE, ABSENT_NULL },
	{ F_API, ABSENT_NULL },
	{ F_VERSION, ABSENT_NULL },
	{ F_NONE },
};

static const struct ctl_key tree_keys[] = {
	{ F_ROOT, ABSENT_NULL },
	{ F_BACKEND, ABSENT_NULL },
	{ F_SEEN, ABSENT_ZERO },
	{ F_UNREADABLE, ABSENT_ZERO },
	{ F_POLLED, ABSENT_ZERO },
	{ F_WHY, ABSENT_NULL },
	{ F_NONE },
};

static const struct ctl_key service_keys[] = {
	{ F_NAME, ABSENT_NULL },
	{ F_ENGINE, ABSENT_NULL },
	{ F_IN_STEP, ABSENT_FALSE },
	{ F_WHY, ABSENT_NULL },
	{ F_PENDING, ABSENT_ZERO },
	{ F_SET_ASIDE, ABSENT_LIST },
	{ F_NONE },
};

static const struct ctl_key container_keys[] = {
	{ F_CONTAINER_ID, ABSENT_NULL },
	{ F_NAME, ABSENT_NULL },
	{ F_IMAGE, ABSENT_NULL },
	{ F_TRANSPORT, ABSENT_NULL },
	{ F_WHY, ABSENT_NULL },
	{ F_IN_STEP, ABSENT_FALSE },
	{ F_NONE },
};

static const struct ctl_key last_keys[] = {
	{ F_JOB, ABSENT_NULL },
	{ F_ACTION, ABSENT_NULL },
	{ F_FILES, ABSENT_ZERO },
	{ F_BYTES, ABSENT_ZERO },
	{ F_US, ABSENT_ZERO },
	{ F_RESULT, ABSENT_NULL },
	{ F_NONE },
};

static const struct ctl_key build_keys[] = {
	{ F_SERVICE, ABSENT_NULL },
	{ F_STATE, ABSENT_NULL },
	{ F_STEP, ABSENT_ZERO },
	{ F_STEPS, ABSENT_ZERO },
	{ F_TEXT, ABSENT_NULL },
	{ F_NONE },
};

/* The lists of the object that items go to. */
struct lists {
	cJSON *obj;
	cJSON *service; /* the last one: containers and last belong to it */
};

void
status_add(struct status *s, uint32_t kind, const struct fields *t)
{
	struct status_item *it;

	s->v = xreallocarray(s->v, s->n + 1, sizeof(*s->v));
	it = &s->v[s->n++];
	memset(it, 0, sizeof(*it));
	it->kind = kind;
	buf_add(&it->fields, t->data, t->len);
}

void
status_clear(struct status *s)
{
	for (size_t i = 0; i < s->n; i++)
		buf_free(&s->v[i].fields);
	free(s->v);
	buf_free(&s->end);
	memset(s, 0, sizeof(*s));
}

static int
json_add_worker(cJSON *obj, const struct fields *t)
{
	cJSON *sandbox;

	if (ctl_json_fields(obj, t, worker_keys, sandbox_keys) == -1 ||
	    (sandbox = json_add_obj(obj, "sandbox")) == NULL)
		return (-1);
	return (ctl_json_keys(sandbox, t, sandbox_keys));
}

static int
json_add_service(struct lists *l, cJSON *obj, const struct fields *t)
{
	l->service = obj;
	if (ctl_json_fields(obj, t, service_keys, NULL) == -1 ||
	    json_add_arr(obj, "containers") == NULL ||
	    json_add_null(obj, "last") == -1)
		return (-1);
	return (0);
}

static int
json_set_last(const struct lists *l, const struct fields *t)
{
	cJSON *last = cJSON_CreateObject();

	if (last == NULL || ctl_json_fields(last, t, last_keys, NULL) == -1) {
		cJSON_Delete(last);
		return (-1);
	}
	cJSON_ReplaceItemInObjectCaseSensitive(l->service, "last", last);
	return (0);
}

static cJSON *
lists_push(const cJSON *obj, const char *name)
{
	return (json_push_obj(cJSON_GetObjectItemCaseSensitive(obj, name)));
}

static int
json_add_item(struct lists *l, uint32_t kind, const struct fields *t)
{
	switch (kind) {
	case STATUS_DAEMON:
		return (0); /* stands at the top */
	case STATUS_WORKER:
		return (json_add_worker(lists_push(l->obj, "workers"), t));
	case STATUS_ENGINE:
		return (ctl_json_fields(lists_push(l->obj, "engines"), t,
		    engine_keys, NULL));
	case STATUS_TREE:
		return (ctl_json_fields(lists_push(l->obj, "trees"), t,
		    tree_keys, NULL));
	case STATUS_SERVICE:
		return (json_add_service(l, lists_push(l->obj, "services"), t));
	case STATUS_BUILD:
		return (ctl_json_fields(lists_push(l->obj, "builds"), t,
		    build_keys, NULL));
	case STATUS_CONTAINER:
		if (l->service == NULL)
			return (0);
		return (ctl_json_fields(lists_push(l->service, "containers"), t,
		    container_keys, NULL));
	case STATUS_LAST:
		return (l->service != NULL ? json_set_last(l, t) : 0);
	}
	return (0); /* of a newer wharfd */
}

/* Who did not answer the daemon itself. */
static int
json_add_missing(cJSON *obj, const struct fields *end)
{
	cJSON *arr = json_add_arr(obj, "missing");
	struct field f;
	size_t off = 0;

	if (arr == NULL)
		return (-1);
	while (field_next(end, &off, &f) == 1)
		if (f.key == F_WORKER &&
		    json_push_bytes(arr, f.str, f.len) == -1)
			return (-1);
	return (0);
}

static int
json_add_daemon(cJSON *obj, const struct status *s)
{
	struct fields t = { 0 };

	for (size_t i = 0; i < s->n && t.data == NULL; i++)
		if (s->v[i].kind == STATUS_DAEMON)
			t = (struct fields) { s->v[i].fields.data,
				s->v[i].fields.len };
	return (ctl_json_fields(obj, &t, daemon_keys, no_keys));
}

static int
json_add_status(cJSON *obj, const struct status *s)
{
	static const char *const names[] = { "workers", "engines", "trees",
		"services", "builds" };
	struct fields t, end = { s->end.data, s->end.len };
	struct lists l = { .obj = obj };

	if (json_add_u64(obj, "v", 1) == -1 || json_add_daemon(obj, s) == -1)
		return (-1);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_add_arr(obj, names[i]) == NULL)
			return (-1);
	for (size_t i = 0; i < s->n; i++) {
		t.data = s->v[i].fields.data;
		t.len = s->v[i].fields.len;
		if (json_add_item(&l, s->v[i].kind, &t) == -1)
			return (-1);
	}
	return (json_add_missing(obj, &end));
}

int
status_print_json(const struct status *s, FILE *out)
{
	cJSON *obj = cJSON_CreateObject();
	int r = json_add_status(obj, s);

	if (r == 0)
		r = json_write_line(out, obj);
	cJSON_Delete(obj);
	return (r == 0 && fflush(out) == 0 ? 0 : -1);
}

struct asked {
	struct ctl *c;
	struct status *s;
	int code;
};

static void
status_on_answer(void *arg, struct frame *f)
{
	struct asked *a = arg;
	const struct msg_status *m = frame_fixed(f);

	if (f->head.type == MSG_CTL_ITEM)
		status_add(a->s, m->kind, &f->tail);
	else if (f->head.type == MSG_CTL_OK) {
		buf_add(&a->s->end, f->tail.data, f->tail.len);
		a->code = EX_OK;
	} else if (f->head.type == MSG_ERR)
		a->code = ctl_complain_err(a->c, f);
}

int
ctl_ask_status(struct ctl *c, enum msg_type type, struct status *s)
{
	mono_t end = mono_add_ms(mono_now(), STATUS_PATIENCE_MS);
	struct asked a = { .c = c, .s = s, .code = EX_PROTOCOL };
	int code;

	for (;;) {
		if ((code = ctl_connect(c, end)) != EX_OK)
			return (code);
		if (ctl_ask(c, type, NULL, NULL, end, status_on_answer, &a) ==
		    CTL_ANSWERED)
			return (a.code);
		status_clear(s);
		if (mono_diff_ms(end, mono_now()) <= 0) {
			ctl_complain(c, "%s",
			    c->why[0] != '\0' ? c->why : "no answer in time");
			return (EX_TEMPFAIL);
		}
		usleep(STATUS_AGAIN_US); /* the front desk is restarted */
	}
}

int
ctl_status(struct ctl *c)
{
	struct status s = { 0 };
	int code = ctl_ask_status(c, MSG_CTL_STATUS, &s);

	if (code == EX_OK &&
	    (c->json ? status_print_json(&s, c->out) :
		       status_print_text(&s, c->out)) == -1)
		code = EX_IOERR;
	status_clear(&s);
	return (code);
}
