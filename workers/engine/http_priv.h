/*
 * What http.c (connections, libcurl's loop) and http_req.c (one request)
 * share.
 */
#ifndef WHARF_ENGINE_HTTP_PRIV_H
#define WHARF_ENGINE_HTTP_PRIV_H

#include <curl/curl.h>

#include "workers/engine/conn.h"
#include "workers/engine/http.h"

struct http {
	struct loop *loop;
	struct http_conf conf;
	CURLM *multi;
	struct loop_timer timer; /* libcurl's */
	struct loop_timer kick;  /* something was resumed */
	struct conns conns;
	struct http_req *reqs;
	unsigned open;    /* sockets in libcurl's hands */
	unsigned running; /* requests in libcurl's hands */
	unsigned dials;
};

struct http_req {
	struct http_req *next, **prevp;
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	const struct http_ops *ops;
	void *arg;
	char *json;
	struct loop_timer deadline;
	bool idempotent;
	bool waits;   /* for a connection */
	bool added;   /* to the multi handle */
	bool sent;    /* the request went out, or began to */
	bool no_fd;   /* libcurl wanted a socket, and there was none */
	bool stopped; /* a callback said HTTP_ABORT */
	bool paused;  /* a callback said HTTP_PAUSE */
	int errnum;
	unsigned status;
	size_t header_bytes;
	unsigned lengths;
	bool chunked;
	char *api;
	char *stat;
	char error[CURL_ERROR_SIZE];
};

/* Make r->easy, with all but what has to do with sockets. */
void http_req_setup(struct http_req *r, const char *method, const char *path);

#endif
