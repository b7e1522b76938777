/*
 * Nothing is lost: a process changes a tree at random, as fast as it can; a
 * consumer that knows only what it is offered keeps a mirror of it.  Events
 * are lost, the consumer dies and begins anew; in the end the two are equal.
 */
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "buf.h"
#include "tests/unit/watch_world.h"

#define OPS 4000

/* A path of up to three components out of few names, so that they meet. */
static void
any_path(char *p, size_t size, unsigned *seed)
{
	int depth = rand_r(seed) % 3;
	size_t at = 0;

	for (int i = 0; i <= depth; i++)
		at += (size_t)snprintf(p + at, size - at, "%s%c",
		    i > 0 ? "/" : "", 'a' + rand_r(seed) % 5);
}

static int
remove_one(const char *path, const struct stat *sb, int flag, struct FTW *f)
{
	remove(path);
	return (0);
}

static void
remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
write_at(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | flags, 0644);

	if (fd == -1)
		return;
	if (write(fd, text, strlen(text)) == -1)
		abort();
	close(fd);
}

/* One change, which may fail: the tree is what it is. */
static void
change(unsigned *seed, unsigned n)
{
	char a[64], b[64], text[32];

	any_path(a, sizeof(a), seed);
	any_path(b, sizeof(b), seed);
	snprintf(text, sizeof(text), "%u\n", n);
	switch (rand_r(seed) % 12) {
	case 0:
	case 1:
	case 2:
		mkdir(a, 0755);
		break;
	case 3:
	case 4:
		write_at(a, text, O_TRUNC);
		break;
	case 5:
		write_at(a, text, O_APPEND);
		break;
	case 6:
	case 7:
		if (rename(a, b) == -1)
			write_at(a, text, O_TRUNC);
		break;
	case 8:
		remove_tree(a);
		break;
	case 9:
		if (link(a, b) == -1)
			unlink(a);
		break;
	case 10:
		chmod(a, rand_r(seed) % 2 ? 0755 : 0750);
		break;
	default:
		if (symlink(b, a) == -1)
			rmdir(a);
		break;
	}
}

static void
writer(const char *root, unsigned seed)
{
	if (chdir(root) == -1)
		_exit(1);
	for (unsigned i = 0; i < OPS; i++) {
		change(&seed, i);
		if (rand_r(&seed) % 40 == 0)
			usleep((useconds_t)(rand_r(&seed) % 40000));
	}
	_exit(0);
}

/* Do as push does with a path, or with all below it. */
static void
mirror(struct world *w, const struct watch_dirty *d)
{
	bool tree = watch_dirty_is_tree(d);
	char cmd[512], to[256];
	struct stat sb;

	snprintf(to, sizeof(to), "%s/mirror/%s", w->dir, d->path);
	if (fstatat(w->rootfd, d->path[0] != '\0' ? d->path : ".", &sb,
		AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(sb.st_mode) && !tree) {
		if (mkdir(to, 0755) == -1 && errno == EEXIST) {
			unlink(to);
			mkdir(to, 0755);
		}
		chmod(to, sb.st_mode & 07777);
		return;
	}
	remove_tree(to);
	/* what is changed meanwhile makes cp fail, and is offered again */
	snprintf(cmd, sizeof(cmd),
	    "exec 2>/dev/null; cd '%s' && mkdir -p "
	    "\"$(dirname 'mirror/%s')\" && cp -a%s 'root/%s' 'mirror/%s'",
	    w->dir, d->path, d->path[0] == '\0' ? "T" : "", d->path, d->path);
	if (system(cmd) == -1)
		fail();
}

static void
consume(struct world *w, unsigned *seed)
{
	struct watch_batch *b = watch_sub_next(w->sub);

	if (b == NULL)
		return;
	/* dies before or in the middle of its work, now and then */
	for (size_t i = 0; i < b->n; i++) {
		if (rand_r(seed) % 100 == 0) {
			assert_int_equal(watch_sub_take(w->sub, 0, 0), 0);
			return;
		}
		mirror(w, b->v[i]);
	}
	assert_int_equal(watch_sub_take(w->sub, b->id, b->id), 0);
}

static void
lose_events(struct world *w)
{
	struct inotify_event ev = { .wd = -1, .mask = IN_Q_OVERFLOW };
	char buf[4096];

	while (read(w->in->fd, buf, sizeof(buf)) > 0)
		;
	watch_inotify_feed(w->in, &ev, sizeof(ev));
}

static void
run_seed(unsigned seed, bool lose)
{
	struct world *w = world_new();
	unsigned n = 0, s = seed;
	char cmd[256];
	int status;
	pid_t pid;

	world_sh(w, "mkdir ../mirror");
	world_start(w, NULL);
	if ((pid = fork()) == 0)
		writer(w->root, seed);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		world_run(w, 3);
		consume(w, &s);
		if (lose && ++n % 10 == 0)
			lose_events(w);
	}
	assert_int_equal(status, 0);
	do {
		world_settle(w);
		consume(w, &s);
	} while (w->sub->ndirty > 0);
	snprintf(cmd, sizeof(cmd),
	    "cd '%s' && diff -r --no-dereference root "
	    "mirror && cd root && find . -printf '%%p %%y %%m\\n' | sort > "
	    "../1 && cd ../mirror && find . -printf '%%p %%y %%m\\n' | "
	    "sort > ../2 && diff ../1 ../2",
	    w->dir);
	if (system(cmd) != 0)
		fail_msg("seed %u: the mirror differs", seed);
	assert_int_equal(w->tree->watches, w->tree->nodes);
	world_free(w);
}

static void
test_mirror(void **state)
{
	for (unsigned seed = 1; seed <= 4; seed++)
		run_seed(seed, false);
}

static void
test_mirror_lossy(void **state)
{
	for (unsigned seed = 11; seed <= 13; seed++)
		run_seed(seed, true);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mirror),
		cmocka_unit_test(test_mirror_lossy),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
