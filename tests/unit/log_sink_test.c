/*
 * The forms of the log, and that no reader of it can hold the supervisor up.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include "log.h"
#include "loop.h"

static char text[1024 * 1024];
static int saved = -1;

/* Standard error is fd from here on; back_to_stderr() ends it. */
static void
stderr_is(int fd)
{
	saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
	log_init("wharfd", 0);
}

static void
back_to_stderr(void)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	unsetenv("JOURNAL_STREAM");
	log_set_format(LOG_TEXT);
}

/* A pipe as standard error; returns the end that reads, non-blocking. */
static int
stderr_is_pipe(void)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	stderr_is(p[1]);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	return (p[0]);
}

static size_t
read_all(int fd)
{
	size_t n = 0;
	ssize_t r;

	while ((r = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)r;
	text[n] = '\0';
	return (n);
}

static void
set_journal(ino_t more)
{
	struct stat st;
	char id[64];

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(id, sizeof(id), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)(st.st_ino + more));
	setenv("JOURNAL_STREAM", id, 1);
}

static void
test_journal(void **state)
{
	int fd = stderr_is_pipe();

	set_journal(0);
	log_set_format(LOG_TEXT);
	log_info("i");
	log_warnx("w");
	log_relay("push", 7, "<4>late", 7);
	set_journal(1); /* of whoever started us, not ours */
	log_set_format(LOG_TEXT);
	log_info("plain");
	back_to_stderr();
	read_all(fd);
	close(fd);
	assert_string_equal(text,
	    "<6>wharfd: i\n<4>wharfd: warning: w\n"
	    "<4>push: warning: late\nwharfd: plain\n");
}

static void
check_json(const char *line, const char *prio, const char *proc, int pid,
    const char *msg)
{
	cJSON *o = cJSON_ParseWithOpts(line, NULL, 1);
	int y, mo, d, h, mi, s, us;
	char z;

	assert_non_null(o);
	assert_string_equal(cJSON_GetObjectItem(o, "prio")->valuestring, prio);
	assert_string_equal(cJSON_GetObjectItem(o, "proc")->valuestring, proc);
	assert_int_equal(cJSON_GetObjectItem(o, "pid")->valueint, pid);
	assert_string_equal(cJSON_GetObjectItem(o, "msg")->valuestring, msg);
	assert_int_equal(sscanf(cJSON_GetObjectItem(o, "time")->valuestring,
			     "%4d-%2d-%2dT%2d:%2d:%2d.%6d%c", &y, &mo, &d, &h,
			     &mi, &s, &us, &z),
	    8);
	assert_int_equal(z, 'Z');
	assert_int_equal(cJSON_GetArraySize(o), 5);
	cJSON_Delete(o);
}

/* Whatever a file is named, a line is one object of valid UTF-8. */
static void
test_json(void **state)
{
	int fd = stderr_is_pipe();
	char *line, *rest = text;

	log_set_format(LOG_JSON);
	log_warnx("a \"q\" b\\c\n\xff\xc3\xa9");
	log_relay("push", 42, "<6>x", 4);
	errno = ENOENT;
	log_warn("open");
	back_to_stderr();
	read_all(fd);
	close(fd);
	line = strsep(&rest, "\n");
	check_json(line, "warning", "wharfd", getpid(),
	    "a \"q\" b\\c\\x0a\\xff\xc3\xa9");
	line = strsep(&rest, "\n");
	check_json(line, "info", "push", 42, "x");
	line = strsep(&rest, "\n");
	check_json(line, "warning", "wharfd", getpid(),
	    "open: No such file or directory");
	assert_string_equal(rest, "");
}

/* The longest text, all of it doubled by JSON, and cut inside characters. */
static void
test_json_long(void **state)
{
	static char big[8192];
	int fd;
	char *line, *rest;
	cJSON *o;

	for (size_t lead = 0; lead < 5; lead++) {
		memset(big, 'x', lead);
		for (size_t i = lead; i + 4 < sizeof(big); i += 3)
			memcpy(big + i, lead & 1 ? "\xe2\x82\xac" : "\"\\\"",
			    4);
		fd = stderr_is_pipe();
		log_set_format(LOG_JSON);
		log_info("%s", big);
		log_info("after");
		back_to_stderr();
		read_all(fd);
		close(fd);
		rest = text;
		line = strsep(&rest, "\n");
		assert_in_range(strlen(line), 3000, 4095);
		o = cJSON_Parse(line);
		assert_non_null(o);
		assert_int_equal(strncmp(cJSON_GetObjectItem(o, "msg")
					     ->valuestring,
				     big, 1800),
		    0);
		cJSON_Delete(o);
		line = strsep(&rest, "\n");
		check_json(line, "info", "wharfd", getpid(), "after");
	}
}

static void
test_syslog(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), pid;
	char mon[4];
	int day, h, m, s, off = 0;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "/tmp/log-test.%d",
	    getpid());
	unlink(sun.sun_path);
	log_init("wharfd", 0);
	log_to_syslog(sun.sun_path);
	log_info("nobody is there");
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	log_warnx("w");
	log_relay("push", 7, "<6>i", 4);
	assert_int_equal(read(fd, text, sizeof(text)),
	    (int)strlen("<28>Nov 22 05:14:57 wharfd[]: wharfd: warning: "
			"1 log lines lost") +
		snprintf(NULL, 0, "%d", getpid()));
	text[read(fd, text, sizeof(text))] = '\0';
	assert_int_equal(sscanf(text, "<28>%3s %d %d:%d:%d wharfd[%d]: %n", mon,
			     &day, &h, &m, &s, &pid, &off),
	    6);
	assert_int_equal(pid, getpid());
	assert_string_equal(text + off, "wharfd: warning: w");
	text[read(fd, text, sizeof(text))] = '\0';
	assert_int_equal(strncmp(text, "<30>", 4), 0);
	assert_non_null(strstr(text, "]: push: i"));
	assert_int_equal(read(fd, text, sizeof(text)), -1);
	close(fd);
	unlink(sun.sun_path);
	log_set_format(LOG_TEXT);
}

/* Fill it until `more` lines must have been lost. */
static uint64_t
fill(size_t lines)
{
	uint64_t before = log_lost();

	for (size_t i = 0; i < lines; i++)
		log_info("%05zu %0200d", i, 0);
	return (log_lost() - before);
}

/*
 * All lines that were not lost are there, whole, in order; the loss is told
 * between what came before and after it.
 */
static void
check_filled(size_t lines, uint64_t lost)
{
	char *rest = text, *line;
	size_t i = 0;
	unsigned long long told = 0, n;

	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		if (sscanf(line, "wharfd: warning: %llu log lines lost", &n) ==
		    1) {
			told += n;
			i += n;
			continue;
		}
		if (strcmp(line, "wharfd: after") == 0)
			continue;
		assert_int_equal(strtoul(line + strlen("wharfd: "), NULL, 10),
		    i++);
		assert_int_equal(strlen(line), 8 + 5 + 1 + 200);
	}
	assert_int_equal(i, lines);
	assert_int_equal(told, lost);
}

static void
stuck_reader(int fd)
{
	struct loop *l = loop_new();
	int flags = fcntl(STDERR_FILENO, F_GETFL);
	uint64_t lost;
	size_t n = 0;
	ssize_t r;

	log_set_format(LOG_TEXT);
	log_set_loop(l);
	lost = fill(5000); /* a pipe's 64 KiB and our 256 are 1500 */
	assert_in_range(lost, 2000, 4500);
	/* others have this description too: it blocks as before */
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL), flags);
	for (int i = 0; i < 100; i++) {
		while ((r = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
			n += (size_t)r;
		if (loop_once(l, 60) == -1)
			fail();
	}
	text[n] = '\0';
	log_set_loop(NULL);
	loop_free(l);
	back_to_stderr();
	check_filled(5000, lost);
}

static void
test_stuck_pipe(void **state)
{
	int fd = stderr_is_pipe();

	stuck_reader(fd);
	close(fd);
}

static void
test_stuck_socket(void **state)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	stderr_is(sv[1]);
	fcntl(sv[0], F_SETFL, O_NONBLOCK);
	stuck_reader(sv[0]);
	close(sv[0]);
}

static void
test_stuck_terminal(void **state)
{
	int m = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), s;

	assert_int_not_equal(m, -1);
	assert_int_equal(grantpt(m) | unlockpt(m), 0);
	s = open(ptsname(m), O_RDWR | O_NOCTTY);
	assert_int_not_equal(s, -1);
	stderr_is(s);
	log_set_format(LOG_TEXT);
	alarm(20);
	assert_in_range(fill(1000), 900, 1000);
	alarm(0);
	back_to_stderr();
	close(m);
}

/* A worker's own pipe: what is lost on it is told by the worker. */
static void
test_worker_tells(void **state)
{
	int fd = stderr_is_pipe();
	unsigned long long n, told = 0, lines = 0;
	uint64_t lost;
	char *line, *rest = text;
	size_t len;

	fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	log_to_supervisor();
	log_info("what the test before lost is told");
	read_all(fd);
	lost = fill(1000);
	assert_in_range(lost, 500, 900);
	len = read_all(fd);
	log_info("after");
	n = (size_t)read(fd, text + len, 4096);
	text[len + n] = '\0';
	back_to_stderr();
	close(fd);
	while ((line = strsep(&rest, "\n")) != NULL && *line == '<')
		if (sscanf(line, "<4>%llu log lines lost", &n) == 1)
			told += n;
		else
			lines++;
	assert_int_equal(told, lost);
	assert_int_equal(lines, 1000 - lost + 1);
}

static void
test_nowhere(void **state)
{
	uint64_t before = log_lost();
	int fd;

	stderr_is(open("/dev/full", O_WRONLY));
	log_set_format(LOG_TEXT);
	assert_int_equal(fill(10), 10);
	back_to_stderr();
	fd = stderr_is_pipe();
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	log_set_format(LOG_TEXT);
	assert_int_equal(fill(10), 10);
	close(STDERR_FILENO);
	log_set_format(LOG_TEXT);
	assert_int_equal(fill(10), 10);
	back_to_stderr();
	assert_int_equal(log_lost() - before, 30);
	fd = stderr_is_pipe();
	log_set_format(LOG_TEXT);
	log_info("after");
	back_to_stderr();
	read_all(fd);
	close(fd);
	assert_string_equal(text,
	    "wharfd: warning: 30 log lines lost\nwharfd: after\n");
}

static void
test_names(void **state)
{
	enum log_format f = LOG_TEXT;

	assert_int_equal(log_format_by_name("json", &f), 0);
	assert_int_equal(f, LOG_JSON);
	assert_int_equal(log_format_by_name("syslog", &f), 0);
	assert_int_equal(f, LOG_SYSLOG);
	assert_int_equal(log_format_by_name("Text", &f), -1);
	assert_int_equal(f, LOG_SYSLOG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_long),
		cmocka_unit_test(test_syslog),
		cmocka_unit_test(test_stuck_pipe),
		cmocka_unit_test(test_stuck_socket),
		cmocka_unit_test(test_stuck_terminal),
		cmocka_unit_test(test_worker_tells),
		cmocka_unit_test(test_nowhere),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
