/*
 * The command line and environment of wharfd: what is taken, what is refused,
 * with which words and which exit code.
 */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "names.h"
#include "supervisor/options.h"

#define ARGS_MAX 24

static char dir[] = "/tmp/wharf-options.XXXXXX"; /* the tests stand in it */

struct parsed {
	struct options o;
	int rc;
	int code;
	char said[4096]; /* standard error and output */
};

/* Run fn(arg) with standard output and error going to said. */
static void
listen_to(char *said, size_t size, void (*fn)(void *), void *arg)
{
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	FILE *f = tmpfile();
	ssize_t n;

	assert_non_null(f);
	fflush(NULL);
	dup2(fileno(f), STDOUT_FILENO);
	dup2(fileno(f), STDERR_FILENO);
	fn(arg);
	fflush(NULL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	n = pread(fileno(f), said, size - 1, 0);
	assert_true(n >= 0);
	said[n] = '\0';
	fclose(f);
}

struct call {
	struct parsed *p;
	int argc;
	char *argv[ARGS_MAX];
};

static void
call_parse(void *arg)
{
	struct call *c = arg;

	c->p->rc = options_parse(&c->p->o, c->argc, c->argv, &c->p->code);
}

/* Parse the words of a line. */
static struct parsed *
parse(const char *line)
{
	struct parsed *p = xcalloc(1, sizeof(*p));
	struct call c = { .p = p };
	char *words = xasprintf("wharfd %s", line), *rest = words;

	while ((c.argv[c.argc] = strsep(&rest, " ")) != NULL)
		if (*c.argv[c.argc] != '\0')
			assert_true(++c.argc < ARGS_MAX);
	p->code = -1;
	listen_to(p->said, sizeof(p->said), call_parse, &c);
	free(words);
	return (p);
}

static void
parsed_free(struct parsed *p)
{
	options_free(&p->o);
	free(p);
}

static struct parsed *
good(const char *line)
{
	struct parsed *p = parse(line);

	if (p->rc != 0 || p->said[0] != '\0')
		fail_msg("%s: %d, code %d: %s", line, p->rc, p->code, p->said);
	return (p);
}

static void
bad(const char *line, int code, const char *says)
{
	struct parsed *p = parse(line);

	if (p->rc != -1 || p->code != code || strstr(p->said, says) == NULL)
		fail_msg("%s: %d, code %d: %s", line, p->rc, p->code, p->said);
	parsed_free(p);
}

static void
strings_are(const struct strings *s, const char *a, const char *b)
{
	assert_int_equal(s->n, (a != NULL) + (b != NULL));
	if (a != NULL)
		assert_string_equal(s->v[0], a);
	if (b != NULL)
		assert_string_equal(s->v[1], b);
}

static void
make_file(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	assert_int_not_equal(fd, -1);
	close(fd);
}

static void
clear_environment(void)
{
	static const char *const names[] = { "DOCKER_HOST", "DOCKER_CONTEXT",
		"DOCKER_API_VERSION", "WHARF_SOCKET", "XDG_RUNTIME_DIR" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
}

static int
set_up(void **state)
{
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("app", 0755), 0);
	make_file("app/Dockerfile");
	make_file("app/Dockerfile..old");
	assert_int_equal(mkdir("app/sub", 0755), 0);
	make_file("app/sub/Other");
	assert_int_equal(mkdir("empty", 0755), 0);
	assert_int_equal(mkdir("a:b", 0755), 0);
	make_file("a:b/Dockerfile");
	assert_int_equal(symlink("app", "link"), 0);
	assert_int_equal(mkdir("y", 0755), 0);
	make_file("y/Dockerfile");
	assert_int_equal(mkdir("caf\xe9", 0755), 0);
	make_file("caf\xe9/Dockerfile");
	return (0);
}

static int
tear_down(void **state)
{
	char *cmd = xasprintf("rm -rf %s", dir);
	int r;

	assert_int_equal(chdir("/"), 0);
	r = system(cmd);
	free(cmd);
	return (r);
}

static int
each(void **state)
{
	clear_environment();
	return (0);
}

/* Options. */

static void
test_short_options(void **state)
{
	struct parsed *p =
	    good("-d -n -vv -j -s /run/x.sock -D frames -D watch "
		 "-e A=1 -e B=x=y -p 8080:80 app");

	assert_true(p->o.foreground);
	assert_true(p->o.check);
	assert_true(p->o.json);
	assert_int_equal(p->o.verbose, 2);
	assert_string_equal(p->o.socket, "/run/x.sock");
	strings_are(&p->o.tokens, "frames", "watch");
	strings_are(&p->o.env, "A=1", "B=x=y");
	strings_are(&p->o.ports, "8080:80", NULL);
	assert_string_equal(p->o.name, "app");
	parsed_free(p);
}

static void
test_long_options(void **state)
{
	struct parsed *p =
	    good("-d app --name n-1 --network net --keep "
		 "--dockerfile sub/Other --target st --build-arg V=2");

	assert_string_equal(p->o.name, "n-1");
	assert_string_equal(p->o.network, "net");
	assert_true(p->o.keep);
	assert_int_equal(p->o.log, LOG_TEXT);
	assert_string_equal(p->o.dockerfile, "sub/Other");
	assert_string_equal(p->o.target, "st");
	strings_are(&p->o.build_args, "V=2", NULL);
	parsed_free(p);
	p = good(
	    "-d --sandbox=trap --log=json --max-restarts=3 --wrap=push=strace app");
	assert_int_equal(p->o.sandbox, SANDBOX_TRAP);
	assert_int_equal(p->o.max_restarts, 3);
	assert_int_equal(p->o.log, LOG_JSON);
	assert_int_equal(p->o.wrap_role, PROC_PUSH);
	assert_string_equal(p->o.wrap, "strace");
	parsed_free(p);
	p = good("-d --sandbox on --require-sandbox app");
	assert_int_equal(p->o.sandbox, SANDBOX_ON);
	assert_true(p->o.require_sandbox);
	parsed_free(p);
	p = good("-d --sandbox=off --name aa --name bb app");
	assert_int_equal(p->o.sandbox, SANDBOX_OFF);
	assert_string_equal(p->o.name, "bb");
	parsed_free(p);
}

static void
test_defaults(void **state)
{
	struct parsed *p = good("-d app");
	char *want = xasprintf("%s/app", dir);

	assert_string_equal(p->o.dir, want);
	assert_string_equal(p->o.dockerfile, "Dockerfile");
	assert_int_equal(p->o.sandbox, SANDBOX_ON);
	assert_int_equal(p->o.max_restarts, 0);
	assert_false(p->o.keep);
	assert_null(p->o.host); /* a context has to be asked */
	assert_null(p->o.context);
	assert_null(p->o.api);
	assert_non_null(p->o.libexec);
	free(want);
	parsed_free(p);
}

static void
test_probe_needs_no_directory(void **state)
{
	struct parsed *p = good("--probe-sandbox -j");

	assert_true(p->o.probe);
	assert_true(p->o.json);
	assert_null(p->o.dir);
	parsed_free(p);
}

static void
test_version(void **state)
{
	bad("-V", EX_OK, "wharfd " WHARF_VERSION "\n");
}

static void
test_bad_usage(void **state)
{
	static const struct {
		const char *line;
		const char *says;
	} rows[] = {
		{ "", "usage: wharfd" },
		{ "-d", "usage: wharfd" },
		{ "-d --name x app", "two characters or more" },
		{ "-d y", "use --name" },
		{ "-d caf\xe9", "/caf\\xe9 is not UTF-8" },
		{ "-d -f x.yaml app", "a directory or -f, not both" },
		{ "-d -f x.yaml -e A=b", "go with a directory" },
		{ "-d app app", "one directory only, not 'app' too" },
		{ "-x app", "usage: wharfd" },
		{ "--nosuch app", "usage: wharfd" },
		{ "-d app -s", "usage: wharfd" },
		{ "-d -e A app", "-e: K=V, not 'A'" },
		{ "-d -e =v app", "-e: K=V, not '=v'" },
		{ "-d --build-arg A app", "--build-arg: K=V, not 'A'" },
		{ "-d --sandbox=full app", "on, trap or off, not 'full'" },
		{ "-d --log=xml app", "text, json or syslog, not 'xml'" },
		{ "-d -D nosuch app",
		    "-D: one of frames, watch, push, plan, engine, image, "
		    "control, config, supervisor, not 'nosuch'" },
		{ "-d --max-restarts=0 app", "--max-restarts: too small" },
		{ "-d --max-restarts=x app", "--max-restarts: invalid" },
		{ "-d --max-restarts=1000001 app",
		    "--max-restarts: too large" },
		{ "-d --wrap=push app", "WORKER=COMMAND, not 'push'" },
		{ "-d --wrap=push= app", "WORKER=COMMAND, not 'push='" },
		{ "-d --wrap=nosuch=gdb app", "no worker in 'nosuch=gdb'" },
		{ "-d --wrap=client=gdb app", "no worker" },
		{ "-d --wrap=supervisor=gdb app", "no worker" },
		{ "-d --name=Upper app", "'Upper' is no name" },
		{ "-d --name=-x app", "'-x' is no name" },
		{ "-d --name=x. app", "'x.' is no name" },
		{ "-d --name=a/b app", "'a/b' is no name" },
		{ "-d --dockerfile=../x app", "'../x' is not below" },
		{ "-d --dockerfile=sub/.. app", "'sub/..' is not below" },
		{ "-d --dockerfile=/x app", "'/x' is not below" },
		{ "-d --sandbox=off --require-sandbox app",
		    "not with --sandbox=off" },
		{ "-d --wrap=push=gdb --require-sandbox app",
		    "not with --wrap" },
		{ "-d /", "gives no name for image and container" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		bad(rows[i].line, EX_USAGE, rows[i].says);
}

static void
test_no_such_file(void **state)
{
	bad("-d nosuch", EX_NOINPUT, "nosuch: No such file");
	bad("-d app/Dockerfile", EX_NOINPUT, "not a directory");
	bad("-d empty", EX_NOINPUT, "empty/Dockerfile: No such file");
	bad("-d --dockerfile=sub app", EX_NOINPUT, "app/sub: not a file");
	bad("-n nosuch", EX_NOINPUT, "nosuch: No such file");
}

static void
test_dots_in_a_name(void **state)
{
	parsed_free(good("-d --dockerfile=Dockerfile..old app"));
	parsed_free(good("-d --dockerfile=./sub/Other app"));
}

/* -v alone says more, -v SRC:DST is a volume, as in docker run. */
static void
test_volumes(void **state)
{
	struct parsed *p;

	p = good("-d -v /src:/dst app");
	assert_int_equal(p->o.verbose, 0);
	strings_are(&p->o.binds, "/src:/dst", NULL);
	parsed_free(p);
	p = good("-d -v app -v /s:/d:ro");
	assert_int_equal(p->o.verbose, 1);
	strings_are(&p->o.binds, "/s:/d:ro", NULL);
	parsed_free(p);
	p = good("-dv app");
	assert_int_equal(p->o.verbose, 1);
	strings_are(&p->o.binds, NULL, NULL);
	parsed_free(p);
	p = good("-d -vv /s:/d --volume=/t:/e app");
	assert_int_equal(p->o.verbose, 1);
	strings_are(&p->o.binds, "/s:/d", "/t:/e");
	parsed_free(p);
	p = good("-v /s:/d -d app -v");
	assert_int_equal(p->o.verbose, 1);
	strings_are(&p->o.binds, "/s:/d", NULL);
	parsed_free(p);
	/* a directory with a colon: after --, or before any -v */
	p = good("-dv -- a:b");
	assert_int_equal(p->o.verbose, 1);
	assert_string_equal(p->o.name, "a-b");
	parsed_free(p);
	p = good("a:b -d");
	assert_string_equal(p->o.name, "a-b");
	parsed_free(p);
	bad("-d -v a:b", EX_USAGE, "go with a directory");
}

static void
test_directory_is_resolved(void **state)
{
	struct parsed *p = good("-d link/../app/sub/..");

	assert_string_equal(p->o.name, "app");
	parsed_free(p);
	p = good("-d link");
	assert_string_equal(p->o.name, "app");
	assert_non_null(strstr(p->o.dir, "/app"));
	parsed_free(p);
}

static void
test_names(void **state)
{
	static const struct {
		const char *path;
		const char *name;
	} rows[] = { { "/srv/shop", "shop" }, { "shop", "shop" },
		{ "/srv/My App", "my-app" }, { "/a/x_y.z", "x-y-z" },
		{ "/a/-xy-", "xy" }, { "/a/..xy", "xy" }, { "/a/7", NULL },
		{ "/a/caf\xc3\xa9", "caf" }, { "/a/a  b", "a-b" },
		{ "/a/\xff\xfe", NULL }, { "/", NULL }, { "/a/---", NULL } };
	char path[PATH_MAX], *name;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		name = options_name_from_dir(rows[i].path);
		if (rows[i].name == NULL)
			assert_null(name);
		else {
			assert_non_null(name);
			assert_string_equal(name, rows[i].name);
		}
		free(name);
	}
	/* cut where it is too long, and not behind a separator */
	memset(path, 'x', 200);
	path[0] = '/';
	path[100] = '.';
	path[200] = '\0';
	name = options_name_from_dir(path);
	assert_non_null(name);
	assert_int_equal(strlen(name), 99);
	free(name);
}

/* Environment. */

static void
test_docker_host(void **state)
{
	static const struct {
		const char *value;
		const char *host; /* NULL: refused */
		const char *says;
	} rows[] = {
		{ "unix:///run/e.sock", "unix:///run/e.sock", NULL },
		{ "unix://", HOST_DEFAULT, NULL },
		{ "unix://run/e.sock", NULL, "is a path that is not absolute" },
		{ "tcp://10.0.0.1:2376", NULL,
		    "only unix:///path is served so far; tcp://10.0.0.1:2376 "
		    "is tcp" },
		{ "http://localhost", NULL, "is tcp" },
		{ "ssh://me@box", NULL, "ssh://me@box is ssh" },
		{ "npipe:////./pipe/x", NULL, "is a Windows pipe" },
		{ "fd://", NULL, "is fd" },
		{ "/run/e.sock", NULL, "is another form" },
		{ "\033]0;x", NULL, "\\x1b]0;x is another form" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed *p;

		setenv("DOCKER_HOST", rows[i].value, 1);
		if (rows[i].host == NULL) {
			bad("-d app", EX_UNAVAILABLE, rows[i].says);
			bad("-n app", EX_UNAVAILABLE, "wharfd: DOCKER_HOST: ");
			continue;
		}
		p = good("-d app");
		assert_string_equal(p->o.host, rows[i].host);
		parsed_free(p);
	}
}

static void
test_docker_host_too_long(void **state)
{
	char host[128] = "unix:///";
	struct parsed *p;

	memset(host + 8, 'x', 106); /* with the slash 107: what still fits */
	setenv("DOCKER_HOST", host, 1);
	p = good("-d app");
	assert_string_equal(p->o.host, host);
	parsed_free(p);
	host[114] = 'x';
	setenv("DOCKER_HOST", host, 1);
	bad("-d app", EX_UNAVAILABLE, "too long for a socket's path");
}

static void
test_docker_context(void **state)
{
	struct parsed *p;

	setenv("DOCKER_CONTEXT", "c1", 1);
	p = good("-d app");
	assert_null(p->o.host);
	assert_string_equal(p->o.context, "c1");
	parsed_free(p);
	/* DOCKER_HOST comes first; empty is not set */
	setenv("DOCKER_HOST", "unix:///h", 1);
	p = good("-d app");
	assert_string_equal(p->o.host, "unix:///h");
	assert_null(p->o.context);
	parsed_free(p);
	setenv("DOCKER_HOST", "", 1);
	setenv("DOCKER_CONTEXT", "", 1);
	p = good("-d app");
	assert_null(p->o.host);
	assert_null(p->o.context);
	parsed_free(p);
}

static void
test_api_version(void **state)
{
	struct parsed *p;

	setenv("DOCKER_API_VERSION", "1.41", 1);
	p = good("-d app");
	assert_string_equal(p->o.api, "1.41");
	parsed_free(p);
	setenv("DOCKER_API_VERSION", "", 1);
	p = good("-d app");
	assert_null(p->o.api);
	parsed_free(p);
}

static void
socket_is(const char *line, const char *want)
{
	struct parsed *p = good(line);

	assert_string_equal(p->o.socket, want);
	parsed_free(p);
}

static void
test_socket(void **state)
{
	char *own = xasprintf("/tmp/wharf-%u/ctl.sock", geteuid());
	bool root = geteuid() == 0;

	socket_is("-d app", root ? "/run/wharf/ctl.sock" : own);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	socket_is("-d app",
	    root ? "/run/wharf/ctl.sock" : "/run/user/7/wharf/ctl.sock");
	setenv("WHARF_SOCKET", "/w.sock", 1);
	socket_is("-d app", "/w.sock");
	socket_is("-d -s /s.sock app", "/s.sock");
	free(own);
}

#define TEST(t) cmocka_unit_test_setup(t, each)

/* Words may be anybody's: file names of a script, say. */
static void
nothing_raw_is_said(void **state)
{
	bad("--b\x1b[31m", EX_USAGE, "--b\\x1b[31m");
	bad("-\x9b", EX_USAGE, "\\x9b");
	bad("-d /no\x1bpe", EX_NOINPUT, "/no\\x1bpe");
	bad("-d --name x\ny /", EX_USAGE, "x\\x0ay");
}

/* Detached, names have to be whole. */
static void
test_names_are_absolute(void **state)
{
	char *cwd = getcwd(NULL, 0), *want;
	struct parsed *p;

	assert_non_null(cwd);
	setenv("DOCKER_CONFIG", "dk", 1);
	p = parse("-f x.yaml -s a/ctl.sock");
	assert_int_equal(p->rc, 0);
	want = xasprintf("%s/x.yaml", cwd);
	assert_string_equal(p->o.file, want);
	free(want);
	want = xasprintf("%s/a/ctl.sock", cwd);
	assert_string_equal(p->o.socket, want);
	free(want);
	want = xasprintf("%s/dk", cwd);
	assert_string_equal(getenv("DOCKER_CONFIG"), want);
	free(want);
	free(cwd);
	parsed_free(p);
	p = parse("-f /x.yaml -s /ctl.sock");
	assert_string_equal(p->o.file, "/x.yaml");
	assert_string_equal(p->o.socket, "/ctl.sock");
	parsed_free(p);
	unsetenv("DOCKER_CONFIG");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_short_options),
		TEST(test_long_options),
		TEST(test_defaults),
		TEST(test_probe_needs_no_directory),
		TEST(test_version),
		TEST(test_bad_usage),
		TEST(test_no_such_file),
		TEST(test_dots_in_a_name),
		TEST(test_volumes),
		TEST(test_directory_is_resolved),
		TEST(test_names),
		TEST(test_docker_host),
		TEST(test_docker_host_too_long),
		TEST(test_docker_context),
		TEST(test_api_version),
		TEST(test_socket),
		cmocka_unit_test(nothing_raw_is_said),
		cmocka_unit_test(test_names_are_absolute),
	};

	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
