/*
 * Which context path goes where, and the other way round.  Rules: Docker's
 * COPY and ADD (BuildKit dispatchCopy, fsutil copy).
 */
#include <stdlib.h>
#include <string.h>

#include "include/buf.h"
#include "workers/shared/copyplan_int.h"

bool
copyplan_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 0 || strcmp(dir, "/") == 0)
		return (true);
	return (
	    strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

char *
copyplan_join(const char *dir, const char *rel)
{
	size_t n = strlen(dir);

	if (*rel == '\0')
		return (xstrdup(dir));
	return (xasprintf("%s%s%s", dir, n == 0 || dir[n - 1] == '/' ? "" : "/",
	    rel));
}

static const char *
copyplan_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return (slash == NULL ? path : slash + 1);
}

bool
copyplan_is_wild(const char *s)
{
	for (; *s != '\0'; s++) {
		if (strchr("*?[", *s) != NULL)
			return (true);
		if (*s == '\\' && *++s == '\0')
			break;
	}
	return (false);
}

enum copyplan_type
copyplan_type(const struct copyplan *p, const char *path)
{
	return (p->opt.oracle.type(p->opt.oracle.arg, path));
}

/* What of path lies below dir; path is dir or below it. */
static const char *
rest(const char *path, const char *dir)
{
	path += strlen(dir);
	return (*path == '/' ? path + 1 : path);
}

static bool
matches(const struct ignore *ig, const char *path)
{
	struct ignore_match m;

	if (*path == '\0')
		return (false);
	return (
	    ignore_path(ig, path, strlen(path), &m, NULL) == 0 && m.excluded);
}

/* Length of the first n components of path, 0 if it has fewer. */
static size_t
head_length(const char *path, size_t n)
{
	const char *s = path;

	for (;;) {
		s += strcspn(s, "/");
		if (--n == 0)
			return ((size_t)(s - path));
		if (*s++ == '\0')
			return (0);
	}
}

static size_t
components(const char *path)
{
	size_t n = 1;

	for (; *path != '\0'; path++)
		if (*path == '/')
			n++;
	return (n);
}

bool
copyplan_dest_is_dir(struct copyplan *p, size_t step)
{
	const struct copyplan_step *s = &p->steps[step], *e;
	const struct copyplan_oracle *o = &p->opt.oracle;
	size_t i, k;

	if (s->dest_slash || strcmp(s->dest, "/") == 0)
		return (true);
	for (i = 0; i < p->nworkdirs; i++)
		if (p->in_line[p->workdirs[i].stage] &&
		    p->workdirs[i].step <= step &&
		    copyplan_below(p->workdirs[i].path, s->dest))
			return (true);
	for (i = 0; i < step; i++) {
		e = &p->steps[i];
		if (e->kind == COPYPLAN_RUN || !p->in_line[e->stage] ||
		    !copyplan_below(e->dest, s->dest))
			continue;
		if (e->dest_slash || strcmp(e->dest, s->dest) != 0)
			return (true);
		for (k = 0; e->kind == COPYPLAN_COPY && k < e->nsources; k++)
			if (copyplan_type(p, e->sources[k]) == COPYPLAN_DIR)
				return (true);
	}
	if (o->destdir == NULL || !p->in_line[p->graph->target])
		return (false);
	return (o->destdir(o->arg, s->dest) == COPYPLAN_YES);
}

/* Where a single file goes. */
static char *
place_file(struct copyplan *p, size_t step, const char *name)
{
	const char *dest = p->steps[step].dest;

	if (copyplan_dest_is_dir(p, step))
		return (copyplan_join(dest, copyplan_base(name)));
	return (xstrdup(dest));
}

/* A path that is root itself or below it; root is what a source names. */
static char *
place_below(struct copyplan *p, size_t step, const char *name, const char *root,
    const char *path, bool isdir)
{
	const struct ignore *ex = p->extra[step].exclude;
	const char *rel = rest(path, root);

	if (*rel == '\0' && !isdir) {
		if (ex != NULL && matches(ex, copyplan_base(name)))
			return (NULL);
		return (place_file(p, step, name));
	}
	if (ex != NULL && matches(ex, rel))
		return (NULL);
	return (copyplan_join(p->steps[step].dest, rel));
}

static char *
place_parents(struct copyplan *p, size_t step, size_t source, const char *path)
{
	const struct copyplan_extra *x = &p->extra[step];
	const char *rel;

	if (!copyplan_below(path, x->pivot[source]))
		return (NULL);
	rel = rest(path, x->pivot[source]);
	if (!matches(x->include[source], rel) ||
	    (x->exclude != NULL && matches(x->exclude, rel)))
		return (NULL);
	return (copyplan_join(p->steps[step].dest, rel));
}

static char *
place_wild(struct copyplan *p, size_t step, const char *src, const char *path,
    bool isdir)
{
	char *root, *dest = NULL;
	size_t n;

	if (*path == '\0' || (n = head_length(path, components(src))) == 0)
		return (NULL);
	root = xstrndup(path, n);
	if (copyplan_match(src, root) == 1)
		dest = place_below(p, step, root, root, path, isdir);
	free(root);
	return (dest);
}

char *
copyplan_place_of(struct copyplan *p, size_t step, size_t source,
    const char *path, bool isdir, bool *link)
{
	const struct copyplan_oracle *o = &p->opt.oracle;
	const char *src = p->steps[step].sources[source];
	char *real, *dest = NULL;

	*link = false;
	if (p->steps[step].parents)
		return (place_parents(p, step, source, path));
	if (copyplan_is_wild(src))
		return (place_wild(p, step, src, path, isdir));
	real =
	    o->resolve == NULL || *src == '\0' ? NULL : o->resolve(o->arg, src);
	if (real != NULL) {
		*link = copyplan_below(src, path);
		if (copyplan_below(path, real))
			dest = place_below(p, step, src, real, path, isdir);
	} else if (copyplan_below(path, src))
		dest = place_below(p, step, src, src, path, isdir);
	free(real);
	return (dest);
}

struct finding {
	struct copyplan_found *f;
	const char *dir;
	const char *pattern;
	bool last;
	struct copyplan_found *next;
	size_t *budget;
};

static void
found_add(struct copyplan_found *f, char *path, bool isdir)
{
	if ((f->n & (f->n - 1)) == 0) {
		size_t cap = f->n == 0 ? 1 : f->n * 2;

		f->paths = xreallocarray(f->paths, cap, sizeof(*f->paths));
		f->isdir = xreallocarray(f->isdir, cap, sizeof(*f->isdir));
	}
	f->paths[f->n] = path;
	f->isdir[f->n++] = isdir;
}

static void
found_clear(struct copyplan_found *f)
{
	dockerfile_words_free(f->paths, f->n);
	free(f->isdir);
	memset(f, 0, sizeof(*f));
}

static int
find_entry(void *arg, const char *name, bool isdir)
{
	struct finding *fi = arg;

	if (*fi->budget == 0)
		return (1);
	--*fi->budget;
	if ((isdir || fi->last) && copyplan_match(fi->pattern, name) == 1)
		found_add(fi->next, copyplan_join(fi->dir, name), isdir);
	return (0);
}

/* Go down the pattern one component at a time. */
const struct copyplan_found *
copyplan_find(struct copyplan *p, size_t step, size_t source)
{
	const struct copyplan_oracle *o = &p->opt.oracle;
	struct copyplan_found *f = &p->extra[step].found[source], now = { 0 };
	struct copyplan_found next;
	struct finding fi = { 0 };
	const char *src = p->steps[step].sources[source];
	size_t i, n, budget = COPYPLAN_MAX_ENTRIES;
	char *part;

	if (f->done || o->list == NULL)
		return (f);
	found_add(&now, xstrdup(""), true);
	for (; *src != '\0'; src += n + (src[n] == '/')) {
		n = strcspn(src, "/");
		part = xstrndup(src, n);
		memset(&next, 0, sizeof(next));
		fi.pattern = part;
		fi.last = src[n] == '\0';
		fi.next = &next;
		fi.budget = &budget;
		for (i = 0; i < now.n; i++) {
			fi.dir = now.paths[i];
			if (now.isdir[i])
				o->list(o->arg, fi.dir, find_entry, &fi);
		}
		free(part);
		found_clear(&now);
		now = next;
	}
	*f = now;
	f->done = true;
	return (f);
}

void
copyplan_rescan(struct copyplan *p)
{
	size_t i, k;

	for (i = 0; i < p->nsteps; i++)
		for (k = 0; k < p->steps[i].nsources; k++)
			found_clear(&p->extra[i].found[k]);
}

/* root is what a source names now: does it give dest? */
static bool
gives(struct copyplan *p, size_t step, const char *name, const char *root,
    bool root_isdir, const char *dest, char **from, bool *isdir)
{
	const struct ignore *ex = p->extra[step].exclude;
	const char *d = p->steps[step].dest, *rel;
	enum copyplan_type type;
	char *place;

	if (!root_isdir) {
		if (!copyplan_below(dest, d))
			return (false);
		place = place_below(p, step, name, root, root, false);
		if (place != NULL && strcmp(place, dest) == 0)
			*from = xstrdup(root);
		free(place);
		*isdir = false;
		return (*from != NULL);
	}
	if (!copyplan_below(dest, d))
		return (false);
	rel = rest(dest, strcmp(d, "/") == 0 ? "" : d);
	if (ex != NULL && matches(ex, rel))
		return (false);
	*from = copyplan_join(root, rel);
	type = copyplan_type(p, *from);
	*isdir = type == COPYPLAN_DIR;
	if (type != COPYPLAN_ABSENT)
		return (true);
	free(*from);
	*from = NULL;
	return (false);
}

static bool
source_gives(struct copyplan *p, size_t step, size_t source, const char *dest,
    char **from, bool *isdir)
{
	const struct copyplan_oracle *o = &p->opt.oracle;
	const struct copyplan_step *s = &p->steps[step];
	const struct copyplan_found *f;
	const char *src = s->sources[source];
	enum copyplan_type type;
	char *real;
	bool ok;
	size_t i;

	if (s->parents) {
		const struct copyplan_extra *x = &p->extra[step];
		const char *rel;

		if (!copyplan_below(dest, s->dest))
			return (false);
		rel = rest(dest, strcmp(s->dest, "/") == 0 ? "" : s->dest);
		return (matches(x->include[source], rel) &&
		    gives(p, step, x->pivot[source], x->pivot[source], true,
			dest, from, isdir));
	}
	if (copyplan_is_wild(src)) {
		f = copyplan_find(p, step, source);
		if (p->looks < f->n) {
			p->looks = 0;
			return (false);
		}
		p->looks -= f->n;
		for (i = f->n; i-- > 0;)
			if (gives(p, step, f->paths[i], f->paths[i],
				f->isdir[i], dest, from, isdir))
				return (true);
		return (false);
	}
	real =
	    o->resolve == NULL || *src == '\0' ? NULL : o->resolve(o->arg, src);
	type = copyplan_type(p, real == NULL ? src : real);
	ok = type != COPYPLAN_ABSENT &&
	    gives(p, step, src, real == NULL ? src : real, type == COPYPLAN_DIR,
		dest, from, isdir);
	free(real);
	return (ok);
}

static bool
inline_gives(struct copyplan *p, size_t step, const char *dest)
{
	const struct copyplan_extra *x = &p->extra[step];
	char *place;
	bool same = false;
	size_t i;

	for (i = 0; i < x->nheredocs && !same; i++) {
		place = place_file(p, step, x->heredocs[i]);
		same = strcmp(place, dest) == 0;
		free(place);
	}
	return (same);
}

enum copyplan_provides
copyplan_provider(struct copyplan *p, size_t step, const char *dest,
    char **from, bool *isdir)
{
	const struct copyplan_step *s = &p->steps[step];
	char *named;
	bool same;
	size_t i;

	*from = NULL;
	if (s->kind == COPYPLAN_RUN || !copyplan_below(dest, s->dest))
		return (COPYPLAN_NOT);
	if (s->kind == COPYPLAN_COPY) {
		if (inline_gives(p, step, dest))
			return (COPYPLAN_INLINE);
		for (i = s->nsources; i-- > 0;)
			if (source_gives(p, step, i, dest, from, isdir))
				return (COPYPLAN_FROM_CONTEXT);
		return (s->remote ? COPYPLAN_ENCLOSES : COPYPLAN_NOT);
	}
	same = strcmp(dest, s->dest) == 0;
	for (i = 0; i < s->nsources && !same; i++) {
		named = copyplan_join(s->dest, copyplan_base(s->sources[i]));
		same = *s->sources[i] != '\0' && strcmp(named, dest) == 0;
		free(named);
	}
	return (same ? COPYPLAN_ELSEWHERE : COPYPLAN_ENCLOSES);
}

bool
copyplan_is_certain(enum copyplan_provides got)
{
	return (got == COPYPLAN_FROM_CONTEXT || got == COPYPLAN_INLINE ||
	    got == COPYPLAN_ELSEWHERE);
}

bool
copyplan_replaces(struct copyplan *p, size_t step, const char *dest,
    bool *isdir)
{
	enum copyplan_provides got;
	char *from;

	*isdir = false;
	if (!p->in_line[p->steps[step].stage])
		return (false);
	got = copyplan_provider(p, step, dest, &from, isdir);
	free(from);
	*isdir = *isdir && got == COPYPLAN_FROM_CONTEXT;
	return (copyplan_is_certain(got));
}
