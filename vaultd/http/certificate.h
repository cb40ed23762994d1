/* vaultd/http/certificate.h - a listener's certificate chain and private key.
 *
 * What:    Reads PEM files and refuses what would not work: a key that does not belong to the
 *          certificate, one that others may read, a certificate that has expired or is not valid
 *          yet. Once loaded it never changes, so handshakes on any thread share it.
 * Owner:   certificate_load() gives one, certificate_free() ends it; NULL is fine. No handshake may
 *          still use it: the listener keeps replaced ones until the longest handshake is over.
 * Threads: loading: one thread at a time per certificate. Reading: any thread.
 * Source:  gnutls/abstract.h; security of the files as OpenSSH treats its host keys. */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "lib/err.h"

#define CERTIFICATE_CHAIN_MAX  8u
#define CERTIFICATE_FILE_BYTES ((size_t)256 * 1024)

struct certificate;

enum kt_kind certificate_load(const char *cert_file, const char *key_file, int64_t now_ms,
                              struct certificate **ret, struct kt_err *err) KT_MUST_CHECK;
void certificate_free(struct certificate *certificate);
int64_t certificate_expires_ms(const struct certificate *certificate);
/* What a handshake is answered with; borrowed. */
void certificate_answer(struct certificate *certificate, gnutls_pcert_st **ret_chain,
                        unsigned *ret_length, gnutls_privkey_t *ret_key);

/* Makes an ECDSA P-256 key and a certificate for `host` (a name or an address; "localhost" and the
 * loopback addresses are always in it) and writes folder/cert.pem (also the CA to trust) and
 * folder/key.pem, mode 0600. For --dev-tls and the tests. */
enum kt_kind certificate_make(const char *folder, const char *host, int64_t not_before_ms,
                              int64_t not_after_ms, struct kt_err *err) KT_MUST_CHECK;
