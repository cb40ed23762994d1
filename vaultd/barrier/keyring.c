#include "vaultd/barrier/keyring.h"

#include <sodium.h>
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/random.h"

#define NONCE_BYTES  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES    crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEADER_BYTES (1u + 8u)
#define TERM_BYTES   (4u + 8u + KT_KEY_BYTES)
#define FIXED_BYTES  (3u * KT_KEY_BYTES + 4u)
#define RING_LABEL   "kt/ring/1"
#define LABEL_BYTES  (sizeof RING_LABEL - 1)
#define AAD_BYTES    (LABEL_BYTES + VAULT_ID_BYTES + HEADER_BYTES)

/* clang-format off */
static const struct derivation {
    enum ring_key key, from;
    uint64_t number;
    const char *context; /* 8 characters */
} derivations[] = {
    { RING_NAMES,        RING_INDEX, 1, "kt-index" },
    { RING_HASHES,       RING_INDEX, 2, "kt-index" },
    { RING_PURPOSES,     RING_INDEX, 3, "kt-index" },
    { RING_AUDIT_RECORD, RING_AUDIT, 1, "kt-audit" },
    { RING_AUDIT_HMAC,   RING_AUDIT, 2, "kt-audit" },
};
/* clang-format on */
#define DERIVATIONS (sizeof derivations / sizeof derivations[0])

static void derive_keys(struct keyring *ring)
{
    for (size_t i = 0; i < DERIVATIONS; i++)
        (void)crypto_kdf_derive_from_key(ring->key[derivations[i].key], KT_KEY_BYTES,
                                         derivations[i].number, derivations[i].context,
                                         ring->key[derivations[i].from]);
}

/* Memory for a ring, its keys zero. */
static struct keyring *ring_new(const unsigned char vault_id[VAULT_ID_BYTES])
{
    struct keyring *ring = kt_calloc(1, sizeof *ring);
    if (ring == NULL)
        return NULL;
    ring->slab = kt_keyslab_new(RING_KEYS + 2 * KEYRING_TERMS_MAX);
    if (ring->slab == NULL) {
        free(ring);
        return NULL;
    }
    for (unsigned i = 0; i < RING_KEYS; i++)
        ring->key[i] = kt_keyslab_take(ring->slab);
    memcpy(ring->vault_id, vault_id, VAULT_ID_BYTES);
    kt_random(&ring->loaded, sizeof ring->loaded);
    atomic_init(&ring->first, 0);
    atomic_init(&ring->count, 0);
    atomic_init(&ring->encryptions, 0);
    return ring;
}

void keyring_free(struct keyring *ring)
{
    if (ring == NULL)
        return;
    kt_keyslab_free(ring->slab);
    free(ring);
}

/* Places a term after the settled ones; false when the ring is full. */
static bool place_term(struct keyring *ring, uint32_t number, int64_t installed_ms,
                       const unsigned char *master)
{
    uint32_t at = atomic_load(&ring->count);
    if (at >= KEYRING_TERMS_MAX)
        return false;
    struct keyring_term *term = &ring->terms[at];
    term->number = number;
    term->installed_ms = installed_ms;
    term->master = kt_keyslab_take(ring->slab);
    term->entry = kt_keyslab_take(ring->slab);
    KT_ASSERT(term->master != NULL && term->entry != NULL);
    if (master != NULL)
        memcpy(term->master, master, KT_KEY_BYTES);
    else
        kt_random(term->master, KT_KEY_BYTES);
    (void)crypto_kdf_derive_from_key(term->entry, KT_KEY_BYTES, 1, "kt-entry", term->master);
    return true;
}

enum kt_kind keyring_generate(const unsigned char vault_id[VAULT_ID_BYTES], int64_t now_ms,
                              struct keyring **ret, struct kt_err *err)
{
    struct keyring *ring = ring_new(vault_id);
    if (ring == NULL)
        return kt_secret_failed(err, "making the keyring");
    kt_random(ring->key[RING_ROOT], KT_KEY_BYTES);
    kt_random(ring->key[RING_INDEX], KT_KEY_BYTES);
    kt_random(ring->key[RING_AUDIT], KT_KEY_BYTES);
    kt_random(ring->key[RING_SIGN], KT_KEY_BYTES);
    derive_keys(ring);
    ring->epoch = 1;
    (void)place_term(ring, 1, now_ms, NULL);
    atomic_store(&ring->count, 1);
    kt_keyslab_readonly(ring->slab, true);
    *ret = ring;
    return KT_OK;
}

/* ---- stored form ---- */

static void ring_aad(const unsigned char vault_id[VAULT_ID_BYTES], const unsigned char *header,
                     unsigned char aad[AAD_BYTES])
{
    memcpy(aad, RING_LABEL, LABEL_BYTES);
    memcpy(aad + LABEL_BYTES, vault_id, VAULT_ID_BYTES);
    memcpy(aad + LABEL_BYTES + VAULT_ID_BYTES, header, HEADER_BYTES);
}

static void write_plain(const struct keyring *ring, uint32_t first, uint32_t end, unsigned char *at)
{
    for (unsigned key = RING_INDEX; key <= RING_SIGN; key++) {
        memcpy(at, ring->key[key], KT_KEY_BYTES);
        at += KT_KEY_BYTES;
    }
    kt_put_u32(at, end - first);
    at += 4;
    for (uint32_t i = first; i < end; i++) {
        kt_put_u32(at, ring->terms[i].number);
        kt_put_u64(at + 4, (uint64_t)ring->terms[i].installed_ms);
        memcpy(at + 12, ring->terms[i].master, KT_KEY_BYTES);
        at += TERM_BYTES;
    }
}

enum kt_kind keyring_store(const struct keyring *ring, struct kt_buf *out, struct kt_err *err)
{
    bool changes = ring->staged || ring->dropping;
    uint32_t first = ring->dropping ? ring->keep_from : atomic_load(&ring->first);
    uint32_t end = atomic_load(&ring->count) + (ring->staged ? 1 : 0);
    size_t len = FIXED_BYTES + (end - first) * (size_t)TERM_BYTES;
    kt_autosecret struct kt_secret *plain = kt_secret_new(len);
    unsigned char *at = kt_buf_grow(out, HEADER_BYTES + NONCE_BYTES + len + TAG_BYTES);
    if (plain == NULL || at == NULL)
        return kt_secret_failed(err, "sealing the keyring");
    write_plain(ring, first, end, plain->at);
    at[0] = KEYRING_FORMAT;
    kt_put_u64(at + 1, ring->epoch + (changes ? 1 : 0));
    unsigned char aad[AAD_BYTES];
    ring_aad(ring->vault_id, at, aad);
    unsigned char *nonce = at + HEADER_BYTES;
    kt_random(nonce, NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + NONCE_BYTES, NULL, plain->at, len, aad,
                                                     sizeof aad, NULL, nonce, ring->key[RING_ROOT]);
    return KT_OK;
}

static bool read_plain(struct keyring *ring, struct kt_bytes plain)
{
    struct kt_reader r = kt_reader(plain);
    for (unsigned key = RING_INDEX; key <= RING_SIGN; key++) {
        struct kt_bytes bytes = kt_read_bytes(&r, KT_KEY_BYTES);
        if (bytes.at == NULL)
            return false;
        memcpy(ring->key[key], bytes.at, KT_KEY_BYTES);
    }
    uint32_t count = kt_read_u32(&r), last = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = kt_read_u32(&r);
        int64_t installed_ms = kt_read_i64(&r);
        struct kt_bytes master = kt_read_bytes(&r, KT_KEY_BYTES);
        if (r.failed || number <= last || !place_term(ring, number, installed_ms, master.at))
            return false;
        atomic_store(&ring->count, i + 1);
        last = number;
    }
    return kt_reader_done(&r) && last != 0;
}

static enum kt_kind ring_damaged(struct kt_err *err)
{
    (void)kt_fail(err, KT_CORRUPT, "the keyring does not open with this vault's root key");
    kt_hint(err, "the data folder was damaged or mixed with another vault's: restore it whole from "
                 "one backup");
    return KT_CORRUPT;
}

static enum kt_kind load_format1(const unsigned char vault_id[VAULT_ID_BYTES],
                                 const unsigned char root[KT_KEY_BYTES], struct kt_bytes stored,
                                 struct keyring **ret, struct kt_err *err)
{
    if (stored.len < HEADER_BYTES + NONCE_BYTES + FIXED_BYTES + TAG_BYTES)
        return ring_damaged(err);
    size_t len = stored.len - HEADER_BYTES - NONCE_BYTES - TAG_BYTES;
    kt_autosecret struct kt_secret *plain = kt_secret_new(len);
    struct keyring *ring = plain == NULL ? NULL : ring_new(vault_id);
    if (ring == NULL)
        return kt_secret_failed(err, "opening the keyring");
    unsigned char aad[AAD_BYTES];
    ring_aad(vault_id, stored.at, aad);
    const unsigned char *nonce = stored.at + HEADER_BYTES;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain->at, NULL, NULL, nonce + NONCE_BYTES,
                                                   len + TAG_BYTES, aad, sizeof aad, nonce,
                                                   root) != 0 ||
        !read_plain(ring, kt_secret_bytes(plain))) {
        keyring_free(ring);
        return ring_damaged(err);
    }
    ring->epoch = kt_get_u64(stored.at + 1);
    memcpy(ring->key[RING_ROOT], root, KT_KEY_BYTES);
    derive_keys(ring);
    kt_keyslab_readonly(ring->slab, true);
    *ret = ring;
    return KT_OK;
}

static const struct ring_format {
    uint8_t number;
    enum kt_kind (*load)(const unsigned char *vault_id, const unsigned char *root,
                         struct kt_bytes stored, struct keyring **ret, struct kt_err *err);
} formats[] = {
    {1, load_format1},
};

enum kt_kind keyring_load(const unsigned char vault_id[VAULT_ID_BYTES],
                          const unsigned char root[KT_KEY_BYTES], struct kt_bytes stored,
                          struct keyring **ret, struct kt_err *err)
{
    if (stored.len == 0)
        return ring_damaged(err);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i].number == stored.at[0])
            return formats[i].load(vault_id, root, stored, ret, err);
    return format_refuse("the keyring", stored.at[0], KEYRING_FORMAT, err);
}

/* ---- terms ---- */

enum kt_kind keyring_stage(struct keyring *ring, int64_t now_ms, struct kt_err *err)
{
    if (ring->staged || ring->dropping)
        return kt_fail(err, KT_CONFLICT, "another change of the keyring is being committed");
    kt_keyslab_readonly(ring->slab, false);
    bool placed = place_term(ring, keyring_newest(ring)->number + 1, now_ms, NULL);
    kt_keyslab_readonly(ring->slab, true);
    if (!placed) {
        (void)kt_fail(err, KT_TOO_MANY, "the keyring holds %u terms, the most it can",
                      KEYRING_TERMS_MAX);
        kt_hint(err, "seal and unseal if old ones were destroyed; a term is good for 2^32 writes or a "
                     "year: rotate less often");
        return KT_TOO_MANY;
    }
    ring->staged = true;
    return KT_OK;
}

void keyring_settle(struct keyring *ring, bool keep)
{
    if (!ring->staged)
        return;
    ring->staged = false;
    if (keep) {
        ring->epoch++;
        atomic_store(&ring->encryptions, 0);
        (void)atomic_fetch_add(&ring->count, 1);
        return;
    }
    struct keyring_term *term = &ring->terms[atomic_load(&ring->count)];
    kt_keyslab_readonly(ring->slab, false);
    kt_keyslab_give(ring->slab, KT_TAKE(term->master));
    kt_keyslab_give(ring->slab, KT_TAKE(term->entry));
    kt_keyslab_readonly(ring->slab, true);
}

enum kt_kind keyring_stage_drop(struct keyring *ring, uint32_t below, struct kt_err *err)
{
    if (ring->staged || ring->dropping)
        return kt_fail(err, KT_CONFLICT, "another change of the keyring is being committed");
    uint32_t first = atomic_load(&ring->first), newest = atomic_load(&ring->count) - 1, keep = first;
    while (keep < newest && ring->terms[keep].number < below)
        keep++;
    if (keep == first)
        return kt_fail(err, KT_NOT_FOUND, "the keyring has no term below %u", below);
    ring->dropping = true;
    ring->keep_from = keep;
    return KT_OK;
}

/* Their numbers stay, so that whoever searches now finds his way; their keys do not. */
void keyring_settle_drop(struct keyring *ring, bool drop)
{
    if (!ring->dropping)
        return;
    ring->dropping = false;
    if (!drop)
        return;
    uint32_t from = atomic_load(&ring->first);
    ring->epoch++;
    atomic_store(&ring->first, ring->keep_from);
    kt_keyslab_readonly(ring->slab, false);
    for (uint32_t i = from; i < ring->keep_from; i++) {
        kt_keyslab_give(ring->slab, ring->terms[i].master);
        kt_keyslab_give(ring->slab, ring->terms[i].entry);
    }
    kt_keyslab_readonly(ring->slab, true);
}

const unsigned char *keyring_entry_key(const struct keyring *ring, uint32_t term)
{
    uint32_t count = atomic_load_explicit(&ring->count, memory_order_acquire);
    uint32_t first = atomic_load_explicit(&ring->first, memory_order_acquire);
    const struct keyring_term *newest = &ring->terms[count - 1];
    if (term > newest->number || term < ring->terms[first].number)
        return NULL;
    /* Without gaps the number is the place; destroyed terms only move it to the front. */
    uint32_t behind = newest->number - term;
    for (uint32_t i = behind < count ? count - 1 - behind : 0; i < count; i++)
        if (ring->terms[i].number >= term)
            return ring->terms[i].number == term ? ring->terms[i].entry : NULL;
    return NULL;
}
