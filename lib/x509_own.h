/* lib/x509_own.h - what the files of lib/x509_make.h share: GnuTLS's objects, their ends, their errors.
 *
 * Owner:   NAME_drop() ends what a variable holds; NULL is fine.
 * Threads: as lib/x509_make.h. */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>

#include "lib/cleanup.h"
#include "lib/x509_make.h"

#define KEY_ID_MAX  64u
#define CRT_ALL_MAX (KT_X509_CHAIN_MAX + 2u)

struct kt_x509_issuer {
    gnutls_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_x509_crt_t above[CRT_ALL_MAX]; /* its issuer first */
    unsigned n_above;
    bool self; /* it is a root */
};

static inline void crt_drop(gnutls_x509_crt_t *crt)
{
    if (*crt != NULL)
        gnutls_x509_crt_deinit(*crt);
    *crt = NULL;
}

static inline void x509_key_drop(gnutls_x509_privkey_t *key)
{
    if (*key != NULL)
        gnutls_x509_privkey_deinit(*key);
}

static inline void key_drop(gnutls_privkey_t *key)
{
    if (*key != NULL)
        gnutls_privkey_deinit(*key);
}

static inline void pubkey_drop(gnutls_pubkey_t *key)
{
    if (*key != NULL)
        gnutls_pubkey_deinit(*key);
}

/* Wipes it first. */
void kt_x509_datum_drop(gnutls_datum_t *datum);
/* GnuTLS's parameters are not const; it only reads. */
gnutls_datum_t kt_x509_datum_of(struct kt_bytes bytes);
/* Of a call of GnuTLS: its code says whether memory ran out or what was given is bad. */
enum kt_kind kt_x509_refuse(int code, const char *doing, struct kt_err *err);

/* ---- x509_issuer.c ---- */
/* Does the certificate's key belong to this one? GnuTLS's code in *ret_code. */
bool kt_x509_same_key(gnutls_pubkey_t key, gnutls_x509_crt_t crt, int *ret_code);
/* A private key's public half. */
enum kt_kind kt_x509_key_read(struct kt_bytes pem, gnutls_privkey_t *ret, const char *doing, struct kt_err *err)
    KT_MUST_CHECK;
/* The issuer's key id, as its certificate says it or as it is computed. */
int kt_x509_key_id_of(const struct kt_x509_issuer *issuer, unsigned char id[KEY_ID_MAX], size_t *len);
/* What its key, or that of a certificate which is not signed yet, hashes what it signs with. */
gnutls_digest_algorithm_t kt_x509_digest_for(gnutls_x509_crt_t crt, gnutls_pubkey_t own);

/* ---- x509_request.c ---- */
enum kt_kind kt_x509_request_read(struct kt_bytes pem, gnutls_pubkey_t *ret, struct kt_err *err) KT_MUST_CHECK;
