/* lib/tls_key.h - with which public keys of strangers a signature is checked at all.
 *
 * What:    RSA of at most KT_TLS_RSA_BITS_MAX bits with an exponent below 2^40, ECDSA, Ed25519, Ed448. The time that
 *          a check takes grows with modulus and exponent, which the one who shows the key chooses: numbers of 30 KB
 *          take minutes, and GnuTLS bounds neither.
 * Threads: any thread.
 * Errors:  false also for a key that cannot be read, or when memory runs out: then nothing is checked with it.
 * Source:  GnuTLS's manual, "gnutls_pubkey_verify_data2", "gnutls_x509_crt_get_pk_rsa_raw"; CVE-2023-29409, after
 *          which Go's TLS takes RSA of at most 8192 bits, too. */
#pragma once

#include <gnutls/x509.h>
#include <stdbool.h>

#define KT_TLS_RSA_BITS_MAX 8192u

bool kt_tls_key_fits(gnutls_x509_crt_t crt);
