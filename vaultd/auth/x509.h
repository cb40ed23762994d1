/* vaultd/auth/x509.h - X.509 certificates of strangers: read, compared, and judged. GnuTLS does the work.
 *
 * What:    A certificate is its DER bytes; nothing of GnuTLS is seen outside. x509_read() takes out what is
 *          compared or shown, x509_verify() finds out whether it was issued below an anchor, x509_pinned()
 *          whether it is that very one, and a CRL is read once when it is stored and asked at each login.
 * Owner:   texts live in the arena; a path borrows from the chain and the anchors it was found in.
 * Limits:  X509_DER_MAX bytes a certificate, X509_CHAIN_MAX of a client, X509_ANCHORS_MAX anchors,
 *          X509_NAMES_MAX alternative names or units.
 * Strict:  A name with control characters, that is no UTF-8, or two common names are refused: what
 *          is shown has to be what was compared. RSA below 2048 bits or too large (lib/tls_key.h), SHA-1 and MD5 are refused, so are
 *          version 1 authorities and critical extensions that GnuTLS does not know.
 * Time:    the caller's; GnuTLS's own clock is not asked.
 * Errors:  KT_DENIED without a reason for the client: it is not so. KT_INVALID: it cannot be read.
 * Threads: any thread.
 * Source:  RFC 5280; security history of other vaults in tests/security/advisories.txt. */
#pragma once

#include "vaultd/core/request.h"

#define X509_CHAIN_MAX   CLIENT_CHAIN_MAX
#define X509_DER_MAX     16384u
#define X509_PEM_MAX     262144u
#define X509_ANCHORS_MAX 16u
#define X509_NAMES_MAX   64u
#define X509_HASH        32u
#define X509_OID_MAX     128u

struct x509_facts {
    struct kt_bytes der;
    const char *common_name; /* "": none */
    struct string_list dns, emails, uris, units;
    const char *serial;                         /* decimal */
    const char *subject_key, *authority_key;    /* their ids, hexadecimal with colons; "": none */
    unsigned char print[X509_HASH];             /* SHA-256 of the whole certificate */
    unsigned char key[X509_HASH];               /* of its public key with its algorithm */
    unsigned char subject[X509_HASH], issuer[X509_HASH]; /* of the names' encodings */
    bool is_ca;
    bool for_clients; /* its purposes allow it, or there are none; and it may sign */
    bool says_clients; /* its purposes name TLS clients, or any */
    bool weak;        /* its key is too short */
    int64_t from_ms, until_ms;
};
enum kt_kind x509_read(struct kt_bytes der, struct kt_arena *arena, struct x509_facts *ret,
                       struct kt_err *err) KT_MUST_CHECK;
/* All certificates of a PEM text, in their order. KT_INVALID: none, too many, or something else. */
enum kt_kind x509_read_pem(struct kt_bytes pem, struct kt_arena *arena,
                           struct kt_bytes ret[X509_ANCHORS_MAX], size_t *ret_n,
                           struct kt_err *err) KT_MUST_CHECK;
/* The PEM of some. */
enum kt_kind x509_write_pem(const struct kt_bytes *der, size_t n, struct kt_buf *out,
                            struct kt_err *err) KT_MUST_CHECK;
/* The value of an extension: as it is, and as text if it is one of ASN.1's that texts are written in here
 * (else NULL). KT_NOT_FOUND without a text. */
enum kt_kind x509_extension(struct kt_bytes der, const char *oid, struct kt_arena *arena,
                            struct kt_bytes *ret, const char **ret_text, struct kt_err *err) KT_MUST_CHECK;

/* From a client's certificate to its anchor, which is the last one. */
struct x509_path {
    struct kt_bytes at[X509_CHAIN_MAX + 1];
    size_t n;
};
/* Each signature, who may sign for whom and how deep, purposes, strength, critical extensions, and that all
 * of it is valid now, the anchor too. The anchor itself is nobody's identity. */
enum kt_kind x509_verify(const struct kt_bytes *chain, size_t n, const struct kt_bytes *anchors,
                         size_t n_anchors, int64_t now_ms, struct x509_path *ret,
                         struct kt_err *err) KT_MUST_CHECK;
/* Whether a client's certificate is this one, byte for byte, valid now and for clients. */
bool x509_pinned(const struct x509_facts *facts, struct kt_bytes der, int64_t now_ms);
/* What one is found by among many: of an authority its subject's hash, else its own. */
void x509_tag(const struct x509_facts *facts, unsigned char out[X509_HASH]);

/* ---- revocation lists ---- */

struct x509_crl {
    struct kt_bytes der;
    unsigned char issuer[X509_HASH];
    int64_t until_ms;
    size_t n; /* certificates in it */
};
/* PEM or DER. KT_INVALID also for one that says not when the next one comes, that is a change to another
 * one, or that has a critical extension: it would be more or less than it seems. */
enum kt_kind x509_crl_read(struct kt_bytes text, struct kt_arena *arena, struct x509_crl *ret,
                           struct kt_err *err) KT_MUST_CHECK;
/* "serials": {"DECIMAL": {}, ...} as a member of the object that w is in. */
enum kt_kind x509_crl_show(struct kt_bytes der, struct kt_arena *arena, struct kt_jsonw *w,
                           struct kt_err *err) KT_MUST_CHECK;
enum x509_ruling {
    X509_NOT_CONCERNED, /* another issuer's */
    X509_NOT_SIGNED,    /* the name is the issuer's, the signature is not */
    X509_STALE,         /* the next one should be here already */
    X509_REVOKED,
    X509_NOT_REVOKED
};
/* Read once, and asked of several certificates; GnuTLS's own. x509_crl_close() ends it. */
struct gnutls_x509_crl_int;
enum kt_kind x509_crl_open(struct kt_bytes der, struct gnutls_x509_crl_int **ret, struct kt_err *err) KT_MUST_CHECK;
void x509_crl_close(struct gnutls_x509_crl_int **crl);
/* What it says of a certificate. issuer: who issued it, to check the signature; empty: not known, then it
 * is believed, for somebody put it there. */
enum kt_kind x509_crl_ask(struct gnutls_x509_crl_int *crl, struct kt_bytes der, struct kt_bytes issuer,
                          int64_t now_ms, enum x509_ruling *ret, struct kt_err *err) KT_MUST_CHECK;
