#include "vaultd/barrier/inside.h"

#include "lib/random.h"

/* The two records of a new vault, into batch. */
static enum kt_kind put_records(const struct keyring *ring, const struct seal_record *seal,
                                struct batch *batch, struct kt_err *err)
{
    kt_autobuf struct kt_buf seal_bytes, ring_bytes;
    kt_buf_init(&seal_bytes, STORE_VALUE_MAX);
    kt_buf_init(&ring_bytes, STORE_VALUE_MAX);
    seal_record_write(seal, &seal_bytes);
    enum kt_kind kind = keyring_store(ring, &ring_bytes, err);
    if (kind == KT_OK && !kt_buf_ok(&seal_bytes))
        kind = kt_fail(err, KT_NO_MEMORY, "writing the seal record");
    if (kind != KT_OK)
        return kind;
    batch_require(batch, KEY_ABSENT, barrier_seal_key(), 0);
    batch_require(batch, KEY_ABSENT, barrier_keyring_key(), 0);
    batch_put(batch, barrier_seal_key(), kt_buf_bytes(&seal_bytes));
    batch_put(batch, barrier_keyring_key(), kt_buf_bytes(&ring_bytes));
    return batch_failed(batch) ? kt_fail(err, KT_NO_MEMORY, "writing the vault's first records")
                               : KT_OK;
}

/* Only a sealed barrier without a seal record can be initialised. */
static enum kt_kind may_init(struct barrier *barrier, struct kt_err *err)
{
    if (barrier->state == BARRIER_INITIALIZING)
        return kt_fail(err, KT_CONFLICT, "Vault is being initialized by another request");
    enum kt_kind kind = barrier_read_seal(barrier, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    return kind != KT_OK ? kind : kt_fail(err, KT_INVALID, "Vault is already initialized");
}

static enum kt_kind init_locked(struct barrier *barrier, struct seal_record *seal,
                                const struct kt_secret *unseal_key, struct batch *batch,
                                struct kt_err *err)
{
    enum kt_kind kind = may_init(barrier, err);
    if (kind != KT_OK)
        return kind;
    struct keyring *ring = NULL;
    kind = keyring_generate(seal->vault_id, seal->initialized_ms, &ring, err);
    if (kind != KT_OK)
        return kind;
    seal_record_wrap(seal, unseal_key->at, ring->key[RING_ROOT]);
    kind = put_records(ring, seal, batch, err);
    if (kind != KT_OK) {
        keyring_free(ring);
        return kind;
    }
    barrier->ring = ring;
    barrier->seal = *seal;
    barrier->state = BARRIER_INITIALIZING;
    /* The initialiser counts as inside until barrier_init_done(), so that sealing waits for it. */
    gate_raise(&barrier->gate, GATE_EARLY);
    gate_hold(&barrier->gate);
    return KT_OK;
}

enum kt_kind barrier_init(struct barrier *barrier, unsigned shares, unsigned threshold,
                          int64_t now_ms, struct batch *batch,
                          unsigned char ret_shares[][SHAMIR_SHARE_BYTES], struct kt_err *err)
{
    kt_autosecret struct kt_secret *unseal_key = kt_secret_new(KT_KEY_BYTES);
    kt_autosecret struct kt_secret *made = kt_secret_new((size_t)SHAMIR_SHARES_MAX * SHAMIR_SHARE_BYTES);
    if (unseal_key == NULL || made == NULL)
        return kt_secret_failed(err, "making the unseal key");
    kt_random(unseal_key->at, KT_KEY_BYTES);
    enum kt_kind kind = shamir_split(unseal_key->at, threshold, shares,
                                     (unsigned char(*)[SHAMIR_SHARE_BYTES])made->at, err);
    if (kind != KT_OK) {
        kt_context(err, "invalid seal configuration");
        return kind;
    }
    struct seal_record seal = {.kind = SEAL_SHAMIR,
                               .threshold = (uint8_t)threshold,
                               .shares = (uint8_t)shares,
                               .initialized_ms = now_ms};
    uuid_random(seal.vault_id);
    uuid_random(seal.seal_id);
    (void)pthread_mutex_lock(&barrier->lock);
    kind = init_locked(barrier, &seal, unseal_key, batch, err);
    (void)pthread_mutex_unlock(&barrier->lock);
    if (kind == KT_OK)
        memcpy(ret_shares, made->at, shares * (size_t)SHAMIR_SHARE_BYTES);
    return kind;
}

void barrier_init_done(struct barrier *barrier, bool committed)
{
    (void)pthread_mutex_lock(&barrier->lock);
    if (committed)
        atomic_store(&barrier->initialized, true);
    else
        barrier->seal = (struct seal_record){0};
    (void)pthread_mutex_unlock(&barrier->lock);
    gate_leave(&barrier->gate);
    barrier_shut(barrier);
}
