/*
 * JSON: what is accepted is printed so that it reads as the same again, and
 * with no control character.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/shared/json.h"
#include "tests/fuzz/fuzz.h"

static void
json_look(const cJSON *o)
{
	const cJSON *item;
	int64_t i;
	uint64_t u;
	bool b;

	cJSON_ArrayForEach (item, o) {
		if (json_i64(item, &i) == 0 && i >= 0)
			HOLDS(json_u64(item, &u) == 0 && u == (uint64_t)i);
		if (item->string == NULL)
			continue;
		HOLDS(json_get(o, item->string) != NULL);
		json_get_bool(o, item->string, &b);
		json_str(o, item->string);
		json_obj(o, item->string);
		json_arr(o, item->string);
		json_at(o, item->string, "Id", NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_error err = { 0 };
	cJSON *o = json_parse(data, size, 65536, &err), *back, *wrap;
	char *text, *again;

	if (o == NULL) {
		HOLDS(err.text[0] != '\0');
		HOLDS(memchr(err.text, '\0', sizeof(err.text)) != NULL);
		fuzz_printable(err.text, strlen(err.text), false);
	} else {
		json_look(o);
		text = json_print(o);
		HOLDS(text != NULL && json_is_text(text, strlen(text)));
		fuzz_printable(text, strlen(text), false);
		back = json_parse(text, strlen(text), SIZE_MAX, &err);
		HOLDS(back != NULL);
		again = json_print(back);
		HOLDS(strcmp(text, again) == 0);
		cJSON_Delete(back);
		free(text);
		free(again);
	}
	/* any bytes as a string */
	wrap = cJSON_CreateObject();
	HOLDS(json_add_bytes(wrap, "s", (const char *)data, size) == 0);
	text = json_print(wrap);
	fuzz_printable(text, strlen(text), false);
	back = json_parse(text, strlen(text), SIZE_MAX, &err);
	HOLDS(back != NULL);
	if (json_is_text((const char *)data, size)) {
		HOLDS(strlen(json_str(back, "s")) == size);
		HOLDS(memcmp(json_str(back, "s"), data, size) == 0);
	} else
		HOLDS(json_str(back, "s_b64") != NULL);
	free(text);
	cJSON_Delete(back);
	cJSON_Delete(wrap);
	cJSON_Delete(o);
	return (0);
}
