/*
 * What wharfctl prints: its JSON forms are a contract, compared with files.
 * WHARF_GOLDEN=renew writes the files anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_json.h"
#include "supervisor/ctl/ctl_monitor.h"
#include "supervisor/ctl/ctl_status.h"

#define GOLDEN "tests/golden/"

static void
compare(const char *path, const char *text, size_t len)
{
	const char *renew = getenv("WHARF_GOLDEN");
	char buf[65536];
	FILE *f;
	size_t n;

	if (renew != NULL && strcmp(renew, "renew") == 0) {
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(text, 1, len, f), len);
		assert_int_equal(fclose(f), 0);
		return;
	}
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	assert_string_equal(text, buf);
}

static void
item(struct status *s, enum status_kind kind, struct buf *b)
{
	struct fields t = { b->data, b->len };

	status_add(s, kind, &t);
	buf_free(b);
}

static void
add_sandbox(struct buf *b)
{
	fields_add_str(b, F_SB_MODE, "on");
	fields_add_u64(b, F_SB_UID, 64912);
	fields_add_bool(b, F_SB_SECCOMP, true);
	fields_add_u64(b, F_SB_LANDLOCK, 7);
	fields_add_bool(b, F_SB_CHROOT, true);
	fields_add_str(b, F_SB_CAPS, "");
	fields_add_bool(b, F_SB_NO_NEW_PRIVS, true);
	fields_add_bool(b, F_SB_DUMPABLE, false);
	fields_add_bool(b, F_SB_NETNS, true);
	fields_add_bool(b, F_SB_MDWE, true);
	fields_add_str(b, F_SB_NOTE, "");
}

static void
make_daemon(struct status *s)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_RUN, "11111111-2222-3333-4444-555555555555");
	fields_add_u64(&b, F_PID, 4242);
	fields_add_str(&b, F_MODE, "host");
	fields_add_str(&b, F_VERSION, "0.1");
	item(s, STATUS_DAEMON, &b);
	fields_add_str(&b, F_NAME, "watch");
	fields_add_u64(&b, F_PID, 4243);
	fields_add_u64(&b, F_GEN, 3);
	fields_add_str(&b, F_STATE, "ready");
	fields_add_u64(&b, F_RESTARTS, 2);
	fields_add_str(&b, F_LAST_EXIT, "signal 9 (KILL)");
	fields_add_u64(&b, F_LAST_DOWN_US, 5293);
	add_sandbox(&b);
	item(s, STATUS_WORKER, &b);
	fields_add_str(&b, F_NAME, "push");
	fields_add_str(&b, F_STATE, "backoff");
	item(s, STATUS_WORKER, &b);
	fields_add_str(&b, F_NAME, "default");
	fields_add_str(&b, F_HOST, "unix:///run/e.sock");
	fields_add_str(&b, F_STATE, "up");
	fields_add_str(&b, F_API, "1.41");
	fields_add_str(&b, F_VERSION, "20.10.24");
	item(s, STATUS_ENGINE, &b);
	fields_add_str(&b, F_ROOT, "/srv/caf\xc3\xa9");
	fields_add_str(&b, F_BACKEND, "inotify");
	fields_add_u64(&b, F_SEEN, UINT64_MAX);
	fields_add_u64(&b, F_POLLED, 3);
	fields_add_str(&b, F_WHY, "mnt: a file system of nfs");
	item(s, STATUS_TREE, &b);
}

static void
make_services(struct status *s)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_NAME, "web");
	fields_add_str(&b, F_ENGINE, "default");
	fields_add_bool(&b, F_IN_STEP, true);
	item(s, STATUS_SERVICE, &b);
	fields_add_str(&b, F_CONTAINER_ID, "0123456789abcdef0123");
	fields_add_str(&b, F_NAME, "web");
	fields_add_str(&b, F_IMAGE, "web:latest");
	fields_add_str(&b, F_TRANSPORT, "archive");
	fields_add_bool(&b, F_IN_STEP, true);
	item(s, STATUS_CONTAINER, &b);
	fields_add_u64(&b, F_JOB, 12);
	fields_add_str(&b, F_ACTION, "push");
	fields_add_u64(&b, F_FILES, 3);
	fields_add_u64(&b, F_BYTES, 1200);
	fields_add_u64(&b, F_US, 4801);
	fields_add_str(&b, F_RESULT, "ok");
	item(s, STATUS_LAST, &b);
	fields_add_str(&b, F_NAME, "a-longer-name");
	fields_add_str(&b, F_ENGINE, "default");
	fields_add_bool(&b, F_IN_STEP, false);
	fields_add_str(&b, F_WHY, "two paths are set aside");
	fields_add_u64(&b, F_PENDING, 2);
	fields_add_str(&b, F_SET_ASIDE, "src/\x1b[31mred");
	fields_add_str(&b, F_SET_ASIDE, "src/\xff\xfe");
	item(s, STATUS_SERVICE, &b);
	fields_add_str(&b, F_SERVICE, "a-longer-name");
	fields_add_str(&b, F_STATE, "running");
	fields_add_u64(&b, F_STEP, 2);
	fields_add_u64(&b, F_STEPS, 5);
	fields_add_str(&b, F_TEXT, "RUN make");
	item(s, STATUS_BUILD, &b);
	fields_add_str(&s->end, F_WORKER, "push");
}

static void
status_forms(void **state)
{
	struct status s = { 0 };
	char *text;
	size_t len;
	FILE *f;

	make_daemon(&s);
	make_services(&s);
	f = open_memstream(&text, &len);
	assert_int_equal(status_print_json(&s, f), 0);
	fclose(f);
	compare(GOLDEN "status.json", text, len);
	free(text);
	f = open_memstream(&text, &len);
	assert_int_equal(status_print_text(&s, f), 0);
	fclose(f);
	compare(GOLDEN "status.txt", text, len);
	assert_null(strchr(text, '\x1b'));
	free(text);
	status_clear(&s);
}

static void
status_of_nothing_has_all_keys(void **state)
{
	struct status s = { 0 };
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(status_print_json(&s, f), 0);
	fclose(f);
	assert_string_equal(text,
	    "{\"v\":1,\"run\":null,\"pid\":0,"
	    "\"mode\":null,\"version\":null,\"workers\":[],\"engines\":[],"
	    "\"trees\":[],\"services\":[],\"builds\":[],\"missing\":[]}\n");
	free(text);
}

/* Items of a service that do not follow one are no reason to crash. */
static void
orphans_are_left_out(void **state)
{
	struct status s = { 0 };
	struct buf b = { 0 };
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	item(&s, STATUS_CONTAINER, &b);
	item(&s, STATUS_LAST, &b);
	item(&s, 4711, &b);
	assert_int_equal(status_print_json(&s, f), 0);
	assert_int_equal(status_print_text(&s, f), 0);
	fclose(f);
	assert_non_null(strstr(text, "\"services\":[]"));
	free(text);
	status_clear(&s);
}

static void
print_event(const struct msg_ctl_event *m, struct buf *b, FILE *json,
    FILE *text)
{
	struct fields t = { b->data, b->len };
	cJSON *o;

	fields_add_str(b, F_RUN, "11111111-2222-3333-4444-555555555555");
	t = (struct fields) { b->data, b->len };
	o = ctl_json_event(m, &t);
	assert_non_null(o);
	assert_int_equal(json_write_line(json, o), 0);
	cJSON_Delete(o);
	monitor_print_text(m, &t, text);
	buf_free(b);
}

static void
print_events(FILE *json, FILE *text)
{
	struct msg_ctl_event m = { .seq = 41,
		.time_ns = INT64_C(1700000000123456789),
		.mono_ns = INT64_C(9007199254740993),
		.kind = EVENT_PUSH_COPY };
	struct buf b = { 0 };

	fields_add_str(&b, F_SERVICE, "web");
	fields_add_u64(&b, F_JOB, 12);
	fields_add_str(&b, F_CONTAINER_ID,
	    "0123456789abcdef0123456789abcdef"
	    "0123456789abcdef0123456789abcdef");
	fields_add_str(&b, F_IMAGE_ID, "sha256:fedcba9876543210");
	fields_add_str(&b, F_PATH, "src/a \"b\".js");
	fields_add_u64(&b, F_BYTES, UINT64_C(9007199254740993));
	print_event(&m, &b, json, text);
	m.seq++;
	m.kind = EVENT_PUSH_DELETE;
	fields_add_str(&b, F_CONTAINER, "web");
	fields_add_str(&b, F_CONTAINER_ID, "0123456789ab");
	fields_add_str(&b, F_PATH, "\xff\x1b[2J");
	print_event(&m, &b, json, text);
	m.seq++;
	m.kind = EVENT_PUSH_COMMAND;
	fields_add_str(&b, F_ARG, "npm");
	fields_add_str(&b, F_ARG, "install");
	fields_add_bool(&b, F_RERUN, true);
	fields_add_i64(&b, F_EXIT_CODE, -1);
	print_event(&m, &b, json, text);
	m.seq = 90;
	m.kind = EVENT_MONITOR_LOST;
	fields_add_u64(&b, F_FROM, 44);
	fields_add_u64(&b, F_TO, 90);
	print_event(&m, &b, json, text);
	m.seq++;
	m.kind = EVENT_PUSH_END;
	m.time_ns = -1; /* no time */
	fields_add_u64(&b, F_SEEN_TO_LIVE_US, 5012);
	print_event(&m, &b, json, text);
}

static void
event_forms(void **state)
{
	char *json, *text;
	size_t json_len, text_len;
	FILE *fj = open_memstream(&json, &json_len);
	FILE *ft = open_memstream(&text, &text_len);

	setenv("TZ", "UTC", 1);
	tzset();
	print_events(fj, ft);
	fclose(fj);
	fclose(ft);
	compare(GOLDEN "events.json", json, json_len);
	compare(GOLDEN "events.txt", text, text_len);
	assert_null(strchr(text, '\x1b'));
	free(json);
	free(text);
}

static void
times(void **state)
{
	char s[40], tiny[8];

	assert_int_equal(ctl_json_time(s, sizeof(s), 0), 0);
	assert_string_equal(s, "1970-01-01T00:00:00.000000000Z");
	assert_int_equal(ctl_json_time(s, sizeof(s),
			     INT64_C(4102444800000000001)),
	    0);
	assert_string_equal(s, "2100-01-01T00:00:00.000000001Z");
	assert_int_equal(ctl_json_time(s, sizeof(s), INT64_MAX), 0);
	assert_int_equal(ctl_json_time(s, sizeof(s), -1), -1);
	assert_int_equal(ctl_json_time(tiny, sizeof(tiny), 0), -1);
}

static void
every_error_has_an_exit_code(void **state)
{
	for (int code = ERR_WORKER_LOST; code <= ERR_TIMEOUT; code++) {
		assert_int_not_equal(ctl_exit_code(code), 0);
		assert_int_not_equal(ctl_exit_code(code), 76);
	}
	assert_int_equal(ctl_exit_code(ERR_REFUSED), 77);
	assert_int_equal(ctl_exit_code(ERR_WORKER_LOST), 75);
	assert_int_equal(ctl_exit_code(4711), 76);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_forms),
		cmocka_unit_test(status_of_nothing_has_all_keys),
		cmocka_unit_test(orphans_are_left_out),
		cmocka_unit_test(event_forms),
		cmocka_unit_test(times),
		cmocka_unit_test(every_error_has_an_exit_code),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
