/*
 * What the three files of the log share: log.c (what is said), log_line.c
 * (how a line looks), log_sink.c (where it goes and how it never blocks).
 */
#ifndef WHARF_LOG_PRIVATE_H
#define WHARF_LOG_PRIVATE_H

#include "log.h"

#define LOG_LINE_MAX \
	4096 /* with the newline; <= PIPE_BUF: pipes keep it whole */
#define LOG_TEXT_MAX \
	3900 /* of what is said: leaves room for what stands before */

enum log_form {
	LOG_FORM_TEXT,    /* name: warning: text */
	LOG_FORM_JOURNAL, /* <4>name: warning: text */
	LOG_FORM_JSON,    /* {"time":...,"prio":...} */
	LOG_FORM_SYSLOG,  /* <28>Nov 22 05:14:57 wharfd[7]: name: warning: text
			   */
	LOG_FORM_PIPE,    /* <4>text, for the supervisor */
};

struct log_line {
	enum log_prio prio;
	const char *proc;
	pid_t pid;
	const char *text; /* escaped: printable UTF-8 */
};

/*
 * Write a line with its newline into dst (size bytes, more than LOG_LINE_MAX);
 * what is too long is cut between two characters.  Returns its length.
 */
size_t log_line_make(char *dst, size_t size, enum log_form form,
    const struct log_line *l);

/* Where lines of log_sink_write() go. */
void log_sink_stderr(enum log_form form);
void log_sink_syslog(const char *path);

/* Put a line out, keep it, or count it as lost.  Never blocks, see log.h. */
void log_sink_write(const struct log_line *l);

/* The one who says it when lines were lost. */
const char *log_own_name(void);

#endif
