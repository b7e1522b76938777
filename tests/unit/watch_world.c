/*
 * See watch_world.h.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "buf.h"
#include "tests/unit/watch_world.h"

static void
on_warning(void *arg, const char *path, int err, const char *text)
{
	struct world *w = arg;

	w->warnings++;
	snprintf(w->warning, sizeof(w->warning), "%s: %s", path, text);
}

static void
on_scanned(void *arg, uint64_t entries, uint64_t us)
{
	((struct world *)arg)->scans++;
}

static void
on_overflow(void *arg)
{
	((struct world *)arg)->overflows++;
}

static void
on_gone(void *arg)
{
	((struct world *)arg)->gone++;
}

static int
on_inotify(void *arg)
{
	struct world *w = arg;

	if (w->no_inotify) {
		w->in->err = EMFILE;
		return (-1);
	}
	return (watch_inotify_open(w->in));
}

static const struct watch_ops ops = { .warning = on_warning,
	.scanned = on_scanned,
	.overflow = on_overflow,
	.gone = on_gone,
	.inotify = on_inotify };

const char *world_base = "/tmp";

struct world *
world_new(void)
{
	struct world *w = xcalloc(1, sizeof(*w));

	snprintf(w->dir, sizeof(w->dir), "%s/wharf-watch-XXXXXX", world_base);
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->root, sizeof(w->root), "%s/root", w->dir);
	assert_int_equal(mkdir(w->root, 0755), 0);
	w->rootfd = open(w->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(w->rootfd, -1);
	w->in = watch_inotify_new();
	assert_int_equal(watch_inotify_open(w->in), 0);
	return (w);
}

struct world *
world_inside(struct world *outer, const char *path)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->inside = true;
	assert_in_range(snprintf(w->root, sizeof(w->root), "%s/%s", outer->root,
			    path),
	    1, sizeof(w->root) - 1);
	w->rootfd = open(w->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(w->rootfd, -1);
	w->in = outer->in;
	return (w);
}

void
world_tree(struct world *w)
{
	w->tree = watch_tree_new(w->rootfd, w->in, &ops, w);
}

void
world_begin(struct world *w, const char *dockerfile)
{
	/* what is there has been there for a while */
	usleep(15000);
	if (w->tree == NULL)
		world_tree(w);
	w->sub = watch_tree_subscribe(w->tree, 1, dockerfile);
	watch_tree_start(w->tree);
}

void
world_start(struct world *w, const char *dockerfile)
{
	world_begin(w, dockerfile);
	world_settle(w);
	assert_true(w->tree->scanned);
	assert_int_equal(w->scans, 1);
	assert_string_equal(world_offered(w, w->sub), "S:");
}

void
world_free(struct world *w)
{
	char cmd[128];

	watch_tree_free(w->tree);
	close(w->rootfd);
	if (w->inside) {
		free(w);
		return;
	}
	watch_inotify_free(w->in);
	assert_int_equal(chdir("/tmp"), 0);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", w->dir);
	assert_int_equal(system(cmd), 0);
	free(w);
}

static void
turn(struct world *w, int64_t most_ms)
{
	struct pollfd p = { .fd = w->in->fd, .events = POLLIN };
	int64_t ms = mono_diff_ms(watch_tree_next(w->tree), mono_now());

	if (ms < 0)
		ms = 0;
	poll(&p, 1, (int)(ms < most_ms ? ms : most_ms));
	watch_inotify_read(w->in, 1 << 20);
	watch_tree_step(w->tree);
}

void
world_run(struct world *w, int64_t ms)
{
	mono_t end = mono_add_ms(mono_now(), ms);
	int64_t left;

	while ((left = mono_diff_ms(end, mono_now())) > 0)
		turn(w, left);
}

void
world_settle(struct world *w)
{
	mono_t end = mono_add_ms(mono_now(), 20000);

	do {
		turn(w, 20);
		assert_true(mono_diff_ms(end, mono_now()) > 0);
	} while (!w->tree->gone &&
	    (!TAILQ_EMPTY(&w->tree->order) || watch_scan_busy(w->tree)));
}

static int
cmp(const void *a, const void *b)
{
	return (strcmp(*(char *const *)a + 2, *(char *const *)b + 2));
}

const char *
world_offered(struct world *w, struct watch_sub *s)
{
	static char text[65536];
	struct watch_batch *b;
	char **v = NULL;
	size_t n = 0, at = 0;

	while ((b = watch_sub_next(s)) != NULL) {
		for (size_t i = 0; i < b->n; i++) {
			v = xreallocarray(v, n + 1, sizeof(*v));
			v[n++] = xasprintf("%c:%s",
			    watch_dirty_is_tree(b->v[i]) ? 'S' : 'P',
			    b->v[i]->path);
		}
		w->taken = b->id;
		assert_int_equal(watch_sub_take(s, b->id, b->id), 0);
		watch_inotify_read(w->in, 1 << 20);
	}
	if (n > 0)
		qsort(v, n, sizeof(*v), cmp);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
		    i > 0 ? " " : "", v[i]);
		if (at >= sizeof(text))
			at = sizeof(text) - 1;
		free(v[i]);
	}
	free(v);
	return (text);
}

void
world_expect(struct world *w, const char *what)
{
	world_settle(w);
	assert_string_equal(world_offered(w, w->sub), what);
}

void
world_sh(struct world *w, const char *fmt, ...)
{
	char cmd[2048], body[1800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(body, sizeof(body), fmt, ap);
	va_end(ap);
	snprintf(cmd, sizeof(cmd), "cd '%s' && { %s; }", w->root, body);
	assert_int_equal(system(cmd), 0);
}

void
world_write(struct world *w, const char *path, const char *text)
{
	int fd;

	fd = openat(w->rootfd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd != -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

struct world *
world_with(const char *prepare)
{
	struct world *w = world_new();

	if (prepare != NULL)
		world_sh(w, "%s", prepare);
	world_start(w, "Dockerfile");
	return (w);
}
