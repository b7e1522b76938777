/*
 * What a service's container is made of besides the context, as one number:
 * a container that was made of something else has to be made anew.
 */
#include <stdio.h>
#include <string.h>

#include "workers/plan/plan.h"
#include "workers/shared/hash.h"

/* With its length, so that no two lists of strings look alike. */
static void
confhash_add(struct hash *h, const char *s)
{
	uint64_t len = s != NULL ? strlen(s) + 1 : 0;

	hash_add(h, &len, sizeof(len));
	if (s != NULL)
		hash_add(h, s, (size_t)len);
}

static void
confhash_add_list(struct hash *h, const struct strings *l)
{
	uint64_t n = l->n;

	hash_add(h, &n, sizeof(n));
	for (size_t i = 0; i < l->n; i++)
		confhash_add(h, l->v[i]);
}

void
plan_config_hash(const struct conf_service *s, char hex[CONFIG_HASH_SIZE])
{
	uint8_t sum[HASH_LEN];
	struct hash h;

	hash_init(&h);
	confhash_add(&h, s->dockerfile);
	confhash_add(&h, s->image);
	confhash_add(&h, s->container);
	confhash_add(&h, s->target);
	confhash_add(&h, s->network);
	confhash_add_list(&h, &s->env);
	confhash_add_list(&h, &s->ports);
	confhash_add_list(&h, &s->binds);
	confhash_add_list(&h, &s->build_args);
	hash_end(&h, sum);
	for (size_t i = 0; i < HASH_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}
