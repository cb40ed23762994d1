/* vaultd/barrier/keyring.h - the vault's keys in memory, and their stored form.
 *
 * What:    The root key, the index key, the audit key, the signing seed, the numbered terms, and
 *          what is derived from them, all in one guarded slab that is read-only once filled.
 * Format:  u8 format (1) ‖ u64 epoch ‖ nonce24 ‖ ciphertext ‖ tag16 under the root key by
 *          XChaCha20-Poly1305-IETF, AAD = "kt/ring/1" ‖ vault id ‖ the bytes before the nonce.
 *          Inside: index32 ‖ audit32 ‖ sign32 ‖ u32 count ‖ per term u32 number ‖ i64 installed ms
 *          ‖ key32, ascending. The epoch counts writings.
 * Owner:   keyring_generate() or keyring_load() gives one; keyring_free() wipes it.
 * Threads: readers any; staging and settling one at a time, also while others read. */
#pragma once

#include <stdatomic.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/secret.h"
#include "vaultd/barrier/format.h"

#define KEYRING_FORMAT    1u
#define KEYRING_TERMS_MAX 1024u
#define VAULT_ID_BYTES    16u

enum ring_key {
    RING_ROOT,  /* wraps this keyring */
    RING_INDEX, /* stored, as the next two */
    RING_AUDIT,
    RING_SIGN,         /* Ed25519 seed of the checkpoints */
    RING_NAMES,        /* derived, as the rest: keys of the store from names */
    RING_HASHES,       /* keys of the store from tokens, accessors, ids */
    RING_PURPOSES,     /* barrier_derive() */
    RING_AUDIT_RECORD, /* seals the audit log's records */
    RING_AUDIT_HMAC,   /* its strings */
    RING_KEYS
};

struct keyring_term {
    uint32_t number; /* from 1, ascending; gaps where old ones were destroyed */
    int64_t installed_ms;
    unsigned char *master; /* stored */
    unsigned char *entry;  /* derived; seals entries */
};

struct keyring {
    struct kt_keyslab *slab;
    unsigned char vault_id[VAULT_ID_BYTES];
    uint64_t epoch;
    uint64_t loaded; /* random, differs at each load: what per-thread caches compare */
    unsigned char *key[RING_KEYS];
    _Atomic uint32_t first;       /* terms before this place were destroyed */
    _Atomic uint32_t count;       /* where the settled terms end; the last is the newest */
    bool staged;                  /* terms[count] waits for its commit */
    bool dropping;                /* so does the end of all terms before `keep_from` */
    uint32_t keep_from;
    _Atomic uint64_t encryptions; /* under the newest term since it was loaded or settled */
    struct keyring_term terms[KEYRING_TERMS_MAX];
};

enum kt_kind keyring_generate(const unsigned char vault_id[VAULT_ID_BYTES], int64_t now_ms,
                              struct keyring **ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind keyring_load(const unsigned char vault_id[VAULT_ID_BYTES],
                          const unsigned char root[KT_KEY_BYTES], struct kt_bytes stored,
                          struct keyring **ret, struct kt_err *err) KT_MUST_CHECK;
void keyring_free(struct keyring *ring); /* NULL is fine */
/* Appends the stored form as it is to be: with the term that is staged, without those that go. */
enum kt_kind keyring_store(const struct keyring *ring, struct kt_buf *out,
                           struct kt_err *err) KT_MUST_CHECK;

/* A new term that nothing is sealed under until it is settled. KT_CONFLICT: one is staged. */
enum kt_kind keyring_stage(struct keyring *ring, int64_t now_ms, struct kt_err *err) KT_MUST_CHECK;
void keyring_settle(struct keyring *ring, bool keep);
/* The terms below a number are to go; the newest stays. KT_NOT_FOUND: there are none; KT_CONFLICT: a
 * change of the ring waits for its commit. Settling wipes them: nobody may need one any more. */
enum kt_kind keyring_stage_drop(struct keyring *ring, uint32_t below,
                                struct kt_err *err) KT_MUST_CHECK;
void keyring_settle_drop(struct keyring *ring, bool drop);

static inline uint32_t keyring_oldest(const struct keyring *ring)
{
    return ring->terms[atomic_load_explicit(&ring->first, memory_order_acquire)].number;
}
static inline const struct keyring_term *keyring_newest(const struct keyring *ring)
{
    return &ring->terms[atomic_load_explicit(&ring->count, memory_order_acquire) - 1];
}
/* The key that seals entries of a term; NULL if the ring does not hold it. */
const unsigned char *keyring_entry_key(const struct keyring *ring, uint32_t term);
