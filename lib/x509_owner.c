#include <sodium.h>

#include "lib/x509_own.h"

/* Whose a certificate is: of who has its key; and who signed it. */

static enum kt_kind read_crt(struct kt_bytes pem, gnutls_x509_crt_t *ret, struct kt_err *err)
{
    gnutls_datum_t datum = kt_x509_datum_of(pem);
    if (pem.len > KT_X509_PEM_MAX)
        return kt_fail(err, KT_INVALID, "the certificate is longer than %u bytes", KT_X509_PEM_MAX);
    int code = gnutls_x509_crt_init(ret);
    if (code == 0)
        code = gnutls_x509_crt_import(*ret, &datum, GNUTLS_X509_FMT_PEM);
    return code == 0 ? KT_OK : kt_x509_refuse(code, "reading the certificate", err);
}

static enum kt_kind read_public(struct kt_bytes key, gnutls_pubkey_t *ret, struct kt_err *err)
{
    KT_AUTO(key_drop) gnutls_privkey_t private_key = NULL;
    enum kt_kind kind = kt_x509_key_read(key, &private_key, "reading the private_key", err);
    if (kind != KT_OK)
        return kind;
    int code = gnutls_pubkey_init(ret);
    if (code == 0)
        code = gnutls_pubkey_import_privkey(*ret, private_key, 0, 0);
    return code == 0 ? KT_OK : kt_x509_refuse(code, "reading the private_key", err);
}

enum kt_kind kt_x509_of_key(struct kt_bytes certificate, struct kt_bytes key, struct kt_err *err)
{
    KT_AUTO(pubkey_drop) gnutls_pubkey_t mine = NULL;
    KT_AUTO(crt_drop) gnutls_x509_crt_t crt = NULL;
    int code = 0;
    if (key.len > KT_X509_PEM_MAX)
        return kt_fail(err, KT_INVALID, "the key is longer than %u bytes", KT_X509_PEM_MAX);
    enum kt_kind kind = read_crt(certificate, &crt, err);
    if (kind == KT_OK)
        kind = read_public(key, &mine, err);
    if (kind != KT_OK)
        return kind;
    bool same = kt_x509_same_key(mine, crt, &code);
    if (code != 0)
        return kt_x509_refuse(code, "reading the certificate", err);
    return same ? KT_OK : kt_fail(err, KT_INVALID, "the key beside the certificate is not its own");
}

enum kt_kind kt_x509_serial_of(struct kt_bytes certificate, struct kt_x509_revoked *ret, int64_t *ret_until_ms,
                               struct kt_err *err)
{
    KT_AUTO(crt_drop) gnutls_x509_crt_t crt = NULL;
    size_t len = sizeof ret->serial;
    enum kt_kind kind = read_crt(certificate, &crt, err);
    if (kind != KT_OK)
        return kind;
    int code = gnutls_x509_crt_get_serial(crt, ret->serial, &len);
    if (code != 0)
        return kt_x509_refuse(code, "reading the certificate", err);
    ret->serial_len = (unsigned)len;
    *ret_until_ms = (int64_t)gnutls_x509_crt_get_expiration_time(crt) * 1000;
    return KT_OK;
}

void kt_x509_serial_text(const struct kt_x509_revoked *revoked, char ret[KT_X509_SERIAL_TEXT])
{
    (void)sodium_bin2hex(ret, KT_X509_SERIAL_TEXT, revoked->serial, revoked->serial_len);
}

enum kt_kind kt_x509_signed_by(struct kt_bytes certificate, struct kt_bytes issuer, bool *ret, struct kt_err *err)
{
    KT_AUTO(crt_drop) gnutls_x509_crt_t crt = NULL;
    KT_AUTO(crt_drop) gnutls_x509_crt_t by = NULL;
    unsigned status = 0;
    *ret = false;
    enum kt_kind kind = read_crt(certificate, &crt, err);
    if (kind == KT_OK)
        kind = read_crt(issuer, &by, err);
    if (kind != KT_OK || gnutls_x509_crt_check_issuer(crt, by) == 0)
        return kind;
    int code = gnutls_x509_crt_verify(crt, &by, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status);
    if (code != 0)
        return kt_x509_refuse(code, "verifying who signed the certificate", err);
    *ret = status == 0;
    return KT_OK;
}
