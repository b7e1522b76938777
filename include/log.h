/*
 * Logging.  A worker's standard error is a pipe to the supervisor, which puts
 * the lines out with its own: as text "process: text", as JSON lines, or to
 * syslog.  Text from outside is escaped here, so that no raw control byte
 * reaches a log or a terminal.
 *
 * Down the pipe a line is "<priority>text".  Whose it is says the supervisor,
 * which knows at which pipe it reads.
 */
#ifndef WHARF_LOG_H
#define WHARF_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "msg.h"

struct loop;

/* As in syslog(3), whose header's names would collide with msg.h's. */
enum log_prio {
	PRIO_FATAL = 3,
	PRIO_WARN = 4,
	PRIO_NOTE = 5, /* of a worker, but not by these functions */
	PRIO_INFO = 6,
	PRIO_DEBUG = 7,
};

/* Set the process's name and how much it says (0 info, 1 -v, 2 -vv). */
void log_init(const char *name, int verbose);
int log_verbose(void);

/* "text", "json" or "syslog": 0, or -1. */
int log_format_by_name(const char *name, enum log_format *f);

/*
 * Supervisor: which form the log has from here on.  Text gets the prefix
 * "<priority>" where standard error is the journal's (JOURNAL_STREAM,
 * systemd.exec(5)).
 */
void log_set_format(enum log_format f);

/* The same as LOG_SYSLOG, to another socket than /dev/log where not NULL. */
void log_to_syslog(const char *path);

/* Worker: lines go down the pipe to the supervisor. */
void log_to_supervisor(void);

/*
 * Supervisor: from here on the log never blocks.  What its reader does not
 * take is kept, up to 256 KiB, and tried again by timers of the loop; what
 * does not fit is counted, and told when the reader goes on.  Without this,
 * and with a NULL loop again, nothing is kept.
 */
void log_set_loop(struct loop *l);

/* Before an end: wait up to ms for the reader to take what is kept. */
void log_flush(int ms);

/* Lines lost since the start. */
uint64_t log_lost(void);

/*
 * Let a subsystem say more: -D token.  The string is kept.  The token that is
 * a worker's name, or "supervisor", shows that process's log_debug().
 */
void log_enable_token(const char *token);
bool log_has_token(const char *token);

/* Is there such a token, and which are there, in words for people. */
bool log_token_exists(const char *token);
const char *log_token_names(void);

/* log_warn adds strerror(errno); debug needs -v or -D of this process. */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Log with strerror(errno), or without, and end with EX_SOFTWARE. */
void fatal(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));
void fatalx(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* Supervisor: put out a line that came up a worker's pipe. */
void log_relay(const char *proc, pid_t pid, const char *line, size_t len);

/*
 * Escape n bytes for a terminal into dst (size bytes, always terminated,
 * cut at the end).  UTF-8 passes, control bytes and invalid bytes become \xHH.
 * Returns dst.
 */
char *log_escape(char *dst, size_t size, const void *src, size_t n);

#endif
