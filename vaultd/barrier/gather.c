#include "vaultd/barrier/gather.h"

#include <sodium.h>

#include "lib/assert.h"

#define NUMBER_AT SHAMIR_SECRET_BYTES

static unsigned char *place(const struct gather *gather, unsigned number)
{
    return gather->shares->at + (number - 1) * (size_t)SHAMIR_SHARE_BYTES;
}

enum kt_kind gather_init(struct gather *gather, struct kt_err *err)
{
    *gather = (struct gather){
        .shares = kt_secret_new((size_t)SHAMIR_SHARES_MAX * SHAMIR_SHARE_BYTES)};
    return gather->shares == NULL ? kt_secret_failed(err, "making room for key shares") : KT_OK;
}

void gather_free(struct gather *gather)
{
    kt_secret_free(gather->shares);
    *gather = (struct gather){0};
}

static void drop(struct gather *gather, enum gather_from from)
{
    for (unsigned number = 1; number <= SHAMIR_SHARES_MAX; number++)
        if (gather->from[number] == from) {
            sodium_memzero(place(gather, number), SHAMIR_SHARE_BYTES);
            gather->from[number] = GATHER_NOBODY;
        }
    gather->n[from] = 0;
}

void gather_empty(struct gather *gather)
{
    for (enum gather_from from = GATHER_STRANGER; from < GATHER_LEVELS; from++)
        drop(gather, from);
}

unsigned gather_count(const struct gather *gather)
{
    unsigned n = 0;
    for (enum gather_from from = GATHER_STRANGER; from < GATHER_LEVELS; from++)
        n += gather->n[from];
    return n;
}

static void put(struct gather *gather, const unsigned char share[SHAMIR_SHARE_BYTES],
                enum gather_from from)
{
    unsigned number = share[NUMBER_AT];
    if (gather->from[number] != GATHER_NOBODY)
        gather->n[gather->from[number]]--;
    memcpy(place(gather, number), share, SHAMIR_SHARE_BYTES);
    gather->from[number] = (unsigned char)from;
    gather->n[from]++;
}

bool gather_has(const struct gather *gather, const unsigned char share[SHAMIR_SHARE_BYTES])
{
    unsigned number = share[NUMBER_AT];
    return gather->from[number] != GATHER_NOBODY &&
           sodium_memcmp(place(gather, number), share, SHAMIR_SHARE_BYTES) == 0;
}

enum gathered gather_add(struct gather *gather, const unsigned char share[SHAMIR_SHARE_BYTES],
                         enum gather_from from)
{
    unsigned number = share[NUMBER_AT];
    KT_ASSERT(number != 0 && from != GATHER_NOBODY);
    enum gather_from before = gather->from[number];
    bool same = gather_has(gather, share);
    if (before < from) {
        put(gather, share, from);
        return same ? GATHERED_BEFORE : GATHERED;
    }
    if (same)
        return GATHERED_BEFORE;
    if (before == from)
        drop(gather, from);
    return GATHERED_CONTRADICTS;
}

void gather_combine(const struct gather *gather, unsigned char ret[SHAMIR_SECRET_BYTES])
{
    unsigned char used[SHAMIR_SHARES_MAX][SHAMIR_SHARE_BYTES];
    unsigned n = 0;
    KT_ASSERT(gather_count(gather) > 0);
    for (unsigned number = 1; number <= SHAMIR_SHARES_MAX; number++)
        if (gather->from[number] != GATHER_NOBODY)
            memcpy(used[n++], place(gather, number), SHAMIR_SHARE_BYTES);
    enum kt_kind kind =
        shamir_combine((const unsigned char(*)[SHAMIR_SHARE_BYTES])used, n, ret, NULL);
    KT_ASSERT(kind == KT_OK); /* their numbers differ */
    sodium_memzero(used, sizeof used);
}

void gather_refuse(struct gather *gather)
{
    enum gather_from least = GATHER_STRANGER;
    while (least < GATHER_TRUSTED && gather->n[least] == 0)
        least++;
    drop(gather, least);
}
