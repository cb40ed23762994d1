/* vaultd/core/reencrypt.h - everything in the store under a new key, and the old keys destroyed.
 *
 * What:    A new term of the keyring begins; what older terms sealed is sealed anew, piece by piece in
 *          batches of its own beside everybody else's; when nothing older is left, the older terms
 *          are taken out of the keyring and wiped. What was deleted or destroyed before it began
 *          can then not be opened any more with what the store's live records hold; what the file's
 *          old pages hold goes with compaction (vaultd/store/store.h).
 * State:   one record, so that it goes on after a stop: BEGUN -> REWRITING -> DROPPING -> DONE.
 *          vaultd/barrier/reseal.h says why nothing older can be left.
 * Format:  TABLE_CONFIG ‖ name "reencrypt" -> sealed u8 format ‖ u8 phase ‖ u32 term ‖ u64 looked at ‖
 *          u64 rewritten ‖ i64 begun ms ‖ i64 ended ms ‖ field: the key that it has come to.
 * Threads: begin and load: handlers. run: the upkeep thread, without a snapshot. */
#pragma once

#include <stdatomic.h>

#include "vaultd/core/core.h"

#define REENCRYPT_PHASES(X)                                                                        \
    X(REENCRYPT_NONE, "never begun")                                                               \
    X(REENCRYPT_BEGUN, "begun")                                                                    \
    X(REENCRYPT_REWRITING, "rewriting")                                                            \
    X(REENCRYPT_DROPPING, "dropping old terms")                                                    \
    X(REENCRYPT_DONE, "done")
#define X(name, text) name,
enum reencrypt_phase { REENCRYPT_PHASES(X) REENCRYPT_PHASE_COUNT };
#undef X
const char *reencrypt_phase_text(enum reencrypt_phase phase);

struct reencryption {
    enum reencrypt_phase phase;
    uint32_t term; /* the oldest that will be left */
    uint64_t looked_at, rewritten;
    int64_t begun_ms, ended_ms;
};
static inline bool reencrypt_active(const struct reencryption *r)
{
    return r->phase != REENCRYPT_NONE && r->phase != REENCRYPT_DONE;
}

/* How it stands; phase REENCRYPT_NONE when there never was one. */
enum kt_kind reencrypt_load(struct request *req, struct reencryption *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* Puts a new term and the record into the request's batch. KT_CONFLICT: one is under way. */
enum kt_kind reencrypt_begin(struct request *req, struct kt_err *err) KT_MUST_CHECK;
/* Entries that one piece rewrites at the most: fewer at each attempt, so that a busy key holds up few
 * others. */
unsigned reencrypt_piece(unsigned attempt);
/* One piece; *ret_more: there is another. */
enum kt_kind reencrypt_run(struct core *core, bool *ret_more, struct kt_err *err) KT_MUST_CHECK;
