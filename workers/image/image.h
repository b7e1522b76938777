/*
 * The image worker's state.  Only workers/image includes this.
 */
#ifndef WHARF_IMAGE_H
#define WHARF_IMAGE_H

#include "workers/common/engine_client.h"
#include "workers/common/worker.h"
#include "workers/shared/context.h"
#include "workers/shared/rules.h"

/* The classic builder's answer as it comes: lines of JSON. */
struct output {
	struct buf line;
	char image_id[80]; /* from aux, or "Successfully built" */
	char error[512];   /* of errorDetail */
	unsigned step, steps;
	/* A line for people, without its newline. */
	void (*text)(void *arg, const char *s, size_t n);
	void *arg;
};

/* Take a piece; lines that are whole are handled. */
void output_feed(struct output *o, const uint8_t *p, size_t n);

/* The stream has ended: what is left is the last line. */
void output_end(struct output *o);
void output_free(struct output *o);

/* One build, from BUILD to BUILD_DONE. */
struct build {
	struct build *next;
	struct worker *w;
	const struct conf_service *conf;
	const struct conf_root *root;
	uint32_t id;     /* of plan's request */
	uint32_t mem_id; /* open MEM_NEW */
	uint32_t eng_id; /* open ENG_BUILD */
	uint64_t job;
	uint32_t flags;
	mono_t began;
	int mem_fd;
	void *map;
	size_t map_size;
	struct rules rules;
	struct manifest *manifest;
	struct context *context;
	struct tarstream *tar;
	int pipe_w;    /* -1: closed */
	bool streamed; /* the whole context is in the pipe */
	struct loop_timer slice;
	struct output out;
};

/* build.c */
void build_begin(struct worker *w, struct frame *f);
void build_reconf(struct worker *w);
void build_cancel(struct worker *w, struct frame *f);

#endif
