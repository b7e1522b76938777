/*
 * The push worker's pure parts: owners, modes, facts, effects, chunks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/push/push.h"

#define PASSWD                                                \
	"root:x:0:0::/root:/bin/sh\nweb:x:33:44::/:/bin/sh\n" \
	"broken:x:abc:1::\nbig:x:99999999999:1::\nshort:x\nlast:x:7:8"
#define GROUP "root:x:0:\nstaff:x:50:web\nweb:x:55:\n"

static int
resolve(const char *spec, struct owner *o)
{
	char why[128];

	memset(o, 0xff, sizeof(*o));
	return (owner_parse(spec, PASSWD, sizeof(PASSWD) - 1, GROUP,
	    sizeof(GROUP) - 1, o, why, sizeof(why)));
}

static void
test_owner(void **state)
{
	static const struct {
		const char *spec;
		int r;
		uint32_t uid, gid;
	} rows[] = { { "0", 0, 0, 0 }, { "1000", 0, 1000, 1000 },
		{ "1000:5", 0, 1000, 5 }, { "web", 0, 33, 55 },
		{ "web:staff", 0, 33, 50 }, { "33:staff", 0, 33, 50 },
		{ "last:9", 0, 7, 9 }, { "last", -1 }, { "nobody", -1 },
		{ "web:nobody", -1 }, { "broken:0", -1 }, { "big:0", -1 },
		{ "short:0", -1 }, { "", -1 }, { ":0", -1 }, { "0:", -1 },
		{ "4294967296", -1 }, { "we", -1 }, { "web:", -1 } };
	struct owner o;
	char why[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (resolve(rows[i].spec, &o) != rows[i].r)
			fail_msg("%s", rows[i].spec);
		if (rows[i].r == 0 &&
		    (o.uid != rows[i].uid || o.gid != rows[i].gid))
			fail_msg("%s: %u:%u", rows[i].spec, o.uid, o.gid);
	}
	assert_true(owner_needs_files("web"));
	assert_true(owner_needs_files("0:web"));
	assert_false(owner_needs_files("0"));
	assert_false(owner_needs_files("0:12"));
	assert_int_equal(owner_parse("web", NULL, 0, NULL, 0, &o, why,
			     sizeof(why)),
	    -1);
	assert_int_equal(owner_parse("1:2", NULL, 0, NULL, 0, &o, why,
			     sizeof(why)),
	    0);
}

static void
test_modes(void **state)
{
	uint32_t m;

	assert_int_equal(owner_mode("755", &m), 0);
	assert_int_equal(m, 0755);
	assert_int_equal(owner_mode("04711", &m), 0);
	assert_int_equal(m, 04711);
	assert_int_equal(owner_mode("u+x", &m), -1);
	assert_int_equal(owner_mode("", &m), -1);
	assert_int_equal(owner_mode("17777", &m), -1);
	assert_int_equal(owner_mode("8", &m), -1);
	assert_int_equal(items_mode(06755), 0755);
	assert_int_equal(items_mode(06644), 02644);
	assert_int_equal(items_mode(01644), 01644);
}

/* One header of a tar; only what owner_untar looks at. */
static void
tar_add(struct buf *b, char type, const char *text)
{
	char h[512] = "etc/passwd", pad[512] = "";
	size_t n = strlen(text);

	snprintf(h + 124, 12, "%011o", (unsigned)n & 0777777);
	h[156] = type;
	memcpy(h + 257,
	    "ustar\0"
	    "00",
	    8);
	buf_add(b, h, sizeof(h));
	buf_add(b, text, n);
	buf_add(b, pad, (512 - n % 512) % 512);
}

static void
test_untar(void **state)
{
	struct buf b = { 0 };
	const char *text;
	size_t n;

	tar_add(&b, 'x', "30 mtime=1.5\n");
	tar_add(&b, '0', GROUP);
	assert_int_equal(owner_untar(b.data, b.len, &text, &n), 0);
	assert_int_equal(n, strlen(GROUP));
	assert_memory_equal(text, GROUP, n);
	/* cut anywhere in front of the content's end it is none */
	for (size_t i = 0; i < 3 * 512 + n; i++) {
		uint8_t *cut = malloc(i + 1);

		memcpy(cut, b.data, i);
		assert_int_equal(owner_untar(cut, i, &text, &n), -1);
		free(cut);
		n = strlen(GROUP);
	}
	memcpy(b.data + 124, "77777777777", 11);
	assert_int_equal(owner_untar(b.data, b.len, &text, &n), -1);
	b.len = 0;
	tar_add(&b, '2', "");
	tar_add(&b, '0', GROUP);
	assert_int_equal(owner_untar(b.data, b.len, &text, &n), -1);
	buf_free(&b);
}

static void
test_link_root(void **state)
{
	static const struct {
		const char *to, *target, *root, *want;
	} rows[] = { { "/a/b/l", "x", "/a/b", NULL },
		{ "/a/b/c/l", "../x", "/a/b", NULL },
		{ "/a/b/l", "../x", "/a/b", "/a" },
		{ "/a/b/l", "../../x", "/a/b", "/" },
		{ "/a/b/l", "../../../../..", "/a/b", "/" },
		{ "/a/b/l", "/etc", "/a/b", NULL },
		{ "/a/b/l", "../bb/x", "/a/b", "/a" },
		{ "/l", "../x", "/", NULL }, { "/a/l", "..", "/a", "/" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got =
		    items_link_root(rows[i].to, rows[i].target, rows[i].root);

		if (rows[i].want == NULL)
			assert_null(got);
		else
			assert_string_equal(got, rows[i].want);
		free(got);
	}
}

#define CANNOT "Error processing tar file(exit status 1): cannot overwrite "

static void
test_named(void **state)
{
	char b[] = "/a/b", xb[] = "/a/x/b", odd[] = "/a/n\nq\"\xff", a[] = "/a";
	struct item v[] = { { .to = b, .root = a }, { .to = xb, .root = a },
		{ .to = odd, .root = a } };
	struct manifest_entry one = { .type = TREE_DIR, .mode = 0755 };
	struct manifest_entry two = { .type = TREE_DIR, .mode = 02755 };

	/* not the one whose path is but an end of it */
	assert_ptr_equal(items_named(v, 3,
			     CANNOT "directory \"/a/x/b\" with "
				    "non-directory \"/\""),
	    &v[1]);
	assert_ptr_equal(items_named(v, 3, CANNOT "\"/merged/a/x/b\""), &v[1]);
	assert_ptr_equal(items_named(v, 3, CANNOT "\"/a/b\""), &v[0]);
	assert_ptr_equal(items_named(v, 3, CANNOT "\"/a/n\\nq\\\"\\xff\""),
	    &v[2]);
	assert_null(items_named(v, 3, CANNOT "\"/a/xb\""));
	assert_null(items_named(v, 3, CANNOT "\"/a/b"));
	assert_null(items_named(v, 3, CANNOT "\"/a/b\\"));
	assert_null(items_named(v, 3, CANNOT));
	/* chmod between two copies of one path */
	assert_false(items_same(&one, &two));
	two.mode = 0755;
	assert_true(items_same(&one, &two));
	two.sha256[31] = 1;
	assert_false(items_same(&one, &two));
}

static void
test_chunks(void **state)
{
	struct paths p = { 0 };
	char name[64];
	size_t at = 0, n, bytes, total = 0;

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "/srv/%05d/%040d", i, i);
		paths_add(&p, name);
	}
	paths_add(&p, "/srv/00003/x/y"); /* below nothing */
	paths_add(&p, "/srv/00004");
	paths_settle(&p);
	assert_int_equal(p.n, 5001);
	for (; at < p.n; at += n) {
		n = erase_chunk(&p, at);
		assert_true(n > 0);
		bytes = 0;
		for (size_t i = at; i < at + n; i++)
			bytes += strlen(p.v[i]) + 1;
		assert_true(bytes <= 100000);
		total += n;
	}
	assert_int_equal(total, p.n);
	assert_int_equal(erase_chunk(&p, p.n), 0);
	paths_free(&p);
}

#define INSPECT                                                       \
	"{\"Config\":{\"Env\":[\"A=1\",\"B=x=y\",\"bad\",\"=z\"],"    \
	"\"User\":\"web\",\"WorkingDir\":\"/w\",\"Shell\":null},"     \
	"\"HostConfig\":{\"ReadonlyRootfs\":true,"                    \
	"\"Tmpfs\":{\"/run/\":\"\"}},"                                \
	"\"Mounts\":[{\"Type\":\"bind\",\"Destination\":\"/app/b\","  \
	"\"RW\":true},{\"Type\":\"volume\",\"Destination\":\"/app\"," \
	"\"RW\":false}]}"

#define INNER                                            \
	"{\"Config\":{},\"Mounts\":[{\"Type\":\"bind\"," \
	"\"Destination\":\"/app/d/host\",\"RW\":true}]}"

#define NO_SHELL "{\"Config\":{\"Shell\":[1,null]}}"

static enum mount_kind
kind(const struct facts *f, const char *path)
{
	const struct mount *m = facts_mount(f, path);

	return (m == NULL ? MOUNT_NONE : m->kind);
}

static void
test_facts(void **state)
{
	struct facts f = { 0 };

	assert_int_equal(facts_container(&f, INSPECT, strlen(INSPECT)), 0);
	assert_true(f.read_only);
	assert_string_equal(dockerfile_env_get(f.container.env, "B"), "x=y");
	assert_int_equal(f.container.env->nvars, 2);
	assert_string_equal(f.container.user, "web");
	assert_null(f.container.shell);
	assert_int_equal(kind(&f, "/run/x"), MOUNT_TMPFS);
	assert_int_equal(kind(&f, "/runner"), MOUNT_NONE);
	assert_int_equal(kind(&f, "/dev/shm/x"), MOUNT_TMPFS);
	assert_int_equal(kind(&f, "/app/b/c"), MOUNT_BIND);
	assert_int_equal(kind(&f, "/app/c"), MOUNT_VOLUME);
	assert_int_equal(facts_container(&f, "[]", 2), -1);
	assert_int_equal(facts_container(&f, "{", 1), -1);
	assert_int_equal(facts_image(&f.base, "nonsense", 8), -1);
	/* a shell of no words is none */
	assert_int_equal(facts_image(&f.base, NO_SHELL, strlen(NO_SHELL)), 0);
	assert_null(f.base.shell);
	assert_true(facts_stat_isdir("{\"mode\":2147484141}", 19));
	assert_false(facts_stat_isdir("{\"mode\":420}", 12));
	facts_free(&f);
}

/* A plan for changes over a manifest, as text. */

struct fixture {
	struct manifest *m;
	struct dockerfile *df;
	struct copyplan *p;
	struct oracle o;
	struct changes ch;
	struct effects fx;
	struct facts facts;
};

static void
entry(struct fixture *f, const char *path, enum tree_type type)
{
	struct manifest_entry e = { .type = (uint8_t)type,
		.state = MANIFEST_KNOWN,
		.mode = 0644 };

	assert_int_equal(manifest_set(f->m, path, &e), 0);
}

static void
begin(struct fixture *f, const char *dockerfile)
{
	struct copyplan_options opt = { .exact = true };
	struct dockerfile_error err;

	memset(f, 0, sizeof(*f));
	f->m = manifest_new();
	f->df = dockerfile_parse(dockerfile, strlen(dockerfile), &err);
	f->o = (struct oracle) { .rootfd = -1,
		.manifest = f->m,
		.changes = &f->ch };
	oracle_fill(&f->o, &opt.oracle);
	f->p = copyplan_new(f->df, &opt, &err);
	assert_non_null(f->p);
	f->fx.pending = -1;
	entry(f, "a", TREE_REG);
	entry(f, "d", TREE_DIR);
	entry(f, "d/x", TREE_REG);
	entry(f, "d/s", TREE_DIR);
	entry(f, "d/s/y", TREE_REG);
	entry(f, "o/kept", TREE_REG);
}

static void
plan(struct fixture *f)
{
	const char *v[2][16];
	size_t n[2] = { 0, 0 };
	struct push_plan *pp;

	changes_settle(&f->ch);
	for (size_t i = 0; i < f->ch.n; i++) {
		int gone = f->ch.v[i].now == TREE_ABSENT;

		v[gone][n[gone]++] = f->ch.v[i].path;
	}
	pp = copyplan_changes(f->p, v[0], n[0], v[1], n[1]);
	effects_plan(&f->fx, f->p, f->df, pp, &f->ch, f->m);
	push_plan_free(pp);
	if (f->fx.verdict == EFFECTS_OK)
		effects_place(&f->fx, f->p, &f->facts);
}

/* "+to@root ... -erased ... ?hollow ... run N"; what was planned is freed. */
static void
expect(struct fixture *f, const char *want)
{
	char got[2048] = "", one[600];
	const struct effects *e = &f->fx;

	plan(f);
	if (e->verdict != EFFECTS_OK)
		strlcat(got, e->verdict == EFFECTS_CLIMB ? "climb " : "fail ",
		    sizeof(got));
	for (size_t i = 0; i < e->items.n; i++) {
		snprintf(one, sizeof(one), "+%s%s@%s ", e->items.v[i].to,
		    e->items.v[i].dir ? "/" : "", e->items.v[i].root);
		strlcat(got, one, sizeof(got));
	}
	for (size_t i = 0; i < e->erase.n; i++) {
		snprintf(one, sizeof(one), "-%s ", e->erase.v[i]);
		strlcat(got, one, sizeof(got));
	}
	for (size_t i = 0; i < e->hollow.n; i++) {
		snprintf(one, sizeof(one), "?%s ", e->hollow.v[i]);
		strlcat(got, one, sizeof(got));
	}
	snprintf(one, sizeof(one), "run %d", e->pending);
	strlcat(got, one, sizeof(got));
	effects_free(&f->fx);
	changes_free(&f->ch);
	assert_string_equal(got, want);
}

static void
end(struct fixture *f)
{
	changes_free(&f->ch);
	effects_free(&f->fx);
	facts_free(&f->facts);
	oracle_clear(&f->o);
	copyplan_free(f->p);
	dockerfile_free(f->df);
	manifest_free(f->m);
}

#define DF                                                             \
	"FROM scratch\nWORKDIR /app\nCOPY d/ code/\nRUN [\"/make\"]\n" \
	"COPY a /etc/conf/\nCOPY . /all/\n"

static void
test_effects(void **state)
{
	struct fixture f;

	begin(&f, DF);
	changes_add(&f.ch, "a", TREE_REG, TREE_REG);
	expect(&f, "+/all/a@/all +/etc/conf/a@/etc/conf run -1");
	changes_add(&f.ch, "d/x", TREE_REG, TREE_REG);
	expect(&f, "+/all/d/x@/all +/app/code/x@/app/code run 3");
	/* a directory alone: its mode; what COPY fills keeps its own */
	changes_add(&f.ch, "d", TREE_DIR, TREE_DIR);
	expect(&f, "+/all/d/@/all run 3");
	changes_add(&f.ch, "d/s", TREE_DIR, TREE_DIR);
	changes_add(&f.ch, "d/s/y", TREE_REG, TREE_ABSENT);
	expect(&f,
	    "+/all/d/s/@/all +/app/code/s/@/app/code -/all/d/s/y "
	    "-/app/code/s/y run 3");
	changes_add(&f.ch, "d/s", TREE_DIR, TREE_ABSENT);
	changes_add(&f.ch, "d/s/y", TREE_REG, TREE_ABSENT);
	expect(&f, "-/all/d/s -/app/code/s run 3");
	/* types: what was there goes first */
	changes_add(&f.ch, "d/s", TREE_DIR, TREE_REG);
	changes_add(&f.ch, "d/s/y", TREE_REG, TREE_ABSENT);
	expect(&f,
	    "+/all/d/s@/all +/app/code/s@/app/code -/all/d/s "
	    "-/app/code/s run 3");
	changes_add(&f.ch, "d/x", TREE_REG, TREE_LINK);
	expect(&f, "+/all/d/x@/all +/app/code/x@/app/code run 3");
	/* nothing else made o */
	changes_add(&f.ch, "o/kept", TREE_REG, TREE_ABSENT);
	expect(&f, "-/all/o/kept ?/all/o run -1");
	changes_add(&f.ch, "o/kept", TREE_REG, TREE_ABSENT);
	changes_add(&f.ch, "o/more", TREE_ABSENT, TREE_REG);
	expect(&f, "+/all/o/more@/all -/all/o/kept run -1");
	end(&f);
	/* where a base image has files of its own, none is taken out whole */
	begin(&f, "FROM scratch\nWORKDIR /srv/d\nCOPY . /srv/\n");
	changes_add(&f.ch, "d", TREE_DIR, TREE_ABSENT);
	changes_add(&f.ch, "d/s", TREE_DIR, TREE_ABSENT);
	changes_add(&f.ch, "d/s/y", TREE_REG, TREE_ABSENT);
	changes_add(&f.ch, "d/x", TREE_REG, TREE_ABSENT);
	expect(&f, "-/srv/d/s/y -/srv/d/x ?/srv/d/s run -1");
	end(&f);
}

static void
test_refusals(void **state)
{
	struct fixture f;
	struct effects *e;

	begin(&f,
	    "FROM scratch AS one\nCOPY a /x/\nFROM scratch\n"
	    "COPY --from=one /x /y\nCOPY d /z/\n");
	changes_add(&f.ch, "a", TREE_REG, TREE_REG);
	expect(&f, "climb run -1");
	changes_add(&f.ch, "d/x", TREE_REG, TREE_REG);
	expect(&f, "+/z/x@/z run -1");
	/* the source itself is another type: what its COPY means changes */
	changes_add(&f.ch, "d", TREE_DIR, TREE_REG);
	plan(&f);
	e = &f.fx;
	assert_int_equal(e->verdict, EFFECTS_CLIMB);
	assert_non_null(strstr(e->reason, "line 5"));
	end(&f);
}

static void
test_mounts(void **state)
{
	struct fixture f;

	begin(&f, DF);
	facts_container(&f.facts, INSPECT, strlen(INSPECT));
	changes_add(&f.ch, "d/x", TREE_REG, TREE_REG);
	expect(&f, "climb +/all/d/x@/all +/app/code/x@/app/code run 3");
	end(&f);
	begin(&f, "FROM scratch\nCOPY . /app/\nCOPY a /run/a\n");
	facts_container(&f.facts, INSPECT, strlen(INSPECT));
	f.facts.mounts[f.facts.nmounts - 1].read_only = false;
	entry(&f, "b", TREE_DIR);
	changes_add(&f.ch, "d/x", TREE_REG, TREE_REG);
	changes_add(&f.ch, "b/x", TREE_ABSENT, TREE_REG);
	expect(&f, "+/app/d/x@/app run -1");
	changes_add(&f.ch, "a", TREE_REG, TREE_REG);
	expect(&f, "fail +/app/a@/app +/run/a@/run run -1");
	end(&f);
	/* a delete never goes on in what is mounted below */
	begin(&f, "FROM scratch\nCOPY . /app/\n");
	assert_int_equal(facts_container(&f.facts, INNER, strlen(INNER)), 0);
	changes_add(&f.ch, "d/x", TREE_REG, TREE_ABSENT);
	expect(&f, "-/app/d/x run -1");
	changes_add(&f.ch, "d", TREE_DIR, TREE_ABSENT);
	changes_add(&f.ch, "d/s", TREE_DIR, TREE_ABSENT);
	changes_add(&f.ch, "d/s/y", TREE_REG, TREE_ABSENT);
	changes_add(&f.ch, "d/x", TREE_REG, TREE_ABSENT);
	expect(&f, "climb -/app/d run -1");
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_untar),
		cmocka_unit_test(test_link_root),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_effects),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_mounts),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
