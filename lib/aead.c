#include "lib/aead.h"

#include <sodium.h>

#include "lib/assert.h"
#include "lib/cleanup.h"

#define BLOCK     64u
#define SHORT_MAX (1024u - BLOCK) /* beyond, rounding up is a small part */
#define STEP      256u
#define AAD_SHORT 128u

_Static_assert(KT_AEAD_KEY == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(KT_AEAD_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(KT_AEAD_TAG == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(KT_AEAD_TAG == crypto_verify_16_BYTES, "compared in constant time");

/* The first block of the key stream, whose first half is the Poly1305 key, and behind it the message;
 * then room to round up. */
struct work {
    _Alignas(64) unsigned char first[BLOCK];
    unsigned char message[SHORT_MAX];
};

/* Encrypts or decrypts work->message; afterwards `first` is the first block of the key stream. */
static void stream(const unsigned char *key, const unsigned char *nonce, size_t len,
                   struct work *work)
{
    unsigned char subkey[32], rest[12] = {0};
    size_t total = BLOCK + len;
    if (total > BLOCK)
        total = (total + STEP - 1) / STEP * STEP;
    memset(work->first, 0, sizeof work->first);
    (void)crypto_core_hchacha20(subkey, nonce, key, NULL);
    memcpy(rest + 4, nonce + 16, 8);
    (void)crypto_stream_chacha20_ietf_xor_ic(work->first, work->first, total, rest, 0, subkey);
    sodium_memzero(subkey, sizeof subkey);
}

static size_t padding(size_t len)
{
    return (16 - len % 16) % 16;
}

/* Poly1305 of aad, ciphertext and their lengths, each filled up to 16 bytes. */
static void make_tag(const unsigned char poly_key[32], struct kt_bytes aad, struct kt_bytes cipher,
                     unsigned char tag[KT_AEAD_TAG])
{
    static const unsigned char zeroes[16];
    crypto_onetimeauth_poly1305_state state;
    unsigned char end[16 + 16] = {0};
    (void)crypto_onetimeauth_poly1305_init(&state, poly_key);
    if (aad.len <= AAD_SHORT) {
        unsigned char padded[AAD_SHORT + 16] = {0};
        if (aad.len > 0)
            memcpy(padded, aad.at, aad.len);
        (void)crypto_onetimeauth_poly1305_update(&state, padded, aad.len + padding(aad.len));
    } else {
        (void)crypto_onetimeauth_poly1305_update(&state, aad.at, aad.len);
        (void)crypto_onetimeauth_poly1305_update(&state, zeroes, padding(aad.len));
    }
    (void)crypto_onetimeauth_poly1305_update(&state, cipher.at, cipher.len);
    size_t skip = 16 - padding(cipher.len);
    kt_put_u64(end + 16, aad.len);
    kt_put_u64(end + 24, cipher.len);
    (void)crypto_onetimeauth_poly1305_update(&state, end + skip, sizeof end - skip);
    (void)crypto_onetimeauth_poly1305_final(&state, tag); /* wipes the state */
}

void kt_aead_seal(const unsigned char key[KT_AEAD_KEY], const unsigned char nonce[KT_AEAD_NONCE],
                  struct kt_bytes aad, struct kt_bytes plain, unsigned char *out)
{
    if (plain.len > SHORT_MAX) {
        (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain.at, plain.len, aad.at,
                                                         aad.len, NULL, nonce, key);
        return;
    }
    KT_UNINIT struct work work;
    if (plain.len > 0)
        memcpy(work.message, plain.at, plain.len);
    stream(key, nonce, plain.len, &work);
    if (plain.len > 0)
        memcpy(out, work.message, plain.len);
    make_tag(work.first, aad, kt_bytes(work.message, plain.len), out + plain.len);
    sodium_memzero(&work, sizeof work);
}

bool kt_aead_open(const unsigned char key[KT_AEAD_KEY], const unsigned char nonce[KT_AEAD_NONCE],
                  struct kt_bytes aad, struct kt_bytes sealed, unsigned char *out)
{
    if (sealed.len < KT_AEAD_TAG)
        return false;
    size_t len = sealed.len - KT_AEAD_TAG;
    if (len > SHORT_MAX)
        return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.at, sealed.len,
                                                          aad.at, aad.len, nonce, key) == 0;
    KT_UNINIT struct work work;
    unsigned char tag[KT_AEAD_TAG];
    if (len > 0)
        memcpy(work.message, sealed.at, len);
    stream(key, nonce, len, &work);
    make_tag(work.first, aad, kt_bytes(sealed.at, len), tag);
    bool genuine = crypto_verify_16(tag, sealed.at + len) == 0;
    if (genuine && len > 0)
        memcpy(out, work.message, len);
    sodium_memzero(&work, sizeof work);
    return genuine;
}
