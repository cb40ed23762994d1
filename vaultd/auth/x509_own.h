/* vaultd/auth/x509_own.h - what the files of vaultd/auth/x509.h share: GnuTLS's objects and its errors.
 *
 * Owner:   x509_import() gives one that x509_drop() ends; NULL is fine.
 * Threads: any thread. */
#pragma once

#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>

#include "lib/cleanup.h"
#include "vaultd/auth/x509.h"

static inline void x509_drop(gnutls_x509_crt_t *crt)
{
    if (*crt != NULL)
        gnutls_x509_crt_deinit(*crt);
}

static inline void x509_wipe(gnutls_datum_t *datum)
{
    if (datum->data != NULL)
        gnutls_free(datum->data);
    datum->data = NULL;
}

/* Of a call of GnuTLS: its code says whether memory ran out or what was given is bad. */
enum kt_kind x509_fail(int code, const char *what, struct kt_err *err);
enum kt_kind x509_import(struct kt_bytes der, gnutls_x509_crt_t *ret, struct kt_err *err) KT_MUST_CHECK;
/* GnuTLS's parameters are not const; it only reads. */
gnutls_datum_t x509_datum(struct kt_bytes bytes);
/* The name whose encoding GnuTLS gives, as its hash; the datum is freed. */
void x509_hash(struct kt_bytes bytes, unsigned char out[X509_HASH]);
/* A number of the certificate's, big-endian, in decimal. NULL: no memory. */
const char *x509_decimal(struct kt_bytes number, struct kt_arena *arena);
