/*
 * Dockerfile parsing, as BuildKit's Dockerfile frontend does it.
 *
 * Pure code without I/O, for the image worker, the push worker and wharfctl.
 * The input is hostile: sizes are capped, nothing recurses, every error has
 * a place.  Parsing does not expand variables: see dockerfile_env.h for
 * words and dockerfile_graph.h for stages.
 */
#ifndef WORKERS_SHARED_DOCKERFILE_H
#define WORKERS_SHARED_DOCKERFILE_H

#include <stdbool.h>
#include <stddef.h>

#define DOCKERFILE_MAX_BYTES    (1024 * 1024) /* whole file */
#define DOCKERFILE_MAX_LINE     (64 * 1024)   /* a line as written, bytes */
#define DOCKERFILE_MAX_INSTRS   1000
#define DOCKERFILE_MAX_HEREDOCS 64 /* of one instruction */

enum dockerfile_kind {
	DOCKERFILE_ADD,
	DOCKERFILE_ARG,
	DOCKERFILE_CMD,
	DOCKERFILE_COPY,
	DOCKERFILE_ENTRYPOINT,
	DOCKERFILE_ENV,
	DOCKERFILE_EXPOSE,
	DOCKERFILE_FROM,
	DOCKERFILE_HEALTHCHECK,
	DOCKERFILE_LABEL,
	DOCKERFILE_MAINTAINER,
	DOCKERFILE_ONBUILD,
	DOCKERFILE_RUN,
	DOCKERFILE_SHELL,
	DOCKERFILE_STOPSIGNAL,
	DOCKERFILE_USER,
	DOCKERFILE_VOLUME,
	DOCKERFILE_WORKDIR
};

/* Where it went wrong; line and column count from 1, 0 is "unknown". */
struct dockerfile_error {
	unsigned line;
	unsigned column;
	char text[256]; /* printable, never with a newline */
};

/* --key or --key=value, in the order written */
struct dockerfile_flag {
	char *key;   /* without the dashes */
	char *value; /* NULL: no "=" */
};

struct dockerfile_heredoc {
	char *name;
	char *content; /* as written, tabs not stripped */
	bool expand;   /* no part of the name was quoted */
	bool strip;    /* <<-: leading tabs go */
};

/*
 * One instruction.  args holds, by kind:
 *   COPY ADD VOLUME	words, or the elements of the JSON array (json set);
 *			<<NAME words of heredocs stay among them
 *   RUN CMD ENTRYPOINT	one element with the text for the shell, or the
 *   SHELL		elements of the JSON array
 *   ENV LABEL		name, value, name, value, ... quotes kept
 *   ARG		NAME or NAME=VALUE words, quotes kept
 *   FROM EXPOSE	words
 *   others		one element with the rest of the line, or none
 */
struct dockerfile_instr {
	enum dockerfile_kind kind;
	unsigned line;     /* first line, from 1 */
	unsigned end_line; /* last, heredocs included */
	unsigned column;   /* of its name, from 1 */
	struct dockerfile_flag *flags;
	size_t nflags;
	char **args;
	size_t nargs;
	bool json;
	/* Steps from here on are live: a #dev-* directive came before. */
	bool live;
	struct dockerfile_heredoc *heredocs;
	size_t nheredocs;
	struct dockerfile_instr *trigger; /* ONBUILD's, else NULL */
	char *text;                       /* continuations joined */
};

struct dockerfile_directive {
	char *key; /* lower case: syntax, escape, check */
	char *value;
	unsigned line;
};

struct dockerfile {
	char escape; /* '\\' or '`' */
	struct dockerfile_directive *directives;
	size_t ndirectives;
	struct dockerfile_instr *instrs;
	size_t ninstrs;
};

/*
 * Parse len bytes of buf, which stay the caller's.  On success the caller
 * owns the result (dockerfile_free); NULL means that err is filled in.
 */
struct dockerfile *dockerfile_parse(const char *, size_t,
    struct dockerfile_error *);
void dockerfile_free(struct dockerfile *);

/* "COPY"; the string is static. */
const char *dockerfile_kind_name(enum dockerfile_kind);

/* The value of a flag, "" for one without a value, NULL when not given. */
const char *dockerfile_flag(const struct dockerfile_instr *, const char *);

/* A flag without a value or with any value but "false". */
bool dockerfile_flag_on(const struct dockerfile_instr *, const char *);

/* One RUN --mount; variables in it are as written. */
struct dockerfile_mount {
	char *type;   /* lower case; "bind" when not given */
	char *from;   /* NULL: the context */
	char *source; /* NULL: all of it */
	char *target;
};

/* The caller owns the members (dockerfile_mount_clear).  -1: errbuf. */
int dockerfile_mount_parse(const char *value, struct dockerfile_mount *,
    char *errbuf, size_t errlen);
void dockerfile_mount_clear(struct dockerfile_mount *);

/*
 * The content of a heredoc as the build sees it: leading tabs stripped when
 * it was written <<-.  The caller frees; NULL is out of memory.
 */
char *dockerfile_heredoc_text(const struct dockerfile_heredoc *);

/* The heredoc a word of COPY or ADD names (<<EOF), or NULL. */
const struct dockerfile_heredoc *
dockerfile_heredoc_of(const struct dockerfile_instr *, const char *word);

/* Fill in err, text made printable.  Always returns -1. */
int dockerfile_fail(struct dockerfile_error *, unsigned line, unsigned column,
    const char *fmt, ...) __attribute__((__format__(printf, 4, 5)));

#endif
