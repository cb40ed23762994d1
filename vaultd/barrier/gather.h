/* vaultd/barrier/gather.h - key shares that come one by one from several people, until there are enough.
 *
 * What:    A place for each number that a share can have. Shares prove themselves only together, so
 *          anybody can spoil a set by a false one: therefore it counts who brought one. What somebody
 *          brings never displaces what a more trustworthy one brought, and when a set turns out false,
 *          the least trustworthy ones' shares go first.
 * Owner:   gather_init() takes its guarded memory once, so that no later step can lack it; gather_free()
 *          wipes it; zeroed ones are fine.
 * Errors:  KT_NO_MEMORY from gather_init() alone.
 * Threads: one thread at a time. */
#pragma once

#include "lib/secret.h"
#include "vaultd/barrier/shamir.h"

enum gather_from {
    GATHER_NOBODY,
    GATHER_STRANGER,
    GATHER_KNOWN,   /* came with a token, or from the vault's own machine */
    GATHER_TRUSTED, /* may begin and cancel the whole, too */
    GATHER_LEVELS
};

struct gather {
    struct kt_secret *shares;                  /* by their number, from 1 */
    unsigned char from[SHAMIR_SHARES_MAX + 1]; /* enum gather_from, by the same number */
    unsigned n[GATHER_LEVELS];                 /* how many of each; of nobody's 0 */
};

enum kt_kind gather_init(struct gather *gather, struct kt_err *err) KT_MUST_CHECK;
void gather_free(struct gather *gather);
void gather_empty(struct gather *gather);
unsigned gather_count(const struct gather *gather);

enum gathered {
    GATHERED,            /* it was added, or took a less trustworthy one's place */
    GATHERED_BEFORE,     /* it was there */
    GATHERED_CONTRADICTS /* another one of this number was there, as trustworthy: all of that trust went;
                          * or a more trustworthy one, and this one was not taken */
};
/* share[32] is its number, not 0. */
enum gathered gather_add(struct gather *gather, const unsigned char share[SHAMIR_SHARE_BYTES],
                         enum gather_from from);
bool gather_has(const struct gather *gather, const unsigned char share[SHAMIR_SHARE_BYTES]);
/* The secret that all of them give; there is one at least. */
void gather_combine(const struct gather *gather, unsigned char ret[SHAMIR_SECRET_BYTES]);
/* It was not the secret: the least trustworthy ones' shares go. */
void gather_refuse(struct gather *gather);
