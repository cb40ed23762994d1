#include "lib/scram.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>
#include <stdio.h>

#include "lib/buf.h"
#include "lib/num.h"
#include "lib/random.h"
#include "lib/secret.h"

#define HASH_BYTES     32u
#define HASH_BASE64    44u
#define SALT_BASE64    24u
#define ITERATIONS_MAX 9999999u
#define MECHANISM      "SCRAM-SHA-256$"

/* ---- the exact form ---- */

static bool is_base64_char(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* What one character of the form stands for: '#' a digit, '~' a base64 character, else itself. */
static bool takes(struct kt_bytes *text, const char *form)
{
    size_t len = strlen(form);
    if (text->len < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = text->at[i];
        bool good = form[i] == '#'   ? c >= '0' && c <= '9'
                    : form[i] == '~' ? is_base64_char(c)
                                     : c == (unsigned char)form[i];
        if (!good)
            return false;
    }
    *text = kt_bytes(text->at + len, text->len - len);
    return true;
}

#define FORM_22 "~~~~~~~~~~~~~~~~~~~~~~"
#define FORM_43 FORM_22 "~~~~~~~~~~~~~~~~~~~~~"
_Static_assert(sizeof FORM_22 == SALT_BASE64 - 1 && sizeof FORM_43 == HASH_BASE64,
               "with padding and without NUL");

struct parts {
    struct kt_bytes iterations, salt, keys; /* keys: both, with the colon */
};

static bool split(struct kt_bytes text, struct parts *ret)
{
    struct parts parts = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    if (!takes(&text, MECHANISM) || text.len == 0 || text.at[0] == '0')
        return false;
    parts.iterations.at = text.at;
    while (parts.iterations.len < 7 && takes(&text, "#"))
        parts.iterations.len++;
    if (parts.iterations.len < 4 || !takes(&text, ":"))
        return false;
    parts.salt = kt_bytes(text.at, SALT_BASE64);
    if (!takes(&text, FORM_22 "==$"))
        return false;
    parts.keys = text;
    if (!takes(&text, FORM_43 "=:" FORM_43 "=") || text.len != 0)
        return false;
    *ret = parts;
    return true;
}

bool kt_scram_is_verifier(struct kt_bytes text)
{
    struct parts parts;
    return split(text, &parts);
}

/* ---- computing ---- */

struct keys {
    unsigned char stored[HASH_BYTES], server[HASH_BYTES];
};

/* RFC 5802 3: SaltedPassword, ClientKey, StoredKey, ServerKey. password is writable only because
 * GnuTLS's datum is. */
static int compute_with(struct kt_buf *password, unsigned char salt[KT_SCRAM_SALT_BYTES],
                        unsigned iterations, struct keys *ret)
{
    unsigned char salted[HASH_BYTES], client[HASH_BYTES];
    gnutls_datum_t key = {password->at, (unsigned)password->len};
    gnutls_datum_t salt_datum = {salt, KT_SCRAM_SALT_BYTES};
    int rc = gnutls_pbkdf2(GNUTLS_MAC_SHA256, &key, &salt_datum, iterations, salted, sizeof salted);
    if (rc == 0)
        rc = gnutls_hmac_fast(GNUTLS_MAC_SHA256, salted, sizeof salted, "Client Key", 10, client);
    if (rc == 0)
        rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, client, sizeof client, ret->stored);
    if (rc == 0)
        rc = gnutls_hmac_fast(GNUTLS_MAC_SHA256, salted, sizeof salted, "Server Key", 10,
                              ret->server);
    sodium_memzero(salted, sizeof salted);
    sodium_memzero(client, sizeof client);
    return rc;
}

static enum kt_kind check_password(struct kt_bytes password, struct kt_err *err)
{
    bool printable = true;
    for (size_t i = 0; i < password.len; i++)
        printable &= password.at[i] >= ' ' && password.at[i] <= '~';
    if (password.len > 0 && password.len <= KT_SCRAM_PASSWORD_MAX && printable)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "the password is not 1..%u printable ASCII characters",
                  KT_SCRAM_PASSWORD_MAX);
    kt_hint(err, "generate it: clients prepare other characters differently, so that a login could "
                 "fail with the right password");
    return KT_INVALID;
}

static enum kt_kind compute(struct kt_bytes password, unsigned char salt[KT_SCRAM_SALT_BYTES],
                            unsigned iterations, struct keys *ret, struct kt_err *err)
{
    enum kt_kind kind = check_password(password, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf copy;
    kt_buf_init(&copy, KT_SCRAM_PASSWORD_MAX);
    kt_buf_add_bytes(&copy, password);
    if (!kt_buf_ok(&copy))
        return kt_fail(err, KT_NO_MEMORY, "computing a verifier");
    int rc = compute_with(&copy, salt, iterations, ret);
    if (rc != 0)
        return kt_fail(err, KT_INTERNAL, "computing a verifier: %s", gnutls_strerror(rc));
    return KT_OK;
}

static void write_verifier(const unsigned char salt[KT_SCRAM_SALT_BYTES], unsigned iterations,
                           const struct keys *keys, char ret[KT_SCRAM_VERIFIER_TEXT])
{
    char salt_text[SALT_BASE64 + 1], stored[HASH_BASE64 + 1], server[HASH_BASE64 + 1];
    (void)sodium_bin2base64(salt_text, sizeof salt_text, salt, KT_SCRAM_SALT_BYTES,
                            sodium_base64_VARIANT_ORIGINAL);
    (void)sodium_bin2base64(stored, sizeof stored, keys->stored, HASH_BYTES,
                            sodium_base64_VARIANT_ORIGINAL);
    (void)sodium_bin2base64(server, sizeof server, keys->server, HASH_BYTES,
                            sodium_base64_VARIANT_ORIGINAL);
    (void)snprintf(ret, KT_SCRAM_VERIFIER_TEXT, MECHANISM "%u:%s$%s:%s", iterations, salt_text,
                   stored, server);
}

enum kt_kind kt_scram_verifier(struct kt_bytes password,
                               const unsigned char salt[KT_SCRAM_SALT_BYTES], unsigned iterations,
                               char ret[KT_SCRAM_VERIFIER_TEXT], struct kt_err *err)
{
    unsigned char used[KT_SCRAM_SALT_BYTES];
    struct keys keys = {{0}, {0}};
    if (iterations < KT_SCRAM_ITERATIONS || iterations > ITERATIONS_MAX)
        return kt_fail(err, KT_INVALID, "the iterations of a verifier are %u..%u",
                       KT_SCRAM_ITERATIONS, ITERATIONS_MAX);
    if (salt == NULL)
        kt_random(used, sizeof used);
    else
        memcpy(used, salt, sizeof used);
    enum kt_kind kind = compute(password, used, iterations, &keys, err);
    if (kind == KT_OK)
        write_verifier(used, iterations, &keys, ret);
    sodium_memzero(&keys, sizeof keys);
    return kind;
}

enum kt_kind kt_scram_matches(struct kt_bytes verifier, struct kt_bytes password, bool *ret,
                              struct kt_err *err)
{
    struct parts parts;
    unsigned char salt[KT_SCRAM_SALT_BYTES];
    size_t len = 0;
    uint64_t iterations = 0;
    if (!split(verifier, &parts) || !kt_u64_parse(parts.iterations, ITERATIONS_MAX, &iterations) ||
        !kt_base64_decode(parts.salt, salt, sizeof salt, &len) || len != sizeof salt)
        return kt_fail(err, KT_INVALID, "this is not a SCRAM-SHA-256 verifier");
    struct keys keys = {{0}, {0}};
    enum kt_kind kind = compute(password, salt, (unsigned)iterations, &keys, err);
    if (kind == KT_OK) {
        char own[KT_SCRAM_VERIFIER_TEXT];
        write_verifier(salt, (unsigned)iterations, &keys, own);
        *ret = kt_secret_equal(kt_str(own), verifier);
    }
    sodium_memzero(&keys, sizeof keys);
    return kind;
}
