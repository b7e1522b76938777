/*
 * wharfd.yaml: whatever stands in it, there is an error in its place that may
 * go to a terminal, or a normal form that comes to itself again.  NULs part
 * the input into the file and those that it includes.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "workers/config/config.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/config_print.h"

/* The next piece of the input; its length. */
static size_t
config_piece(struct fuzz *f, const uint8_t **piece)
{
	const uint8_t *nul = memchr(f->p, '\0', f->n);
	size_t n = nul != NULL ? (size_t)(nul - f->p) : f->n;

	*piece = f->p;
	f->p += n + (nul != NULL);
	f->n -= n + (nul != NULL);
	return (n);
}

static struct config *
config_of(struct fuzz *f)
{
	struct config *c = config_new();
	const struct config_include *inc;
	const uint8_t *piece;
	size_t n = config_piece(f, &piece);
	uint32_t number = 0;
	char *path;

	config_add(c, number, "/conf/c.yaml", piece, n);
	while ((inc = config_wants(c)) != NULL) {
		HOLDS(number < CONFIG_FILES_MAX);
		if (f->n == 0) {
			config_missing(c, EX_NOINPUT, "no more input");
			continue;
		}
		path = xasprintf("/conf/%s", inc->name);
		n = config_piece(f, &piece);
		config_add(c, ++number, path, piece, n);
		free(path);
	}
	HOLDS((config_check(c) == 0) == (c->nerrors == 0));
	return (c);
}

static void
config_normal(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < c->nservices; i++) {
		HOLDS(c->services[i].dir[0] == '/');
		HOLDS(c->services[i].index < c->nengines);
	}
	config_print(c, out);
	fuzz_printable((char *)out->data, out->len, true);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = { data, size };
	struct config *c = config_of(&f), *again;
	struct buf out = { 0 }, same = { 0 };

	HOLDS(c->nerrors <= CONFIG_ERRORS_MAX);
	for (size_t i = 0; i < c->nerrors; i++)
		fuzz_printable(c->errors[i].text, strlen(c->errors[i].text),
		    false);
	if (c->nerrors == 0) {
		config_normal(c, &out);
		f = (struct fuzz) { out.data, out.len };
		again = config_of(&f);
		HOLDS(again->nerrors == 0);
		config_normal(again, &same);
		HOLDS(out.len == same.len);
		HOLDS(memcmp(out.data, same.data, out.len) == 0);
		config_free(again);
	}
	buf_free(&out);
	buf_free(&same);
	config_free(c);
	return (0);
}
