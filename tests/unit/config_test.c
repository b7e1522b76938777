/*
 * What the config process says, taken frame by frame; and what tells one
 * configuration from another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "supervisor/config.h"

/* A frame as the channel hands it over. */
static int
take(struct config *c, enum msg_type type, const void *fixed, size_t len,
    const struct buf *tail, const char **why)
{
	struct frame f = { .head.type = (uint16_t)type,
		.def = msg_def(type),
		.payload_len = len + tail->len,
		.tail = { tail->data, tail->len },
		.fd = -1 };

	assert_int_equal(len, f.def->fixed);
	if (len > 0)
		memcpy(f.fixed.bytes, fixed, len);
	*why = NULL;
	return (config_take(c, &f, why));
}

static int
take_engine(struct config *c, const char *name, const char *host,
    const char **why)
{
	struct buf b = { 0 };
	int r;

	if (name != NULL)
		fields_add_str(&b, F_NAME, name);
	if (host != NULL)
		fields_add_str(&b, F_HOST, host);
	r = take(c, MSG_CONFIG_ENGINE, NULL, 0, &b, why);
	buf_free(&b);
	return (r);
}

/* All that a service has to have; NULL leaves one out. */
struct words {
	const char *name, *dir, *dockerfile, *image, *container;
};

static const struct words whole = { "s", "/srv/s", "Dockerfile", "s:latest",
	"s" };

static void
add_words(struct buf *b, const struct words *w)
{
	if (w->name != NULL)
		fields_add_str(b, F_NAME, w->name);
	if (w->dir != NULL)
		fields_add_str(b, F_DIR, w->dir);
	if (w->dockerfile != NULL)
		fields_add_str(b, F_DOCKERFILE, w->dockerfile);
	if (w->image != NULL)
		fields_add_str(b, F_IMAGE, w->image);
	if (w->container != NULL)
		fields_add_str(b, F_CONTAINER, w->container);
}

static int
take_service(struct config *c, const struct words *w, uint32_t engine,
    const char **why)
{
	struct msg_config_service m = { .engine = engine, .flags = UINT32_MAX };
	struct buf b = { 0 };
	int r;

	add_words(&b, w);
	fields_add_str(&b, F_ENV, "A=b");
	fields_add_str(&b, F_ENV, "C=d");
	fields_add_str(&b, F_PATH, "/etc/wharf/wharfd.yaml");
	fields_add_u64(&b, F_LINE, 7);
	r = take(c, MSG_CONFIG_SERVICE, &m, sizeof(m), &b, why);
	buf_free(&b);
	return (r);
}

static int
set_up(void **state)
{
	struct config *c = xcalloc(1, sizeof(*c));
	const char *why;

	config_init(c);
	assert_int_equal(take_engine(c, "e", "unix:///e.sock", &why), 0);
	*state = c;
	return (0);
}

static int
tear_down(void **state)
{
	config_clear(*state);
	free(*state);
	return (0);
}

static void
test_whole(void **state)
{
	struct config *c = *state;
	const struct config_service *s;
	const char *why;

	assert_int_equal(take_service(c, &whole, 0, &why), 0);
	s = config_find_service(c, "s");
	assert_non_null(s);
	assert_ptr_equal(s->engine, TAILQ_FIRST(&c->engines));
	/* flags that only the supervisor sets are not taken */
	assert_int_equal(s->flags, SERVICE_KEEP);
	assert_string_equal(s->dir, "/srv/s");
	assert_int_equal(s->env.n, 2);
	assert_string_equal(s->env.v[1], "C=d");
	assert_string_equal(s->file, "/etc/wharf/wharfd.yaml");
	assert_int_equal(s->line, 7);
	assert_null(config_find_service(c, "t"));
}

static void
test_not_whole(void **state)
{
	static const struct words bad[] = {
		{ NULL, "/srv/s", "Dockerfile", "s", "s" },
		{ "s", NULL, "Dockerfile", "s", "s" },
		{ "s", "/srv/s", NULL, "s", "s" },
		{ "s", "/srv/s", "Dockerfile", NULL, "s" },
		{ "s", "/srv/s", "Dockerfile", "s", NULL },
		{ "s", "srv/s", "Dockerfile", "s", "s" },
		{ "s", "", "Dockerfile", "s", "s" },
		{ "s", "/srv/s", "/etc/passwd", "s", "s" },
		{ "s", "/srv/s", "a/../../b", "s", "s" },
		/* the name becomes a part of a file's */
		{ "../../etc/cron.d/x", "/srv/s", "Dockerfile", "s", "s" },
		{ "a/b", "/srv/s", "Dockerfile", "s", "s" },
		{ "", "/srv/s", "Dockerfile", "s", "s" },
	};
	struct config *c = *state;
	const char *why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(take_service(c, &bad[i], 0, &why), -1);
		assert_non_null(strstr(why, "not whole"));
	}
}

/* The n-th engine has to be there before. */
static void
test_order(void **state)
{
	struct config *c = *state;
	const char *why;

	assert_int_equal(take_service(c, &whole, 1, &why), -1);
	assert_int_equal(take_service(c, &whole, UINT32_MAX, &why), -1);
}

static void
test_twice(void **state)
{
	struct config *c = *state;
	const char *why;

	assert_int_equal(take_service(c, &whole, 0, &why), 0);
	assert_int_equal(take_service(c, &whole, 0, &why), -1);
	assert_non_null(strstr(why, "twice"));
	assert_int_equal(take_engine(c, "e", "unix:///f.sock", &why), -1);
	assert_non_null(strstr(why, "twice"));
}

static void
test_engines(void **state)
{
	struct config *c = *state;
	const char *why;
	char name[8];

	assert_int_equal(take_engine(c, "a", "tcp://1.2.3.4", &why), -1);
	assert_int_equal(take_engine(c, "b", "unix://e", &why), -1);
	assert_int_equal(take_engine(c, "c", NULL, &why), -1);
	assert_int_equal(take_engine(c, NULL, "unix:///e", &why), -1);
	assert_int_equal(take_engine(c, "-", "unix:///e", &why), -1);
	for (int i = 6; i < ENGINES_MAX; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		assert_int_equal(take_engine(c, name, "unix:///e", &why), 0);
	}
	assert_int_equal(take_engine(c, "y", "unix:///e", &why), -1);
	assert_string_equal(why, "too many engines");
}

static void
test_many(void **state)
{
	struct config *c = *state;
	struct words w = whole;
	const char *why;
	char name[16];

	w.name = name;
	for (int i = 0; i < SERVICES_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		assert_int_equal(take_service(c, &w, 0, &why), 0);
	}
	w.name = "one-more";
	assert_int_equal(take_service(c, &w, 0, &why), -1);
	assert_string_equal(why, "too many services");
}

/* A service of one very long value, or of very many. */
static int
take_long(struct config *c, const char *name, size_t len, size_t n,
    const char **why)
{
	struct words w = whole;
	struct msg_config_service m = { 0 };
	struct buf b = { 0 };
	char *v = xcalloc(1, len + 1);
	int r;

	memset(v, 'x', len);
	w.name = name;
	add_words(&b, &w);
	while (n-- > 0)
		fields_add_str(&b, F_BIND, v);
	r = take(c, MSG_CONFIG_SERVICE, &m, sizeof(m), &b, why);
	buf_free(&b);
	free(v);
	return (r);
}

static void
test_long(void **state)
{
	struct config *c = *state;
	const char *why;
	char name[16];
	int r = 0, n = 0;

	/* as a frame it came; with a larger head it would not go on as one */
	assert_int_equal(take_long(c, "a", FRAME_MAX - 200, 1, &why), -1);
	assert_string_equal(why, "something too long");
	assert_int_equal(take_long(c, "b", 1, 4097, &why), -1);
	assert_non_null(strstr(why, "too long a list"));
	while (r == 0) {
		snprintf(name, sizeof(name), "c%d", n++);
		r = take_long(c, name, 200000, 1, &why);
	}
	assert_string_equal(why, "services that are too large");
	/* what config itself allows is below that */
	assert_in_range(n, 4 * 1024 * 1024 / 200000 + 1, 30);
}

static void
test_global(void **state)
{
	struct config *c = *state;
	struct msg_config_global m = { .has = CONFIG_HAS_LOG,
		.sandbox = SANDBOX_TRAP,
		.log = LOG_JSON };
	struct buf b = { 0 };
	const char *why;

	fields_add_str(&b, F_SOCKET, "/run/s");
	assert_int_equal(take(c, MSG_CONFIG_GLOBAL, &m, sizeof(m), &b, &why),
	    0);
	/* said twice, the second counts, and nothing is lost */
	assert_int_equal(take(c, MSG_CONFIG_GLOBAL, &m, sizeof(m), &b, &why),
	    0);
	assert_string_equal(c->socket, "/run/s");
	assert_int_equal(c->global.sandbox, SANDBOX_TRAP);
	m.sandbox = SANDBOX_OFF + 1;
	assert_int_equal(take(c, MSG_CONFIG_GLOBAL, &m, sizeof(m), &b, &why),
	    -1);
	m.sandbox = SANDBOX_ON;
	m.log = LOG_SYSLOG + 1;
	assert_int_equal(take(c, MSG_CONFIG_GLOBAL, &m, sizeof(m), &b, &why),
	    -1);
	buf_free(&b);
}

/* Comparing: each setting counts. */

static void
set(char **p, const char *s)
{
	free(*p);
	*p = s != NULL ? xstrdup(s) : NULL;
}

static void
test_same(void **state)
{
	struct config *c = *state, d;
	struct config_service *a, *b;
	struct strings *lists[4];
	char **texts[7];
	const char *why;

	config_init(&d);
	assert_int_equal(take_engine(&d, "e", "unix:///e.sock", &why), 0);
	assert_int_equal(take_service(c, &whole, 0, &why), 0);
	assert_int_equal(take_service(&d, &whole, 0, &why), 0);
	a = TAILQ_FIRST(&c->services);
	b = TAILQ_FIRST(&d.services);
	assert_true(config_same_service(a, b));
	/* where it is written is no setting */
	b->line = 8;
	assert_true(config_same_service(a, b));
	memcpy(texts,
	    (char **[]) { &b->name, &b->dir, &b->dockerfile, &b->image,
		&b->container, &b->target, &b->network },
	    sizeof(texts));
	for (size_t i = 0; i < 7; i++) {
		char *old = *texts[i] != NULL ? xstrdup(*texts[i]) : NULL;

		set(texts[i], "other");
		assert_false(config_same_service(a, b));
		set(texts[i], old);
		free(old);
		assert_true(config_same_service(a, b));
	}
	memcpy(lists,
	    (struct strings *[]) { &b->env, &b->ports, &b->binds,
		&b->build_args },
	    sizeof(lists));
	for (size_t i = 0; i < 4; i++) {
		strings_add(lists[i], "x=y");
		assert_false(config_same_service(a, b));
		free(lists[i]->v[--lists[i]->n]);
		assert_true(config_same_service(a, b));
	}
	b->env.v[1][0]++;
	assert_false(config_same_service(a, b));
	b->env.v[1][0]--;
	b->flags ^= SERVICE_KEEP;
	assert_false(config_same_service(a, b));
	b->flags ^= SERVICE_KEEP;
	set(&b->engine->api, "1.41");
	assert_false(config_same_service(a, b));
	config_clear(&d);
}

/* Moved, it is whole at its new place and gone from the old. */
static void
test_move(void **state)
{
	struct config *c = *state, d;
	const char *why;

	assert_int_equal(take_service(c, &whole, 0, &why), 0);
	c->socket = xstrdup("/run/s");
	config_init(&d);
	assert_int_equal(take_engine(&d, "old", "unix:///e.sock", &why), 0);
	config_move(&d, c);
	assert_true(TAILQ_EMPTY(&c->services));
	assert_true(TAILQ_EMPTY(&c->engines));
	assert_null(c->socket);
	assert_non_null(config_find_service(&d, "s"));
	assert_string_equal(TAILQ_FIRST(&d.engines)->name, "e");
	assert_string_equal(d.socket, "/run/s");
	config_clear(&d);
	config_engine_free(NULL);
	config_service_free(NULL);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_whole),
		TEST(test_not_whole),
		TEST(test_order),
		TEST(test_twice),
		TEST(test_engines),
		TEST(test_many),
		TEST(test_long),
		TEST(test_global),
		TEST(test_same),
		TEST(test_move),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
