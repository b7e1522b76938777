/*
 * wharfd.yaml: the input is one file, and behind a line "%%%" each one that is
 * included.  What is accepted is printed so that it comes to the same again.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/config/config.h"
#include "tests/fuzz/fuzz.h"

#define NEXT "\n%%%\n"

/* The next file; false when there is none. */
static bool
take_file(struct fuzz *in, const uint8_t **p, size_t *n)
{
	const uint8_t *end;

	if (in->n == 0)
		return (false);
	end = memmem(in->p, in->n, NEXT, strlen(NEXT));
	*p = in->p;
	*n = end != NULL ? (size_t)(end - in->p) : in->n;
	in->p += *n;
	in->n -= *n;
	if (end != NULL) {
		in->p += strlen(NEXT);
		in->n -= strlen(NEXT);
	}
	return (true);
}

static void
read_all(struct config *c, struct fuzz *in)
{
	const struct config_include *inc;
	const uint8_t *p = (const uint8_t *)"";
	uint32_t number = 0;
	size_t n = 0;
	char *path;

	take_file(in, &p, &n);
	config_add(c, number++, "/etc/wharf/wharfd.yaml", p, n);
	while ((inc = config_wants(c)) != NULL) {
		HOLDS(number < 2 * CONFIG_FILES_MAX);
		HOLDS(config_from(c, inc) < number);
		path = xasprintf("/etc/wharf/%s", inc->name);
		if (take_file(in, &p, &n))
			config_add(c, number++, path, p, n);
		else
			config_missing(c, 66, "no such file");
		free(path);
	}
}

static void
errors_look(const struct config *c)
{
	HOLDS(c->nerrors > 0 && c->nerrors <= CONFIG_ERRORS_MAX);
	for (size_t i = 0; i < c->nerrors; i++) {
		HOLDS(c->errors[i].code != 0);
		fuzz_printable(c->errors[i].text, strlen(c->errors[i].text),
		    false);
	}
}

/* True when it is whole and right. */
static bool
check(struct config *c)
{
	int r = config_check(c);

	HOLDS((r == 0) == (c->nerrors == 0));
	for (size_t i = 0; i < c->nengines && r == 0; i++)
		if (c->engines[i].host == NULL)
			r = config_set_host(c, i, "unix:///run/x", "a test");
	if (r == -1)
		errors_look(c);
	return (r == 0);
}

static void
config_look(const struct config *c)
{
	HOLDS(c->nengines > 0);
	HOLDS(config_size(c) <= CONFIG_TOTAL_MAX);
	for (size_t i = 0; i < c->nservices; i++) {
		const struct config_service *s = &c->services[i];

		HOLDS(s->index < c->nengines);
		HOLDS(s->dir[0] == '/' && s->dockerfile[0] != '/');
		HOLDS(s->name[0] != '\0' && s->container[0] != '\0');
		for (size_t j = 0; j < i; j++)
			HOLDS(strcmp(s->name, c->services[j].name) != 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	struct config *c = config_new(), *again = config_new();
	struct buf a = { 0 }, b = { 0 };

	read_all(c, &in);
	if (check(c)) {
		config_look(c);
		config_print(c, &a);
		fuzz_printable((const char *)a.data, a.len, true);
		config_add(again, 0, "/etc/wharf/wharfd.yaml", a.data, a.len);
		HOLDS(config_wants(again) == NULL);
		HOLDS(check(again));
		config_print(again, &b);
		HOLDS(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
	}
	config_free(c);
	config_free(again);
	buf_free(&a);
	buf_free(&b);
	return (0);
}
