/*
 * Writing YAML, see yamlout.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "workers/shared/utf8.h"
#include "yamlout.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "abcdefghijklmnopqrstuvwxyz";

static void
yamlout_text(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

/* Words that some reader takes for a boolean or for nothing. */
static bool
yamlout_is_word(const char *s)
{
	static const char *const words[] = { "true", "false", "yes", "no", "on",
		"off", "y", "n", "null" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(s, words[i]) == 0)
			return (true);
	return (false);
}

/*
 * What begins with a letter or a slash is no number; of what follows only
 * characters that mean nothing in YAML, blocks and flows alike.
 */
static bool
yamlout_is_plain(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || s[n - 1] == ':' || yamlout_is_word(s) ||
	    (strchr(letters, s[0]) == NULL && s[0] != '/'))
		return (false);
	for (; *s != '\0'; s++)
		if (strchr(letters, *s) == NULL &&
		    strchr("0123456789_./@=+:-", *s) == NULL)
			return (false);
	return (true);
}

/*
 * May a code point stand in quotes as it is?  Not what YAML calls unprintable
 * or a line break, nor what turns the direction of a terminal's text.
 */
static bool
yamlout_is_shown(uint32_t c)
{
	return (c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) &&
	    !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	    !(c >= 0x2066 && c <= 0x2069) && c != 0xfeff &&
	    (c & 0xfffe) != 0xfffe);
}

static void
yamlout_escape(struct buf *b, uint32_t c)
{
	char esc[16];

	if (c == '\n')
		yamlout_text(b, "\\n");
	else if (c == '\t')
		yamlout_text(b, "\\t");
	else {
		snprintf(esc, sizeof(esc),
		    c < 0x100       ? "\\x%02" PRIx32 :
			c < 0x10000 ? "\\u%04" PRIx32 :
				      "\\U%08" PRIx32,
		    c);
		yamlout_text(b, esc);
	}
}

void
yamlout_scalar(struct buf *b, const char *s)
{
	size_t n = strlen(s), width;
	uint32_t c;

	if (yamlout_is_plain(s)) {
		buf_add(b, s, n);
		return;
	}
	yamlout_text(b, "\"");
	for (; n > 0; s += width, n -= width) {
		width = utf8_decode(s, n, &c);
		if (c == UTF8_BAD && width == 1)
			yamlout_escape(b, (unsigned char)*s);
		else if (!yamlout_is_shown(c))
			yamlout_escape(b, c);
		else {
			if (c == '"' || c == '\\')
				yamlout_text(b, "\\");
			buf_add(b, s, width);
		}
	}
	yamlout_text(b, "\"");
}

static void
yamlout_indent(struct buf *b, unsigned level)
{
	while (level-- > 0)
		yamlout_text(b, "  ");
}

static void
yamlout_key(struct buf *b, unsigned level, const char *key)
{
	yamlout_indent(b, level);
	yamlout_scalar(b, key);
	yamlout_text(b, ":");
}

void
yamlout_open(struct buf *b, unsigned level, const char *key)
{
	yamlout_key(b, level, key);
	yamlout_text(b, "\n");
}

void
yamlout_word(struct buf *b, unsigned level, const char *key, const char *word)
{
	yamlout_key(b, level, key);
	yamlout_text(b, " ");
	yamlout_text(b, word);
	yamlout_text(b, "\n");
}

void
yamlout_empty(struct buf *b, unsigned level, const char *key)
{
	yamlout_word(b, level, key, "{}");
}

void
yamlout_string(struct buf *b, unsigned level, const char *key,
    const char *value)
{
	if (value == NULL)
		return;
	yamlout_key(b, level, key);
	yamlout_text(b, " ");
	yamlout_scalar(b, value);
	yamlout_text(b, "\n");
}

void
yamlout_bool(struct buf *b, unsigned level, const char *key, bool value)
{
	yamlout_word(b, level, key, value ? "true" : "false");
}

void
yamlout_u64(struct buf *b, unsigned level, const char *key, uint64_t value)
{
	char num[24];

	snprintf(num, sizeof(num), "%" PRIu64, value);
	yamlout_word(b, level, key, num);
}

void
yamlout_list(struct buf *b, unsigned level, const char *key, char *const *items,
    size_t n)
{
	if (n == 0)
		return;
	yamlout_open(b, level, key);
	for (size_t i = 0; i < n; i++) {
		yamlout_indent(b, level + 1);
		yamlout_text(b, "- ");
		yamlout_scalar(b, items[i]);
		yamlout_text(b, "\n");
	}
}
