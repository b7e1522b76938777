/*
 * The text form of events.  Process: wharfctl.
 */
#ifndef WHARF_CTL_CTL_MONITOR_H
#define WHARF_CTL_CTL_MONITOR_H

#include <stdio.h>

#include "msg.h"

/* One line, everything from outside escaped; local time. */
void monitor_print_text(const struct msg_ctl_event *m, const struct fields *t,
    FILE *out);

#endif
