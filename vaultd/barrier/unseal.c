#include "vaultd/barrier/inside.h"

#include <sodium.h>
#include <stdio.h>

typedef const unsigned char (*shares_view)[SHAMIR_SHARE_BYTES];

void unseal_forget(struct barrier *barrier)
{
    kt_secret_free(barrier->attempt.shares);
    barrier->attempt = (struct unseal_attempt){0};
}

void unseal_expire(struct barrier *barrier)
{
    const struct unseal_attempt *attempt = &barrier->attempt;
    if (attempt->shares != NULL &&
        kt_mono_ms(barrier->clock) - attempt->touched_ms >= UNSEAL_ATTEMPT_MS)
        unseal_forget(barrier);
}

/* One sentence for all wrong shares, whoever's they are: it must not tell which one was wrong. */
static enum kt_kind refuse_shares(struct barrier *barrier, struct kt_err *err)
{
    char vault_id[KT_UUID_TEXT];
    kt_uuid_text(barrier->seal.vault_id, vault_id);
    unseal_forget(barrier);
    barrier->failed_attempts++;
    (void)kt_fail(err, KT_INVALID, "Unseal failed, invalid key");
    kt_hint(err,
            "these shares are not this vault's (vault id %s), or one was mistyped: enter them "
            "again",
            vault_id);
    return KT_INVALID;
}

static enum kt_kind refuse_contradiction(struct barrier *barrier, struct kt_err *err)
{
    (void)refuse_shares(barrier, NULL);
    (void)kt_fail(err, KT_INVALID,
                  "Unseal failed, invalid key: two of the shares contradict each "
                  "other");
    kt_hint(err, "one was mistyped or is another vault's; the progress is back at 0: enter all "
                 "shares again");
    return KT_INVALID;
}

static enum kt_kind start_attempt(struct barrier *barrier, struct kt_err *err)
{
    struct unseal_attempt *attempt = &barrier->attempt;
    attempt->shares = kt_secret_new(barrier->seal.threshold * (size_t)SHAMIR_SHARE_BYTES);
    if (attempt->shares == NULL)
        return kt_secret_failed(err, "keeping a key share");
    unsigned char id[16];
    uuid_random(id);
    kt_uuid_text(id, attempt->nonce);
    return KT_OK;
}

/* Adds a share to the attempt; *ret_new is false for one that is there already. */
static enum kt_kind keep_share(struct barrier *barrier,
                               const unsigned char share[SHAMIR_SHARE_BYTES], bool *ret_new,
                               struct kt_err *err)
{
    struct unseal_attempt *attempt = &barrier->attempt;
    unsigned char x = share[SHAMIR_SHARE_BYTES - 1];
    if (x == 0)
        return kt_fail(err, KT_INVALID, "this is not a key share: its number is 0");
    if (attempt->shares == NULL) {
        enum kt_kind kind = start_attempt(barrier, err);
        if (kind != KT_OK)
            return kind;
    }
    for (unsigned i = 0; i < attempt->count; i++) {
        const unsigned char *kept = attempt->shares->at + i * (size_t)SHAMIR_SHARE_BYTES;
        if (kept[SHAMIR_SHARE_BYTES - 1] != x)
            continue;
        if (sodium_memcmp(kept, share, SHAMIR_SHARE_BYTES) != 0)
            return refuse_contradiction(barrier, err);
        *ret_new = false;
        return KT_OK;
    }
    memcpy(attempt->shares->at + attempt->count * (size_t)SHAMIR_SHARE_BYTES, share,
           SHAMIR_SHARE_BYTES);
    attempt->count++;
    attempt->touched_ms = kt_mono_ms(barrier->clock);
    *ret_new = true;
    return KT_OK;
}

static enum kt_kind open_keyring(struct barrier *barrier, const struct kt_secret *root,
                                 struct kt_err *err)
{
    auto_snapshot struct snapshot *snapshot = NULL;
    struct entry stored;
    enum store_error error = snapshot_begin(barrier->store, &snapshot);
    if (error == STORE_OK)
        error = snapshot_get(snapshot, barrier_keyring_key(), &stored);
    if (error == STORE_NOT_FOUND) {
        (void)kt_fail(err, KT_CORRUPT, "the keyring is missing");
        kt_hint(err, "the data folder is damaged: restore it whole from one backup");
        return KT_CORRUPT;
    }
    if (error != STORE_OK)
        return barrier_store_failed(error, "reading the keyring", err);
    return keyring_load(barrier->seal.vault_id, root->at, stored.value, &barrier->ring, err);
}

enum kt_kind unseal_with(struct barrier *barrier, const struct kt_secret *root, const char *by,
                         struct kt_err *err)
{
    enum kt_kind kind = open_keyring(barrier, root, err);
    if (kind != KT_OK)
        return kind;
    (void)snprintf(barrier->opened_by, sizeof barrier->opened_by, "%s", by);
    barrier->state = BARRIER_EARLY;
    gate_raise(&barrier->gate, GATE_EARLY);
    return KT_OK;
}

/* The threshold is reached. A failure that is not the shares' fault keeps none of them either. */
static enum kt_kind try_shares(struct barrier *barrier, struct kt_err *err)
{
    kt_autosecret struct kt_secret *unseal_key = kt_secret_new(KT_KEY_BYTES);
    kt_autosecret struct kt_secret *root = kt_secret_new(KT_KEY_BYTES);
    if (unseal_key == NULL || root == NULL) {
        unseal_forget(barrier);
        return kt_secret_failed(err, "combining the key shares");
    }
    struct unseal_attempt *attempt = &barrier->attempt;
    if (shamir_combine((shares_view)attempt->shares->at, attempt->count, unseal_key->at, NULL) !=
            KT_OK ||
        !seal_record_open(&barrier->seal, unseal_key->at, root->at))
        return refuse_shares(barrier, err);
    unseal_forget(barrier);
    return unseal_with(barrier, root, "", err);
}

static enum kt_kind share_locked(struct barrier *barrier,
                                 const unsigned char share[SHAMIR_SHARE_BYTES], bool *ret_unsealed,
                                 struct kt_err *err)
{
    if (barrier->state == BARRIER_INITIALIZING || barrier->state == BARRIER_SEALING)
        return kt_fail(err, KT_BUSY, "Vault is being %s: try again in a moment",
                       barrier->state == BARRIER_SEALING ? "sealed" : "initialized");
    if (barrier->state != BARRIER_SEALED) {
        *ret_unsealed = false;
        return KT_OK;
    }
    unseal_expire(barrier);
    enum kt_kind kind = KT_OK;
    if (barrier->attempt.count == 0)
        kind = barrier_read_seal(barrier, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "Vault is not initialized");
    bool added = false;
    if (kind == KT_OK)
        kind = keep_share(barrier, share, &added, err);
    if (kind != KT_OK)
        return kind;
    if (!added || barrier->attempt.count < barrier->seal.threshold) {
        *ret_unsealed = false;
        return KT_OK;
    }
    kind = try_shares(barrier, err);
    if (kind != KT_OK)
        return kind;
    *ret_unsealed = true;
    return KT_OK;
}

enum kt_kind barrier_unseal_share(struct barrier *barrier,
                                  const unsigned char share[SHAMIR_SHARE_BYTES], bool *ret_unsealed,
                                  struct kt_err *err)
{
    (void)pthread_mutex_lock(&barrier->lock);
    enum kt_kind kind = share_locked(barrier, share, ret_unsealed, err);
    (void)pthread_mutex_unlock(&barrier->lock);
    return kind;
}

void barrier_unseal_reset(struct barrier *barrier)
{
    (void)pthread_mutex_lock(&barrier->lock);
    unseal_forget(barrier);
    (void)pthread_mutex_unlock(&barrier->lock);
}
