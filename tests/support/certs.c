#include "tests/support/certs.h"

#include <gnutls/abstract.h>
#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct test_cert {
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
    gnutls_datum_t der;
    char *pem;
};

static void must(int code, const char *what)
{
    if (code >= 0)
        return;
    (void)fprintf(stderr, "test certificate: %s: %s\n", what, gnutls_strerror(code));
    abort();
}

static void make_key(struct test_cert *cert, const struct test_cert_wish *wish)
{
    must(gnutls_x509_privkey_init(&cert->key), "key");
    if (wish->key_of != NULL)
        must(gnutls_x509_privkey_cpy(cert->key, wish->key_of->key), "same key");
    else if (wish->rsa_1024)
        must(gnutls_x509_privkey_generate(cert->key, GNUTLS_PK_RSA, 1024, 0), "RSA");
    else
        must(gnutls_x509_privkey_generate(cert->key, GNUTLS_PK_ECDSA,
                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
             "ECDSA");
}

/* No product of primes: it is only shown. */
static void show_key(gnutls_x509_crt_t crt, const struct test_cert_wish *wish)
{
    unsigned char modulus[4096], exponent[16];
    gnutls_pubkey_t key = NULL;
    gnutls_datum_t n = {modulus, wish->rsa_bits / 8}, e = {exponent, wish->rsa_exponent};
    if (e.size == 0)
        e.size = 3;
    if (n.size > sizeof modulus || e.size > sizeof exponent)
        abort();
    memset(modulus, 0xa5, n.size);
    memset(exponent, 0x01, e.size);
    must(gnutls_pubkey_init(&key), "public key");
    must(gnutls_pubkey_import_rsa_raw(key, &n, &e), "public key");
    must(gnutls_x509_crt_set_pubkey(crt, key), "public key");
    gnutls_pubkey_deinit(key);
}

static void add_san(gnutls_x509_crt_t crt, gnutls_x509_subject_alt_name_t type, const char *text)
{
    if (text != NULL)
        must(gnutls_x509_crt_set_subject_alt_name(crt, type, text, (unsigned)strlen(text), GNUTLS_FSAN_APPEND),
             "alternative name");
}

static void add_extension(gnutls_x509_crt_t crt, const struct test_cert_wish *wish)
{
    unsigned char value[130];
    size_t len = strlen(wish->oid_text);
    value[0] = 0x0c;
    value[1] = (unsigned char)len; /* short texts only */
    memcpy(value + 2, wish->oid_text, len);
    must(gnutls_x509_crt_set_extension_by_oid(crt, wish->oid, value, len + 2, wish->oid_critical), "extension");
}

static void fill(struct test_cert *cert, const struct test_cert_wish *wish)
{
    gnutls_x509_crt_t crt = cert->crt;
    const char *bad = NULL;
    unsigned char serial[5] = {1, (unsigned char)(wish->serial >> 24), (unsigned char)(wish->serial >> 16),
                               (unsigned char)(wish->serial >> 8), (unsigned char)wish->serial};
    must(gnutls_x509_crt_set_version(crt, 3), "version");
    must(gnutls_x509_crt_set_serial(crt, serial, sizeof serial), "serial");
    must(gnutls_x509_crt_set_activation_time(crt, (time_t)(wish->from_ms / 1000)), "from");
    must(gnutls_x509_crt_set_expiration_time(crt, (time_t)(wish->until_ms / 1000)), "until");
    if (wish->dn != NULL)
        must(gnutls_x509_crt_set_dn(crt, wish->dn, &bad), "name");
    if (wish->rsa_bits != 0)
        show_key(crt, wish);
    else
        must(gnutls_x509_crt_set_key(crt, cert->key), "public key");
    must(gnutls_x509_crt_set_basic_constraints(crt, wish->ca, wish->path_len > 0 ? wish->path_len - 1 : -1),
         "constraints");
    add_san(crt, GNUTLS_SAN_DNSNAME, wish->dns);
    add_san(crt, GNUTLS_SAN_RFC822NAME, wish->email);
    add_san(crt, GNUTLS_SAN_URI, wish->uri);
    unsigned usage = wish->usage != 0 ? wish->usage
                     : wish->ca       ? GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN
                                      : 0;
    if (usage != 0)
        must(gnutls_x509_crt_set_key_usage(crt, usage), "usage");
    if (!wish->ca && !wish->no_purpose)
        must(gnutls_x509_crt_set_key_purpose_oid(
                 crt, wish->for_servers ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0),
             "purpose");
    if (wish->oid != NULL)
        add_extension(crt, wish);
}

static void add_key_ids(struct test_cert *cert, const struct test_cert *issuer)
{
    unsigned char id[64];
    size_t len = sizeof id;
    must(gnutls_x509_crt_get_key_id(cert->crt, 0, id, &len), "key id");
    must(gnutls_x509_crt_set_subject_key_id(cert->crt, id, len), "key id");
    len = sizeof id;
    must(gnutls_x509_crt_get_key_id(issuer->crt, 0, id, &len), "key id");
    must(gnutls_x509_crt_set_authority_key_id(cert->crt, id, len), "key id");
}

/* As the inside of a JSON string. */
static char *escaped(const gnutls_datum_t *pem)
{
    char *out = calloc(1, (size_t)pem->size * 2 + 1), *to = out;
    for (unsigned i = 0; out != NULL && i < pem->size; i++) {
        if (pem->data[i] == '\n')
            *to++ = '\\';
        *to++ = pem->data[i] == '\n' ? 'n' : (char)pem->data[i];
    }
    if (out == NULL)
        abort();
    return out;
}

struct test_cert *test_cert_make(const struct test_cert_wish *wish)
{
    struct test_cert *cert = calloc(1, sizeof *cert);
    gnutls_datum_t pem = {0};
    if (cert == NULL)
        abort();
    const struct test_cert *issuer = wish->issuer != NULL ? wish->issuer : cert;
    make_key(cert, wish);
    must(gnutls_x509_crt_init(&cert->crt), "certificate");
    fill(cert, wish);
    add_key_ids(cert, issuer);
    must(gnutls_x509_crt_sign2(cert->crt, issuer->crt, issuer->key,
                               wish->sha1 ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256, 0),
         "signing");
    must(gnutls_x509_crt_export2(cert->crt, GNUTLS_X509_FMT_DER, &cert->der), "DER");
    must(gnutls_x509_crt_export2(cert->crt, GNUTLS_X509_FMT_PEM, &pem), "PEM");
    cert->pem = escaped(&pem);
    gnutls_free(pem.data);
    return cert;
}

void test_cert_free(struct test_cert *cert)
{
    if (cert == NULL)
        return;
    gnutls_x509_crt_deinit(cert->crt);
    gnutls_x509_privkey_deinit(cert->key);
    gnutls_free(cert->der.data);
    free(cert->pem);
    free(cert);
}

struct kt_bytes test_cert_der(const struct test_cert *cert)
{
    return kt_bytes(cert->der.data, cert->der.size);
}

const char *test_cert_pem(struct test_cert *cert)
{
    return cert->pem;
}

char *test_crl_make(const struct test_crl_wish *wish)
{
    gnutls_x509_crl_t crl = NULL;
    gnutls_datum_t pem = {0};
    const struct test_cert *signer = wish->signer != NULL ? wish->signer : wish->issuer;
    unsigned char number[1] = {(unsigned char)(wish->number + 1)};
    must(gnutls_x509_crl_init(&crl), "CRL");
    must(gnutls_x509_crl_set_version(crl, 2), "CRL");
    must(gnutls_x509_crl_set_this_update(crl, (time_t)(wish->from_ms / 1000)), "CRL");
    must(gnutls_x509_crl_set_next_update(crl, (time_t)(wish->until_ms / 1000)), "CRL");
    must(gnutls_x509_crl_set_number(crl, number, sizeof number), "CRL");
    for (size_t i = 0; i < wish->n; i++) {
        unsigned s = wish->serials[i];
        unsigned char serial[5] = {1, (unsigned char)(s >> 24), (unsigned char)(s >> 16), (unsigned char)(s >> 8),
                                   (unsigned char)s};
        must(gnutls_x509_crl_set_crt_serial(crl, serial, sizeof serial, (time_t)(wish->from_ms / 1000)), "CRL");
    }
    must(gnutls_x509_crl_sign2(crl, wish->issuer->crt, signer->key, GNUTLS_DIG_SHA256, 0), "signing a CRL");
    must(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem), "CRL");
    char *text = escaped(&pem);
    gnutls_free(pem.data);
    gnutls_x509_crl_deinit(crl);
    return text;
}
