/*
 * The engine's events: what of them is told to plan, and to whom they belong.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* for what it keeps to itself */
#include "workers/engine/events.c"
#include "tests/fuzz/fuzz.h"

static void
on_frame(void *arg, struct frame *f)
{
	struct fields *t = &f->tail;
	char *id = fields_dup(t, F_CONTAINER_ID), *type = fields_dup(t, F_TYPE);

	HOLDS(f->head.type == MSG_ENG_EVENT);
	HOLDS(((const struct msg_eng_event *)frame_fixed(f))->service == 7);
	HOLDS(id != NULL && spec_is_container_id(id));
	HOLDS(type != NULL && strcmp(type, "container") == 0);
	HOLDS(fields_count(t, F_ACTION) == 1);
	HOLDS(fields_i64(t, F_EXIT_CODE, 0) >= 0);
	free(id);
	free(type);
}

static void
on_end(void *arg, enum channel_end how, const char *why)
{
	HOLDS(how == CHANNEL_EOF);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct channel_ops ops = { .frame = on_frame,
		.end = on_end };
	static struct loop *loop;
	char web[] = "web", dir[] = "/srv/web", image[] = "web:dev";
	struct conf_service service = { .service = 7,
		.name = web,
		.dir = dir,
		.image = image };
	struct conf_service *services = &service;
	struct conf_engine conf = { 0 };
	struct worker w = { .conf = { .services = &services, .nservices = 1 } };
	struct engine *e = xcalloc(1, sizeof(*e));
	struct buf json = { .len = size };
	struct channel *plan;
	int sv[2];

	if (loop == NULL)
		loop = loop_new();
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	w.loop = loop;
	w.ch = channel_new(loop, sv[0], PROC_ENGINE, PROC_SUP, &ops, NULL);
	plan = channel_new(loop, sv[1], PROC_SUP, PROC_ENGINE, &ops, NULL);
	e->w = &w;
	e->conf = &conf;
	e->gate = gate_new();
	jsonsplit_feed(&e->events.split, data, size, events_on_object, e);
	for (int i = 0; i < 4; i++)
		loop_once(loop, 0);
	/* the same bytes as an inspect's answer */
	json.data = xreallocarray(NULL, size + 1, 1);
	if (size > 0)
		memcpy(json.data, data, size);
	gate_check(&json, &service);
	gate_check_image(&json, &service);
	gate_image_has_other_tags(&json, &service);
	free(engine_message(&json));
	buf_free(&json);
	jsonsplit_reset(&e->events.split);
	gate_free(e->gate);
	channel_free(w.ch);
	channel_free(plan);
	free(e);
	return (0);
}
