/*
 * Configuration as the supervisor sends it, see conf.h and worker.h.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "workers/common/conf.h"

/* Room for one more in an array; returns the zeroed new element. */
#define CONF_GROW(v, n)                                   \
	((v) = xreallocarray((v), (n) + 1, sizeof(*(v))), \
	    memset(&(v)[n], 0, sizeof(*(v))), &(v)[(n)++])

static struct conf_list
conf_strings(const struct fields *t, enum field_key key)
{
	struct conf_list l = {
		xcalloc(fields_count(t, key) + 1, sizeof(char *)), 0
	};
	struct field f;
	size_t off = 0;

	while (field_next(t, &off, &f) == 1)
		if (f.key == key)
			l.v[l.n++] = xstrndup(f.str, f.len);
	return (l);
}

static int
conf_take_engine(struct conf *c, struct frame *f)
{
	const struct msg_conf_engine *m = frame_fixed(f);
	struct conf_engine *e = CONF_GROW(c->engines, c->nengines);

	e->instance = m->instance;
	e->name = fields_dup(&f->tail, F_NAME);
	e->host = fields_dup(&f->tail, F_HOST);
	e->api = fields_dup(&f->tail, F_API);
	return (e->name != NULL && e->host != NULL ? 0 : -1);
}

static int
conf_take_root(struct conf *c, struct frame *f)
{
	const struct msg_conf_root *m = frame_fixed(f);
	struct conf_root *r = CONF_GROW(c->roots, c->nroots);

	r->tree = m->tree;
	r->gone = m->gone != 0;
	r->path = fields_dup(&f->tail, F_ROOT);
	r->fd = frame_take_fd(f);
	return (r->path != NULL ? 0 : -1);
}

static int
conf_take_service(struct conf *c, struct frame *f)
{
	const struct msg_conf_service *m = frame_fixed(f);
	struct conf_service *s = CONF_GROW(c->services, c->nservices);

	s->service = m->service;
	s->tree = m->tree;
	s->engine = m->engine;
	s->flags = m->flags;
	s->name = fields_dup(&f->tail, F_NAME);
	s->dir = fields_dup(&f->tail, F_DIR);
	s->dockerfile = fields_dup(&f->tail, F_DOCKERFILE);
	s->image = fields_dup(&f->tail, F_IMAGE);
	s->container = fields_dup(&f->tail, F_CONTAINER);
	s->target = fields_dup(&f->tail, F_TARGET);
	s->network = fields_dup(&f->tail, F_NETWORK);
	s->env = conf_strings(&f->tail, F_ENV);
	s->ports = conf_strings(&f->tail, F_PORT);
	s->binds = conf_strings(&f->tail, F_BIND);
	s->build_args = conf_strings(&f->tail, F_BUILD_ARG);
	return (s->name != NULL && s->dir != NULL && s->dockerfile != NULL &&
		    s->image != NULL && s->container != NULL ?
		0 :
		-1);
}

static int
conf_take_mem(struct conf *c, struct frame *f)
{
	const struct msg_conf_mem *m = frame_fixed(f);
	struct conf_mem *e = CONF_GROW(c->mems, c->nmems);
	const int seals = F_SEAL_GROW | F_SEAL_SHRINK;
	struct stat st;
	int fd = frame_take_fd(f);

	e->kind = m->kind;
	e->service = m->service;
	e->size = m->size;
	/* without the seals the other side could cut it under our feet */
	if (fstat(fd, &st) == -1 || (uint64_t)st.st_size != m->size ||
	    (fcntl(fd, F_GET_SEALS) & seals) != seals) {
		close(fd);
		return (-1);
	}
	e->map = mmap(NULL, e->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return (e->map != MAP_FAILED ? 0 : -1);
}

int
conf_take(struct conf *c, struct frame *f)
{
	switch (f->head.type) {
	case MSG_CONF_ENGINE:
		return (conf_take_engine(c, f));
	case MSG_CONF_ROOT:
		return (conf_take_root(c, f));
	case MSG_CONF_SERVICE:
		return (conf_take_service(c, f));
	case MSG_CONF_MEM:
		return (conf_take_mem(c, f));
	case MSG_CONF_LISTENER:
		c->listener = frame_take_fd(f);
		return (0);
	case MSG_CONF_CONTEXT:
		c->docker_dir = fields_dup(&f->tail, F_DIR);
		c->context = fields_dup(&f->tail, F_NAME);
		return (c->docker_dir != NULL ? 0 : -1);
	default:
		return (-1);
	}
}

const struct conf_service *
conf_service(const struct conf *c, uint32_t id)
{
	for (size_t i = 0; i < c->nservices; i++)
		if (c->services[i].service == id)
			return (&c->services[i]);
	return (NULL);
}

const struct conf_root *
conf_root(const struct conf *c, uint32_t tree)
{
	for (size_t i = 0; i < c->nroots; i++)
		if (c->roots[i].tree == tree)
			return (&c->roots[i]);
	return (NULL);
}

const struct conf_engine *
conf_engine(const struct conf *c, uint32_t id)
{
	for (size_t i = 0; i < c->nengines; i++)
		if (c->engines[i].instance == id)
			return (&c->engines[i]);
	return (NULL);
}

const struct conf_mem *
conf_mem(const struct conf *c, enum mem_kind kind, uint32_t service)
{
	for (size_t i = 0; i < c->nmems; i++)
		if (c->mems[i].kind == kind && c->mems[i].service == service)
			return (&c->mems[i]);
	return (NULL);
}
