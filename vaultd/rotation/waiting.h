/* vaultd/rotation/waiting.h - rows of an index of due times that wait for a place at their target.
 *
 * What:    What is due is looked at from the front. Where ten thousand rows wait for one target, each look
 *          would open all of them again, only to learn that they still wait. So a row that was opened is
 *          remembered by its key, with its target; while nothing starts there it is stepped over unopened,
 *          and its place in the line is the one that its key says. Who waits for another secret to be rotated
 *          first, or for the run that has its account, is remembered in the same way: such a "target" is WAITING_ORDER
 *          and the id of that.
 * Limits:  WAITING_ROWS_MAX rows, WAITING_TARGETS_MAX targets; others are opened at each look. A secret
 *          whose target is changed while its row keeps its time is found by WAITING_KEEP_MS at the latest:
 *          then everything is forgotten. Without memory nothing is remembered.
 * Owner:   waiting_free(); zeroes are an empty one.
 * Threads: one thread at a time. */
#pragma once

#include "vaultd/rotation/names.h"
#include "vaultd/rotation/target.h"

#define WAITING_ROWS_MAX    131072u
#define WAITING_TARGETS_MAX 4096u
#define WAITING_ORDER       '\n' /* no target's name begins so */
#define WAITING_KEEP_MS     ((int64_t)60 * 1000)

struct waiting_row;
struct waiting_target;
struct waiting_line {
    struct waiting_row *rows; /* open addressing; room is a power of 2, or 0 */
    size_t n, room;
    struct waiting_target *targets;
    size_t n_targets, targets_room;
    int64_t since_ms;
};

void waiting_free(struct waiting_line *waiting);
/* Before a look: every target is open again; what is older than WAITING_KEEP_MS is forgotten. */
void waiting_begin(struct waiting_line *waiting, int64_t now_ms);
/* The row's target; NULL: not known. Until the next waiting_add() or waiting_begin(). */
struct waiting_target *waiting_find(const struct waiting_line *waiting, struct kt_bytes key);
/* Remembers it; NULL: there is no room. */
struct waiting_target *waiting_add(struct waiting_line *waiting, struct kt_bytes key, const char *target);
const char *waiting_name(const struct waiting_target *target);
/* Nothing starts there in this look. */
void waiting_close(struct waiting_target *target);
bool waiting_closed(const struct waiting_target *target);
