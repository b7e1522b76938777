/*
 * Workers from spawn to end, and reloads with them: processes that die, hang,
 * do not take what they are told, or do not go.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/unit/actor.h"
#include "tests/unit/route_fake.h"

/* Parts. */

static bool
play_exit_config(struct actor *a, struct frame *f)
{
	if (f->head.type == MSG_CONF_END)
		loop_stop(a->loop, EX_CONFIG);
	return (true);
}

static bool
play_dies_early(struct actor *a, struct frame *f)
{
	if (f->head.type == MSG_CONF_END)
		loop_stop(a->loop, 1);
	return (true);
}

/* Takes no other configuration than its first. */
static bool
play_dies_of_reload(struct actor *a, struct frame *f)
{
	if (f->head.type == MSG_CONF_END && a->ready)
		loop_stop(a->loop, 1);
	return (f->head.type == MSG_CONF_END && a->ready);
}

static bool
play_never_takes(struct actor *a, struct frame *f)
{
	return (f->head.type == MSG_CONF_END && a->ready);
}

static bool
play_never_ready(struct actor *a, struct frame *f)
{
	return (f->head.type == MSG_CONF_END);
}

static bool
play_no_pong(struct actor *a, struct frame *f)
{
	return (f->head.type == MSG_PING);
}

static bool
play_stays(struct actor *a, struct frame *f)
{
	signal(SIGTERM, SIG_IGN);
	return (f->head.type == MSG_STOP);
}

/* What is for others to say. */
static bool
play_violates(struct actor *a, struct frame *f)
{
	if (f->head.type != MSG_CONF_END)
		return (false);
	actor_ready(a);
	actor_say_n(a, MSG_CONFIG_DONE, 0, 0);
	return (true);
}

static bool
play_long_facts(struct actor *a, struct frame *f)
{
	char text[5000];
	struct buf b = { 0 };

	if (f->head.type != MSG_CONF_END)
		return (false);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	fields_add_str(&b, F_SB_NOTE, text);
	actor_say(a, MSG_READY, 0, NULL, &b);
	buf_free(&b);
	return (true);
}

static bool
play_ready_twice(struct actor *a, struct frame *f)
{
	if (f->head.type != MSG_CONF_END || a->ready)
		return (false);
	actor_ready(a);
	actor_ready(a);
	return (true);
}

/* Past its own log, and in pieces. */
static bool
play_talks(struct actor *a, struct frame *f)
{
	if (f->head.type != MSG_CONF_END || a->ready)
		return (false);
	printf("one\ntwo");
	fflush(stdout);
	for (int i = 0; i < 3000; i++)
		printf("%s", "xxx");
	printf("\nlast");
	fflush(stdout);
	return (false);
}

/* config: an engine and as many services as its part says. */

static void
say_service(struct actor *a, const char *name, const char *dir, const char *env)
{
	struct msg_config_service m = { 0 };
	struct buf b = { 0 };

	fields_add_str(&b, F_NAME, name);
	fields_add_str(&b, F_DIR, dir);
	fields_add_str(&b, F_DOCKERFILE, "Dockerfile");
	fields_add_str(&b, F_IMAGE, "s:latest");
	fields_add_str(&b, F_CONTAINER, name);
	fields_add_str(&b, F_ENV, env);
	actor_say(a, MSG_CONFIG_SERVICE, 0, &m, &b);
	buf_free(&b);
}

static bool
play_config(struct actor *a, struct frame *f)
{
	struct msg_config_global g = { 0 };
	struct buf b = { 0 };

	if (f->head.type != MSG_CONF_END)
		return (false);
	actor_ready(a);
	if (strcmp(a->part, "log") == 0) {
		g.has = CONFIG_HAS_LOG;
		g.log = LOG_JSON;
	}
	actor_say(a, MSG_CONFIG_GLOBAL, 0, &g, NULL);
	fields_add_str(&b, F_NAME, "e");
	fields_add_str(&b, F_HOST, "unix:///nonexistent/e.sock");
	actor_say(a, MSG_CONFIG_ENGINE, 0, NULL, &b);
	buf_free(&b);
	if (strcmp(a->part, "other") == 0)
		say_service(a, "t", "/", "A=b");
	else
		say_service(a, "s", "/nonexistent", "A=b");
	actor_say_n(a, MSG_CONFIG_DONE, 0,
	    strcmp(a->part, "bad") == 0 ? EX_DATAERR : 0);
	return (true);
}

static const struct actor_part parts[] = {
	{ "exit-config", play_exit_config },
	{ "dies-early", play_dies_early },
	{ "dies-of-reload", play_dies_of_reload },
	{ "never-takes", play_never_takes },
	{ "never-ready", play_never_ready },
	{ "no-pong", play_no_pong },
	{ "stays", play_stays },
	{ "violates", play_violates },
	{ "long-facts", play_long_facts },
	{ "ready-twice", play_ready_twice },
	{ "talks", play_talks },
	{ "one", play_config },
	{ "other", play_config },
	{ "bad", play_config },
	{ "log", play_config },
	{ NULL, NULL },
};

/* Workers. */

static void
test_killed(void **state)
{
	struct stage *w = *state;
	struct child *c;
	uint32_t gen;

	stage_start(w);
	c = stage_child(w, PROC_PUSH);
	gen = c->generation;
	stage_turn(w, 2000);
	kill(c->pid, SIGKILL);
	stage_until(w, c->generation == gen + 1 && child_is_ready(c));
	assert_string_equal(c->last_exit, "signal 9 (KILL)");
	assert_int_equal(c->policy.restarts, 1);
}

static void
test_dies_early(void **state)
{
	struct stage *w = *state;
	struct child *c;

	stage_start(w);
	c = stage_child(w, PROC_PUSH);
	stage_part(w, PROC_PUSH, "dies-early");
	kill(c->pid, SIGKILL);
	stage_until(w, c->policy.phase == POLICY_BACKOFF);
	stage_part(w, PROC_PUSH, "talks");
	stage_turn(w, 1000);
	stage_until(w, child_is_ready(c));
	kill(c->pid, SIGTERM);
	stage_until(w, c->policy.phase != POLICY_READY);
	assert_string_equal(c->last_exit, "signal 15 (TERM)");
}

static bool
others_have_answered(struct stage *w)
{
	struct child *c;

	CHILD_FOREACH (c, &w->sup)
		if (c->role != PROC_PUSH && c->misses > 0)
			return (false);
	return (true);
}

static void
test_hangs(void **state)
{
	struct stage *w = *state;
	struct child *c;
	uint32_t gen;

	stage_part(w, PROC_PUSH, "no-pong");
	stage_start(w);
	c = stage_child(w, PROC_PUSH);
	gen = c->generation;
	for (int i = 0; i <= POLICY_MISSES; i++) {
		assert_int_equal(c->generation, gen);
		stage_turn(w, POLICY_PING_MS + 1);
		stage_until(w, others_have_answered(w));
	}
	stage_until(w, c->generation == gen + 1);
	assert_string_equal(c->last_exit, "signal 9 (KILL)");
	/* the others answered */
	assert_int_equal(stage_child(w, PROC_PLAN)->generation, 1);
}

static void
test_never_ready(void **state)
{
	struct stage *w = *state;
	struct child *c;

	stage_start(w);
	c = stage_child(w, PROC_IMAGE);
	stage_part(w, PROC_IMAGE, "never-ready");
	kill(c->pid, SIGKILL);
	stage_until(w, c->policy.phase == POLICY_BACKOFF);
	stage_turn(w, 500);
	stage_until(w, c->policy.phase == POLICY_STARTING);
	stage_turn(w, POLICY_READY_MS + 1);
	stage_until(w, c->policy.phase == POLICY_BACKOFF);
	assert_string_equal(c->last_exit, "signal 9 (KILL)");
}

static void
test_breaks_rules(void **state)
{
	static const char *const bad[] = { "violates", "long-facts" };
	struct stage *w = *state;
	struct child *c;

	stage_start(w);
	c = stage_child(w, PROC_WATCH);
	for (size_t i = 0; i < 2; i++) {
		stage_part(w, PROC_WATCH, bad[i]);
		c->last_exit[0] = '\0';
		kill(c->pid, SIGTERM);
		stage_until(w, c->policy.phase == POLICY_BACKOFF);
		stage_turn(w, 500);
		stage_until(w,
		    c->policy.phase == POLICY_BACKOFF &&
			strstr(c->last_exit, "KILL") != NULL);
		stage_part(w, PROC_WATCH, "ready-twice");
		stage_turn(w, 30000);
		stage_until(w, child_is_ready(c));
	}
}

static void
test_gives_up(void **state)
{
	struct stage *w = *state;
	struct child *c;

	w->opt.max_restarts = 1;
	stage_start(w);
	c = stage_child(w, PROC_PUSH);
	stage_turn(w, 2000);
	kill(c->pid, SIGKILL);
	stage_until(w, c->generation == 2 && child_is_ready(c));
	assert_int_equal(w->sup.phase, SUP_RUNS);
	kill(c->pid, SIGKILL);
	stage_until(w, w->sup.phase != SUP_RUNS);
	assert_int_equal(w->sup.exit_code, EXIT_FAILURE);
}

static void
test_required_sandbox(void **state)
{
	struct stage *w = *state;

	stage_start(w);
	w->opt.require_sandbox = true;
	kill(stage_child(w, PROC_PUSH)->pid, SIGKILL);
	stage_turn(w, 2000);
	/* the next one reports no wall at all */
	stage_until(w, w->sup.phase != SUP_RUNS);
	assert_int_equal(w->sup.exit_code, EX_UNAVAILABLE);
}

/* It is replaced, and does not go of itself. */
static void
test_replaced_by_force(void **state)
{
	struct stage *w = *state;
	struct child *c;

	stage_part(w, PROC_PUSH, "stays");
	stage_start(w);
	c = stage_child(w, PROC_PUSH);
	route_replace(c);
	stage_turn(w, 0);
	assert_int_equal(c->generation, 1);
	stage_turn(w, POLICY_TERM_MS + 1);
	stage_until(w, c->generation == 2 && child_is_ready(c));
	assert_int_equal(c->policy.restarts, 0);
}

/* A removed engine's worker, even one that comes up only then. */
static void
test_removed(void **state)
{
	struct stage *w = *state;
	struct child *c;

	stage_part(w, PROC_ENGINE, "stays");
	stage_start(w);
	c = stage_child(w, PROC_ENGINE);
	child_remove(c);
	stage_turn(w, POLICY_TERM_MS + 1);
	stage_until(w, child_find(&w->sup, PROC_ENGINE, 0) == NULL);
	c = child_init(&w->sup, PROC_ENGINE, 0);
	child_remove(c); /* was not even started */
	assert_null(child_find(&w->sup, PROC_ENGINE, 0));
}

/* Reloads. */

static void
reload(struct stage *w, const char *part)
{
	stage_part(w, PROC_CONFIG, part);
	reload_begin(&w->sup);
	assert_non_null(w->sup.reload);
}

static void
test_reload(void **state)
{
	struct stage *w = *state;

	w->opt.file = stage_file(w, "wharfd.yaml", "");
	stage_start(w);
	reload(w, "other");
	reload_begin(&w->sup); /* a second signal: another one, then */
	stage_until(w, config_find_service(&w->sup.conf, "t") != NULL);
	assert_null(config_find_service(&w->sup.conf, "s"));
	stage_until(w, w->sup.serial == 3);
	stage_until(w, w->sup.reload == NULL);
	assert_int_equal(config_find_service(&w->sup.conf, "t")->id, 2);
	/* what only a restart changes */
	reload(w, "log");
	stage_until(w, w->sup.reload == NULL);
	assert_int_equal(w->sup.serial, 3);
	reload(w, "bad");
	stage_until(w, w->sup.reload == NULL);
	assert_int_equal(w->sup.serial, 3);
}

static void
test_reload_of_directory(void **state)
{
	struct stage *w = *state;

	stage_start(w);
	reload_begin(&w->sup);
	assert_null(w->sup.reload);
}

/* Who dies of it gets it at its next start, and is not waited for till then. */
static void
test_reload_and_deaths(void **state)
{
	struct stage *w = *state;
	struct child *c;

	w->opt.file = stage_file(w, "wharfd.yaml", "");
	stage_part(w, PROC_PLAN, "dies-of-reload");
	stage_start(w);
	stage_part(w, PROC_PLAN, "exit-config");
	c = stage_child(w, PROC_PLAN);
	stage_turn(w, 2000);
	reload(w, "one");
	stage_until(w, w->sup.reload == NULL);
	stage_until(w, c->policy.phase == POLICY_HELD);
	assert_int_equal(w->sup.serial, 2);
	/* the next one starts it again */
	stage_part(w, PROC_PLAN, "good");
	reload(w, "one");
	stage_until(w, w->sup.reload == NULL);
	stage_until(w, child_is_ready(c));
}

/* A worker that lives and does not take it is waited for. */
static void
test_reload_not_taken(void **state)
{
	struct stage *w = *state;
	struct child *c;

	w->opt.file = stage_file(w, "wharfd.yaml", "");
	stage_part(w, PROC_PLAN, "never-takes");
	stage_start(w);
	c = stage_child(w, PROC_PLAN);
	reload(w, "one");
	stage_until(w, stage_child(w, PROC_PUSH)->conf_taken == 2);
	for (int i = 0; i < 20; i++)
		stage_turn(w, 0);
	assert_non_null(w->sup.reload);
	stage_part(w, PROC_PLAN, "good");
	stage_turn(w, 2000);
	kill(c->pid, SIGKILL);
	stage_until(w, w->sup.reload == NULL);
	stage_until(w, child_is_ready(c));
	assert_int_equal(c->conf_taken, 2);
}

/* Files and memory of many reloads, each with a process that reads. */
static void
test_many_reloads(void **state)
{
	struct stage *w = *state;
	int before = 0;

	w->opt.file = stage_file(w, "wharfd.yaml", "");
	stage_start(w);
	for (int i = 0; i < 20; i++) {
		reload(w, "bad");
		stage_until(w, w->sup.reload == NULL);
		if (i == 0)
			before = fd_count();
	}
	assert_int_equal(fd_count(), before);
}

/* Read while wharfd stops, it is not served. */
static void
test_reload_while_stopping(void **state)
{
	struct stage *w = *state;

	w->opt.file = stage_file(w, "wharfd.yaml", "");
	stage_part(w, PROC_PLAN, "stays");
	stage_start(w);
	reload(w, "other");
	stop_begin(&w->sup, 0);
	stage_until(w, w->sup.reload == NULL);
	assert_null(w->sup.reader);
	assert_null(config_find_service(&w->sup.conf, "t"));
	assert_int_equal(w->sup.serial, 1);
	reload_begin(&w->sup);
	assert_null(w->sup.reload);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, stage_up, stage_down)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_killed),
		TEST(test_dies_early),
		TEST(test_hangs),
		TEST(test_never_ready),
		TEST(test_breaks_rules),
		TEST(test_gives_up),
		TEST(test_required_sandbox),
		TEST(test_replaced_by_force),
		TEST(test_removed),
		TEST(test_reload),
		TEST(test_reload_of_directory),
		TEST(test_reload_and_deaths),
		TEST(test_reload_not_taken),
		TEST(test_many_reloads),
		TEST(test_reload_while_stopping),
	};

	actor_main(argv, parts);
	signal(SIGPIPE, SIG_IGN);
	setenv("XDG_STATE_HOME", "/nonexistent", 1);
	setenv("DOCKER_CONFIG", "/nonexistent", 1);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
