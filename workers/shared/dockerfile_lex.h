/*
 * Private to the Dockerfile parser: lines, flags, words, JSON arrays.
 */
#ifndef WORKERS_SHARED_DOCKERFILE_LEX_H
#define WORKERS_SHARED_DOCKERFILE_LEX_H

#include <stdbool.h>
#include <stddef.h>

#include "workers/shared/dockerfile.h"

/* Physical lines of the file; line counts those handed out. */
struct dockerfile_lines {
	const char *p;
	const char *end;
	unsigned line;
};

/* The next line without its end: 1, 0 at the end of file, -1 too long. */
int dockerfile_lex_line(struct dockerfile_lines *, const char **s, size_t *len,
    size_t *full);

/* Skip the blanks of a line. */
const char *dockerfile_lex_skip(const char *);

/* Take flags off the front of text into the instruction; the rest. */
const char *dockerfile_lex_flags(const char *, struct dockerfile_instr *);

/* Append to args; takes the string. */
void dockerfile_lex_add(struct dockerfile_instr *, char *);

/* Split at blanks, quotes mean nothing. */
void dockerfile_lex_split(const char *, struct dockerfile_instr *);

/* Split into words, quotes and the escape character kept in them. */
void dockerfile_lex_words(const char *, char escape, struct dockerfile_instr *);

/*
 * A JSON array of strings: 1 and args are set, 0 when it is not JSON, -1
 * when it is an array that holds something else.
 */
int dockerfile_lex_json(const char *, struct dockerfile_instr *);

/* Heredoc words of a line, as COPY, ADD and RUN may have: -1 too many. */
int dockerfile_lex_heredocs(const char *, struct dockerfile_instr *,
    char *errbuf, size_t errlen);

/* One word: 1 a heredoc, then *h is set without content; 0 none. */
int dockerfile_lex_heredoc(const char *, struct dockerfile_heredoc *h);

/* Free what an instruction holds, but for its trigger. */
void dockerfile_instr_clear(struct dockerfile_instr *);

/* Argument counts and flags: dockerfile_check.c. */
int dockerfile_check(const struct dockerfile_instr *,
    struct dockerfile_error *);

#endif
