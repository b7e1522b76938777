/*
 * --chown and --chmod of what is to be sent, with the container's own passwd
 * and group where they name somebody.  Push worker.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/push/push.h"

static void owners_go(struct task *j);

static void
owners_on_file(struct task *j, struct cfile *f, const struct eng_answer *a)
{
	if (!eng_is_ok(a) &&
	    (a->err != 0 || a->status != 404 ||
		strstr(a->error, "o such container") != NULL)) {
		task_end_answer(j, "reading the container's users", a);
		return;
	}
	f->asked = true;
	if (eng_is_ok(a)) {
		buf_add(&f->tar, a->body, a->len);
		if (owner_untar(f->tar.data, f->tar.len, &f->text, &f->len) ==
		    -1)
			f->text = NULL;
	}
	owners_go(j);
}

static void
owners_on_passwd(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;

	owners_on_file(j, &j->s->passwd, a);
}

static void
owners_on_group(void *arg, const struct eng_answer *a)
{
	struct task *j = arg;

	owners_on_file(j, &j->s->group, a);
}

static void
owners_ask(struct task *j, const char *path, eng_cb cb)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_PATH, path);
	task_ask(j, MSG_ENG_GET, ENG_NONE, &b, cb, NULL);
}

/* -1: the job has ended. */
static int
owners_set(struct task *j, struct item *it, const struct copyplan_step *st)
{
	struct service *s = j->s;
	char why[256];

	if (st->chown != NULL &&
	    owner_parse(st->chown, s->passwd.text, s->passwd.len, s->group.text,
		s->group.len, &it->owner, why, sizeof(why)) == -1) {
		task_end_why(j, RESULT_CLIMB, "%s: COPY at line %u: %s",
		    it->from, st->line, why);
		return (-1);
	}
	if (st->chmod != NULL && owner_mode(st->chmod, &it->mode) == -1) {
		task_end_why(j, RESULT_CLIMB,
		    "%s: COPY at line %u: "
		    "--chmod=%.60s is not octal",
		    it->from, st->line, st->chmod);
		return (-1);
	}
	it->chmod = st->chmod != NULL;
	return (0);
}

static void
owners_go(struct task *j)
{
	struct service *s = j->s;
	const struct copyplan_step *st;
	bool names = false;

	for (size_t i = 0; i < j->fx.items.n && !names; i++) {
		st = copyplan_step(s->plan, j->fx.items.v[i].step);
		names = st->chown != NULL && owner_needs_files(st->chown);
	}
	if (names && !s->passwd.asked) {
		owners_ask(j, "/etc/passwd", owners_on_passwd);
		return;
	}
	if (names && !s->group.asked) {
		owners_ask(j, "/etc/group", owners_on_group);
		return;
	}
	for (size_t i = 0; i < j->fx.items.n; i++) {
		st = copyplan_step(s->plan, j->fx.items.v[i].step);
		if (owners_set(j, &j->fx.items.v[i], st) == -1)
			return;
	}
	j->then(j);
}

void
owners_resolve(struct task *j, task_fn fn)
{
	j->then = fn;
	owners_go(j);
}
