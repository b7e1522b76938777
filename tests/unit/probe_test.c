/*
 * --probe-sandbox, with workers that say how an act went; and -nv.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "supervisor/normal.h"
#include "supervisor/probe.h"
#include "tests/unit/actor.h"
#include "workers/common/sandbox.h"

/* An act is refused by an error, or by the end of who tries it. */
static bool
play_refused(struct actor *a, struct frame *f)
{
	if (f->head.type != MSG_CONF_END)
		return (false);
	if (a->role == PROC_PLAN)
		abort();
	printf("tried it: EPERM");
	fflush(stdout);
	loop_stop(a->loop, 0);
	return (true);
}

static bool
play_possible(struct actor *a, struct frame *f)
{
	if (f->head.type == MSG_CONF_END)
		loop_stop(a->loop, 1);
	return (f->head.type == MSG_CONF_END);
}

static const struct actor_part parts[] = {
	{ "refused", play_refused },
	{ "possible", play_possible },
	{ NULL, NULL },
};

/* Standard output of fn(), which the caller frees. */
static char *
output_of(void (*fn)(void *arg), void *arg)
{
	int out = dup(STDOUT_FILENO);
	FILE *f = tmpfile();
	char *text = xcalloc(1, 1 << 20);

	assert_non_null(f);
	fflush(NULL);
	dup2(fileno(f), STDOUT_FILENO);
	fn(arg);
	fflush(NULL);
	dup2(out, STDOUT_FILENO);
	close(out);
	assert_true(pread(fileno(f), text, (1 << 20) - 1, 0) >= 0);
	fclose(f);
	return (text);
}

struct call {
	struct options o;
	int code;
};

static void
probe(void *arg)
{
	struct call *c = arg;

	c->code = probe_sandbox(&c->o);
}

static unsigned
count(const char *text, const char *word)
{
	unsigned n = 0;

	for (; (text = strstr(text, word)) != NULL; text++)
		n++;
	return (n);
}

static unsigned
acts(enum proc role)
{
	unsigned n = 0;

	for (unsigned act = 1; act <= sandbox_act_count(); act++)
		n += sandbox_act_forbidden(role, act);
	return (n);
}

static char *
probed(struct stage *w, bool json, int code)
{
	struct call c = { .o.json = json };
	char *text;

	c.o.libexec = xstrdup(w->dir);
	mono_fake(NULL);
	text = output_of(probe, &c);
	assert_int_equal(c.code, code);
	options_free(&c.o);
	return (text);
}

static void
test_probe(void **state)
{
	struct stage *w = *state;
	unsigned all = acts(PROC_CONFIG);
	char *text;

	for (enum proc p = PROC_WATCH; p <= PROC_CONTROL; p++) {
		stage_part(w, p, "refused");
		all += acts(p);
	}
	stage_part(w, PROC_CONFIG, "refused");
	text = probed(w, false, 0);
	assert_int_equal(count(text, " refused "), all);
	assert_int_equal(count(text, "SIGABRT"), acts(PROC_PLAN));
	assert_int_equal(count(text, "EPERM"), all - acts(PROC_PLAN));
	free(text);
	stage_part(w, PROC_CONFIG, "possible");
	text = probed(w, true, 1);
	assert_int_equal(count(text, "\"refused\":true"),
	    all - acts(PROC_CONFIG));
	assert_int_equal(count(text, "\"refused\":false"), acts(PROC_CONFIG));
	assert_int_equal(count(text, "\"all_refused\":false"), 1);
	free(text);
}

static void
print(void *arg)
{
	struct stage *w = arg;
	struct config c;

	stage_config(w, &c);
	TAILQ_FIRST(&c.engines)->api = xstrdup("1.41");
	strings_add(&TAILQ_FIRST(&c.services)->env, "A=b: c");
	normal_print(&w->opt, &c);
	config_clear(&c);
	normal_print(&w->opt, &c);
}

static void
test_normal(void **state)
{
	struct stage *w = *state;
	char *text;

	w->opt.max_restarts = 3;
	w->opt.context = xstrdup("a\nb");
	text = output_of(print, w);
	assert_int_equal(count(text, "max-restarts: 3\n"), 2);
	assert_int_equal(count(text, "sandbox: on\n"), 2);
	assert_int_equal(count(text, "api: \"1.41\"\n"), 1);
	assert_int_equal(count(text, "\"A=b: c\"\n"), 1);
	assert_int_equal(count(text, "services: {}\n"), 1);
	assert_int_equal(count(text, "# context: a\\x0ab\n"), 2);
	free(text);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, stage_up, stage_down)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_probe),
		TEST(test_normal),
	};

	actor_main(argv, parts);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
