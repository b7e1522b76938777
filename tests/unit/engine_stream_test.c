/*
 * Engine worker, pure parts: framed output and streams of JSON, cut anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workers/engine/demux.h"
#include "workers/engine/jsonsplit.h"

struct got {
	struct buf out[3];
	unsigned calls;
	int stop;
};

static int
take(void *arg, unsigned stream, const void *p, size_t n)
{
	struct got *g = arg;

	assert_in_range(stream, 1, 2);
	buf_add(&g->out[stream], p, n);
	g->calls++;
	return (g->stop ? -1 : 0);
}

static void
got_free(struct got *g)
{
	buf_free(&g->out[1]);
	buf_free(&g->out[2]);
}

static const uint8_t framed[] = { 1, 0, 0, 0, 0, 0, 0, 5, 'h', 'e', 'l', 'l',
	'o', 2, 0, 0, 0, 0, 0, 0, 3, 'e', 'r', 'r', 1, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 1, '!' };

/* Fed in two pieces at every place, and byte by byte. */
static void
test_demux_split(void **state)
{
	for (size_t cut = 0; cut <= sizeof(framed); cut++) {
		struct demux d = { 0 };
		struct got g = { 0 };

		assert_int_equal(demux_feed(&d, framed, cut, take, &g), 0);
		assert_int_equal(demux_feed(&d, framed + cut,
				     sizeof(framed) - cut, take, &g),
		    0);
		assert_true(demux_at_rest(&d));
		assert_int_equal(g.out[1].len, 6);
		assert_memory_equal(g.out[1].data, "hello!", 6);
		assert_int_equal(g.out[2].len, 3);
		assert_memory_equal(g.out[2].data, "err", 3);
		got_free(&g);
	}
}

static void
test_demux_hostile(void **state)
{
	const uint8_t big[] = { 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'x' };
	const uint8_t stream[] = { 4, 0, 0, 0, 0, 0, 0, 1, 'x' };
	const uint8_t zeros[] = { 1, 0, 1, 0, 0, 0, 0, 1, 'x' };
	struct demux d = { 0 };
	struct got g = { 0 };

	assert_int_equal(demux_feed(&d, big, sizeof(big), take, &g), 0);
	assert_int_equal(g.out[2].len, 1);
	assert_false(demux_at_rest(&d));
	assert_int_equal(d.left, 0xfffffffe);
	d = (struct demux) { 0 };
	assert_int_equal(demux_feed(&d, stream, sizeof(stream), take, &g), -1);
	d = (struct demux) { 0 };
	assert_int_equal(demux_feed(&d, zeros, sizeof(zeros), take, &g), -1);
	d = (struct demux) { 0 };
	assert_int_equal(demux_feed(&d, "plain text", 10, take, &g), -1);
	d = (struct demux) { 0 };
	g.calls = 0;
	g.stop = 1;
	assert_int_equal(demux_feed(&d, framed, sizeof(framed), take, &g), -1);
	assert_int_equal(g.calls, 1);
	got_free(&g);
}

/* JSON. */

static int
join(void *arg, const void *p, size_t n)
{
	struct buf *b = arg;

	buf_add(b, p, n);
	buf_add(b, "|", 1);
	return (0);
}

static void
test_json_split(void **state)
{
	static const char in[] = "\x1e{\"a\":\"}\\\"{\"}\n \x1e"
				 "{\"b\":[{},[\"]\"]]}{}\r\n";
	static const char want[] = "{\"a\":\"}\\\"{\"}|"
				   "{\"b\":[{},[\"]\"]]}|{}|";
	size_t n = sizeof(in) - 1;

	for (size_t cut = 0; cut <= n; cut++) {
		struct jsonsplit s = { 0 };
		struct buf b = { 0 };

		assert_int_equal(jsonsplit_feed(&s, in, cut, join, &b), 0);
		assert_int_equal(jsonsplit_feed(&s, in + cut, n - cut, join,
				     &b),
		    0);
		assert_int_equal(b.len, sizeof(want) - 1);
		assert_memory_equal(b.data, want, b.len);
		buf_free(&b);
		jsonsplit_reset(&s);
	}
}

static void
test_json_bytes(void **state)
{
	static const char in[] = "{\"k\":\"v\"}\n{\"l\":{}}";
	struct jsonsplit s = { 0 };
	struct buf b = { 0 };

	for (size_t i = 0; i < sizeof(in) - 1; i++)
		assert_int_equal(jsonsplit_feed(&s, in + i, 1, join, &b), 0);
	assert_int_equal(b.len, sizeof("{\"k\":\"v\"}|{\"l\":{}}|") - 1);
	buf_free(&b);
	jsonsplit_reset(&s);
}

static void
test_json_hostile(void **state)
{
	struct jsonsplit s = { 0 };
	struct buf b = { 0 };
	char block[4096];
	int r = 0;
	size_t fed = 0;

	assert_int_equal(jsonsplit_feed(&s, "[1]", 3, join, &b), -1);
	jsonsplit_reset(&s);
	assert_int_equal(jsonsplit_feed(&s, "<html>", 6, join, &b), -1);
	jsonsplit_reset(&s);
	assert_int_equal(jsonsplit_feed(&s, "{}}", 3, join, &b), -1);
	jsonsplit_reset(&s);
	/* an object without end */
	memset(block, 'x', sizeof(block));
	assert_int_equal(jsonsplit_feed(&s, "{\"a\":\"", 6, join, &b), 0);
	while (r == 0 && fed <= 2 * JSONSPLIT_MAX) {
		r = jsonsplit_feed(&s, block, sizeof(block), join, &b);
		fed += sizeof(block);
	}
	assert_int_equal(r, -1);
	assert_true(fed <= JSONSPLIT_MAX + 2 * sizeof(block));
	assert_true(s.obj.len <= JSONSPLIT_MAX);
	jsonsplit_reset(&s);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demux_split),
		cmocka_unit_test(test_demux_hostile),
		cmocka_unit_test(test_json_split),
		cmocka_unit_test(test_json_bytes),
		cmocka_unit_test(test_json_hostile),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
