/* vaultd/auth/leased_counts.h - how many leases each mount has.
 *
 * What:    What was there at the start is counted bit by bit, in steps; what happens to rows that are counted is
 *          followed, fold by fold. A step may see a fold before that is followed: each row's count says as of when.
 * Source:  TABLE_LEASED_IN, a row a lease.
 * Threads: any thread; the followed folds come on the store's. */
#pragma once

#include "vaultd/barrier/barrier.h"

struct leased_counts *leased_counts_new(struct store *store);
/* The store follows no more by then. */
void leased_counts_free(struct leased_counts *counts);
/* A step of counting what was there at the start. False: all is counted, or the store could not be read: once more in
 * the next round. */
bool leased_counts_step(struct leased_counts *counts);
uint64_t leased_counts_of(struct leased_counts *counts, const unsigned char scope[BARRIER_SCOPE]);
