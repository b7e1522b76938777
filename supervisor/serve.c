/*
 * What the supervisor itself does for workers: connections to the engine,
 * shared memory, status, stop.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "log.h"
#include "reader.h"
#include "rpc.h"
#include "sup.h"

#define MEM_MAX (1024u * 1024 * 1024)

void
serve_event(struct sup *s, enum event_kind kind, const struct buf *tail)
{
	struct msg_event m = { .kind = kind,
		.time_ns = wall_now_ns(),
		.mono_ns = mono_now().ns };

	route_event(s, &m, tail);
}

/*
 * A connected socket to the engine: -1 with errno.  A unix connect(2) is done
 * at once or not at all: a full backlog is EAGAIN, and the asker's to pace.
 */
static int
serve_dial(const char *host)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, e;

	if (strlcpy(sun.sun_path, host + strlen("unix://"),
		sizeof(sun.sun_path)) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return (-1);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return (fd);
	e = errno;
	close(fd);
	errno = e;
	return (-1);
}

/*
 * As the entry point of a container: the restart policy starts it anew, which
 * mounts the file that is there then.
 */
static void
serve_check_stale(struct sup *s, struct config_engine *en, int errnum)
{
	if (!stale_is(&en->stale, en->host + strlen("unix://"), errnum,
		mono_now()) ||
	    getpid() != 1 || s->phase != SUP_RUNS)
		return;
	log_warnx("%s is a stale socket file: it is mounted by itself, and no "
		  "engine will answer there again; mount its directory instead",
	    en->host);
	stop_begin(s, EX_TEMPFAIL);
}

static void
serve_on_dial(struct child *c, struct frame *f)
{
	struct config_engine *en;
	int fd = -1, e = ENXIO;

	TAILQ_FOREACH (en, &c->sup->conf.engines, link)
		if (en->instance == c->instance) {
			fd = serve_dial(en->host);
			e = errno;
			serve_check_stale(c->sup, en, fd == -1 ? e : 0);
		}
	if (fd == -1)
		rpc_answer_err(c->ch, f->head.id, ERR_ENGINE, e, strerror(e));
	else
		rpc_answer(c->ch, f->head.id, MSG_DIAL_OK, 0, NULL, NULL, fd);
}

static void
serve_on_mem_new(struct child *c, struct frame *f)
{
	const struct msg_num *m = frame_fixed(f);
	int fd = -1;

	errno = EINVAL;
	if (m->n > 0 && m->n <= MEM_MAX)
		fd = memory_new("wharf", m->n);
	if (fd == -1)
		rpc_answer_err(c->ch, f->head.id, ERR_IO, errno,
		    strerror(errno));
	else
		rpc_answer(c->ch, f->head.id, MSG_MEM_NEW_OK, 0, m, NULL, fd);
}

/* Status. */

static void
serve_item(struct child *to, uint32_t id, enum status_kind kind,
    const struct buf *tail)
{
	struct msg_status m = { .kind = kind };

	rpc_answer(to->ch, id, MSG_STATUS_ITEM, F_MORE, &m, tail, -1);
}

static void
serve_worker_item(struct child *to, uint32_t id, const struct child *c)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_NAME, proc_name(c->role));
	fields_add_u64(&b, F_INSTANCE, c->instance);
	fields_add_u64(&b, F_PID, (uint64_t)c->pid);
	fields_add_u64(&b, F_GEN, c->generation);
	fields_add_str(&b, F_STATE, policy_state_name(&c->policy, mono_now()));
	fields_add_u64(&b, F_RESTARTS, c->policy.restarts);
	if (c->last_exit[0] != '\0')
		fields_add_str(&b, F_LAST_EXIT, c->last_exit);
	fields_add_u64(&b, F_LAST_DOWN_US, c->last_down_us);
	buf_add(&b, c->facts.data, c->facts.len);
	serve_item(to, id, STATUS_WORKER, &b);
	buf_free(&b);
}

/* What this process takes, where /proc is there to say it. */
static void
serve_figures(struct buf *b)
{
	FILE *f = fopen("/proc/self/statm", "re");
	char line[128], *rss;
	DIR *d = opendir("/proc/self/fd");
	uint64_t fds = 0;

	/* pages: of all, of those that are in memory, ... (proc(5)) */
	if (f != NULL && fgets(line, sizeof(line), f) != NULL &&
	    (rss = strchr(line, ' ')) != NULL)
		fields_add_u64(b, F_RSS,
		    strtoull(rss, NULL, 10) * (uint64_t)getpagesize());
	if (f != NULL)
		fclose(f);
	while (d != NULL && readdir(d) != NULL)
		fds++;
	if (d != NULL) {
		fields_add_u64(b, F_FDS, fds - 3); /* ".", "..", its own */
		closedir(d);
	}
	fields_add_u64(b, F_LOG_LOST, log_lost());
}

static void
serve_on_status(struct child *c, struct frame *f)
{
	struct sup *s = c->sup;
	struct child *w;
	struct buf b = { 0 };

	fields_add_str(&b, F_RUN, s->run);
	fields_add_u64(&b, F_PID, (uint64_t)getpid());
	fields_add_str(&b, F_MODE,
	    getpid() == 1      ? "container" :
		geteuid() == 0 ? "host" :
				 "user");
	fields_add_str(&b, F_VERSION, WHARF_VERSION);
	serve_figures(&b);
	serve_item(c, f->head.id, STATUS_DAEMON, &b);
	buf_free(&b);
	CHILD_FOREACH (w, s)
		if (w->role != PROC_CONFIG)
			serve_worker_item(c, f->head.id, w);
	rpc_answer_ok(c->ch, f->head.id, 0);
}

void
serve_frame(struct child *c, struct frame *f)
{
	const struct msg_num *m = frame_fixed(f);

	switch (f->head.type) {
	case MSG_DIAL:
		serve_on_dial(c, f);
		break;
	case MSG_MEM_NEW:
		serve_on_mem_new(c, f);
		break;
	case MSG_ROOT_GONE:
		root_gone(c->sup, (uint32_t)m->n);
		break;
	case MSG_CONFIG_OPEN:
		reader_on_open(c, f);
		break;
	case MSG_CONFIG_HOST:
	case MSG_CONFIG_GLOBAL:
	case MSG_CONFIG_ENGINE:
	case MSG_CONFIG_SERVICE:
	case MSG_CONFIG_ERROR:
	case MSG_CONFIG_DONE:
		reader_on_found(c, f);
		break;
	case MSG_CONF_TAKEN:
		c->conf_taken = (uint32_t)m->n;
		reload_progress(c->sup);
		break;
	case MSG_SERVICE_GONE:
		reload_service_gone(c->sup, (uint32_t)m->n);
		break;
	case MSG_RELOAD:
		reload_on_request(c, f);
		break;
	case MSG_STATUS_SUP:
		serve_on_status(c, f);
		break;
	case MSG_DAEMON_STOP:
		rpc_answer_ok(c->ch, f->head.id, 0);
		stop_begin(c->sup, 0);
		break;
	default:
		log_warnx("%s: %s is for nobody", proc_name(c->role),
		    f->def->name);
	}
}
