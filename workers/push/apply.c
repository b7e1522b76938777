/*
 * APPLY: bring a container in step with its context.  Push worker.
 *
 *	the Dockerfile, the rules        changed?  another rung, or all anew
 *	compare tree and manifest        what is different, in slices
 *	plan                             where it goes, what follows from it
 *	intent into the manifest
 *	delete, copy
 *	outcome into the manifest
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "workers/push/push.h"

static void apply_compare(struct task *j);
static void apply_plan(struct task *j);

/* True: the root is not what it was, and nothing may be concluded from it. */
static bool
apply_root_gone(struct task *j)
{
	if (j->s->rootfd != -1 && tree_root_gone(j->s->rootfd) == 0)
		return (false);
	task_end_why(j, RESULT_RETRY, "the root directory is gone");
	return (true);
}

/* -1: the job has ended. */
static int
apply_check_dockerfile(struct task *j)
{
	struct service *s = j->s;
	const char *name = s->conf->dockerfile;
	struct buf text = { 0 };
	uint8_t sha[HASH_LEN];
	int r = rules_read(s->rootfd, name, DOCKERFILE_MAX_BYTES, &text);

	hash_buf(text.data, text.len, sha);
	buf_free(&text);
	if (r == 1 &&
	    memcmp(sha, manifest_meta(s->m)->dockerfile_sha256, HASH_LEN) == 0)
		return (0);
	if (r == 1)
		task_end_why(j, RESULT_CLIMB, "%s: the Dockerfile has changed",
		    name);
	else
		task_end_why(j, RESULT_FAILED, "%s: %s", name,
		    r == 0 ? "there is no such file" : strerror(errno));
	return (-1);
}

static void
apply_add_paths(struct task *j)
{
	struct fields t = { j->paths.data, j->paths.len };
	struct field f;
	size_t off = 0;

	while (field_next(&t, &off, &f) == 1)
		if ((f.key == F_PATH || f.key == F_SUBTREE) &&
		    compare_add(j->cmp, f.str, f.len, f.key == F_SUBTREE) == -1)
			log_debug("%s: a path that is none", j->s->conf->name);
	buf_free(&j->paths);
	if (j->s->behind || j->m.flags & JOB_WHOLE ||
	    memcmp(j->rules.sha256, manifest_meta(j->s->m)->ignore_sha256,
		HASH_LEN) != 0)
		compare_add(j->cmp, "", 0, true);
}

void
apply_start(struct task *j)
{
	struct service *s = j->s;
	struct compare_opts o = { .rootfd = s->rootfd,
		.manifest = s->m,
		.whole = (j->m.flags & JOB_WHOLE) != 0 };

	if (task_is_stale(j)) {
		task_end_why(j, RESULT_RETRY,
		    "another container is attached to");
		return;
	}
	if (apply_root_gone(j) || apply_check_dockerfile(j) == -1)
		return;
	if (rules_load(&j->rules, s->rootfd, s->conf->dockerfile, j->reason,
		sizeof(j->reason)) == -1) {
		task_end(j, RESULT_FAILED);
		return;
	}
	o.ignore = j->rules.ignore;
	j->cmp = compare_new(&o);
	apply_add_paths(j);
	apply_compare(j);
}

/* What could not be read is not in step, whatever else is. */
static void
apply_take_changes(struct task *j)
{
	char *const *again;
	const char *path;
	size_t n;
	int err;

	compare_take(j->cmp, &j->changes);
	n = compare_again(j->cmp, &again);
	for (size_t i = 0; i < n; i++)
		task_again(j, again[i]);
	if ((path = compare_unreadable(j->cmp, &err)) != NULL)
		task_trouble(j, "%.100s: %s", path, strerror(err));
	compare_free(j->cmp);
	j->cmp = NULL;
}

/* Record the rules that the container is in step with. */
static void
apply_record_rules(struct task *j)
{
	struct manifest_meta meta = *manifest_meta(j->s->m);

	if (memcmp(meta.ignore_sha256, j->rules.sha256, HASH_LEN) == 0)
		return;
	memcpy(meta.ignore_sha256, j->rules.sha256, HASH_LEN);
	(void)manifest_set_meta(j->s->m, &meta);
}

static void
apply_well(struct task *j)
{
	if (j->trouble[0] == '\0') {
		apply_record_rules(j);
		j->s->behind = false;
	}
	task_end(j, RESULT_OK);
}

static void
apply_compare(struct task *j)
{
	int r;

	if (j->cancelled) {
		task_end(j, RESULT_CANCELLED);
		return;
	}
	r = compare_step(j->cmp, mono_add_ms(mono_now(), PUSH_SLICE_MS));
	if (r == COMPARE_MORE) {
		task_later(j, apply_compare);
		return;
	}
	if (r == -1) {
		task_end_why(j, RESULT_FAILED,
		    errno == EBADMSG ?
			"%s has a pattern that cannot be matched" :
			"the root directory: %s",
		    errno == EBADMSG ? j->rules.file : strerror(errno));
		return;
	}
	apply_take_changes(j);
	/* again: what was not there may have gone with the root itself */
	if (apply_root_gone(j))
		return;
	if (j->changes.n == 0)
		apply_well(j);
	else
		prepare(j, apply_plan);
}

/*
 * Planning.
 */

static struct push_plan *
apply_make_plan(struct task *j)
{
	const char **v[2];
	size_t n[2] = { 0, 0 };
	struct push_plan *pp;

	v[0] = xcalloc(j->changes.n + 1, sizeof(*v[0]));
	v[1] = xcalloc(j->changes.n + 1, sizeof(*v[1]));
	for (size_t i = 0; i < j->changes.n; i++) {
		int gone = j->changes.v[i].now == TREE_ABSENT;

		v[gone][n[gone]++] = j->changes.v[i].path;
	}
	j->s->oracle.changes = &j->changes;
	pp = copyplan_changes(j->s->plan, v[0], n[0], v[1], n[1]);
	free(v[0]);
	free(v[1]);
	return (pp);
}

static void apply_intend(struct task *j);

static void
apply_plan(struct task *j)
{
	struct service *s = j->s;
	struct push_plan *pp;

	/* asked before, but the answer got lost with its job */
	if (prepare_dest(j, apply_plan))
		return;
	pp = apply_make_plan(j);
	if (oracle_unknown(&s->oracle) != NULL) {
		push_plan_free(pp);
		prepare_dest(j, apply_plan);
		return;
	}
	effects_plan(&j->fx, s->plan, s->df, pp, &j->changes, s->m);
	push_plan_free(pp);
	s->oracle.changes = NULL;
	if (j->fx.verdict == EFFECTS_OK)
		effects_place(&j->fx, s->plan, &s->facts);
	if (!task_has_effects(j))
		return;
	if (j->cancelled) {
		task_end(j, RESULT_CANCELLED);
		return;
	}
	owners_resolve(j, apply_intend);
}

/*
 * Effects.
 */

/* The manifest's word before anything is done: from here on unknown. */
static void
apply_record_intent(struct task *j)
{
	struct manifest *m = j->s->m;
	struct manifest_meta meta = *manifest_meta(m);
	const struct manifest_entry *old;
	struct manifest_entry e;

	if (j->fx.pending != -1 &&
	    (meta.run_pending_from == -1 ||
		meta.run_pending_from > j->fx.pending)) {
		meta.run_pending_from = j->fx.pending;
		(void)manifest_set_meta(m, &meta);
	}
	for (size_t i = 0; i < j->changes.n; i++) {
		const struct change *ch = &j->changes.v[i];

		/* what is to go, or to be another type, keeps its own */
		if ((old = manifest_get(m, ch->path)) != NULL)
			e = *old;
		else
			manifest_from_stat(&e, &ch->st, ch->scanned_ns);
		e.state = MANIFEST_UNKNOWN;
		(void)manifest_set(m, ch->path, &e);
	}
}

static void apply_hollow(struct task *j);

static void
apply_tell_start(struct task *j)
{
	struct buf b = { 0 };
	char esc[256];

	for (size_t i = 0; i < j->fx.skipped.n && i < PUSH_EVENTS_MAX; i++)
		log_warnx("%s: %s lies in a bind mount of the container and "
			  "is left alone",
		    j->s->conf->name,
		    log_escape(esc, sizeof(esc), j->fx.skipped.v[i],
			strlen(j->fx.skipped.v[i])));
	if (j->fx.items.n + j->fx.erase.n == 0)
		return;
	fields_add_u64(&b, F_FILES, j->fx.items.n);
	fields_add_u64(&b, F_DELETED, j->fx.erase.n);
	task_event(j, EVENT_PUSH_START, &b);
}

static void
apply_intend(struct task *j)
{
	apply_record_intent(j);
	apply_tell_start(j);
	erase(j, &j->fx.erase, apply_hollow);
}

static void apply_deliver(struct task *j);

static void
apply_hollow(struct task *j)
{
	erase_empty(j, &j->fx.hollow, apply_deliver);
}

static void apply_confirm(struct task *j);

static void
apply_deliver(struct task *j)
{
	j->done.deleted = j->trouble[0] == '\0' ? j->fx.erase.n : 0;
	deliver(j, apply_confirm);
}

static void
apply_tell_copies(struct task *j)
{
	struct buf b = { 0 };
	uint64_t files = 0, bytes = 0;

	for (size_t i = 0; i < j->fx.items.n; i++) {
		const struct item *it = &j->fx.items.v[i];

		if (!it->sent)
			continue;
		if (files++ >= PUSH_EVENTS_MAX) {
			bytes += it->got.type == TREE_REG ?
			    (uint64_t)it->got.size :
			    0;
			continue;
		}
		fields_add_str(&b, F_PATH, it->to);
		fields_add_u64(&b, F_BYTES,
		    it->got.type == TREE_REG ? (uint64_t)it->got.size : 0);
		task_event(j, EVENT_PUSH_COPY, &b);
	}
	if (files <= PUSH_EVENTS_MAX)
		return;
	fields_add_u64(&b, F_FILES, files - PUSH_EVENTS_MAX);
	fields_add_u64(&b, F_BYTES, bytes);
	task_event(j, EVENT_PUSH_COPY, &b);
}

static int
apply_item_cmp(const void *a, const void *b)
{
	const struct item *x = *(const struct item *const *)a;
	const struct item *y = *(const struct item *const *)b;

	return (tree_path_cmp(x->from, y->from));
}

/*
 * What was sent of one path, to one place or several.  1 with *e, 0: nothing
 * had to be, -1: it is not all there.
 */
static int
apply_sent(struct task *j, struct item **v, size_t n, struct manifest_entry *e)
{
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		if (v[i]->error != 0)
			task_trouble(j, "%.100s: %s", v[i]->from,
			    strerror(v[i]->error));
		if (v[i]->torn)
			task_again(j, v[i]->from);
		if (!v[i]->sent)
			return (-1);
		/* it was changed between two PUTs */
		if (r == 1 && !items_same(e, &v[i]->got)) {
			task_again(j, v[i]->from);
			return (-1);
		}
		*e = v[i]->got;
		r = 1;
	}
	return (r);
}

static void
apply_confirm_change(struct task *j, const struct change *ch, struct item **v,
    size_t n)
{
	struct manifest *m = j->s->m;
	struct manifest_entry e;
	int r = apply_sent(j, v, n, &e);

	if (ch->now == TREE_ABSENT) {
		if (j->done.deleted == j->fx.erase.n)
			(void)manifest_remove(m, ch->path);
		return;
	}
	if (r == -1)
		return;
	/* no COPY takes it: what it is like does not matter, only that */
	if (r == 0)
		manifest_from_stat(&e, &ch->st, ch->scanned_ns);
	e.epoch = manifest_meta(m)->epoch;
	(void)manifest_set(m, ch->path, &e);
}

/* The engine has confirmed it: the manifest may say so. */
static void
apply_confirm(struct task *j)
{
	struct manifest_meta meta = *manifest_meta(j->s->m);
	size_t n = j->fx.items.n, at = 0, end;
	struct item **v = xcalloc(n + 1, sizeof(*v));

	/* before the entries: a restart that is due must not be forgotten */
	if (j->done.files + j->done.deleted > 0 || n > 0) {
		meta.restart_after_ns = task_restart_after(j);
		(void)manifest_set_meta(j->s->m, &meta);
	}
	for (size_t i = 0; i < n; i++)
		v[i] = &j->fx.items.v[i];
	if (n > 0)
		qsort(v, n, sizeof(*v), apply_item_cmp);
	for (size_t i = 0; i < j->changes.n; i++) {
		const char *path = j->changes.v[i].path;

		while (at < n && tree_path_cmp(v[at]->from, path) < 0)
			at++;
		for (end = at; end < n && strcmp(v[end]->from, path) == 0;)
			end++;
		apply_confirm_change(j, &j->changes.v[i], v + at, end - at);
		at = end;
	}
	free(v);
	apply_tell_copies(j);
	apply_well(j);
}
