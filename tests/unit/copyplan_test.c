/*
 * The live-push planner, on a context that is a list of names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "include/buf.h"
#include "workers/shared/copyplan.h"

/* Files, blank-separated; "a>b/c" is a link, a name that ends in .tgz an
 * archive. */
struct fake {
	char **names;
	size_t n;
	const char *dirs; /* directories of the container */
};

static char **
split(const char *s, size_t *n)
{
	char **v, err[64];

	assert_int_equal(dockerfile_words(s, '`', NULL, DOCKERFILE_WORDS_UNSET,
			     &v, n, err, sizeof(err)),
	    0);
	return (v);
}

static enum copyplan_type
fake_type(void *arg, const char *path)
{
	const struct fake *f = arg;
	size_t i, n = strlen(path);

	if (n == 0)
		return (COPYPLAN_DIR);
	for (i = 0; i < f->n; i++) {
		const char *s = f->names[i];

		if (strncmp(s, path, n) != 0)
			continue;
		if (s[n] == '/')
			return (COPYPLAN_DIR);
		if (s[n] == '\0' || s[n] == '>')
			return (COPYPLAN_FILE);
	}
	return (COPYPLAN_ABSENT);
}

static void
fake_list(void *arg, const char *dir, int (*fn)(void *, const char *, bool),
    void *fnarg)
{
	const struct fake *f = arg;
	size_t i, k, n = strlen(dir), len;

	for (i = 0; i < f->n; i++) {
		const char *s = f->names[i];
		char *name;

		if (n > 0 && (strncmp(s, dir, n) != 0 || s[n] != '/'))
			continue;
		s += n > 0 ? n + 1 : 0;
		len = strcspn(s, "/>");
		/* The first of a directory's files stands for it. */
		for (k = 0; k < i; k++)
			if (strncmp(f->names[k], f->names[i],
				(size_t)(s - f->names[i]) + len + 1) == 0)
				break;
		if (k < i)
			continue;
		name = xstrndup(s, len);
		k = (size_t)fn(fnarg, name, s[len] == '/');
		free(name);
		if (k != 0)
			return;
	}
}

static char *
fake_resolve(void *arg, const char *path)
{
	const struct fake *f = arg;
	size_t i, n;

	for (i = 0; i < f->n; i++) {
		n = strcspn(f->names[i], ">");
		if (f->names[i][n] == '>' &&
		    strncmp(path, f->names[i], n) == 0 &&
		    (path[n] == '/' || path[n] == '\0'))
			return (
			    xasprintf("%s%s", f->names[i] + n + 1, path + n));
	}
	return (NULL);
}

static enum copyplan_answer
fake_archive(void *arg, const char *path)
{
	const char *dot = strrchr(path, '.');

	return (dot != NULL && strcmp(dot, ".tgz") == 0 ? COPYPLAN_YES :
							  COPYPLAN_NO);
}

static enum copyplan_answer
fake_destdir(void *arg, const char *path)
{
	const struct fake *f = arg;
	char *padded = xasprintf(" %s ", path);
	bool there = f->dirs != NULL && strstr(f->dirs, padded) != NULL;

	free(padded);
	return (there ? COPYPLAN_YES : COPYPLAN_NO);
}

static void
put(struct buf *b, const char *s)
{
	if (b->len > 0)
		buf_add(b, " ", 1);
	buf_add(b, s, strlen(s));
}

static void __attribute__((__format__(printf, 2, 3)))
putf(struct buf *b, const char *fmt, ...)
{
	char s[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s, sizeof(s), fmt, ap);
	va_end(ap);
	put(b, s);
}

static void
render_op(struct buf *b, const struct copyplan *p, const struct push_op *op)
{
	const struct copyplan_step *s = copyplan_step(p, op->step);
	size_t i;

	putf(b, "%u%s", op->line, op->refresh ? "r" : "");
	for (i = 0; i < op->nfiles; i++)
		putf(b, "%s>%s%s", op->files[i].from, op->files[i].to,
		    op->files[i].dir ? "/" : "");
	for (i = 0; i < op->npaths; i++)
		putf(b, "-%s", op->paths[i]);
	if (op->kind == PUSH_STAGECOPY)
		putf(b, "%zu:%s>%s", s->from, op->from, op->to);
	if (op->kind == PUSH_RUN)
		putf(b, "[%s]", s->argv[s->nargv - 1]);
}

/* "no", or what is to be done; "! reason" when it means a rebuild. */
static char *
render(const struct copyplan *p, const struct push_plan *pp)
{
	struct buf b = { 0 };
	size_t i, k;

	assert_int_equal(pp->needed, pp->restart);
	if (!pp->needed)
		put(&b, "no");
	else if (pp->rebuild)
		putf(&b, "! %s", pp->reason);
	else
		for (i = 0; i < pp->nstages; i++)
			for (k = 0; k < pp->stages[i].nops; k++)
				render_op(&b, p, &pp->stages[i].ops[k]);
	if (pp->needs_stage_containers)
		put(&b, "+stages");
	buf_add(&b, "", 1);
	return ((char *)b.data);
}

static const struct {
	const char *dockerfile, *files, *changed, *deleted, *want, *dirs;
} table[] = {
	/* Where a single file goes. */
	{ "FROM i\nCOPY p/a.c /d/", "p/a.c", "p/a.c", "", "2 p/a.c>/d/a.c" },
	{ "FROM i\nCOPY p/a.c /d", "p/a.c", "p/a.c", "", "2 p/a.c>/d" },
	{ "FROM i\nCOPY p/a.c /d", "p/a.c", "p/a.c", "", "2 p/a.c>/d/a.c",
	    " /d " },
	{ "FROM i\nWORKDIR /d/e\nCOPY a /d", "a", "a", "", "3 a>/d/a" },
	{ "FROM i\nWORKDIR /d\nWORKDIR e\nCOPY a .", "a", "a", "",
	    "4 a>/d/e/a" },
	{ "FROM i\nCOPY x/ /d\nCOPY a /d", "x/q a", "a", "", "3 a>/d/a" },
	{ "FROM i\nCOPY q /d/q\nCOPY a /d", "q a", "a", "", "3 a>/d/a" },
	{ "FROM i\nCOPY /a ../../b", "a", "a", "", "2 a>/b" },
	{ "FROM i\nARG D=x\nENV D=y\nWORKDIR /$D\nCOPY ${D}.c ./$D/", "y.c",
	    "y.c", "", "5 y.c>/y/y/y.c" },
	{ "FROM i\nCOPY a b /d", "a b", "a", "",
	    "! a: COPY at line 2: several sources need a destination that ends "
	    "in /" },
	{ "FROM i\nCOPY [\"a b\", \"c d/\"]", "'a b'", "'a b'", "",
	    "2 a b>/c d/a b" },
	/* Directories give their content. */
	{ "FROM i\nCOPY src /d", "src/x/a", "src/x/a", "", "2 src/x/a>/d/x/a" },
	{ "FROM i\nCOPY . /d", ".env ..x", ".env ..x", "",
	    "2 ..x>/d/..x .env>/d/.env" },
	{ "FROM i\nCOPY src dst/", "src/a", "src", "", "2 src/a>/dst/a" },
	{ "FROM i\nCOPY src dst/", "srcs/a", "srcs/a", "", "no" },
	{ "FROM i\nCOPY real /d\n", "l>real real/a", "real/a", "",
	    "2 real/a>/d/a" },
	{ "FROM i\nCOPY l /d\n", "l>real real/a", "real/a", "",
	    "2 real/a>/d/a" },
	{ "FROM i\nCOPY l /d\n", "l>real real/a", "l", "",
	    "! l: COPY at line 2: its source is a link that changed" },
	/* Wildcards are filepath.Match. */
	{ "FROM i\nCOPY * /d/", ".e s/t/u", ".e s/t/u", "",
	    "2 .e>/d/.e s/t/u>/d/t/u" },
	{ "FROM i\nCOPY s/* /d/", "s/a s/t/u", "s/a s/t/u", "",
	    "2 s/a>/d/a s/t/u>/d/u" },
	{ "FROM i\nCOPY **/*.c /d/", "p/a.c p/q/b.c", "p/a.c p/q/b.c", "",
	    "2 p/a.c>/d/a.c" },
	{ "FROM i\nCOPY {a,b}.c !x /d/", "a.c x", "a.c x", "", "no" },
	{ "FROM i\nCOPY [a-c]?.[^h] /d/", "bx.c bx.h dx.c", "bx.c bx.h dx.c",
	    "", "2 bx.c>/d/bx.c" },
	{ "FROM i\nCOPY a\\* /d/", "a* ab", "a* ab", "",
	    "2 a*>/d/a* ab>/d/ab" },
	{ "FROM i\nCOPY a[[]0].c /d/", "a[0].c a0.c", "a[0].c a0.c", "",
	    "2 a[0].c>/d/a[0].c" },
	/* Flags. */
	{ "FROM i\nCOPY --exclude=*.md --exclude=t . /d/", "R.md s/R.md t/x",
	    "R.md s/R.md t/x", "", "2 s/R.md>/d/s/R.md" },
	{ "FROM i\nCOPY --parents p/q/a.c s/./t/*.c /d/", "p/q/a.c s/t/b.c",
	    "p/q/a.c s/t/b.c", "", "2 p/q/a.c>/d/p/q/a.c s/t/b.c>/d/t/b.c" },
	{ "FROM i\nCOPY --link a b", "a", "a", "", "2 a>/b" },
	/* ADD. */
	{ "FROM i\nADD a b.tgz /d/", "a b.tgz", "a", "", "2 a>/d/a" },
	{ "FROM i\nADD a b.tgz /d/", "a b.tgz", "b.tgz", "",
	    "! b.tgz: ADD at line 2: it is an archive to be unpacked" },
	{ "FROM i\nADD s /d/", "s/b.tgz", "s/b.tgz", "", "2 s/b.tgz>/d/b.tgz" },
	{ "FROM i\nADD https://h.example/x a /d/", "a", "a", "", "2 a>/d/a" },
	/* Heredocs have no source. */
	{ "FROM i\nCOPY <<E a /d/\nE\n", "a E", "E a", "", "2 a>/d/a" },
	/* Replays. */
	{ "FROM i\nRUN no\nCOPY a b\nRUN x\nRUN [\"y\",\"z\"]", "a", "a", "",
	    "3 a>/b 4 [x] 5 [z]" },
	{ "FROM i\nCOPY a b\nRUN x\nCOPY c d\nRUN y", "a c", "c", "",
	    "4 c>/d 5 [y]" },
	{ "FROM i\nCOPY a b\nRUN x\nCOPY c d\nRUN y", "a c", "a", "",
	    "2 a>/b 3 [x] 4r 5 [y]" },
	{ "FROM i\nCOPY a b\nRUN <<E\nl1\nl2\nE\nRUN cat <<E\nt\nE\n", "a", "a",
	    "", "2 a>/b 3 [l1\nl2\n] 7 [cat <<E\nt\nE]" },
	{ "FROM i\nCOPY a b\nRUN <<E\n#!/bin/x\nE\n", "a", "a", "",
	    "! a: RUN at line 3: a RUN heredoc with an interpreter of its own "
	    "cannot be replayed" },
	{ "FROM i\nCOPY a b\nRUN --mount=type=tmpfs,target=/t x", "a", "a", "",
	    "! a: RUN at line 3: RUN --mount cannot be replayed" },
	{ "FROM i\nCOPY a b\nRUN --network=none x", "a", "a", "",
	    "! a: RUN at line 3: RUN --network cannot be replayed" },
	{ "FROM i\nCOPY a b\nRUN --network=default --security=sandbox x", "a",
	    "a", "", "2 a>/b 3 [x]" },
	{ "FROM i\nRUN --mount=source=s,target=/s x\nCOPY a b", "s/f a", "s/f",
	    "", "! s/f: RUN at line 2: RUN --mount cannot be replayed" },
	{ "FROM i\nRUN --mount=source=s,target=/s x\nCOPY a b", "s/f a", "a",
	    "", "3 a>/b" },
	/* The last provider wins. */
	{ "FROM i\nCOPY a /x\nCOPY b /x", "a b", "a", "", "no" },
	{ "FROM i\nCOPY a /x\nCOPY b /x", "a b", "b", "", "3 b>/x" },
	{ "FROM i\nCOPY a /x\nCOPY b /x", "a b", "a b", "", "3 b>/x" },
	{ "FROM i\nCOPY a /x\nRUN r\nCOPY b /x", "a b", "a", "",
	    "2 a>/x 3 [r] 4r b>/x" },
	{ "FROM i\nCOPY j /w/\nRUN r\nCOPY . /w/", "j k", "j", "",
	    "2 j>/w/j 3 [r] 4r j>/w/j" },
	{ "FROM i\nCOPY p/* /w/\nCOPY q /w/", "p/a q/b", "p/a", "",
	    "2 p/a>/w/a" },
	/* Deletes. */
	{ "FROM i\nCOPY . /d/", "x", "", "s/a", "2 -/d/s/a" },
	{ "FROM i\nCOPY a b", "", "", "a", "2 -/b" },
	{ "FROM i\nCOPY . /d/", "x", "", "s s/a s/t s/t/b", "2 -/d/s" },
	{ "FROM i\nCOPY . /d/\nCOPY k /d/s/k", "k", "", "s s/a s/t s/t/b",
	    "2 -/d/s/a -/d/s/t" },
	{ "FROM i\nCOPY . /", "x", "", "etc etc/a", "2 -/etc/a" },
	{ "FROM i\nCOPY . /", "x", "", "etc",
	    "! etc: COPY at line 2: it would take out a directory of the base "
	    "image" },
	{ "FROM i\nCOPY src /d", "", "", "src src/a src/b", "2 -/d/a -/d/b" },
	{ "FROM i\nCOPY a /x\nCOPY b /x", "a", "", "b", "2 a>/x" },
	{ "FROM i\nCOPY a /x\nCOPY b /x", "b", "", "a", "no" },
	{ "FROM i\nCOPY p /w/\nCOPY q /w/", "p/a q/b", "", "q/a",
	    "2 p/a>/w/a" },
	{ "FROM i\nCOPY a /x\nRUN r\nCOPY b /x", "b", "", "a",
	    "2 -/x 3 [r] 4r b>/x" },
	{ "FROM i\nCOPY <<E /x\nE\nCOPY b /x", "", "", "b",
	    "! b: COPY at line 2: its file takes the place of the deleted one" },
	{ "FROM i\nCOPY . /d/\nRUN r", "x", "x", "y",
	    "2 x>/d/x 2 -/d/y 3 [r]" },
	{ "FROM i\nCOPY . /d/", "p", "p", "p/a p/b", "2 p>/d/p" },
	{ "FROM i\nCOPY . /d/", "f", "f", "f", "2 f>/d/f" },
	{ "FROM i\nCOPY . /d/", "x", "f", "", "2 -/d/f" },
	/* Stages. */
	{ "FROM i AS b\nCOPY j .\nRUN ci\nFROM b\nCOPY s s\nRUN mk", "j s/f",
	    "j", "", "2 j>/j 3 [ci] 5r 6 [mk]" },
	{ "FROM i AS b\nCOPY j .\nRUN ci\nFROM b\nCOPY s s\nRUN mk", "j s/f",
	    "s/f", "", "5 s/f>/s/f 6 [mk]" },
	{ "FROM i AS b\nCOPY s .\nRUN mk\nFROM k\nCOPY --from=b /o /p/\n"
	  "RUN z",
	    "s/f", "s/f", "", "2 s/f>/f 3 [mk] 5 0:/o>/p/ 6 [z] +stages" },
	{ "FROM i AS b\nCOPY s .\nFROM k\nCOPY c /c\nCOPY --from=b /o /p\n",
	    "s/f c", "c", "", "4 c>/c" },
	{ "FROM i AS b\nCOPY s .\nFROM k\nCOPY c /p/c\nCOPY --from=b /o /p\n",
	    "s/f c", "c", "", "4 c>/p/c 5r 0:/o>/p" },
	{ "FROM i AS b\nCOPY s .\nFROM k\nCOPY c /p/o\nCOPY --from=b /o /p/\n",
	    "s/f c", "c", "", "no" },
	{ "FROM i\nCOPY c /p/o\nRUN r\nCOPY --from=k /o /p/\n", "c", "c", "",
	    "! c: COPY at line 4: an image's file lies over the changed one" },
	{ "FROM i AS u\nCOPY s .\nFROM k\nCOPY c .", "s/f c", "s/f", "", "no" },
	{ "FROM i AS b\nONBUILD COPY s /s\nONBUILD RUN mk\nFROM b\nRUN z",
	    "s/f", "s/f", "", "2 s/f>/s/f 3 [mk] 5 [z]" },
	{ "FROM i AS b\nCOPY s .\nFROM k\nRUN --mount=from=b,target=/b x",
	    "s/f", "s/f", "",
	    "! a stage that it mounts: RUN at line 4: RUN "
	    "--mount cannot be replayed +stages" },
	/* Not ours. */
	{ "FROM i\nRUN x", "a", "a", "", "no" },
	{ "FROM i\nCOPY . .", "Dockerfile", "Dockerfile", "",
	    "! Dockerfile: the Dockerfile itself changed" },
	{ "FROM i\nCOPY . .", "x", "", ".ig",
	    "! .ig: what the build leaves out changed" },
};

static struct copyplan *
new_plan(const struct dockerfile *df, struct fake *f,
    const struct dockerfile_env *args)
{
	struct copyplan_options opt = { 0 };
	struct dockerfile_error e;
	struct copyplan *p;

	opt.build.build_args = args;
	opt.dockerfile = "Dockerfile";
	opt.ignorefile = ".ig";
	opt.oracle.arg = f;
	opt.oracle.type = fake_type;
	opt.oracle.list = fake_list;
	opt.oracle.resolve = fake_resolve;
	opt.oracle.archive = fake_archive;
	opt.oracle.destdir = fake_destdir;
	p = copyplan_new(df, &opt, &e);
	if (p == NULL)
		fail_msg("%u:%u: %s", e.line, e.column, e.text);
	return (p);
}

static struct dockerfile *
parse(const char *text)
{
	struct dockerfile_error e;
	struct dockerfile *df = dockerfile_parse(text, strlen(text), &e);

	if (df == NULL)
		fail_msg("%s: %s", text, e.text);
	return (df);
}

static void
test_table(void **state)
{
	size_t i, nc, nd;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct dockerfile *df = parse(table[i].dockerfile);
		struct fake f = { 0 };
		struct copyplan *p;
		struct push_plan *pp;
		char **changed, **deleted, *got;

		f.names = split(table[i].files, &f.n);
		f.dirs = table[i].dirs;
		changed = split(table[i].changed, &nc);
		deleted = split(table[i].deleted, &nd);
		p = new_plan(df, &f, NULL);
		pp = copyplan_changes(p, (const char *const *)changed, nc,
		    (const char *const *)deleted, nd);
		got = render(p, pp);
		if (strcmp(got, table[i].want) != 0)
			fail_msg("%s\nchanged %s deleted %s\n got: %s\nwant: "
				 "%s (%s)",
			    table[i].dockerfile, table[i].changed,
			    table[i].deleted, got, table[i].want, pp->reason);
		free(got);
		push_plan_free(pp);
		copyplan_free(p);
		dockerfile_words_free(changed, nc);
		dockerfile_words_free(deleted, nd);
		dockerfile_words_free(f.names, f.n);
		dockerfile_free(df);
	}
}

/* What a replayed step sees. */
static void
test_force(void **state)
{
	struct dockerfile *df = parse(
	    "ARG G=g\nFROM i\nARG G\nARG A=a\n"
	    "ARG TARGETARCH\nARG N\nENV E=1 F=${E:-$A}\nUSER u$A\n"
	    "WORKDIR /w\nSHELL [\"/bin/bash\", \"-lc\"]\nCOPY a .\nRUN one\n"
	    "ENV E=2 L=3 PATH=/x:$PATH\nARG E=9\nUSER v\nRUN two\n");
	struct dockerfile_env *args = dockerfile_env_new();
	struct fake f = { 0 };
	struct copyplan *p;
	const struct copyplan_step *s;

	dockerfile_env_set(args, "A", "given");
	dockerfile_env_set(args, "UNDECLARED", "x");
	dockerfile_env_set(args, "http_proxy", "http://p");
	p = new_plan(df, &f, args);
	assert_int_equal(copyplan_nsteps(p), 3);
	s = copyplan_step(p, 1);
	assert_string_equal(s->argv[0], "/bin/bash");
	assert_string_equal(s->argv[2], "one");
	assert_null(s->argv[3]);
	assert_string_equal(s->user, "ugiven");
	assert_string_equal(s->workdir, "/w");
	assert_string_equal(dockerfile_env_get(s->env, "G"), "g");
	assert_string_equal(dockerfile_env_get(s->env, "A"), "given");
	assert_non_null(dockerfile_env_get(s->env, "TARGETARCH"));
	assert_null(dockerfile_env_get(s->env, "N"));
	assert_null(dockerfile_env_get(s->env, "UNDECLARED"));
	assert_string_equal(dockerfile_env_get(s->env, "http_proxy"),
	    "http://p");
	assert_string_equal(dockerfile_env_get(s->env, "E"), "1");
	assert_string_equal(dockerfile_env_get(s->env, "F"), "given");
	/* Later: L must go, PATH must be the base's. */
	assert_int_equal(s->nunset, 1);
	assert_string_equal(s->unset[0], "L");
	assert_string_equal(dockerfile_env_get(s->env, "PATH"),
	    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	s = copyplan_step(p, 2);
	assert_string_equal(dockerfile_env_get(s->env, "E"), "2");
	assert_int_equal(strncmp(dockerfile_env_get(s->env, "PATH"), "/x:/usr/",
			     8),
	    0);
	assert_int_equal(s->nunset, 0);
	assert_string_equal(s->user, "v");
	copyplan_free(p);
	dockerfile_env_free(args);
	dockerfile_free(df);
}

static int
gather(void *arg, const char *from, const char *to)
{
	putf(arg, "%s>%s", from, to);
	return (0);
}

static void
test_map_and_files(void **state)
{
	struct dockerfile *df = parse("FROM i\nCOPY j /w/\nRUN x\n"
				      "COPY --exclude=t . /w/\nCOPY s/* /v/\n");
	struct fake f = { 0 };
	struct copyplan_place *places;
	struct copyplan *p;
	struct buf b = { 0 };
	size_t n;

	f.names = split("j s/a s/t/u t/x", &f.n);
	p = new_plan(df, &f, NULL);
	copyplan_map(p, "j", false, &places, &n);
	assert_int_equal(n, 2);
	assert_int_equal(places[0].step, 0);
	assert_false(places[0].wins);
	assert_int_equal(places[1].step, 2);
	assert_string_equal(places[1].dest, "/w/j");
	assert_true(places[1].wins);
	copyplan_places_free(places, n);
	copyplan_map(p, "t/x", false, &places, &n);
	assert_int_equal(n, 0);
	copyplan_places_free(places, n);
	assert_int_equal(copyplan_files(p, 2, gather, &b), 0);
	assert_int_equal(copyplan_files(p, 3, gather, &b), 0);
	buf_add(&b, "", 1);
	assert_string_equal((char *)b.data,
	    "j>/w/j s/a>/w/s/a s/t/u>/w/s/t/u s/a>/v/a s/t/u>/v/u");
	buf_free(&b);
	copyplan_free(p);
	dockerfile_words_free(f.names, f.n);
	dockerfile_free(df);
}

static const struct {
	const char *pattern, *path;
	int want;
} matches[] = {
	{ "a", "a", 1 },
	{ "a", "b", 0 },
	{ "*", "", 1 },
	{ "*", "a/b", 0 },
	{ "a*b*c", "aXbYbZc", 1 },
	{ "a*b*c", "aXbYbZ", 0 },
	{ "*/*.c", "x/y.c", 1 },
	{ "*.c", "x/y.c", 0 },
	{ "?", "/", 0 },
	{ "?", "\xc3\xa4", 1 },
	{ "[\xc3\xa4-\xc3\xb6]", "\xc3\xa5", 1 },
	{ "[^a]", "b", 1 },
	{ "[^a]", "a", 0 },
	{ "[a-]", "a", -1 },
	{ "[]a]", "a", -1 },
	{ "[a", "a", -1 },
	{ "a[", "b", -1 },
	{ "\\*", "*", 1 },
	{ "\\*", "x", 0 },
	{ "a\\", "a", -1 },
	{ "[\\]]", "]", 1 },
	{ "**", "ab", 1 },
	{ "a*", "a", 1 },
	{ "*a", "b", 0 },
	{ "", "", 1 },
	{ "", "a", 0 },
};

static void
test_match(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(matches) / sizeof(matches[0]); i++)
		if (copyplan_match(matches[i].pattern, matches[i].path) !=
		    matches[i].want)
			fail_msg("%s %s", matches[i].pattern, matches[i].path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_force),
		cmocka_unit_test(test_map_and_files),
		cmocka_unit_test(test_match),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
