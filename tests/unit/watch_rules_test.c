/*
 * The watch worker and what services want of one tree: ignore rules that
 * change, services that come and go.
 */
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/watch_world.h"

static void
test_join(void **state)
{
	struct world *w = world_with("echo vendor > .dockerignore; echo 1 > a;"
				     "mkdir vendor src; echo 1 > vendor/v");
	struct watch_sub *s;
	uint64_t changes;

	world_write(w, "a", "2");
	watch_inotify_read(w->in, 1 << 20);
	world_settle(w);
	changes = w->tree->changes;
	s = watch_tree_join(w->tree, 2, "Dockerfile");
	assert_ptr_equal(watch_tree_sub(w->tree, 2), s);
	world_settle(w);
	assert_string_equal(world_offered(w, s), "S:");
	/* the first keeps what it had, and is told nothing more */
	assert_string_equal(world_offered(w, w->sub), "P:a");
	assert_int_equal(w->tree->changes, changes);
	assert_int_equal(watch_sub_upto(s), w->tree->changes);
	assert_int_equal(w->scans, 1);
	world_write(w, "a", "3");
	world_settle(w);
	assert_string_equal(world_offered(w, s), "P:a");
	assert_string_equal(world_offered(w, w->sub), "P:a");
	watch_tree_leave(w->tree, s);
	assert_null(watch_tree_sub(w->tree, 2));
	world_write(w, "a", "4");
	world_expect(w, "P:a");
	world_free(w);
}

/* What the first leaves out was not watched until the second came. */
static void
test_join_with_other_rules(void **state)
{
	struct world *w =
	    world_with("echo vendor > Dockerfile.dockerignore; mkdir vendor;"
		       "mkdir vendor/deep; echo 1 > vendor/deep/v");
	struct watch_sub *s;

	world_write(w, "vendor/deep/v", "22");
	world_expect(w, "");
	s = watch_tree_join(w->tree, 2, "other/Dockerfile");
	world_settle(w);
	assert_string_equal(world_offered(w, s), "S:");
	world_write(w, "vendor/deep/v", "333");
	world_settle(w);
	assert_string_equal(world_offered(w, s), "P:vendor/deep/v");
	assert_string_equal(world_offered(w, w->sub), "");
	/* the elder one goes */
	watch_tree_leave(w->tree, w->sub);
	world_write(w, "vendor/deep/v", "4444");
	world_settle(w);
	assert_string_equal(world_offered(w, s), "P:vendor/deep/v");
	world_free(w);
}

/* In the middle of the first scan. */
static void
test_join_while_it_is_scanned(void **state)
{
	struct world *w = world_new();
	struct watch_sub *s;

	world_sh(w,
	    "echo vendor > Dockerfile.dockerignore; mkdir vendor;"
	    "echo 1 > vendor/v");
	usleep(15000);
	world_begin(w, "Dockerfile");
	s = watch_tree_join(w->tree, 2, "other/Dockerfile");
	world_settle(w);
	assert_true(w->tree->scanned);
	assert_int_equal(w->scans, 1);
	assert_string_equal(world_offered(w, w->sub), "S:");
	assert_string_equal(world_offered(w, s), "S:");
	world_write(w, "vendor/v", "22");
	world_settle(w);
	assert_string_equal(world_offered(w, s), "P:vendor/v");
	world_free(w);
}

static void
test_ignored(void **state)
{
	struct world *w = world_with(
	    "mkdir -p node_modules/a/b .git/objects src "
	    "vendor/keep vendor/x; echo node_modules > .dockerignore; "
	    "printf '.git\\n*.log\\nvendor\\n!vendor/keep\\nDockerfile\\n"
	    ".dockerignore\\n' >> .dockerignore; echo FROM x > Dockerfile; "
	    "echo > src/a");

	/* the root, src, vendor and vendor/keep */
	assert_int_equal(w->tree->watches, 4);
	world_sh(w,
	    "echo > node_modules/a/b/f; echo > .git/objects/o; "
	    "echo > x.log; mkdir node_modules/n; echo > vendor/x/f; "
	    "mkdir -p src/node_modules");
	world_expect(w, "S:src/node_modules");
	world_sh(w, "echo > vendor/keep/f; echo FROM y > Dockerfile");
	world_expect(w, "P:Dockerfile P:vendor/keep/f");
	world_free(w);
}

static void
test_rules_change(void **state)
{
	struct world *w =
	    world_with("mkdir -p out/deep src; echo > out/deep/f; "
		       "echo out > .dockerignore");

	assert_int_equal(w->tree->watches, 2);
	world_sh(w, "echo src > .dockerignore");
	world_expect(w, "S:");
	assert_int_equal(w->tree->watches, 3);
	world_sh(w, "echo > src/n; echo 2 > out/deep/f");
	world_expect(w, "P:out/deep/f");
	/* the same text again is only a change of the file */
	world_sh(w, "echo src > .dockerignore");
	world_expect(w, "P:.dockerignore");
	/* the Dockerfile's own file goes before */
	world_sh(w, "echo out > Dockerfile.dockerignore");
	world_settle(w);
	world_offered(w, w->sub);
	assert_int_equal(w->tree->watches, 2);
	world_sh(w, "rm Dockerfile.dockerignore .dockerignore");
	world_settle(w);
	world_offered(w, w->sub);
	assert_int_equal(w->tree->watches, 4);
	world_free(w);
}

/* A directory that moves may be wanted in one place and not in the other. */
static void
test_rules_and_moves(void **state)
{
	struct world *w =
	    world_with("mkdir -p a/x b; echo > a/x/f; echo > a/x/g; "
		       "printf 'b/x\\n**/c/f\\n' > .dockerignore");

	world_sh(w, "mv a/x a/c");
	world_expect(w, "S:a/c P:a/x");
	world_sh(w, "echo 2 > a/c/f; echo 2 > a/c/g");
	world_expect(w, "P:a/c/g");
	world_sh(w, "mv a/c b/x");
	world_expect(w, "P:a/c");
	assert_int_equal(w->tree->watches, 3);
	world_sh(w, "echo 3 > b/x/g");
	world_expect(w, "");
	world_sh(w, "mv b/x a/x");
	world_expect(w, "S:a/x");
	world_sh(w, "echo 3 > a/x/f");
	world_expect(w, "P:a/x/f");
	world_free(w);
}

/* Two services with rules of their own on one tree. */
static void
test_two_services(void **state)
{
	struct world *w =
	    world_with("mkdir web api; echo > web/f; echo > api/f; "
		       "echo web > api.Dockerfile.dockerignore; "
		       "echo api > .dockerignore; echo > api.Dockerfile");
	struct watch_sub *api;

	assert_int_equal(w->tree->watches, 2);
	world_free(w);
	w = world_new();
	world_sh(w,
	    "mkdir web api tmp; echo > web/f; echo > api/f; "
	    "printf 'web\\ntmp\\n' > api.Dockerfile.dockerignore; "
	    "printf 'api\\ntmp\\n' > .dockerignore; echo > api.Dockerfile");
	w->tree = NULL;
	usleep(15000);
	world_start(w, "Dockerfile");
	api = watch_tree_subscribe(w->tree, 2, "./api.Dockerfile");
	assert_true(
	    watch_rules_is_file(w->tree, "api.Dockerfile.dockerignore"));
	/* a subscription that comes later begins with everything */
	w->tree->scanned = false;
	w->scans = 0;
	watch_tree_start(w->tree);
	world_settle(w);
	assert_string_equal(world_offered(w, api), "S:");
	assert_string_equal(world_offered(w, w->sub), "S:");
	assert_int_equal(w->tree->watches, 3);
	world_sh(w, "echo 2 > web/f; echo 2 > api/f; echo > tmp/f; echo > n");
	world_settle(w);
	assert_string_equal(world_offered(w, api), "P:api/f P:n");
	assert_string_equal(world_offered(w, w->sub), "P:n P:web/f");
	world_free(w);
}

static void
test_bad_rules(void **state)
{
	struct world *w = world_with("mkdir d; echo '[' > .dockerignore");

	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(w->warning, ".dockerignore: line 1"));
	assert_int_equal(w->tree->watches, 2);
	world_sh(w, "echo d > .dockerignore");
	world_expect(w, "S:");
	assert_int_equal(w->tree->watches, 1);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_join_with_other_rules),
		cmocka_unit_test(test_join_while_it_is_scanned),
		cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_rules_change),
		cmocka_unit_test(test_rules_and_moves),
		cmocka_unit_test(test_two_services),
		cmocka_unit_test(test_bad_rules),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
