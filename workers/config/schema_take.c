/*
 * Values by kind, see schema.h.  Pure code, config process.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "workers/config/schema.h"

/* Where the member of k is in obj. */
static void *
take_at(const struct schema_key *k, void *obj)
{
	return ((char *)obj + k->at);
}

/*
 * The text of a scalar; NULL after an error.  "key:" with nothing behind it
 * is no text.
 */
static const char *
take_text(struct schema *s, const struct schema_key *k, const struct ynode *v)
{
	if (v->kind == YNODE_SCALAR && !ynode_is_nothing(v))
		return (v->text);
	schema_kind_error(s, k, v);
	return (NULL);
}

char *
take_form(struct schema *s, const struct schema_key *k, const struct ynode *v)
{
	const char *text = take_text(s, k, v);
	char why[1024], *form;

	if (text == NULL)
		return (NULL);
	if (text[0] == '\0') {
		schema_error(s, v, "is empty; %s is expected", k->what);
		return (NULL);
	}
	if ((form = k->form(s, text, why, sizeof(why))) == NULL)
		schema_error(s, v, "%s", why);
	return (form);
}

char *
take_name(struct schema *s, const struct ynode *key)
{
	static const struct schema_key name = { .form = form_name,
		.what = "a name" };

	return (take_form(s, &name, key));
}

void
take_string(struct schema *s, const struct schema_key *k, const struct ynode *v,
    void *obj)
{
	char **p = take_at(k, obj);

	free(*p);
	*p = take_form(s, k, v);
}

/* Of words[0..n) the one that stands there; -1 after an error. */
static int
take_word(struct schema *s, const struct schema_key *k, const struct ynode *v,
    const char *const *words, int n)
{
	const char *text = take_text(s, k, v);
	char esc[128];

	for (int i = 0; text != NULL && i < n; i++)
		if (strcmp(text, words[i]) == 0)
			return (i);
	if (text != NULL)
		schema_error(s, v, "\"%s\" is not one of them; %s is expected",
		    log_escape(esc, sizeof(esc), text, strlen(text)), k->what);
	return (-1);
}

/* Plain "true" and "false": in quotes they are text. */
void
take_bool(struct schema *s, const struct schema_key *k, const struct ynode *v,
    void *obj)
{
	static const char *const words[] = { "false", "true" };
	int i;

	if (v->kind == YNODE_SCALAR && !v->plain) {
		schema_error(s, v,
		    "text in quotes; %s is expected, without quotes", k->what);
		return;
	}
	if ((i = take_word(s, k, v, words, 2)) == -1)
		return;
	*(bool *)take_at(k, obj) = i == 1;
	s->c->global.has |= k->has;
}

void
take_sandbox(struct schema *s, const struct schema_key *k,
    const struct ynode *v, void *obj)
{
	static const char *const words[] = { [SANDBOX_ON] = "on",
		[SANDBOX_TRAP] = "trap",
		[SANDBOX_OFF] = "off" };
	int i = take_word(s, k, v, words, 3);

	if (i == -1)
		return;
	*(enum sandbox_mode *)take_at(k, obj) = (enum sandbox_mode)i;
	s->c->global.has |= k->has;
}

void
take_log(struct schema *s, const struct schema_key *k, const struct ynode *v,
    void *obj)
{
	static const char *const words[] = { [LOG_TEXT] = "text",
		[LOG_JSON] = "json",
		[LOG_SYSLOG] = "syslog" };
	int i = take_word(s, k, v, words, 3);

	if (i == -1)
		return;
	*(enum log_format *)take_at(k, obj) = (enum log_format)i;
	s->c->global.has |= k->has;
}

/* Digits alone, in one way to write a number. */
void
take_number(struct schema *s, const struct schema_key *k, const struct ynode *v,
    void *obj)
{
	const char *text = take_text(s, k, v), *err;
	char esc[128];
	uint32_t n;

	if (text == NULL)
		return;
	n = (uint32_t)strtonum(text, 0, 1000000, &err);
	if (!v->plain || err != NULL ||
	    strspn(text, "0123456789") != strlen(text) ||
	    (text[0] == '0' && text[1] != '\0')) {
		schema_error(s, v, "\"%s\" is no such number; %s is expected",
		    log_escape(esc, sizeof(esc), text, strlen(text)), k->what);
		return;
	}
	*(uint32_t *)take_at(k, obj) = n;
	s->c->global.has |= k->has;
}

/* More of them than a service may have: an error. */
static bool
take_is_long(struct schema *s, const struct ynode *v, size_t n)
{
	if (n <= CONFIG_ITEMS_MAX)
		return (false);
	schema_error(s, v, "has %zu items; %d are the most", n,
	    CONFIG_ITEMS_MAX);
	return (true);
}

void
take_list(struct schema *s, const struct schema_key *k, const struct ynode *v,
    void *obj)
{
	struct schema_key one = *k;
	char *item;
	size_t len;

	one.what = k->item;
	if (ynode_is_nothing(v))
		return;
	if (v->kind != YNODE_LIST) {
		schema_kind_error(s, k, v);
		return;
	}
	if (take_is_long(s, v, v->nkids))
		return;
	for (size_t i = 0; i < v->nkids; i++) {
		len = schema_down_item(s, i);
		if ((item = take_form(s, &one, v->kids[i])) != NULL)
			strings_take(take_at(k, obj), item);
		schema_up(s, len);
	}
}

/* A mapping of names to text. */
static void
take_pairs_map(struct schema *s, const struct ynode *v, struct strings *l)
{
	static const struct schema_key text = {
		.what = "a text (\"\" for an empty one)"
	};
	const char *value;
	size_t len;

	for (size_t i = 0; i + 1 < v->nkids; i += 2) {
		if (!schema_is_first(s, v, i))
			continue;
		len = schema_down(s, v->kids[i]->text);
		value = take_text(s, &text, v->kids[i + 1]);
		if (v->kids[i]->text[0] == '\0' ||
		    strchr(v->kids[i]->text, '=') != NULL)
			schema_error(s, v->kids[i],
			    "is no variable's name; it may not be empty nor "
			    "hold \"=\"");
		else if (value != NULL)
			strings_take(l,
			    xasprintf("%s=%s", v->kids[i]->text, value));
		schema_up(s, len);
	}
}

/* Does an item before the i-th set the same variable?  Notes an error then. */
static bool
take_is_again(struct schema *s, const struct ynode *v, size_t i)
{
	const char *text = v->kids[i]->text;
	size_t n = strcspn(text, "=") + 1;

	for (size_t j = 0; j < i; j++)
		if (v->kids[j]->kind == YNODE_SCALAR &&
		    /* NOLINTNEXTLINE(*NonNullParamChecker): it has a text */
		    strncmp(v->kids[j]->text, text, n) == 0) {
			schema_error(s, v->kids[i],
			    "sets a variable again; first at line %u",
			    v->kids[j]->line);
			return (true);
		}
	return (false);
}

/* A list of K=V. */
static void
take_pairs_list(struct schema *s, const struct ynode *v, struct strings *l)
{
	static const struct schema_key pair = { .what = "K=V" };
	const char *text;
	size_t len;

	for (size_t i = 0; i < v->nkids; i++) {
		len = schema_down_item(s, i);
		text = take_text(s, &pair, v->kids[i]);
		if (text != NULL &&
		    (text[0] == '=' || strchr(text, '=') == NULL))
			schema_error(s, v->kids[i],
			    "is no K=V; a name, \"=\" and a value are expected");
		else if (text != NULL && !take_is_again(s, v, i))
			strings_take(l, xstrdup(text));
		schema_up(s, len);
	}
}

void
take_pairs(struct schema *s, const struct schema_key *k, const struct ynode *v,
    void *obj)
{
	struct strings *l = take_at(k, obj);

	if (ynode_is_nothing(v))
		return;
	if (v->kind == YNODE_SCALAR) {
		schema_kind_error(s, k, v);
		return;
	}
	if (take_is_long(s, v, v->kind == YNODE_MAP ? v->nkids / 2 : v->nkids))
		return;
	if (v->kind == YNODE_MAP)
		take_pairs_map(s, v, l);
	else
		take_pairs_list(s, v, l);
}
