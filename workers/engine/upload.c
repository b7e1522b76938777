/*
 * The requests whose body comes through a pipe.  Engine worker.
 *
 * No limit of time while a body is on its way: its sender may be slow.  A
 * hung engine is seen by the pings.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/engine/create.h"
#include "workers/engine/job.h"
#include "workers/engine/spec.h"

/* Engine API: PUT /containers/{id}/archive */

static int
upload_check_put(struct job *j, char *why, size_t size)
{
	if (j->path != NULL && spec_is_path(j->path))
		return (0);
	strlcpy(why, "path is not absolute or has ..", size);
	return (-1);
}

static void
upload_put(struct job *j)
{
	struct buf b = { 0 };

	spec_url_add(&b, j->path);
	j->body_on = true;
	/* never copyUIDGID: old engines look the user up on the host */
	job_http(j, "PUT",
	    engine_path(j->e, "/containers/%s/archive?path=%.*s%s", j->cid,
		(int)b.len, (const char *)b.data,
		j->m.flags & ENG_OVERWRITE ? "" : "&noOverwriteDirNonDir=1"),
	    NULL, 0, SINK_DROP, job_done_status);
	buf_free(&b);
}

/* Engine API: POST /build, the classic builder */

static int
upload_check_build(struct job *j, char *why, size_t size)
{
	struct buf q = { 0 };
	int r;

	if (!spec_is_image_ref(j->service->image)) {
		strlcpy(why, "the image's name is none", size);
		return (-1);
	}
	r = create_build_query(j->service, false, &q, why, size);
	buf_free(&q);
	return (r);
}

static void
upload_build(struct job *j)
{
	struct buf q = { 0 };
	char why[256];

	if (create_build_query(j->service, (j->m.flags & ENG_NO_CACHE) != 0, &q,
		why, sizeof(why)) == -1) {
		job_fail(j, ERR_INVALID, why);
		return;
	}
	j->body_on = true;
	job_http(j, "POST",
	    engine_path(j->e, "/build?%.*s", (int)q.len, (const char *)q.data),
	    NULL, 0, SINK_ASKER, job_done_status);
	buf_free(&q);
}

const struct job_op ops_upload[] = {
	{ MSG_ENG_PUT, true, upload_check_put, upload_put },
	{ MSG_ENG_BUILD, false, upload_check_build, upload_build },
	{ MSG_NONE, false, NULL, NULL },
};
