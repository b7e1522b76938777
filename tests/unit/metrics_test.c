/*
 * Counters of control, and that many of them reach a client that reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "field.h"
#include "tests/unit/control_fake.h"
#include "workers/control/metrics.h"

#define CREATED INT64_C(1700000000000000000)

/* What was told of one counter; want all parts, in this order. */
struct told {
	const char *name;
	const char *service;
	const char *result;
	uint64_t us; /* 0: none */
	uint64_t count;
	unsigned times;
};

static bool
is(const struct fields *t, enum field_key key, const char *want)
{
	struct field f;

	if (!fields_get(t, key, &f))
		return (want == NULL);
	return (want != NULL && f.len == strlen(want) &&
	    memcmp(f.str, want, f.len) == 0);
}

static void
on_tell(void *arg, const struct buf *b)
{
	struct told *w = arg;
	struct fields t = { b->data, b->len };

	assert_int_equal(fields_u64(&t, F_CREATED_NS, 0), CREATED);
	if (!is(&t, F_NAME, w->name) || !is(&t, F_SERVICE, w->service) ||
	    !is(&t, F_RESULT, w->result) || fields_u64(&t, F_US, 0) != w->us)
		return;
	w->times++;
	w->count = fields_u64(&t, F_COUNT, UINT64_MAX);
}

static uint64_t
count_of(const struct metrics *m, const char *name, const char *service,
    const char *result, uint64_t us)
{
	struct told w = { name, service, result, us, 0, 0 };

	for (size_t i = 0; metrics_tell(m, i, on_tell, &w); i++)
		continue;
	assert_int_equal(w.times, 1);
	return (w.count);
}

static void
count(struct metrics *m, enum event_kind kind, const char *service,
    const char *result, uint64_t us)
{
	struct buf b = { 0 };
	struct fields t;

	if (service != NULL)
		fields_add_str(&b, F_SERVICE, service);
	if (result != NULL)
		fields_add_str(&b, F_RESULT, result);
	fields_add_u64(&b, F_FILES, 2);
	fields_add_u64(&b, F_BYTES, 30);
	fields_add_u64(&b, F_DELETED, 4);
	if (us != 0)
		fields_add_u64(&b, F_SEEN_TO_LIVE_US, us);
	t = (struct fields) { b.data, b.len };
	metrics_count(m, kind, &t);
	buf_free(&b);
}

static void
test_counts(void **state)
{
	struct metrics *m = metrics_new(CREATED);

	count(m, EVENT_PUSH_END, "a", "ok", 10000);
	count(m, EVENT_PUSH_END, "a", "ok", 10001);
	count(m, EVENT_PUSH_END, "a", "failed", 0);
	count(m, EVENT_PUSH_CANCEL, "a", "cancelled", 0);
	count(m, EVENT_PUSH_END, "ab", "no such result", 60000001);
	count(m, EVENT_PUSH_END, "ab", NULL, 0);
	count(m, EVENT_BUILD_END, "a", "ok", 0);
	count(m, EVENT_PUSH_RESTART, "ab", NULL, 0);
	count(m, EVENT_PUSH_END, NULL, "ok", 0);
	count(m, EVENT_PUSH_COPY, "c", "ok", 0);
	metrics_lost(m, 5);
	metrics_lost(m, 2);
	assert_int_equal(count_of(m, "pushes", "a", "ok", 0), 2);
	assert_int_equal(count_of(m, "pushes", "a", "failed", 0), 1);
	assert_int_equal(count_of(m, "pushes", "a", "cancelled", 0), 1);
	assert_int_equal(count_of(m, "pushes", "ab", "other", 0), 2);
	assert_int_equal(count_of(m, "pushes", "ab", "ok", 0), 0);
	assert_int_equal(count_of(m, "builds", "a", "ok", 0), 1);
	assert_int_equal(count_of(m, "builds", "ab", "ok", 0), 0);
	assert_int_equal(count_of(m, "files", "a", NULL, 0), 8);
	assert_int_equal(count_of(m, "bytes", "a", NULL, 0), 120);
	assert_int_equal(count_of(m, "deleted", "ab", NULL, 0), 8);
	assert_int_equal(count_of(m, "restarts", "ab", NULL, 0), 1);
	assert_int_equal(count_of(m, "live", "a", NULL, 10000), 1);
	assert_int_equal(count_of(m, "live", "a", NULL, 25000), 1);
	assert_int_equal(count_of(m, "live", "a", NULL, 60000000), 0);
	assert_int_equal(count_of(m, "live", "ab", NULL, 0), 1);
	assert_int_equal(count_of(m, "live_us", "a", NULL, 0), 20001);
	assert_int_equal(count_of(m, "lost", NULL, NULL, 0), 7);
	metrics_free(m);
	metrics_free(NULL);
}

/* Of more services than can be, the first ones are counted. */
static void
test_bounded(void **state)
{
	struct metrics *m = metrics_new(CREATED);
	struct told none = { .name = "" };
	char name[16];
	size_t n = 0;

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		count(m, EVENT_PUSH_END, name, "ok", 0);
	}
	while (metrics_tell(m, n, on_tell, &none))
		n++;
	assert_int_equal(n, 4096 + 1);
	count(m, EVENT_PUSH_END, "s4095", "ok", 0);
	assert_int_equal(count_of(m, "pushes", "s4095", "ok", 0), 2);
	metrics_free(m);
}

/* Megabytes of them: told as fast as they are read, to the last one. */
static void
test_many_are_told(void **state)
{
	struct desk *d = *state;
	struct peer *p = peer_new(d, 1000);
	struct control *ct = d->w.state;
	char name[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		count(ct->metrics, EVENT_PUSH_END, name, "ok", 1);
	}
	peer_ask(p, MSG_CTL_METRICS, NULL);
	desk_run_ms(d, 3000);
	assert_false(p->ended);
	assert_int_equal(p->answers, 1);
	assert_int_equal(p->code, 0);
	assert_int_equal(desk_clients(d), 1);
	peer_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test_setup_teardown(test_many_are_told, desk_up,
		    desk_down),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
