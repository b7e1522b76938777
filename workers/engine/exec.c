/*
 * A command in a container: create, start, inspect.  Engine worker.
 *
 * The engine has no call that ends an exec's process: a cancelled exec goes
 * on in the container, only its output is no longer read.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/engine/create.h"
#include "workers/engine/job.h"
#include "workers/engine/spec.h"
#include "workers/shared/json.h"

#define EXEC_POLLS   8  /* while it still runs after its output's end */
#define EXEC_POLL_MS 10 /* doubled each time */
#define EXEC_SLOW_MS 120000

static int
exec_check(struct job *j, char *why, size_t size)
{
	char *body = create_exec_body(&j->f, why, size);

	free(body);
	return (body != NULL ? 0 : -1);
}

/*
 * The runtime could not start it: 126 or 127, and its text is the output.
 * That text is the error; the asker has seen it as output as well.
 */
static const char *
exec_error(struct job *j, int64_t code)
{
	size_t n = j->head_len;

	if (code != 126 && code != 127)
		return (NULL);
	j->head[n] = '\0';
	if (strlen(j->head) != n ||
	    (strncmp(j->head, "OCI runtime", 11) != 0 &&
		strncmp(j->head, "Error: ", 7) != 0))
		return (NULL);
	while (n > 0 && strchr("\r\n", j->head[n - 1]) != NULL)
		j->head[--n] = '\0';
	return (j->head);
}

static void exec_inspect(void *arg);

static void
exec_inspected(struct job *j, unsigned status)
{
	cJSON *o;
	bool running = true;
	int64_t code = -1;

	if (status != 200) {
		job_done_status(j, status);
		return;
	}
	o = json_parse(j->answer.data, j->answer.len, ENGINE_JSON_MAX, NULL);
	if (json_get_bool(o, "Running", &running) == -1 ||
	    (!running && json_get_i64(o, "ExitCode", &code) == -1))
		running = true;
	cJSON_Delete(o);
	if (!running)
		job_done(j, status, code, exec_error(j, code), NULL);
	else if (j->polls < EXEC_POLLS)
		loop_timer_in_ms(j->e->w->loop, &j->timer,
		    EXEC_POLL_MS << j->polls++, exec_inspect, j);
	else
		job_fail(j, ERR_TIMEOUT,
		    "the command's output ended, but the command did not");
}

static void
exec_inspect(void *arg)
{
	struct job *j = arg;

	job_http(j, "GET", engine_path(j->e, "/exec/%s/json", j->exec_id), NULL,
	    ENGINE_SHORT_MS, SINK_COLLECT, exec_inspected);
}

static void
exec_started(struct job *j, unsigned status)
{
	if (status != 200) {
		job_done_status(j, status);
		return;
	}
	exec_inspect(j);
}

static void
exec_created(struct job *j, unsigned status)
{
	char *id = job_created_id(j, status);

	if (id == NULL)
		return;
	j->exec_id = id;
	j->committed = true;
	job_http(j, "POST", engine_path(j->e, "/exec/%s/start", j->exec_id),
	    "{\"Detach\":false,\"Tty\":false}", 0, SINK_OUTPUT, exec_started);
}

static void
exec_go(struct job *j)
{
	char why[256];
	char *body = create_exec_body(&j->f, why, sizeof(why));

	job_http(j, "POST", engine_path(j->e, "/containers/%s/exec", j->cid),
	    body, EXEC_SLOW_MS, SINK_COLLECT, exec_created);
	free(body);
}

const struct job_op ops_exec[] = {
	{ MSG_ENG_EXEC, true, exec_check, exec_go },
	{ MSG_NONE, false, NULL, NULL },
};
