#include "lib/x509_own.h"

/* Lists of what an issuer no longer stands for. */

/* GnuTLS asks its own clock in spite of the flag; the times are the caller's. */
#define TIMES ((unsigned)GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED | (unsigned)GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE)

static void crl_drop(gnutls_x509_crl_t *crl)
{
    if (*crl != NULL)
        gnutls_x509_crl_deinit(*crl);
}

static int fill(const struct kt_x509_crl_wish *wish, const struct kt_x509_issuer *issuer, gnutls_x509_crl_t crl)
{
    unsigned char number[8], id[KEY_ID_MAX];
    size_t len = 0;
    for (unsigned i = 0; i < sizeof number; i++)
        number[i] = (unsigned char)(wish->number >> (8 * (7 - i)));
    int code = gnutls_x509_crl_set_version(crl, 2);
    if (code == 0)
        code = gnutls_x509_crl_set_this_update(crl, (time_t)(wish->now_ms / 1000));
    if (code == 0)
        code = gnutls_x509_crl_set_next_update(crl, (time_t)(wish->now_ms / 1000 + wish->life_s));
    if (code == 0)
        code = gnutls_x509_crl_set_number(crl, number, sizeof number);
    if (code == 0)
        code = kt_x509_key_id_of(issuer, id, &len);
    if (code == 0)
        code = gnutls_x509_crl_set_authority_key_id(crl, id, len);
    for (size_t i = 0; i < wish->n && code == 0; i++)
        code = gnutls_x509_crl_set_crt_serial(crl, wish->at[i].serial, wish->at[i].serial_len,
                                              (time_t)(wish->at[i].revoked_ms / 1000));
    return code;
}

static enum kt_kind failed(int code, struct kt_err *err)
{
    return kt_x509_refuse(code, "making a revocation list", err);
}

/* As many entries as were meant, and the issuer's signature: a list that lacks some accepts what is revoked,
 * one whose signature is not right has everybody refused. */
static enum kt_kind check(const gnutls_datum_t *pem, const struct kt_x509_crl_wish *wish,
                          const struct kt_x509_issuer *issuer, struct kt_err *err)
{
    KT_AUTO(crl_drop) gnutls_x509_crl_t crl = NULL;
    unsigned status = 0;
    int code = gnutls_x509_crl_init(&crl);
    if (code == 0)
        code = gnutls_x509_crl_import(crl, pem, GNUTLS_X509_FMT_PEM);
    if (code == 0)
        code = gnutls_x509_crl_verify(crl, &issuer->crt, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status);
    if (code != 0)
        return failed(code, err);
    int n = gnutls_x509_crl_get_crt_count(crl);
    if ((status & TIMES) != 0)
        status &= ~(TIMES | GNUTLS_CERT_INVALID);
    if (status == 0 && n >= 0 && (size_t)n == wish->n)
        return KT_OK;
    return kt_fail(err, KT_INVALID, "the revocation list that was made does not pass its own test%s",
                   status == 0 ? "" : ": may its issuer sign lists?");
}

enum kt_kind kt_x509_crl_make(const struct kt_x509_crl_wish *wish, const struct kt_x509_issuer *issuer,
                              struct kt_buf *out, struct kt_err *err)
{
    KT_AUTO(crl_drop) gnutls_x509_crl_t crl = NULL;
    KT_AUTO(kt_x509_datum_drop) gnutls_datum_t pem = {0};
    int code = gnutls_x509_crl_init(&crl);
    if (code == 0)
        code = fill(wish, issuer, crl);
    if (code == 0)
        code = gnutls_x509_crl_privkey_sign(crl, issuer->crt, issuer->key, kt_x509_digest_for(issuer->crt, NULL), 0);
    if (code == 0)
        code = gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem);
    if (code != 0)
        return failed(code, err);
    enum kt_kind kind = check(&pem, wish, issuer, err);
    if (kind != KT_OK)
        return kind;
    kt_buf_add(out, pem.data, pem.size);
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "making a revocation list");
}
