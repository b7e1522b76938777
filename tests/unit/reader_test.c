/*
 * Reading the configuration with a config process that lies, hangs, dies, or
 * asks for what it may not have.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "names.h"
#include "tests/unit/actor.h"
#include "tests/unit/route_fake.h"

/* The liar. */

static void
say_engine(struct actor *a, const char *name)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_NAME, name);
	fields_add_str(&b, F_HOST, "unix:///nonexistent/e.sock");
	actor_say(a, MSG_CONFIG_ENGINE, 0, NULL, &b);
	buf_free(&b);
}

static void
say_service(struct actor *a, const char *name)
{
	struct msg_config_service m = { 0 };
	struct buf b = { 0 };

	fields_add_str(&b, F_NAME, name);
	fields_add_str(&b, F_DIR, "/nonexistent");
	fields_add_str(&b, F_DOCKERFILE, "Dockerfile");
	fields_add_str(&b, F_IMAGE, "i:latest");
	fields_add_str(&b, F_CONTAINER, "c");
	actor_say(a, MSG_CONFIG_SERVICE, 0, &m, &b);
	buf_free(&b);
}

static void
say_error(struct actor *a, const char *text)
{
	struct msg_num m = { .n = EX_DATAERR };
	struct buf b = { 0 };

	fields_add_str(&b, F_ERROR, text);
	actor_say(a, MSG_CONFIG_ERROR, 0, &m, &b);
	buf_free(&b);
}

static void
say_host(struct actor *a, const char *name, const char *host, const char *error)
{
	struct msg_num m = { .n = error != NULL ? EX_DATAERR : 0 };
	struct buf b = { 0 };

	if (name != NULL)
		fields_add_str(&b, F_NAME, name);
	if (host != NULL) {
		fields_add_str(&b, F_HOST, host);
		fields_add_str(&b, F_PATH, "/meta.json");
	}
	if (error != NULL)
		fields_add_str(&b, F_ERROR, error);
	actor_say(a, MSG_CONFIG_HOST, 0, &m, &b);
	buf_free(&b);
}

static void
say_done(struct actor *a, uint64_t code)
{
	actor_say_n(a, MSG_CONFIG_DONE, 0, code);
}

static void
good(struct actor *a)
{
	say_engine(a, "e");
	say_engine(a, "f");
	say_service(a, "one");
	say_done(a, 0);
}

static void
done_twice(struct actor *a)
{
	good(a);
	say_engine(a, "late");
	say_error(a, "late");
	say_done(a, EX_DATAERR);
}

static void
service_first(struct actor *a)
{
	say_service(a, "one");
	good(a);
}

static void
nothing_found(struct actor *a)
{
	say_done(a, 0);
}

static void
errors(struct actor *a)
{
	say_error(a, "a\033[31m b");
	for (int i = 0; i < 100; i++)
		say_error(a, "more");
	say_done(a, EX_DATAERR);
}

static void
error_but_ok(struct actor *a)
{
	say_error(a, "one");
	good(a);
}

static void
strange_code(struct actor *a)
{
	say_done(a, UINT64_MAX);
}

static void
host(struct actor *a)
{
	say_host(a, "n", "unix:///x.sock", NULL);
}

static void
host_tcp(struct actor *a)
{
	say_host(a, "n", "tcp://1.2.3.4:5", NULL);
}

static void
host_error(struct actor *a)
{
	say_host(a, NULL, NULL, "no such context");
}

static void
host_none(struct actor *a)
{
	say_host(a, NULL, "unix:///x.sock", NULL);
}

static void
dies(struct actor *a)
{
	say_engine(a, "e");
	loop_stop(a->loop, 3);
}

static void
silent(struct actor *a)
{
}

/* What it asks for, and hears: one CONFIG_ERROR each. */

static void
ask(struct actor *a, uint32_t place, uint32_t from, const char *path)
{
	struct msg_config_open m = { .place = place, .from = from };
	struct buf b = { 0 };

	if (path != NULL)
		fields_add_str(&b, F_PATH, path);
	actor_say(a, MSG_CONFIG_OPEN, 1, &m, &b);
	buf_free(&b);
}

static bool
ask_next(struct actor *a)
{
	static char long_path[5000];
	const struct {
		uint32_t place, from;
		const char *path;
	} q[] = {
		{ CONFIG_INCLUDE, 0, "sub/inc.yaml" },
		{ CONFIG_INCLUDE, 1, "deep.yaml" }, /* beside inc.yaml */
		{ CONFIG_INCLUDE, 1, "../wharfd.yaml" },
		{ CONFIG_INCLUDE, 0, "/etc/passwd" },
		{ CONFIG_INCLUDE, 0, "out.yaml" },
		{ CONFIG_INCLUDE, 0, "none.yaml" },
		{ CONFIG_INCLUDE, 0, "sub" },
		{ CONFIG_INCLUDE, 0, "all.yaml" },
		{ CONFIG_INCLUDE, 4711, "sub/inc.yaml" },
		{ CONFIG_INCLUDE, UINT32_MAX, "sub/inc.yaml" },
		{ CONFIG_INCLUDE, 0, NULL },
		{ CONFIG_INCLUDE, 0, long_path },
		{ CONFIG_DOCKER, 0, "config.json" },
		{ CONFIG_DOCKER, 0, "../wharfd.yaml" },
		{ CONFIG_DOCKER, 0, "contexts/meta/x/meta.json" },
		{ 99, 0, "sub/inc.yaml" },
	};

	memset(long_path, 'x', sizeof(long_path) - 1);
	if (a->said == sizeof(q) / sizeof(q[0]))
		return (false);
	ask(a, q[a->said].place, q[a->said].from, q[a->said].path);
	a->said++;
	return (true);
}

static void
asks(struct actor *a)
{
	ask_next(a);
}

static void
asks_for_all(struct actor *a)
{
	ask(a, CONFIG_INCLUDE, 0, "sub/inc.yaml");
	a->said = 1;
}

static bool
hears(struct actor *a, struct frame *f)
{
	const struct msg_num *m = frame_fixed(f);
	char *why = fields_dup(&f->tail, F_ERROR), text[512];

	if (f->head.type == MSG_CONFIG_FILE)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)m->n);
	else
		snprintf(text, sizeof(text), "%s",
		    why != NULL ? why : "nothing");
	free(why);
	if (strcmp(a->part, "asks") == 0) {
		say_error(a, text);
		if (!ask_next(a))
			say_done(a, EX_DATAERR);
	} else if (f->head.type == MSG_CONFIG_FILE && a->said++ < 200)
		ask(a, CONFIG_INCLUDE, 0, "sub/inc.yaml");
	else {
		say_error(a, text);
		say_done(a, EX_DATAERR);
	}
	return (true);
}

static const struct {
	const char *name;
	void (*fn)(struct actor *a);
} roles[] = { { "good", good }, { "done-twice", done_twice },
	{ "service-first", service_first }, { "nothing", nothing_found },
	{ "errors", errors }, { "error-but-ok", error_but_ok },
	{ "strange-code", strange_code }, { "host", host },
	{ "host-tcp", host_tcp }, { "host-error", host_error },
	{ "host-none", host_none }, { "dies", dies }, { "silent", silent },
	{ "asks", asks }, { "asks-for-all", asks_for_all } };

static bool
lie(struct actor *a, struct frame *f)
{
	if (f->head.type == MSG_CONFIG_FILE || f->head.type == MSG_ERR)
		return (hears(a, f));
	if (f->head.type != MSG_CONF_END)
		return (false);
	if (strcmp(a->part, "before-ready") != 0)
		actor_ready(a);
	else
		good(a);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].name, a->part) == 0)
			roles[i].fn(a);
	return (true);
}

/* The supervisor. */

struct found {
	bool called;
	int code;
	char text[8192]; /* the errors, a line each */
	struct config c;
};

static struct found found;

static void
on_read(struct sup *s, struct reader *r)
{
	const struct fields t = { r->errors.data, r->errors.len };
	struct field f;
	size_t off = 0;
	char *line;

	assert_false(found.called);
	found.called = true;
	found.code = r->code;
	while (field_next(&t, &off, &f) == 1) {
		line = xasprintf("%.*s\n", (int)f.len, f.str);
		assert_in_range(strlcat(found.text, line, sizeof(found.text)),
		    0, sizeof(found.text) - 1);
		free(line);
	}
	if (r->code == EX_OK)
		config_move(&found.c, &r->next);
}

static void
read_as(struct stage *w, const char *part)
{
	config_clear(&found.c);
	memset(&found, 0, sizeof(found));
	config_init(&found.c);
	stage_part(w, PROC_CONFIG, part);
	assert_int_equal(reader_start(&w->sup, on_read), 0);
	/* one at a time */
	assert_int_equal(reader_start(&w->sup, on_read), -1);
	assert_false(found.called);
	stage_until(w, found.called);
	assert_null(w->sup.reader);
	assert_null(child_find(&w->sup, PROC_CONFIG, 0));
}

/* The context asked for, so that the process is. */
static int
dir_up(void **state)
{
	struct stage *w;

	if (found.c.services.tqh_last == NULL)
		config_init(&found.c);
	stage_up(state);
	w = *state;
	w->opt.context = xstrdup("n");
	setenv("DOCKER_CONFIG", w->dir, 1);
	return (0);
}

static int
file_up(void **state)
{
	struct stage *w;
	char *path;

	if (found.c.services.tqh_last == NULL)
		config_init(&found.c);
	stage_up(state);
	w = *state;
	w->opt.file = stage_file(w, "wharfd.yaml", "");
	path = xasprintf("%s/docker", w->dir);
	setenv("DOCKER_CONFIG", path, 1);
	free(path);
	return (0);
}

static int
down(void **state)
{
	config_clear(&found.c);
	return (stage_down(state));
}

static void
test_good(void **state)
{
	struct stage *w = *state;
	const struct config_engine *e;

	w->opt.api = xstrdup("1.41");
	read_as(w, "good");
	assert_int_equal(found.code, EX_OK);
	assert_non_null(config_find_service(&found.c, "one"));
	/* the environment's version, where the file pins none */
	TAILQ_FOREACH (e, &found.c.engines, link)
		assert_string_equal(e->api, "1.41");
}

/* What is said after the end does not count. */
static void
test_done_twice(void **state)
{
	struct stage *w = *state;
	const struct config_engine *e;

	read_as(w, "done-twice");
	assert_int_equal(found.code, EX_OK);
	assert_string_equal(found.text, "");
	TAILQ_FOREACH (e, &found.c.engines, link) {
		assert_string_not_equal(e->name, "late");
		assert_null(e->api);
	}
}

static void
fails(struct stage *w, const char *part, int code, const char *word)
{
	read_as(w, part);
	assert_int_equal(found.code, code);
	if (strstr(found.text, word) == NULL)
		fail_msg("%s: \"%s\" without \"%s\"", part, found.text, word);
	assert_true(TAILQ_EMPTY(&found.c.engines));
}

static void
test_lies(void **state)
{
	struct stage *w = *state;

	fails(w, "service-first", EX_SOFTWARE, "not whole");
	fails(w, "nothing", EX_SOFTWARE, "no engine");
	fails(w, "error-but-ok", EX_DATAERR, "one\n");
	fails(w, "strange-code", EX_SOFTWARE, "not understood");
	fails(w, "host", EX_SOFTWARE, "CONFIG_HOST");
	fails(w, "before-ready", EX_SOFTWARE, "has ended");
	fails(w, "dies", EX_SOFTWARE, "has ended");
	fails(w, "errors", EX_DATAERR, "a\\x1b[31m b\nmore\n");
	assert_in_range(strlen(found.text), 10, 32 * 16);
}

static void
test_silent(void **state)
{
	struct stage *w = *state;

	memset(&found, 0, sizeof(found));
	config_init(&found.c);
	stage_part(w, PROC_CONFIG, "silent");
	assert_int_equal(reader_start(&w->sup, on_read), 0);
	stage_until(w, child_is_ready(w->sup.reader->child));
	stage_turn(w, 5001);
	stage_until(w, found.called);
	assert_int_equal(found.code, EX_SOFTWARE);
	assert_non_null(strstr(found.text, "does not answer"));
}

static void
test_no_process(void **state)
{
	struct stage *w = *state;

	free(w->opt.libexec);
	w->opt.libexec = xstrdup("/nonexistent");
	fails(w, "good", EX_SOFTWARE, "has ended");
}

/* Without a file: the engine alone. */
static void
test_hosts(void **state)
{
	struct stage *w = *state;

	/* an answer of the other kind must not be taken for one */
	fails(w, "good", EX_SOFTWARE, "CONFIG_ENGINE");
	fails(w, "nothing", EX_SOFTWARE, "CONFIG_DONE");
	fails(w, "host-error", EX_DATAERR, "no such context");
	fails(w, "host-none", EX_SOFTWARE, "no engine");
	fails(w, "host-tcp", EX_UNAVAILABLE, "tcp");
	fails(w, "dies", EX_SOFTWARE, "CONFIG_ENGINE");
	assert_null(w->opt.host);
	read_as(w, "host");
	assert_int_equal(found.code, EX_OK);
	assert_string_equal(w->opt.host, "unix:///x.sock");
}

/* Nothing names another engine: no process is asked. */
static void
test_default_engine(void **state)
{
	struct stage *w = *state;
	struct config first;

	free(w->opt.context);
	w->opt.context = NULL;
	free(w->opt.libexec);
	w->opt.libexec = xstrdup("/nonexistent");
	config_init(&first);
	assert_int_equal(reader_run(&w->sup, &first), EX_OK);
	assert_string_equal(w->opt.host, HOST_DEFAULT);
	assert_null(w->sup.reader);
	/* it is known now */
	assert_int_equal(reader_run(&w->sup, &first), EX_OK);
}

static void
test_nowhere_to_look(void **state)
{
	struct stage *w = *state;

	setenv("HOME", "", 1);
	setenv("DOCKER_CONFIG", "", 1);
	/* the system knows root's home, and this user's may be unknown */
	read_as(w, "host");
	assert_in_range(found.code, 0, EX_NOINPUT);
}

/* What it may have, and how it hears of what it may not. */
static void
test_files(void **state)
{
	struct stage *w = *state;
	char *dir = xasprintf("%s/sub", w->dir), *path;

	assert_int_equal(mkdir(dir, 0755), 0);
	free(dir);
	free(stage_file(w, "sub/inc.yaml", ""));
	free(stage_file(w, "sub/deep.yaml", ""));
	path = stage_file(w, "all.yaml", "");
	assert_int_equal(chmod(path, 0666), 0);
	free(path);
	path = xasprintf("%s/out.yaml", w->dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	free(path);
	read_as(w, "asks");
	assert_int_equal(found.code, EX_DATAERR);
	assert_string_equal(found.text,
	    "1\n2\n"
	    "it leads out of the including file's directory\n"
	    "it leads out of the including file's directory\n"
	    "it leads out of the including file's directory\n"
	    "No such file or directory\n"
	    "not a file\n"
	    "everybody may write to it\n"
	    "no such file includes\nno such file includes\n"
	    "no name\n"
	    "File name too long\n"
	    "No such file or directory\n" /* no docker directory */
	    "no file of docker's\nno file of docker's\n"
	    "no file of docker's\n");
	fails(w, "asks-for-all", EX_DATAERR, "too many files\n");
}

static void
test_first_file(void **state)
{
	struct stage *w = *state;

	assert_int_equal(chmod(w->opt.file, 0646), 0);
	fails(w, "good", EX_NOPERM, "everybody may write to it");
	assert_int_equal(chmod(w->opt.file, 0644), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(w->opt.file, 4711, 0), 0);
		fails(w, "good", EX_NOPERM, "another user");
	}
	assert_int_equal(unlink(w->opt.file), 0);
	fails(w, "good", EX_NOINPUT, "No such file");
	assert_int_equal(mkdir(w->opt.file, 0755), 0);
	fails(w, "good", EX_NOPERM, "not a file");
}

/* Walls that are missing end it, where they are required. */
static void
test_required_sandbox(void **state)
{
	struct stage *w = *state;

	w->opt.require_sandbox = true;
	fails(w, "good", EX_UNAVAILABLE, "lacks a wall");
}

#define FILES(t) cmocka_unit_test_setup_teardown(t, file_up, down)
#define DIRS(t)  cmocka_unit_test_setup_teardown(t, dir_up, down)

int
main(int argc, char **argv)
{
	static struct actor_part all[sizeof(roles) / sizeof(roles[0]) + 2];
	const struct CMUnitTest tests[] = {
		FILES(test_good),
		FILES(test_done_twice),
		FILES(test_lies),
		FILES(test_silent),
		FILES(test_no_process),
		DIRS(test_hosts),
		DIRS(test_default_engine),
		DIRS(test_nowhere_to_look),
		FILES(test_files),
		FILES(test_first_file),
		FILES(test_required_sandbox),
	};
	size_t n = 0;

	for (; n < sizeof(roles) / sizeof(roles[0]); n++)
		all[n] = (struct actor_part) { roles[n].name, lie };
	all[n] = (struct actor_part) { "before-ready", lie };
	actor_main(argv, all);
	signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
