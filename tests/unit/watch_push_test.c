/*
 * A branch switch there and back, as watch and push see it together: what is
 * the same again is not sent.  WHARF_FILES: how many files, 2,000 without it;
 * `make` has no part in it:
 *
 *	WHARF_FILES=100000 build/tests/unit/watch_push_test
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/watch_world.h"
#include "workers/push/compare.h"
#include "workers/shared/hash.h"

#define PER_DIR 10
#define TEXT    64
#define STORM   9002 /* renames, of two events each: one queue is full */

static bool reads;
static size_t nfiles = 2000;

static void
file_path(char *path, size_t size, size_t i)
{
	snprintf(path, size, "src/%zu/%zu/f%zu", i / PER_DIR / 100, i / PER_DIR,
	    i);
}

static void
file_text(char *text, size_t i, char branch)
{
	memset(text, branch, TEXT);
	snprintf(text, TEXT, "%zu", i);
}

/* As git does it: unlink, create, write.  A tenth exists in one branch only. */
static void
checkout(struct world *w, char branch)
{
	char path[128], text[TEXT];
	int fd;

	for (size_t i = 0; i < nfiles; i++) {
		file_path(path, sizeof(path), i);
		unlinkat(w->rootfd, path, 0);
		if (i % PER_DIR == 0 && branch != 'a')
			continue;
		fd = openat(w->rootfd, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
		assert_true(fd != -1);
		file_text(text, i, branch);
		assert_int_equal(write(fd, text, TEXT), TEXT);
		close(fd);
		/* the worker reads meanwhile, when it is not hindered */
		if (reads && i % 1000 == 999)
			watch_inotify_read(w->in, 16 << 20);
	}
}

static void
deliver(struct manifest *m, struct world *w, const struct changes *c)
{
	struct manifest_entry e;
	char text[TEXT];
	int fd;

	for (size_t i = 0; i < c->n; i++) {
		const struct change *ch = &c->v[i];

		if (ch->now == TREE_ABSENT) {
			manifest_remove(m, ch->path);
			continue;
		}
		manifest_from_stat(&e, &ch->st, ch->scanned_ns);
		if (ch->now == TREE_REG) {
			fd = openat(w->rootfd, ch->path, O_RDONLY);
			assert_int_equal(read(fd, text, TEXT), TEXT);
			close(fd);
			hash_buf(text, TEXT, e.sha256);
		}
		assert_int_equal(manifest_set(m, ch->path, &e), 0);
	}
}

/* Compare all that watch offers, batch by batch, as push does. */
static struct changes
compare_offered(struct world *w, struct manifest *m, size_t *offered)
{
	struct compare_opts o = { .rootfd = w->rootfd, .manifest = m };
	struct compare *c = compare_new(&o);
	struct watch_batch *b;
	struct changes out;

	*offered = 0;
	while ((b = watch_sub_next(w->sub)) != NULL) {
		for (size_t i = 0; i < b->n; i++)
			assert_int_equal(compare_add(c, b->v[i]->path,
					     strlen(b->v[i]->path),
					     watch_dirty_is_tree(b->v[i])),
			    0);
		*offered += b->n;
		assert_int_equal(watch_sub_take(w->sub, b->id, b->id), 0);
	}
	assert_int_equal(compare_step(c, MONO_NEVER), COMPARE_DONE);
	compare_take(c, &out);
	compare_free(c);
	return (out);
}

static int64_t
ms_since(mono_t *t)
{
	mono_t now = mono_now();
	int64_t ms = mono_diff_ms(now, *t);

	*t = now;
	return (ms);
}

/* Settle and compare: so many changes; returns them. */
static struct changes
expect_changes(struct world *w, struct manifest *m, const char *what, size_t n)
{
	mono_t t = mono_now();
	struct changes c;
	int64_t settled;
	size_t offered;

	world_settle(w);
	settled = ms_since(&t);
	c = compare_offered(w, m, &offered);
	print_message("# %s: %zu paths seen in %lld ms, compared in %lld ms, "
		      "%zu to send\n",
	    what, offered, (long long)settled, (long long)ms_since(&t), c.n);
	assert_int_equal(c.n, n);
	return (c);
}

static struct world *
world_of_files(struct manifest *m)
{
	struct world *w = world_new();
	char path[128];
	struct changes c;

	reads = false;
	world_sh(w, "mkdir src");
	for (size_t i = 0; i < nfiles; i += PER_DIR) {
		snprintf(path, sizeof(path), "src/%zu", i / PER_DIR / 100);
		mkdirat(w->rootfd, path, 0755);
		snprintf(path, sizeof(path), "src/%zu/%zu", i / PER_DIR / 100,
		    i / PER_DIR);
		assert_int_equal(mkdirat(w->rootfd, path, 0755), 0);
	}
	checkout(w, 'a');
	world_start(w, NULL);
	watch_dirty_add(w->sub, "", DIRTY_TREE, 1, 1);
	c = expect_changes(w, m, "first delivery",
	    nfiles + nfiles / PER_DIR + (nfiles / PER_DIR + 99) / 100 + 1);
	deliver(m, w, &c);
	changes_free(&c);
	return (w);
}

static void
test_there_and_back(void **state)
{
	struct manifest *m = manifest_new();
	struct world *w = world_of_files(m);
	struct changes c;

	reads = true;
	checkout(w, 'b');
	checkout(w, 'a');
	c = expect_changes(w, m, "there and back", 0);
	changes_free(&c);
	assert_int_equal(w->overflows, 0);
	/* the same, with whatever the kernel drops lost */
	reads = false;
	for (int i = 0; i < (nfiles < 3000 ? 3 : 1); i++) {
		checkout(w, 'b');
		checkout(w, 'a');
	}
	c = expect_changes(w, m, "there and back, events lost", 0);
	changes_free(&c);
	assert_int_equal(w->overflows, 1);
	/* the new stats are known by now: nothing is read a second time */
	watch_dirty_add(w->sub, "", DIRTY_TREE, 1, 1);
	c = expect_changes(w, m, "compared again", 0);
	changes_free(&c);
	assert_int_equal(w->warnings, 0);
	world_free(w);
	manifest_free(m);
}

static void
test_there_then_back(void **state)
{
	struct manifest *m = manifest_new();
	struct world *w = world_of_files(m);
	struct changes c;

	reads = true;
	checkout(w, 'b');
	c = expect_changes(w, m, "there", nfiles);
	deliver(m, w, &c);
	changes_free(&c);
	checkout(w, 'a');
	c = expect_changes(w, m, "back", nfiles);
	deliver(m, w, &c);
	changes_free(&c);
	watch_dirty_add(w->sub, "", DIRTY_TREE, 1, 1);
	c = expect_changes(w, m, "compared again", 0);
	changes_free(&c);
	world_free(w);
	manifest_free(m);
}

/* Directories renamed round and round, so that events are lost. */
static void
test_rename_storm(void **state)
{
	struct manifest *m = manifest_new();
	struct world *w = world_of_files(m);
	char from[64], to[64];
	struct changes c;

	for (int i = 0; i < STORM; i++) {
		snprintf(from, sizeof(from), "src/%s", i % 3 ? "y" : "0");
		snprintf(to, sizeof(to), "src/%s", i % 3 == 2 ? "0" : "y");
		if (i % 3 == 1) {
			strlcpy(to, "src/z", sizeof(to));
		} else if (i % 3 == 2)
			strlcpy(from, "src/z", sizeof(from));
		assert_int_equal(renameat(w->rootfd, from, w->rootfd, to), 0);
	}
	/* the round ends one short: at "z" */
	assert_int_equal(renameat(w->rootfd, "src/z", w->rootfd, "src/0"), 0);
	c = expect_changes(w, m, "rename storm", 0);
	changes_free(&c);
	assert_int_equal(w->overflows, 1);
	world_write(w, "src/0/1/f11", "still watched");
	c = expect_changes(w, m, "one save", 1);
	changes_free(&c);
	world_free(w);
	manifest_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_there_then_back),
		cmocka_unit_test(test_rename_storm),
	};
	const char *n = getenv("WHARF_FILES"), *err;

	/* no disk that is written to by others shall set the pace */
	if (access("/dev/shm", W_OK) == 0)
		world_base = "/dev/shm";
	if (n != NULL)
		nfiles = (size_t)strtonum(n, 1000, 1000000, &err) / 1000 * 1000;
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
