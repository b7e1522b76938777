/*
 * What config asks the supervisor for, and what it answers.
 */
#include <sys/mman.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "workers/config/serve.h"
#include "wire.h"

/* sha256 of "lab" */
#define LAB                                                                \
	"contexts/meta/"                                                   \
	"a51146d38077ff992eba84cf1d5e9b249073503eb74868699016153b031a38f7" \
	"/meta.json"

struct file {
	uint32_t place;
	uint32_t from;
	const char *path;
	const char *text; /* NULL: it is somebody else's */
};

/* The supervisor's side: files that it gives, what it was told. */
struct sup {
	struct loop *loop;
	struct channel *ch;
	const struct file *files;
	size_t nfiles;
	char said[8192];
};

static int
file_fd(const char *text)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return (fd);
}

static void __attribute__((format(printf, 2, 3)))
note(struct sup *s, const char *fmt, ...)
{
	size_t n = strlen(s->said);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->said + n, sizeof(s->said) - n, fmt, ap);
	va_end(ap);
}

static void
on_open(struct sup *s, struct frame *f)
{
	const struct msg_config_open *m = frame_fixed(f);
	char *path = fields_dup(&f->tail, F_PATH);
	struct msg_num n = { 0 };
	struct buf tail = { 0 };
	const struct file *file = NULL;

	note(s, "OPEN %u %u %s\n", m->place, m->from, path);
	for (size_t i = 0; i < s->nfiles; i++)
		if (strcmp(s->files[i].path, path) == 0 &&
		    s->files[i].place == m->place &&
		    s->files[i].from == m->from) {
			file = &s->files[i];
			n.n = i + 40;
		}
	if (file == NULL)
		rpc_answer_err(s->ch, f->head.id, ERR_NOT_FOUND, ENOENT,
		    "no such file");
	else if (file->text == NULL)
		rpc_answer_err(s->ch, f->head.id, ERR_REFUSED, EPERM,
		    "it belongs to another user");
	else {
		char full[256];

		snprintf(full, sizeof(full), "/etc/wharf/%s", path);
		fields_add_str(&tail, F_PATH, full);
		rpc_answer(s->ch, f->head.id, MSG_CONFIG_FILE, 0, &n, &tail,
		    file_fd(file->text));
	}
	buf_free(&tail);
	free(path);
}

/* All that a frame says, in its order. */
static void
note_frame(struct sup *s, struct frame *f)
{
	struct field fl;
	size_t off = 0;

	note(s, "%s", f->def->name);
	if (f->head.type == MSG_CONFIG_ERROR ||
	    f->head.type == MSG_CONFIG_DONE || f->head.type == MSG_CONFIG_HOST)
		note(s, " %u",
		    (unsigned)((const struct msg_num *)frame_fixed(f))->n);
	while (field_next(&f->tail, &off, &fl) == 1) {
		if (fl.type == FIELD_STR)
			note(s, " %s=%.*s", field_name(fl.key), (int)fl.len,
			    fl.str);
		else
			note(s, " %s=%u", field_name(fl.key), (unsigned)fl.u64);
	}
	note(s, "\n");
}

static void
sup_on_frame(void *arg, struct frame *f)
{
	struct sup *s = arg;
	const struct msg_config_global *g = frame_fixed(f);
	const struct msg_config_service *sv = frame_fixed(f);

	if (f->head.type == MSG_CONFIG_OPEN) {
		on_open(s, f);
		return;
	}
	if (f->head.type == MSG_CONFIG_GLOBAL)
		note(s, "has %x: %u %u %u %u ", g->has, g->sandbox,
		    g->require_sandbox, g->max_restarts, g->log);
	if (f->head.type == MSG_CONFIG_SERVICE)
		note(s, "on %u, %x ", sv->engine, sv->flags);
	note_frame(s, f);
	if (f->head.type == MSG_CONFIG_DONE || f->head.type == MSG_CONFIG_HOST)
		loop_stop(s->loop, 0);
}

static void
worker_on_frame(void *arg, struct frame *f)
{
	struct worker *w = arg;

	assert_true(rpc_dispatch(w->rpc, f));
}

static void
on_end(void *arg, enum channel_end how, const char *why)
{
	fail_msg("the channel ended: %s", why);
}

/* What is asked and answered for a configuration. */
static void
check(const struct conf *conf, const char *text, const struct file *files,
    size_t nfiles, const char *want)
{
	static const struct channel_ops worker_ops = { .frame = worker_on_frame,
		.end = on_end };
	static const struct channel_ops sup_ops = { .frame = sup_on_frame,
		.end = on_end };
	struct sup s = { .files = files, .nfiles = nfiles };
	struct worker w = { .conf = *conf };
	int sv[2];

	wire_pair(sv);
	w.loop = s.loop = loop_new();
	w.ch =
	    channel_new(w.loop, sv[0], PROC_CONFIG, PROC_SUP, &worker_ops, &w);
	w.rpc = rpc_new(w.ch);
	s.ch = channel_new(s.loop, sv[1], PROC_SUP, PROC_CONFIG, &sup_ops, &s);
	w.conf.file_fd = -1;
	if (text != NULL)
		w.conf.file_fd = file_fd(text);
	assert_int_equal(config_serve(&w), 0);
	loop_run(w.loop);
	assert_string_equal(s.said, want);
	if (w.conf.file_fd != -1)
		close(w.conf.file_fd);
	channel_free(s.ch);
	rpc_free(w.rpc);
	channel_free(w.ch);
	loop_free(w.loop);
}

static char dir[] = "/home/u/.docker", name[] = "/etc/wharf/c.yaml";
static char lab[] = "lab", host[] = "unix:///env.sock";
static char bad_host[] = "tcp://h";

static void
test_whole(void **state)
{
	static const struct conf conf = { .docker_dir = dir, .file = name };
	static const struct file files[] = {
		{ CONFIG_INCLUDE, 0, "more/a.yaml",
		    "include: [b.yaml]\nservices: {aa: {dir: a}}\n" },
		{ CONFIG_INCLUDE, 40, "b.yaml",
		    "services:\n  b:\n    dir: b\n    container: bb\n    engine: lab\n"
		    "    ports: [80]\n    environment: {K: V}\n"
		    "    volumes: [/a:/b]\n    build-args: [X=Y]\n"
		    "    target: t\n    network: n\n    keep: false\n" },
		{ CONFIG_DOCKER, 0, "config.json", "{}" },
		{ CONFIG_DOCKER, 0, LAB,
		    "{\"Endpoints\":{\"docker\":{\"Host\":"
		    "\"unix:///lab.sock\"}}}" },
	};

	check(&conf,
	    "socket: /s\nsandbox: trap\nmax-restarts: 3\nlog: json\n"
	    "include: [more/a.yaml]\n"
	    "engines: {default: {}, lab: {context: lab, api: 1.41}}\n",
	    files, 4,
	    "OPEN 1 0 more/a.yaml\nOPEN 1 40 b.yaml\nOPEN 0 0 config.json\n"
	    "OPEN 0 0 " LAB "\n"
	    "has d: 1 0 3 1 CONFIG_GLOBAL socket=/s\n"
	    "CONFIG_ENGINE name=default host=unix:///var/run/docker.sock\n"
	    "CONFIG_ENGINE name=lab host=unix:///lab.sock api=1.41\n"
	    "on 0, 1 CONFIG_SERVICE name=aa dir=/etc/wharf/more/a "
	    "dockerfile=Dockerfile image=aa:latest container=aa "
	    "path=/etc/wharf/more/a.yaml line=2\n"
	    "on 1, 0 CONFIG_SERVICE name=b dir=/etc/wharf/b "
	    "dockerfile=Dockerfile image=b:latest container=bb target=t "
	    "network=n env=K=V port=80 bind=/a:/b build_arg=X=Y "
	    "path=/etc/wharf/b.yaml line=2\n"
	    "CONFIG_DONE 0\n");
}

/* DOCKER_HOST counts before contexts, and nothing is asked for it. */
static void
test_docker_host(void **state)
{
	static const struct conf conf = { .docker_dir = dir,
		.file = name,
		.context = lab,
		.host = host };
	static const struct conf bad = { .file = name, .host = bad_host };

	check(&conf, "services: {}\n", NULL, 0,
	    "has 0: 0 0 0 0 CONFIG_GLOBAL\n"
	    "CONFIG_ENGINE name=default host=unix:///env.sock\n"
	    "CONFIG_DONE 0\n");
	check(&bad, "services: {}\n", NULL, 0,
	    "CONFIG_ERROR 69 error=/etc/wharf/c.yaml:1:1: engines.default: "
	    "DOCKER_HOST: only unix:///path is served so far; tcp://h is tcp\n"
	    "CONFIG_DONE 69\n");
}

/* Neither DOCKER_CONFIG nor HOME: the built-in context is there. */
static void
test_no_docker_dir(void **state)
{
	static const struct conf conf = { .file = name };

	check(&conf, "engines: {a: {}, lab: {context: lab}}\nservices: {}\n",
	    NULL, 0,
	    "CONFIG_ERROR 66 error=/etc/wharf/c.yaml:1:18: engines.lab: "
	    "context \"lab\": neither DOCKER_CONFIG nor HOME tells where "
	    "contexts are (named by /etc/wharf/c.yaml:1)\n"
	    "CONFIG_DONE 66\n");
}

static void
test_errors(void **state)
{
	static const struct conf conf = { .docker_dir = dir, .file = name };
	static const struct file files[] = { { CONFIG_INCLUDE, 0, "a.yaml",
	    NULL } };

	check(&conf, "include: [a.yaml, b.yaml]\nx: 1\n", files, 1,
	    "OPEN 1 0 a.yaml\nOPEN 1 0 b.yaml\n"
	    "CONFIG_ERROR 77 error=/etc/wharf/c.yaml:1:11: include[0]: a.yaml: "
	    "it belongs to another user\n"
	    "CONFIG_ERROR 66 error=/etc/wharf/c.yaml:1:19: include[1]: b.yaml: "
	    "no such file\n"
	    "CONFIG_ERROR 65 error=/etc/wharf/c.yaml:2:1: x: unknown key; "
	    "known are socket, sandbox, require-sandbox, max-restarts, log, "
	    "include, engines, services\n"
	    "CONFIG_DONE 77\n");
}

/* Without a file: the engine alone. */
static void
test_context(void **state)
{
	static const struct conf none = { .docker_dir = dir };
	static const struct conf named = { .docker_dir = dir, .context = lab };
	static const struct file files[] = { { CONFIG_DOCKER, 0, LAB,
	    "{\"Endpoints\":{\"docker\":{\"Host\":\"ssh://h\"}}}" } };

	check(&none, NULL, NULL, 0,
	    "OPEN 0 0 config.json\nCONFIG_HOST 0 name=default host=\n");
	check(&named, NULL, files, 1,
	    "OPEN 0 0 " LAB "\nCONFIG_HOST 0 name=lab host=ssh://h "
	    "path=/home/u/.docker/" LAB "\n");
	check(&named, NULL, NULL, 0,
	    "OPEN 0 0 " LAB "\nCONFIG_HOST 66 error=context \"lab\": context "
	    "not found: /home/u/.docker/" LAB ": no such file or directory "
	    "(named by DOCKER_CONTEXT)\n");
}

/* Longer than a file may be: said as such, not cut. */
static void
test_too_long(void **state)
{
	static const struct conf conf = { .docker_dir = dir, .file = name };
	char *text = malloc(2 * 1024 * 1024 + 1);

	assert_non_null(text);
	memset(text, '#', 2 * 1024 * 1024);
	text[2 * 1024 * 1024] = '\0';
	check(&conf, text, NULL, 0,
	    "CONFIG_ERROR 65 error=/etc/wharf/c.yaml:1:1: longer than 1048576 "
	    "bytes\n"
	    "CONFIG_DONE 65\n");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_docker_host),
		cmocka_unit_test(test_no_docker_dir),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_too_long),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
