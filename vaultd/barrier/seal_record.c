#include "vaultd/barrier/seal_record.h"

#include <sodium.h>

#include "lib/random.h"

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEAL_LABEL  "kt/seal/1"
#define LABEL_BYTES (sizeof SEAL_LABEL - 1)
#define AAD_BYTES   (LABEL_BYTES + SEAL_HEAD_BYTES)

static void write_head(const struct seal_record *seal, unsigned char at[SEAL_HEAD_BYTES])
{
    at[0] = SEAL_FORMAT;
    at[1] = seal->kind;
    memcpy(at + 2, seal->vault_id, VAULT_ID_BYTES);
    memcpy(at + 18, seal->seal_id, SEAL_ID_BYTES);
    at[34] = seal->threshold;
    at[35] = seal->shares;
    kt_put_u64(at + 36, (uint64_t)seal->initialized_ms);
}
_Static_assert(SEAL_HEAD_BYTES == 44, "the places above");

static void seal_aad(const struct seal_record *seal, unsigned char aad[AAD_BYTES])
{
    memcpy(aad, SEAL_LABEL, LABEL_BYTES);
    write_head(seal, aad + LABEL_BYTES);
}

void seal_record_wrap(struct seal_record *seal, const unsigned char unseal_key[KT_KEY_BYTES],
                      const unsigned char root[KT_KEY_BYTES])
{
    unsigned char aad[AAD_BYTES];
    seal_aad(seal, aad);
    kt_random(seal->wrap, NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(seal->wrap + NONCE_BYTES, NULL, root,
                                                     KT_KEY_BYTES, aad, sizeof aad, NULL,
                                                     seal->wrap, unseal_key);
}

bool seal_record_open(const struct seal_record *seal, const unsigned char unseal_key[KT_KEY_BYTES],
                      unsigned char ret_root[KT_KEY_BYTES])
{
    unsigned char aad[AAD_BYTES];
    seal_aad(seal, aad);
    return crypto_aead_xchacha20poly1305_ietf_decrypt(
               ret_root, NULL, NULL, seal->wrap + NONCE_BYTES, SEAL_WRAP_BYTES - NONCE_BYTES, aad,
               sizeof aad, seal->wrap, unseal_key) == 0;
}

void seal_record_write(const struct seal_record *seal, struct kt_buf *out)
{
    unsigned char head[SEAL_HEAD_BYTES];
    write_head(seal, head);
    kt_buf_add(out, head, sizeof head);
    kt_buf_add(out, seal->wrap, sizeof seal->wrap);
}

static enum kt_kind read_format1(struct kt_bytes stored, struct seal_record *ret,
                                 struct kt_err *err)
{
    struct kt_reader r = kt_reader(stored);
    (void)kt_read_u8(&r);
    struct seal_record seal = {.kind = kt_read_u8(&r)};
    struct kt_bytes vault_id = kt_read_bytes(&r, VAULT_ID_BYTES);
    struct kt_bytes seal_id = kt_read_bytes(&r, SEAL_ID_BYTES);
    seal.threshold = kt_read_u8(&r);
    seal.shares = kt_read_u8(&r);
    seal.initialized_ms = kt_read_i64(&r);
    struct kt_bytes wrap = kt_read_bytes(&r, SEAL_WRAP_BYTES);
    if (!kt_reader_done(&r) || seal.kind != SEAL_SHAMIR || seal.threshold < 1 ||
        seal.threshold > seal.shares) {
        (void)kt_fail(err, KT_CORRUPT, "the seal record is damaged");
        kt_hint(err, "restore the data folder from a backup; key shares alone cannot replace it");
        return KT_CORRUPT;
    }
    memcpy(seal.vault_id, vault_id.at, VAULT_ID_BYTES);
    memcpy(seal.seal_id, seal_id.at, SEAL_ID_BYTES);
    memcpy(seal.wrap, wrap.at, SEAL_WRAP_BYTES);
    *ret = seal;
    return KT_OK;
}

static const struct seal_format {
    uint8_t number;
    enum kt_kind (*read)(struct kt_bytes stored, struct seal_record *ret, struct kt_err *err);
} formats[] = {
    {1, read_format1},
};

enum kt_kind seal_record_read(struct kt_bytes stored, struct seal_record *ret, struct kt_err *err)
{
    unsigned number = stored.len == 0 ? 0 : stored.at[0];
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i].number == number)
            return formats[i].read(stored, ret, err);
    return format_refuse("the seal record", number, SEAL_FORMAT, err);
}
