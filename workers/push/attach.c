/*
 * ATTACH and DETACH: which container a service's manifest is about.  Push
 * worker, see push.h.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "workers/push/push.h"

#define ATTACH_SIZE_MAX ((off_t)1 << 31)

void
attach_forget(struct service *s)
{
	copyplan_free(s->plan);
	dockerfile_free(s->df);
	dockerfile_env_free(s->args);
	facts_free(&s->facts);
	oracle_clear(&s->oracle);
	buf_free(&s->passwd.tar);
	buf_free(&s->group.tar);
	memset(&s->passwd, 0, sizeof(s->passwd));
	memset(&s->group, 0, sizeof(s->group));
	s->plan = NULL;
	s->df = NULL;
	s->args = NULL;
	s->prepared = false;
}

uint32_t
attach_needs(const struct service *s)
{
	const struct manifest_meta *meta = manifest_meta(s->m);

	return ((meta->run_pending_from >= 0 ? NEED_STEPS : 0) |
	    (meta->restart_after_ns > 0 ? NEED_RESTART : 0));
}

/*
 * Take over what the image worker wrote.  The region is its own and hostile:
 * sealed against shrinking, or reading it could end this process.
 */
static int
attach_take(struct task *j)
{
	struct manifest *from = manifest_new();
	struct stat st;
	void *map = MAP_FAILED;
	int seals = fcntl(j->fd, F_GET_SEALS), r = -1;

	/* -1, of what cannot be sealed, has every bit */
	if (from != NULL && seals != -1 && (seals & F_SEAL_SHRINK) &&
	    fstat(j->fd, &st) == 0 && st.st_size > 0 &&
	    st.st_size <= ATTACH_SIZE_MAX)
		map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE, j->fd, 0);
	if (map != MAP_FAILED) {
		if (manifest_attach(from, map, (size_t)st.st_size) == 0 &&
		    manifest_load(from) == 0 && !manifest_lossy(from)) {
			/* what does not fit is known to this generation */
			(void)manifest_copy(j->s->m, from);
			r = 0;
		}
		manifest_attach(from, NULL, 0);
		munmap(map, (size_t)st.st_size);
	}
	manifest_free(from);
	return (r);
}

/*
 * The builder gets Dockerfile and ignore file even where the rules leave them
 * out, but no COPY sees them then (moby builder removeDockerfile).
 */
static void
attach_drop_kept(struct service *s)
{
	const char *files[2] = { s->conf->dockerfile, NULL };
	struct ignore_match m;
	struct rules r;
	char why[256];

	if (s->rootfd == -1 ||
	    rules_load(&r, s->rootfd, s->conf->dockerfile, why, sizeof(why)) ==
		-1)
		return;
	files[1] = r.file;
	/* other rules than the build's say nothing about it */
	if (memcmp(r.sha256, manifest_meta(s->m)->ignore_sha256, HASH_LEN) == 0)
		for (size_t i = 0; i < 2; i++)
			if (files[i] != NULL &&
			    ignore_path(r.ignore, files[i], strlen(files[i]),
				&m, NULL) == 0 &&
			    m.excluded)
				(void)manifest_remove(s->m, files[i]);
	rules_free(&r);
}

static int
attach_mark(struct task *j)
{
	struct manifest_meta meta = *manifest_meta(j->s->m);

	if (strlcpy(meta.container, j->container, sizeof(meta.container)) >=
		sizeof(meta.container) ||
	    strlcpy(meta.image, j->image, sizeof(meta.image)) >=
		sizeof(meta.image))
		return (-1);
	meta.restart_after_ns = 0;
	meta.run_pending_from = -1;
	return (manifest_set_meta(j->s->m, &meta));
}

static void
attach_new(struct task *j)
{
	struct service *s = j->s;

	attach_forget(s);
	if (j->container == NULL || strlen(j->container) != 64 ||
	    j->image == NULL) {
		task_end_why(j, RESULT_FAILED, "no container and image id");
		return;
	}
	if (attach_take(j) == -1) {
		(void)manifest_clear(s->m);
		task_end_why(j, RESULT_FAILED,
		    "the manifest of the image cannot be read");
		return;
	}
	if (attach_mark(j) == -1 &&
	    strcmp(manifest_meta(s->m)->container, j->container) != 0) {
		(void)manifest_clear(s->m);
		task_end_why(j, RESULT_FAILED,
		    "the container's or image's id "
		    "is none");
		return;
	}
	attach_drop_kept(s);
	s->behind = false;
	j->done.known = 1;
	task_end(j, RESULT_OK);
}

void
attach_start(struct task *j)
{
	struct service *s = j->s;

	if (j->type == MSG_DETACH) {
		attach_forget(s);
		if (!(j->m.flags & JOB_KEEP))
			(void)manifest_clear(s->m);
		task_end(j, RESULT_OK);
	} else if (j->fd != -1)
		attach_new(j);
	else {
		j->done.known = !task_is_stale(j) && !manifest_lossy(s->m);
		task_end(j, RESULT_OK);
	}
}
