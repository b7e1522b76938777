/*
 * What wharfctl prints of a hostile daemon's frames: status and events, as
 * text and as JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_json.h"
#include "supervisor/ctl/ctl_monitor.h"
#include "supervisor/ctl/ctl_status.h"
#include "tests/fuzz/fuzz.h"

/* The frame's own check comes before: only valid tails are printed. */
static bool
take_fields(struct fuzz *in, struct fields *t)
{
	size_t n = fuzz_u8(in);

	n = n << 8 | fuzz_u8(in);
	if (n > in->n)
		n = in->n;
	*t = (struct fields) { in->p, n };
	in->p += n;
	in->n -= n;
	return (fields_valid(t));
}

static void
line_is_json(char *text, size_t len)
{
	struct json_error err;
	cJSON *o;

	HOLDS(len > 0 && text[len - 1] == '\n');
	fuzz_printable(text, len - 1, false);
	o = json_parse(text, len - 1, SIZE_MAX, &err);
	HOLDS(cJSON_IsObject(o));
	cJSON_Delete(o);
}

static void
fuzz_status(struct fuzz *in)
{
	struct status s = { 0 };
	struct fields t;
	uint32_t kind;
	char *text = NULL;
	size_t len;
	FILE *f;

	while (in->n > 0) {
		kind = fuzz_u8(in);
		if (!take_fields(in, &t))
			continue;
		if (kind == 0) {
			s.end.len = 0;
			buf_add(&s.end, t.data, t.len);
		} else
			status_add(&s, kind, &t);
	}
	f = open_memstream(&text, &len);
	HOLDS(status_print_json(&s, f) == 0);
	fclose(f);
	line_is_json(text, len);
	free(text);
	f = open_memstream(&text, &len);
	HOLDS(status_print_text(&s, f) == 0);
	fclose(f);
	fuzz_printable(text, len, true);
	free(text);
	status_clear(&s);
}

static void
fuzz_event(struct fuzz *in)
{
	struct msg_ctl_event m = { .kind = fuzz_u8(in),
		.seq = fuzz_u64(in),
		.time_ns = (int64_t)fuzz_u64(in),
		.mono_ns = (int64_t)fuzz_u64(in) };
	struct fields t;
	char *text = NULL;
	size_t len;
	cJSON *o;
	FILE *f;

	if (!take_fields(in, &t))
		return;
	o = ctl_json_event(&m, &t);
	HOLDS(o != NULL);
	f = open_memstream(&text, &len);
	HOLDS(json_write_line(f, o) == 0);
	fclose(f);
	line_is_json(text, len);
	free(text);
	cJSON_Delete(o);
	f = open_memstream(&text, &len);
	monitor_print_text(&m, &t, f);
	fclose(f);
	HOLDS(len > 0 && text[len - 1] == '\n');
	fuzz_printable(text, len - 1, false);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };

	if (fuzz_u8(&in) & 1)
		fuzz_event(&in);
	else
		fuzz_status(&in);
	return (0);
}
