#include "lib/tls_key.h"
#include "lib/x509_own.h"

/* A request of somebody else's: its key, and the proof that he has it. */

#define RSA_LEAST      2048u
#define EXPONENT_BYTES 5u /* with the zero that GnuTLS may put in front: below 2^40 */

static void crq_drop(gnutls_x509_crq_t *crq)
{
    if (*crq != NULL)
        gnutls_x509_crq_deinit(*crq);
}

/* What a check of its signature costs is bounded by the key's size, which the one who asks chose. */
static enum kt_kind check_request_key(gnutls_x509_crq_t crq, struct kt_err *err)
{
    unsigned bits = 0;
    int algorithm = gnutls_x509_crq_get_pk_algorithm(crq, &bits);
    KT_AUTO(kt_x509_datum_drop) gnutls_datum_t modulus = {0};
    KT_AUTO(kt_x509_datum_drop) gnutls_datum_t exponent = {0};
    if (algorithm == GNUTLS_PK_ECDSA && bits >= 256)
        return KT_OK;
    if (algorithm == GNUTLS_PK_EDDSA_ED25519)
        return KT_OK;
    if (algorithm != GNUTLS_PK_RSA || bits < RSA_LEAST || bits > KT_TLS_RSA_BITS_MAX ||
        gnutls_x509_crq_get_key_rsa_raw(crq, &modulus, &exponent) != 0 || exponent.size > EXPONENT_BYTES) {
        (void)kt_fail(err, KT_INVALID, "request: its key is none that is signed for");
        kt_hint(err, "ECDSA from P-256 on, Ed25519, or RSA of %u to %u bits", RSA_LEAST, KT_TLS_RSA_BITS_MAX);
        return KT_INVALID;
    }
    return KT_OK;
}

enum kt_kind kt_x509_request_read(struct kt_bytes pem, gnutls_pubkey_t *ret, struct kt_err *err)
{
    KT_AUTO(crq_drop) gnutls_x509_crq_t crq = NULL;
    gnutls_datum_t datum = kt_x509_datum_of(pem);
    if (pem.len > KT_X509_PEM_MAX)
        return kt_fail(err, KT_INVALID, "request: longer than %u bytes", KT_X509_PEM_MAX);
    int code = gnutls_x509_crq_init(&crq);
    if (code == 0)
        code = gnutls_x509_crq_import(crq, &datum, GNUTLS_X509_FMT_PEM);
    if (code != 0)
        return kt_x509_refuse(code, "request: it cannot be read", err);
    enum kt_kind kind = check_request_key(crq, err);
    if (kind != KT_OK)
        return kind;
    code = gnutls_x509_crq_verify(crq, 0);
    if (code < 0)
        return kt_x509_refuse(code, "request: its signature does not show that who asks has the key", err);
    code = gnutls_pubkey_init(ret);
    if (code == 0)
        code = gnutls_pubkey_import_x509_crq(*ret, crq, 0);
    return code == 0 ? KT_OK : kt_x509_refuse(code, "request: its key cannot be read", err);
}

enum kt_kind kt_x509_request_check(struct kt_bytes pem, struct kt_err *err)
{
    KT_AUTO(pubkey_drop) gnutls_pubkey_t key = NULL;
    return kt_x509_request_read(pem, &key, err);
}

