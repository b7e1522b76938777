/*
 * What a worker is told before it serves.  Supervisor.
 */
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "reader.h"
#include "sup.h"

#define FIXED_UID_BASE 64800 /* where no system user was made */

/* uid and gid of a worker: its system user, or a fixed number. */
static void
configure_user(const struct child *c, struct msg_init *m)
{
	char name[32];
	struct passwd *pw;

	m->uid = geteuid();
	m->gid = getegid();
	if (geteuid() != 0)
		return;
	snprintf(name, sizeof(name), "_wharf-%s", proc_name(c->role));
	if ((pw = getpwnam(name)) != NULL) {
		m->uid = pw->pw_uid;
		m->gid = pw->pw_gid;
		return;
	}
	m->uid = m->gid = FIXED_UID_BASE + c->role * 16 + c->instance;
}

static void
configure_init(struct child *c)
{
	struct options *o = c->sup->opt;
	struct msg_init m = {
		.role = c->role,
		.instance = c->instance,
		.generation = c->generation,
		.sandbox = c->wrapped ? SANDBOX_OFF : o->sandbox,
		.verbose = (uint32_t)o->verbose,
		.probe = c->probe,
		.owner = geteuid(),
	};
	struct buf tail = { 0 };

	configure_user(c, &m);
	fields_add_str(&tail, F_RUN, c->sup->run);
	for (size_t i = 0; i < o->tokens.n; i++)
		fields_add_str(&tail, F_TOKEN, o->tokens.v[i]);
	child_send(c, MSG_INIT, &m, &tail, -1);
	buf_free(&tail);
}

void
configure_engine(struct child *c, const struct config_engine *e)
{
	struct msg_conf_engine m = { .instance = e->instance };
	struct buf tail = { 0 };

	fields_add_str(&tail, F_NAME, e->name);
	fields_add_str(&tail, F_HOST, e->host);
	if (e->api != NULL)
		fields_add_str(&tail, F_API, e->api);
	child_send(c, MSG_CONF_ENGINE, &m, &tail, -1);
	buf_free(&tail);
}

void
configure_root(struct child *c, const struct root *r)
{
	struct msg_conf_root m = { .tree = r->tree, .gone = r->fd == -1 };
	struct buf tail = { 0 };
	int fd = -1;

	if (root_is_reader(c) && r->fd != -1)
		fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 0);
	fields_add_str(&tail, F_ROOT, r->path);
	child_send(c, MSG_CONF_ROOT, &m, &tail, fd);
	buf_free(&tail);
}

/* A memfd's duplicate; the receiver maps it. */
static void
configure_memory(struct child *c, enum mem_kind kind, uint32_t service, int fd)
{
	struct msg_conf_mem m = { .kind = kind, .service = service };
	struct stat st;

	if (fstat(fd, &st) == -1 ||
	    (fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		log_warn("memfd");
		return;
	}
	m.size = (uint64_t)st.st_size;
	child_send(c, MSG_CONF_MEM, &m, NULL, fd);
}

/* An engine worker is told of what it may touch, and of nothing else. */
bool
configure_concerns(const struct child *c, const struct config_engine *e)
{
	return (c->role != PROC_CONFIG &&
	    (c->role != PROC_ENGINE || e->instance == c->instance));
}

void
configure_retire(struct child *c, const struct config_service *sv)
{
	struct msg_conf_service m = { .service = sv->id,
		.tree = sv->tree,
		.engine = sv->engine->instance,
		.flags = sv->flags | (sv->retired ? SERVICE_RETIRED : 0) };
	struct buf tail = { 0 };

	service_text_add(&sv->text, &tail);
	child_send(c, MSG_CONF_SERVICE, &m, &tail, -1);
	buf_free(&tail);
}

void
configure_service(struct child *c, const struct config_service *sv)
{
	configure_retire(c, sv);
	if (c->role == PROC_PUSH)
		configure_memory(c, MEM_MANIFEST, sv->id, sv->manifest_fd);
}

void
configure_drop(struct child *c, enum conf_drop what, uint32_t id)
{
	struct msg_conf_drop m = { .what = what, .id = id };

	child_send(c, MSG_CONF_DROP, &m, NULL, -1);
}

void
configure_end(struct child *c)
{
	struct msg_num m = { .n = c->sup->serial };

	child_send(c, MSG_CONF_END, &m, NULL, -1);
}

void
configure_send(struct child *c)
{
	struct sup *s = c->sup;
	const struct config_engine *e;
	const struct config_service *sv;
	const struct root *r;

	configure_init(c);
	if (c->role == PROC_CONFIG) {
		reader_configure(c);
		return;
	}
	/* a channel takes the largest configuration on top of what it does */
	channel_set_limit(c->ch, CHANNEL_LIMIT + 2 * CONFIG_QUEUE_MAX);
	c->conf_start = s->serial;
	c->conf_taken = 0;
	if (c->role == PROC_WATCH)
		root_check_all(s);
	TAILQ_FOREACH (e, &s->conf.engines, link)
		if (configure_concerns(c, e))
			configure_engine(c, e);
	TAILQ_FOREACH (r, &s->roots, link)
		if (c->role != PROC_ENGINE)
			configure_root(c, r);
	TAILQ_FOREACH (sv, &s->conf.services, link)
		if (configure_concerns(c, sv->engine))
			configure_service(c, sv);
	if (c->role == PROC_CONTROL) {
		configure_memory(c, MEM_COUNTER, 0, s->counter_fd);
		child_send(c, MSG_CONF_LISTENER, NULL, NULL,
		    fcntl(s->listener, F_DUPFD_CLOEXEC, 0));
	}
	configure_end(c);
}
