/*
 * Bodies from pipes (workers/engine/body.c): whole only with BODY_END.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "workers/engine/body.h"
#include "workers/engine/http.h"

#define BLOCK 512

struct bench {
	struct loop *loop;
	struct body *body;
	int w; /* the sender's end, -1: closed */
	enum body_news last;
	unsigned news;
	mono_t now;
};

static void
on_news(void *arg, enum body_news news)
{
	struct bench *b = arg;

	b->last = news;
	b->news++;
}

static void
turns(struct bench *b)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_once(b->loop, 0), 0);
}

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int p[2];

	assert_int_equal(pipe(p), 0);
	b->now.ns = 1000000000;
	mono_fake(&b->now);
	b->loop = loop_new();
	b->w = p[1];
	b->body = body_new(b->loop, p[0], on_news, b);
	*state = b;
	return (0);
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	body_free(b->body);
	loop_free(b->loop);
	if (b->w != -1)
		close(b->w);
	mono_fake(NULL);
	free(b);
	return (0);
}

/* A tar's first block, or something else with that at its start. */
static void
send_block(struct bench *b, const char *magic, size_t at)
{
	char block[BLOCK] = { 0 };

	memcpy(block + at, magic, strlen(magic));
	assert_int_equal(write(b->w, block, BLOCK), BLOCK);
}

static void
sender_closes(struct bench *b)
{
	close(b->w);
	b->w = -1;
	turns(b);
}

/* Everything that can be read now; what body_read said last. */
static ssize_t
read_all(struct bench *b, size_t *total)
{
	char piece[100];
	ssize_t n;

	while ((n = body_read(b->body, piece, sizeof(piece))) > 0 &&
	    n <= (ssize_t)sizeof(piece))
		*total += (size_t)n;
	return (n);
}

static void
test_whole(void **state)
{
	struct bench *b = *state;
	size_t total = 0;

	send_block(b, "ustar", 257);
	turns(b);
	assert_int_equal(b->last, BODY_READY);
	assert_int_equal(read_all(b, &total), HTTP_PAUSE);
	assert_int_equal(write(b->w, "more", 4), 4);
	body_end(b->body, BLOCK + 4);
	turns(b);
	assert_int_equal(b->last, BODY_MORE);
	assert_int_equal(read_all(b, &total), 0);
	assert_int_equal(total, BLOCK + 4);
}

/* The sender was killed: end-of-file, and nobody says that it is whole. */
static void
test_no_body_end(void **state)
{
	struct bench *b = *state;
	size_t total = 0;

	send_block(b, "ustar", 257);
	turns(b);
	assert_int_equal(b->last, BODY_READY);
	sender_closes(b);
	assert_int_equal(read_all(b, &total), HTTP_PAUSE);
	assert_int_equal(total, BLOCK);
	turns(b);
	assert_int_equal(read_all(b, &total), HTTP_PAUSE);
	/* a BODY_END that is on its way gets its time, and no more */
	b->now = mono_add_ms(b->now, 11000);
	turns(b);
	assert_int_equal(b->last, BODY_BAD);
	assert_string_equal(body_why(b->body), "body ended without BODY_END");
	assert_int_equal(read_all(b, &total), HTTP_ABORT);
}

static void
test_shorter(void **state)
{
	struct bench *b = *state;
	size_t total = 0;

	send_block(b, "ustar", 257);
	turns(b);
	body_end(b->body, BLOCK + 1);
	assert_int_equal(read_all(b, &total), HTTP_PAUSE);
	sender_closes(b);
	assert_int_equal(read_all(b, &total), HTTP_ABORT);
	assert_string_equal(body_why(b->body),
	    "body is shorter than its sender says");
}

static void
test_longer(void **state)
{
	struct bench *b = *state;
	size_t total = 0;

	send_block(b, "ustar", 257);
	turns(b);
	assert_int_equal(write(b->w, "x", 1), 1);
	assert_int_equal(read_all(b, &total), HTTP_PAUSE);
	body_end(b->body, BLOCK);
	turns(b);
	assert_int_equal(b->last, BODY_BAD);
	assert_int_equal(read_all(b, &total), HTTP_ABORT);
	assert_string_equal(body_why(b->body),
	    "body is longer than its sender says");
}

/* What is compressed, or no tar at all, never gets to the engine. */
static void
test_no_tar(void **state)
{
	struct bench *b = *state;

	send_block(b, "\x1f\x8b", 0);
	turns(b);
	assert_int_equal(b->last, BODY_BAD);
	assert_string_equal(body_why(b->body), "body is no uncompressed tar");
}

static void
test_empty(void **state)
{
	struct bench *b = *state;

	body_end(b->body, 0);
	sender_closes(b);
	assert_int_equal(b->last, BODY_BAD);
	assert_string_equal(body_why(b->body), "body is no tar");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { T(test_whole), T(test_no_body_end),
		T(test_shorter), T(test_longer), T(test_no_tar),
		T(test_empty) };

	return (cmocka_run_group_tests_name("engine_body", tests, NULL, NULL));
}
