/* lib/tls_cert.h - by what one certificate of a TLS server is told from another, and when it ends.
 *
 * What:    Nothing of it is believed or verified: who asks knows why he has it.
 * Owner:   plain values.
 * Limits:  KT_TLS_CERT_MAX bytes.
 * Errors:  KT_INVALID: it is no certificate; KT_NO_MEMORY.
 * Threads: any.
 * Source:  GnuTLS 3.7's manual, gnutls_x509_crt_import(). */
#pragma once

#include "lib/bytes.h"
#include "lib/err.h"

#define KT_TLS_CERT_MAX    65536u
#define KT_TLS_CERT_HASH   32u
#define KT_TLS_CERT_SERIAL 41u /* hexadecimal, with a NUL */

struct kt_tls_cert {
    unsigned char hash[KT_TLS_CERT_HASH]; /* SHA-256 of the whole */
    char serial[KT_TLS_CERT_SERIAL];
    int64_t until_ms;
};

/* The first one of a PEM text. */
enum kt_kind kt_tls_cert_read(struct kt_bytes pem, struct kt_tls_cert *ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_tls_cert_read_der(struct kt_bytes der, struct kt_tls_cert *ret, struct kt_err *err) KT_MUST_CHECK;
bool kt_tls_cert_same(const struct kt_tls_cert *a, const struct kt_tls_cert *b);
