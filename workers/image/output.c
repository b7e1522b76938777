/*
 * What the classic builder says: lines of JSON with stream, aux or
 * errorDetail (spec/engine.md, "build, classic").  A 200 is no success.
 */
#include <stdio.h>
#include <string.h>

#include "workers/image/image.h"
#include "workers/shared/json.h"

#define LINE_MAX_BYTES (1024 * 1024)

/* Drop escape sequences: stderr of a RUN comes wrapped in colours. */
static size_t
output_plain(char *dst, size_t size, const char *s)
{
	size_t out = 0;

	while (*s != '\0' && out + 1 < size) {
		if (*s != '\033') {
			dst[out++] = *s++;
			continue;
		}
		s++;
		if (*s == '[')
			for (s++; *s != '\0' && (*s < '@' || *s > '~'); s++)
				continue;
		if (*s != '\0')
			s++;
	}
	dst[out] = '\0';
	return (out);
}

static void
output_text(struct output *o, const char *s)
{
	char plain[2048];
	char *p = plain, *nl;
	unsigned step, steps;

	output_plain(plain, sizeof(plain), s);
	/* NOLINTNEXTLINE(cert-err34-c): nine digits cannot overflow */
	if (sscanf(plain, "Step %9u/%9u :", &step, &steps) == 2) {
		o->step = step;
		o->steps = steps;
	}
	while ((nl = strchr(p, '\n')) != NULL) {
		if (nl > p)
			o->text(o->arg, p, (size_t)(nl - p));
		p = nl + 1;
	}
	if (*p != '\0')
		o->text(o->arg, p, strlen(p));
}

static void
output_line(struct output *o)
{
	cJSON *j = json_parse(o->line.data, o->line.len, LINE_MAX_BYTES, NULL);
	const char *s;

	if ((s = json_str(j, "stream")) != NULL)
		output_text(o, s);
	if ((s = json_str(json_obj(j, "aux"), "ID")) != NULL)
		strlcpy(o->image_id, s, sizeof(o->image_id));
	s = json_str(json_obj(j, "errorDetail"), "message");
	if (s == NULL)
		s = json_str(j, "error");
	if (s != NULL)
		strlcpy(o->error, s, sizeof(o->error));
	cJSON_Delete(j);
	o->line.len = 0;
}

void
output_feed(struct output *o, const uint8_t *p, size_t n)
{
	const uint8_t *nl;

	while ((nl = memchr(p, '\n', n)) != NULL) {
		buf_add(&o->line, p, (size_t)(nl - p));
		n -= (size_t)(nl - p) + 1;
		p = nl + 1;
		if (o->line.len > 0)
			output_line(o);
	}
	buf_add(&o->line, p, n);
	/* no line of a builder is that long: nothing in it can be trusted */
	if (o->line.len > LINE_MAX_BYTES) {
		strlcpy(o->error, "a line of the engine's answer is too long",
		    sizeof(o->error));
		o->line.len = 0;
	}
}

void
output_end(struct output *o)
{
	if (o->line.len > 0)
		output_line(o);
}

void
output_free(struct output *o)
{
	buf_free(&o->line);
}
