/*
 * Which containers and images may be touched: those that carry a configured
 * service's labels, as the engine itself says.  Engine worker.
 *
 * An image's labels are inherited by whatever is run from it, also by hand;
 * the role tells such a container from one that was created for a service.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/engine/create.h"
#include "workers/engine/engine.h"
#include "workers/shared/json.h"

#define GATE_MAX 1024

struct gate {
	struct {
		char id[65];
		const struct conf_service *service;
	} known[GATE_MAX]; /* a ring: what falls out is asked again */
	size_t next;
};

struct gate *
gate_new(void)
{
	return (xcalloc(1, sizeof(struct gate)));
}

void
gate_free(struct gate *g)
{
	free(g);
}

void
gate_add(struct gate *g, const char *id, const struct conf_service *s)
{
	if (gate_knows(g, id, s))
		return;
	strlcpy(g->known[g->next].id, id, sizeof(g->known[0].id));
	g->known[g->next].service = s;
	g->next = (g->next + 1) % GATE_MAX;
}

void
gate_remove(struct gate *g, const char *id)
{
	for (size_t i = 0; i < GATE_MAX; i++)
		if (g->known[i].service != NULL &&
		    strcmp(g->known[i].id, id) == 0)
			g->known[i].service = NULL;
}

bool
gate_knows(const struct gate *g, const char *id, const struct conf_service *s)
{
	for (size_t i = 0; i < GATE_MAX; i++)
		if (g->known[i].service == s && strcmp(g->known[i].id, id) == 0)
			return (true);
	return (false);
}

/* A retired service and the one that follows it may have the same ones. */
static bool
gate_labels_are(const struct conf_service *s, const char *name, const char *dir,
    const char *role)
{
	return (name != NULL && dir != NULL && role != NULL &&
	    (strcmp(role, "app") == 0 || strcmp(role, "stage") == 0) &&
	    strcmp(s->name, name) == 0 && strcmp(s->dir, dir) == 0);
}

const struct conf_service *
engine_service_by_labels(const struct engine *e, const char *name,
    const char *dir, const char *role)
{
	const struct conf *c = &e->w->conf;
	const struct conf_service *found = NULL;

	for (size_t i = 0; i < c->nservices; i++)
		if (c->services[i]->engine == e->conf->instance &&
		    gate_labels_are(c->services[i], name, dir, role)) {
			if (!conf_is_retired(c->services[i]))
				return (c->services[i]);
			found = c->services[i];
		}
	return (found);
}

void
gate_reconf(struct gate *g, const struct conf *c)
{
	const struct conf_service *s;
	size_t j;

	for (size_t i = 0; i < GATE_MAX; i++) {
		if ((s = g->known[i].service) == NULL)
			continue;
		for (j = 0; j < c->nservices; j++)
			if (c->services[j] == s)
				break;
		if (j == c->nservices)
			g->known[i].service = NULL;
	}
}

bool
gate_check(const struct buf *json, const struct conf_service *s)
{
	cJSON *o = json_parse(json->data, json->len, ENGINE_JSON_MAX, NULL);
	const cJSON *l = json_obj(json_obj(o, "Config"), "Labels");
	bool ours = gate_labels_are(s, json_str(l, LABEL_SERVICE),
	    json_str(l, LABEL_DIR), json_str(l, LABEL_ROLE));

	cJSON_Delete(o);
	return (ours);
}

bool
gate_check_image(const struct buf *json, const struct conf_service *s)
{
	cJSON *o = json_parse(json->data, json->len, ENGINE_JSON_MAX, NULL);
	const cJSON *l = json_obj(json_obj(o, "Config"), "Labels");
	const char *name = json_str(l, LABEL_SERVICE);
	const char *dir = json_str(l, LABEL_DIR);
	bool ours = name != NULL && dir != NULL && strcmp(name, s->name) == 0 &&
	    strcmp(dir, s->dir) == 0;

	cJSON_Delete(o);
	return (ours);
}

bool
gate_image_has_other_tags(const struct buf *json, const struct conf_service *s)
{
	cJSON *o = json_parse(json->data, json->len, ENGINE_JSON_MAX, NULL);
	const cJSON *tag;
	bool other = false;

	cJSON_ArrayForEach (tag, json_arr(o, "RepoTags"))
		if (!cJSON_IsString(tag) ||
		    strcmp(tag->valuestring, s->image) != 0)
			other = true;
	cJSON_Delete(o);
	return (other);
}
