/*
 * wharfctl's connection to wharfd, and what its commands share.
 * Process: wharfctl.
 */
#ifndef WHARF_CTL_CTL_H
#define WHARF_CTL_CTL_H

#include <stdbool.h>
#include <stdio.h>

#include "channel.h"
#include "rpc.h"

struct ctl {
	const char *path; /* of the control socket */
	bool json;
	FILE *out;
	FILE *err;
	struct loop *loop;
	struct channel *ch; /* NULL: not connected */
	struct rpc *rpc;
	bool ended;
	char why[160]; /* it ended, or was refused */
};

enum ctl_wait {
	CTL_ANSWERED, /* the last answer has come */
	CTL_GONE,     /* the connection ended first; `why` says more */
	CTL_LATE,     /* the deadline came first */
};

/* Everything of a ctl that is not for the caller to say. */
void ctl_init(struct ctl *c, const char *path, FILE *out, FILE *err);
void ctl_done(struct ctl *c);

/*
 * Where the socket is: `given`, $WHARF_SOCKET, or the place for this user;
 * NULL when there is none.  The string is kept by the caller or static.
 */
const char *ctl_socket_path(const char *given);

/* Connect anew.  EX_OK, or an exit code after saying why on `err`. */
int ctl_connect(struct ctl *c, mono_t deadline);

/*
 * Send a request and run until its last answer, the end of the connection or
 * the deadline.  `each` gets every answer.
 */
enum ctl_wait ctl_ask(struct ctl *c, enum msg_type type, const void *fixed,
    const struct buf *tail, mono_t deadline, rpc_cb each, void *arg);

/* "wharfctl: ..." on `err`; what comes from outside is escaped. */
void ctl_complain(struct ctl *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Say what an MSG_ERR says and return its exit code. */
int ctl_complain_err(struct ctl *c, const struct frame *f);

/* The one table from what wharfd answers to exit codes. */
int ctl_exit_code(enum err_code code);

/* Print n bytes from outside, escaped for a terminal. */
void ctl_print_text(FILE *out, const void *s, size_t n);

/* So much of a container's id is shown to people, as docker ps does. */
static inline size_t
ctl_id_len(size_t len)
{
	return (len < 12 ? len : 12);
}

/* The commands: an exit code. */
int ctl_status(struct ctl *c);
int ctl_metrics(struct ctl *c);
int ctl_monitor(struct ctl *c, bool has_since, uint64_t since);
/* service may be NULL: all; timeout_ms 0: none */
int ctl_do(struct ctl *c, enum do_verb verb, const char *service,
    uint64_t timeout_ms);
int ctl_stop(struct ctl *c);
int ctl_reload(struct ctl *c);

#endif
