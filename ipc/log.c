/*
 * Logging, see log.h.  Any process.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "log.h"

#define LOG_LINE_MAX   4096
#define LOG_TOKENS_MAX 16

static const char *log_name = "wharfd";
static int verbosity;
static const char *tokens[LOG_TOKENS_MAX];
static size_t ntokens;

void
log_init(const char *name, int verbose)
{
	log_name = name;
	verbosity = verbose;
}

int
log_verbose(void)
{
	return (verbosity);
}

void
log_enable_token(const char *token)
{
	if (ntokens < LOG_TOKENS_MAX)
		tokens[ntokens++] = token;
}

bool
log_has_token(const char *token)
{
	for (size_t i = 0; i < ntokens; i++)
		if (strcmp(tokens[i], token) == 0)
			return (true);
	return (false);
}

/* Length of the valid UTF-8 sequence at p, 0 when there is none. */
static size_t
utf8_len(const uint8_t *p, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t want = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint32_t c = p[0] & (0x7f >> want);

	if (p[0] < 0xc2 || p[0] > 0xf4 || want > n)
		return (0);
	for (size_t i = 1; i < want; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return (0);
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[want] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ||
	    (c >= 0x80 && c < 0xa0))
		return (0);
	return (want);
}

char *
log_escape(char *dst, size_t size, const void *src, size_t n)
{
	const uint8_t *p = src;
	size_t out = 0, i = 0, len;

	while (i < n) {
		if (p[i] >= 0x20 && p[i] < 0x7f)
			len = 1;
		else if (p[i] < 0x80 || (len = utf8_len(p + i, n - i)) == 0) {
			if (out + 5 > size)
				break;
			snprintf(dst + out, size - out, "\\x%02x", p[i]);
			out += 4;
			i++;
			continue;
		}
		if (out + len + 1 > size)
			break;
		memcpy(dst + out, p + i, len);
		out += len;
		i += len;
	}
	if (size > 0)
		dst[out] = '\0';
	return (dst);
}

void
log_line(const char *line, size_t len)
{
	char esc[LOG_LINE_MAX + 2];
	size_t n;
	ssize_t w;

	log_escape(esc, LOG_LINE_MAX, line, len);
	n = strlen(esc);
	esc[n++] = '\n';
	do
		w = write(STDERR_FILENO, esc, n);
	while (w == -1 && errno == EINTR);
}

static void __attribute__((format(printf, 3, 0)))
log_put(const char *level, int err, const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];
	int n, m;

	n = snprintf(line, sizeof(line), "%s: %s", log_name, level);
	m = vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	if (m < 0)
		return;
	n = n + m < (int)sizeof(line) ? n + m : (int)sizeof(line) - 1;
	if (err != 0 && n < (int)sizeof(line) - 1) {
		m = snprintf(line + n, sizeof(line) - n, ": %s", strerror(err));
		n = n + m < (int)sizeof(line) ? n + m : (int)sizeof(line) - 1;
	}
	log_line(line, n);
}

#define LOG_BODY(level, err)                  \
	do {                                  \
		va_list ap;                   \
		int saved = errno;            \
		va_start(ap, fmt);            \
		log_put(level, err, fmt, ap); \
		va_end(ap);                   \
		errno = saved;                \
	} while (0)

void
log_warn(const char *fmt, ...)
{
	LOG_BODY("warning: ", saved);
}

void
log_warnx(const char *fmt, ...)
{
	LOG_BODY("warning: ", 0);
}

void
log_info(const char *fmt, ...)
{
	LOG_BODY("", 0);
}

void
log_debug(const char *fmt, ...)
{
	if (verbosity >= 1)
		LOG_BODY("", 0);
}

void
fatal(const char *fmt, ...)
{
	LOG_BODY("fatal: ", saved);
	_exit(EX_SOFTWARE);
}

void
fatalx(const char *fmt, ...)
{
	LOG_BODY("fatal: ", 0);
	_exit(EX_SOFTWARE);
}
