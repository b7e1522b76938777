/*
 * The push worker (workers/push/service.c) in reloads: what services it
 * knows, and what it holds for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/wire.h"
#include "workers/push/push.h"

#define MEM_SIZE (1024 * 1024)

struct fix {
	struct worker w;
	int raw;
	struct conf_service service[3];
	struct conf_service *services[3];
	struct conf_mem mem[3];
	struct conf_mem *mems[3];
};

static void
on_frame(void *arg, struct frame *f)
{
	struct fix *x = arg;

	task_on_request(&x->w, f);
}

static void
on_end(void *arg, enum channel_end how, const char *why)
{
	fail_msg("channel ended: %s", why);
}

static void
add(struct fix *x, uint32_t id)
{
	static char name[] = "web", df[] = "Dockerfile";
	struct conf *c = &x->w.conf;
	struct conf_service *s = &x->service[id - 1];
	struct conf_mem *m = &x->mem[id - 1];

	*s = (struct conf_service) { .service = id,
		.name = name,
		.dockerfile = df };
	*m = (struct conf_mem) { .kind = MEM_MANIFEST,
		.service = id,
		.size = MEM_SIZE,
		.map = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0) };
	assert_true(m->map != MAP_FAILED);
	c->services[c->nservices++] = s;
	c->mems[c->nmems++] = m;
}

/* As worker.c does: the hook, and then nothing of it is there any more. */
static void
drop(struct fix *x, uint32_t id)
{
	struct conf *c = &x->w.conf;
	size_t n = 0;

	for (size_t i = 0; i < c->nservices; i++)
		if (c->services[i]->service != id) {
			c->mems[n] = c->mems[i];
			c->services[n++] = c->services[i];
		}
	c->nservices = c->nmems = n;
	push_reconf(&x->w);
	munmap(x->mem[id - 1].map, MEM_SIZE);
	memset(&x->service[id - 1], 0xff, sizeof(x->service[0]));
}

static int
setup(void **state)
{
	static const struct channel_ops ops = { .frame = on_frame,
		.end = on_end };
	struct fix *x = xcalloc(1, sizeof(*x));
	int sv[2];

	wire_pair(sv);
	x->raw = sv[1];
	x->w.loop = loop_new();
	x->w.ch = channel_new(x->w.loop, sv[0], PROC_PUSH, PROC_SUP, &ops, x);
	x->w.rpc = rpc_new(x->w.ch);
	x->w.conf.services = x->services;
	x->w.conf.mems = x->mems;
	add(x, 1);
	assert_int_equal(push_start(&x->w), 0);
	*state = x;
	return (0);
}

static int
teardown(void **state)
{
	struct fix *x = *state;

	push_free(&x->w);
	for (size_t i = 0; i < x->w.conf.nmems; i++)
		munmap(x->w.conf.mems[i]->map, MEM_SIZE);
	rpc_free(x->w.rpc);
	channel_free(x->w.ch);
	close(x->raw);
	loop_free(x->w.loop);
	free(x);
	return (0);
}

/* Ask for a DETACH; what comes back. */
static uint16_t
ask(struct fix *x, uint32_t service, uint32_t flags, unsigned turns)
{
	struct msg_job m = { .service = service, .flags = flags, .job = 1 };
	struct buf b = { 0 };
	struct frame_head h;

	wire_send_frame(x->raw, MSG_DETACH, PROC_PLAN, 7, &m, sizeof(m), -1);
	while (turns-- > 0)
		assert_int_equal(loop_once(x->w.loop, 0), 0);
	h = wire_take(x->raw, &b);
	buf_free(&b);
	return (h.type);
}

static void
remember(struct fix *x, uint32_t id, const char *container)
{
	struct manifest *m = push_service(&x->w, id)->m;
	struct manifest_meta meta = *manifest_meta(m);

	strlcpy(meta.container, container, sizeof(meta.container));
	assert_int_equal(manifest_set_meta(m, &meta), 0);
}

static const char *
remembered(struct fix *x, uint32_t id)
{
	return (manifest_meta(push_service(&x->w, id)->m)->container);
}

#define CID "1111111111111111111111111111111111111111111111111111111111111111"

static void
test_come_and_go(void **state)
{
	struct fix *x = *state;
	struct service *first = push_service(&x->w, 1);

	assert_int_equal(ask(x, 2, 0, 3), MSG_ERR);
	add(x, 2);
	add(x, 3);
	push_reconf(&x->w);
	assert_ptr_equal(push_service(&x->w, 1), first);
	remember(x, 2, CID);
	assert_string_equal(remembered(x, 2), CID);
	assert_string_equal(remembered(x, 3), "");
	assert_int_equal(ask(x, 3, 0, 3), MSG_PUSH_DONE);
	x->service[0].flags = SERVICE_RETIRED;
	push_reconf(&x->w);
	assert_int_equal(ask(x, 1, 0, 3), MSG_PUSH_DONE);
	drop(x, 1);
	assert_null(push_service(&x->w, 1));
	assert_int_equal(ask(x, 1, 0, 3), MSG_ERR);
	assert_string_equal(remembered(x, 2), CID);
}

/* The answer is out, the job itself not yet freed. */
static void
test_dropped_right_after_its_last_job(void **state)
{
	struct fix *x = *state;

	assert_int_equal(ask(x, 1, 0, 1), MSG_PUSH_DONE);
	assert_int_equal(push_service(&x->w, 1)->ntasks, 1);
	drop(x, 1);
	assert_null(push_service(&x->w, 1));
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_once(x->w.loop, 5), 0);
}

static void
test_detach(void **state)
{
	struct fix *x = *state;

	remember(x, 1, CID);
	assert_int_equal(ask(x, 1, JOB_KEEP, 3), MSG_PUSH_DONE);
	assert_string_equal(remembered(x, 1), CID);
	assert_int_equal(ask(x, 1, 0, 3), MSG_PUSH_DONE);
	assert_string_equal(remembered(x, 1), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_come_and_go, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_dropped_right_after_its_last_job, setup, teardown),
		cmocka_unit_test_setup_teardown(test_detach, setup, teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
