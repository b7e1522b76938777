/*
 * Logging.  Every process writes lines "process: text" to standard error; a
 * worker's standard error is a pipe to the supervisor, which puts the lines
 * out.  Text from outside is escaped here, so that no raw control byte
 * reaches a log or a terminal.
 */
#ifndef WHARF_LOG_H
#define WHARF_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* Set the process's name and how much it says (0 info, 1 -v, 2 -vv). */
void log_init(const char *name, int verbose);
int log_verbose(void);

/* Let a subsystem say more: -D token.  The string is kept. */
void log_enable_token(const char *token);
bool log_has_token(const char *token);

/* The first two add strerror(errno); debug needs -v. */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Log and end the process with EX_SOFTWARE. */
void fatal(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));
void fatalx(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/*
 * Write one line as it is, escaped, with no prefix: for lines of workers,
 * which carry theirs already.
 */
void log_line(const char *line, size_t len);

/*
 * Escape n bytes for a terminal into dst (size bytes, always terminated,
 * cut at the end).  UTF-8 passes, control bytes and invalid bytes become \xHH.
 * Returns dst.
 */
char *log_escape(char *dst, size_t size, const void *src, size_t n);

#endif
