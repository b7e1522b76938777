/*
 * How a line of the log looks, see log_private.h.  Any process.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log_private.h"

#define SYSLOG_DAEMON (3 << 3) /* the facility; syslog(3) */

/* The word that text needs where nothing else says the priority. */
static const char *
prio_word(enum log_prio prio)
{
	return (prio == PRIO_FATAL ? "fatal: " :
		prio == PRIO_WARN  ? "warning: " :
				     "");
}

static const char *
prio_name(enum log_prio prio)
{
	switch (prio) {
	case PRIO_FATAL:
		return ("err");
	case PRIO_WARN:
		return ("warning");
	case PRIO_NOTE:
		return ("notice");
	case PRIO_INFO:
		return ("info");
	case PRIO_DEBUG:
		return ("debug");
	}
	return ("info");
}

/* How many bytes of s fit into n without half a character. */
static size_t
cut_at(const char *s, size_t n)
{
	size_t len = strnlen(s, n + 1);

	if (len <= n)
		return (len);
	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return (n);
}

/* RFC 3339, UTC, microseconds. */
static void
time_add(char *dst, size_t size)
{
	int64_t ns = wall_now_ns();
	time_t sec = (time_t)(ns / 1000000000);
	struct tm tm;
	char day[24];

	gmtime_r(&sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(dst, size, "%s.%06dZ", day, (int)(ns / 1000 % 1000000));
}

/* The text is printable already: only two characters mean something here. */
static size_t
json_add_text(char *dst, size_t room, const char *s)
{
	size_t out = 0, len;

	for (; *s != '\0'; s += len) {
		bool quote = *s == '"' || *s == '\\';

		for (len = 1; ((unsigned char)s[len] & 0xc0) == 0x80;)
			len++;
		if (out + quote + len > room)
			break;
		if (quote)
			dst[out++] = '\\';
		memcpy(dst + out, s, len);
		out += len;
	}
	return (out);
}

static size_t
line_json(char *dst, size_t size, const struct log_line *l)
{
	static const char end[] = "\"}\n";
	char when[48];
	size_t n;

	time_add(when, sizeof(when));
	n = (size_t)snprintf(dst, size,
	    "{\"time\":\"%s\",\"prio\":\"%s\",\"proc\":\"%s\",\"pid\":%d,"
	    "\"msg\":\"",
	    when, prio_name(l->prio), l->proc, (int)l->pid);
	n += json_add_text(dst + n, size - n - sizeof(end), l->text);
	memcpy(dst + n, end, sizeof(end));
	return (n + sizeof(end) - 1);
}

/* As syslog(3) writes it, but for the log's own time of day. */
static int
syslog_head(char *dst, size_t size, const struct log_line *l)
{
	time_t now = (time_t)(wall_now_ns() / 1000000000);
	struct tm tm;
	char when[24];

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	return (snprintf(dst, size, "<%d>%s wharfd[%d]: ",
	    SYSLOG_DAEMON | (int)l->prio, when, (int)getpid()));
}

size_t
log_line_make(char *dst, size_t size, enum log_form form,
    const struct log_line *l)
{
	int n = 0;
	size_t len;

	if (form == LOG_FORM_JSON)
		return (line_json(dst, size, l));
	if (form == LOG_FORM_SYSLOG)
		n = syslog_head(dst, size, l);
	else if (form != LOG_FORM_TEXT)
		n = snprintf(dst, size, "<%d>", (int)l->prio);
	if (form != LOG_FORM_PIPE)
		n += snprintf(dst + n, size - (size_t)n, "%s: %s", l->proc,
		    prio_word(l->prio));
	len = cut_at(l->text, size - (size_t)n - 2);
	memcpy(dst + n, l->text, len);
	memcpy(dst + (size_t)n + len, "\n", 2);
	return ((size_t)n + len + 1);
}
