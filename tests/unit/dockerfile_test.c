/*
 * Dockerfile parsing, and the images and stages that follow from it.
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
#include "workers/shared/dockerfile.h"
#include "workers/shared/dockerfile_graph.h"

static struct dockerfile *
parse(const char *text)
{
	struct dockerfile_error e;
	struct dockerfile *df = dockerfile_parse(text, strlen(text), &e);

	if (df == NULL)
		fail_msg("%s: %u:%u: %s", text, e.line, e.column, e.text);
	return (df);
}

/* "KIND[line-end]{flags}(args)" of each instruction. */
static char *
render(const struct dockerfile *df)
{
	struct buf b = { 0 };
	size_t i, k;

	for (i = 0; i < df->ninstrs; i++) {
		const struct dockerfile_instr *in = &df->instrs[i];
		char *s = xasprintf("%s%s[%u-%u]", i == 0 ? "" : " ",
		    dockerfile_kind_name(in->kind), in->line, in->end_line);

		buf_add(&b, s, strlen(s));
		free(s);
		for (k = 0; k < in->nflags; k++) {
			s = xasprintf("{%s%s%s}", in->flags[k].key,
			    in->flags[k].value == NULL ? "" : "=",
			    in->flags[k].value == NULL ? "" :
							 in->flags[k].value);
			buf_add(&b, s, strlen(s));
			free(s);
		}
		for (k = 0; k < in->nargs; k++) {
			s = xasprintf("%s%s%s", in->json ? "<" : "(",
			    in->args[k], in->json ? ">" : ")");
			buf_add(&b, s, strlen(s));
			free(s);
		}
	}
	buf_add(&b, "", 1);
	return ((char *)b.data);
}

static const struct {
	const char *text, *want;
} good[] = {
	{ "FROM a", "FROM[1-1](a)" },
	{ "\xef\xbb\xbf"
	  "from a as B\r\n",
	    "FROM[1-1](a)(as)(B)" },
	{ "# c\n\nFROM \\\n# c\n\n  a \\ \t\n AS b\nRUN x\n",
	    "FROM[3-7](a)(AS)(b) RUN[8-8](x)" },
	{ "FROM a\nRUN one \\\\\nRUN two",
	    "FROM[1-1](a) RUN[2-2](one \\\\) RUN[3-3](two)" },
	{ "# escape=`\nFROM a\nRUN one `\n two \\\nRUN c",
	    "FROM[2-2](a) RUN[3-4](one  two \\) RUN[5-5](c)" },
	{ "# syntax=x/y:1\n# Escape = `\nFROM a\nRUN p `\nq",
	    "FROM[3-3](a) RUN[4-5](p q)" },
	{ "# plain\n# escape=`\nFROM a\nRUN p `\nRUN q",
	    "FROM[3-3](a) RUN[4-4](p `) RUN[5-5](q)" },
	{ "FROM --platform=linux/arm64 a\nCOPY --link --chown=u:g x y z/",
	    "FROM[1-1]{platform=linux/arm64}(a) "
	    "COPY[2-2]{link}{chown=u:g}(x)(y)(z/)" },
	{ "FROM a\nRUN [\"p\", \"q r\"]\nRUN [\"p\", q]\nRUN [\"p\"] x",
	    "FROM[1-1](a) RUN[2-2]<p><q r> RUN[3-3]([\"p\", q]) "
	    "RUN[4-4]([\"p\"] x)" },
	{ "FROM a\nCOPY [\"b c\", \"d/\"]\nCOPY \"b c\" d",
	    "FROM[1-1](a) COPY[2-2]<b c><d/> COPY[3-3](\"b)(c\")(d)" },
	{ "FROM a\nENV A=\"x y\" B=z\\ w\nENV C  d e\nLABEL l=\"<<E\"",
	    "FROM[1-1](a) ENV[2-2](A)(\"x y\")(B)(z\\ w) ENV[3-3](C)(d e) "
	    "LABEL[4-4](l)(\"<<E\")" },
	{ "ARG A B=\"c d\"\nFROM a\nHEALTHCHECK NONE",
	    "ARG[1-1](A)(B=\"c d\") FROM[2-2](a) HEALTHCHECK[3-3](NONE)" },
	{ "FROM a\nHEALTHCHECK --retries=2 CMD [\"t\"]\nEXPOSE 1 2/udp",
	    "FROM[1-1](a) HEALTHCHECK[2-2]{retries=2}<CMD><t> "
	    "EXPOSE[3-3](1)(2/udp)" },
	{ "FROM a\nRUN <<X\nFROM b\nX\nRUN y",
	    "FROM[1-1](a) RUN[2-4](<<X) "
	    "RUN[5-5](y)" },
	{ "FROM a\nCOPY <<A <<-'B' d/\n1\nA\n\t2\n\tB\nUSER u",
	    "FROM[1-1](a) COPY[2-6](<<A)(<<-'B')(d/) USER[7-7](u)" },
	{ "FROM a\nONBUILD RUN <<E\nx\nE\nONBUILD NOSUCH thing",
	    "FROM[1-1](a) ONBUILD[2-4](RUN <<E) ONBUILD[5-5](NOSUCH thing)" },
	{ "FROM a\nRUN --mount=type=cache,target=/c,from=i --network=none x",
	    "FROM[1-1](a) RUN[2-2]{mount=type=cache,target=/c,from=i}"
	    "{network=none}(x)" },
	{ "FROM a\nRUN -- --x", "FROM[1-1](a) RUN[2-2](--x)" },
	{ "FROM a\nRUN [\"a\\tb\\u00e4\"]",
	    "FROM[1-1](a) RUN[2-2]<a\tb\xc3\xa4>" },
};

static void
test_good(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct dockerfile *df = parse(good[i].text);
		char *got = render(df);

		assert_string_equal(got, good[i].want);
		free(got);
		dockerfile_free(df);
	}
}

static const struct {
	const char *text;
	unsigned line, column;
	const char *want;
} bad[] = {
	{ "", 1, 1, "cannot be empty" },
	{ "# only\n", 1, 1, "no instructions" },
	{ "ARG A\n", 1, 1, "no stages" },
	{ "RUN x\nFROM a", 1, 1, "no build stage" },
	{ "FROM a\n  FOO b", 2, 3, "unknown instruction: FOO" },
	{ "FROM a b", 1, 1, "one or three" },
	{ "FROM a # b", 1, 1, "one or three" },
	{ "FROM a AS 1x", 1, 1, "invalid name" },
	{ "FROM a AS x/y", 1, 1, "invalid name" },
	{ "# escape=x\nFROM a", 1, 1, "invalid escape token" },
	{ "# escape=`\n# escape=`\nFROM a", 2, 1, "only one escape" },
	{ "FROM a\nCOPY x", 2, 1, "at least two" },
	{ "FROM a\nADD --nope x y", 2, 1, "unknown flag: --nope" },
	{ "FROM a\nCOPY --chown x y", 2, 1, "missing a value" },
	{ "FROM a\nCOPY --link=maybe x y", 2, 1, "boolean" },
	{ "FROM a\nCOPY --from=b --from=c x y", 2, 1, "duplicate flag" },
	{ "FROM a\nCOPY x <<E\nE", 2, 1, "destination" },
	{ "FROM a\nRUN <<E\nx", 2, 5, "unterminated heredoc" },
	{ "FROM a\nRUN [\"x\", 3]", 2, 1, "strings only" },
	{ "FROM a\nSHELL sh -c", 2, 1, "JSON form" },
	{ "FROM a\nENV X", 2, 1, "two arguments" },
	{ "FROM a\nENV X=1 Y", 2, 1, "can't find =" },
	{ "FROM a\nONBUILD ONBUILD RUN x", 2, 1, "Chaining" },
	{ "FROM a\nONBUILD from b", 2, 1, "isn't allowed" },
	{ "FROM a\nONBUILD", 2, 1, "at least one" },
	{ "FROM a\nWORKDIR", 2, 1, "exactly one" },
	{ "FROM a\nHEALTHCHECK SOMETIMES", 2, 1, "Unknown type" },
	{ "FROM a\nRUN --mount x", 2, 1, "missing a value on flag: --mount" },
	{ "FROM a\nRUN --mount=type=wrong x", 2, 1, "unsupported mount" },
	{ "FROM a\nRUN --mount=from=$X x", 2, 1, "variable expansion" },
	{ "FROM a\nRUN --network=moon x", 2, 1, "network" },
};

static void
test_bad(void **state)
{
	struct dockerfile_error e;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (dockerfile_parse(bad[i].text, strlen(bad[i].text), &e) !=
		    NULL)
			fail_msg("taken: %s", bad[i].text);
		if (strstr(e.text, bad[i].want) == NULL)
			fail_msg("%s: %s", bad[i].text, e.text);
		assert_int_equal(e.line, bad[i].line);
		assert_int_equal(e.column, bad[i].column);
	}
}

static void
test_heredocs(void **state)
{
	struct dockerfile *df =
	    parse("FROM a\n"
		  "COPY <<-one <<\"two\" 3<<thr''ee /d/\n\t\ta\n\tone\nb\ntwo\n"
		  "three\n");
	const struct dockerfile_instr *in = &df->instrs[1];
	char *s;

	assert_int_equal(in->nheredocs, 3);
	s = dockerfile_heredoc_text(&in->heredocs[0]);
	assert_string_equal(s, "a\n");
	free(s);
	assert_string_equal(in->heredocs[0].content, "\t\ta\n");
	assert_true(in->heredocs[0].expand);
	assert_string_equal(in->heredocs[1].name, "two");
	assert_false(in->heredocs[1].expand);
	assert_string_equal(in->heredocs[1].content, "b\n");
	assert_string_equal(in->heredocs[2].name, "three");
	assert_string_equal(in->heredocs[2].content, "");
	assert_ptr_equal(dockerfile_heredoc_of(in, "<<\"two\""),
	    &in->heredocs[1]);
	assert_null(dockerfile_heredoc_of(in, "two"));
	dockerfile_free(df);
}

static void
expect_limit(char *text, size_t len, const char *want)
{
	struct dockerfile_error e;
	struct dockerfile *df = dockerfile_parse(text, len, &e);

	if (want == NULL)
		assert_non_null(df);
	else {
		assert_null(df);
		assert_non_null(strstr(e.text, want));
	}
	dockerfile_free(df);
	free(text);
}

static char *
repeated(const char *head, const char *unit, size_t n)
{
	size_t h = strlen(head), u = strlen(unit), i;
	char *s = xcalloc(1, h + n * u + 1);

	memcpy(s, head, h);
	for (i = 0; i < n; i++)
		memcpy(s + h + i * u, unit, u);
	return (s);
}

static void
test_limits(void **state)
{
	char *s;

	s = repeated("FROM a\n", "RUN x\n", DOCKERFILE_MAX_INSTRS - 1);
	expect_limit(s, strlen(s), NULL);
	s = repeated("FROM a\n", "RUN x\n", DOCKERFILE_MAX_INSTRS);
	expect_limit(s, strlen(s), "more than 1000 instructions");
	s = repeated("FROM a\nRUN ", "x", DOCKERFILE_MAX_LINE - 5);
	expect_limit(s, strlen(s), NULL);
	s = repeated("FROM a\nRUN ", "x", DOCKERFILE_MAX_LINE - 4);
	expect_limit(s, strlen(s), "line greater");
	s = repeated("FROM a\n", "#\n", DOCKERFILE_MAX_BYTES / 2);
	expect_limit(s, strlen(s), "larger than");
	s = repeated("FROM a\nCOPY", " <<E", DOCKERFILE_MAX_HEREDOCS + 1);
	expect_limit(s, strlen(s), "heredocs");
	s = repeated("FROM a\nRUN x", "y", 3);
	s[8] = '\0';
	expect_limit(s, 14, "NUL");
}

static const struct {
	const char *text, *target, *args, *want;
} graphs[] = {
	{ "FROM debian:12\n", NULL, NULL, "docker.io/library/debian:12@1" },
	{ "ARG V=1\nFROM i:$V", NULL, NULL, "docker.io/library/i:1@2" },
	{ "ARG V=1\nFROM i:$V", NULL, "V=2", "docker.io/library/i:2@2" },
	{ "ARG R=r.example:5000\nARG N=${R}/t/b\nFROM ${N}:3", NULL, NULL,
	    "r.example:5000/t/b:3@3" },
	{ "FROM x:1 AS Base\nFROM base\n", NULL, NULL,
	    "docker.io/library/x:1@1" },
	{ "FROM x:1 AS unused\nFROM y:1\n", NULL, NULL,
	    "docker.io/library/y:1@2" },
	{ "FROM x:1 AS b\nFROM y:1\nCOPY --from=B /p /p", NULL, NULL,
	    "docker.io/library/x:1@1 docker.io/library/y:1@2" },
	{ "FROM x:1 AS b\nFROM y:1\nCOPY --from=0 /p /p", "b", NULL,
	    "docker.io/library/x:1@1" },
	{ "FROM x:1\nCOPY --from=z:2 /p /p\nADD . /", NULL, NULL,
	    "docker.io/library/x:1@1 docker.io/library/z:2@2" },
	{ "FROM x:1\nCOPY --from=3d/3d /p /p", NULL, NULL,
	    "docker.io/library/x:1@1 docker.io/3d/3d:latest@2" },
	{ "FROM x:1\nRUN --mount=from=z:2,target=/z ls", NULL, NULL,
	    "docker.io/library/x:1@1 docker.io/library/z:2@2" },
	{ "FROM scratch\nCOPY . /", NULL, NULL, "" },
	{ "FROM p AS s\nFROM q AS p\nCOPY --from=s /a /a", NULL, NULL,
	    "docker.io/library/p:latest@1 docker.io/library/q:latest@2" },
	{ "FROM x AS n\nFROM y AS n\nFROM n", NULL, NULL,
	    "docker.io/library/y:latest@2" },
	{ "FROM x AS n\nENV T=9\nFROM y:${T:-8}", NULL, NULL,
	    "docker.io/library/y:8@3" },
	{ "FROM x:$TARGETARCH", NULL, "TARGETARCH=riscv64",
	    "docker.io/library/x:riscv64@1" },
	{ "FROM x\nONBUILD COPY --from=y /a /a", NULL, NULL,
	    "docker.io/library/x:latest@1" },
	{ "FROM x AS b\nONBUILD COPY --from=y /a /a\nFROM b", NULL, NULL,
	    "docker.io/library/x:latest@1 docker.io/library/y:latest@2" },
	{ "FROM x\nFROM x\nCOPY --from=0 /a /a\nCOPY --from=x /b /b", NULL,
	    NULL, "docker.io/library/x:latest@1" },
	{ "ARG B\nFROM $B", NULL, NULL, "!should not be blank" },
	{ "ARG I=n\nFROM x\nCOPY --from=$I /a /a", NULL, NULL,
	    "!variable expansion" },
	{ "FROM x\nCOPY --from=7 /a /a", NULL, NULL, "!invalid stage index" },
	{ "FROM x AS a\nCOPY --from=b /a /a\nFROM y AS b\nCOPY --from=a /b /b",
	    NULL, NULL, "!circular dependency detected on stage: a" },
	{ "FROM x AS a\nCOPY --from=a /a /a", NULL, NULL, "!circular" },
	{ "FROM Upper", NULL, NULL, "!must be lowercase" },
	{ "FROM x", "nope", NULL, "!could not be found" },
	{ "FROM --platform=$NOPE x", NULL, NULL, "!empty platform" },
};

static char *
render_images(const struct dockerfile_graph *g)
{
	struct buf b = { 0 };
	size_t i;

	for (i = 0; i < g->nimages; i++) {
		char *s = xasprintf("%s%s@%u", i == 0 ? "" : " ",
		    g->images[i].ref, g->images[i].line);

		buf_add(&b, s, strlen(s));
		free(s);
	}
	buf_add(&b, "", 1);
	return ((char *)b.data);
}

static void
test_graphs(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(graphs) / sizeof(graphs[0]); i++) {
		struct dockerfile *df = parse(graphs[i].text);
		struct dockerfile_env *args = dockerfile_env_new();
		struct dockerfile_options opt = { graphs[i].target, NULL,
			args };
		struct dockerfile_error e;
		struct dockerfile_graph *g;

		if (graphs[i].args != NULL) {
			char *k = xstrdup(graphs[i].args);
			char *v = strchr(k, '=');

			*v++ = '\0';
			assert_int_equal(dockerfile_env_set(args, k, v), 0);
			free(k);
		}
		g = dockerfile_graph_new(df, &opt, &e);
		if (graphs[i].want[0] == '!') {
			assert_null(g);
			if (strstr(e.text, graphs[i].want + 1) == NULL)
				fail_msg("%s: %s", graphs[i].text, e.text);
		} else {
			char *got;

			if (g == NULL)
				fail_msg("%s: %s", graphs[i].text, e.text);
			got = render_images(g);
			assert_string_equal(got, graphs[i].want);
			free(got);
		}
		dockerfile_graph_free(g);
		dockerfile_env_free(args);
		dockerfile_free(df);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_heredocs),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_graphs),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
