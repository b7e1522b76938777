/*
 * The manifest: lookup and order, the journal under kills at every
 * instruction, cuts and lack of room.
 */
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "clock.h"
#include "tests/unit/manifest_sample.h"

#define REGION MANIFEST_SIZE_MIN
#define HEAD   32 /* bytes of a slot's header; see manifest_journal.c */

static uint64_t region[4 * REGION / 8];

static struct manifest *
fresh(size_t size)
{
	memset(region, 0, sizeof(region));
	return (sample_attached(region, size));
}

/* Everything a manifest says, as text; the caller frees. */
static char *
dump(const struct manifest *m)
{
	const struct manifest_entry *e;
	const struct manifest_meta *meta = manifest_meta(m);
	const char *path = NULL;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	fprintf(f, "%s %s %d %u %s\n", meta->container, meta->image,
	    meta->run_pending_from, meta->epoch,
	    manifest_str(m, "k") != NULL ? manifest_str(m, "k") : "-");
	while ((e = manifest_next(m, "", path, &path)) != NULL)
		fprintf(f, "%s %d %d %lld %02x\n", path, e->type, e->state,
		    (long long)e->size, e->sha256[31]);
	fclose(f);
	return (text);
}

static void
assert_same(const struct manifest *a, const struct manifest *b)
{
	char *x = dump(a), *y = dump(b);

	assert_string_equal(x, y);
	free(x);
	free(y);
}

static int
collect(void *arg, const char *path, const struct manifest_entry *e)
{
	char *text = arg;

	(void)e;
	strlcat(text, path, 256);
	strlcat(text, " ", 256);
	return (strcmp(path, "stop") == 0 ? 7 : 0);
}

static void
memory(void **state)
{
	struct manifest *m = manifest_new(), *c = manifest_new();
	struct manifest_entry e = sample_entry(1, MANIFEST_KNOWN);
	char text[256] = "";
	const char *path = NULL;
	int n = 0;

	(void)state;
	sample_set(m, "a/b", 1);
	sample_set(m, "a-b", 2);
	sample_set(m, "a", 3);
	sample_set(m, "stop", 4);
	sample_set(m, "a/b/c", 5);
	sample_set(m, "ab", 6);
	assert_int_equal(manifest_count(m), 6);
	assert_int_equal(manifest_get(m, "a-b")->size, 2);
	sample_set(m, "a-b", 9);
	assert_int_equal(manifest_get(m, "a-b")->size, 9);
	assert_null(manifest_get(m, "none"));
	assert_int_equal(manifest_iter_below(m, "", collect, text), 7);
	assert_string_equal(text, "a a/b a/b/c a-b ab stop ");
	text[0] = '\0';
	assert_int_equal(manifest_iter_below(m, "a", collect, text), 0);
	assert_string_equal(text, "a a/b a/b/c ");
	assert_null(manifest_next(m, "none", NULL, &path));
	assert_int_equal(manifest_copy(c, m), 0);
	assert_same(c, m);
	/* all below a, taken out while passing over it */
	while (manifest_next(m, "a", path, &path) != NULL) {
		assert_int_equal(manifest_remove(m, path), 0);
		path = NULL;
		n++;
	}
	assert_int_equal(n, 3);
	assert_int_equal(manifest_count(m), 3);
	assert_int_equal(manifest_remove(m, "none"), 0);
	assert_int_equal(manifest_set(m, "../x", &e), -1);
	assert_int_equal(manifest_set(m, "", &e), -1);
	e.type = TREE_FIFO;
	assert_int_equal(manifest_set(m, "x", &e), -1);
	assert_int_equal(errno, EINVAL);
	manifest_free(m);
	manifest_free(c);
}

static void
meta_and_strings(void **state)
{
	struct manifest *m = fresh(REGION), *n;
	struct manifest_meta meta = sample_meta();

	(void)state;
	assert_int_equal(manifest_meta(m)->run_pending_from, -1);
	assert_int_equal(manifest_set_meta(m, &meta), 0);
	assert_int_equal(manifest_set_str(m, "k", "value"), 0);
	assert_int_equal(manifest_set_str(m, "empty", ""), 0);
	assert_int_equal(manifest_set_str(m, "gone", "x"), 0);
	assert_int_equal(manifest_set_str(m, "gone", NULL), 0);
	assert_int_equal(manifest_set_str(m, "Bad Key", "x"), -1);
	n = sample_attached(region, REGION);
	assert_same(m, n);
	assert_int_equal(memcmp(manifest_meta(n), &meta, sizeof(meta)), 0);
	assert_string_equal(manifest_str(n, "k"), "value");
	assert_string_equal(manifest_str(n, "empty"), "");
	assert_null(manifest_str(n, "gone"));
	meta.container[3] = 'X';
	assert_int_equal(manifest_set_meta(m, &meta), -1);
	meta = sample_meta();
	meta.container[10] = '\0';
	assert_int_equal(manifest_set_meta(m, &meta), -1);
	manifest_free(m);
	manifest_free(n);
}

/* A long random life in a small region equals the same life in memory. */
static void
long_life(void **state)
{
	struct manifest *m = fresh(REGION), *n;
	struct manifest_entry e;
	char path[32];
	int i;

	(void)state;
	srandom(1);
	for (i = 0; i < 20000; i++) {
		snprintf(path, sizeof(path), "d%ld/f%ld", random() % 10,
		    random() % 10);
		e = sample_entry(random() % 1000,
		    random() % 2 ? MANIFEST_KNOWN : MANIFEST_UNKNOWN);
		if (random() % 3 == 0)
			assert_int_equal(manifest_remove(m, path), 0);
		else
			assert_int_equal(manifest_set(m, path, &e), 0);
		if (i % 97 == 0) {
			n = sample_attached(region, REGION);
			assert_false(manifest_lossy(n));
			assert_same(m, n);
			manifest_free(n);
		}
	}
	manifest_free(m);
}

static void
no_room(void **state)
{
	struct manifest *m = fresh(REGION), *n;
	struct manifest_entry e = sample_entry(5, MANIFEST_KNOWN);
	char path[32];
	int i, rc = 0;

	(void)state;
	for (i = 0; i < 1000 && rc == 0; i++) {
		snprintf(path, sizeof(path), "file%d", i);
		rc = manifest_set(m, path, &e);
	}
	assert_int_equal(rc, -1);
	assert_int_equal(errno, ENOSPC);
	assert_true(i > 200);
	assert_true(manifest_lossy(m));
	assert_non_null(manifest_get(m, path)); /* memory has it */
	n = sample_attached(region, REGION);
	assert_true(manifest_lossy(n));
	assert_true(manifest_count(n) > 200);
	assert_int_equal(manifest_get(n, "file0")->state, MANIFEST_UNKNOWN);
	/* the loss is remembered until the owner has compared in full */
	manifest_free(n);
	n = sample_attached(region, REGION);
	assert_true(manifest_lossy(n));
	assert_int_equal(manifest_renew(n), -1);
	for (i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "file%d", i);
		(void)manifest_remove(n, path);
	}
	assert_int_equal(manifest_renew(n), 0);
	assert_false(manifest_lossy(n));
	manifest_free(m);
	m = sample_attached(region, REGION);
	assert_false(manifest_lossy(m));
	assert_same(m, n);
	manifest_free(n);
	manifest_free(m);
}

/* A record that is not yet published does not count, however much of it is
 * there; one that is published but not whole is damage, not an entry. */
static void
cuts(void **state)
{
	static uint64_t before[REGION / 8], after[REGION / 8];
	struct manifest *m = fresh(REGION), *old = manifest_new(), *n;
	struct manifest_entry e = sample_entry(8, MANIFEST_UNKNOWN);
	uint8_t *r = (uint8_t *)region;
	size_t cut, first, end;

	(void)state;
	sample_set(m, "a", 7);
	assert_int_equal(manifest_copy(old, m), 0);
	memcpy(before, region, REGION);
	first = HEAD + (size_t)before[2]; /* length is the third word */
	assert_int_equal(manifest_set(m, "some/path", &e), 0);
	memcpy(after, region, REGION);
	end = HEAD + (size_t)after[2];
	assert_true(end > first + 80);
	for (cut = first; cut <= end; cut++) {
		memcpy(region, before, REGION);
		memcpy(r + first, (uint8_t *)after + first, cut - first);
		n = sample_attached(region, REGION);
		assert_false(manifest_lossy(n));
		assert_same(n, old);
		manifest_free(n);
		memcpy(region, before, REGION);
		memcpy(r + first, (uint8_t *)after + first, cut - first);
		region[2] = after[2];
		n = sample_attached(region, REGION);
		if (manifest_lossy(n)) {
			assert_null(manifest_get(n, "some/path"));
			assert_int_equal(manifest_get(n, "a")->state,
			    MANIFEST_UNKNOWN);
		} else
			assert_same(n, m);
		manifest_free(n);
	}
	manifest_free(old);
	manifest_free(m);
}

#define LIVES 3 /* what the traced child does: append, remove, compact */

static void
traced_life(struct manifest *m, int step)
{
	struct manifest_entry e = sample_entry(1234, MANIFEST_UNKNOWN);

	if (step == 0)
		manifest_set(m, "x/new", &e);
	else if (step == 1)
		manifest_remove(m, "x/1");
	else
		manifest_renew(m);
}

/* Loads a copy of the shared region as a successor would after a kill. */
static void
look(const void *shared, char **states, int now, int *next)
{
	struct manifest *m;
	char *text;

	memcpy(region, shared, REGION);
	m = sample_attached(region, REGION);
	assert_false(manifest_lossy(m));
	text = dump(m);
	if (strcmp(text, states[now]) != 0) {
		assert_string_equal(text, states[now + 1]);
		*next = 1;
	}
	free(text);
	manifest_free(m);
}

/* The child is stepped one instruction at a time; whenever that has changed
 * the region it must be what a successor can go on from. */
static void
killed_anywhere(void **state)
{
	void *shared = mmap(NULL, REGION, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static uint8_t last[REGION];
	struct manifest *m;
	char *states[LIVES + 1], name[16];
	long steps = 0, seen = 0;
	int i, status, now = 0, next;
	pid_t pid;

	(void)state;
	assert_ptr_not_equal(shared, MAP_FAILED);
	m = sample_attached(shared, REGION);
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "x/%d", i);
		sample_set(m, name, i);
	}
	if ((pid = fork()) == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		for (i = 0; i < LIVES; i++)
			traced_life(m, i);
		_exit(0);
	}
	assert_int_equal(manifest_attach(m, NULL, 0), 0);
	states[0] = dump(m);
	for (i = 0; i < LIVES; i++) {
		traced_life(m, i);
		states[i + 1] = dump(m);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status)) /* ptrace is not allowed here */
		skip();
	while (WIFSTOPPED(status)) {
		steps++;
		if (memcmp(last, shared, REGION) != 0) {
			memcpy(last, shared, REGION);
			next = 0;
			look(shared, states, now, &next);
			now += next;
			seen++;
		}
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	assert_true(WIFEXITED(status));
	next = 0;
	look(shared, states, now, &next);
	assert_int_equal(now + next, LIVES - 1); /* renew changes no fact */
	assert_true(seen > 20);
	print_message("%ld instructions, %ld states\n", steps, seen);
	for (i = 0; i <= LIVES; i++)
		free(states[i]);
	manifest_free(m);
	munmap(shared, REGION);
}

/* A sealed memfd, a writer that is killed, a successor. */
static void
memfd_and_kill(void **state)
{
	int fd = memfd_create("manifest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct manifest *m;
	struct manifest_entry e = sample_entry(1, MANIFEST_KNOWN);
	void *map;
	char path[16];
	int i, status;
	pid_t pid;

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_int_equal(ftruncate(fd, REGION), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS,
			     F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL),
	    0);
	map = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	if ((pid = fork()) == 0) {
		m = sample_attached(map, REGION);
		for (i = 0; i < 50; i++) {
			snprintf(path, sizeof(path), "f%d", i);
			manifest_set(m, path, &e);
		}
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	m = sample_attached(map, REGION);
	assert_int_equal(manifest_count(m), 50);
	assert_false(manifest_lossy(m));
	manifest_free(m);
	munmap(map, REGION);
	close(fd);
}

static void
damaged_heads(void **state)
{
	struct manifest *m;

	(void)state;
	memset(region, 0x5a, sizeof(region));
	m = sample_attached(region, REGION);
	assert_true(manifest_lossy(m));
	assert_int_equal(manifest_count(m), 0);
	sample_set(m, "a", 1);
	assert_int_equal(manifest_renew(m), 0);
	manifest_free(m);
	m = sample_attached(region, REGION);
	assert_false(manifest_lossy(m));
	assert_int_equal(manifest_count(m), 1);
	assert_int_equal(manifest_clear(m), 0);
	manifest_free(m);
	m = sample_attached(region, REGION);
	assert_int_equal(manifest_count(m), 0);
	assert_int_equal(manifest_attach(m, region, 100), -1);
	assert_int_equal(manifest_attach(m, (uint8_t *)region + 1, REGION), -1);
	assert_int_equal(manifest_load(m), -1);
	manifest_free(m);
}

static void
copies(void **state)
{
	struct manifest *a = manifest_new(), *b = fresh(REGION), *c;
	struct manifest_meta meta = sample_meta();

	(void)state;
	sample_set(a, "x", 1);
	sample_set(b, "y", 2);
	manifest_set_str(a, "k", "v");
	manifest_set_meta(a, &meta);
	assert_int_equal(manifest_copy(b, a), 0);
	c = sample_attached(region, REGION);
	assert_same(c, a);
	assert_null(manifest_get(c, "y"));
	manifest_free(a);
	manifest_free(b);
	manifest_free(c);
}

static void
same_stat(void **state)
{
	const int64_t ms = 1000000, now = 1000000 * ms;
	struct tree_stat st = { .type = TREE_REG,
		.mode = 0644,
		.size = 3,
		.mtime_ns = now - 50 * ms,
		.ctime_ns = now - 50 * ms,
		.ino = 5 },
			 other;
	struct manifest_entry e;

	(void)state;
	manifest_from_stat(&e, &st, now);
	assert_true(manifest_same_stat(&e, &st));
#define DIFFERS(field) \
	other = st;    \
	other.field++; \
	assert_false(manifest_same_stat(&e, &other))
	DIFFERS(type);
	DIFFERS(mode);
	DIFFERS(size);
	DIFFERS(mtime_ns);
	DIFFERS(ctime_ns);
	DIFFERS(ino);
	e.state = MANIFEST_UNKNOWN;
	assert_false(manifest_same_stat(&e, &st));
	st.ctime_ns = now - 9 * ms;
	manifest_from_stat(&e, &st, now);
	assert_false(manifest_same_stat(&e, &st));
	st.ctime_ns = now - 11 * ms;
	manifest_from_stat(&e, &st, now);
	assert_true(manifest_same_stat(&e, &st));
	st.mtime_ns = now + 9 * ms;
	manifest_from_stat(&e, &st, now);
	assert_false(manifest_same_stat(&e, &st));
	st.mtime_ns = now + 3600 * 1000 * ms; /* set by hand: ctime decides */
	manifest_from_stat(&e, &st, now);
	assert_true(manifest_same_stat(&e, &st));
	st.ctime_ns = now + 3600 * 1000 * ms; /* the clock went back */
	manifest_from_stat(&e, &st, now);
	assert_false(manifest_same_stat(&e, &st));
}

#define MANY 100000

static void
many(void **state)
{
	size_t size = 64 << 20;
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct manifest *m = sample_attached(map, size), *n;
	char path[64];
	int64_t t[5];
	int i;

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	t[0] = mono_now().ns;
	for (i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "packages/p%d/src/file%d.js",
		    i / 100, i);
		sample_set(m, path, i);
	}
	t[1] = mono_now().ns;
	for (i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "packages/p%d/src/file%d.js",
		    i / 100, i);
		assert_int_equal(manifest_get(m, path)->size, i);
	}
	t[2] = mono_now().ns;
	n = sample_attached(map, size);
	t[3] = mono_now().ns;
	assert_int_equal(manifest_renew(n), 0);
	t[4] = mono_now().ns;
	assert_int_equal(manifest_count(n), MANY);
	assert_false(manifest_lossy(n));
	print_message("100000: set %lld, get %lld, load %lld, renew %lld ms\n",
	    (long long)(t[1] - t[0]) / 1000000,
	    (long long)(t[2] - t[1]) / 1000000,
	    (long long)(t[3] - t[2]) / 1000000,
	    (long long)(t[4] - t[3]) / 1000000);
	manifest_free(m);
	manifest_free(n);
	munmap(map, size);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory),
		cmocka_unit_test(meta_and_strings),
		cmocka_unit_test(long_life),
		cmocka_unit_test(no_room),
		cmocka_unit_test(cuts),
		cmocka_unit_test(killed_anywhere),
		cmocka_unit_test(memfd_and_kill),
		cmocka_unit_test(damaged_heads),
		cmocka_unit_test(copies),
		cmocka_unit_test(same_stat),
		cmocka_unit_test(many),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
