/*
 * Docker's contexts, see context.h.
 *
 * The supervisor reads no JSON: a config process does.  That one opens
 * nothing: it asks for one of two kinds of file by name, and they are opened
 * here, below docker's directory and owned by us or by root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "context.h"
#include "names.h"
#include "rpc.h"

#define CONTEXT_TIMEOUT_MS 5000
#define CONTEXT_FILE       "config.json"
#define CONTEXT_META       "contexts/meta/"
#define CONTEXT_META_END   "/meta.json"
#define CONTEXT_HASH_LEN   64
#define CONTEXT_OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

struct context {
	char *dir;
	int dirfd; /* -1: there is none */
	int code;
	bool done;
	struct loop_timer timeout;
};

const char *
context_dir(const struct sup *s)
{
	return (s->context != NULL ? s->context->dir : "");
}

/* As docker finds it: $DOCKER_CONFIG, else .docker at home; NULL: no home. */
static char *
context_find_dir(void)
{
	const char *s;
	struct passwd *pw;

	if ((s = getenv("DOCKER_CONFIG")) != NULL && *s != '\0')
		return (xstrdup(s));
	if ((s = getenv("HOME")) == NULL || *s == '\0')
		s = (pw = getpwuid(geteuid())) != NULL ? pw->pw_dir : NULL;
	return (s != NULL ? xasprintf("%s/.docker", s) : NULL);
}

static void __attribute__((format(printf, 3, 4)))
context_end(struct sup *s, int code, const char *fmt, ...)
{
	char text[2048], esc[4096];
	va_list ap;

	if (s->context->done)
		return; /* the first word counts */
	if (fmt != NULL) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		fprintf(stderr, "wharfd: %s\n",
		    log_escape(esc, sizeof(esc), text, strlen(text)));
	}
	s->context->code = code;
	s->context->done = true;
	loop_stop(s->loop, code);
}

void
context_fail(struct sup *s, int code)
{
	context_end(s, code, NULL);
}

/* Files. */

/* contexts/meta/HASH/meta.json and nothing else. */
static bool
path_is_meta(const char *path)
{
	const char *hash = path + strlen(CONTEXT_META);

	return (strncmp(path, CONTEXT_META, strlen(CONTEXT_META)) == 0 &&
	    strspn(hash, "0123456789abcdef") == CONTEXT_HASH_LEN &&
	    strcmp(hash + CONTEXT_HASH_LEN, CONTEXT_META_END) == 0);
}

/* The person's own config.json may be a link to anywhere; the rest not. */
static int
context_open_path(const struct context *x, const char *path)
{
	struct open_how how = { .flags = CONTEXT_OPEN_FLAGS,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

	if (strcmp(path, CONTEXT_FILE) == 0)
		return (openat(x->dirfd, path, CONTEXT_OPEN_FLAGS));
	return ((int)syscall(SYS_openat2, x->dirfd, path, &how, sizeof(how)));
}

/* -1 and *why when the file is not for us to believe. */
static int
context_check_file(int fd, const char **why)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		*why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*why = "not a file";
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		*why = "it belongs to another user";
	else
		return (0);
	return (-1);
}

void
context_on_open(struct child *c, struct frame *f)
{
	const struct context *x = c->sup->context;
	char *path = fields_dup(&f->tail, F_PATH);
	const char *why = NULL;
	int fd = -1, e = 0;

	if (x == NULL || path == NULL ||
	    (strcmp(path, CONTEXT_FILE) != 0 && !path_is_meta(path))) {
		rpc_answer_err(c->ch, f->head.id, ERR_REFUSED, EPERM,
		    "no file of docker's");
	} else if ((fd = context_open_path(x, path)) == -1) {
		e = errno;
		rpc_answer_err(c->ch, f->head.id,
		    e == ENOENT || e == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, e,
		    e == EXDEV ? "it leads out of docker's directory" :
				 strerror(e));
	} else if (context_check_file(fd, &why) == -1) {
		rpc_answer_err(c->ch, f->head.id, ERR_REFUSED, EPERM, why);
		close(fd);
	} else
		rpc_answer(c->ch, f->head.id, MSG_CONFIG_FILE, 0, NULL, NULL,
		    fd);
	free(path);
}

/* Answers. */

static int
context_code(uint64_t n)
{
	return (n == EX_DATAERR || n == EX_NOINPUT || n == EX_NOPERM ?
		(int)n :
		EX_SOFTWARE);
}

/* Where the engine is said to be, escaped. */
static char *
context_where(const char *name, const char *path)
{
	char *s = xasprintf("context \"%s\" (%s)", name, path), *esc;
	size_t n = strlen(s) * 4 + 1;

	esc = xcalloc(1, n);
	log_escape(esc, n, s, strlen(s));
	free(s);
	return (esc);
}

static void
context_take(struct sup *s, const char *name, const char *path,
    const char *host)
{
	struct options *o = s->opt;
	char *where;

	if (path == NULL) {
		o->host = xstrdup(HOST_DEFAULT);
		context_end(s, EX_OK, NULL);
		return;
	}
	where = context_where(name, path);
	free(o->context);
	o->context = xstrdup(name);
	context_end(s,
	    options_engine_host(where, host, &o->host) == 0 ? EX_OK :
							      EX_UNAVAILABLE,
	    NULL);
	free(where);
}

void
context_on_host(struct child *c, struct frame *f)
{
	const struct msg_num *m = frame_fixed(f);
	char *host = fields_dup(&f->tail, F_HOST);
	char *name = fields_dup(&f->tail, F_NAME);
	char *path = fields_dup(&f->tail, F_PATH);
	char *error = fields_dup(&f->tail, F_ERROR);

	if (c->sup->context == NULL || c->sup->context->done)
		log_debug("nobody waits for a context");
	else if (error != NULL)
		context_end(c->sup, context_code(m->n), "%s", error);
	else if (host == NULL || name == NULL)
		context_end(c->sup, EX_SOFTWARE, "config names no engine");
	else
		context_take(c->sup, name, path, host);
	free(host);
	free(name);
	free(path);
	free(error);
}

void
context_child_gone(struct child *c)
{
	context_end(c->sup, EX_SOFTWARE,
	    "the process that reads %s has ended: set DOCKER_HOST to do "
	    "without it",
	    c->sup->context->dir);
}

static void
context_on_timeout(void *arg)
{
	struct sup *s = arg;

	context_end(s, EX_SOFTWARE,
	    "the process that reads %s does not answer: set DOCKER_HOST to "
	    "do without it",
	    s->context->dir);
}

/* Asking. */

static void
context_clean(struct sup *s)
{
	struct child *c = &s->children[0];

	loop_timer_cancel(&s->context->timeout);
	loop_timer_cancel(&c->beat);
	loop_timer_cancel(&c->due);
	channel_free(c->ch);
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	if (c->logfd != -1)
		close(c->logfd);
	buf_free(&c->log);
	buf_free(&c->facts);
	loop_free(s->loop);
}

static int
context_ask(struct options *o, struct context *x)
{
	struct sup s = { .opt = o,
		.root.fd = -1,
		.listener = -1,
		.context = x,
		.run = "00000000-0000-4000-8000-000000000000" };

	s.loop = loop_new();
	if (loop_signal(s.loop, SIGCHLD, child_on_sigchld, &s) == -1) {
		log_warn("signals");
		loop_free(s.loop);
		return (EX_OSERR);
	}
	child_init(&s, PROC_CONFIG, 0);
	loop_timer_in_ms(s.loop, &x->timeout, CONTEXT_TIMEOUT_MS,
	    context_on_timeout, &s);
	child_event(&s.children[0], POLICY_EV_START, 0);
	loop_run(s.loop);
	context_clean(&s);
	return (x->code);
}

int
context_resolve(struct options *o)
{
	struct context x = { .dirfd = -1, .dir = context_find_dir() };
	int code = EX_OK;

	if (o->host != NULL)
		goto out;
	if (x.dir != NULL)
		x.dirfd = open(x.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* nothing that names another one: no process is needed */
	if ((o->context != NULL && strcmp(o->context, "default") == 0) ||
	    (o->context == NULL &&
		(x.dirfd == -1 ||
		    faccessat(x.dirfd, CONTEXT_FILE, F_OK, 0) == -1)))
		o->host = xstrdup(HOST_DEFAULT);
	else if (x.dir == NULL) {
		fprintf(stderr,
		    "wharfd: DOCKER_CONTEXT is set, and neither "
		    "DOCKER_CONFIG nor HOME\n");
		code = EX_NOINPUT;
	} else
		code = context_ask(o, &x);
out:
	if (x.dirfd != -1)
		close(x.dirfd);
	free(x.dir);
	return (code);
}
