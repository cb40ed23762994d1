#include "tests/support/jwt_signer.h"

#include <gnutls/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static const struct kind {
    const char *alg;
    gnutls_pk_algorithm_t key;
    gnutls_sign_algorithm_t sign;
    gnutls_ecc_curve_t curve;
    const char *kty, *crv;
    unsigned half;
} kinds[] = {
    {"RS256", GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_SHA256, GNUTLS_ECC_CURVE_INVALID, "RSA", NULL, 0},
    {"RS384", GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_SHA384, GNUTLS_ECC_CURVE_INVALID, "RSA", NULL, 0},
    {"RS512", GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_SHA512, GNUTLS_ECC_CURVE_INVALID, "RSA", NULL, 0},
    {"PS256", GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_PSS_SHA256, GNUTLS_ECC_CURVE_INVALID, "RSA", NULL, 0},
    {"PS384", GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_PSS_SHA384, GNUTLS_ECC_CURVE_INVALID, "RSA", NULL, 0},
    {"PS512", GNUTLS_PK_RSA, GNUTLS_SIGN_RSA_PSS_SHA512, GNUTLS_ECC_CURVE_INVALID, "RSA", NULL, 0},
    {"ES256", GNUTLS_PK_ECDSA, GNUTLS_SIGN_ECDSA_SHA256, GNUTLS_ECC_CURVE_SECP256R1, "EC", "P-256", 32},
    {"ES384", GNUTLS_PK_ECDSA, GNUTLS_SIGN_ECDSA_SHA384, GNUTLS_ECC_CURVE_SECP384R1, "EC", "P-384", 48},
    {"ES512", GNUTLS_PK_ECDSA, GNUTLS_SIGN_ECDSA_SHA512, GNUTLS_ECC_CURVE_SECP521R1, "EC", "P-521", 66},
    {"EdDSA", GNUTLS_PK_EDDSA_ED25519, GNUTLS_SIGN_EDDSA_ED25519, GNUTLS_ECC_CURVE_ED25519, "OKP", "Ed25519", 0},
};

static void must(bool done, const char *what)
{
    if (done)
        return;
    (void)fprintf(stderr, "jwt_signer: %s\n", what);
    abort();
}

static const struct kind *kind_of(const char *alg)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].alg, alg) == 0)
            return &kinds[i];
    must(false, "no such alg");
    return NULL;
}

/* ---- texts ---- */

static void add_encoded(char *out, size_t size, struct kt_bytes bytes)
{
    size_t len = strlen(out);
    must(sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING) <= size - len, "too long");
    (void)sodium_bin2base64(out + len, size - len, bytes.at, bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static void add_text(char *out, size_t size, const char *text)
{
    size_t len = strlen(out);
    must(strlen(text) < size - len, "too long");
    memcpy(out + len, text, strlen(text) + 1);
}

/* A number of the key; ECDSA's in the full length, zeros in front. */
static void add_number(struct jwt_signer *signer, const char *name, gnutls_datum_t number, unsigned bytes)
{
    unsigned char full[1024] = {0};
    size_t skip = 0;
    while (number.size - skip > (bytes == 0 ? 1 : bytes) && number.data[skip] == 0)
        skip++;
    size_t len = number.size - skip, room = bytes == 0 ? len : bytes;
    memcpy(full + (room - len), number.data + skip, len);
    add_text(signer->jwk, sizeof signer->jwk, ",\"");
    add_text(signer->jwk, sizeof signer->jwk, name);
    add_text(signer->jwk, sizeof signer->jwk, "\":\"");
    add_encoded(signer->jwk, sizeof signer->jwk, kt_bytes(full, room));
    add_text(signer->jwk, sizeof signer->jwk, "\"");
    gnutls_free(number.data);
}

static void write_jwk(struct jwt_signer *signer, const struct kind *kind, gnutls_pubkey_t key)
{
    gnutls_datum_t a = {NULL, 0}, b = {NULL, 0};
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    (void)snprintf(signer->jwk, sizeof signer->jwk, "{\"kty\":\"%s\"", kind->kty);
    if (kind->crv == NULL) {
        must(gnutls_pubkey_export_rsa_raw(key, &a, &b) == 0, "exporting");
        add_number(signer, "n", a, 0);
        add_number(signer, "e", b, 0);
        return;
    }
    add_text(signer->jwk, sizeof signer->jwk, ",\"crv\":\"");
    add_text(signer->jwk, sizeof signer->jwk, kind->crv);
    add_text(signer->jwk, sizeof signer->jwk, "\"");
    must(gnutls_pubkey_export_ecc_raw(key, &curve, &a, kind->half == 0 ? NULL : &b) == 0, "exporting");
    add_number(signer, "x", a, kind->half == 0 ? 32 : kind->half);
    if (kind->half != 0)
        add_number(signer, "y", b, kind->half);
}

/* ---- keys ---- */

void jwt_signer_init(struct jwt_signer *signer, const char *alg, unsigned bits)
{
    const struct kind *kind = kind_of(alg);
    gnutls_pubkey_t key = NULL;
    size_t size = sizeof signer->pem - 1;
    memset(signer, 0, sizeof *signer);
    signer->alg = alg;
    if (bits == 0)
        bits = kind->curve == GNUTLS_ECC_CURVE_INVALID ? 2048 : (unsigned)GNUTLS_CURVE_TO_BITS(kind->curve);
    must(gnutls_privkey_init(&signer->key) == 0 &&
             gnutls_privkey_generate(signer->key, kind->key, bits, 0) == 0 &&
             gnutls_pubkey_init(&key) == 0 && gnutls_pubkey_import_privkey(key, signer->key, 0, 0) == 0 &&
             gnutls_pubkey_export(key, GNUTLS_X509_FMT_PEM, signer->pem, &size) == 0,
         "making a key");
    write_jwk(signer, kind, key);
    gnutls_pubkey_deinit(key);
}

void jwt_signer_free(struct jwt_signer *signer)
{
    gnutls_privkey_deinit(signer->key);
    signer->key = NULL;
}

void jwt_signer_as(struct jwt_signer *signer, const char *alg)
{
    signer->alg = alg;
}

/* ---- tokens ---- */

const char *jwt_join(struct jwt_signer *signer, const char *header, const char *claims,
                     struct kt_bytes signature)
{
    signer->token[0] = '\0';
    add_encoded(signer->token, sizeof signer->token, kt_str(header));
    add_text(signer->token, sizeof signer->token, ".");
    add_encoded(signer->token, sizeof signer->token, kt_str(claims));
    add_text(signer->token, sizeof signer->token, ".");
    add_encoded(signer->token, sizeof signer->token, signature);
    return signer->token;
}

/* The two numbers of a DER signature, one behind the other, each `half` bytes. */
static void split_numbers(const gnutls_datum_t *der, unsigned half, unsigned char out[2 * 66])
{
    gnutls_datum_t parts[2] = {{NULL, 0}, {NULL, 0}};
    must(gnutls_decode_rs_value(der, &parts[0], &parts[1]) == 0, "decoding a signature");
    memset(out, 0, (size_t)2 * half);
    for (unsigned i = 0; i < 2; i++) {
        unsigned skip = parts[i].size > half ? parts[i].size - half : 0;
        unsigned len = parts[i].size - skip;
        memcpy(out + (size_t)i * half + (half - len), parts[i].data + skip, len);
        gnutls_free(parts[i].data);
    }
}

const char *jwt_sign(struct jwt_signer *signer, const char *header, const char *claims)
{
    const struct kind *kind = kind_of(signer->alg);
    char usual[64];
    unsigned char halves[2 * 66];
    gnutls_datum_t signature = {NULL, 0};
    (void)snprintf(usual, sizeof usual, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", signer->alg);
    header = header == NULL ? usual : header;
    (void)jwt_join(signer, header, claims, kt_bytes(NULL, 0));
    const gnutls_datum_t input = {(unsigned char *)signer->token, (unsigned)strlen(signer->token) - 1};
    must(gnutls_privkey_sign_data2(signer->key, kind->sign, 0, &input, &signature) == 0, "signing");
    struct kt_bytes bytes = kt_bytes(signature.data, signature.size);
    if (kind->half != 0) {
        split_numbers(&signature, kind->half, halves);
        bytes = kt_bytes(halves, (size_t)2 * kind->half);
    }
    add_encoded(signer->token, sizeof signer->token, bytes);
    gnutls_free(signature.data);
    return signer->token;
}
