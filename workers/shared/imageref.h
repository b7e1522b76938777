/*
 * Image references: parsing and the normal form, as Docker's reference
 * package has them.  Pure code, any process.
 */
#ifndef WORKERS_SHARED_IMAGEREF_H
#define WORKERS_SHARED_IMAGEREF_H

#include <stddef.h>

#define IMAGEREF_MAX 4096 /* a reference as written, bytes */

struct imageref {
	char *registry;   /* "docker.io", "localhost:5000" */
	char *repository; /* "library/debian" */
	char *tag;        /* NULL: none; "latest" when nothing given */
	char *digest;     /* "sha256:..." or NULL */
};

/*
 * Parse and normalise a reference.  The members of *ref belong to the caller
 * (imageref_clear).  -1: errbuf holds Docker's words for what is wrong.
 */
int imageref_parse(const char *, struct imageref *ref, char *errbuf,
    size_t errlen);
void imageref_clear(struct imageref *);

/* "docker.io/library/debian:bookworm"; the caller frees.  NULL: memory. */
char *imageref_format(const struct imageref *);

/*
 * As a person writes it: no docker.io/, no library/, unless what is left would
 * be read as something else; the caller frees.
 */
char *imageref_familiar(const struct imageref *);

/* Parse and format in one go; the caller frees.  NULL: errbuf. */
char *imageref_normal(const char *, char *errbuf, size_t errlen);

#endif
