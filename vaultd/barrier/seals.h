/* vaultd/barrier/seals.h - seals that open by themselves, beside the key shares, over the same root key.
 *
 * What:    Each is a key of its own (of a credential, by its name) that wraps the root key in the seal
 *          record. The shares' wrap stays whatever happens to these: shares always open the vault.
 * Change:  one record in one commit, on condition that it is still as it was: a rekey, or another
 *          change, that comes between is a conflict and nothing else.
 * Owner:   keys are the caller's.
 * Errors:  KT_NOT_FOUND: no seal of that name; KT_INVALID: the key is not the one that it was made with,
 *          or SEALS_MAX are there; KT_BUSY: just now being initialised or sealed.
 * Threads: any thread. */
#pragma once

#include "vaultd/barrier/barrier.h"
#include "vaultd/barrier/seal_record.h"

struct seal_shown {
    char name[KT_CREDENTIAL_NAME];
    char id[37];
    int64_t made_ms;
};

/* Sealed or not; how many there are. */
unsigned barrier_seals(struct barrier *barrier, struct seal_shown ret[SEALS_MAX]);
/* The same, and whose shares open the vault, as of a snapshot. */
struct seals_stored {
    char id[37]; /* of the set of shares */
    unsigned shares, threshold;
    int64_t initialized_ms; /* of the vault: the set may be younger */
    unsigned n;
    struct seal_shown more[SEALS_MAX];
};
enum kt_kind barrier_seals_stored(struct snapshot *snapshot, struct seals_stored *ret,
                                  struct kt_err *err) KT_MUST_CHECK;
/* Opens the root key with one; *ret_unsealed: and with it the barrier, which was sealed, as far as the
 * last share opens it (barrier_unseal_share()). Shares that were entered are forgotten then. */
enum kt_kind barrier_seal_try(struct barrier *barrier, const char *name, const struct kt_secret *key,
                              bool *ret_unsealed, struct kt_err *err) KT_MUST_CHECK;

/* From inside: the record with this seal, in place of one of its name, or without it, into batch, and as
 * it is to be into ret. In place of one with the same key it is the same seal, and as old. After the commit barrier_seals_changed(); record NULL: it did not come through. */
enum kt_kind barrier_seal_put(struct barrier *barrier, struct snapshot *snapshot, const char *name,
                              const struct kt_secret *key, int64_t now_ms, struct batch *batch,
                              struct seal_record *ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind barrier_seal_drop(struct snapshot *snapshot, const char *name, struct batch *batch,
                               struct seal_record *ret, struct kt_err *err) KT_MUST_CHECK;
void barrier_seals_changed(struct barrier *barrier, const struct seal_record *record);
