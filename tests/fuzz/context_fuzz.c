/*
 * Docker's own configuration: config.json, and behind a NUL the context's
 * meta.json, as config reads them from descriptors.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "workers/config/docker_context.h"
#include "tests/fuzz/fuzz.h"

struct asked {
	struct channel *sup;
	struct fuzz in;
	unsigned opens, answers;
};

static void
on_sup_frame(void *arg, struct frame *f)
{
	struct asked *a = arg;
	struct msg_num m = { 0 };
	struct buf tail = { 0 };
	char *path = fields_dup(&f->tail, F_PATH);
	const uint8_t *end;
	size_t n;
	int fd;

	HOLDS(f->head.type == MSG_CONFIG_OPEN && path != NULL);
	HOLDS(a->opens == 0 ? strcmp(path, "config.json") == 0 :
			      strncmp(path, "contexts/meta/", 14) == 0);
	HOLDS(++a->opens <= 2);
	end = a->in.n > 0 ? memchr(a->in.p, '\0', a->in.n) : NULL;
	n = end != NULL ? (size_t)(end - a->in.p) : a->in.n;
	fd = memfd_create("file", MFD_CLOEXEC);
	HOLDS(write(fd, a->in.p, n) == (ssize_t)n);
	HOLDS(lseek(fd, 0, SEEK_SET) == 0);
	n += end != NULL;
	a->in.p += n;
	a->in.n -= n;
	fields_add_str(&tail, F_PATH, "/x");
	rpc_answer(a->sup, f->head.id, MSG_CONFIG_FILE, 0, &m, &tail, fd);
	buf_free(&tail);
	free(path);
}

static void
on_frame(void *arg, struct frame *f)
{
	struct worker *w = arg;

	HOLDS(rpc_dispatch(w->rpc, f));
}

static void
on_end(void *arg, enum channel_end how, const char *why)
{
}

static void
on_found(void *arg, const struct docker_engine *e)
{
	struct asked *a = arg;

	a->answers++;
	HOLDS(e->code == EX_OK ? e->host != NULL && e->name != NULL :
				 e->error != NULL && e->error[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct channel_ops sup_ops = { .frame = on_sup_frame,
		.end = on_end };
	static const struct channel_ops ops = { .frame = on_frame,
		.end = on_end };
	static struct loop *loop;
	char dir[] = "/home/x/.docker";
	struct worker w = { .conf = { .docker_dir = dir } };
	struct asked a = { .in = { data, size } };
	int sv[2];

	if (loop == NULL)
		loop = loop_new();
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	w.loop = loop;
	w.ch = channel_new(loop, sv[0], PROC_CONFIG, PROC_SUP, &ops, &w);
	w.rpc = rpc_new(w.ch);
	a.sup = channel_new(loop, sv[1], PROC_SUP, PROC_CONFIG, &sup_ops, &a);
	docker_context_find(&w, NULL, "a test", on_found, &a);
	for (int i = 0; i < 20 && a.answers == 0; i++)
		HOLDS(loop_once(loop, 0) == 0);
	HOLDS(a.answers == 1);
	rpc_free(w.rpc);
	channel_free(w.ch);
	channel_free(a.sup);
	return (0);
}
