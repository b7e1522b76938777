/*
 * The environment that Dockerfile words are expanded with.
 */
#include <stdlib.h>
#include <string.h>

#include "include/buf.h"
#include "workers/shared/dockerfile_env.h"

struct dockerfile_env *
dockerfile_env_new(void)
{
	return (xcalloc(1, sizeof(struct dockerfile_env)));
}

struct dockerfile_env *
dockerfile_env_copy(const struct dockerfile_env *from)
{
	struct dockerfile_env *env = dockerfile_env_new();
	size_t i;

	env->work = from->work;
	for (i = 0; i < from->nvars; i++)
		if (dockerfile_env_set(env, from->vars[i].name,
			from->vars[i].value) == -1)
			break; /* not reached: the same bytes fitted */
	return (env);
}

void
dockerfile_env_free(struct dockerfile_env *env)
{
	size_t i;

	if (env == NULL)
		return;
	for (i = 0; i < env->nvars; i++) {
		free(env->vars[i].name);
		free(env->vars[i].value);
	}
	free(env->vars);
	free(env);
}

static struct dockerfile_var *
find(const struct dockerfile_env *env, const char *name)
{
	size_t i;

	for (i = 0; i < env->nvars; i++)
		if (strcmp(env->vars[i].name, name) == 0)
			return (&env->vars[i]);
	return (NULL);
}

int
dockerfile_env_set(struct dockerfile_env *env, const char *name,
    const char *value)
{
	struct dockerfile_var *v = find(env, name);
	size_t add = strlen(value), old = 0;
	char *copy;

	if (v != NULL)
		old = strlen(v->value);
	else
		add += strlen(name) + 2;
	if (env->bytes - old + add > DOCKERFILE_MAX_ENV ||
	    (v == NULL && env->nvars == DOCKERFILE_MAX_VARS))
		return (-1);
	env->bytes = env->bytes - old + add;
	copy = xstrdup(value);
	if (v != NULL) {
		free(v->value);
		v->value = copy;
		return (0);
	}
	if ((env->nvars & (env->nvars - 1)) == 0)
		env->vars = xreallocarray(env->vars,
		    env->nvars == 0 ? 1 : env->nvars * 2, sizeof(*env->vars));
	env->vars[env->nvars].name = xstrdup(name);
	env->vars[env->nvars++].value = copy;
	return (0);
}

const char *
dockerfile_env_get(const struct dockerfile_env *env, const char *name)
{
	struct dockerfile_var *v = find(env, name);

	return (v == NULL ? NULL : v->value);
}

char *
dockerfile_env_split(const char *pair, char **value)
{
	char *name = xstrdup(pair);

	if ((*value = strchr(name, '=')) != NULL)
		*(*value)++ = '\0';
	return (name);
}

void
dockerfile_env_put(struct dockerfile_env *env, const char *pair)
{
	char *value, *name = dockerfile_env_split(pair, &value);

	if (value != NULL && name[0] != '\0')
		(void)dockerfile_env_set(env, name, value);
	free(name);
}
