#include "lib/tls_cert.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

#include "lib/num.h"
#include "lib/x509_own.h"

static enum kt_kind describe(gnutls_x509_crt_t crt, struct kt_tls_cert *ret, struct kt_err *err)
{
    unsigned char serial[64];
    size_t serial_len = sizeof serial;
    gnutls_datum_t der = {NULL, 0};
    time_t until = gnutls_x509_crt_get_expiration_time(crt);
    if (gnutls_x509_crt_get_serial(crt, serial, &serial_len) < 0 || serial_len > (KT_TLS_CERT_SERIAL - 1) / 2 ||
        until == (time_t)-1)
        return kt_fail(err, KT_INVALID, "a certificate's serial number or its end cannot be read");
    if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der) < 0)
        return kt_fail(err, KT_NO_MEMORY, "reading a certificate");
    bool hashed = gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, ret->hash) == 0;
    gnutls_free(der.data);
    kt_hex_encode(serial, serial_len, ret->serial);
    ret->until_ms = (int64_t)until * 1000;
    return hashed ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading a certificate");
}

static enum kt_kind import(struct kt_bytes bytes, gnutls_x509_crt_fmt_t form, struct kt_tls_cert *ret,
                           struct kt_err *err)
{
    gnutls_x509_crt_t crt = NULL;
    const gnutls_datum_t datum = kt_x509_datum_of(bytes);
    const char *what = form == GNUTLS_X509_FMT_PEM ? "it is no certificate in PEM" : "what it shows is no certificate";
    if (bytes.len == 0 || bytes.len > KT_TLS_CERT_MAX)
        return kt_fail(err, KT_INVALID, "%s, of at most %u bytes", what, KT_TLS_CERT_MAX);
    int rc = gnutls_x509_crt_init(&crt);
    if (rc < 0)
        return kt_fail(err, KT_NO_MEMORY, "reading a certificate");
    rc = gnutls_x509_crt_import(crt, &datum, form);
    enum kt_kind kind = KT_OK;
    if (rc == GNUTLS_E_MEMORY_ERROR)
        kind = kt_fail(err, KT_NO_MEMORY, "reading a certificate");
    else if (rc < 0)
        kind = kt_fail(err, KT_INVALID, "%s", what);
    if (kind == KT_OK)
        kind = describe(crt, ret, err);
    gnutls_x509_crt_deinit(crt);
    return kind;
}

enum kt_kind kt_tls_cert_read(struct kt_bytes pem, struct kt_tls_cert *ret, struct kt_err *err)
{
    return import(pem, GNUTLS_X509_FMT_PEM, ret, err);
}

enum kt_kind kt_tls_cert_read_der(struct kt_bytes der, struct kt_tls_cert *ret, struct kt_err *err)
{
    return import(der, GNUTLS_X509_FMT_DER, ret, err);
}

bool kt_tls_cert_same(const struct kt_tls_cert *a, const struct kt_tls_cert *b)
{
    return memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}
