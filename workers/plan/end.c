/*
 * The end, of the worker or of one service: container and image that were
 * made are taken away, unless they are to be kept.
 */
#include <string.h>
#include <sysexits.h>

#include "workers/plan/plan.h"

#define END_TRIES 5 /* of a retired service, when its engine is busy */

enum end_at {
	END_BEGIN,
	END_LIST,
	END_CONTAINER,
	END_IMAGE,
	END_BUILT,
	END_DETACH, /* a retired one: push has nothing to do with it any more */
};

void
end_done(struct service *s)
{
	struct plan *p = s->w->state;

	if (s->ended)
		return;
	s->ended = true;
	loop_timer_cancel(&s->timer);
	if (s->retiring)
		plan_retired(s);
	if (s->w->stopping && --p->removing == 0)
		worker_end(s->w, EX_OK);
}

static void
end_tell_away(const struct service *s)
{
	log_warnx("%s: the engine is away: what was made stays", s->conf->name);
}

/* The engine is away: nothing can be taken away, and nobody waits for it. */
void
end_give_up(struct service *s)
{
	if (!(s->conf->flags & SERVICE_KEEP) && !s->ended)
		end_tell_away(s);
	end_done(s);
}

/* The same for a retired service. */
static void
end_skip_engine(struct service *s)
{
	if (s->end_at <= END_CONTAINER && (s->id[0] != '\0' || !s->listed))
		end_tell_away(s);
	s->end_at = END_DETACH;
}

/* While the worker goes on there is time: an engine that is busy is asked
 * again. */
static bool
end_again(struct service *s, const struct eng_answer *a, enum end_at at)
{
	if (!s->retiring || s->w->stopping || !eng_is_away(a) ||
	    s->retries >= END_TRIES)
		return (false);
	s->end_at = at;
	plan_retry(s, a->error);
	return (true);
}

static void
end_on_container(void *arg, const struct eng_answer *a)
{
	struct service *s = arg;
	char esc[200];
	struct buf b = { 0 };

	if (end_again(s, a, END_CONTAINER))
		return;
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

static void
end_on_detached(void *arg, struct frame *f)
{
	struct service *s = arg;

	/* a push that has died has nothing under way either */
	if (f->head.flags & F_MORE)
		return;
	plan_op_end(s);
	plan_next(s);
}

/* Jobs of one service run one after the other: with this one all are over. */
static void
end_detach(struct service *s)
{
	struct plan *p = s->w->state;
	struct msg_job m = { .service = s->conf->service,
		.job = ++p->jobs,
		.flags = s->conf->flags & SERVICE_KEEP ? JOB_KEEP : 0 };
	struct buf b = { 0 };

	plan_op_begin(s, OP_DETACH);
	fields_add_str(&b, F_CONTAINER_ID, s->id);
	s->job_id =
	    rpc_ask(s->w->rpc, MSG_DETACH, 0, &m, &b, -1, end_on_detached, s);
	buf_free(&b);
}

/* True while a retired service cannot take the next step. */
static bool
end_waits(struct service *s)
{
	struct plan *p = s->w->state;

	if (!s->retiring || s->w->stopping)
		return (false);
	if (plan_must_wait(s))
		return (true);
	if (s->end_at < END_LIST || s->end_at > END_BUILT)
		return (false);
	if (s->conf->engine < PLAN_ENGINES &&
	    p->engine[s->conf->engine] == PLAN_UNKNOWN)
		return (true);
	if (!s->engine_up)
		end_skip_engine(s);
	else if (mono_now().ns < s->retry_at.ns) {
		plan_wait_until(s, s->retry_at);
		return (true);
	}
	return (false);
}

static void
end_remove_container(struct service *s)
{
	plan_op_begin(s, OP_REMOVE);
	act_ask(s, MSG_ENG_CONTAINER, ENG_OP_REMOVE, ENG_FORCE,
	    end_on_container);
}

/* Built, and no container was made from it. */
static bool
end_has_built(const struct service *s)
{
	return (
	    s->built_id[0] != '\0' && strcmp(s->built_id, s->image_id) != 0);
}

/* What is passed over. */
static void
end_begin(struct service *s)
{
	if (s->retiring && plan_is_taken_over(s))
		s->end_at = END_BUILT;
	else if ((s->conf->flags & SERVICE_KEEP) &&
	    !(s->retiring && plan_is_replaced(s)))
		s->end_at = END_DETACH;
}

/* Each step is tried once; plan_next() comes back here after it. */
void
end_next(struct service *s)
{
	while (!end_waits(s))
		switch (s->end_at++) {
		case END_BEGIN:
			end_begin(s);
			break;
		case END_LIST:
			if (s->listed)
				break;
			act_list(s);
			return;
		case END_CONTAINER:
			if (s->id[0] == '\0')
				break;
			end_remove_container(s);
			return;
		case END_IMAGE:
			if (s->image_id[0] == '\0')
				break;
			end_remove_image(s, s->image_id);
			return;
		case END_BUILT:
			if (!end_has_built(s))
				break;
			end_remove_image(s, s->built_id);
			return;
		case END_DETACH:
			if (!s->retiring || s->w->stopping)
				break;
			end_detach(s);
			return;
		default:
			end_done(s);
			return;
		}
}
