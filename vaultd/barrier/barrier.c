#include "vaultd/barrier/inside.h"

#include <sodium.h>
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "lib/random.h"

static const unsigned char seal_key[] = {TABLE_BARRIER, 's', 'e', 'a', 'l'};
static const unsigned char keyring_key[] = {TABLE_BARRIER, 'k', 'e', 'y', 'r', 'i', 'n', 'g'};

struct kt_bytes barrier_seal_key(void)
{
    return kt_bytes(seal_key, sizeof seal_key);
}

struct kt_bytes barrier_keyring_key(void)
{
    return kt_bytes(keyring_key, sizeof keyring_key);
}

void uuid_random(unsigned char out[KT_UUID_BYTES])
{
    kt_random(out, KT_UUID_BYTES);
    kt_uuid_mark(out);
}

enum kt_kind barrier_store_failed(enum store_error error, const char *doing, struct kt_err *err)
{
    static const struct {
        enum store_error error;
        enum kt_kind kind;
    } rows[] = {{STORE_BROKEN, KT_CORRUPT}, {STORE_NO_MEMORY, KT_NO_MEMORY}, {STORE_BUSY, KT_BUSY}};
    enum kt_kind kind = KT_INTERNAL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].error == error)
            kind = rows[i].kind;
    return kt_fail(err, kind, "%s: %s", doing, store_error_text(error));
}

enum kt_kind barrier_read_seal(struct barrier *barrier, struct kt_err *err)
{
    auto_snapshot struct snapshot *snapshot = NULL;
    enum store_error error = snapshot_begin(barrier->store, &snapshot);
    if (error != STORE_OK)
        return barrier_store_failed(error, "reading the seal record", err);
    enum kt_kind kind = seal_stored(snapshot, &barrier->seal, NULL, err);
    if (kind == KT_OK)
        atomic_store(&barrier->initialized, true);
    return kind;
}

/* ---- life ---- */

enum kt_kind barrier_new(struct store *store, struct barrier **ret, struct kt_err *err)
{
    struct barrier *barrier = kt_calloc(1, sizeof *barrier);
    if (barrier == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making the barrier");
    barrier->store = store;
    barrier->clock = &kt_system_clock;
    gate_init(&barrier->gate);
    atomic_init(&barrier->initialized, false);
    (void)pthread_mutex_init(&barrier->lock, NULL);
    (void)pthread_cond_init(&barrier->sealed, NULL);
    enum kt_kind kind = barrier_read_seal(barrier, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND) {
        barrier_free(barrier);
        return kind;
    }
    *ret = barrier;
    return KT_OK;
}

void barrier_free(struct barrier *barrier)
{
    if (barrier == NULL)
        return;
    barrier_shut(barrier);
    unseal_forget(barrier);
    gate_destroy(&barrier->gate);
    (void)pthread_cond_destroy(&barrier->sealed);
    (void)pthread_mutex_destroy(&barrier->lock);
    free(barrier);
}

void barrier_set_clock(struct barrier *barrier, const struct kt_clock *clock)
{
    barrier->clock = clock;
}

void barrier_add_format(struct barrier *barrier, const struct entry_format *extra)
{
    barrier->extra_format = extra;
}

/* ---- state ---- */

bool barrier_initialized(struct barrier *barrier)
{
    return atomic_load(&barrier->initialized);
}

bool barrier_sealed(struct barrier *barrier)
{
    return atomic_load(&barrier->gate.level) != GATE_OPEN;
}

void barrier_status(struct barrier *barrier, struct barrier_status *ret)
{
    struct barrier_status status = {0};
    (void)pthread_mutex_lock(&barrier->lock);
    unseal_expire(barrier);
    status.initialized = barrier_initialized(barrier);
    status.sealed = barrier->state != BARRIER_OPEN;
    if (status.initialized) {
        status.threshold = barrier->seal.threshold;
        status.shares = barrier->seal.shares;
        status.initialized_ms = barrier->seal.initialized_ms;
        kt_uuid_text(barrier->seal.vault_id, status.vault_id);
        kt_uuid_text(barrier->seal.seal_id, status.seal_id);
    }
    status.progress = barrier->attempt.count;
    memcpy(status.nonce, barrier->attempt.nonce, sizeof status.nonce);
    memcpy(status.opened_by, barrier->opened_by, sizeof status.opened_by);
    status.failed_attempts = barrier->failed_attempts;
    if (barrier->ring != NULL && !status.sealed) {
        const struct keyring_term *newest = keyring_newest(barrier->ring);
        status.term = newest->number;
        status.oldest_term = keyring_oldest(barrier->ring);
        status.term_installed_ms = newest->installed_ms;
        status.encryptions = atomic_load(&barrier->ring->encryptions);
    }
    (void)pthread_mutex_unlock(&barrier->lock);
    *ret = status;
}

void barrier_key_set(struct barrier *barrier, char ret[KT_UUID_TEXT])
{
    (void)pthread_mutex_lock(&barrier->lock);
    kt_uuid_text(barrier->seal.seal_id, ret);
    (void)pthread_mutex_unlock(&barrier->lock);
}

bool barrier_enter(struct barrier *barrier)
{
    return gate_enter(&barrier->gate, GATE_OPEN);
}

bool barrier_enter_early(struct barrier *barrier)
{
    return gate_enter(&barrier->gate, GATE_EARLY);
}

void barrier_leave(struct barrier *barrier)
{
    gate_leave(&barrier->gate);
}

void barrier_admit(struct barrier *barrier)
{
    (void)pthread_mutex_lock(&barrier->lock);
    if (barrier->state == BARRIER_EARLY) {
        barrier->state = BARRIER_OPEN;
        barrier->failed_attempts = 0;
        gate_raise(&barrier->gate, GATE_OPEN);
    }
    (void)pthread_mutex_unlock(&barrier->lock);
}

void barrier_close(struct barrier *barrier)
{
    (void)pthread_mutex_lock(&barrier->lock);
    bool was_open = barrier->state == BARRIER_OPEN;
    if (was_open)
        barrier->state = BARRIER_EARLY;
    (void)pthread_mutex_unlock(&barrier->lock);
    if (was_open)
        gate_lower(&barrier->gate, GATE_EARLY);
}

void barrier_shut(struct barrier *barrier)
{
    (void)pthread_mutex_lock(&barrier->lock);
    while (barrier->state == BARRIER_SEALING)
        (void)pthread_cond_wait(&barrier->sealed, &barrier->lock);
    if (barrier->state != BARRIER_SEALED) {
        barrier->state = BARRIER_SEALING;
        (void)pthread_mutex_unlock(&barrier->lock);
        gate_lower(&barrier->gate, GATE_CLOSED);
        (void)pthread_mutex_lock(&barrier->lock);
        ceremonies_forget(barrier);
        keyring_free(barrier->ring);
        barrier->ring = NULL;
        barrier->opened_by[0] = '\0';
        barrier->state = BARRIER_SEALED;
        (void)pthread_cond_broadcast(&barrier->sealed);
    }
    (void)pthread_mutex_unlock(&barrier->lock);
}

void barrier_seal(struct barrier *barrier)
{
    barrier_shut(barrier);
}

/* ---- records ---- */

static enum kt_kind is_sealed(struct kt_err *err)
{
    return kt_fail(err, KT_SEALED, "Vault is sealed");
}

enum kt_kind barrier_seal_entry(struct barrier *barrier, struct kt_bytes key, struct kt_bytes plain,
                                struct kt_buf *out, struct kt_err *err)
{
    if (barrier->ring == NULL)
        return is_sealed(err);
    return entry_seal(barrier->ring, key, plain, out, err);
}

enum kt_kind barrier_open_entry(struct barrier *barrier, struct kt_bytes key,
                                struct kt_bytes sealed, struct kt_buf *out, struct kt_err *err)
{
    if (barrier->ring == NULL)
        return is_sealed(err);
    return entry_open(barrier->ring, barrier->extra_format, key, sealed, out, err);
}

/* Absence is an answer on the hot path, so it is not formatted. */
static enum kt_kind absent(struct kt_err *err)
{
    static const char what[] = "no such record";
    if (err != NULL) {
        err->kind = KT_NOT_FOUND;
        err->saved_errno = 0;
        memcpy(err->what, what, sizeof what);
        err->hint[0] = '\0';
    }
    return KT_NOT_FOUND;
}

enum kt_kind barrier_get(struct barrier *barrier, struct snapshot *snapshot, struct kt_bytes key,
                         struct kt_buf *out, generation *ret_changed, struct kt_err *err)
{
    struct entry entry;
    enum store_error error = snapshot_get(snapshot, key, &entry);
    if (error == STORE_NOT_FOUND)
        return absent(err);
    if (error != STORE_OK)
        return barrier_store_failed(error, "reading a record", err);
    enum kt_kind kind = barrier_open_entry(barrier, key, entry.value, out, err);
    if (kind == KT_OK && ret_changed != NULL)
        *ret_changed = entry.changed;
    return kind;
}

enum kt_kind barrier_put(struct barrier *barrier, struct batch *batch, struct kt_bytes key,
                         struct kt_bytes plain, struct kt_err *err)
{
    kt_autobuf struct kt_buf sealed;
    kt_buf_init(&sealed, STORE_VALUE_MAX);
    enum kt_kind kind = barrier_seal_entry(barrier, key, plain, &sealed, err);
    if (kind == KT_OK) {
        batch_age(batch, entry_term(kt_buf_bytes(&sealed)));
        batch_put(batch, key, kt_buf_bytes(&sealed));
    }
    return kind;
}

/* ---- derived for others ---- */

void barrier_derive(struct barrier *barrier, const char *label, struct kt_bytes input,
                    unsigned char out[32])
{
    static const char own_label[] = "kt/derive/1";
    KT_ASSERT(barrier->ring != NULL);
    unsigned char label_len[4];
    kt_put_u32(label_len, (uint32_t)strlen(label));
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, barrier->ring->key[RING_PURPOSES], KT_KEY_BYTES, 32);
    (void)crypto_generichash_update(&state, (const unsigned char *)own_label, sizeof own_label - 1);
    (void)crypto_generichash_update(&state, label_len, sizeof label_len);
    (void)crypto_generichash_update(&state, (const unsigned char *)label, strlen(label));
    (void)crypto_generichash_update(&state, input.at, input.len);
    (void)crypto_generichash_final(&state, out, 32);
    sodium_memzero(&state, sizeof state);
}

void barrier_audit_keys(struct barrier *barrier, unsigned char record_key[32],
                        unsigned char hmac_key[32], unsigned char sign_seed[32])
{
    KT_ASSERT(barrier->ring != NULL);
    memcpy(record_key, barrier->ring->key[RING_AUDIT_RECORD], KT_KEY_BYTES);
    memcpy(hmac_key, barrier->ring->key[RING_AUDIT_HMAC], KT_KEY_BYTES);
    memcpy(sign_seed, barrier->ring->key[RING_SIGN], KT_KEY_BYTES);
}

void barrier_vault_id(struct barrier *barrier, unsigned char out[16])
{
    (void)pthread_mutex_lock(&barrier->lock);
    memcpy(out, barrier->seal.vault_id, VAULT_ID_BYTES);
    (void)pthread_mutex_unlock(&barrier->lock);
}
