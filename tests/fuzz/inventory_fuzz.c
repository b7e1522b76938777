/*
 * What plan reads out of the engine's answers: the list of containers, their
 * states, where they are published.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "workers/shared/json.h"
/* for what it keeps to itself */
#include "workers/plan/inventory.c"
#include "tests/fuzz/fuzz.h"

static void
on_frame(void *arg, struct frame *f)
{
	char *id = fields_dup(&f->tail, F_CONTAINER_ID);

	/* it only ever asks */
	HOLDS(f->def->kind != MSG_KIND_REP);
	free(id);
}

static void
on_end(void *arg, enum channel_end how, const char *why)
{
	HOLDS(how == CHANNEL_EOF);
}

static void
try_answer(struct service *s, unsigned how, const struct eng_answer *a)
{
	size_t n;

	if (how & 1)
		act_on_list(s, a);
	else
		act_on_inspect(s, a);
	if (how & 4)
		act_on_list(s, a);
	n = strnlen(s->id, sizeof(s->id));
	HOLDS(n < sizeof(s->id));
	HOLDS(strnlen(s->image_id, sizeof(s->image_id)) < sizeof(s->image_id));
	HOLDS(strnlen(s->why, sizeof(s->why)) < sizeof(s->why));
	HOLDS(strnlen(s->ports, sizeof(s->ports)) < sizeof(s->ports));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct channel_ops ops = { .frame = on_frame,
		.end = on_end };
	static struct loop *loop;
	struct fuzz in = { data, size };
	unsigned how = fuzz_u8(&in);
	char web[] = "web", dir[] = "/srv/web", image[] = "web:dev";
	struct conf_service conf = { .service = 7,
		.name = web,
		.dir = dir,
		.image = image,
		.container = web };
	struct conf_service *services = &conf;
	struct worker w = { .conf = { .services = &services, .nservices = 1 } };
	struct service *s = xcalloc(1, sizeof(*s));
	struct plan plan = { .w = &w, .services = &s, .n = 1 };
	struct eng_answer a = { .status = 200,
		.error = "",
		.id = "",
		.body = in.p,
		.len = in.n };
	struct channel *sup;
	int sv[2];

	if (loop == NULL)
		loop = loop_new();
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	w.loop = loop;
	w.state = &plan;
	w.ch = channel_new(loop, sv[0], PROC_PLAN, PROC_SUP, &ops, NULL);
	w.rpc = rpc_new(w.ch);
	sup = channel_new(loop, sv[1], PROC_SUP, PROC_PLAN, &ops, NULL);
	s->w = &w;
	s->conf = &conf;
	s->manifest_fd = -1;
	s->engine_up = how & 2;
	s->op = OP_LIST;
	try_answer(s, how, &a);
	for (int i = 0; i < 3; i++)
		loop_once(loop, 0);
	loop_timer_cancel(&s->timer);
	loop_timer_cancel(&s->take_timer);
	buf_free(&s->builds);
	buf_free(&s->set_aside);
	rpc_free(w.rpc);
	channel_free(w.ch);
	channel_free(sup);
	free(s);
	return (0);
}
