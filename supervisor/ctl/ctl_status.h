/*
 * The status as wharfctl received it, and its two printers.
 * Process: wharfctl.
 */
#ifndef WHARF_CTL_CTL_STATUS_H
#define WHARF_CTL_CTL_STATUS_H

#include <stdio.h>

#include "buf.h"
#include "msg.h"

struct status_item {
	uint32_t kind; /* enum status_kind */
	struct buf fields;
};

struct status {
	struct status_item *v;
	size_t n;
	struct buf end; /* fields of the last answer: WORKER*, TEXT */
};

void status_add(struct status *s, uint32_t kind, const struct fields *t);
void status_clear(struct status *s);

struct ctl;

/*
 * Ask CTL_STATUS or CTL_METRICS, again where the front desk is restarted.
 * EX_OK, or an exit code after saying why.  The items are the caller's to
 * clear either way.
 */
int ctl_ask_status(struct ctl *c, enum msg_type type, struct status *s);

/* All: 0, or -1 when it could not be made or written. */
int status_print_json(const struct status *s, FILE *out);
int status_print_text(const struct status *s, FILE *out);

#endif
