/*
 * Variables of a Dockerfile: an environment, and the expansion of words as
 * BuildKit's shell lexer does it.  Pure code, any process.
 */
#ifndef WORKERS_SHARED_DOCKERFILE_ENV_H
#define WORKERS_SHARED_DOCKERFILE_ENV_H

#include <stdbool.h>
#include <stddef.h>

#define DOCKERFILE_MAX_WORD (64 * 1024)  /* an expanded word, bytes */
#define DOCKERFILE_MAX_ENV  (256 * 1024) /* an environment, bytes */
#define DOCKERFILE_MAX_VARS 512
#define DOCKERFILE_MAX_WORK (256 * 1024 * 1024) /* steps of one file */

struct dockerfile_var {
	char *name;
	char *value;
};

/* In the order of first setting; names are unique. */
struct dockerfile_env {
	struct dockerfile_var *vars;
	size_t nvars;
	size_t bytes; /* of all names and values */
	/*
	 * What expansion may still cost, borrowed; NULL: no limit.  It keeps
	 * a hostile file from being small and slow.
	 */
	size_t *work;
};

struct dockerfile_env *dockerfile_env_new(void);
struct dockerfile_env *dockerfile_env_copy(const struct dockerfile_env *);
void dockerfile_env_free(struct dockerfile_env *);

/* Set name to value, both copied.  -1: DOCKERFILE_MAX_ENV, _VARS. */
int dockerfile_env_set(struct dockerfile_env *, const char *name,
    const char *value);

/*
 * Set what "NAME=VALUE" says; without a name or a value it sets nothing, as
 * does what is too large.
 */
void dockerfile_env_put(struct dockerfile_env *, const char *pair);

/*
 * The name of "NAME[=VALUE]", which the caller frees; *value is in it, or
 * NULL.
 */
char *dockerfile_env_split(const char *pair, char **value);

/* The value, owned by the environment, or NULL. */
const char *dockerfile_env_get(const struct dockerfile_env *, const char *name);

/*
 * Expand one word: $V ${V} ${V-w} ${V:-w} ${V+w} ${V:+w} ${V?w} ${V:?w}
 * ${V#p} ${V##p} ${V%p} ${V%%p} ${V/p/r} ${V//p/r}, quotes and the escape
 * character removed.  The caller frees the result; NULL: errbuf says why.
 */
char *dockerfile_expand(const char *word, char escape,
    const struct dockerfile_env *, char *errbuf, size_t errlen);

/* How dockerfile_words treats its text. */
#define DOCKERFILE_WORDS_RAWQUOTES  0x01 /* keep quotes */
#define DOCKERFILE_WORDS_UNSET      0x02 /* leave unset $V as written */
#define DOCKERFILE_WORDS_RAWESCAPES 0x04 /* keep escape characters */

/*
 * Expand and split at blanks outside of quotes; no environment (NULL) has no
 * variables.  On success *words and its *n elements belong to the caller
 * (dockerfile_words_free).  -1: errbuf.
 */
int dockerfile_words(const char *text, char escape,
    const struct dockerfile_env *, int flags, char ***words, size_t *n,
    char *errbuf, size_t errlen);
void dockerfile_words_free(char **, size_t);

#endif
