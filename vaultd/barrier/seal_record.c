#include "vaultd/barrier/seal_record.h"

#include <sodium.h>

#include "lib/random.h"

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define FORMAT_ALONE 1u /* no further seals */
#define SEAL_LABEL  "kt/seal/1"
#define MORE_LABEL  "kt/seal/2"
#define MORE_HEAD   (1u + SEAL_ID_BYTES + 8u + 1u + KT_CREDENTIAL_NAME)
#define LABEL_BYTES (sizeof SEAL_LABEL - 1)
#define AAD_BYTES   (LABEL_BYTES + SEAL_HEAD_BYTES)

static void write_head(const struct seal_record *seal, unsigned char at[SEAL_HEAD_BYTES])
{
    at[0] = FORMAT_ALONE;
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

/* ---- further seals ---- */

static size_t write_more_head(const struct seal_more *more, unsigned char at[MORE_HEAD])
{
    size_t len = strlen(more->name);
    at[0] = more->kind;
    memcpy(at + 1, more->id, SEAL_ID_BYTES);
    kt_put_u64(at + 17, (uint64_t)more->made_ms);
    at[25] = (unsigned char)len;
    memcpy(at + 26, more->name, len);
    return 26 + len;
}
_Static_assert(MORE_HEAD == 26 + KT_CREDENTIAL_NAME, "the places above");

struct more_aad {
    unsigned char at[sizeof MORE_LABEL - 1 + VAULT_ID_BYTES + MORE_HEAD];
    size_t len;
};

static void more_aad(const unsigned char vault_id[VAULT_ID_BYTES], const struct seal_more *more,
                     struct more_aad *aad)
{
    memcpy(aad->at, MORE_LABEL, sizeof MORE_LABEL - 1);
    memcpy(aad->at + sizeof MORE_LABEL - 1, vault_id, VAULT_ID_BYTES);
    aad->len = sizeof MORE_LABEL - 1 + VAULT_ID_BYTES;
    aad->len += write_more_head(more, aad->at + aad->len);
}

void seal_more_wrap(const unsigned char vault_id[VAULT_ID_BYTES], struct seal_more *more,
                    const unsigned char key[KT_KEY_BYTES], const unsigned char root[KT_KEY_BYTES])
{
    struct more_aad aad;
    more_aad(vault_id, more, &aad);
    kt_random(more->wrap, NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(more->wrap + NONCE_BYTES, NULL, root,
                                                     KT_KEY_BYTES, aad.at, aad.len, NULL,
                                                     more->wrap, key);
}

bool seal_more_open(const unsigned char vault_id[VAULT_ID_BYTES], const struct seal_more *more,
                    const unsigned char key[KT_KEY_BYTES], unsigned char ret_root[KT_KEY_BYTES])
{
    struct more_aad aad;
    more_aad(vault_id, more, &aad);
    return crypto_aead_xchacha20poly1305_ietf_decrypt(
               ret_root, NULL, NULL, more->wrap + NONCE_BYTES, SEAL_WRAP_BYTES - NONCE_BYTES,
               aad.at, aad.len, more->wrap, key) == 0;
}

struct seal_more *seal_record_find(struct seal_record *seal, const char *name)
{
    for (unsigned i = 0; i < seal->n_more; i++)
        if (strcmp(seal->more[i].name, name) == 0)
            return &seal->more[i];
    return NULL;
}

/* ---- the stored form ---- */

void seal_record_write(const struct seal_record *seal, struct kt_buf *out)
{
    unsigned char head[SEAL_HEAD_BYTES], more_head[MORE_HEAD];
    write_head(seal, head);
    if (seal->n_more > 0)
        head[0] = SEAL_FORMAT;
    kt_buf_add(out, head, sizeof head);
    kt_buf_add(out, seal->wrap, sizeof seal->wrap);
    if (seal->n_more > 0)
        kt_buf_add_char(out, (char)seal->n_more);
    for (unsigned i = 0; i < seal->n_more; i++) {
        kt_buf_add(out, more_head, write_more_head(&seal->more[i], more_head));
        kt_buf_add(out, seal->more[i].wrap, SEAL_WRAP_BYTES);
    }
}

static enum kt_kind is_damaged(struct kt_err *err)
{
    (void)kt_fail(err, KT_CORRUPT, "the seal record is damaged");
    kt_hint(err, "restore the data folder from a backup; key shares alone cannot replace it");
    return KT_CORRUPT;
}

/* What both formats begin with. False: it is damaged. */
static bool read_shares(struct kt_reader *r, struct seal_record *seal)
{
    (void)kt_read_u8(r);
    seal->kind = kt_read_u8(r);
    struct kt_bytes vault_id = kt_read_bytes(r, VAULT_ID_BYTES);
    struct kt_bytes seal_id = kt_read_bytes(r, SEAL_ID_BYTES);
    seal->threshold = kt_read_u8(r);
    seal->shares = kt_read_u8(r);
    seal->initialized_ms = kt_read_i64(r);
    struct kt_bytes wrap = kt_read_bytes(r, SEAL_WRAP_BYTES);
    if (wrap.len != SEAL_WRAP_BYTES || seal->kind != SEAL_SHAMIR || seal->threshold < 1 ||
        seal->threshold > seal->shares)
        return false;
    memcpy(seal->vault_id, vault_id.at, VAULT_ID_BYTES);
    memcpy(seal->seal_id, seal_id.at, SEAL_ID_BYTES);
    memcpy(seal->wrap, wrap.at, SEAL_WRAP_BYTES);
    return true;
}

static bool read_more(struct kt_reader *r, struct seal_record *seal)
{
    struct seal_more more = {.kind = kt_read_u8(r)};
    struct kt_bytes id = kt_read_bytes(r, SEAL_ID_BYTES);
    more.made_ms = kt_read_i64(r);
    size_t len = kt_read_u8(r);
    if (len == 0 || len >= KT_CREDENTIAL_NAME)
        return false;
    struct kt_bytes name = kt_read_bytes(r, len);
    struct kt_bytes wrap = kt_read_bytes(r, SEAL_WRAP_BYTES);
    if (wrap.len != SEAL_WRAP_BYTES || name.len != len || more.kind != SEAL_CREDENTIAL)
        return false;
    memcpy(more.name, name.at, len);
    if (strlen(more.name) != len || !kt_credential_name_ok(more.name) ||
        seal_record_find(seal, more.name) != NULL)
        return false;
    memcpy(more.id, id.at, SEAL_ID_BYTES);
    memcpy(more.wrap, wrap.at, SEAL_WRAP_BYTES);
    seal->more[seal->n_more++] = more;
    return true;
}

static enum kt_kind read_format1(struct kt_bytes stored, struct seal_record *ret,
                                 struct kt_err *err)
{
    struct kt_reader r = kt_reader(stored);
    struct seal_record seal = {0};
    if (!read_shares(&r, &seal) || !kt_reader_done(&r))
        return is_damaged(err);
    *ret = seal;
    return KT_OK;
}

static enum kt_kind read_format2(struct kt_bytes stored, struct seal_record *ret,
                                 struct kt_err *err)
{
    struct kt_reader r = kt_reader(stored);
    struct seal_record seal = {0};
    if (!read_shares(&r, &seal))
        return is_damaged(err);
    unsigned n = kt_read_u8(&r);
    if (n < 1 || n > SEALS_MAX)
        return is_damaged(err);
    for (unsigned i = 0; i < n; i++)
        if (!read_more(&r, &seal))
            return is_damaged(err);
    if (!kt_reader_done(&r))
        return is_damaged(err);
    *ret = seal;
    return KT_OK;
}

static const struct seal_format {
    uint8_t number;
    enum kt_kind (*read)(struct kt_bytes stored, struct seal_record *ret, struct kt_err *err);
} formats[] = {
    {FORMAT_ALONE, read_format1},
    {SEAL_FORMAT, read_format2},
};

enum kt_kind seal_record_read(struct kt_bytes stored, struct seal_record *ret, struct kt_err *err)
{
    unsigned number = stored.len == 0 ? 0 : stored.at[0];
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i].number == number)
            return formats[i].read(stored, ret, err);
    return format_refuse("the seal record", number, SEAL_FORMAT, err);
}
