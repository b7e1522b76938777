/*
 * Logging, see log.h.  Any process.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "log_private.h"

#define LOG_TOKENS_MAX 16
#define LOG_LAST_MS    200 /* for a reader to take the last words */

static const char *const known_tokens[] = { "frames", "watch", "push", "plan",
	"engine", "image", "control", "config", "supervisor" };

static const char *log_name = "wharfd";
static bool log_own; /* the token that is our own name is given */
static int verbosity;
static const char *tokens[LOG_TOKENS_MAX];
static size_t ntokens;

const char *
log_own_name(void)
{
	return (log_name);
}

static bool
token_is_own(const char *token)
{
	return (strcmp(token,
		    strcmp(log_name, "wharfd") == 0 ? "supervisor" :
						      log_name) == 0);
}

void
log_init(const char *name, int verbose)
{
	log_name = name;
	verbosity = verbose;
	log_own = false;
	for (size_t i = 0; i < ntokens; i++)
		log_own |= token_is_own(tokens[i]);
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
	log_own |= token_is_own(token);
}

bool
log_has_token(const char *token)
{
	for (size_t i = 0; i < ntokens; i++)
		if (strcmp(tokens[i], token) == 0)
			return (true);
	return (false);
}

bool
log_token_exists(const char *token)
{
	for (size_t i = 0; i < sizeof(known_tokens) / sizeof(*known_tokens);
	     i++)
		if (strcmp(known_tokens[i], token) == 0)
			return (true);
	return (false);
}

const char *
log_token_names(void)
{
	static char names[128];

	names[0] = '\0';
	for (size_t i = 0; i < sizeof(known_tokens) / sizeof(*known_tokens);
	     i++) {
		strlcat(names, i == 0 ? "" : ", ", sizeof(names));
		strlcat(names, known_tokens[i], sizeof(names));
	}
	return (names);
}

int
log_format_by_name(const char *name, enum log_format *f)
{
	static const char *const names[] = { [LOG_TEXT] = "text",
		[LOG_JSON] = "json",
		[LOG_SYSLOG] = "syslog" };

	for (enum log_format i = LOG_TEXT; i <= LOG_SYSLOG; i++)
		if (strcmp(names[i], name) == 0) {
			*f = i;
			return (0);
		}
	return (-1);
}

/* sd-daemon(3): it is the journal's if these are its device and inode. */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char own[64];

	if (stream == NULL || fstat(STDERR_FILENO, &st) == -1)
		return (false);
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return (strcmp(own, stream) == 0);
}

void
log_set_format(enum log_format f)
{
	if (f == LOG_SYSLOG)
		log_to_syslog(NULL);
	else if (f == LOG_JSON)
		log_sink_stderr(LOG_FORM_JSON);
	else
		log_sink_stderr(
		    stderr_is_journal() ? LOG_FORM_JOURNAL : LOG_FORM_TEXT);
}

void
log_to_syslog(const char *path)
{
	log_sink_syslog(path != NULL ? path : "/dev/log");
}

void
log_to_supervisor(void)
{
	log_sink_stderr(LOG_FORM_PIPE);
}

/*
 * What ends a line or turns the direction of the text behind it: a name with
 * one of them would make a line say what it does not.
 */
static bool
utf8_turns(uint32_t c)
{
	return (c == 0x61c || c == 0x200e || c == 0x200f ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069));
}

/* Length of the sequence at p that may be shown, 0 when there is none. */
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
	    (c >= 0x80 && c < 0xa0) || utf8_turns(c))
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

/* Whoever writes past these functions may have given its own name. */
static const char *
relay_skip_name(const char *line, const char *proc)
{
	size_t n = strlen(proc);

	return (strncmp(line, proc, n) == 0 && line[n] == ':' &&
		    line[n + 1] == ' ' ?
		line + n + 2 :
		line);
}

void
log_relay(const char *proc, pid_t pid, const char *line, size_t len)
{
	char text[LOG_TEXT_MAX];
	struct log_line l = { PRIO_NOTE, proc, pid, text };

	if (len >= 3 && line[0] == '<' && line[2] == '>' &&
	    line[1] >= '0' + PRIO_FATAL && line[1] <= '0' + PRIO_DEBUG) {
		l.prio = (enum log_prio)(line[1] - '0');
		line += 3;
		len -= 3;
	}
	log_escape(text, sizeof(text), line, len);
	l.text = relay_skip_name(text, proc);
	log_sink_write(&l);
}

static void __attribute__((format(printf, 3, 0)))
log_put(enum log_prio prio, int err, const char *fmt, va_list ap)
{
	char said[LOG_TEXT_MAX], text[LOG_TEXT_MAX];
	struct log_line l = { prio, log_name, getpid(), text };
	size_t n;
	int m = vsnprintf(said, sizeof(said), fmt, ap);

	if (m < 0)
		return;
	n = strlen(said);
	if (err != 0)
		snprintf(said + n, sizeof(said) - n, ": %s", strerror(err));
	log_escape(text, sizeof(text), said, strlen(said));
	log_sink_write(&l);
}

#define LOG_BODY(prio, err)                  \
	do {                                 \
		va_list ap;                  \
		int saved = errno;           \
		va_start(ap, fmt);           \
		log_put(prio, err, fmt, ap); \
		va_end(ap);                  \
		errno = saved;               \
	} while (0)

void
log_warn(const char *fmt, ...)
{
	LOG_BODY(PRIO_WARN, saved);
}

void
log_warnx(const char *fmt, ...)
{
	LOG_BODY(PRIO_WARN, 0);
}

void
log_info(const char *fmt, ...)
{
	LOG_BODY(PRIO_INFO, 0);
}

void
log_debug(const char *fmt, ...)
{
	if (verbosity >= 1 || log_own)
		LOG_BODY(PRIO_DEBUG, 0);
}

void
fatal(const char *fmt, ...)
{
	LOG_BODY(PRIO_FATAL, saved);
	log_flush(LOG_LAST_MS);
	_exit(EX_SOFTWARE);
}

void
fatalx(const char *fmt, ...)
{
	LOG_BODY(PRIO_FATAL, 0);
	log_flush(LOG_LAST_MS);
	_exit(EX_SOFTWARE);
}
