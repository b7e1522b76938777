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

/* One more element at the end of an array of pointers, zeroed. */
#define CONF_GROW(v, n)                                   \
	((v) = xreallocarray((v), (n) + 1, sizeof(*(v))), \
	    (v)[(n)++] = xcalloc(1, sizeof(**(v))))

/* Take element i out of an array. */
#define CONF_CUT(v, n, i) \
	memmove(&(v)[i], &(v)[(i) + 1], (--(n) - (i)) * sizeof(*(v)))

struct conf_gone {
	struct conf_gone *next;
	/* one of them */
	struct conf_engine *engine;
	struct conf_root *root;
	struct conf_service *service;
	struct conf_mem *mem;
};

static int
conf_take_engine(struct conf *c, struct frame *f)
{
	const struct msg_conf_engine *m = frame_fixed(f);
	struct conf_engine *e;

	if (conf_engine(c, m->instance) != NULL)
		return (-1);
	e = CONF_GROW(c->engines, c->nengines);
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
	struct conf_root *r;

	if (conf_root(c, m->tree) != NULL)
		return (-1);
	r = CONF_GROW(c->roots, c->nroots);
	r->tree = m->tree;
	r->gone = m->gone != 0;
	r->path = fields_dup(&f->tail, F_ROOT);
	r->fd = frame_take_fd(f);
	return (r->path != NULL ? 0 : -1);
}

/* Of a service that is there, only that it goes is told. */
static int
conf_retire(struct conf *c, const struct msg_conf_service *m)
{
	if (!(m->flags & SERVICE_RETIRED))
		return (-1);
	for (size_t i = 0; i < c->nservices; i++)
		if (c->services[i]->service == m->service)
			c->services[i]->flags |= SERVICE_RETIRED;
	return (0);
}

static int
conf_take_service(struct conf *c, struct frame *f)
{
	const struct msg_conf_service *m = frame_fixed(f);
	struct conf_service *s;

	if (conf_service(c, m->service) != NULL)
		return (conf_retire(c, m));
	s = CONF_GROW(c->services, c->nservices);
	s->service = m->service;
	s->tree = m->tree;
	s->engine = m->engine;
	s->flags = m->flags;
	return (service_text_take(&s->text, &f->tail));
}

static int
conf_take_mem(struct conf *c, struct frame *f)
{
	const struct msg_conf_mem *m = frame_fixed(f);
	const int seals = F_SEAL_GROW | F_SEAL_SHRINK;
	struct conf_mem *e;
	struct stat st;
	int fd = frame_take_fd(f);

	if (conf_mem(c, m->kind, m->service) != NULL) {
		close(fd);
		return (-1);
	}
	e = CONF_GROW(c->mems, c->nmems);
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
		c->host = fields_dup(&f->tail, F_HOST);
		return (0);
	case MSG_CONF_FILE:
		c->file = fields_dup(&f->tail, F_PATH);
		c->file_fd = frame_take_fd(f);
		return (c->file != NULL ? 0 : -1);
	default:
		return (-1);
	}
}

/* Dropping. */

static struct conf_gone *
conf_gone_new(struct conf *c)
{
	struct conf_gone *g = xcalloc(1, sizeof(*g));

	g->next = c->gone;
	c->gone = g;
	return (g);
}

static int
conf_drop_engine(struct conf *c, uint32_t id)
{
	for (size_t i = 0; i < c->nengines; i++)
		if (c->engines[i]->instance == id) {
			conf_gone_new(c)->engine = c->engines[i];
			CONF_CUT(c->engines, c->nengines, i);
			return (0);
		}
	return (-1);
}

static int
conf_drop_root(struct conf *c, uint32_t id)
{
	for (size_t i = 0; i < c->nroots; i++)
		if (c->roots[i]->tree == id) {
			conf_gone_new(c)->root = c->roots[i];
			CONF_CUT(c->roots, c->nroots, i);
			return (0);
		}
	return (-1);
}

/* With a service goes its memory. */
static void
conf_drop_mems(struct conf *c, uint32_t service)
{
	for (size_t i = c->nmems; i-- > 0;)
		if (c->mems[i]->kind == MEM_MANIFEST &&
		    c->mems[i]->service == service) {
			conf_gone_new(c)->mem = c->mems[i];
			CONF_CUT(c->mems, c->nmems, i);
		}
}

static int
conf_drop_service(struct conf *c, uint32_t id)
{
	for (size_t i = 0; i < c->nservices; i++)
		if (c->services[i]->service == id) {
			conf_gone_new(c)->service = c->services[i];
			CONF_CUT(c->services, c->nservices, i);
			conf_drop_mems(c, id);
			return (0);
		}
	return (-1);
}

static int
conf_drop(struct conf *c, const struct frame *f)
{
	const struct msg_conf_drop *m = frame_fixed(f);

	switch (m->what) {
	case DROP_ENGINE:
		return (conf_drop_engine(c, m->id));
	case DROP_ROOT:
		return (conf_drop_root(c, m->id));
	case DROP_SERVICE:
		return (conf_drop_service(c, m->id));
	default:
		return (-1);
	}
}

int
conf_change(struct conf *c, struct frame *f)
{
	switch (f->head.type) {
	case MSG_CONF_DROP:
		return (conf_drop(c, f));
	case MSG_CONF_ROOT:
		/* a reader's fence stands: it reads what it was started with */
		return (f->fd == -1 ? conf_take(c, f) : -1);
	case MSG_CONF_ENGINE:
	case MSG_CONF_SERVICE:
	case MSG_CONF_MEM:
		return (conf_take(c, f));
	default:
		return (-1);
	}
}

static void
conf_free_engine(struct conf_engine *e)
{
	if (e == NULL)
		return;
	free(e->name);
	free(e->host);
	free(e->api);
	free(e);
}

static void
conf_free_root(struct conf_root *r)
{
	if (r == NULL)
		return;
	if (r->fd != -1)
		close(r->fd);
	free(r->path);
	free(r);
}

static void
conf_free_service(struct conf_service *s)
{
	if (s == NULL)
		return;
	service_text_free(&s->text);
	free(s);
}

static void
conf_free_mem(struct conf_mem *m)
{
	if (m == NULL)
		return;
	if (m->map != NULL && m->map != MAP_FAILED)
		munmap(m->map, m->size);
	free(m);
}

void
conf_forget(struct conf *c)
{
	struct conf_gone *g;

	while ((g = c->gone) != NULL) {
		c->gone = g->next;
		conf_free_engine(g->engine);
		conf_free_root(g->root);
		conf_free_service(g->service);
		conf_free_mem(g->mem);
		free(g);
	}
}

bool
conf_is_retired(const struct conf_service *s)
{
	return ((s->flags & SERVICE_RETIRED) != 0);
}

const struct conf_service *
conf_service(const struct conf *c, uint32_t id)
{
	for (size_t i = 0; i < c->nservices; i++)
		if (c->services[i]->service == id)
			return (c->services[i]);
	return (NULL);
}

const struct conf_root *
conf_root(const struct conf *c, uint32_t tree)
{
	for (size_t i = 0; i < c->nroots; i++)
		if (c->roots[i]->tree == tree)
			return (c->roots[i]);
	return (NULL);
}

const struct conf_engine *
conf_engine(const struct conf *c, uint32_t id)
{
	for (size_t i = 0; i < c->nengines; i++)
		if (c->engines[i]->instance == id)
			return (c->engines[i]);
	return (NULL);
}

const struct conf_mem *
conf_mem(const struct conf *c, enum mem_kind kind, uint32_t service)
{
	for (size_t i = 0; i < c->nmems; i++)
		if (c->mems[i]->kind == kind && c->mems[i]->service == service)
			return (c->mems[i]);
	return (NULL);
}
