/* vaultd/rotation/waiting.h - rows of an index of due times that wait, for a place or for their turn.
 *
 * What:    What is due is looked at from the front. Where ten thousand rows wait for one target, each look
 *          would open all of them again, only to learn that they still wait. So a row that was opened is
 *          remembered by its key, with what it waits for: a place at its target, its turn behind a secret that
 *          is rotated first, or behind whoever has its account. Of the latter a row keeps one, beside its target:
 *          which of them holds it up may change from look to look. While nothing of one of them starts it is
 *          stepped over unopened, and its place in the line is the one that its key says.
 * Limits:  WAITING_ROWS_MAX rows, WAITING_REASONS_MAX targets and turns; others are opened at each look. A secret
 *          whose target, account or order is changed while its row keeps its time is found by WAITING_KEEP_MS at
 *          the latest: then everything is forgotten. Without memory nothing is remembered.
 * Owner:   waiting_free(); zeroes are an empty one.
 * Threads: one thread at a time. */
#pragma once

#include "vaultd/rotation/names.h"
#include "vaultd/rotation/target.h"

#define WAITING_ROWS_MAX    131072u
#define WAITING_REASONS_MAX 4096u
#define WAITING_KEEP_MS     ((int64_t)60 * 1000)

enum waiting_for {
    WAITING_PLACE, /* at its target, of this name */
    WAITING_TURN,  /* the name: text of the id of what is before it */
    WAITING_KINDS
};

struct waiting_row;
struct waiting_reason;
struct waiting_line {
    struct waiting_row *rows; /* open addressing; room is a power of 2, or 0 */
    size_t n, room;
    struct waiting_reason *reasons;
    size_t n_reasons, reasons_room;
    int64_t since_ms;
};

void waiting_free(struct waiting_line *waiting);
/* Before a look: nothing is closed any more; what is older than WAITING_KEEP_MS is forgotten. */
void waiting_begin(struct waiting_line *waiting, int64_t now_ms);
/* What the row may wait for, instead of what it was of that kind; false: there is no room. */
bool waiting_add(struct waiting_line *waiting, struct kt_bytes key, enum waiting_for kind, const char *name);
/* The same, and nothing that waits for it starts in this look. */
void waiting_close(struct waiting_line *waiting, struct kt_bytes key, enum waiting_for kind, const char *name);
/* One of what the row waits for is closed. */
bool waiting_closed(const struct waiting_line *waiting, struct kt_bytes key);
/* It has a target, be it that this is not what it waits for. */
bool waiting_has_target(const struct waiting_line *waiting, struct kt_bytes key);
