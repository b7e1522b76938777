/*
 * Reloads: what running workers are told of a new configuration, and which
 * numbers there are.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/route_fake.h"

/* Configurations. */

static struct config_engine *
add_engine(struct config *c, const char *name)
{
	struct config_engine *e = xcalloc(1, sizeof(*e));

	e->name = xstrdup(name);
	e->host = xasprintf("unix:///nonexistent/%s.sock", name);
	TAILQ_INSERT_TAIL(&c->engines, e, link);
	return (e);
}

static struct config_service *
add_service(struct config *c, const char *name, struct config_engine *e)
{
	struct config_service *sv = xcalloc(1, sizeof(*sv));

	sv->manifest_fd = -1;
	sv->engine = e;
	sv->name = xstrdup(name);
	sv->dir = xasprintf("/nonexistent/%s", name);
	sv->dockerfile = xstrdup("Dockerfile");
	sv->image = xasprintf("%s:latest", name);
	sv->container = xstrdup(name);
	TAILQ_INSERT_TAIL(&c->services, sv, link);
	return (sv);
}

static void
apply(struct fixture *t, struct config *next)
{
	char *why = NULL;

	assert_int_equal(reload_apply(&t->sup, next, &why), 0);
	config_clear(next);
	fakes_pump(t);
}

static void
apply_not(struct fixture *t, struct config *next, const char *word)
{
	uint32_t serial = t->sup.serial;
	char *why = NULL;

	assert_int_equal(reload_apply(&t->sup, next, &why), -1);
	assert_non_null(why);
	assert_non_null(strstr(why, word));
	free(why);
	config_clear(next);
	assert_int_equal(t->sup.serial, serial);
	fakes_pump(t);
}

/* The next frame of that type, whatever comes before it; NULL: none. */
static struct got *
find_got(struct fake *w, enum msg_type type)
{
	while (w->read < w->n) {
		struct got *g = &w->got[w->read++];

		if (g->fd != -1)
			close(g->fd);
		g->fd = -1;
		if (g->head.type == type)
			return (g);
	}
	return (NULL);
}

static bool
got_drop(struct fake *w, enum conf_drop what, uint32_t id)
{
	struct got *g;

	while ((g = find_got(w, MSG_CONF_DROP)) != NULL)
		if ((uint32_t)g->fixed.n == what && g->fixed.n >> 32 == id)
			return (true);
	return (false);
}

static struct config_service *
service(struct fixture *t, const char *name)
{
	return (config_find_service(&t->sup.conf, name));
}

static uint32_t
instance_of(struct fixture *t, const char *engine)
{
	struct config_engine *e;

	TAILQ_FOREACH (e, &t->sup.conf.engines, link)
		if (strcmp(e->name, engine) == 0)
			return (e->instance);
	fail_msg("no engine %s", engine);
	return (0);
}

static unsigned
count_children(struct fixture *t)
{
	struct child *c;
	unsigned n = 0;

	CHILD_FOREACH (c, &t->sup)
		n++;
	return (n);
}

/* Tests. */

/* What is the same is not touched, and keeps its number. */
static void
test_same(void **state)
{
	struct fixture *t = *state;
	struct config next;

	config_init(&next);
	add_service(&next, "first", add_engine(&next, "e"));
	apply(t, &next);
	assert_int_equal(service(t, "first")->id, 0);
	assert_int_equal(instance_of(t, "e"), 3);
	assert_null(find_got(&t->plan, MSG_CONF_SERVICE));
	fake_forget(&t->plan);
	assert_non_null(find_got(&t->push, MSG_CONF_END));
}

/* A service that changes: the old one retires, a new one has its name. */
static void
test_changed(void **state)
{
	struct fixture *t = *state;
	struct config next;
	struct config_service *sv;
	struct got *g;

	config_init(&next);
	sv = add_service(&next, "first", add_engine(&next, "e"));
	strings_add(&sv->env, "A=b");
	apply(t, &next);
	sv = service(t, "first");
	assert_int_equal(sv->id, 1);
	assert_int_equal(sv->env.n, 1);
	g = find_got(&t->plan, MSG_CONF_SERVICE);
	assert_non_null(g);
	assert_int_equal((uint32_t)g->fixed.n, 0);
	g = find_got(&t->plan, MSG_CONF_SERVICE);
	assert_non_null(g);
	assert_int_equal((uint32_t)g->fixed.n, 1);
	g = find_got(&t->plan, MSG_CONF_END);
	assert_non_null(g);
	assert_int_equal(g->fixed.n, t->sup.serial);
	/* push maps the memory of the new one */
	g = find_got(&t->push, MSG_CONF_MEM);
	assert_non_null(g);
	assert_int_equal(g->fixed.n, MEM_MANIFEST | 1ull << 32);

	/* plan is done with the old one; it may say so once */
	fake_say_n(t, &t->plan, MSG_SERVICE_GONE, 0, 0, 0);
	assert_true(got_drop(&t->plan, DROP_SERVICE, 0));
	assert_true(got_drop(&t->push, DROP_SERVICE, 0));
	fake_say_n(t, &t->plan, MSG_SERVICE_GONE, 0, 0, 0);
	assert_false(got_drop(&t->plan, DROP_SERVICE, 0));
	/* and of one that does not retire, or was never there, in vain */
	fake_say_n(t, &t->plan, MSG_SERVICE_GONE, 0, 1, 0);
	fake_say_n(t, &t->plan, MSG_SERVICE_GONE, 0, 4711, 0);
	assert_ptr_equal(service(t, "first"), sv);
	assert_ptr_equal(TAILQ_FIRST(&t->sup.conf.services), sv);
}

/*
 * All workers have the same serial at the end of each change, those of other
 * engines too: a reload waits for it.
 */
static void
test_serial_of_all(void **state)
{
	struct fixture *t = *state;
	struct config next;
	struct config_engine *e;
	struct fake other = { 0 };
	struct got *g;

	config_init(&next);
	e = add_engine(&next, "e");
	add_engine(&next, "f");
	add_service(&next, "second", e);
	apply(t, &next);
	other.c = child_find(&t->sup, PROC_ENGINE, instance_of(t, "f"));
	assert_non_null(other.c);
	fake_restart(t, &other);
	fake_forget(&other);
	fake_forget(&t->engine);
	/* "first" was on e, which is no concern of f's worker */
	fake_say_n(t, &t->plan, MSG_SERVICE_GONE, 0, 0, 0);
	g = find_got(&t->engine, MSG_CONF_END);
	assert_non_null(g);
	assert_int_equal(g->fixed.n, t->sup.serial);
	assert_null(find_got(&t->engine, MSG_CONF_END));
	g = find_got(&other, MSG_CONF_END);
	assert_non_null(g);
	assert_int_equal(g->fixed.n, t->sup.serial);
	fake_die(&other);
}

/*
 * An engine goes with its last service, and what is told of that stands before
 * the end of the change.  Its number is not given anew while its worker lives.
 */
static void
test_engine_goes_and_comes(void **state)
{
	struct fixture *t = *state;
	struct config next;
	unsigned n = count_children(t);
	size_t at;

	config_init(&next);
	add_service(&next, "second", add_engine(&next, "f"));
	apply(t, &next);
	assert_int_equal(count_children(t), n + 1);
	assert_int_equal(instance_of(t, "e"), 3); /* "first" retires on it */
	signal(SIGTERM, SIG_IGN);                 /* it inherits that */
	fake_give_process(&t->engine);
	signal(SIGTERM, SIG_DFL);
	fake_forget(&t->plan);
	fake_say_n(t, &t->plan, MSG_SERVICE_GONE, 0, 0, 0);
	assert_true(got_drop(&t->plan, DROP_ENGINE, 3));
	at = t->plan.read;
	assert_non_null(find_got(&t->plan, MSG_CONF_END));
	assert_true(at < t->plan.read);
	assert_true(t->engine.c->removed);

	/* sixteen others: all but the number of the one that still ends */
	config_init(&next);
	add_service(&next, "second", add_engine(&next, "f"));
	for (int i = 0; i < ENGINES_MAX - 2; i++) {
		char name[8];

		snprintf(name, sizeof(name), "g%d", i);
		add_engine(&next, name);
	}
	apply(t, &next);
	for (struct config_engine *e = TAILQ_FIRST(&t->sup.conf.engines);
	     e != NULL; e = TAILQ_NEXT(e, link))
		assert_int_not_equal(e->instance, 3);
	assert_ptr_equal(child_find(&t->sup, PROC_ENGINE, 3), t->engine.c);
	assert_int_equal(count_children(t), 5 + ENGINES_MAX);
	config_init(&next);
	add_service(&next, "second", add_engine(&next, "f"));
	for (int i = 0; i < ENGINES_MAX - 1; i++) {
		char name[8];

		snprintf(name, sizeof(name), "g%d", i);
		add_engine(&next, name);
	}
	apply_not(t, &next, "g14");
	/* its process does not end of itself, and then has to */
	t->now = mono_add_ms(t->now, 5001);
	fakes_pump(t);
	fake_assert_killed(&t->engine, true);
	t->engine.c->reaped = true;
	fake_die(&t->engine);
	child_retire(t->engine.c);
	assert_null(child_find(&t->sup, PROC_ENGINE, 3));
	config_init(&next);
	add_service(&next, "second", add_engine(&next, "f"));
	add_engine(&next, "e");
	apply(t, &next);
	assert_non_null(child_find(&t->sup, PROC_ENGINE, instance_of(t, "e")));
}

/* An engine that is named again before its last service has gone stays. */
static void
test_engine_named_again(void **state)
{
	struct fixture *t = *state;
	struct config next;

	config_init(&next);
	add_service(&next, "second", add_engine(&next, "f"));
	apply(t, &next);
	config_init(&next);
	add_service(&next, "second", add_engine(&next, "f"));
	add_engine(&next, "e");
	apply(t, &next);
	fake_forget(&t->plan);
	fake_say_n(t, &t->plan, MSG_SERVICE_GONE, 0, 0, 0);
	assert_int_equal(instance_of(t, "e"), 3);
	assert_false(got_drop(&t->plan, DROP_ENGINE, 3));
	assert_false(t->engine.c->removed);
}

/* Who starts is told the retired ones too, as such. */
static void
test_retired_is_told_again(void **state)
{
	struct fixture *t = *state;
	struct config next;
	struct got *g;

	config_init(&next);
	add_engine(&next, "e");
	apply(t, &next);
	assert_null(service(t, "first"));
	fake_die(&t->plan);
	fake_spawn(&t->plan);
	configure_send(t->plan.c);
	fake_ready(&t->plan);
	fakes_pump(t);
	g = find_got(&t->plan, MSG_CONF_SERVICE);
	assert_non_null(g);
	assert_int_equal((uint32_t)g->fixed.n, 0);
	assert_int_equal(t->plan.c->conf_start, t->sup.serial);
	fake_say_n(t, &t->plan, MSG_SERVICE_GONE, 0, 0, 0);
	assert_true(TAILQ_EMPTY(&t->sup.conf.services));
}

/* Directories: a number each, readers are replaced, others are told. */
static void
test_roots(void **state)
{
	struct fixture *t = *state;
	struct config next;
	struct config_engine *e;
	uint32_t tree;

	config_init(&next);
	e = add_engine(&next, "e");
	add_service(&next, "first", e);
	free(add_service(&next, "a", e)->dir);
	config_find_service(&next, "a")->dir = xstrdup("/");
	free(add_service(&next, "b", e)->dir);
	config_find_service(&next, "b")->dir = xstrdup("/");
	apply(t, &next);
	tree = service(t, "a")->tree;
	assert_int_equal(service(t, "b")->tree, tree);
	assert_non_null(find_got(&t->plan, MSG_CONF_ROOT));
	assert_null(find_got(&t->push, MSG_CONF_ROOT));
	assert_true(t->push.c->policy.replacing);
	assert_true(t->watch.c->policy.replacing);
	assert_false(t->plan.c->policy.replacing);

	config_init(&next);
	e = add_engine(&next, "e");
	add_service(&next, "first", e);
	apply(t, &next);
	assert_true(got_drop(&t->plan, DROP_ROOT, tree));
	fake_forget(&t->control);
	/* the number is not given again */
	config_init(&next);
	e = add_engine(&next, "e");
	add_service(&next, "first", e);
	free(add_service(&next, "a", e)->dir);
	config_find_service(&next, "a")->dir = xstrdup("/");
	apply(t, &next);
	assert_int_not_equal(service(t, "a")->tree, tree);
}

/* While much is on its way out, more does not come in. */
static void
test_too_much_at_a_time(void **state)
{
	struct fixture *t = *state;
	char *big = xcalloc(1, CONFIG_BYTES_MAX), *why;
	struct config next;
	struct config_service *sv;
	unsigned done = 0;

	memset(big, 'x', CONFIG_BYTES_MAX - 4096);
	/* no worker is there: this is about what one would be told */
	fake_die(&t->plan);
	fake_die(&t->push);
	fake_die(&t->image);
	fake_die(&t->watch);
	fake_die(&t->engine);
	fake_die(&t->control);
	for (; done < 10; done++) {
		big[0] = (char)('a' + done);
		config_init(&next);
		sv = add_service(&next, "big", add_engine(&next, "e"));
		strings_add(&sv->env, big);
		if (reload_apply(&t->sup, &next, &why) == -1)
			break;
		config_clear(&next);
	}
	assert_int_equal(done, 3);
	assert_non_null(strstr(why, "on their way out"));
	free(why);
	config_clear(&next);
	free(big);
}

/* Files of a thousand reloads are closed. */
static void
test_files_do_not_grow(void **state)
{
	struct fixture *t = *state;
	struct config next;
	struct config_service *sv;
	uint32_t id;
	int before = 0;

	for (int i = 0; i < 1000; i++) {
		char value[32];

		snprintf(value, sizeof(value), "N=%d", i);
		id = service(t, "first")->id;
		config_init(&next);
		sv = add_service(&next, "first", add_engine(&next, "e"));
		strings_add(&sv->env, value);
		apply(t, &next);
		fake_say_n(t, &t->plan, MSG_SERVICE_GONE, 0, id, 0);
		fake_forget(&t->control);
		fake_forget(&t->watch);
		fake_forget(&t->engine);
		fake_forget(&t->image);
		fake_forget(&t->push);
		fake_forget(&t->plan);
		if (i == 0)
			before = fd_count();
	}
	assert_int_equal(fd_count(), before);
	assert_int_equal(service(t, "first")->id, 1000);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fakes_up, fakes_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_same),
		TEST(test_changed),
		TEST(test_serial_of_all),
		TEST(test_engine_goes_and_comes),
		TEST(test_engine_named_again),
		TEST(test_retired_is_told_again),
		TEST(test_roots),
		TEST(test_too_much_at_a_time),
		TEST(test_files_do_not_grow),
	};

	signal(SIGPIPE, SIG_IGN);
	setenv("XDG_STATE_HOME", "/nonexistent", 1);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
