/*
 * What a worker is told before it serves.  Supervisor.
 */
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "context.h"
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

static void
configure_engine(struct child *c)
{
	struct options *o = c->sup->opt;
	struct msg_conf_engine m = { 0 };
	struct buf tail = { 0 };

	fields_add_str(&tail, F_NAME, "default");
	fields_add_str(&tail, F_HOST, o->host);
	if (o->api != NULL)
		fields_add_str(&tail, F_API, o->api);
	child_send(c, MSG_CONF_ENGINE, &m, &tail, -1);
	buf_free(&tail);
}

static void
configure_root(struct child *c)
{
	struct root *r = &c->sup->root;
	bool reads = c->role == PROC_WATCH || c->role == PROC_IMAGE ||
	    c->role == PROC_PUSH;
	struct msg_conf_root m = { .tree = r->tree, .gone = r->fd == -1 };
	struct buf tail = { 0 };
	int fd = -1;

	if (reads && r->fd != -1)
		fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 0);
	fields_add_str(&tail, F_ROOT, r->path);
	child_send(c, MSG_CONF_ROOT, &m, &tail, fd);
	buf_free(&tail);
}

static void
configure_strings(struct buf *b, enum field_key key, const struct strings *l)
{
	for (size_t i = 0; i < l->n; i++)
		fields_add_str(b, key, l->v[i]);
}

static void
configure_service(struct child *c)
{
	struct options *o = c->sup->opt;
	struct msg_conf_service m = { .flags = o->keep ? SERVICE_KEEP : 0 };
	struct buf tail = { 0 };
	char *image = xasprintf("%s:latest", o->name);

	fields_add_str(&tail, F_NAME, o->name);
	fields_add_str(&tail, F_DIR, o->dir);
	fields_add_str(&tail, F_DOCKERFILE, o->dockerfile);
	fields_add_str(&tail, F_IMAGE, image);
	fields_add_str(&tail, F_CONTAINER, o->name);
	if (o->target != NULL)
		fields_add_str(&tail, F_TARGET, o->target);
	if (o->network != NULL)
		fields_add_str(&tail, F_NETWORK, o->network);
	configure_strings(&tail, F_ENV, &o->env);
	configure_strings(&tail, F_PORT, &o->ports);
	configure_strings(&tail, F_BIND, &o->binds);
	configure_strings(&tail, F_BUILD_ARG, &o->build_args);
	child_send(c, MSG_CONF_SERVICE, &m, &tail, -1);
	buf_free(&tail);
	free(image);
}

/* A memfd's duplicate; the receiver maps it. */
static void
configure_memory(struct child *c, enum mem_kind kind, int fd)
{
	struct msg_conf_mem m = { .kind = kind };
	struct stat st;

	if (fstat(fd, &st) == -1 ||
	    (fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		log_warn("memfd");
		return;
	}
	m.size = (uint64_t)st.st_size;
	child_send(c, MSG_CONF_MEM, &m, NULL, fd);
}

static void
configure_context(struct child *c)
{
	struct buf tail = { 0 };

	fields_add_str(&tail, F_DIR, context_dir(c->sup));
	if (c->sup->opt->context != NULL)
		fields_add_str(&tail, F_NAME, c->sup->opt->context);
	child_send(c, MSG_CONF_CONTEXT, NULL, &tail, -1);
	buf_free(&tail);
}

void
configure_send(struct child *c)
{
	struct sup *s = c->sup;

	configure_init(c);
	if (c->role == PROC_CONFIG) {
		configure_context(c);
		child_send(c, MSG_CONF_END, NULL, NULL, -1);
		return;
	}
	configure_engine(c);
	if (c->role == PROC_WATCH)
		root_check(s);
	configure_root(c);
	configure_service(c);
	if (c->role == PROC_PUSH)
		configure_memory(c, MEM_MANIFEST, s->manifest_fd);
	if (c->role == PROC_CONTROL) {
		configure_memory(c, MEM_COUNTER, s->counter_fd);
		child_send(c, MSG_CONF_LISTENER, NULL, NULL,
		    fcntl(s->listener, F_DUPFD_CLOEXEC, 0));
	}
	child_send(c, MSG_CONF_END, NULL, NULL, -1);
}
