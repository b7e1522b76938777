/*
 * What each Dockerfile instruction requires of its arguments and flags.
 * Rules and words: BuildKit frontend/dockerfile/instructions.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "workers/shared/dockerfile_lex.h"

enum flag_type { FLAG_BOOL, FLAG_TEXT, FLAG_TEXTS };

static const struct {
	enum dockerfile_kind kind;
	const char *key;
	enum flag_type type;
} flags[] = {
	{ DOCKERFILE_ADD, "chown", FLAG_TEXT },
	{ DOCKERFILE_ADD, "chmod", FLAG_TEXT },
	{ DOCKERFILE_ADD, "link", FLAG_BOOL },
	{ DOCKERFILE_ADD, "keep-git-dir", FLAG_BOOL },
	{ DOCKERFILE_ADD, "checksum", FLAG_TEXT },
	{ DOCKERFILE_ADD, "unpack", FLAG_BOOL },
	{ DOCKERFILE_ADD, "exclude", FLAG_TEXTS },
	{ DOCKERFILE_COPY, "chown", FLAG_TEXT },
	{ DOCKERFILE_COPY, "chmod", FLAG_TEXT },
	{ DOCKERFILE_COPY, "from", FLAG_TEXT },
	{ DOCKERFILE_COPY, "link", FLAG_BOOL },
	{ DOCKERFILE_COPY, "exclude", FLAG_TEXTS },
	{ DOCKERFILE_COPY, "parents", FLAG_BOOL },
	{ DOCKERFILE_FROM, "platform", FLAG_TEXT },
	{ DOCKERFILE_RUN, "mount", FLAG_TEXTS },
	{ DOCKERFILE_RUN, "network", FLAG_TEXT },
	{ DOCKERFILE_RUN, "security", FLAG_TEXT },
	{ DOCKERFILE_RUN, "device", FLAG_TEXTS },
	{ DOCKERFILE_HEALTHCHECK, "interval", FLAG_TEXT },
	{ DOCKERFILE_HEALTHCHECK, "timeout", FLAG_TEXT },
	{ DOCKERFILE_HEALTHCHECK, "start-period", FLAG_TEXT },
	{ DOCKERFILE_HEALTHCHECK, "start-interval", FLAG_TEXT },
	{ DOCKERFILE_HEALTHCHECK, "retries", FLAG_TEXT },
};
#define NFLAGS (sizeof(flags) / sizeof(flags[0]))

#define FAIL(in, err, ...) \
	dockerfile_fail(err, (in)->line, (in)->column, __VA_ARGS__)

static int
check_flag(const struct dockerfile_instr *in, size_t n,
    struct dockerfile_error *err)
{
	const struct dockerfile_flag *f = &in->flags[n];
	size_t i, k;

	for (i = 0; i < NFLAGS; i++)
		if (flags[i].kind == in->kind &&
		    strcmp(flags[i].key, f->key) == 0)
			break;
	if (i == NFLAGS)
		return (FAIL(in, err, "unknown flag: --%.80s", f->key));
	for (k = 0; k < n && flags[i].type != FLAG_TEXTS; k++)
		if (strcmp(in->flags[k].key, f->key) == 0)
			return (FAIL(in, err, "duplicate flag specified: --%s",
			    f->key));
	if (flags[i].type != FLAG_BOOL)
		return (f->value != NULL ?
			0 :
			FAIL(in, err, "missing a value on flag: --%s", f->key));
	if (f->value == NULL || strcasecmp(f->value, "true") == 0 ||
	    strcasecmp(f->value, "false") == 0)
		return (0);
	if (*f->value == '\0')
		return (FAIL(in, err, "missing a value on flag: --%s", f->key));
	return (FAIL(in, err,
	    "expecting boolean value for flag --%s, not: "
	    "%.80s",
	    f->key, f->value));
}

static int
check_from(const struct dockerfile_instr *in, struct dockerfile_error *err)
{
	const char *s;

	if (in->nargs == 1)
		return (0);
	if (in->nargs != 3 || strcasecmp(in->args[1], "as") != 0)
		return (FAIL(in, err,
		    "FROM requires either one or three "
		    "arguments"));
	s = in->args[2];
	if (isalpha((unsigned char)*s))
		while (isalnum((unsigned char)*s) ||
		    (*s != '\0' && strchr("-_.", *s) != NULL))
			s++;
	if (*s != '\0' || s == in->args[2])
		return (FAIL(in, err,
		    "invalid name for build stage: "
		    "\"%.80s\", name can't start with a number or contain "
		    "symbols",
		    in->args[2]));
	return (0);
}

static int
check_copy(const struct dockerfile_instr *in, struct dockerfile_error *err)
{
	const char *name = dockerfile_kind_name(in->kind);
	struct dockerfile_heredoc h;
	const char *last;

	if (in->nargs < 2)
		return (FAIL(in, err,
		    "%s requires at least two arguments, but "
		    "only one was provided. Destination could not be "
		    "determined",
		    name));
	last = in->args[in->nargs - 1];
	if (!in->json && dockerfile_lex_heredoc(last, &h) == 1) {
		free(h.name);
		return (FAIL(in, err,
		    "%s cannot accept a heredoc as a "
		    "destination",
		    name));
	}
	return (0);
}

static int
check_run(const struct dockerfile_instr *in, struct dockerfile_error *err)
{
	struct dockerfile_mount m;
	const char *v;
	char text[200];
	size_t i;

	for (i = 0; i < in->nflags; i++) {
		if (strcmp(in->flags[i].key, "mount") != 0 ||
		    in->flags[i].value == NULL) /* check_flag says it */
			continue;
		if (dockerfile_mount_parse(in->flags[i].value, &m, text,
			sizeof(text)) == -1)
			return (FAIL(in, err, "%s", text));
		dockerfile_mount_clear(&m);
	}
	v = dockerfile_flag(in, "network");
	if (v != NULL && strcmp(v, "default") != 0 && strcmp(v, "none") != 0 &&
	    strcmp(v, "host") != 0)
		return (FAIL(in, err, "invalid network mode \"%.40s\"", v));
	v = dockerfile_flag(in, "security");
	if (v != NULL && strcmp(v, "sandbox") != 0 &&
	    strcmp(v, "insecure") != 0)
		return (FAIL(in, err, "security \"%.40s\" is not valid", v));
	return (0);
}

static int
check_onbuild(const struct dockerfile_instr *in, struct dockerfile_error *err)
{
	if (in->nargs == 0)
		return (
		    FAIL(in, err, "ONBUILD requires at least one argument"));
	if (in->trigger == NULL)
		return (0);
	if (in->trigger->kind == DOCKERFILE_ONBUILD)
		return (FAIL(in, err,
		    "Chaining ONBUILD via `ONBUILD ONBUILD` "
		    "isn't allowed"));
	if (in->trigger->kind == DOCKERFILE_FROM ||
	    in->trigger->kind == DOCKERFILE_MAINTAINER)
		return (FAIL(in, err, "%s isn't allowed as an ONBUILD trigger",
		    dockerfile_kind_name(in->trigger->kind)));
	return (0);
}

static int
check_health(const struct dockerfile_instr *in, struct dockerfile_error *err)
{
	if (in->nargs == 0)
		return (FAIL(in, err,
		    "HEALTHCHECK requires at least one argument"));
	if (strcasecmp(in->args[0], "none") == 0)
		return (in->nargs == 1 ?
			0 :
			FAIL(in, err, "HEALTHCHECK NONE takes no arguments"));
	if (strcasecmp(in->args[0], "cmd") != 0)
		return (FAIL(in, err,
		    "Unknown type \"%.40s\" in HEALTHCHECK "
		    "(try CMD)",
		    in->args[0]));
	if (in->nargs == 1)
		return (FAIL(in, err, "Missing command after HEALTHCHECK CMD"));
	return (0);
}

static int
check_names(const struct dockerfile_instr *in, struct dockerfile_error *err)
{
	const char *name = dockerfile_kind_name(in->kind);
	size_t i, step = in->kind == DOCKERFILE_ARG ? 1 : 2;

	if (in->nargs == 0)
		return (
		    FAIL(in, err, "%s requires at least one argument", name));
	for (i = 0; i < in->nargs; i += step)
		if (in->args[i][0] == '\0' ||
		    (step == 1 && in->args[i][0] == '='))
			return (
			    FAIL(in, err, "%s names can not be blank", name));
	return (0);
}

static int
check_count(const struct dockerfile_instr *in, bool one,
    struct dockerfile_error *err)
{
	const char *name = dockerfile_kind_name(in->kind);
	size_t i;

	if (one && in->nargs != 1)
		return (
		    FAIL(in, err, "%s requires exactly one argument", name));
	if (in->nargs == 0)
		return (
		    FAIL(in, err, "%s requires at least one argument", name));
	for (i = 0; in->kind == DOCKERFILE_VOLUME && i < in->nargs; i++)
		if (*dockerfile_lex_skip(in->args[i]) == '\0')
			return (FAIL(in, err,
			    "VOLUME specified can not be an empty string"));
	return (0);
}

static int
check_shell(const struct dockerfile_instr *in, struct dockerfile_error *err)
{
	if (in->nargs == 0)
		return (FAIL(in, err, "SHELL requires at least one argument"));
	if (!in->json)
		return (FAIL(in, err,
		    "SHELL requires the arguments to be in JSON form"));
	return (0);
}

static int
check_args(const struct dockerfile_instr *in, struct dockerfile_error *err)
{
	switch (in->kind) {
	case DOCKERFILE_FROM:
		return (check_from(in, err));
	case DOCKERFILE_ADD:
	case DOCKERFILE_COPY:
		return (check_copy(in, err));
	case DOCKERFILE_RUN:
		return (check_run(in, err));
	case DOCKERFILE_ONBUILD:
		return (check_onbuild(in, err));
	case DOCKERFILE_HEALTHCHECK:
		return (check_health(in, err));
	case DOCKERFILE_ARG:
	case DOCKERFILE_ENV:
	case DOCKERFILE_LABEL:
		return (check_names(in, err));
	case DOCKERFILE_SHELL:
		return (check_shell(in, err));
	case DOCKERFILE_EXPOSE:
	case DOCKERFILE_VOLUME:
		return (check_count(in, false, err));
	case DOCKERFILE_MAINTAINER:
	case DOCKERFILE_STOPSIGNAL:
	case DOCKERFILE_USER:
	case DOCKERFILE_WORKDIR:
		return (check_count(in, true, err));
	case DOCKERFILE_CMD:
	case DOCKERFILE_ENTRYPOINT:
		break;
	}
	return (0);
}

int
dockerfile_check(const struct dockerfile_instr *in,
    struct dockerfile_error *err)
{
	size_t i;

	if (check_args(in, err) == -1)
		return (-1);
	if (in->kind == DOCKERFILE_STOPSIGNAL || in->kind == DOCKERFILE_ARG)
		return (0); /* the builder does not look */
	for (i = 0; i < in->nflags; i++)
		if (check_flag(in, i, err) == -1)
			return (-1);
	return (0);
}
