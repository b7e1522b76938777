/*
 * Build contexts: what is in them and how it is described, read back from the
 * tar; what the manifest says afterwards.
 */
#include <sys/stat.h>
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "buf.h"
#include "tests/unit/tmptree.h"
#include "workers/shared/context.h"
#include "workers/shared/ignore.h"

static struct tmptree t;
static char notes[1024];

static int
setup(void **state)
{
	notes[0] = '\0';
	return (tmptree_setup(state));
}

static void
note(void *arg, enum context_note kind, const char *path, int err)
{
	static const char *const kinds[] = { "unreadable", "special", "torn" };
	size_t len = strlen(notes);

	(void)arg;
	snprintf(notes + len, sizeof(notes) - len, "%s %s %d\n", kinds[kind],
	    path, err);
}

static void
drain(struct tarstream *ts, struct buf *out)
{
	uint8_t buf[5000];
	size_t n;

	while ((n = tarstream_take(ts, buf, sizeof(buf))) > 0)
		buf_add(out, buf, n);
}

/* The whole context as a tar; returns how many slices it took. */
static int
stream(const struct context_opts *o, size_t limit, mono_t deadline,
    struct buf *out, struct context_stats *stats)
{
	struct context *c = context_new(o);
	struct tarstream *ts = tarstream_new(limit);
	int rc, n = 1;

	assert_non_null(c);
	while ((rc = context_stream(c, ts, deadline)) == CONTEXT_MORE) {
		drain(ts, out);
		n++;
	}
	assert_int_equal(rc, CONTEXT_DONE);
	drain(ts, out);
	if (stats != NULL)
		*stats = *context_stats(c);
	tarstream_free(ts);
	context_free(c);
	return (n);
}

/* The tar as text, one line per entry: path, mode, owner, link or content. */
static char *
list(const struct buf *b)
{
	struct archive *a = archive_read_new();
	struct archive_entry *ae;
	char *text = NULL, data[64];
	size_t len;
	la_ssize_t n;
	FILE *f = open_memstream(&text, &len);
	int rc;

	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_memory(a, b->data, b->len), 0);
	while ((rc = archive_read_next_header(a, &ae)) == ARCHIVE_OK) {
		n = archive_read_data(a, data, sizeof(data));
		assert_true(n >= 0);
		fprintf(f, "%s %o %d:%d %s%.*s\n", archive_entry_pathname(ae),
		    (unsigned)archive_entry_mode(ae),
		    (int)archive_entry_uid(ae), (int)archive_entry_gid(ae),
		    archive_entry_symlink(ae) != NULL ?
			archive_entry_symlink(ae) :
			"",
		    (int)n, data);
		assert_int_equal(archive_entry_mtime_nsec(ae), 0);
	}
	assert_int_equal(rc, ARCHIVE_EOF);
	archive_read_free(a);
	fclose(f);
	return (text);
}

static struct ignore *
rules(const char *text)
{
	struct ignore_error err;
	struct ignore *ig = ignore_parse(text, strlen(text), &err);

	assert_non_null(ig);
	return (ig);
}

static void
make_context(void)
{
	tmptree_file(&t, "Dockerfile", "FROM x\n");
	tmptree_file(&t, ".dockerignore", "*\n");
	tmptree_dir(&t, "build", 0755);
	tmptree_file(&t, "build/Dockerfile.dev", "FROM y\n");
	tmptree_file(&t, "build/secret", "s");
	tmptree_dir(&t, "src", 02775);
	tmptree_file(&t, "src/a.c", "int a;");
	tmptree_file(&t, "src/run", "#!");
	assert_int_equal(fchmodat(t.fd, "src/run", 04755, 0), 0);
	tmptree_link(&t, "src/link", "../../etc/passwd");
	tmptree_fifo(&t, "src/pipe");
	if (geteuid() == 0)
		assert_int_equal(fchownat(t.fd, "src/a.c", 1234, 1234, 0), 0);
}

#define WHOLE                                        \
	".dockerignore 100644 0:0 *\n\n"             \
	"Dockerfile 100644 0:0 FROM x\n\n"           \
	"build/ 40755 0:0 \n"                        \
	"build/Dockerfile.dev 100644 0:0 FROM y\n\n" \
	"build/secret 100644 0:0 s\n"                \
	"src/ 42775 0:0 \n"                          \
	"src/a.c 100644 0:0 int a;\n"                \
	"src/link 120777 0:0 ../../etc/passwd\n"     \
	"src/run 104755 0:0 #!\n"

static void
contents(const char *ignore, const char *dockerfile, const char *expected)
{
	struct ignore *ig = ignore != NULL ? rules(ignore) : NULL;
	struct context_opts o = { .rootfd = t.fd,
		.ignore = ig,
		.dockerfile = dockerfile,
		.ignorefile = ".dockerignore",
		.note = note };
	struct buf out = { 0 };
	char *text;

	stream(&o, 0, MONO_NEVER, &out, NULL);
	text = list(&out);
	assert_string_equal(text, expected);
	free(text);
	buf_free(&out);
	ignore_free(ig);
}

static void
what_is_sent(void **state)
{
	(void)state;
	make_context();
	contents(NULL, "Dockerfile", WHOLE);
	assert_string_equal(notes, "special src/pipe 0\n");
	notes[0] = '\0';
	/* All is excluded but what the builder needs. */
	contents("*\n", "Dockerfile",
	    ".dockerignore 100644 0:0 *\n\nDockerfile 100644 0:0 FROM x\n\n");
	contents("*\n", "build/Dockerfile.dev",
	    ".dockerignore 100644 0:0 *\n\n"
	    "build/Dockerfile.dev 100644 0:0 FROM y\n\n");
	contents("*\n!src/a.c\n", "/outside/Dockerfile",
	    ".dockerignore 100644 0:0 *\n\nsrc/a.c 100644 0:0 int a;\n");
	contents("build\n.dockerignore\nsrc/p*\nsrc/[lr]*\n", "Dockerfile",
	    ".dockerignore 100644 0:0 *\n\nDockerfile 100644 0:0 FROM x\n\n"
	    "src/ 42775 0:0 \nsrc/a.c 100644 0:0 int a;\n");
	/* What is excluded is not spoken of. */
	assert_string_equal(notes, "");
}

static void
sliced(void **state)
{
	struct context_opts o = { .rootfd = t.fd, .note = note };
	struct context_stats stats;
	struct buf a = { 0 }, b = { 0 };
	mono_t past = { 0 };
	char *text;

	(void)state;
	make_context();
	assert_int_equal(stream(&o, 0, MONO_NEVER, &a, &stats), 1);
	assert_int_equal(stats.entries, 9);
	assert_int_equal(stats.bytes, 7 + 2 + 7 + 1 + 6 + 2);
	assert_int_equal(stats.left_out, 1);
	assert_int_equal(stats.torn, 0);
	assert_true(stream(&o, 1, past, &b, NULL) > 9);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	text = list(&a);
	assert_string_equal(text, WHOLE);
	free(text);
	buf_free(&a);
	buf_free(&b);
}

static void
whole_seconds(void **state)
{
	struct timespec when[2] = { { 1700000000, 999 }, { -5, 500000000 } };
	struct context_opts o = { .rootfd = t.fd };
	struct buf out = { 0 };
	struct archive *a = archive_read_new();
	struct archive_entry *ae;

	(void)state;
	tmptree_file(&t, "f", "");
	assert_int_equal(utimensat(t.fd, "f", when, 0), 0);
	stream(&o, 0, MONO_NEVER, &out, NULL);
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_memory(a, out.data, out.len), 0);
	assert_int_equal(archive_read_next_header(a, &ae), 0);
	assert_int_equal(archive_entry_mtime(ae), -5);
	assert_int_equal(archive_entry_mtime_nsec(ae), 0);
	archive_read_free(a);
	buf_free(&out);
}

static void
check_hash(const struct manifest *m, const char *path, const char *text)
{
	const struct manifest_entry *e = manifest_get(m, path);
	uint8_t sum[HASH_LEN];

	assert_non_null(e);
	hash_buf(text, strlen(text), sum);
	assert_memory_equal(e->sha256, sum, HASH_LEN);
	assert_int_equal(e->state, MANIFEST_KNOWN);
	assert_int_equal(e->epoch, 3);
}

static void
fills_manifest(void **state)
{
	static const uint8_t none[HASH_LEN];
	struct manifest *m = manifest_new();
	struct context_opts o = { .rootfd = t.fd, .manifest = m, .epoch = 3 };
	struct buf out = { 0 };
	struct tree_stat st;

	(void)state;
	make_context();
	usleep(30000); /* so that nothing is racy */
	stream(&o, 0, MONO_NEVER, &out, NULL);
	assert_int_equal(manifest_count(m), 9);
	check_hash(m, "src/a.c", "int a;");
	check_hash(m, "src/link", "../../etc/passwd");
	assert_int_equal(manifest_get(m, "src")->type, TREE_DIR);
	assert_memory_equal(manifest_get(m, "src")->sha256, none, HASH_LEN);
	assert_null(manifest_get(m, "src/pipe"));
	assert_int_equal(tree_stat_at(t.fd, "src/a.c", &st), 0);
	assert_true(manifest_same_stat(manifest_get(m, "src/a.c"), &st));
	tmptree_file(&t, "src/a.c", "int b;");
	assert_int_equal(tree_stat_at(t.fd, "src/a.c", &st), 0);
	assert_false(manifest_same_stat(manifest_get(m, "src/a.c"), &st));
	/* Written and streamed at once: content decides. */
	stream(&o, 0, MONO_NEVER, &out, NULL);
	check_hash(m, "src/a.c", "int b;");
	assert_int_equal(manifest_get(m, "src/a.c")->racy, 1);
	buf_free(&out);
	manifest_free(m);
}

/* A file that is cut while it is sent: the archive is whole, and the manifest
 * knows what was sent and does not trust the stat. */
static void
torn(void **state)
{
	struct manifest *m = manifest_new();
	struct context_opts o = { .rootfd = t.fd, .manifest = m, .note = note };
	struct context *c = context_new(&o);
	struct tarstream *ts = tarstream_new(100000);
	struct buf out = { 0 };
	uint8_t sum[HASH_LEN];
	char *text, *content = xcalloc(1, 400001);
	int fd, rc;

	(void)state;
	memset(content, 'x', 400000);
	tmptree_file(&t, "big", content);
	tmptree_file(&t, "later", "ok");
	usleep(30000);
	assert_int_equal(context_stream(c, ts, MONO_NEVER), CONTEXT_MORE);
	fd = openat(t.fd, "big", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 200000), 0);
	close(fd);
	do {
		drain(ts, &out);
		rc = context_stream(c, ts, MONO_NEVER);
	} while (rc == CONTEXT_MORE);
	assert_int_equal(rc, CONTEXT_DONE);
	drain(ts, &out);
	assert_string_equal(notes, "torn big 0\n");
	assert_int_equal(manifest_get(m, "big")->racy, 1);
	assert_int_equal(manifest_get(m, "later")->racy, 0);
	memset(content + 200000, 0, 200000);
	hash_buf(content, 400000, sum);
	assert_memory_equal(manifest_get(m, "big")->sha256, sum, HASH_LEN);
	text = list(&out);
	assert_non_null(strstr(text, "\nlater 100644 0:0 ok\n"));
	free(text);
	free(content);
	buf_free(&out);
	tarstream_free(ts);
	context_free(c);
	manifest_free(m);
}

static void
iterating(void **state)
{
	struct ignore *ig = rules("*\n!src\n");
	struct context_opts o = { .rootfd = t.fd,
		.ignore = ig,
		.dockerfile = "Dockerfile" };
	struct context *c;
	struct context_entry e;
	char seen[256] = "";
	int rc;

	(void)state;
	make_context();
	c = context_new(&o);
	while ((rc = context_next(c, &e, MONO_NEVER)) == CONTEXT_ENTRY) {
		strlcat(seen, e.kept ? "=" : "", sizeof(seen));
		strlcat(seen, e.path, sizeof(seen));
		strlcat(seen, " ", sizeof(seen));
		assert_true((e.target != NULL) == (e.st.type == TREE_LINK));
	}
	assert_int_equal(rc, CONTEXT_DONE);
	assert_int_equal(context_next(c, &e, MONO_NEVER), CONTEXT_DONE);
	assert_string_equal(seen, "=Dockerfile src src/a.c src/link src/run ");
	context_free(c);
	ignore_free(ig);
}

static void
unreadable(void **state)
{
	struct context_opts o = { .rootfd = t.fd, .note = note };
	struct buf out = { 0 };
	int root = geteuid() == 0;
	char *text;

	(void)state;
	tmptree_dir(&t, "no", 0);
	tmptree_file(&t, "private", "x");
	assert_int_equal(fchmodat(t.fd, "private", 0, 0), 0);
	tmptree_file(&t, "public", "x");
	if (root)
		assert_int_equal(seteuid(65534), 0);
	stream(&o, 0, MONO_NEVER, &out, NULL);
	if (root)
		assert_int_equal(seteuid(0), 0);
	text = list(&out);
	assert_string_equal(text, "no/ 40000 0:0 \npublic 100644 0:0 x\n");
	assert_string_equal(notes, "unreadable no 13\nunreadable private 13\n");
	free(text);
	buf_free(&out);
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_prestate_setup_teardown(f, setup, tmptree_teardown, &t)
	const struct CMUnitTest tests[] = {
		TEST(what_is_sent),
		TEST(sliced),
		TEST(whole_seconds),
		TEST(fills_manifest),
		TEST(torn),
		TEST(iterating),
		TEST(unreadable),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
