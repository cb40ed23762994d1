/* vaultd/rotation/gap.h - for how long a run kept somebody from logging in with what he had.
 *
 * What:    Alternate and overlap leave none: both credentials are accepted until everybody has the new one; where
 *          somebody was not waited for, nobody knows (GAP_UNKNOWN). In-place the old one is dead from some moment after
 *          the change was ordered, so the gap begins with the order (the stored intent) and ends with the acknowledgement of the last consumer before the overlap: nobody was cut off for
 *          longer than that, many for less. Without consumers nobody says when the new value was taken: the gap then
 *          lasted until it could be read, at least. Going back, it ends when the last one has the old value again, or
 *          with the run.
 *          Where each consumer that was registered had both before the change was ordered (candidates.h), there is none.
 * Unknown: where the target refused both credentials for a while, or the old one before everybody had the new one where
 *          both should have been accepted, where a run was frozen, and where a drift was mended: that began outside.
 * Owner:   borrowed.
 * Threads: any. */
#pragma once

#include "vaultd/rotation/run.h"

enum gap_until {
    GAP_NONE,
    GAP_UNKNOWN,
    GAP_ACKNOWLEDGED, /* at most so long */
    GAP_READABLE,     /* at least so long */
    GAP_LEAST,        /* at least so long: somebody was not waited for */
    GAP_BACK,         /* at most */
    GAP_HELD          /* none: each consumer had both before the change */
};
struct gap {
    enum gap_until until;
    int64_t ms;
};
/* Of a run that ended, by all its steps. */
struct gap gap_of(const struct run *run, const struct run_step *steps, size_t n);

/* Until when it was measured; "": it was not, or there was none. */
const char *gap_word(const struct gap *gap);
/* A sentence: who is hurt. */
void gap_say(const struct gap *gap, struct kt_buf *out);
/* The members "gap_ms" (null: not known) and "gap_until". */
void gap_show(const struct gap *gap, struct kt_jsonw *w);
/* A row of the report's head. */
void gap_row(const struct gap *gap, struct kt_buf *out);
