/*
 * Another configuration while the daemon runs, in two phases: all that can
 * fail is done first, and then nothing fails.  The running workers are told
 * the difference; one that starts meanwhile is told the whole.  Supervisor.
 *
 * Numbers are given once in a run: a service that changes is retired, and a
 * new one with the same name takes its container over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "reader.h"
#include "rpc.h"
#include "sup.h"

/* One reload, from the asking to the last worker's word. */
struct reload {
	struct child *asker; /* control, or NULL: a signal */
	uint32_t asker_gen;
	uint32_t id; /* of its request */
	uint32_t
	    serial; /* what it made, for the workers to take; 0: none yet */
	bool again; /* asked for by a signal meanwhile */
};

/* What a reload changes; filled while it can still fail. */
struct change {
	struct sup *sup;
	struct config *next;
	unsigned added, retired, same;
	bool roots; /* the set of them is another one */
};

/* Phase one. */

static struct config_engine *
change_find_engine(const struct sup *s, const struct config_engine *e)
{
	struct config_engine *o;

	TAILQ_FOREACH (o, &s->conf.engines, link)
		if (config_same_engine(o, e))
			return (o);
	return (NULL);
}

/*
 * The lowest number that no engine has, nor a worker that has not ended yet;
 * ENGINES_MAX: all are taken.
 */
static uint32_t
change_free_instance(struct sup *s, const struct config *next)
{
	const struct config_engine *e;
	struct child *c;
	uint32_t used = 0, n = 0;

	CHILD_FOREACH (c, s)
		used |= c->role == PROC_ENGINE ? 1u << c->instance : 0;

	TAILQ_FOREACH (e, &s->conf.engines, link)
		used |= 1u << e->instance;
	TAILQ_FOREACH (e, &next->engines, link)
		used |= e->instance < ENGINES_MAX ? 1u << e->instance : 0;
	while (n < ENGINES_MAX && (used & 1u << n))
		n++;
	return (n);
}

/* A number for each engine that is new. */
static int
change_engines(struct change *ch, char **why)
{
	struct config_engine *e;

	TAILQ_FOREACH (e, &ch->next->engines, link)
		e->instance = ENGINES_MAX;
	TAILQ_FOREACH (e, &ch->next->engines, link) {
		if (change_find_engine(ch->sup, e) != NULL)
			continue;
		e->instance = change_free_instance(ch->sup, ch->next);
		if (e->instance == ENGINES_MAX) {
			*why = xasprintf("engine \"%s\": more than %d engines "
					 "with those that are on their way out",
			    e->name, ENGINES_MAX);
			return (-1);
		}
	}
	return (0);
}

static struct config_service *
change_find_service(const struct sup *s, const struct config_service *sv)
{
	struct config_service *o = config_find_service(&s->conf, sv->name);

	return (o != NULL && config_same_service(o, sv) ? o : NULL);
}

/*
 * All is told at once to a worker that starts, be it while services are on
 * their way out.
 */
static int
change_size(struct change *ch, char **why)
{
	const struct config *both[] = { &ch->sup->conf, ch->next };
	const struct config_service *sv;
	size_t bytes = 0, n = 0;

	for (size_t i = 0; i < 2; i++)
		TAILQ_FOREACH (sv, &both[i]->services, link) {
			bytes += service_text_bytes(&sv->text);
			n++;
		}
	if (bytes <= CONFIG_QUEUE_MAX && n <= CONFIG_QUEUE_SERVICES)
		return (0);
	*why = xasprintf("%zu services, with those that are on their way out: "
			 "too many at a time, try again when these are gone",
	    n);
	return (-1);
}

static int
change_services(struct change *ch, char **why)
{
	struct config_service *sv;

	TAILQ_FOREACH (sv, &ch->next->services, link) {
		if (change_find_service(ch->sup, sv) != NULL) {
			ch->same++;
			continue;
		}
		sv->manifest_fd = memory_new("manifest", MANIFEST_SIZE);
		if (sv->manifest_fd == -1) {
			*why = xasprintf("service \"%s\": no memory for its "
					 "manifest: %m",
			    sv->name);
			return (-1);
		}
		ch->added++;
	}
	return (0);
}

/* Phase two: nothing fails any more. */

static void
change_retire(struct change *ch, struct config_service *sv)
{
	struct child *c;

	sv->retired = true;
	ch->retired++;
	CHILD_FOREACH (c, ch->sup)
		if (c->ch != NULL && configure_concerns(c, sv->engine))
			configure_retire(c, sv);
}

static void
change_retire_all(struct change *ch)
{
	struct config_service *sv, *n;

	TAILQ_FOREACH (sv, &ch->sup->conf.services, link) {
		if (sv->retired)
			continue;
		n = config_find_service(ch->next, sv->name);
		if (n == NULL || !config_same_service(sv, n))
			change_retire(ch, sv);
	}
}

static void
change_add_engines(struct change *ch)
{
	struct sup *s = ch->sup;
	struct config_engine *e, *tmp;
	struct child *c;

	for (e = TAILQ_FIRST(&ch->next->engines); e != NULL; e = tmp) {
		tmp = TAILQ_NEXT(e, link);
		if (change_find_engine(s, e) != NULL)
			continue;
		TAILQ_REMOVE(&ch->next->engines, e, link);
		TAILQ_INSERT_TAIL(&s->conf.engines, e, link);
		CHILD_FOREACH (c, s)
			if (c->ch != NULL && configure_concerns(c, e))
				configure_engine(c, e);
		child_init(s, PROC_ENGINE, e->instance);
	}
}

/* Known roots keep their number; new ones are told to who reads none. */
static void
change_add_root(struct change *ch, struct config_service *sv)
{
	struct sup *s = ch->sup;
	uint32_t last = s->last_tree;
	struct root *r = root_get(s, sv->dir);
	struct child *c;

	sv->tree = r->tree;
	if (s->last_tree == last)
		return;
	ch->roots = true;
	CHILD_FOREACH (c, s)
		if (c->ch != NULL && !root_is_reader(c) &&
		    c->role != PROC_ENGINE && c->role != PROC_CONFIG)
			configure_root(c, r);
}

static void
change_add_services(struct change *ch)
{
	struct sup *s = ch->sup;
	struct config_service *sv, *tmp;
	struct child *c;

	for (sv = TAILQ_FIRST(&ch->next->services); sv != NULL; sv = tmp) {
		tmp = TAILQ_NEXT(sv, link);
		if (change_find_service(s, sv) != NULL)
			continue;
		TAILQ_REMOVE(&ch->next->services, sv, link);
		sv->engine = change_find_engine(s, sv->engine);
		sv->id = ++s->last_service;
		change_add_root(ch, sv);
		TAILQ_INSERT_TAIL(&s->conf.services, sv, link);
		state_load(sv);
		CHILD_FOREACH (c, s)
			if (c->ch != NULL && configure_concerns(c, sv->engine))
				configure_service(c, sv);
	}
}

/* Roots that no service has any more. */
static void
change_drop_roots(struct change *ch)
{
	struct sup *s = ch->sup;
	const struct config_service *sv;
	struct root *r, *tmp;
	struct child *c;

	for (r = TAILQ_FIRST(&s->roots); r != NULL; r = tmp) {
		tmp = TAILQ_NEXT(r, link);
		TAILQ_FOREACH (sv, &s->conf.services, link)
			if (!sv->retired && sv->tree == r->tree)
				break;
		if (sv != NULL)
			continue;
		ch->roots = true;
		CHILD_FOREACH (c, s)
			if (c->ch != NULL && !root_is_reader(c) &&
			    c->role != PROC_ENGINE && c->role != PROC_CONFIG)
				configure_drop(c, DROP_ROOT, r->tree);
		root_free(r);
	}
}

/* Engines that no service has any more, retired ones included. */
static void
change_drop_engines(struct sup *s)
{
	const struct config_service *sv;
	struct config_engine *e, *tmp;
	struct child *c;

	for (e = TAILQ_FIRST(&s->conf.engines); e != NULL; e = tmp) {
		tmp = TAILQ_NEXT(e, link);
		TAILQ_FOREACH (sv, &s->conf.services, link)
			if (sv->engine == e)
				break;
		if (!e->retired || sv != NULL)
			continue;
		if ((c = child_find(s, PROC_ENGINE, e->instance)) != NULL)
			child_remove(c);
		CHILD_FOREACH (c, s)
			if (c->ch != NULL && c->role != PROC_ENGINE &&
			    c->role != PROC_CONFIG)
				configure_drop(c, DROP_ENGINE, e->instance);
		TAILQ_REMOVE(&s->conf.engines, e, link);
		config_engine_free(e);
	}
}

static void
change_retire_engines(struct change *ch)
{
	struct config_engine *e;
	const struct config_engine *n;

	TAILQ_FOREACH (e, &ch->sup->conf.engines, link) {
		TAILQ_FOREACH (n, &ch->next->engines, link)
			if (config_same_engine(n, e))
				break;
		e->retired = n == NULL;
	}
}

static void
change_end(struct change *ch)
{
	struct sup *s = ch->sup;
	struct child *c;

	s->serial++;
	CHILD_FOREACH (c, s) {
		if (c->role == PROC_CONFIG)
			continue;
		if (c->ch != NULL)
			configure_end(c);
	}
	/* before others are started: these have the roots from the start */
	if (ch->roots)
		root_replace_readers(s);
	/* new ones, and who waits for another configuration */
	CHILD_FOREACH (c, s)
		if (c->role != PROC_CONFIG)
			child_event(c, POLICY_EV_START, 0);
}

int
reload_apply(struct sup *s, struct config *next, char **why)
{
	struct change ch = { .sup = s, .next = next };

	if (change_size(&ch, why) == -1 || change_engines(&ch, why) == -1 ||
	    change_services(&ch, why) == -1)
		return (-1);
	change_retire_engines(&ch);
	change_retire_all(&ch);
	change_add_engines(&ch);
	change_add_services(&ch);
	change_drop_roots(&ch);
	change_drop_engines(s);
	s->conf.global = next->global;
	free(s->conf.socket);
	s->conf.socket = next->socket;
	next->socket = NULL;
	change_end(&ch);
	if (s->serial > 1)
		log_info("%u services new or changed, %u removed or replaced, "
			 "%u as they were",
		    ch.added, ch.retired, ch.same);
	return (0);
}

void
reload_service_gone(struct sup *s, uint32_t id)
{
	struct config_service *sv;
	struct child *c;

	TAILQ_FOREACH (sv, &s->conf.services, link)
		if (sv->id == id)
			break;
	if (sv == NULL || !sv->retired)
		return;
	if ((sv->flags & SERVICE_KEEP) &&
	    config_find_service(&s->conf, sv->name) == NULL)
		state_save(sv);
	TAILQ_REMOVE(&s->conf.services, sv, link);
	CHILD_FOREACH (c, s)
		if (c->ch != NULL && configure_concerns(c, sv->engine))
			configure_drop(c, DROP_SERVICE, sv->id);
	config_service_free(sv);
	change_drop_engines(s);
	s->serial++;
	CHILD_FOREACH (c, s)
		if (c->ch != NULL && c->role != PROC_CONFIG)
			configure_end(c);
}

/* One reload, from the asking to the end. */

static void
reload_event(struct sup *s, enum event_kind kind, const struct buf *tail)
{
	serve_event(s, kind, tail);
}

static void
reload_end(struct sup *s, int code, const struct buf *lines)
{
	struct reload *r = s->reload;
	struct msg_num m = { .n = (uint64_t)code };
	bool again = r->again;

	if (r->asker != NULL && r->asker->generation == r->asker_gen &&
	    child_is_ready(r->asker))
		rpc_answer(r->asker->ch, r->id, MSG_OK, 0, &m, lines, -1);
	reload_event(s,
	    code == EX_OK ? EVENT_CONFIG_RELOAD : EVENT_CONFIG_FAILED, lines);
	free(r);
	s->reload = NULL;
	if (again && s->phase == SUP_RUNS)
		reload_begin(s);
}

/* "key: x": what only a restart can change. */
static const char *
reload_fixed_key(const struct config *a, const struct config *b)
{
	const struct msg_config_global *x = &a->global, *y = &b->global;
	const uint32_t diff = x->has ^ y->has;

	if ((a->socket == NULL) != (b->socket == NULL) ||
	    (a->socket != NULL && strcmp(a->socket, b->socket) != 0))
		return ("socket");
	if ((diff & CONFIG_HAS_SANDBOX) || x->sandbox != y->sandbox)
		return ("sandbox");
	if ((diff & CONFIG_HAS_REQUIRE) ||
	    x->require_sandbox != y->require_sandbox)
		return ("require-sandbox");
	if ((diff & CONFIG_HAS_MAX_RESTARTS) ||
	    x->max_restarts != y->max_restarts)
		return ("max-restarts");
	if ((diff & CONFIG_HAS_LOG) || x->log != y->log)
		return ("log");
	return (NULL);
}

static void
reload_refuse(struct sup *s, int code, const char *text)
{
	struct buf lines = { 0 };

	log_warnx("%s", text);
	fields_add_str(&lines, F_TEXT, text);
	reload_end(s, code, &lines);
	buf_free(&lines);
}

static void
reload_log(const struct buf *lines)
{
	const struct fields t = { lines->data, lines->len };
	struct field f;
	size_t off = 0;

	while (field_next(&t, &off, &f) == 1)
		if (f.key == F_TEXT)
			log_warnx("%.*s", (int)f.len, f.str);
	log_warnx("the configuration stays as it was");
}

static void
reload_on_read(struct sup *s, struct reader *r)
{
	const char *key;
	char *why;

	if (s->phase != SUP_RUNS) {
		reload_refuse(s, EX_UNAVAILABLE, "wharfd is stopping");
		return;
	}
	if (r->code != EX_OK) {
		reload_log(&r->errors);
		reload_end(s, r->code, &r->errors);
		return;
	}
	if ((key = reload_fixed_key(&s->conf, &r->next)) != NULL) {
		why = xasprintf("%s: %s: only a restart of wharfd can change "
				"this; the configuration stays as it was",
		    s->opt->file, key);
		reload_refuse(s, EX_CONFIG, why);
		free(why);
		return;
	}
	if (reload_apply(s, &r->next, &why) == -1) {
		reload_refuse(s, EX_OSERR, why);
		free(why);
		return;
	}
	s->reload->serial = s->serial;
	reload_progress(s);
}

/* No worker runs without what was read?  Who is down gets it at its start. */
void
reload_progress(struct sup *s)
{
	struct child *c;

	if (s->reload == NULL || s->reload->serial == 0)
		return;
	CHILD_FOREACH (c, s)
		if (c->ch != NULL && c->role != PROC_CONFIG && !c->removed &&
		    c->conf_taken < s->reload->serial)
			return;
	reload_end(s, EX_OK, NULL);
}

static void
reload_new(struct sup *s, struct child *asker, uint32_t id)
{
	struct reload *r = xcalloc(1, sizeof(*r));

	r->asker = asker;
	r->asker_gen = asker != NULL ? asker->generation : 0;
	r->id = id;
	s->reload = r;
	log_info("reading %s", s->opt->file);
	reader_start(s, reload_on_read);
}

void
reload_begin(struct sup *s)
{
	if (s->opt->file == NULL)
		log_info("nothing to reload: there is no configuration file");
	else if (s->reload != NULL)
		s->reload->again = true;
	else if (s->phase == SUP_RUNS)
		reload_new(s, NULL, 0);
}

void
reload_on_request(struct child *c, struct frame *f)
{
	struct sup *s = c->sup;

	if (s->opt->file == NULL)
		rpc_answer_err(c->ch, f->head.id, ERR_UNAVAILABLE, 0,
		    "there is no configuration file");
	else if (s->reload != NULL || s->phase != SUP_RUNS)
		rpc_answer_err(c->ch, f->head.id, ERR_BUSY, 0,
		    "a reload is under way");
	else
		reload_new(s, c, f->head.id);
}
