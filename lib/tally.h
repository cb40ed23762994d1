/* lib/tally.h - a count that many threads change and few look at.
 *
 * What:    One number in pieces, each in a cache line of its own: threads that add at the same time do
 *          not take the line from each other, as they would with one atomic number.
 * Sum:     of what the pieces said while they were looked at one after the other. Whoever takes away
 *          what another thread added may do so anywhere: only the sum counts.
 * Owner:   a zeroed struct is 0.
 * Threads: any thread. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define KT_TALLY_PIECES 16u

struct kt_tally {
    struct {
        char apart[56]; /* rather than alignment, which malloc() would not keep */
        _Atomic int64_t n;
    } pieces[KT_TALLY_PIECES];
};

/* Any piece is right; threads should differ. The address of a thread's own variable tells them apart
 * without a number that all would share. */
static inline void kt_tally_add(struct kt_tally *tally, int64_t n)
{
    static _Thread_local char mark;
    uint64_t page = (uint64_t)(uintptr_t)&mark >> 12;
    unsigned i = (unsigned)((page * UINT64_C(0x9E3779B97F4A7C15)) >> 60);
    (void)atomic_fetch_add_explicit(&tally->pieces[i].n, n, memory_order_acq_rel);
}
_Static_assert(KT_TALLY_PIECES == 16, "the four highest bits choose a piece");

static inline int64_t kt_tally_sum(const struct kt_tally *tally)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < KT_TALLY_PIECES; i++)
        sum += atomic_load_explicit(&tally->pieces[i].n, memory_order_acquire);
    return sum;
}
