/*
 * Reading inspects, see facts.h.  Push worker; pure.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/push/facts.h"
#include "workers/shared/json.h"
#include "workers/shared/tree.h"

#define GO_MODE_DIR  (1u << 31) /* Go's FileMode in the engine's JSON */
#define GO_MODE_LINK (1u << 27)

/* Of the kernel's own: written there, a PUT is lost (spec/engine.md 0). */
static const char *const lost[] = { "/dev", "/proc", "/sys" };

static struct dockerfile_env *
facts_env(const cJSON *list)
{
	struct dockerfile_env *env = dockerfile_env_new();
	const cJSON *v;

	/* one that is too large loses names at its end */
	cJSON_ArrayForEach (v, list)
		if (cJSON_IsString(v))
			dockerfile_env_put(env, v->valuestring);
	return (env);
}

static char **
facts_strings(const cJSON *list)
{
	char **v;
	const cJSON *s;
	size_t n = 0;

	if (list == NULL || cJSON_GetArraySize(list) == 0)
		return (NULL);
	v = xcalloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*v));
	cJSON_ArrayForEach (s, list)
		if (cJSON_IsString(s))
			v[n++] = xstrdup(s->valuestring);
	if (n == 0) {
		free(v);
		v = NULL;
	}
	return (v);
}

static void
image_config_free(struct image_config *c)
{
	dockerfile_env_free(c->env);
	free(c->user);
	free(c->workdir);
	for (size_t i = 0; c->shell != NULL && c->shell[i] != NULL; i++)
		free(c->shell[i]);
	free(c->shell);
	memset(c, 0, sizeof(*c));
}

static void
facts_config(struct image_config *c, const cJSON *config)
{
	const char *s;

	image_config_free(c);
	c->env = facts_env(json_arr(config, "Env"));
	s = json_str(config, "User");
	c->user = xstrdup(s != NULL ? s : "");
	s = json_str(config, "WorkingDir");
	c->workdir = xstrdup(s != NULL ? s : "");
	c->shell = facts_strings(json_arr(config, "Shell"));
}

int
facts_image(struct image_config *c, const void *json, size_t len)
{
	cJSON *o = json_parse(json, len, FACTS_MAX, NULL);
	const cJSON *config = json_obj(o, "Config");
	int r = o != NULL ? 0 : -1;

	if (r == 0)
		facts_config(c, config);
	cJSON_Delete(o);
	return (r);
}

static void
facts_add_mount(struct facts *f, enum mount_kind kind, const char *dest,
    bool read_only)
{
	struct mount *m;
	size_t n = strlen(dest);

	while (n > 1 && dest[n - 1] == '/')
		n--;
	if (*dest != '/' || n == 1)
		return;
	f->mounts =
	    xreallocarray(f->mounts, f->nmounts + 1, sizeof(*f->mounts));
	m = &f->mounts[f->nmounts++];
	m->kind = kind;
	m->dest = xstrndup(dest, n);
	m->read_only = read_only;
}

static void
facts_mounts(struct facts *f, const cJSON *o)
{
	const cJSON *m;

	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++)
		facts_add_mount(f, MOUNT_TMPFS, lost[i], false);
	cJSON_ArrayForEach (m, json_obj(json_obj(o, "HostConfig"), "Tmpfs"))
		if (m->string != NULL)
			facts_add_mount(f, MOUNT_TMPFS, m->string, false);
	cJSON_ArrayForEach (m, json_arr(o, "Mounts")) {
		const char *type = json_str(m, "Type");
		const char *dest = json_str(m, "Destination");
		bool rw = true;

		json_get_bool(m, "RW", &rw);
		if (type == NULL || dest == NULL)
			continue;
		facts_add_mount(f,
		    strcmp(type, "tmpfs") == 0    ? MOUNT_TMPFS :
			strcmp(type, "bind") == 0 ? MOUNT_BIND :
						    MOUNT_VOLUME,
		    dest, !rw);
	}
}

int
facts_container(struct facts *f, const void *json, size_t len)
{
	cJSON *o = json_parse(json, len, FACTS_MAX, NULL);
	const cJSON *config = json_obj(o, "Config");

	facts_free(f);
	if (config == NULL) {
		cJSON_Delete(o);
		return (-1);
	}
	facts_config(&f->container, config);
	json_get_bool(json_obj(o, "HostConfig"), "ReadonlyRootfs",
	    &f->read_only);
	facts_mounts(f, o);
	cJSON_Delete(o);
	return (0);
}

void
facts_free(struct facts *f)
{
	for (size_t i = 0; i < f->nmounts; i++)
		free(f->mounts[i].dest);
	free(f->mounts);
	image_config_free(&f->container);
	image_config_free(&f->image);
	image_config_free(&f->base);
	memset(f, 0, sizeof(*f));
}

const struct mount *
facts_mount(const struct facts *f, const char *path)
{
	const struct mount *best = NULL;

	for (size_t i = 0; i < f->nmounts; i++)
		if (tree_path_below(path, f->mounts[i].dest) &&
		    (best == NULL ||
			strlen(best->dest) <= strlen(f->mounts[i].dest)))
			best = &f->mounts[i];
	return (best);
}

const struct mount *
facts_mount_below(const struct facts *f, const char *path)
{
	for (size_t i = 0; i < f->nmounts; i++)
		if (tree_path_below(f->mounts[i].dest, path))
			return (&f->mounts[i]);
	return (NULL);
}

bool
facts_stat_isdir(const void *json, size_t len)
{
	cJSON *o = json_parse(json, len, FACTS_MAX, NULL);
	uint64_t mode = 0;
	bool is;

	is = json_get_u64(o, "mode", &mode) == 0 &&
	    (mode & (GO_MODE_DIR | GO_MODE_LINK)) != 0;
	cJSON_Delete(o);
	return (is);
}
