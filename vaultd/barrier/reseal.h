/* vaultd/barrier/reseal.h - entries under old terms are sealed anew under the newest one.
 *
 * What:    Walks over the whole store in the order of its keys and puts what is sealed under a term
 *          below `below` into a batch anew, each on condition that it is still as it was. What
 *          tables.h calls META, OWN, ROOT and CLEAR has no term where it says so, and is left.
 * Use:     barrier_rotate() begins a term T. What is committed past the pipeline, which nobody makes
 *          anew, has to be through (vaultd/core/reencrypt.c). Once store_refuse_older(T) was called
 *          and a batch after it has committed, nothing older than T can come any more; a walk over
 *          everything that began after that and ended without a conflict leaves nothing older than
 *          T. Then barrier_drop_terms(T).
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/barrier/barrier.h"

struct reseal {
    unsigned char at[STORE_KEY_MAX]; /* everything up to and including this key is done */
    size_t at_len;                   /* 0: nothing is */
    bool whole;                      /* everything is */
    unsigned looked_at, rewritten;   /* by the last call */
};

/* One piece: at most rewrite_max entries into batch, two operations each, and at most RESEAL_LOOK
 * looked at. *walk is changed on success only. KT_CORRUPT: an entry does not open; nothing is lost. */
#define RESEAL_LOOK 2000u
enum kt_kind barrier_reseal(struct barrier *barrier, struct snapshot *snapshot, uint32_t below,
                            unsigned rewrite_max, struct batch *batch, struct reseal *walk,
                            struct kt_err *err) KT_MUST_CHECK;
/* The term of a value in the store; 0: it is sealed under none. */
uint32_t reseal_term(struct kt_bytes key, struct kt_bytes value);
