/*
 * The end: container and image that were made are taken away, unless they
 * are to be kept.
 */
#include <string.h>
#include <sysexits.h>

#include "workers/plan/plan.h"

enum end_at { END_LIST, END_CONTAINER, END_IMAGE, END_BUILT };

static void
end_done(struct service *s)
{
	struct plan *p = s->w->state;

	if (s->ended)
		return;
	s->ended = true;
	loop_timer_cancel(&s->timer);
	if (--p->removing == 0)
		worker_end(s->w, EX_OK);
}

/* The engine is away: nothing can be taken away, and nobody waits for it. */
void
end_give_up(struct service *s)
{
	if (!(s->conf->flags & SERVICE_KEEP) && !s->ended)
		log_warnx("%s: the engine is away: what was made stays",
		    s->conf->name);
	end_done(s);
}

static void
end_on_container(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;
	char esc[200];
	struct buf b = { 0 };

	if (eng_is_ok(a)) {
		fields_add_str(&b, F_CONTAINER_ID, s->id);
		worker_event(s->w, EVENT_CONTAINER_REMOVE, s->conf, 0, &b);
		buf_free(&b);
	} else if (a->err != 0 || a->status != 404)
		log_warnx("%s: the container stays: %s", s->conf->name,
		    log_escape(esc, sizeof(esc), a->error, strlen(a->error)));
	plan_op_end(s);
	plan_next(s);
}

static void
end_on_image(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;

	if (!eng_is_ok(a))
		log_debug("image %s: %s", s->conf->image, a->error);
	plan_op_end(s);
	plan_next(s);
}

static void
end_remove_image(struct service *s, const char *id)
{
	struct buf b = { 0 };
	struct eng_request q = { .type = MSG_ENG_IMAGE,
		.m = { .service = s->conf->service, .op = ENG_OP_IMAGE_REMOVE },
		.fields = &b,
		.fd = -1,
		.cb = end_on_image,
		.arg = s };

	plan_op_begin(s, OP_REMOVE);
	fields_add_str(&b, F_IMAGE_ID, id);
	eng_ask(s->w, &q);
	buf_free(&b);
}

/* Each step is tried once; plan_next() comes back here after it. */
void
end_next(struct service *s)
{
	if (s->conf->flags & SERVICE_KEEP) {
		end_done(s);
		return;
	}
	for (;;)
		switch (s->end_at++) {
		case END_LIST:
			if (s->listed)
				break;
			act_list(s);
			return;
		case END_CONTAINER:
			if (s->id[0] == '\0')
				break;
			plan_op_begin(s, OP_REMOVE);
			act_ask(s, MSG_ENG_CONTAINER, ENG_OP_REMOVE, ENG_FORCE,
			    end_on_container);
			return;
		case END_IMAGE:
			if (s->image_id[0] == '\0')
				break;
			end_remove_image(s, s->image_id);
			return;
		case END_BUILT:
			/* built, and no container was made from it */
			if (s->built_id[0] == '\0' ||
			    strcmp(s->built_id, s->image_id) == 0)
				break;
			end_remove_image(s, s->built_id);
			return;
		default:
			end_done(s);
			return;
		}
}
