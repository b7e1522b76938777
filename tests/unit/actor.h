/*
 * A supervisor under test with real processes: its workers are this very test
 * program, started again under their names, each with a part to play.
 */
#ifndef WHARF_TEST_ACTOR_H
#define WHARF_TEST_ACTOR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "supervisor/reader.h"
#include "supervisor/sup.h"

/* In the worker. */

struct actor {
	struct loop *loop;
	struct channel *ch;
	enum proc role;
	char part[32];
	bool ready;
	unsigned said; /* for the part to count with */
};

/*
 * A part: true when it has done what there is to do for this frame.  Else a
 * worker answers CONF_END with READY and later with CONF_TAKEN, PING with
 * PONG, and ends at STOP.
 */
struct actor_part {
	const char *name;
	bool (*frame)(struct actor *a, struct frame *f);
};

/* As a worker: plays and does not return.  parts end with a NULL name. */
void actor_main(char **argv, const struct actor_part *parts);

void actor_say(struct actor *a, enum msg_type type, uint32_t id,
    const void *fixed, const struct buf *tail);
void actor_say_n(struct actor *a, enum msg_type type, uint32_t id, uint64_t n);
void actor_ready(struct actor *a);

/* In the supervisor. */

struct stage {
	char *dir;
	char *exe; /* this program */
	struct options opt;
	struct sup sup;
	mono_t now;
	int64_t skipped; /* ms that were not waited for */
	int fds;
};

/* cmocka's set-up and tear-down; nothing is started yet. */
int stage_up(void **state);
int stage_down(void **state);

/* What the worker of that role does from its next start on. */
void stage_part(struct stage *w, enum proc role, const char *part);

/* A file below the world's directory, with this text. */
char *stage_file(struct stage *w, const char *name, const char *text);

/* Run the loop; skip so many ms first, without waiting. */
void stage_turn(struct stage *w, int64_t skip);

/* Run it until that is so; fails after 10 s. */
#define stage_until(w, cond)                                 \
	do {                                                 \
		for (int i_ = 0; i_ < 1000 && !(cond); i_++) \
			stage_turn((w), 0);                  \
		assert_true(cond);                           \
	} while (0)

/* One service "s" of an engine "e", for reload_apply(). */
void stage_config(struct stage *w, struct config *c);

/* All workers, READY, with stage_config(). */
void stage_start(struct stage *w);

struct child *stage_child(struct stage *w, enum proc role);

/* The daemon ends, as at SIGTERM, at once: all that is left is killed. */
void stage_end(struct stage *w);

#endif
