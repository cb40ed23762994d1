#include "vaultd/audit/hasher.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "lib/random.h"

#define SLOTS      4096u
#define SHARDS     16u
#define CACHED_MAX 512u /* longer texts cost as much to look up */
#define PREFIX     12u  /* "hmac-sha256:" */
#define TAG_BYTES  crypto_shorthash_siphashx24_BYTES

struct slot {
    bool used;
    unsigned char tag[TAG_BYTES], hmac[AUDIT_HMAC_BYTES];
};

struct audit_hasher {
    const unsigned char *key;
    unsigned char tag_key[crypto_shorthash_siphashx24_KEYBYTES];
    pthread_mutex_t locks[SHARDS];
    struct slot slots[SLOTS]; /* slot i is guarded by locks[i % SHARDS] */
};

struct audit_hasher *audit_hasher_new(const unsigned char key[32])
{
    struct audit_hasher *hasher = kt_calloc(1, sizeof *hasher);
    if (hasher == NULL)
        return NULL;
    hasher->key = key;
    kt_random(hasher->tag_key, sizeof hasher->tag_key);
    for (unsigned i = 0; i < SHARDS; i++)
        (void)pthread_mutex_init(&hasher->locks[i], NULL);
    return hasher;
}

void audit_hasher_free(struct audit_hasher *hasher)
{
    if (hasher == NULL)
        return;
    for (unsigned i = 0; i < SHARDS; i++)
        (void)pthread_mutex_destroy(&hasher->locks[i]);
    sodium_memzero(hasher, sizeof *hasher);
    free(hasher);
}

void audit_hasher_bytes(const struct audit_hasher *hasher, struct kt_bytes text,
                        unsigned char out[AUDIT_HMAC_BYTES])
{
    /* libsodium's is four times slower, and is there if a library policy refuses GnuTLS's. */
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, hasher->key, 32, text.at, text.len, out) < 0)
        (void)crypto_auth_hmacsha256(out, text.at, text.len, hasher->key);
}

/* Eight digits at once, each in a byte of its own: digit + '0', and 39 more from ten on. */
void audit_hmac_text(const unsigned char hmac[AUDIT_HMAC_BYTES], char out[AUDIT_HMAC_TEXT])
{
    const uint64_t ones = UINT64_C(0x0101010101010101), pairs = UINT64_C(0x000f000f000f000f);
    memcpy(out, "hmac-sha256:", PREFIX);
    for (unsigned i = 0; i < AUDIT_HMAC_BYTES; i += 4) {
        uint64_t x = kt_get_u32(hmac + i);
        x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
        x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
        x = (x >> 4 & pairs) | (x & pairs) << 8;
        x += ones * '0' + ((x + ones * 6) >> 4 & ones) * ('a' - '0' - 10);
        kt_put_u64((unsigned char *)out + PREFIX + (size_t)2 * i, x);
    }
    out[AUDIT_HMAC_TEXT - 1] = '\0';
}

void audit_hasher_get(struct audit_hasher *hasher, struct kt_bytes text,
                      unsigned char out[AUDIT_HMAC_BYTES])
{
    unsigned char tag[TAG_BYTES];
    if (text.len > CACHED_MAX) {
        audit_hasher_bytes(hasher, text, out);
        return;
    }
    (void)crypto_shorthash_siphashx24(tag, text.at, text.len, hasher->tag_key);
    unsigned number = kt_get_u32(tag) % SLOTS;
    struct slot *slot = &hasher->slots[number];
    pthread_mutex_t *lock = &hasher->locks[number % SHARDS];
    (void)pthread_mutex_lock(lock);
    bool known = slot->used && memcmp(slot->tag, tag, sizeof tag) == 0;
    if (known)
        memcpy(out, slot->hmac, AUDIT_HMAC_BYTES);
    (void)pthread_mutex_unlock(lock);
    if (known)
        return;
    audit_hasher_bytes(hasher, text, out);
    (void)pthread_mutex_lock(lock);
    slot->used = true;
    memcpy(slot->tag, tag, sizeof tag);
    memcpy(slot->hmac, out, AUDIT_HMAC_BYTES);
    (void)pthread_mutex_unlock(lock);
}

void audit_hasher_text(struct audit_hasher *hasher, struct kt_bytes text,
                       char out[AUDIT_HMAC_TEXT])
{
    unsigned char hmac[AUDIT_HMAC_BYTES];
    audit_hasher_get(hasher, text, hmac);
    audit_hmac_text(hmac, out);
}
