#include "vaultd/fleet/own.h"

#define PLACES     3u
#define PLACE_BITS 20u /* prints are keyed hashes: three times 20 bits of one are independent */

_Static_assert(AWAITED_WORDS * 64u == 1u << PLACE_BITS, "a place for every number");

static unsigned place(fleet_print print, unsigned i)
{
    return (unsigned)(print >> (i * PLACE_BITS)) & ((1u << PLACE_BITS) - 1);
}

void awaited_add(struct awaited *awaited, fleet_print print)
{
    for (unsigned i = 0; i < PLACES; i++) {
        unsigned at = place(print, i);
        (void)atomic_fetch_or_explicit(&awaited->words[at / 64], UINT64_C(1) << (at % 64),
                                       memory_order_relaxed);
    }
}

bool awaited_has(const struct awaited *awaited, fleet_print print)
{
    bool has = true;
    for (unsigned i = 0; i < PLACES; i++) {
        unsigned at = place(print, i);
        has = has && (atomic_load_explicit(&awaited->words[at / 64], memory_order_relaxed) >>
                          (at % 64) & 1) != 0;
    }
    return has;
}

void awaited_clear(struct awaited *awaited)
{
    for (size_t i = 0; i < AWAITED_WORDS; i++)
        atomic_store_explicit(&awaited->words[i], 0, memory_order_relaxed);
}
