/*
 * Locks of git repositories: above the watched root, in it and below it.
 */
#include <sys/inotify.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/watch_world.h"
#include "workers/watch/git.h"

static struct watch_git *git;
static struct watch_inotify *git_in;

static void
git_new(struct world *w)
{
	git_in = w->in;
	git = watch_git_new(w->in);
}

static void
git_end(struct world *w)
{
	watch_git_free(git);
	world_free(w);
}

static bool
held(void)
{
	mono_t next;

	watch_inotify_read(git_in, 1 << 20);
	return (watch_git_held(git, 7, &next));
}

/* Lock and unlock in that directory: seen, and for a short while after. */
static void
expect_locks(struct world *w, const char *dir)
{
	mono_t next;

	assert_false(held());
	world_sh(w, "echo > %s/index.lock", dir);
	assert_true(held());
	usleep(120000);
	assert_true(held());
	world_sh(w, "mv %s/index.lock %s/index", dir, dir);
	assert_true(held());
	assert_true(watch_git_held(git, 7, &next));
	assert_in_range(mono_diff_ms(next, mono_now()), 1, WATCH_GIT_REST_MS);
	usleep(WATCH_GIT_REST_MS * 1000 + 10000);
	assert_false(held());
	assert_false(watch_git_held(git, 7, &next));
	assert_int_equal(next.ns, MONO_NEVER.ns);
}

static void
test_gitdir(void **state)
{
	char *s;

	s = watch_git_dir("gitdir: ../.git/modules/x\n", 26);
	assert_string_equal(s, "../.git/modules/x");
	free(s);
	s = watch_git_dir("gitdir: /a b\r\n", 14);
	assert_string_equal(s, "/a b");
	free(s);
	assert_null(watch_git_dir("gitdir: ", 8));
	assert_null(watch_git_dir("gitdir: \n", 9));
	assert_null(watch_git_dir("gitdir:/x", 9));
	assert_null(watch_git_dir("gitdir: a\0b", 11));
	assert_null(watch_git_dir("", 0));
}

static void
test_above(void **state)
{
	struct world *w = world_new();
	char path[128];

	git_new(w);
	world_sh(w, "mkdir -p .git a/b/c");
	snprintf(path, sizeof(path), "%s/a/b/c", w->root);
	assert_true(watch_git_above(git, 7, path));
	expect_locks(w, ".git");
	git_end(w);
}

/* The nearest one counts, and a .git file is followed, out of the root too. */
static void
test_above_file(void **state)
{
	struct world *w = world_new();
	char path[128];

	git_new(w);
	world_sh(w,
	    "mkdir -p .git ../real/worktrees/x a/b;"
	    "echo 'gitdir: ../../real/worktrees/x' > a/.git");
	snprintf(path, sizeof(path), "%s/a/b", w->root);
	assert_true(watch_git_above(git, 7, path));
	world_sh(w, "echo > .git/index.lock");
	assert_false(held());
	expect_locks(w, "../real/worktrees/x");
	git_end(w);
}

static void
test_above_none(void **state)
{
	struct world *w = world_new();

	git_new(w);
	assert_false(watch_git_above(git, 7, w->root));
	world_sh(w, "echo 'gitdir: nowhere' > .git");
	assert_false(watch_git_above(git, 7, w->root));
	world_sh(w, "rm .git; mkfifo .git");
	assert_false(watch_git_above(git, 7, w->root));
	assert_false(watch_git_above(git, 7, "relative"));
	if (geteuid() == 0) {
		/* somebody else's */
		world_sh(w, "rm .git; mkdir .git; chown 1:1 .; chown 2:2 .git");
		assert_false(watch_git_above(git, 7, w->root));
		world_sh(w, "chown 1:1 .git");
		assert_true(watch_git_above(git, 7, w->root));
	}
	git_end(w);
}

static void
test_below(void **state)
{
	struct world *w = world_new();

	git_new(w);
	world_sh(w,
	    "mkdir -p .git/modules/sub sub/deep ../out;"
	    "echo 'gitdir: ../.git/modules/sub' > sub/.git;"
	    "echo 'gitdir: ../../../out' > sub/deep/.git");
	watch_git_below(git, 7, w->rootfd, ".git");
	watch_git_below(git, 7, w->rootfd, "sub/.git");
	watch_git_below(git, 7, w->rootfd, "sub/deep/.git");
	watch_git_below(git, 7, w->rootfd, "none/.git");
	expect_locks(w, ".git");
	expect_locks(w, ".git/modules/sub");
	/* not to be followed out of the root */
	world_sh(w, "echo > ../out/index.lock");
	assert_false(held());
	/* another one in its place */
	world_sh(w, "rm -r .git; mkdir .git");
	watch_git_below(git, 7, w->rootfd, ".git");
	watch_git_below(git, 7, w->rootfd, ".git");
	expect_locks(w, ".git");
	/* it goes while it is locked */
	world_sh(w, "echo > .git/index.lock");
	assert_true(held());
	world_sh(w, "rm -r .git");
	usleep(WATCH_GIT_REST_MS * 1000 + 10000);
	assert_false(held());
	git_end(w);
}

/* What a git that was killed has left does not hold for ever. */
static void
test_stale(void **state)
{
	struct world *w = world_new();
	mono_t t, next;

	git_new(w);
	world_sh(w, "mkdir .git; echo > .git/index.lock");
	watch_git_below(git, 7, w->rootfd, ".git");
	assert_true(watch_git_held(git, 7, &next));
	t = mono_add_ms(next, -1);
	mono_fake(&t);
	assert_true(held());
	mono_fake(&next);
	assert_false(held());
	mono_fake(NULL);
	git_end(w);
}

/* A link is no repository, wherever it leads. */
static void
test_below_link(void **state)
{
	struct world *w = world_new();

	git_new(w);
	world_sh(w,
	    "mkdir -p ../out; ln -s ../out .git; mkdir d;"
	    "ln -s ../../out d/o; echo 'gitdir: o' > d/.git");
	watch_git_below(git, 7, w->rootfd, ".git");
	watch_git_below(git, 7, w->rootfd, "d/.git");
	world_sh(w, "echo > ../out/index.lock");
	assert_false(held());
	git_end(w);
}

/* The scan finds them, whatever the rules leave out, and events later ones. */
static unsigned found;

static void
on_found(void *arg, const char *path)
{
	found++;
	watch_git_below(git, 7, ((struct world *)arg)->rootfd, path);
}

static void
test_found(void **state)
{
	static const struct watch_ops ops = { .git = on_found };
	struct world *w = world_new();

	git_new(w);
	world_sh(w,
	    "mkdir -p a/.git b; echo .git > .dockerignore;"
	    "echo '**/.git' >> .dockerignore");
	w->tree = watch_tree_new(w->rootfd, w->in, &ops, w);
	w->sub = watch_tree_subscribe(w->tree, 1, NULL);
	watch_tree_start(w->tree);
	world_settle(w);
	assert_int_equal(found, 1);
	world_sh(w, "mkdir .git");
	world_settle(w);
	assert_int_equal(found, 2);
	expect_locks(w, "a/.git");
	expect_locks(w, ".git");
	git_end(w);
}

/* The tree watches the same directory: neither takes it from the other. */
static void
test_shared(void **state)
{
	struct world *w = world_new();

	git_new(w);
	world_sh(w, "mkdir .git");
	world_start(w, NULL);
	watch_git_below(git, 7, w->rootfd, ".git");
	assert_int_equal(w->in->watches, 2);
	world_sh(w, "echo > .git/f");
	world_expect(w, "P:.git/f");
	expect_locks(w, ".git");
	world_settle(w);
	world_offered(w, w->sub);
	/* what the tree lets go of stays git's */
	world_sh(w, "echo .git > .dockerignore");
	world_settle(w);
	world_offered(w, w->sub);
	assert_int_equal(w->in->watches, 1);
	expect_locks(w, ".git");
	/* and the other way round */
	world_sh(w, "rm .dockerignore");
	world_settle(w);
	world_offered(w, w->sub);
	assert_int_equal(w->in->watches, 2);
	watch_git_free(git);
	git = watch_git_new(w->in);
	world_sh(w, "echo > .git/g");
	world_expect(w, "P:.git/g");
	git_end(w);
}

/* The same repository, found anew, is watched as before. */
static void
test_found_again(void **state)
{
	struct world *w = world_new();

	git_new(w);
	world_sh(w, "mkdir -p r; echo 'gitdir: r' > .git");
	watch_git_below(git, 7, w->rootfd, ".git");
	watch_git_below(git, 7, w->rootfd, ".git");
	expect_locks(w, "r");
	/* under another name of the same directory */
	world_sh(w, "mkdir d; mv r d/r; echo 'gitdir: d/r' > .git");
	watch_git_below(git, 7, w->rootfd, ".git");
	expect_locks(w, "d/r");
	git_end(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gitdir),
		cmocka_unit_test(test_above),
		cmocka_unit_test(test_above_file),
		cmocka_unit_test(test_above_none),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_below_link),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_found_again),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
