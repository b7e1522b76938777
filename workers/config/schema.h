/*
 * The keys of wharfd.yaml: which there are, and what they take.  Private to
 * workers/config.
 */
#ifndef WORKERS_CONFIG_SCHEMA_H
#define WORKERS_CONFIG_SCHEMA_H

#include "workers/config/config.h"
#include "workers/config/ydoc.h"

/* A walk through one file. */
struct schema {
	struct config *c;
	unsigned file;   /* index of config.files */
	const char *dir; /* of that file */
	char path[512];  /* of the key at hand, escaped: "services.web.dir" */
	size_t len;
};

struct schema_key;

/* Take the value of a key into obj. */
typedef void (*schema_take)(struct schema *s, const struct schema_key *k,
    const struct ynode *v, void *obj);

/*
 * A text into the form that is kept: the caller frees.  NULL and why: what is
 * wrong with it, and what would be right.
 */
typedef char *(*schema_form)(const struct schema *s, const char *text,
    char *why, size_t size);

struct schema_key {
	const char *name;
	schema_take take;
	size_t at;        /* of the member of obj */
	schema_form form; /* of strings, and of the items of lists */
	const char *what; /* what is expected: "a path, such as ./web" */
	const char *item; /* the same of one item of a list */
	uint32_t has;     /* CONFIG_HAS_*: to be set in config.global */
	bool first;       /* not in files that are included */
};

/*
 * Walk a whole file, whose directory is dir, and note what is wrong with it.
 * NULL: an empty one.
 */
void schema_read(struct config *c, unsigned file, const char *dir,
    const struct ynode *root);

/* config.c: enough errors are known, the rest need not be found. */
bool config_is_full(const struct config *c);

/*
 * A file to be read, named below the directory of file pos->file.  Takes
 * name.
 */
void config_include(struct config *c, const struct config_pos *pos,
    const char *key, char *name);

/* One more service, NULL: too many.  Takes name. */
struct config_service *config_service_new(struct config *c, char *name);

/* A step down in the path and back: the caller keeps what down returned. */
size_t schema_down(struct schema *s, const char *name);
size_t schema_down_item(struct schema *s, size_t i);
void schema_up(struct schema *s, size_t len);

void schema_error(struct schema *s, const struct ynode *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The value is of another kind than expected. */
void schema_kind_error(struct schema *s, const struct schema_key *k,
    const struct ynode *v);

/* Is the key at kids[i] the first of that name?  Notes an error otherwise. */
bool schema_is_first(struct schema *s, const struct ynode *map, size_t i);

/* schema_take.c: values by kind */

/* A text in the form that is kept, the caller frees; NULL after an error. */
char *take_form(struct schema *s, const struct schema_key *k,
    const struct ynode *v);

/* The name of a service or an engine, likewise. */
char *take_name(struct schema *s, const struct ynode *key);

void take_string(struct schema *, const struct schema_key *,
    const struct ynode *, void *);
void take_bool(struct schema *, const struct schema_key *, const struct ynode *,
    void *);
void take_number(struct schema *, const struct schema_key *,
    const struct ynode *, void *);
void take_sandbox(struct schema *, const struct schema_key *,
    const struct ynode *, void *);
void take_log(struct schema *, const struct schema_key *, const struct ynode *,
    void *);
void take_list(struct schema *, const struct schema_key *, const struct ynode *,
    void *);
void take_pairs(struct schema *, const struct schema_key *,
    const struct ynode *, void *);

/* schema_form.c: texts by key */
char *form_socket(const struct schema *, const char *, char *, size_t);
char *form_dir(const struct schema *, const char *, char *, size_t);
char *form_dockerfile(const struct schema *, const char *, char *, size_t);
char *form_image(const struct schema *, const char *, char *, size_t);
char *form_name(const struct schema *, const char *, char *, size_t);
char *form_container(const struct schema *, const char *, char *, size_t);
char *form_network(const struct schema *, const char *, char *, size_t);
char *form_target(const struct schema *, const char *, char *, size_t);
char *form_host(const struct schema *, const char *, char *, size_t);
char *form_context(const struct schema *, const char *, char *, size_t);
char *form_api(const struct schema *, const char *, char *, size_t);
char *form_port(const struct schema *, const char *, char *, size_t);
char *form_volume(const struct schema *, const char *, char *, size_t);
char *form_include(const struct schema *, const char *, char *, size_t);

/*
 * The word that was probably meant, of n words; NULL: none is near.  Words
 * that other tools use for the same are known.
 */
const char *suggest_word(const char *word, const char *const *words, size_t n);

#endif
