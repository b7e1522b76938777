/*
 * One request as libcurl has it: what is asked, and what comes back.  Engine
 * worker.
 *
 * What a hostile engine can do is bounded here: HTTP/0.9 and redirects are
 * off, headers have a limit, and a connection whose answer had two lengths,
 * or a length and chunks, is never used again (libcurl 7.88 takes both).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "log.h"
#include "workers/engine/http_priv.h"

#define HTTP_HEADERS_MAX (64 * 1024)

static int
http_before_send(void *arg, char *ip, char *local, int port, int local_port)
{
	struct http_req *r = arg;

	r->sent = true;
	return (CURL_PREREQFUNC_OK);
}

/* Headers and bodies. */

/* The value of a header if the line is that header, as a new string. */
static char *
http_header_value(const char *p, size_t n, const char *name)
{
	size_t k = strlen(name);

	if (n < k || strncasecmp(p, name, k) != 0)
		return (NULL);
	for (p += k, n -= k; n > 0 && (*p == ' ' || *p == '\t'); p++)
		n--;
	while (n > 0 && strchr(" \t\r\n", p[n - 1]) != NULL)
		n--;
	return (memchr(p, '\0', n) == NULL ? xstrndup(p, n) : NULL);
}

static void
http_keep_header(char **dst, const char *p, size_t n, const char *name)
{
	char *v = http_header_value(p, n, name);

	if (v == NULL)
		return;
	free(*dst);
	*dst = v;
}

/* The empty line: 1xx answers are not the answer. */
static void
http_headers_end(struct http_req *r)
{
	long status = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return;
	r->status = (unsigned)status;
	if (r->ops->headers != NULL)
		r->ops->headers(r->arg, r);
}

static size_t
http_on_header(char *p, size_t size, size_t n, void *arg)
{
	struct http_req *r = arg;

	n *= size;
	r->header_bytes += n;
	if (r->header_bytes > HTTP_HEADERS_MAX) {
		strlcpy(r->error, "headers without end", sizeof(r->error));
		return (0);
	}
	if (n >= 5 && strncmp(p, "HTTP/", 5) == 0) {
		r->lengths = 0;
		r->chunked = false;
	} else if (n > 15 && strncasecmp(p, "Content-Length:", 15) == 0)
		r->lengths++;
	else if (n > 18 && strncasecmp(p, "Transfer-Encoding:", 18) == 0)
		r->chunked = true;
	if (r->lengths > 1 || (r->lengths > 0 && r->chunked))
		curl_easy_setopt(r->easy, CURLOPT_FORBID_REUSE, 1L);
	http_keep_header(&r->api, p, n, "Api-Version:");
	http_keep_header(&r->stat, p, n, "X-Docker-Container-Path-Stat:");
	if (n <= 2 && (p[0] == '\r' || p[0] == '\n'))
		http_headers_end(r);
	return (n);
}

static size_t
http_on_data(char *p, size_t size, size_t n, void *arg)
{
	struct http_req *r = arg;
	int res;

	n *= size;
	if (r->ops->data == NULL || n == 0)
		return (n);
	res = r->ops->data(r->arg, r, p, n);
	if (res == HTTP_PAUSE) {
		r->paused = true;
		return (CURL_WRITEFUNC_PAUSE);
	}
	if (res == HTTP_ABORT) {
		r->stopped = true;
		return (0);
	}
	return (n);
}

static size_t
http_on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_req *r = arg;
	ssize_t k = r->ops->body(r->arg, p, size * n);

	if (k == HTTP_PAUSE) {
		r->paused = true;
		return (CURL_READFUNC_PAUSE);
	}
	if (k == HTTP_ABORT) {
		r->stopped = true;
		return (CURL_READFUNC_ABORT);
	}
	return ((size_t)k);
}

/* Making requests. */

static void
http_set_callbacks(struct http_req *r)
{
	CURL *e = r->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, http_before_send);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, r);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, http_on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, http_on_data);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
}

static void
http_set_safe(CURL *e)
{
	/* a place holder: with a path libcurl resolves and tunes nothing */
	curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, "/nonexistent");
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "wharf/" WHARF_VERSION);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 64L * 1024);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 128L * 1024);
}

static void
http_set_method(struct http_req *r, const char *method)
{
	CURL *e = r->easy;

	r->idempotent =
	    strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	else if (r->ops->body != NULL) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, http_on_body);
		curl_easy_setopt(e, CURLOPT_READDATA, r);
		/* a form's type would make the engine eat the body */
		r->headers = curl_slist_append(r->headers,
		    "Content-Type: application/x-tar");
	} else if (strcmp(method, "POST") == 0) {
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS,
		    r->json != NULL ? r->json : "");
		r->headers = curl_slist_append(r->headers,
		    r->json != NULL ? "Content-Type: application/json" :
				      "Content-Type:");
	}
	if (!r->idempotent)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
	/* no waiting for 100 Continue */
	r->headers = curl_slist_append(r->headers, "Expect:");
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers);
}

void
http_req_setup(struct http_req *r, const char *method, const char *path)
{
	char *url = xasprintf("http://localhost%s", path);

	if ((r->easy = curl_easy_init()) == NULL)
		fatalx("curl_easy_init");
	http_set_callbacks(r);
	http_set_safe(r->easy);
	http_set_method(r, method);
	curl_easy_setopt(r->easy, CURLOPT_URL, url);
	free(url);
}

unsigned
http_status(const struct http_req *r)
{
	return (r->status);
}

int
http_errnum(const struct http_req *r)
{
	return (r->errnum);
}

const char *
http_error(const struct http_req *r)
{
	return (r->error);
}

const char *
http_header_api(const struct http_req *r)
{
	return (r->api);
}

const char *
http_header_stat(const struct http_req *r)
{
	return (r->stat);
}
