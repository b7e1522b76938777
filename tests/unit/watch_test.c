/*
 * The watch worker on real directories: saves of editors, directories that
 * come, go and move, the barrier.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/watch_world.h"

static void
ren(struct world *w, const char *from, const char *to)
{
	assert_int_equal(renameat(w->rootfd, from, w->rootfd, to), 0);
}

static void
del(struct world *w, const char *path)
{
	assert_int_equal(unlinkat(w->rootfd, path, 0), 0);
}

/* What is offered without any waiting. */
static void
at_once(struct world *w, const char *what)
{
	watch_inotify_read(w->in, 1 << 20);
	watch_tree_step(w->tree);
	assert_string_equal(world_offered(w, w->sub), what);
}

/* Saves of editors: one path, and no temporary name ever. */

static void
test_in_place(void **state)
{
	struct world *w = world_with("echo 1 > a.txt");

	world_write(w, "a.txt", "2");
	at_once(w, "P:a.txt");
	world_free(w);
}

static void
test_vim(void **state)
{
	struct world *w;
	mono_t start;

	/* the copy goes while its name is held: unless the machine stalled */
	for (int tries = 0;; tries++) {
		w = world_with("echo 1 > a.txt");
		world_write(w, "4913", "");
		del(w, "4913");
		start = mono_now();
		ren(w, "a.txt", "a.txt~");
		world_write(w, "a.txt", "2");
		assert_int_equal(fchmodat(w->rootfd, "a.txt", 0600, 0), 0);
		world_run(w, 15);
		del(w, "a.txt~");
		if (mono_diff_ms(mono_now(), start) < WATCH_HOLD_MS ||
		    tries == 50)
			break;
		world_free(w);
	}
	world_expect(w, "P:a.txt");
	world_free(w);
}

static void
test_jetbrains(void **state)
{
	struct world *w = world_with("echo 1 > a.txt");

	world_write(w, "a.txt___jb_tmp___", "2");
	ren(w, "a.txt", "a.txt___jb_old___");
	ren(w, "a.txt___jb_tmp___", "a.txt");
	del(w, "a.txt___jb_old___");
	world_expect(w, "P:a.txt");
	world_free(w);
}

static void
test_rename_over(void **state)
{
	struct world *w = world_with("echo 1 > a.txt");

	world_write(w, "sedX1y2Z3", "2");
	ren(w, "sedX1y2Z3", "a.txt");
	/* the new text does not wait for the temporary name */
	at_once(w, "P:a.txt");
	world_expect(w, "");
	world_free(w);
}

static void
test_checkout(void **state)
{
	struct world *w = world_with("echo 1 > a.txt; echo 1 > b.txt");

	del(w, "a.txt");
	world_write(w, "a.txt", "2");
	del(w, "b.txt");
	world_expect(w, "P:a.txt P:b.txt");
	world_free(w);
}

static void
test_created_and_gone(void **state)
{
	struct world *w = world_with(NULL);

	world_write(w, "t1", "x");
	del(w, "t1");
	world_sh(w, "mkdir -p d/e; echo > d/e/f; rm -r d");
	world_expect(w, "");
	world_free(w);
}

/*
 * The same, but the consumer was given the directory before and may have seen
 * the name in it: then its end must be told.
 */
static void
test_gone_but_seen(void **state)
{
	struct world *w = world_with(NULL);
	struct watch_batch *b;

	world_sh(w, "mkdir d; echo > d/f");
	world_settle(w);
	b = watch_sub_next(w->sub);
	assert_int_equal(b->n, 1);
	world_write(w, "d/t", "1");
	world_write(w, "u", "1");
	world_run(w, 5);
	assert_int_equal(watch_sub_take(w->sub, b->id, b->id), 0);
	del(w, "d/t");
	del(w, "u");
	world_expect(w, "P:d/t");
	watch_inotify_read(w->in, 1);
	assert_true(TAILQ_EMPTY(&w->sub->recent));
	world_free(w);
}

static void
test_new_file(void **state)
{
	struct world *w = world_with(NULL);
	mono_t begun = mono_now();

	world_write(w, "n.txt", "1");
	at_once(w, "");
	world_expect(w, "P:n.txt");
	assert_true(mono_diff_ms(mono_now(), begun) >= WATCH_HOLD_MS - 1);
	world_sh(w, "ln -s nowhere l; mkfifo p");
	world_expect(w, "P:l P:p");
	world_free(w);
}

static void
test_mmap(void **state)
{
	struct world *w = world_with("echo 12345678 > m");
	char *p;
	int fd;

	fd = openat(w->rootfd, "m", O_RDWR);
	p = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	memcpy(p, "abc", 3);
	munmap(p, 8);
	close(fd);
	world_expect(w, "P:m");
	world_free(w);
}

static void
test_attributes(void **state)
{
	struct world *w = world_with("echo 1 > a; echo 1 > b; mkdir d");

	assert_int_equal(fchmodat(w->rootfd, "a", 0640, 0), 0);
	world_expect(w, "P:a");
	/* the same again, and a change of the number of names */
	assert_int_equal(fchmodat(w->rootfd, "a", 0640, 0), 0);
	assert_int_equal(linkat(w->rootfd, "b", AT_FDCWD, "/tmp/wharf-link",
			     0) == 0 ||
		errno == EXDEV,
	    1);
	unlink("/tmp/wharf-link");
	world_expect(w, "");
	assert_int_equal(fchmodat(w->rootfd, "d", 0700, 0), 0);
	world_expect(w, "P:d");
	world_free(w);
}

/* A file that is written all the time: about once a second, and at the end. */
static void
test_storm(void **state)
{
	struct world *w = world_with("echo 1 > log; echo 1 > other");
	const mono_t start = mono_now();
	unsigned told = 0, pauses = 0;
	mono_t last = start;
	const char *s;

	for (int i = 0; i < 44; i++) {
		world_sh(w, "echo %d >> log", i);
		world_run(w, 50);
		/* a machine that stalls makes a pause of its own */
		pauses += mono_diff_ms(mono_now(), last) > WATCH_QUIET_MS - 20;
		last = mono_now();
		s = world_offered(w, w->sub);
		told += strstr(s, "P:log") != NULL;
		if (i == 20) {
			world_write(w, "other", "2");
			world_run(w, 5);
			s = world_offered(w, w->sub);
			assert_non_null(strstr(s, "P:other"));
		}
	}
	assert_in_range(told, 2,
	    3 + pauses +
		(unsigned)(mono_diff_ms(last, start) / WATCH_STORM_MS));
	world_expect(w, "P:log");
	/* a save now and then is no storm */
	world_run(w, 200);
	for (int i = 0; i < 5; i++) {
		world_write(w, "log", "x");
		world_run(w, 10);
		assert_string_equal(world_offered(w, w->sub), "P:log");
		world_run(w, 170);
	}
	world_free(w);
}

static void
test_never_closed(void **state)
{
	struct world *w = world_with("echo 1 > log");
	mono_t end = mono_add_ms(mono_now(), 2500);
	unsigned told = 0;
	int fd;

	fd = openat(w->rootfd, "log", O_WRONLY | O_APPEND);
	while (mono_diff_ms(end, mono_now()) > 0) {
		assert_int_equal(write(fd, "x", 1), 1);
		world_run(w, 20);
		told += *world_offered(w, w->sub) != '\0';
	}
	assert_in_range(told, 2, 3);
	close(fd);
	world_expect(w, "P:log");
	world_free(w);
}

/* Directories. */

static void
test_mkdir_deep(void **state)
{
	struct world *w = world_with(NULL);

	for (int i = 0; i < 200; i++)
		world_sh(w, "mkdir -p x%d/y/z && echo 1 > x%d/y/z/f", i, i);
	world_settle(w);
	for (int i = 0; i < 200; i++) {
		char path[64];
		struct watch_dirty *d = NULL;

		snprintf(path, sizeof(path), "x%d", i);
		RB_FOREACH (d, watch_paths, &w->sub->paths)
			if (strcmp(d->path, path) == 0)
				break;
		assert_non_null(d);
		assert_true(watch_dirty_is_tree(d));
	}
	assert_int_equal(w->sub->ndirty, 200);
	world_offered(w, w->sub);
	/* what is written later, wherever, is seen */
	world_write(w, "x7/y/z/f", "2");
	world_write(w, "x99/y/g", "2");
	world_expect(w, "P:x7/y/z/f P:x99/y/g");
	assert_int_equal(w->tree->watches, 1 + 3 * 200);
	world_free(w);
}

static void
test_moved_in(void **state)
{
	struct world *w = world_with(NULL);

	world_sh(w,
	    "mkdir -p ../t/s && for i in $(seq 500); do "
	    "echo $i > ../t/s/f$i; done && mv ../t t");
	world_expect(w, "S:t");
	world_write(w, "t/s/f250", "new");
	world_expect(w, "P:t/s/f250");
	world_free(w);
}

static void
test_rename_dir(void **state)
{
	struct world *w = world_with("mkdir -p d1/sub; echo > d1/f; "
				     "echo > d1/sub/g");
	uint64_t watches = w->tree->watches;

	ren(w, "d1", "d9");
	world_expect(w, "P:d1 S:d9");
	assert_int_equal(w->tree->watches, watches);
	world_write(w, "d9/f", "2");
	world_write(w, "d9/sub/g", "2");
	world_write(w, "d9/sub/n", "2");
	world_expect(w, "P:d9/f P:d9/sub/g P:d9/sub/n");
	/* a write on the way, and there and back */
	world_write(w, "d9/f", "3");
	ren(w, "d9", "d5");
	ren(w, "d5/sub", "sub");
	world_write(w, "sub/g", "3");
	world_expect(w, "S:d5 P:d9 S:sub");
	assert_int_equal(w->tree->watches, watches);
	world_free(w);
}

static void
test_made_and_renamed(void **state)
{
	struct world *w = world_with("mkdir q");

	for (int i = 0; i < 20; i++) {
		world_sh(w,
		    "mkdir -p a/b/c; echo > a/b/c/f; mv a q/r%d; "
		    "mv q/r%d/b q/s%d",
		    i, i, i);
		world_settle(w);
	}
	world_offered(w, w->sub);
	world_write(w, "q/s3/c/f", "2");
	world_write(w, "q/r3/n", "2");
	world_expect(w, "P:q/r3/n P:q/s3/c/f");
	assert_int_equal(w->tree->watches, 2 + 20 * 3);
	world_free(w);
}

static void
test_moved_out(void **state)
{
	struct world *w = world_with("mkdir -p d/e; echo > d/e/f");

	world_sh(w, "mv d ../d; echo 2 > ../d/e/f");
	world_expect(w, "P:d");
	assert_int_equal(w->tree->watches, 1);
	world_sh(w, "echo 3 > ../d/e/f");
	world_expect(w, "");
	world_free(w);
}

static void
test_remade_dir(void **state)
{
	struct world *w = world_with("mkdir d; touch d/1 d/2 d/3; mkdir e");

	world_sh(w, "rm -r d; mkdir d; echo > d/4");
	world_expect(w, "S:d");
	world_write(w, "d/4", "2");
	world_expect(w, "P:d/4");
	/* a directory renamed over an empty one makes no event for that */
	world_sh(w, "mv -T d e");
	world_expect(w, "P:d S:e");
	world_write(w, "e/4", "3");
	world_expect(w, "P:e/4");
	world_free(w);
}

static void
test_type_changes(void **state)
{
	struct world *w = world_with("echo > t; mkdir -p u/v; echo > u/v/f");

	world_sh(w, "rm t; mkdir t; echo > t/x; rm -r u; echo > u");
	world_expect(w, "S:t P:u");
	/* and all of it within one window */
	world_sh(w, "rm -r t; echo > t; rm t; mkdir t; echo > t/y");
	world_expect(w, "S:t");
	world_write(w, "t/y", "2");
	world_expect(w, "P:t/y");
	assert_int_equal(w->tree->watches, 2);
	world_free(w);
}

static void
test_delete_dir(void **state)
{
	struct world *w =
	    world_with("mkdir -p big/s; for i in $(seq 300); do "
		       "echo > big/$i; echo > big/s/$i; done; mkdir empty");

	world_sh(w, "rm -r big; rmdir empty");
	world_expect(w, "P:big P:empty");
	assert_int_equal(w->tree->entries, 1);
	world_sh(w, "mkdir empty");
	world_expect(w, "S:empty");
	world_free(w);
}

static void
test_hard_links(void **state)
{
	struct world *w =
	    world_with("mkdir d; echo 1 > d/a; ln d/a d/b; "
		       "echo 1 > c; echo 1 > ../out; ln ../out e");

	world_write(w, "d/a", "2");
	world_expect(w, "P:d/a P:d/b");
	/* a name that was single when it was seen */
	world_sh(w, "ln c g");
	world_expect(w, "P:g");
	world_write(w, "g", "2");
	world_expect(w, "P:c P:g");
	world_write(w, "c", "3");
	world_expect(w, "P:c P:g");
	del(w, "d/b");
	world_expect(w, "P:d/b");
	world_write(w, "d/a", "3");
	world_write(w, "e", "3");
	world_expect(w, "P:d/a P:e");
	world_free(w);
}

static void
test_links_not_followed(void **state)
{
	struct world *w = world_with("mkdir ../out d; echo > ../out/f; "
				     "ln -s ../out l; ln -s d m");

	world_sh(w, "echo 2 > l/f; echo > m/n");
	world_expect(w, "P:d/n");
	assert_int_equal(w->tree->watches, 2);
	world_free(w);
}

/* The barrier. */

static void
test_sync(void **state)
{
	struct world *w = world_with("echo 1 > a");
	struct watch_batch *b;
	uint64_t token, upto, n;

	/* a new tree, read only after the request */
	world_sh(w, "mkdir -p x/y; echo > x/y/f; echo 2 > a");
	token = watch_tree_sync(w->tree);
	assert_false(watch_tree_synced(w->tree, token, &upto));
	while (!watch_tree_synced(w->tree, token, &upto))
		watch_tree_step(w->tree);
	assert_int_equal(watch_entry_find(watch_entry_find(w->tree->root->node,
					      "x")
					      ->node,
			     "y") != NULL,
	    1);
	/* the held tree keeps its number back */
	b = watch_sub_next(w->sub);
	assert_non_null(b);
	assert_int_equal(b->n, 1);
	assert_true(b->upto < upto);
	world_settle(w);
	n = b->id;
	b = watch_sub_next(w->sub);
	assert_true(b->upto >= upto && b->id == n + 1);
	assert_int_equal(watch_sub_take(w->sub, b->id, b->id), 0);
	/* a change that comes to nothing is told as a number alone */
	world_write(w, "tmp", "");
	del(w, "tmp");
	token = watch_tree_sync(w->tree);
	assert_true(watch_tree_synced(w->tree, token, &upto));
	assert_null(watch_sub_next(w->sub));
	world_settle(w);
	b = watch_sub_next(w->sub);
	assert_non_null(b);
	assert_int_equal(b->n, 0);
	assert_int_equal(b->upto, upto);
	assert_null(watch_sub_next(w->sub));
	world_free(w);
}

/* The first scan is not complete: no answer before it is. */
static void
test_sync_first(void **state)
{
	struct world *w = world_new();
	static const struct watch_ops none;
	uint64_t token, upto;

	world_sh(w, "for i in $(seq 50); do mkdir -p d$i/e; done");
	w->tree = watch_tree_new(w->rootfd, w->in, &none, NULL);
	w->sub = watch_tree_subscribe(w->tree, 1, NULL);
	watch_tree_start(w->tree);
	token = watch_tree_sync(w->tree);
	for (int i = 0; i < 3; i++) {
		assert_false(watch_tree_synced(w->tree, token, &upto));
		watch_scan_step(w->tree, MONO_NEVER, 5);
	}
	world_settle(w);
	assert_true(watch_tree_synced(w->tree, token, &upto));
	assert_true(upto >= 1);
	assert_int_equal(w->tree->watches, 101);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_vim),
		cmocka_unit_test(test_jetbrains),
		cmocka_unit_test(test_rename_over),
		cmocka_unit_test(test_checkout),
		cmocka_unit_test(test_created_and_gone),
		cmocka_unit_test(test_gone_but_seen),
		cmocka_unit_test(test_new_file),
		cmocka_unit_test(test_mmap),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_never_closed),
		cmocka_unit_test(test_mkdir_deep),
		cmocka_unit_test(test_moved_in),
		cmocka_unit_test(test_rename_dir),
		cmocka_unit_test(test_made_and_renamed),
		cmocka_unit_test(test_moved_out),
		cmocka_unit_test(test_remade_dir),
		cmocka_unit_test(test_type_changes),
		cmocka_unit_test(test_delete_dir),
		cmocka_unit_test(test_hard_links),
		cmocka_unit_test(test_links_not_followed),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_sync_first),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
