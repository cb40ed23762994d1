#include "vaultd/barrier/seals.h"

#include <stdio.h>

#include "vaultd/barrier/inside.h"

/* ---- the record ---- */

enum kt_kind seal_stored(struct snapshot *snapshot, struct seal_record *ret, generation *ret_changed,
                         struct kt_err *err)
{
    struct entry entry;
    enum store_error error = snapshot_get(snapshot, barrier_seal_key(), &entry);
    if (error == STORE_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "Vault is not initialized");
    if (error != STORE_OK)
        return barrier_store_failed(error, "reading the seal record", err);
    if (ret_changed != NULL)
        *ret_changed = entry.changed;
    return seal_record_read(entry.value, ret, err);
}

enum kt_kind seal_replace(const struct seal_record *seal, generation changed, struct batch *batch,
                          struct kt_err *err)
{
    kt_autobuf struct kt_buf bytes;
    kt_buf_init(&bytes, STORE_VALUE_MAX);
    seal_record_write(seal, &bytes);
    if (!kt_buf_ok(&bytes))
        return kt_fail(err, KT_NO_MEMORY, "writing the seal record");
    batch_require(batch, KEY_CHANGED_AT, barrier_seal_key(), changed);
    batch_put(batch, barrier_seal_key(), kt_buf_bytes(&bytes));
    return batch_failed(batch) ? kt_fail(err, KT_NO_MEMORY, "writing the seal record") : KT_OK;
}

static void show(const struct seal_more *more, struct seal_shown *ret)
{
    (void)snprintf(ret->name, sizeof ret->name, "%s", more->name);
    kt_uuid_text(more->id, ret->id);
    ret->made_ms = more->made_ms;
}

unsigned barrier_seals(struct barrier *barrier, struct seal_shown ret[SEALS_MAX])
{
    (void)pthread_mutex_lock(&barrier->lock);
    unsigned n = barrier->seal.n_more;
    for (unsigned i = 0; i < n; i++)
        show(&barrier->seal.more[i], &ret[i]);
    (void)pthread_mutex_unlock(&barrier->lock);
    return n;
}

/* ---- opening ---- */

static enum kt_kind is_unknown(const char *name, struct kt_err *err)
{
    (void)kt_fail(err, KT_NOT_FOUND, "there is no seal '%s'", name);
    kt_hint(err, "secretctl operator seal-status shows them");
    return KT_NOT_FOUND;
}

static enum kt_kind refuse_key(const char *name, struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "the credential of the seal '%s' is not the one that it was made with",
                  name);
    kt_hint(err, "put the old one back, or unseal with key shares, then: secretctl operator seal-add %s",
            name);
    return KT_INVALID;
}

/* The record is read again only while it is sealed and no share was entered: else it is known. */
static enum kt_kind try_locked(struct barrier *barrier, const char *name, const struct kt_secret *key,
                               bool *ret_unsealed, struct kt_err *err)
{
    if (barrier->state == BARRIER_INITIALIZING || barrier->state == BARRIER_SEALING)
        return kt_fail(err, KT_BUSY, "Vault is being %s: try again in a moment",
                       barrier->state == BARRIER_SEALING ? "sealed" : "initialized");
    unseal_expire(barrier);
    bool sealed = barrier->state == BARRIER_SEALED;
    enum kt_kind kind = KT_OK;
    if (sealed && barrier->attempt.count == 0)
        kind = barrier_read_seal(barrier, err);
    if (kind != KT_OK)
        return kind;
    const struct seal_more *more = seal_record_find(&barrier->seal, name);
    if (more == NULL)
        return is_unknown(name, err);
    kt_autosecret struct kt_secret *root = kt_secret_new(KT_KEY_BYTES);
    if (root == NULL)
        return kt_secret_failed(err, "opening a seal");
    if (!seal_more_open(barrier->seal.vault_id, more, key->at, root->at))
        return refuse_key(name, err);
    if (!sealed)
        return KT_OK;
    kind = unseal_with(barrier, root, name, err);
    if (kind == KT_OK) {
        unseal_forget(barrier);
        *ret_unsealed = true;
    }
    return kind;
}

enum kt_kind barrier_seal_try(struct barrier *barrier, const char *name, const struct kt_secret *key,
                              bool *ret_unsealed, struct kt_err *err)
{
    *ret_unsealed = false;
    (void)pthread_mutex_lock(&barrier->lock);
    enum kt_kind kind = try_locked(barrier, name, key, ret_unsealed, err);
    (void)pthread_mutex_unlock(&barrier->lock);
    return kind;
}

enum kt_kind barrier_seals_stored(struct snapshot *snapshot, struct seals_stored *ret, struct kt_err *err)
{
    struct seal_record seal;
    generation changed = 0;
    enum kt_kind kind = seal_stored(snapshot, &seal, &changed, err);
    if (kind != KT_OK)
        return kind;
    *ret = (struct seals_stored){.shares = seal.shares,
                                 .threshold = seal.threshold,
                                 .initialized_ms = seal.initialized_ms,
                                 .n = seal.n_more};
    kt_uuid_text(seal.seal_id, ret->id);
    for (unsigned i = 0; i < seal.n_more; i++)
        show(&seal.more[i], &ret->more[i]);
    return KT_OK;
}

/* ---- coming and going ---- */

/* One that is made again with the key that it has is the one that it was, and as old. */
static enum kt_kind same_as_before(const struct seal_record *seal, const struct seal_more *before,
                                   const struct kt_secret *key, bool *ret, struct kt_err *err)
{
    *ret = false;
    if (before == NULL)
        return KT_OK;
    kt_autosecret struct kt_secret *root = kt_secret_new(KT_KEY_BYTES);
    if (root == NULL)
        return kt_secret_failed(err, "making a seal");
    *ret = seal_more_open(seal->vault_id, before, key->at, root->at);
    return KT_OK;
}

enum kt_kind barrier_seal_put(struct barrier *barrier, struct snapshot *snapshot, const char *name,
                              const struct kt_secret *key, int64_t now_ms, struct batch *batch,
                              struct seal_record *ret, struct kt_err *err)
{
    generation changed = 0;
    if (barrier->ring == NULL)
        return kt_fail(err, KT_SEALED, "%s", kt_kind_text(KT_SEALED));
    enum kt_kind kind = seal_stored(snapshot, ret, &changed, err);
    if (kind != KT_OK)
        return kind;
    struct seal_more *more = seal_record_find(ret, name);
    if (more == NULL && ret->n_more == SEALS_MAX) {
        (void)kt_fail(err, KT_INVALID, "there are %u seals beside the key shares already", SEALS_MAX);
        kt_hint(err, "remove one: secretctl operator seal-remove NAME");
        return KT_INVALID;
    }
    bool same = false;
    kind = same_as_before(ret, more, key, &same, err);
    if (kind != KT_OK)
        return kind;
    if (more == NULL)
        more = &ret->more[ret->n_more++];
    if (!same) {
        *more = (struct seal_more){.kind = SEAL_CREDENTIAL, .made_ms = now_ms};
        (void)snprintf(more->name, sizeof more->name, "%s", name);
        uuid_random(more->id);
    }
    seal_more_wrap(ret->vault_id, more, key->at, barrier->ring->key[RING_ROOT]);
    return seal_replace(ret, changed, batch, err);
}

enum kt_kind barrier_seal_drop(struct snapshot *snapshot, const char *name, struct batch *batch,
                               struct seal_record *ret, struct kt_err *err)
{
    generation changed = 0;
    enum kt_kind kind = seal_stored(snapshot, ret, &changed, err);
    if (kind != KT_OK)
        return kind;
    struct seal_more *more = seal_record_find(ret, name);
    if (more == NULL)
        return is_unknown(name, err);
    *more = ret->more[--ret->n_more];
    ret->more[ret->n_more] = (struct seal_more){0};
    return seal_replace(ret, changed, batch, err);
}

/* It is read again as well: another change may have come after this one, and was told before. */
void barrier_seals_changed(struct barrier *barrier, const struct seal_record *record)
{
    (void)pthread_mutex_lock(&barrier->lock);
    if (record != NULL)
        barrier->seal = *record;
    enum kt_kind read = barrier_read_seal(barrier, NULL);
    (void)read; /* then the next attempt to unseal reads it */
    (void)pthread_mutex_unlock(&barrier->lock);
}
