/*
 * The processes that messages travel between.  Any process.
 */
#ifndef WHARF_PROC_H
#define WHARF_PROC_H

#include <stdint.h>

enum proc {
	PROC_NONE,
	PROC_SUP, /* wharfd, the supervisor */
	PROC_WATCH,
	PROC_ENGINE,
	PROC_IMAGE,
	PROC_PUSH,
	PROC_PLAN,
	PROC_CONTROL,
	PROC_CLIENT, /* wharfctl, behind control */
	PROC_CONFIG, /* one-shot: reads configuration files */
	PROC_MAX
};

#define PROC_BIT(p) (1u << (p))

/* "watch", "engine", ...; "?" for a number that is none. */
const char *proc_name(unsigned p);

/* The number of a name, PROC_NONE when there is none. */
enum proc proc_by_name(const char *name);

#endif
