#include "vaultd/auth/jwt_keys.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include "lib/num.h"

#define COORDINATE_MAX 66u /* bytes of a coordinate of P-521 */

/* What each of them is to GnuTLS, and what key it wants. */
static const struct alg_row {
    gnutls_pk_algorithm_t key;
    gnutls_sign_algorithm_t sign;
    gnutls_digest_algorithm_t digest;
    gnutls_ecc_curve_t curve;
    unsigned half; /* ES: bytes of each of the two numbers that are the signature */
    bool pss;
} algs[JWT_ALG_COUNT] = {
    [JWT_RS256] = {GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_SHA256, GNUTLS_DIG_SHA256, GNUTLS_ECC_CURVE_INVALID, 0, false},
    [JWT_RS384] = {GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_SHA384, GNUTLS_DIG_SHA384, GNUTLS_ECC_CURVE_INVALID, 0, false},
    [JWT_RS512] = {GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_SHA512, GNUTLS_DIG_SHA512, GNUTLS_ECC_CURVE_INVALID, 0, false},
    [JWT_PS256] = {GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_PSS_SHA256, GNUTLS_DIG_SHA256, GNUTLS_ECC_CURVE_INVALID, 0, true},
    [JWT_PS384] = {GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_PSS_SHA384, GNUTLS_DIG_SHA384, GNUTLS_ECC_CURVE_INVALID, 0, true},
    [JWT_PS512] = {GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_PSS_SHA512, GNUTLS_DIG_SHA512, GNUTLS_ECC_CURVE_INVALID, 0, true},
    [JWT_ES256] = {GNUTLS_PK_ECDSA, GNUTLS_SIGN_ECDSA_SHA256, GNUTLS_DIG_SHA256, GNUTLS_ECC_CURVE_SECP256R1, 32, false},
    [JWT_ES384] = {GNUTLS_PK_ECDSA, GNUTLS_SIGN_ECDSA_SHA384, GNUTLS_DIG_SHA384, GNUTLS_ECC_CURVE_SECP384R1, 48, false},
    [JWT_ES512] = {GNUTLS_PK_ECDSA, GNUTLS_SIGN_ECDSA_SHA512, GNUTLS_DIG_SHA512, GNUTLS_ECC_CURVE_SECP521R1, 66, false},
    [JWT_EDDSA] = {GNUTLS_PK_EDDSA_ED25519, GNUTLS_SIGN_EDDSA_ED25519, GNUTLS_DIG_SHA512, GNUTLS_ECC_CURVE_ED25519, 0, false},
};

static void key_free(gnutls_pubkey_t *key)
{
    if (*key != NULL)
        gnutls_pubkey_deinit(*key);
}
#define AUTOKEY __attribute__((cleanup(key_free)))

static enum kt_kind no_memory(struct kt_err *err)
{
    return kt_fail(err, KT_NO_MEMORY, "looking at a key");
}

static gnutls_datum_t datum(struct kt_bytes bytes)
{
    union {
        const unsigned char *in;
        unsigned char *out;
    } at = {.in = bytes.at}; /* GnuTLS reads it only */
    return (gnutls_datum_t){at.out, (unsigned)bytes.len};
}

/* ---- what a key is good for ---- */

static bool curve_of(gnutls_pubkey_t key, gnutls_ecc_curve_t *ret)
{
    return gnutls_pubkey_export_ecc_raw2(key, ret, NULL, NULL, 0) == 0;
}

/* A larger exponent is nobody's, and costs who checks with it. */
static bool rsa_fits(gnutls_pubkey_t key, unsigned bits)
{
    gnutls_datum_t modulus = {NULL, 0}, exponent = {NULL, 0};
    if (bits < JWT_RSA_BITS_MIN || bits > JWT_RSA_BITS_MAX ||
        gnutls_pubkey_export_rsa_raw2(key, &modulus, &exponent, GNUTLS_EXPORT_FLAG_NO_LZ) != 0)
        return false;
    bool fits = exponent.size <= JWT_RSA_EXPONENT_MAX;
    gnutls_free(modulus.data);
    gnutls_free(exponent.data);
    return fits;
}

/* Bits of enum jwt_alg; 0: for nothing. */
static unsigned algs_of(gnutls_pubkey_t key)
{
    unsigned bits = 0, fit = 0;
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    int type = gnutls_pubkey_get_pk_algorithm(key, &bits);
    bool rsa = type == GNUTLS_PK_RSA;
    if (rsa ? !rsa_fits(key, bits) : !curve_of(key, &curve))
        return 0;
    for (unsigned alg = 0; alg < JWT_ALG_COUNT; alg++)
        if ((int)algs[alg].key == type && (rsa || algs[alg].curve == curve))
            fit |= JWT_ALG_BIT(alg);
    return fit;
}

/* ---- signatures ---- */

static struct kt_bytes without_zeros(struct kt_bytes number)
{
    while (number.len > 1 && number.at[0] == 0)
        number = kt_bytes(number.at + 1, number.len - 1);
    return number;
}

/* RFC 7518 has two numbers of one length where X.509 has a structure. */
static bool encode_halves(struct kt_bytes signature, unsigned half, gnutls_datum_t *ret)
{
    if (signature.len != (size_t)2 * half)
        return false;
    const gnutls_datum_t r = datum(without_zeros(kt_bytes(signature.at, half)));
    const gnutls_datum_t s = datum(without_zeros(kt_bytes(signature.at + half, half)));
    return gnutls_encode_rs_value(ret, &r, &s) == 0;
}

/* The key's own parameters: the salt is as long as the digest (RFC 7518 section 3.5). */
static bool set_pss(gnutls_pubkey_t key, gnutls_digest_algorithm_t digest)
{
    gnutls_x509_spki_t spki = NULL;
    if (gnutls_x509_spki_init(&spki) != 0)
        return false;
    gnutls_x509_spki_set_rsa_pss_params(spki, digest, gnutls_hash_get_len(digest));
    bool set = gnutls_pubkey_set_spki(key, spki, 0) == 0;
    gnutls_x509_spki_deinit(spki);
    return set;
}

/* KT_NOT_FOUND: the key is none for that. */
static enum kt_kind verify(gnutls_pubkey_t key, const struct jwt_text *token, struct kt_err *err)
{
    const struct alg_row *row = &algs[token->alg];
    const gnutls_datum_t input = datum(token->input);
    gnutls_datum_t signature = datum(token->signature), made = {NULL, 0};
    if ((algs_of(key) & JWT_ALG_BIT(token->alg)) == 0)
        return KT_NOT_FOUND;
    if (row->pss && !set_pss(key, row->digest))
        return no_memory(err);
    if (row->half != 0) {
        if (!encode_halves(token->signature, row->half, &made))
            return KT_INVALID;
        signature = made;
    }
    int rc = gnutls_pubkey_verify_data2(key, row->sign, 0, &input, &signature);
    gnutls_free(made.data);
    if (rc == GNUTLS_E_MEMORY_ERROR)
        return no_memory(err);
    return rc >= 0 ? KT_OK : KT_INVALID;
}

/* Of several keys: one that is right decides, else the most that was found out. */
static enum kt_kind decide(bool tried, struct kt_err *err)
{
    if (tried)
        return kt_fail(err, KT_INVALID, "the signature is not that of a known key");
    return kt_fail(err, KT_NOT_FOUND, "no known key fits the token");
}

/* ---- PEM ---- */

static enum kt_kind import_pem(struct kt_bytes pem, gnutls_pubkey_t *ret, struct kt_err *err)
{
    gnutls_x509_crt_t certificate = NULL;
    const gnutls_datum_t text = datum(pem);
    if (pem.len > JWT_PEM_MAX)
        return kt_fail(err, KT_INVALID, "a PEM key is longer than %u bytes", JWT_PEM_MAX);
    if (gnutls_pubkey_init(ret) != 0)
        return no_memory(err);
    int rc = gnutls_pubkey_import(*ret, &text, GNUTLS_X509_FMT_PEM);
    if (rc == 0 || rc == GNUTLS_E_MEMORY_ERROR)
        return rc == 0 ? KT_OK : no_memory(err);
    if (gnutls_x509_crt_init(&certificate) != 0)
        return no_memory(err);
    rc = gnutls_x509_crt_import(certificate, &text, GNUTLS_X509_FMT_PEM);
    if (rc == 0)
        rc = gnutls_pubkey_import_x509(*ret, certificate, 0);
    gnutls_x509_crt_deinit(certificate);
    if (rc == GNUTLS_E_MEMORY_ERROR)
        return no_memory(err);
    return rc == 0 ? KT_OK : kt_fail(err, KT_INVALID, "a PEM text holds no public key");
}

static enum kt_kind check_key(gnutls_pubkey_t key, struct kt_err *err)
{
    if (algs_of(key) == 0)
        return kt_fail(err, KT_INVALID,
                       "a key is none of RSA with %u to %u bits (and an exponent of at most %u), P-256, P-384, "
                       "P-521, Ed25519",
                       JWT_RSA_BITS_MIN, JWT_RSA_BITS_MAX, JWT_RSA_EXPONENT_MAX * 8);
    if (gnutls_pubkey_verify_params(key) != 0)
        return kt_fail(err, KT_INVALID, "a key's numbers are none of a key");
    return KT_OK;
}

enum kt_kind jwt_pem_check(struct kt_bytes pem, struct kt_err *err)
{
    AUTOKEY gnutls_pubkey_t key = NULL;
    enum kt_kind kind = import_pem(pem, &key, err);
    return kind == KT_OK ? check_key(key, err) : kind;
}

enum kt_kind jwt_pem_verify(struct kt_bytes pem, const struct jwt_text *token, struct kt_err *err)
{
    AUTOKEY gnutls_pubkey_t key = NULL;
    enum kt_kind kind = import_pem(pem, &key, err);
    if (kind == KT_OK)
        kind = verify(key, token, err);
    return kind == KT_INVALID || kind == KT_NOT_FOUND ? decide(kind == KT_INVALID, err) : kind;
}

/* ---- a set ---- */

static const struct kt_json_limits set_limits = {.bytes = JWT_SET_BYTES_MAX,
                                                 .depth = 16,
                                                 .nodes = 8192,
                                                 .keys = 64,
                                                 .string_bytes = JWT_SET_BYTES_MAX,
                                                 .number_bytes = 64};

static bool member_is(struct kt_json key, const char *name, const char *text)
{
    struct kt_json value = {0};
    return kt_json_member(key, name, &value) && kt_json_is(value, text);
}

/* False: absent, or something else than a number in base64url. */
static bool number_of(struct kt_json key, const char *name, unsigned char *out, size_t max,
                      struct kt_bytes *ret)
{
    struct kt_json value = {0};
    size_t len = 0;
    bool ok = kt_json_member(key, name, &value) && kt_json_type(value) == KT_JSON_STRING &&
              kt_base64url_decode(kt_bytes(value.at + 1, value.len - 2), out, max, &len) && len > 0;
    *ret = kt_bytes(out, len);
    return ok;
}

static int import_rsa(struct kt_json jwk, gnutls_pubkey_t key)
{
    unsigned char modulus[JWT_RSA_BITS_MAX / 8 + 1], exponent[JWT_RSA_EXPONENT_MAX];
    struct kt_bytes n = {0}, e = {0};
    if (!number_of(jwk, "n", modulus, sizeof modulus, &n) ||
        !number_of(jwk, "e", exponent, sizeof exponent, &e) || (e.at[e.len - 1] & 1) == 0 ||
        (without_zeros(e).len == 1 && e.at[e.len - 1] < 3))
        return GNUTLS_E_PARSING_ERROR;
    const gnutls_datum_t m = datum(n), x = datum(e);
    return gnutls_pubkey_import_rsa_raw(key, &m, &x);
}

static const struct curve_row {
    const char *kty, *crv;
    gnutls_ecc_curve_t curve;
    unsigned bytes;
} curves[] = {
    {"EC", "P-256", GNUTLS_ECC_CURVE_SECP256R1, 32},
    {"EC", "P-384", GNUTLS_ECC_CURVE_SECP384R1, 48},
    {"EC", "P-521", GNUTLS_ECC_CURVE_SECP521R1, 66},
    {"OKP", "Ed25519", GNUTLS_ECC_CURVE_ED25519, 32},
};

static int import_curve(struct kt_json jwk, const struct curve_row *row, gnutls_pubkey_t key)
{
    unsigned char at_x[COORDINATE_MAX], at_y[COORDINATE_MAX];
    struct kt_bytes x = {0}, y = {0};
    bool point = row->curve != GNUTLS_ECC_CURVE_ED25519;
    if (!number_of(jwk, "x", at_x, sizeof at_x, &x) || x.len != row->bytes ||
        (point && (!number_of(jwk, "y", at_y, sizeof at_y, &y) || y.len != row->bytes)))
        return GNUTLS_E_PARSING_ERROR;
    const gnutls_datum_t dx = datum(x), dy = datum(y);
    return gnutls_pubkey_import_ecc_raw(key, row->curve, &dx, point ? &dy : NULL);
}

static int import_jwk(struct kt_json jwk, gnutls_pubkey_t key)
{
    if (member_is(jwk, "kty", "RSA"))
        return import_rsa(jwk, key);
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (member_is(jwk, "kty", curves[i].kty) && member_is(jwk, "crv", curves[i].crv))
            return import_curve(jwk, &curves[i], key);
    return GNUTLS_E_PARSING_ERROR;
}

/* RFC 7517: "use" and "key_ops" say what a key is for; both may be absent. */
static bool is_for_signatures(struct kt_json jwk)
{
    struct kt_json value = {0};
    if (kt_json_member(jwk, "use", &value) && !kt_json_is(value, "sig"))
        return false;
    if (!kt_json_member(jwk, "key_ops", &value))
        return true;
    struct kt_json_iter it = kt_json_iter(value);
    while (kt_json_next(&it))
        if (kt_json_is(it.value, "verify"))
            return true;
    return false;
}

/* KT_NOT_FOUND without a text: it is none that is taken. */
static enum kt_kind import(struct kt_json jwk, gnutls_pubkey_t *ret, struct kt_err *err)
{
    if (kt_json_type(jwk) != KT_JSON_OBJECT || !is_for_signatures(jwk))
        return KT_NOT_FOUND;
    if (gnutls_pubkey_init(ret) != 0)
        return no_memory(err);
    int rc = import_jwk(jwk, *ret);
    if (rc == GNUTLS_E_MEMORY_ERROR)
        return no_memory(err);
    return rc == 0 && algs_of(*ret) != 0 ? KT_OK : KT_NOT_FOUND;
}

/* "alg" narrows; one that is none of ours leaves nothing. */
static bool alg_fits(struct kt_json jwk, enum jwt_alg alg)
{
    struct kt_json value = {0};
    return !kt_json_member(jwk, "alg", &value) || kt_json_is(value, jwt_alg_text(alg));
}

static bool some_alg_fits(struct kt_json jwk)
{
    for (unsigned alg = 0; alg < JWT_ALG_COUNT; alg++)
        if (alg_fits(jwk, (enum jwt_alg)alg))
            return true;
    return false;
}

static bool set_keys(struct kt_bytes set, struct kt_json *ret)
{
    return kt_json_member(kt_json_value(set), "keys", ret) && kt_json_type(*ret) == KT_JSON_ARRAY;
}

/* "k" is a secret of both sides; the others are what only the signer has. */
static bool is_private(struct kt_json jwk)
{
    static const char *const parts[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
    struct kt_json value = {0};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (kt_json_member(jwk, parts[i], &value))
            return true;
    return false;
}

static enum kt_kind check_jwk(struct kt_json jwk, unsigned *taken, struct kt_err *err)
{
    AUTOKEY gnutls_pubkey_t key = NULL;
    if (is_private(jwk))
        return kt_fail(err, KT_INVALID, "the key set holds a private key");
    enum kt_kind kind = import(jwk, &key, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && !some_alg_fits(jwk)))
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    *taken += 1;
    return check_key(key, err);
}

enum kt_kind jwt_set_check(struct kt_bytes set, struct kt_err *err)
{
    struct kt_json_fault fault = {0};
    struct kt_json keys = {0};
    unsigned taken = 0;
    enum kt_kind kind = kt_json_find_fault(set, &set_limits, &fault);
    if (kind == KT_NO_MEMORY)
        return no_memory(err);
    if (kind != KT_OK)
        return kt_fail(err, KT_INVALID, "the key set: %s", fault.problem);
    if (!set_keys(set, &keys))
        return kt_fail(err, KT_INVALID, "the key set has no list of \"keys\"");
    if (kt_json_count(keys) > JWT_SET_KEYS_MAX)
        return kt_fail(err, KT_INVALID, "the key set has more than %u keys", JWT_SET_KEYS_MAX);
    struct kt_json_iter it = kt_json_iter(keys);
    while (kind == KT_OK && kt_json_next(&it))
        kind = check_jwk(it.value, &taken, err);
    if (kind == KT_OK && taken == 0)
        return kt_fail(err, KT_INVALID, "the key set has no key for signatures that are taken");
    return kind;
}

/* A key without a name is nobody's where the token names one. */
static bool is_named(struct kt_json jwk, const char *kid)
{
    return kid == NULL || member_is(jwk, "kid", kid);
}

enum kt_kind jwt_set_verify(struct kt_bytes set, const struct jwt_text *token, struct kt_err *err)
{
    struct kt_json keys = {0};
    unsigned tried = 0;
    if (!set_keys(set, &keys))
        return decide(false, err);
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it)) {
        AUTOKEY gnutls_pubkey_t key = NULL;
        if (!is_named(it.value, token->kid) || !alg_fits(it.value, token->alg))
            continue;
        enum kt_kind kind = import(it.value, &key, err);
        if (kind == KT_OK && tried == JWT_TRIES_MAX)
            return kt_fail(err, KT_INVALID, "too many known keys would have to be tried: the token names none");
        if (kind == KT_OK)
            kind = verify(key, token, err);
        tried += kind == KT_INVALID;
        if (kind != KT_INVALID && kind != KT_NOT_FOUND)
            return kind;
    }
    return decide(tried > 0, err);
}
