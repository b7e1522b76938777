/*
 * The configuration of a worker (workers/common/conf.c): as it starts, and as
 * a reload changes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "workers/common/conf.h"

#define MEM_SIZE 65536

typedef int (*take_fn)(struct conf *c, struct frame *f);

static int
take(struct conf *c, take_fn fn, enum msg_type type, const void *fixed,
    const struct buf *tail, int fd)
{
	struct frame f = { .head.type = (uint16_t)type,
		.def = msg_def(type),
		.fd = fd };
	int r;

	memcpy(f.fixed.bytes, fixed, f.def->fixed);
	if (tail != NULL)
		f.tail = (struct fields) { tail->data, tail->len };
	r = fn(c, &f);
	if (f.fd != -1)
		close(f.fd);
	return (r);
}

static int
take_engine(struct conf *c, take_fn fn, uint32_t instance)
{
	struct msg_conf_engine m = { .instance = instance };
	struct buf t = { 0 };
	int r;

	fields_add_str(&t, F_NAME, "default");
	fields_add_str(&t, F_HOST, "unix:///e");
	r = take(c, fn, MSG_CONF_ENGINE, &m, &t, -1);
	buf_free(&t);
	return (r);
}

static int
take_root(struct conf *c, take_fn fn, uint32_t tree, int fd)
{
	struct msg_conf_root m = { .tree = tree };
	struct buf t = { 0 };
	int r;

	fields_add_str(&t, F_ROOT, "/srv/web");
	r = take(c, fn, MSG_CONF_ROOT, &m, &t, fd);
	buf_free(&t);
	return (r);
}

static int
take_service(struct conf *c, take_fn fn, uint32_t id, uint32_t flags)
{
	struct msg_conf_service m = { .service = id, .flags = flags };
	struct buf t = { 0 };
	int r;

	fields_add_str(&t, F_NAME, "web");
	fields_add_str(&t, F_DIR, "/srv/web");
	fields_add_str(&t, F_DOCKERFILE, "Dockerfile");
	fields_add_str(&t, F_IMAGE, "web:latest");
	fields_add_str(&t, F_CONTAINER, "web");
	fields_add_str(&t, F_NETWORK, "n1");
	fields_add_str(&t, F_ENV, "A=1");
	fields_add_str(&t, F_ENV, "B=2");
	r = take(c, fn, MSG_CONF_SERVICE, &m, &t, -1);
	buf_free(&t);
	return (r);
}

static int
take_mem(struct conf *c, take_fn fn, uint32_t service, int seals)
{
	struct msg_conf_mem m = { .kind = MEM_MANIFEST,
		.service = service,
		.size = MEM_SIZE };
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, MEM_SIZE), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return (take(c, fn, MSG_CONF_MEM, &m, NULL, fd));
}

static int
drop(struct conf *c, enum conf_drop what, uint32_t id)
{
	struct msg_conf_drop m = { .what = what, .id = id };

	return (take(c, conf_change, MSG_CONF_DROP, &m, NULL, -1));
}

#define SEALED (F_SEAL_GROW | F_SEAL_SHRINK)

/* As a worker that serves two services of one tree has it. */
static void
start(struct conf *c)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	*c = (struct conf) { .listener = -1 };
	assert_int_equal(take_engine(c, conf_take, 0), 0);
	assert_int_equal(take_root(c, conf_take, 1, fd), 0);
	for (uint32_t id = 1; id <= 2; id++) {
		assert_int_equal(take_service(c, conf_take, id, 0), 0);
		assert_int_equal(take_mem(c, conf_take, id, SEALED), 0);
	}
}

static void
finish(struct conf *c)
{
	while (c->nservices > 0)
		assert_int_equal(drop(c, DROP_SERVICE, c->services[0]->service),
		    0);
	while (c->nroots > 0)
		assert_int_equal(drop(c, DROP_ROOT, c->roots[0]->tree), 0);
	while (c->nengines > 0)
		assert_int_equal(drop(c, DROP_ENGINE, c->engines[0]->instance),
		    0);
	assert_int_equal(c->nmems, 0);
	conf_forget(c);
	free(c->services);
	free(c->roots);
	free(c->engines);
	free(c->mems);
}

static void
test_elements_stay_where_they_are(void **state)
{
	const struct conf_service *first;
	const struct conf_engine *engine;
	struct conf c;

	start(&c);
	first = conf_service(&c, 1);
	engine = conf_engine(&c, 0);
	for (uint32_t id = 3; id < 100; id++)
		assert_int_equal(take_service(&c, conf_change, id, 0), 0);
	assert_int_equal(take_engine(&c, conf_change, 1), 0);
	assert_ptr_equal(conf_service(&c, 1), first);
	assert_ptr_equal(conf_engine(&c, 0), engine);
	assert_int_equal(c.nservices, 99);
	assert_string_equal(conf_service(&c, 99)->env.v[1], "B=2");
	assert_int_equal(drop(&c, DROP_SERVICE, 50), 0);
	assert_null(conf_service(&c, 50));
	assert_int_equal(conf_service(&c, 51)->service, 51);
	assert_ptr_equal(conf_service(&c, 1), first);
	finish(&c);
}

static void
test_retired_once_told(void **state)
{
	struct conf c;

	start(&c);
	assert_int_equal(take_service(&c, conf_change, 1, SERVICE_RETIRED), 0);
	assert_int_equal(c.nservices, 2);
	assert_true(conf_is_retired(conf_service(&c, 1)));
	assert_false(conf_is_retired(conf_service(&c, 2)));
	/* a successor is told all at once */
	assert_int_equal(take_service(&c, conf_take, 3, SERVICE_RETIRED), 0);
	assert_true(conf_is_retired(conf_service(&c, 3)));
	finish(&c);
}

static void
test_dropped_lives_until_forgotten(void **state)
{
	const struct conf_service *s;
	const struct conf_mem *m;
	const struct conf_root *r;
	struct conf c;
	int fd;

	start(&c);
	s = conf_service(&c, 1);
	m = conf_mem(&c, MEM_MANIFEST, 1);
	r = conf_root(&c, 1);
	fd = r->fd;
	memset(m->map, 1, MEM_SIZE);
	assert_int_equal(drop(&c, DROP_SERVICE, 1), 0);
	assert_int_equal(drop(&c, DROP_ROOT, 1), 0);
	assert_null(conf_service(&c, 1));
	assert_null(conf_mem(&c, MEM_MANIFEST, 1));
	assert_non_null(conf_mem(&c, MEM_MANIFEST, 2));
	assert_null(conf_root(&c, 1));
	assert_string_equal(s->name, "web");
	assert_int_equal(((char *)m->map)[MEM_SIZE - 1], 1);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	conf_forget(&c);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	finish(&c);
}

static void
test_bad_changes(void **state)
{
	struct msg_none none = {};
	struct conf c;

	start(&c);
	assert_int_equal(drop(&c, DROP_SERVICE, 9), -1);
	assert_int_equal(drop(&c, DROP_ROOT, 9), -1);
	assert_int_equal(drop(&c, DROP_ENGINE, 9), -1);
	assert_int_equal(drop(&c, 9, 1), -1);
	/* what is there is not changed */
	assert_int_equal(take_service(&c, conf_change, 1, 0), -1);
	assert_int_equal(take_engine(&c, conf_change, 0), -1);
	assert_int_equal(take_root(&c, conf_change, 1, -1), -1);
	assert_int_equal(take_mem(&c, conf_change, 1, SEALED), -1);
	/* a directory would be no use behind the fence */
	assert_int_equal(take_root(&c, conf_change, 2,
			     open("/", O_PATH | O_CLOEXEC)),
	    -1);
	assert_int_equal(take_root(&c, conf_change, 2, -1), 0);
	assert_int_equal(take(&c, conf_change, MSG_CONF_LISTENER, &none, NULL,
			     open("/", O_PATH | O_CLOEXEC)),
	    -1);
	assert_int_equal(c.nservices, 2);
	assert_int_equal(c.listener, -1);
	finish(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elements_stay_where_they_are),
		cmocka_unit_test(test_retired_once_told),
		cmocka_unit_test(test_dropped_lives_until_forgotten),
		cmocka_unit_test(test_bad_changes),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
