/* Terms of the keyring come and go, each change in a batch of its own. */
#include "vaultd/barrier/inside.h"

/* The ring as it is to be, on condition that it is still as it was. */
static enum kt_kind put_ring(struct barrier *barrier, struct batch *batch, struct kt_err *err)
{
    auto_snapshot struct snapshot *snapshot = NULL;
    struct entry stored;
    enum store_error error = snapshot_begin(barrier->store, &snapshot);
    if (error == STORE_OK)
        error = snapshot_get(snapshot, barrier_keyring_key(), &stored);
    if (error != STORE_OK)
        return barrier_store_failed(error, "reading the keyring", err);
    kt_autobuf struct kt_buf bytes;
    kt_buf_init(&bytes, STORE_VALUE_MAX);
    enum kt_kind kind = keyring_store(barrier->ring, &bytes, err);
    if (kind != KT_OK)
        return kind;
    batch_require(batch, KEY_CHANGED_AT, barrier_keyring_key(), stored.changed);
    batch_put(batch, barrier_keyring_key(), kt_buf_bytes(&bytes));
    return batch_failed(batch) ? kt_fail(err, KT_NO_MEMORY, "writing the keyring") : KT_OK;
}

/* What is staged, if anything is, is this change: not one after a seal and an unseal. Needs lock. */
static bool is_ours(const struct barrier *barrier, ring_change change)
{
    return barrier->ring != NULL && barrier->change == change;
}

static enum kt_kind rotate_locked(struct barrier *barrier, int64_t now_ms, struct batch *batch,
                                  ring_change *ret, struct kt_err *err)
{
    enum kt_kind kind = keyring_stage(barrier->ring, now_ms, err);
    if (kind != KT_OK)
        return kind;
    kind = put_ring(barrier, batch, err);
    if (kind != KT_OK)
        keyring_settle(barrier->ring, false);
    else
        *ret = ++barrier->change;
    return kind;
}

enum kt_kind barrier_rotate(struct barrier *barrier, int64_t now_ms, struct batch *batch, ring_change *ret,
                            struct kt_err *err)
{
    (void)pthread_mutex_lock(&barrier->lock);
    enum kt_kind kind = barrier->ring == NULL ? kt_fail(err, KT_SEALED, "Vault is sealed")
                                              : rotate_locked(barrier, now_ms, batch, ret, err);
    (void)pthread_mutex_unlock(&barrier->lock);
    return kind;
}

/* The vault may have been sealed since: then the next unseal read what was committed. */
void barrier_rotate_done(struct barrier *barrier, ring_change change, bool committed)
{
    (void)pthread_mutex_lock(&barrier->lock);
    if (is_ours(barrier, change))
        keyring_settle(barrier->ring, committed);
    (void)pthread_mutex_unlock(&barrier->lock);
}

static enum kt_kind drop_locked(struct barrier *barrier, uint32_t below, struct batch *batch, ring_change *ret,
                                struct kt_err *err)
{
    enum kt_kind kind = keyring_stage_drop(barrier->ring, below, err);
    if (kind != KT_OK)
        return kind;
    kind = put_ring(barrier, batch, err);
    if (kind != KT_OK)
        keyring_settle_drop(barrier->ring, false);
    else
        *ret = ++barrier->change;
    return kind;
}

enum kt_kind barrier_drop_terms(struct barrier *barrier, uint32_t below, struct batch *batch, ring_change *ret,
                                struct kt_err *err)
{
    (void)pthread_mutex_lock(&barrier->lock);
    enum kt_kind kind = barrier->ring == NULL ? kt_fail(err, KT_SEALED, "Vault is sealed")
                                              : drop_locked(barrier, below, batch, ret, err);
    (void)pthread_mutex_unlock(&barrier->lock);
    return kind;
}

/* Who reads an old snapshot may still need an old term. */
void barrier_drop_done(struct barrier *barrier, ring_change change, bool committed)
{
    if (committed)
        store_await_snapshots(barrier->store);
    (void)pthread_mutex_lock(&barrier->lock);
    if (is_ours(barrier, change))
        keyring_settle_drop(barrier->ring, committed);
    (void)pthread_mutex_unlock(&barrier->lock);
}
