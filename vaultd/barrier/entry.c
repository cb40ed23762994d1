#include "vaultd/barrier/entry.h"

#include <sodium.h>

#include "lib/aead.h"
#include "lib/assert.h"
#include "lib/random.h"

#define NONCE_BYTES  KT_AEAD_NONCE
#define TAG_BYTES    KT_AEAD_TAG
#define HEAD_BYTES   (1u + 4u)
#define LENGTH_BYTES 4u
#define ENTRY_LABEL  "kt/entry/1"
#define LABEL_BYTES  (sizeof ENTRY_LABEL - 1)
#define AAD_MAX      (LABEL_BYTES + VAULT_ID_BYTES + HEAD_BYTES + 4 + STORE_KEY_MAX)
#define PADDED_MAX   (STORE_VALUE_MAX - BARRIER_OVERHEAD)
#define BUCKET_STEP  64u

_Static_assert(HEAD_BYTES + NONCE_BYTES + TAG_BYTES == BARRIER_OVERHEAD, "as barrier.h says");

size_t entry_bucket(size_t len)
{
    size_t need = len + LENGTH_BYTES, step = BUCKET_STEP;
    while (step * 32 <= need)
        step *= 2;
    size_t bucket = (need + step - 1) / step * step;
    return bucket > PADDED_MAX ? PADDED_MAX : bucket;
}

/* The place comes from where we look, never from what the record says of itself; format and term
 * are its own words, which are authentic if it opens. */
static size_t entry_aad(const struct keyring *ring, const unsigned char head[HEAD_BYTES],
                        struct kt_bytes key, unsigned char aad[AAD_MAX])
{
    KT_ASSERT(key.len > 0 && key.len <= STORE_KEY_MAX);
    unsigned char *at = aad;
    memcpy(at, ENTRY_LABEL, LABEL_BYTES);
    at += LABEL_BYTES;
    memcpy(at, ring->vault_id, VAULT_ID_BYTES);
    at += VAULT_ID_BYTES;
    memcpy(at, head, HEAD_BYTES);
    at += HEAD_BYTES;
    kt_put_u32(at, (uint32_t)key.len);
    at += 4;
    memcpy(at, key.at, key.len);
    return (size_t)(at - aad) + key.len;
}

enum kt_kind entry_seal(struct keyring *ring, struct kt_bytes key, struct kt_bytes plain,
                        struct kt_buf *out, struct kt_err *err)
{
    if (plain.len > ENTRY_PLAIN_MAX)
        return kt_fail(err, KT_TOO_LARGE, "a record of %zu bytes is larger than the %u that fit",
                       plain.len, ENTRY_PLAIN_MAX);
    size_t padded = entry_bucket(plain.len);
    unsigned char *at = kt_buf_grow(out, BARRIER_OVERHEAD + padded);
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "sealing a record");
    const struct keyring_term *term = keyring_newest(ring);
    at[0] = ENTRY_FORMAT;
    kt_put_u32(at + 1, term->number);
    unsigned char aad[AAD_MAX];
    size_t aad_len = entry_aad(ring, at, key, aad);

    unsigned char *nonce = at + HEAD_BYTES;
    kt_random_id(nonce, NONCE_BYTES);
    unsigned char *body = nonce + NONCE_BYTES; /* sealed in place */
    if (plain.len > 0)
        memcpy(body, plain.at, plain.len);
    memset(body + plain.len, 0, padded - plain.len - LENGTH_BYTES);
    kt_put_u32(body + padded - LENGTH_BYTES, (uint32_t)plain.len);
    kt_aead_seal(term->entry, nonce, kt_bytes(aad, aad_len), kt_bytes(body, padded), body);
    (void)atomic_fetch_add_explicit(&ring->encryptions, 1, memory_order_relaxed);
    return KT_OK;
}

uint32_t entry_term(struct kt_bytes sealed)
{
    if (sealed.len < BARRIER_OVERHEAD + LENGTH_BYTES)
        return 0;
    return kt_get_u32(sealed.at + 1);
}

static enum kt_kind does_not_open(struct kt_bytes key, struct kt_err *err)
{
    (void)kt_fail(err, KT_CORRUPT, "a record of table '%c' does not open where it stands",
                  key.at[0] >= ' ' && key.at[0] < 127 ? key.at[0] : '?');
    kt_hint(err,
            "the data folder was damaged, altered, or mixed with another copy: stop vaultd and "
            "restore it whole from one backup");
    return KT_CORRUPT;
}

static enum kt_kind term_missing(uint32_t term, uint32_t newest, struct kt_err *err)
{
    (void)kt_fail(err, KT_CORRUPT,
                  "a record was sealed under term %u, which the keyring (newest: %u) lacks", term,
                  newest);
    kt_hint(err,
            "an older keyring was put back beside newer records: restore the data folder whole "
            "from one backup");
    return KT_CORRUPT;
}

/* As sodium_is_zero(), a word at a time: the padding of a short record is most of it. */
static bool is_zero(const unsigned char *at, size_t len)
{
    uint64_t bits = 0;
    for (; len >= sizeof bits; at += sizeof bits, len -= sizeof bits)
        bits |= kt_get_u64(at);
    for (; len > 0; at++, len--)
        bits |= *at;
    return bits == 0;
}

/* The plaintext's true length, or false if this is no padding that entry_seal() makes. */
static bool unpad(const unsigned char *plain, size_t padded, size_t *ret_len)
{
    size_t len = kt_get_u32(plain + padded - LENGTH_BYTES);
    if (len > padded - LENGTH_BYTES || entry_bucket(len) != padded ||
        !is_zero(plain + len, padded - LENGTH_BYTES - len))
        return false;
    *ret_len = len;
    return true;
}

static enum kt_kind open_format1(const struct keyring *ring, struct kt_bytes key,
                                 struct kt_bytes sealed, struct kt_buf *out, struct kt_err *err)
{
    if (sealed.len < BARRIER_OVERHEAD + LENGTH_BYTES)
        return does_not_open(key, err);
    size_t padded = sealed.len - BARRIER_OVERHEAD, before = out->len, len = 0;
    uint32_t term = kt_get_u32(sealed.at + 1);
    const unsigned char *entry_key = keyring_entry_key(ring, term);
    if (entry_key == NULL)
        return term_missing(term, keyring_newest(ring)->number, err);
    if (padded > out->max - before) {
        /* The padding may not fit where the data does. */
        kt_autobuf struct kt_buf aside;
        kt_buf_init(&aside, padded);
        enum kt_kind kind = open_format1(ring, key, sealed, &aside, err);
        if (kind != KT_OK)
            return kind;
        kt_buf_add_bytes(out, kt_buf_bytes(&aside));
        return kt_buf_ok(out) ? KT_OK
                              : kt_fail(err, KT_TOO_LARGE, "a record is larger than wanted");
    }

    unsigned char *at = kt_buf_grow(out, padded);
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening a record");
    unsigned char aad[AAD_MAX];
    size_t aad_len = entry_aad(ring, sealed.at, key, aad);
    const unsigned char *nonce = sealed.at + HEAD_BYTES;
    bool opened = kt_aead_open(entry_key, nonce, kt_bytes(aad, aad_len),
                               kt_bytes(nonce + NONCE_BYTES, padded + TAG_BYTES), at) &&
                  unpad(at, padded, &len);
    sodium_memzero(at + len, padded - len);
    out->len = before + len;
    return opened ? KT_OK : does_not_open(key, err);
}

static const struct entry_format formats[] = {
    {1, open_format1},
};

enum kt_kind entry_open(const struct keyring *ring, const struct entry_format *extra,
                        struct kt_bytes key, struct kt_bytes sealed, struct kt_buf *out,
                        struct kt_err *err)
{
    if (sealed.len == 0)
        return does_not_open(key, err);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i].number == sealed.at[0])
            return formats[i].open(ring, key, sealed, out, err);
    if (extra != NULL && extra->number == sealed.at[0])
        return extra->open(ring, key, sealed, out, err);
    return format_refuse("a record", sealed.at[0], ENTRY_FORMAT, err);
}
