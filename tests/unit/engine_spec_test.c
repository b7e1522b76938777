/*
 * Engine worker, pure parts: ids, ports, binds, queries, bodies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workers/engine/create.h"
#include "workers/engine/spec.h"
#include "workers/shared/json.h"

#define ID64                               \
	"0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef"

static void
test_ids(void **state)
{
	assert_true(spec_is_container_id(ID64));
	assert_false(spec_is_container_id(ID64 "0"));
	assert_false(spec_is_container_id("0123456789ab"));
	assert_false(spec_is_container_id("../images/json"));
	assert_false(spec_is_container_id(""));
	assert_true(spec_is_image_id("sha256:" ID64));
	assert_false(spec_is_image_id(ID64));
	assert_true(spec_is_image_ref("host.x:5000/a/b_c:1.0"));
	assert_true(spec_is_image_ref("sha256:" ID64));
	assert_false(spec_is_image_ref("a/../b"));
	assert_false(spec_is_image_ref("a//b"));
	assert_false(spec_is_image_ref("a/"));
	assert_false(spec_is_image_ref("a b"));
	assert_false(spec_is_image_ref("a?b"));
	assert_false(spec_is_image_ref("-a"));
	assert_true(spec_is_name("a_b.c-1"));
	assert_false(spec_is_name("-a"));
	assert_false(spec_is_name("a/b"));
	assert_false(spec_is_name(""));
}

static void
test_names_of_a_service(void **state)
{
	assert_true(spec_name_is_of("web", "web"));
	assert_true(spec_name_is_of("web-old", "web"));
	assert_true(spec_name_is_of("web.2", "web"));
	assert_false(spec_name_is_of("webshop", "web"));
	assert_false(spec_name_is_of("we", "web"));
	assert_false(spec_name_is_of("web-/..", "web"));
	assert_true(spec_same_repository("r:5/a/b:2", "r:5/a/b:1"));
	assert_true(spec_same_repository("b", "b:1"));
	assert_false(spec_same_repository("r:5/a/bc:2", "r:5/a/b:1"));
	assert_false(spec_same_repository("r:6/a/b:1", "r:5/a/b:1"));
	assert_false(spec_same_repository("b@sha256:" ID64, "b:1"));
}

static void
test_paths(void **state)
{
	assert_true(spec_is_path("/"));
	assert_true(spec_is_path("/a/..b/."));
	assert_false(spec_is_path("a"));
	assert_false(spec_is_path(""));
	assert_false(spec_is_path("/a/../b"));
	assert_false(spec_is_path("/.."));
	assert_true(spec_is_workdir("/app/proc"));
	assert_true(spec_is_workdir("/process"));
	assert_false(spec_is_workdir("/proc"));
	assert_false(spec_is_workdir("/proc/self/fd/8"));
	assert_false(spec_is_workdir("//./proc/self"));
	assert_false(spec_is_workdir("app"));
}

static void
test_api(void **state)
{
	assert_true(spec_is_api("1.41"));
	assert_false(spec_is_api("1.41/../.."));
	assert_false(spec_is_api("1."));
	assert_false(spec_is_api("2.0"));
	assert_false(spec_is_api("v1.41"));
	assert_false(spec_is_api("1.1234"));
	assert_true(spec_api_cmp("1.9", "1.41") < 0);
	assert_true(spec_api_cmp("1.51", "1.41") > 0);
	assert_int_equal(spec_api_cmp("1.41", "1.41"), 0);
}

static void
check_port(const char *s, const char *ip, unsigned host, unsigned host_last,
    unsigned port, unsigned port_last, const char *proto)
{
	struct port_spec p;

	assert_int_equal(spec_port_parse(s, &p), 0);
	assert_string_equal(p.ip, ip);
	assert_int_equal(p.host, host);
	assert_int_equal(p.host_last, host_last);
	assert_int_equal(p.port, port);
	assert_int_equal(p.port_last, port_last);
	assert_string_equal(p.proto, proto);
}

static void
test_ports(void **state)
{
	static const char *const bad[] = { "", "x", "0", "65536", "80/",
		"80/icmp", "80:", "1:2:3", "1.2.3:80:80", "1.2.3.4:80",
		"8080-8081:80-82", "81-80", "80:80:80:80", " 80", "+80", "80 ",
		"-80", "80-", "1-2-3", "[::1:80:80", "::1:80:80",
		"[1.2.3.4]:80:80", "[::1]80:80", "1-65535", "host:80:80",
		"[]:80:80" };
	struct port_spec p;

	check_port("80", "", 0, 0, 80, 80, "tcp");
	check_port("8080:80", "", 8080, 8080, 80, 80, "tcp");
	check_port("8080:80/udp", "", 8080, 8080, 80, 80, "udp");
	check_port("127.0.0.1:8080:80/tcp", "127.0.0.1", 8080, 8080, 80, 80,
	    "tcp");
	check_port("127.0.0.1::80", "127.0.0.1", 0, 0, 80, 80, "tcp");
	check_port("[::1]:8080:80/sctp", "::1", 8080, 8080, 80, 80, "sctp");
	check_port("[::]::80", "::", 0, 0, 80, 80, "tcp");
	check_port("8000-8009:80-89", "", 8000, 8009, 80, 89, "tcp");
	check_port("8000-8009:80", "", 8000, 8009, 80, 80, "tcp");
	check_port("80-89", "", 0, 0, 80, 89, "tcp");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (spec_port_parse(bad[i], &p) != -1)
			fail_msg("taken: '%s'", bad[i]);
}

static void
test_binds(void **state)
{
	assert_true(spec_is_bind("/a:/b"));
	assert_true(spec_is_bind("/a:/b:ro"));
	assert_true(spec_is_bind("/a:/b:ro,z,rslave"));
	assert_false(spec_is_bind("vol:/b"));
	assert_false(spec_is_bind("a/b:/b"));
	assert_false(spec_is_bind("/a"));
	assert_false(spec_is_bind("/a:b"));
	assert_false(spec_is_bind("/a:/"));
	assert_false(spec_is_bind("/a:/b:"));
	assert_false(spec_is_bind("/a:/b:ro,"));
	assert_false(spec_is_bind("/a:/b:rox"));
	assert_false(spec_is_bind("/a:/b:ro:rw"));
	assert_false(spec_is_bind("/a/../b:/c"));
	assert_false(spec_is_bind(""));
}

static void
test_since(void **state)
{
	char s[32];

	spec_since(s, sizeof(s), 1700000000000000007);
	assert_string_equal(s, "1700000000.000000007");
	spec_since(s, sizeof(s), 999999999);
	assert_string_equal(s, "0.999999999");
	spec_since(s, sizeof(s), -5);
	assert_string_equal(s, "0.000000000");
}

static void
test_url_and_base64(void **state)
{
	struct buf b = { 0 };

	spec_url_add(&b, "/a b&c=\xff%\n~");
	buf_add(&b, "", 1);
	assert_string_equal((char *)b.data, "%2Fa%20b%26c%3D%FF%25%0A~");
	buf_free(&b);
	assert_int_equal(spec_base64("eyJuIjoxfQ==", &b), 0);
	assert_memory_equal(b.data, "{\"n\":1}", 7);
	assert_int_equal(b.len, 7);
	buf_free(&b);
	assert_int_equal(spec_base64("e===", &b), -1);
	buf_free(&b);
	assert_int_equal(spec_base64("ey!J", &b), -1);
	buf_free(&b);
	assert_int_equal(spec_base64("ey=J", &b), -1);
	buf_free(&b);
}

/* Bodies. */

static char *env[] = { (char *)(uintptr_t) "A=1",
	(char *)(uintptr_t) "B=\xc3\xa4 \"x\"" };
static char *ports[] = { (char *)(uintptr_t) "8000-8001:80-81" };
static char *binds[] = { (char *)(uintptr_t) "/srv:/data:ro" };
static char *args[] = { (char *)(uintptr_t) "V=a&b",
	(char *)(uintptr_t) "LONE" };

static struct conf_service
a_service(void)
{
	struct conf_service s = { .service = 1, .engine = 1 };

	s.name = (char *)(uintptr_t) "web";
	s.dir = (char *)(uintptr_t) "/src/web";
	s.dockerfile = (char *)(uintptr_t) "docker/Dockerfile";
	s.image = (char *)(uintptr_t) "web:dev";
	s.container = (char *)(uintptr_t) "web";
	s.env = (struct strings) { env, 2 };
	s.ports = (struct strings) { ports, 1 };
	s.binds = (struct strings) { binds, 1 };
	s.build_args = (struct strings) { args, 2 };
	return (s);
}

/* The body for that service and request as compact JSON; "" with *why. */
static char *
a_body(const struct conf_service *s, struct buf *tail, char *why, size_t size)
{
	struct fields f = { tail->data, tail->len };
	char *body = create_body(s, &f, why, size);

	buf_free(tail);
	return (body);
}

static void
test_create_body(void **state)
{
	struct conf_service s = a_service();
	struct buf t = { 0 };
	char why[128], *got;

	fields_add_str(&t, F_IMAGE_ID, "sha256:" ID64);
	fields_add_str(&t, F_CONTEXT_HASH, "h");
	fields_add_str(&t, F_PORT, "127.0.0.1:80:80/tcp");
	/* not CREATE's to say */
	fields_add_str(&t, F_BIND, "/:/host");
	fields_add_str(&t, F_NETWORK, "host");
	fields_add_str(&t, F_ENV, "LD_PRELOAD=x");
	got = a_body(&s, &t, why, sizeof(why));
	assert_non_null(got);
	assert_string_equal(got,
	    "{\"Image\":\"sha256:" ID64 "\","
	    "\"Env\":[\"A=1\",\"B=\xc3\xa4 \\\"x\\\"\"],"
	    "\"Labels\":{\"wharf.service\":\"web\",\"wharf.dir\":\"/src/web\","
	    "\"wharf.role\":\"app\",\"wharf.context-hash\":\"h\"},"
	    "\"HostConfig\":{\"Binds\":[\"/srv:/data:ro\"],"
	    "\"PortBindings\":{"
	    "\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8000\"},"
	    "{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"80\"}],"
	    "\"81/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8001\"}]}},"
	    "\"ExposedPorts\":{\"80/tcp\":{},\"81/tcp\":{}}}");
	free(got);
}

static void
refused(const struct conf_service *s, struct buf *t, const char *what)
{
	char why[128] = "", *got = a_body(s, t, why, sizeof(why));

	assert_null(got);
	if (strstr(why, what) == NULL)
		fail_msg("'%s' says nothing of %s", why, what);
}

static void
test_create_refuses(void **state)
{
	struct conf_service s = a_service();
	struct buf t = { 0 };
	char *bad[] = { (char *)(uintptr_t) "/a/../b:/c" };

	fields_add_str(&t, F_IMAGE_ID, "web:dev");
	refused(&s, &t, "image");
	fields_add_str(&t, F_IMAGE_ID, "sha256:" ID64);
	fields_add_str(&t, F_PORT, "80:80:80");
	refused(&s, &t, "80:80:80");
	s.binds = (struct strings) { bad, 1 };
	fields_add_str(&t, F_IMAGE_ID, "sha256:" ID64);
	refused(&s, &t, "/a/../b");
	s = a_service();
	s.network = (char *)(uintptr_t) "container:x";
	fields_add_str(&t, F_IMAGE_ID, "sha256:" ID64);
	refused(&s, &t, "container:x");
	s = a_service();
	s.dir = (char *)(uintptr_t) "/src/\xff";
	fields_add_str(&t, F_IMAGE_ID, "sha256:" ID64);
	refused(&s, &t, "UTF-8");
}

static void
test_build_query(void **state)
{
	struct conf_service s = a_service();
	struct buf q = { 0 };
	char why[128];

	s.target = (char *)(uintptr_t) "final";
	s.network = (char *)(uintptr_t) "host";
	assert_int_equal(create_build_query(&s, true, &q, why, sizeof(why)), 0);
	buf_add(&q, "", 1);
	assert_string_equal((char *)q.data,
	    "dockerfile=docker%2FDockerfile&t=web%3Adev&rm=1&forcerm=1"
	    "&nocache=1&target=final&networkmode=host"
	    "&labels=%7B%22wharf.service%22%3A%22web%22%2C"
	    "%22wharf.dir%22%3A%22%2Fsrc%2Fweb%22%2C"
	    "%22wharf.role%22%3A%22image%22%7D"
	    "&buildargs=%7B%22V%22%3A%22a%26b%22%2C%22LONE%22%3Anull%7D");
	buf_free(&q);
	s.network = (char *)(uintptr_t) "front";
	assert_int_equal(create_build_query(&s, false, &q, why, sizeof(why)),
	    0);
	buf_add(&q, "", 1);
	assert_null(strstr((char *)q.data, "networkmode"));
	assert_null(strstr((char *)q.data, "nocache"));
	buf_free(&q);
}

static void
test_exec_body(void **state)
{
	struct buf t = { 0 };
	struct fields f;
	char why[128], *got;

	fields_add_str(&t, F_ARG, "sh");
	fields_add_str(&t, F_ARG, "-c");
	fields_add_str(&t, F_ENV, "K=V");
	fields_add_str(&t, F_USER, "1000:1000");
	fields_add_str(&t, F_WORKDIR, "/app");
	f = (struct fields) { t.data, t.len };
	got = create_exec_body(&f, why, sizeof(why));
	assert_non_null(got);
	assert_string_equal(got,
	    "{\"AttachStdout\":true,\"AttachStderr\":true,"
	    "\"AttachStdin\":false,\"Tty\":false,\"Privileged\":false,"
	    "\"User\":\"1000:1000\",\"WorkingDir\":\"/app\","
	    "\"Env\":[\"K=V\"],\"Cmd\":[\"sh\",\"-c\"]}");
	free(got);
	buf_free(&t);
	fields_add_str(&t, F_ENV, "K=V");
	f = (struct fields) { t.data, t.len };
	assert_null(create_exec_body(&f, why, sizeof(why)));
	fields_add_str(&t, F_ARG, "a\xff");
	f = (struct fields) { t.data, t.len };
	assert_null(create_exec_body(&f, why, sizeof(why)));
	assert_non_null(strstr(why, "UTF-8"));
	buf_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_names_of_a_service),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_api),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_binds),
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_url_and_base64),
		cmocka_unit_test(test_create_body),
		cmocka_unit_test(test_create_refuses),
		cmocka_unit_test(test_build_query),
		cmocka_unit_test(test_exec_body),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
