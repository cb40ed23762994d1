/* vaultd/rotation/places.h - how much rotation does at the same time, and a minute.
 *
 * What:    A run has a place while it does something at its target. Of those there are `max_runs` at a
 *          target and so many in all as vaultd's configuration says. Schedules start so many runs a
 *          minute, in all and at a target. What finds none waits. That one account, and a pair of
 *          them, has one run at a time is not counted here: their lock sees to it (start.c).
 *          Places are about which run has its turn, and for how long; how many log in at a target at
 *          the same time, whatever for, is the pool's (job.h).
 * Kept:    in memory. After a restart each run has the place again that it had before others may have
 *          one (actives.c), and runs that were started within the minute count.
 * Threads: the rotation thread's; places_seen(): any.
 * Source:  no standard. */
#pragma once

#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/target.h"

/* May a run do something at this target now? self: its own place is not counted; NULL: it has none. */
bool place_free(const struct rotation *rotation, const struct active *self,
                const struct rotation_target *target);
/* So many there are in all. */
unsigned places_most(const struct rotation *rotation);
/* Are all places taken, whatever the target? */
bool places_taken(const struct rotation *rotation);
/* A run in this state does something at its target, when nothing holds it up. */
bool state_has_place(enum run_state state);
/* Something may be different at the target. */
bool state_has_begun(enum run_state state);

/* The minute's share of scheduled starts: in all, and at a target. *ret_when: the steady time at which
 * there is one again. */
bool starts_left(const struct rotation *rotation, int64_t now_ms, int64_t *ret_when);
bool starts_left_at(const struct rotation *rotation, const struct rotation_target *target,
                    int64_t now_ms, int64_t *ret_when);
void start_count(struct rotation *rotation, const char *target, int64_t at_ms);

/* For people: runs that have a place at the target and in all, and what was started in the last minute. */
struct places_seen {
    unsigned here, all, most;
    unsigned starts_here, starts, starts_most;
};
void places_seen(struct rotation *rotation, const char *target, struct places_seen *ret);
/* Why something that is due waits there, into the arena; "": it does not. NULL: out of memory. */
const char *places_why(struct request *req, const struct rotation_target *target);
