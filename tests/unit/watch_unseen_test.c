/*
 * The watch worker where it cannot see: a root that goes, lost events, what
 * may not be read, what has no watch.
 */
#include <sys/inotify.h>
#include <sys/stat.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/watch_world.h"

static void
test_root_deleted(void **state)
{
	struct world *w = world_with("mkdir d; echo > d/f; echo > g");
	uint64_t token, upto;

	world_sh(w, "rm -rf ../root");
	world_settle(w);
	world_run(w, 100);
	assert_int_equal(w->gone, 1);
	assert_true(w->tree->gone);
	assert_int_equal(w->sub->ndirty, 0);
	assert_int_equal(w->tree->watches, 0);
	assert_null(watch_sub_next(w->sub));
	token = watch_tree_sync(w->tree);
	assert_true(watch_tree_synced(w->tree, token, &upto));
	/* another directory in its place is another generation's */
	assert_int_equal(mkdir(w->root, 0755), 0);
	world_sh(w, "echo > h");
	world_run(w, 50);
	assert_null(watch_sub_next(w->sub));
	assert_int_equal(w->gone, 1);
	world_free(w);
}

static void
test_root_moved(void **state)
{
	struct world *w = world_with("echo > g");

	world_sh(w, "mv ../root ../other; echo 2 > ../other/g");
	world_run(w, 50);
	assert_int_equal(w->gone, 1);
	assert_null(watch_sub_next(w->sub));
	world_free(w);
}

static void
lose_events(struct world *w)
{
	char buf[65536];

	while (read(w->in->fd, buf, sizeof(buf)) > 0)
		;
}

static void
feed_overflow(struct world *w)
{
	struct inotify_event ev = { .wd = -1, .mask = IN_Q_OVERFLOW };

	lose_events(w);
	watch_inotify_feed(w->in, &ev, sizeof(ev));
	assert_true(watch_scan_busy(w->tree));
}

static void
test_overflow(void **state)
{
	struct world *w = world_with(
	    "mkdir -p d/e k; for i in $(seq 100); do "
	    "echo $i > d/e/$i; done; echo > gone; echo > k/f; echo > same; "
	    "mkdir away; echo > away/f");

	world_sh(w,
	    "echo x > d/e/50; chmod 600 d/e/51; rm gone d/e/99; "
	    "echo > new; mkdir -p n/m k2; echo > n/m/f; rm -r k; mv k2 k; "
	    "mv away there");
	feed_overflow(w);
	assert_int_equal(w->overflows, 1);
	world_expect(w,
	    "P:away P:d/e/50 P:d/e/51 P:d/e/99 P:gone S:k S:n "
	    "P:new S:there");
	/* every directory is watched where it is now */
	world_write(w, "there/f", "2");
	world_write(w, "n/m/f", "2");
	world_write(w, "k/g", "2");
	world_expect(w, "P:k/g P:n/m/f P:there/f");
	assert_int_equal(w->tree->watches, 7);
	/* nothing has happened: nothing is said */
	usleep(15000);
	world_write(w, "same", "2");
	world_expect(w, "P:same");
	usleep(15000);
	feed_overflow(w);
	world_offered(w, w->sub);
	world_free(w);
}

/*
 * A second change within the same tick of the clock leaves no trace in size
 * and times: what was seen so young counts as changed.
 */
static void
test_overflow_racy(void **state)
{
	struct world *w = world_with("echo 1 > old; echo 1 > young");
	struct watch_entry *e;

	world_write(w, "young", "2");
	world_expect(w, "P:young");
	e = watch_entry_find(w->tree->root->node, "young");
	assert_true(e->snap.racy);
	feed_overflow(w);
	world_expect(w, "P:young");
	usleep(15000);
	feed_overflow(w);
	world_settle(w);
	world_offered(w, w->sub);
	feed_overflow(w);
	world_expect(w, "");
	world_free(w);
}

/* The kernel's own overflow: more files than its queue has room for. */
static void
test_overflow_real(void **state)
{
	struct world *w = world_with("mkdir d");

	world_sh(w, "cd d; seq 20000 | xargs touch");
	world_settle(w);
	assert_int_equal(w->overflows, 1);
	assert_int_equal(w->tree->entries, 20002);
	assert_int_equal(w->sub->ndirty, 20000);
	world_offered(w, w->sub);
	world_write(w, "d/777", "x");
	world_expect(w, "P:d/777");
	world_free(w);
}

static void
test_unreadable(void **state)
{
	struct world *w = world_new();

	if (geteuid() != 0) {
		world_free(w);
		skip();
	}
	world_sh(w,
	    "mkdir -p a b/c; echo > b/c/f; chmod 0 b; "
	    "chmod 755 .. .; chown -R 65534 .; chown 0 b");
	assert_int_equal(seteuid(65534), 0);
	world_start(w, NULL);
	assert_int_equal(w->warnings, 1);
	assert_int_equal(w->tree->nunreadable, 1);
	assert_int_equal(strncmp(w->warning, "b: ", 3), 0);
	/* opened up: seen by its own change of mode */
	assert_int_equal(seteuid(0), 0);
	world_sh(w, "chmod 755 b");
	assert_int_equal(seteuid(65534), 0);
	world_expect(w, "S:b");
	assert_int_equal(w->tree->nunreadable, 0);
	assert_int_equal(seteuid(0), 0);
	world_sh(w, "echo 2 > b/c/f");
	world_expect(w, "P:b/c/f");
	assert_int_equal(w->warnings, 1);
	world_free(w);
}

/* No watches at all: everything is compared, and a sync waits for that. */
static void
test_polled(void **state)
{
	struct world *w = world_new();
	uint64_t token, upto, before;

	watch_inotify_close(w->in);
	w->no_inotify = true;
	world_sh(w, "mkdir -p d/e; echo > d/e/f; echo > g");
	world_start(w, NULL);
	assert_int_equal(w->tree->npolled, 3);
	usleep(15000);
	world_sh(w, "echo 2 > d/e/f; mkdir n; echo > n/h; rm g");
	before = w->tree->changes;
	token = watch_tree_sync(w->tree);
	assert_false(watch_tree_synced(w->tree, token, &upto));
	while (!watch_tree_synced(w->tree, token, &upto))
		world_run(w, 5);
	assert_true(upto > before);
	world_expect(w, "P:d/e/f P:g S:n");
	assert_int_equal(w->tree->npolled, 4);
	/* and without being asked */
	world_sh(w, "echo 3 > n/h");
	world_run(w, 1300);
	assert_non_null(strstr(world_offered(w, w->sub), "P:n/h"));
	world_free(w);
}

/* The limit of watches is reached: what has none is compared, only that. */
static void
test_watch_limit(void **state)
{
	struct world *w = world_new();
	char sub[64];

	world_sh(w, "for i in 1 2 3 4 5 6; do mkdir d$i; echo > d$i/f; done");
	world_start(w, NULL);
	/* as if the kernel had refused: the flag is what its ENOSPC sets */
	w->tree->no_watches = true;
	world_sh(w, "mkdir -p late/x; echo > late/x/f");
	world_expect(w, "S:late");
	assert_int_equal(w->tree->npolled, 2);
	assert_int_equal(w->tree->watches, 7);
	snprintf(sub, sizeof(sub), "late/x/f");
	usleep(20000);
	world_write(w, sub, "22");
	world_write(w, "d3/f", "2");
	world_run(w, 1500);
	assert_string_equal(world_offered(w, w->sub), "P:d3/f P:late/x/f");
	/* watches are to be had again, and are taken */
	assert_int_equal(w->tree->npolled, 0);
	assert_int_equal(w->tree->watches, 9);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_deleted),
		cmocka_unit_test(test_root_moved),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_overflow_racy),
		cmocka_unit_test(test_overflow_real),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_polled),
		cmocka_unit_test(test_watch_limit),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
