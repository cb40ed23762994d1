/* lib/mariadb_hash.c - see lib/mariadb_hash.h. */
#include "lib/mariadb_hash.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>

#include "lib/buf.h"

#define SHA1_BYTES   20u
#define PASSWORD_MAX 1024u
#define NATIVE       (KT_MARIADB_NATIVE_TEXT - 1)
#define ED25519      (KT_MARIADB_ED25519_TEXT - 1)

static enum kt_kind check_password(struct kt_bytes password, struct kt_err *err)
{
    bool printable = true;
    for (size_t i = 0; i < password.len; i++)
        printable &= password.at[i] >= ' ' && password.at[i] <= '~';
    if (password.len > 0 && password.len <= PASSWORD_MAX && printable)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "the password is not 1..%u printable ASCII characters",
                  PASSWORD_MAX);
    kt_hint(err, "generate it: what other characters are depends on each client's character set");
    return KT_INVALID;
}

/* SHA1(SHA1(password)): the server's own, see the header. */
static int hash_native(struct kt_bytes password, char ret[KT_MARIADB_NATIVE_TEXT])
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char once[SHA1_BYTES], twice[SHA1_BYTES];
    int rc = gnutls_hash_fast(GNUTLS_DIG_SHA1, password.at, password.len, once);
    if (rc == 0)
        rc = gnutls_hash_fast(GNUTLS_DIG_SHA1, once, sizeof once, twice);
    if (rc == 0) {
        ret[0] = '*';
        for (size_t i = 0; i < sizeof twice; i++) {
            ret[1 + 2 * i] = digits[twice[i] >> 4];
            ret[2 + 2 * i] = digits[twice[i] & 15];
        }
        ret[NATIVE] = '\0';
    }
    sodium_memzero(once, sizeof once); /* it logs in as well as the password does */
    return rc;
}

static bool hash_ed25519(struct kt_bytes password, char ret[KT_MARIADB_ED25519_TEXT])
{
    unsigned char hash[crypto_hash_sha512_BYTES], key[crypto_scalarmult_ed25519_BYTES];
    (void)crypto_hash_sha512(hash, password.at, password.len);
    bool ok = crypto_scalarmult_ed25519_base(key, hash) == 0;
    sodium_memzero(hash, sizeof hash);
    if (ok)
        (void)sodium_bin2base64(ret, KT_MARIADB_ED25519_TEXT, key, sizeof key,
                                sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    return ok;
}

enum kt_kind kt_mariadb_public(struct kt_bytes password, char ret[KT_MARIADB_PUBLIC_TEXT],
                               struct kt_err *err)
{
    struct kt_mariadb_hashes hashes;
    enum kt_kind kind = check_password(password, err);
    if (kind != KT_OK)
        return kind;
    int rc = hash_native(password, hashes.native);
    if (rc != 0)
        return kt_fail(err, KT_INTERNAL, "hashing a password: %s", gnutls_strerror(rc));
    if (!hash_ed25519(password, hashes.ed25519))
        return kt_fail(err, KT_INTERNAL, "hashing a password: it has no Ed25519 key");
    memcpy(ret, hashes.native, NATIVE);
    ret[NATIVE] = ' ';
    memcpy(ret + NATIVE + 1, hashes.ed25519, KT_MARIADB_ED25519_TEXT);
    return KT_OK;
}

static bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

static bool is_base64(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

bool kt_mariadb_split(struct kt_bytes text, struct kt_mariadb_hashes *ret)
{
    if (text.len != NATIVE + 1 + ED25519 || text.at[0] != '*' || text.at[NATIVE] != ' ')
        return false;
    for (size_t i = 1; i < NATIVE; i++)
        if (!is_hex(text.at[i]))
            return false;
    for (size_t i = NATIVE + 1; i < text.len; i++)
        if (!is_base64(text.at[i]))
            return false;
    memcpy(ret->native, text.at, NATIVE);
    memcpy(ret->ed25519, text.at + NATIVE + 1, ED25519);
    ret->native[NATIVE] = ret->ed25519[ED25519] = '\0';
    return true;
}
