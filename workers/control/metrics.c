/*
 * Counters, see metrics.h.  Process: control.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/control/metrics.h"

/* Services; over all reloads, those that are gone too. */
#define COUNTED_MAX 4096

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* From a save to the page served with it: upper bounds, us. */
static const uint64_t bounds[] = { 10000, 25000, 50000, 100000, 250000, 500000,
	1000000, 2500000, 5000000, 10000000, 30000000, 60000000 };

/* As plan and image name them; the last one stands for all others. */
static const char *const results[] = { "ok", "failed", "retry", "cancelled",
	"climb", "other" };

struct counts {
	char *service;
	uint64_t pushes[N(results)];
	uint64_t builds[N(results)];
	uint64_t files, bytes, deleted, restarts;
	uint64_t live[N(bounds) + 1];
	uint64_t live_us;
};

struct metrics {
	int64_t created_ns;
	struct counts *v;
	size_t n;
	uint64_t lost;
};

struct metrics *
metrics_new(int64_t created_ns)
{
	struct metrics *m = xcalloc(1, sizeof(*m));

	m->created_ns = created_ns;
	return (m);
}

void
metrics_free(struct metrics *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].service);
	free(m->v);
	free(m);
}

/* The counters of the event's service; NULL: it has none. */
static struct counts *
metrics_of(struct metrics *m, const struct fields *f)
{
	struct field name;
	struct counts *c;

	if (!fields_get(f, F_SERVICE, &name))
		return (NULL);
	for (size_t i = 0; i < m->n; i++)
		if (strlen(m->v[i].service) == name.len &&
		    memcmp(m->v[i].service, name.str, name.len) == 0)
			return (&m->v[i]);
	if (m->n == COUNTED_MAX)
		return (NULL);
	m->v = xreallocarray(m->v, m->n + 1, sizeof(*m->v));
	c = &m->v[m->n++];
	memset(c, 0, sizeof(*c));
	c->service = xstrndup(name.str, name.len);
	return (c);
}

static size_t
result_of(const struct fields *f)
{
	struct field r;

	if (fields_get(f, F_RESULT, &r))
		for (size_t i = 0; i < N(results) - 1; i++)
			if (strlen(results[i]) == r.len &&
			    memcmp(results[i], r.str, r.len) == 0)
				return (i);
	return (N(results) - 1);
}

static void
count_live(struct counts *c, const struct fields *f)
{
	struct field us;
	size_t i = 0;

	if (!fields_get(f, F_SEEN_TO_LIVE_US, &us))
		return;
	while (i < N(bounds) && us.u64 > bounds[i])
		i++;
	c->live[i]++;
	c->live_us += us.u64;
}

void
metrics_count(struct metrics *m, enum event_kind kind, const struct fields *f)
{
	struct counts *c;

	if (kind != EVENT_PUSH_END && kind != EVENT_PUSH_CANCEL &&
	    kind != EVENT_PUSH_RESTART && kind != EVENT_BUILD_END)
		return;
	if ((c = metrics_of(m, f)) == NULL)
		return;
	if (kind == EVENT_BUILD_END)
		c->builds[result_of(f)]++;
	else if (kind == EVENT_PUSH_RESTART)
		c->restarts++;
	else {
		c->pushes[result_of(f)]++;
		c->files += fields_u64(f, F_FILES, 0);
		c->bytes += fields_u64(f, F_BYTES, 0);
		c->deleted += fields_u64(f, F_DELETED, 0);
		count_live(c, f);
	}
}

void
metrics_lost(struct metrics *m, uint64_t n)
{
	m->lost += n;
}

struct telling {
	const struct metrics *m;
	void (*tell)(void *arg, const struct buf *fields);
	void *arg;
	const char *service; /* NULL: none */
};

/* One counter; result and us may be NULL. */
static void
tell_one(const struct telling *t, const char *name, const char *result,
    const uint64_t *us, uint64_t count)
{
	struct buf b = { 0 };

	fields_add_str(&b, F_NAME, name);
	if (t->service != NULL)
		fields_add_str(&b, F_SERVICE, t->service);
	if (result != NULL)
		fields_add_str(&b, F_RESULT, result);
	if (us != NULL)
		fields_add_u64(&b, F_US, *us);
	fields_add_u64(&b, F_COUNT, count);
	fields_add_u64(&b, F_CREATED_NS, (uint64_t)t->m->created_ns);
	t->tell(t->arg, &b);
	buf_free(&b);
}

static void
tell_service(struct telling *t, const struct counts *c)
{
	t->service = c->service;
	for (size_t i = 0; i < N(results); i++)
		tell_one(t, "pushes", results[i], NULL, c->pushes[i]);
	for (size_t i = 0; i < N(results); i++)
		tell_one(t, "builds", results[i], NULL, c->builds[i]);
	tell_one(t, "files", NULL, NULL, c->files);
	tell_one(t, "bytes", NULL, NULL, c->bytes);
	tell_one(t, "deleted", NULL, NULL, c->deleted);
	tell_one(t, "restarts", NULL, NULL, c->restarts);
	for (size_t i = 0; i < N(bounds); i++)
		tell_one(t, "live", NULL, &bounds[i], c->live[i]);
	tell_one(t, "live", NULL, NULL, c->live[N(bounds)]);
	tell_one(t, "live_us", NULL, NULL, c->live_us);
}

bool
metrics_tell(const struct metrics *m, size_t i,
    void (*tell)(void *arg, const struct buf *fields), void *arg)
{
	struct telling t = { .m = m, .tell = tell, .arg = arg };

	if (i > m->n)
		return (false);
	if (i == 0)
		tell_one(&t, "lost", NULL, NULL, m->lost);
	else
		tell_service(&t, &m->v[i - 1]);
	return (true);
}
