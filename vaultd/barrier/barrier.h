/* vaultd/barrier/barrier.h - what stands between the vault's bytes and the disk.
 *
 * What:    Seals and opens records under the keyring, turns names into keys of the store, hashes
 *          tokens, derives the audit keys. An unseal key (Shamir shares) wraps the root key, which
 *          wraps the keyring: terms (each encrypts entries), an index key (names, tokens), an audit
 *          key and a signing seed.
 * Format:  entry = u8 format ‖ u32 term ‖ nonce24 ‖ ciphertext ‖ tag16, XChaCha20-Poly1305-IETF,
 *          plaintext padded to buckets; AAD = "kt/entry/1" ‖ vault id ‖ format ‖ term ‖ u32 length
 *          of the store key ‖ store key: the AAD comes from where we looked, so entries cannot be
 *          swapped, moved or renumbered. A newer format is refused by name; readers are a table.
 * Owner:   barrier_new() gives one for a store that outlives it; barrier_free() wipes it.
 * Threads: any thread, between barrier_enter() and barrier_leave(), which sealing waits for; the
 *          rest says so.
 * Errors:  KT_SEALED when sealed; KT_CORRUPT when a record does not open where it stands, or is of
 *          a newer format; KT_NO_MEMORY. Hints say what to restore or install.
 * Cost:    sealing or opening 400 bytes about 1 us, a name 0.3 us, entering and leaving 20 ns. */
#pragma once

#include "lib/buf.h"
#include "lib/credential.h"
#include "vaultd/barrier/shamir.h"
#include "vaultd/barrier/tables.h"
#include "vaultd/store/store.h"

#define BARRIER_NAME_KEY  33u /* table ‖ parent16 ‖ child16 */
#define BARRIER_HASH_KEY  33u /* table ‖ hash32 */
#define BARRIER_SCOPE     16u /* what separates two mounts, or two tokens' cubbyholes */
#define BARRIER_OVERHEAD  (1u + 4u + 24u + 16u)

struct barrier;

enum kt_kind barrier_new(struct store *store, struct barrier **ret, struct kt_err *err)
    KT_MUST_CHECK;
void barrier_free(struct barrier *barrier);

/* ---- state ---- */
bool barrier_initialized(struct barrier *barrier);
bool barrier_sealed(struct barrier *barrier);
struct barrier_status {
    bool initialized, sealed;
    unsigned threshold, shares, progress;
    char nonce[37];          /* UUID of the unseal attempt, "" when none */
    char vault_id[37];       /* UUID form of the vault id; "" before init */
    char seal_id[37];        /* of the set of key shares that unseals; a rekey makes a new one */
    uint32_t term;           /* newest; 0 while sealed */
    uint32_t oldest_term;
    int64_t term_installed_ms;
    uint64_t encryptions;    /* under the newest term since unseal */
    int64_t initialized_ms;
    char opened_by[KT_CREDENTIAL_NAME]; /* the further seal that opened it; "": key shares, or nothing */
    unsigned failed_attempts; /* of unseal since the last success, in this process */
};
void barrier_status(struct barrier *barrier, struct barrier_status *ret);
/* status.seal_id, also while the vault is being initialised; zeroes before. */
void barrier_key_set(struct barrier *barrier, char ret[37]);

/* Between these two the keys stay; false: sealed, nothing was entered. Cheap (a read lock). */
bool barrier_enter(struct barrier *barrier) KT_MUST_CHECK;
void barrier_leave(struct barrier *barrier);

/* ---- init, unseal, seal, rotate ----
 * barrier_init(): makes all keys, puts the seal and keyring records into batch (with conditions
 * that refuse a second init) and leaves the barrier entered as if unsealed, so that the caller can
 * seal first records (root token, mounts, policies) into the same batch. When that batch committed
 * or failed, call barrier_init_done(): it seals again and wipes. One init at a time: KT_CONFLICT. */
enum kt_kind barrier_init(struct barrier *barrier, unsigned shares, unsigned threshold,
                          int64_t now_ms, struct batch *batch,
                          unsigned char ret_shares[][SHAMIR_SHARE_BYTES], struct kt_err *err)
    KT_MUST_CHECK;
void barrier_init_done(struct barrier *barrier, bool committed);
/* One share of an attempt. KT_OK and *ret_unsealed when the threshold was reached and the keyring
 * opened; KT_INVALID "Unseal failed, invalid key" resets the progress. The same share twice changes
 * nothing; two with one number that differ reset the progress. An attempt is forgotten 10 minutes
 * after its newest share. Unsealed already: KT_OK, *ret_unsealed false. The barrier stays closed to
 * barrier_enter() until barrier_admit(): the audit log has to be opened and checked first, with
 * barrier_enter_early(). */
enum kt_kind barrier_unseal_share(struct barrier *barrier,
                                  const unsigned char share[SHAMIR_SHARE_BYTES],
                                  bool *ret_unsealed, struct kt_err *err) KT_MUST_CHECK;
void barrier_unseal_reset(struct barrier *barrier);
bool barrier_enter_early(struct barrier *barrier) KT_MUST_CHECK;
void barrier_admit(struct barrier *barrier);
/* Takes barrier_admit() back: waits for everybody inside, keeps the keys; only
 * barrier_enter_early() still lets in, so that the audit log can be closed before sealing. */
void barrier_close(struct barrier *barrier);
/* Waits for everybody inside, then wipes all keys; never called from inside. */
void barrier_seal(struct barrier *barrier);
/* A change of the keyring that waits for its commit; no two have the same, whatever was sealed in between. */
typedef uint64_t ring_change;
/* A new term: puts the new keyring into batch; call barrier_rotate_done() after its commit. That may come late,
 * when the vault was sealed and unsealed meanwhile and another change waits: it is not taken for that one's. */
enum kt_kind barrier_rotate(struct barrier *barrier, int64_t now_ms, struct batch *batch, ring_change *ret,
                            struct kt_err *err) KT_MUST_CHECK;
void barrier_rotate_done(struct barrier *barrier, ring_change change, bool committed);
/* Destroys the terms below a number, once nothing is sealed under them any more (see
 * vaultd/barrier/reseal.h): puts the keyring without them into batch; call barrier_drop_done() after
 * its commit, which wipes them when all snapshots have ended that were open at the commit: it
 * blocks, so hold none. KT_NOT_FOUND: there are none. */
enum kt_kind barrier_drop_terms(struct barrier *barrier, uint32_t below, struct batch *batch, ring_change *ret,
                                struct kt_err *err) KT_MUST_CHECK;
void barrier_drop_done(struct barrier *barrier, ring_change change, bool committed);

/* ---- records ----
 * What goes in must not lie in the memory of out, which may move. */
/* Appends the sealed form of plain, bound to the store key, to out. */
enum kt_kind barrier_seal_entry(struct barrier *barrier, struct kt_bytes key,
                                struct kt_bytes plain, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
/* The plaintext into out (appended); out's memory is wiped by kt_buf_free. */
enum kt_kind barrier_open_entry(struct barrier *barrier, struct kt_bytes key,
                                struct kt_bytes sealed, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
/* The two steps that nearly every reader and writer takes. KT_NOT_FOUND when absent; ret_changed
 * may be NULL. */
enum kt_kind barrier_get(struct barrier *barrier, struct snapshot *snapshot, struct kt_bytes key,
                         struct kt_buf *out, generation *ret_changed, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind barrier_put(struct barrier *barrier, struct batch *batch, struct kt_bytes key,
                         struct kt_bytes plain, struct kt_err *err) KT_MUST_CHECK;

/* ---- keys of the store ---- */
/* scope16 separates mounts; path is split at its last '/': "a/b/c" has the parent "a/b/", "a/b/"
 * has the parent "a/". The parent half is cached per thread. */
void barrier_name_key(struct barrier *barrier, enum table table,
                      const unsigned char scope[BARRIER_SCOPE], struct kt_bytes path,
                      unsigned char out[BARRIER_NAME_KEY]);
/* The prefix that all children of a folder share ("" or "a/b/"): table ‖ parent16, 17 bytes. */
#define BARRIER_FOLDER_PREFIX 17u
void barrier_folder_prefix(struct barrier *barrier, enum table table,
                           const unsigned char scope[BARRIER_SCOPE], struct kt_bytes folder,
                           unsigned char out[BARRIER_FOLDER_PREFIX]);
/* table ‖ BLAKE2b-256 keyed by the index key over the table and the text. */
void barrier_hash_key(struct barrier *barrier, enum table table, struct kt_bytes text,
                      unsigned char out[BARRIER_HASH_KEY]);
/* The same, always computed: strangers' texts displace none that come with each request, and cost the
 * same whether they came before. */
void barrier_hash_key_anew(struct barrier *barrier, enum table table, struct kt_bytes text,
                           unsigned char out[BARRIER_HASH_KEY]);

/* ---- derived for others ---- */
/* Pseudorandom 32 bytes for a purpose (schedule jitter, cubbyhole layer): BLAKE2b of a subkey. */
void barrier_derive(struct barrier *barrier, const char *label, struct kt_bytes input,
                    unsigned char out[32]);
/* The audit log's: record key of a term is its own, HMAC key for strings, Ed25519 seed. */
void barrier_audit_keys(struct barrier *barrier, unsigned char record_key[32],
                        unsigned char hmac_key[32], unsigned char sign_seed[32]);
/* 16 bytes, public. Zero before init. */
void barrier_vault_id(struct barrier *barrier, unsigned char out[16]);
