/*
 * A strict look at JSON text before cJSON sees it: cJSON takes more than JSON,
 * cuts strings at \u0000 and rounds numbers.  Pure code; called by json.c.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "workers/shared/json_scan.h"
#include "workers/shared/utf8.h"

/* cJSON copies a number into 64 bytes. */
#define NUMBER_MAX 62

struct scanner {
	struct json_scan *out;
	const char *s, *p, *end;
	unsigned depth;
};

static int scan_value(struct scanner *);

static int
fail(struct scanner *sc, const char *why)
{
	sc->out->at = (size_t)(sc->p - sc->s);
	sc->out->why = why;
	return (-1);
}

static char
peek(const struct scanner *sc)
{
	return ((char)(sc->p < sc->end ? *sc->p : '\0'));
}

static void
skip_space(struct scanner *sc)
{
	while (sc->p < sc->end &&
	    (*sc->p == ' ' || *sc->p == '\t' || *sc->p == '\n' ||
		*sc->p == '\r'))
		sc->p++;
}

static bool
skip_digits(struct scanner *sc)
{
	const char *from = sc->p;

	while (peek(sc) >= '0' && peek(sc) <= '9')
		sc->p++;
	return (sc->p > from);
}

static int
number_keep(struct scanner *sc, const char *from)
{
	struct json_scan *out = sc->out;
	struct json_scan_number *p;

	if (sc->p - from > NUMBER_MAX)
		return (fail(sc, "a number with too many digits"));
	if (out->n == out->cap) {
		p = xreallocarray(out->numbers, out->cap * 2 + 64, sizeof(*p));
		out->numbers = p;
		out->cap = out->cap * 2 + 64;
	}
	out->numbers[out->n].at = (size_t)(from - sc->s);
	out->numbers[out->n++].len = (size_t)(sc->p - from);
	return (0);
}

static int
scan_number(struct scanner *sc)
{
	const char *from = sc->p;

	if (peek(sc) == '-')
		sc->p++;
	if (peek(sc) == '0')
		sc->p++;
	else if (!skip_digits(sc))
		return (fail(sc, "expected a value"));
	if (peek(sc) == '.') {
		sc->p++;
		if (!skip_digits(sc))
			return (fail(sc, "expected a digit"));
	}
	if (peek(sc) == 'e' || peek(sc) == 'E') {
		sc->p++;
		if (peek(sc) == '+' || peek(sc) == '-')
			sc->p++;
		if (!skip_digits(sc))
			return (fail(sc, "expected a digit"));
	}
	return (number_keep(sc, from));
}

/* The four digits of \uXXXX. */
static int
scan_hex(struct scanner *sc, uint32_t *unit)
{
	int i;
	char c;

	*unit = 0;
	for (i = 0; i < 4; i++, sc->p++) {
		c = peek(sc);
		if (c >= '0' && c <= '9')
			*unit = *unit << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			*unit = *unit << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return (fail(sc, "expected four hexadecimal digits"));
	}
	return (0);
}

static int
scan_unicode(struct scanner *sc)
{
	uint32_t hi, lo;

	if (scan_hex(sc, &hi) == -1)
		return (-1);
	if (hi == 0)
		return (fail(sc, "\\u0000 in a string"));
	if (hi >= 0xdc00 && hi <= 0xdfff)
		return (fail(sc, "half a surrogate pair"));
	if (hi < 0xd800 || hi > 0xdbff)
		return (0);
	if (sc->end - sc->p < 2 || memcmp(sc->p, "\\u", 2) != 0)
		return (fail(sc, "half a surrogate pair"));
	sc->p += 2;
	if (scan_hex(sc, &lo) == -1)
		return (-1);
	if (lo < 0xdc00 || lo > 0xdfff)
		return (fail(sc, "half a surrogate pair"));
	return (0);
}

/* Behind the backslash. */
static int
scan_escape(struct scanner *sc)
{
	char c = peek(sc);

	if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL)
		return (fail(sc, "no such escape"));
	sc->p++;
	return (c == 'u' ? scan_unicode(sc) : 0);
}

static int
scan_string(struct scanner *sc)
{
	uint32_t rune;
	size_t width;

	if (peek(sc) != '"')
		return (fail(sc, "expected a string"));
	sc->p++;
	for (;;) {
		if (sc->p >= sc->end)
			return (fail(sc, "a string without its end"));
		if (*sc->p == '"') {
			sc->p++;
			return (0);
		}
		if (*sc->p == '\\') {
			sc->p++;
			if (scan_escape(sc) == -1)
				return (-1);
			continue;
		}
		width = utf8_decode(sc->p, (size_t)(sc->end - sc->p), &rune);
		if (rune < 0x20)
			return (fail(sc, "a control character in a string"));
		if (rune == UTF8_BAD && width == 1)
			return (fail(sc, "not UTF-8"));
		sc->p += width;
	}
}

static int
scan_word(struct scanner *sc, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(sc->end - sc->p) < len || memcmp(sc->p, word, len) != 0)
		return (fail(sc, "expected a value"));
	sc->p += len;
	return (0);
}

static int
scan_member(struct scanner *sc)
{
	if (scan_string(sc) == -1)
		return (-1);
	skip_space(sc);
	if (peek(sc) != ':')
		return (fail(sc, "expected ':'"));
	sc->p++;
	return (scan_value(sc));
}

/* An object or an array. */
static int
scan_list(struct scanner *sc, char close)
{
	if (sc->depth == 0)
		return (fail(sc, "nested too deep"));
	sc->depth--;
	sc->p++;
	skip_space(sc);
	if (peek(sc) == close)
		goto done;
	for (;;) {
		skip_space(sc);
		if ((close == '}' ? scan_member(sc) : scan_value(sc)) == -1)
			return (-1);
		skip_space(sc);
		if (peek(sc) == close)
			goto done;
		if (peek(sc) != ',')
			return (fail(sc,
			    close == '}' ? "expected ',' or '}'" :
					   "expected ',' or ']'"));
		sc->p++;
	}
done:
	sc->p++;
	sc->depth++;
	return (0);
}

static int
scan_value(struct scanner *sc)
{
	skip_space(sc);
	switch (peek(sc)) {
	case '{':
		return (scan_list(sc, '}'));
	case '[':
		return (scan_list(sc, ']'));
	case '"':
		return (scan_string(sc));
	case 't':
		return (scan_word(sc, "true"));
	case 'f':
		return (scan_word(sc, "false"));
	case 'n':
		return (scan_word(sc, "null"));
	default:
		return (scan_number(sc));
	}
}

int
json_scan_text(struct json_scan *out, const char *s, size_t len, unsigned depth)
{
	struct scanner sc = { .out = out,
		.s = s,
		.p = s,
		.end = s + len,
		.depth = depth };

	memset(out, 0, sizeof(*out));
	if (scan_value(&sc) == -1)
		return (-1);
	skip_space(&sc);
	if (sc.p < sc.end)
		return (fail(&sc, "something follows the value"));
	return (0);
}
