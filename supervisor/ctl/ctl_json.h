/*
 * Fields of messages as JSON: one printer, made of field.def's names.
 * Process: wharfctl.
 */
#ifndef WHARF_CTL_CTL_JSON_H
#define WHARF_CTL_CTL_JSON_H

#include <stdio.h>

#include "msg.h"
#include "workers/shared/json.h"

/* What stands for a field that is absent. */
enum absent { ABSENT_NULL, ABSENT_ZERO, ABSENT_FALSE, ABSENT_LIST };

/* A key that is always there; rows are ended by F_NONE. */
struct ctl_key {
	enum field_key key;
	enum absent absent;
};

/*
 * Add to obj: the keys of `first`, in their order; then the other fields in
 * the order they came, without those of `first` and `skip` (may be NULL).
 * ABSENT_LIST makes an array of any number; another field that stands several
 * times becomes an array as well.  -1: no memory.
 */
int ctl_json_fields(cJSON *obj, const struct fields *t,
    const struct ctl_key *first, const struct ctl_key *skip);

/* Only the keys of `rows`. */
int ctl_json_keys(cJSON *obj, const struct fields *t,
    const struct ctl_key *rows);

/* Wall time as RFC 3339 in UTC with nanoseconds; -1: cannot be a time. */
int ctl_json_time(char *dst, size_t size, int64_t ns);

/* One event as an object; NULL: no memory.  The caller owns it. */
cJSON *ctl_json_event(const struct msg_ctl_event *m, const struct fields *t);

#endif
