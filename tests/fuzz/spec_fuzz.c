/*
 * The words of ports, binds, names: what is accepted becomes a request's body
 * that is JSON, and a query that is a query.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/engine/create.h"
#include "workers/engine/spec.h"
#include "workers/shared/json.h"
#include "tests/fuzz/fuzz.h"

static void
spec_look(const char *s)
{
	struct port_spec p;
	struct buf b = { 0 };

	if (spec_port_parse(s, &p) == 0) {
		HOLDS(p.port > 0 && p.port <= p.port_last);
		HOLDS(p.host <= p.host_last && p.proto != NULL);
		HOLDS(p.port_last - p.port < SPEC_PORTS_MAX);
		fuzz_printable(p.ip, strlen(p.ip), false);
	}
	if (spec_is_bind(s))
		HOLDS(s[0] == '/' && strstr(s, ":/") != NULL &&
		    strstr(s, "/../") == NULL);
	if (spec_is_workdir(s))
		HOLDS(spec_is_path(s));
	if (spec_is_api(s))
		HOLDS(spec_api_cmp(s, s) == 0);
	HOLDS(!spec_name_is_of(s, "web") || spec_is_name(s));
	spec_same_repository(s, "reg:5000/web:dev");
	spec_is_image_id(s);
	spec_base64(s, &b);
	buf_free(&b);
	spec_url_add(&b, s);
	for (size_t i = 0; i < b.len; i++)
		HOLDS(strchr("&=#? /", b.data[i]) == NULL && b.data[i] > 0x20 &&
		    b.data[i] < 0x7f);
	buf_free(&b);
}

static void
spec_bodies(struct conf_service *s, const struct fields *req)
{
	char why[256] = "", *body;
	struct json_error err;
	struct buf q = { 0 };
	cJSON *o;

	body = create_body(s, req, why, sizeof(why));
	HOLDS(body != NULL || why[0] != '\0');
	if (body != NULL) {
		o = json_parse(body, strlen(body), SIZE_MAX, &err);
		HOLDS(cJSON_IsObject(o));
		HOLDS(json_at(o, "HostConfig", "Privileged", NULL) == NULL);
		cJSON_Delete(o);
	}
	free(body);
	if (create_build_query(s, false, &q, why, sizeof(why)) == 0)
		for (size_t i = 0; i < q.len; i++)
			HOLDS(q.data[i] > 0x20 && q.data[i] < 0x7f);
	buf_free(&q);
	body = create_exec_body(req, why, sizeof(why));
	if (body != NULL) {
		o = json_parse(body, strlen(body), SIZE_MAX, &err);
		HOLDS(cJSON_IsObject(o));
		cJSON_Delete(o);
	}
	free(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	char *v[6];
	char id[] = "sha256:0123456789abcdef0123456789abcdef"
		    "0123456789abcdef0123456789abcdef";
	struct conf_service s = { 0 };
	struct fields req;
	struct buf b = { 0 };

	for (size_t i = 0; i < 6; i++) {
		v[i] = i < 5 ? fuzz_str(&in) : fuzz_rest(&in);
		spec_look(v[i]);
	}
	s.name = s.dir = s.dockerfile = s.image = s.container = v[0];
	s.ports = (struct strings) { &v[1], 1 };
	s.binds = (struct strings) { &v[2], *v[2] != '\0' };
	s.env = (struct strings) { &v[3], *v[3] != '\0' };
	s.build_args = (struct strings) { &v[4], *v[4] != '\0' };
	fields_add_str(&b, F_IMAGE_ID, id);
	fields_add_str(&b, F_PORT, v[5]);
	fields_add_str(&b, F_ARG, v[5]);
	fields_add_str(&b, F_WORKDIR, v[4]);
	fields_add_str(&b, F_USER, v[3]);
	req = (struct fields) { b.data, b.len };
	spec_bodies(&s, &req);
	buf_free(&b);
	for (size_t i = 0; i < 6; i++)
		free(v[i]);
	return (0);
}
