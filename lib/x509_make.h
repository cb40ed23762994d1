/* lib/x509_make.h - X.509 certificates and revocation lists that are made here; GnuTLS does the work.
 *
 * What:    kt_x509_make() signs a certificate: of an authority by itself, of one below another, or of a
 *          server or client. Its key is made with it, or it is the key of a request (PKCS#10) whose
 *          signature shows that who asks has it; nothing else of a request is used. What was made is
 *          verified below its issuer before it is handed out. kt_x509_crl_make() signs a list of serial
 *          numbers, and reads it again before it is handed out.
 * Keys:    ECDSA P-256 or Ed25519 are made; an issuer's may be RSA, too. Written as PKCS#8 without a
 *          passphrase.
 * Names:   lib/x509_names.h. Of an authority they are what it and those below may sign for (name
 *          constraints).
 * Serials: 126 random bits.
 * Time:    the caller's. Nothing begins before its issuer or ends after it.
 * Owner:   the buffers of what was made are the caller's: kt_x509_made_free(). An issuer is opened
 *          from PEM texts, kt_x509_issuer_close() ends it; NULL is fine.
 * Limits:  KT_X509_PEM_MAX bytes a text, KT_X509_CHAIN_MAX certificates between an issuer and its root.
 * Errors:  KT_INVALID: what is given cannot be used, of which only a name is quoted; KT_NO_MEMORY.
 * Threads: any thread; one issuer at a time per thread.
 * Source:  RFC 5280; RFC 2986; RFC 5958; GnuTLS's manual. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/x509_names.h"

#define KT_X509_PEM_MAX     65536u
#define KT_X509_CHAIN_MAX   8u
#define KT_X509_SERIAL      16u /* bytes */
#define KT_X509_SERIAL_MAX  20u
#define KT_X509_SERIAL_TEXT 41u /* hexadecimal, of the longest, with a NUL */
#define KT_X509_CN_MAX      64u /* characters are bytes here: the stricter count */

enum kt_x509_key { KT_X509_P256, KT_X509_ED25519 };
enum kt_x509_usage { KT_X509_SERVER = 1 << 0, KT_X509_CLIENT = 1 << 1, KT_X509_AUTHORITY = 1 << 2 };

struct kt_x509_wish {
    unsigned usage;          /* of enum kt_x509_usage; an authority is nothing else */
    enum kt_x509_key key;
    struct kt_bytes request; /* PEM; empty: a key is made */
    const char *common_name; /* "": the first of the names */
    const struct kt_x509_names *names;
    int64_t now_ms, life_s;
};
struct kt_x509_issuer;
struct kt_x509_made {
    struct kt_buf key;         /* PEM; empty where a request was given */
    struct kt_buf certificate; /* PEM */
    struct kt_buf chain;       /* PEM, from its issuer up, without the root; may be empty */
    struct kt_buf root;        /* PEM: where the chain ends */
    char serial[KT_X509_SERIAL_TEXT];
    int64_t from_ms, until_ms;
};

/* key: PKCS#8 PEM; certificate: its PEM, of an authority; chain: PEM of those above it, its root last or
 * not; empty: none. KT_INVALID: they do not fit together, or it is no authority. */
enum kt_kind kt_x509_issuer_open(struct kt_bytes key, struct kt_bytes certificate, struct kt_bytes chain,
                                 struct kt_x509_issuer **ret, struct kt_err *err) KT_MUST_CHECK;
void kt_x509_issuer_close(struct kt_x509_issuer *issuer);
/* When its certificate ends. */
int64_t kt_x509_issuer_until_ms(const struct kt_x509_issuer *issuer);

/* issuer NULL: it signs itself, an authority only. KT_INVALID also where the issuer ends earlier, or may
 * not sign for one of the names. */
enum kt_kind kt_x509_make(const struct kt_x509_wish *wish, const struct kt_x509_issuer *issuer,
                          struct kt_x509_made *ret, struct kt_err *err) KT_MUST_CHECK;
void kt_x509_made_free(struct kt_x509_made *made);
/* Is it a request that kt_x509_make() would take? */
enum kt_kind kt_x509_request_check(struct kt_bytes pem, struct kt_err *err) KT_MUST_CHECK;

struct kt_x509_revoked {
    unsigned char serial[KT_X509_SERIAL_MAX];
    unsigned serial_len;
    int64_t revoked_ms;
};
/* The serial number of a certificate (PEM), and when it ends; revoked_ms is left alone. */
enum kt_kind kt_x509_serial_of(struct kt_bytes certificate, struct kt_x509_revoked *ret, int64_t *ret_until_ms,
                               struct kt_err *err) KT_MUST_CHECK;
/* Is this key (PKCS#8 PEM) the certificate's own? KT_INVALID: it is another's. */
enum kt_kind kt_x509_of_key(struct kt_bytes certificate, struct kt_bytes key, struct kt_err *err) KT_MUST_CHECK;
/* Did the key of the issuer's certificate sign it? Both PEM. */
enum kt_kind kt_x509_signed_by(struct kt_bytes certificate, struct kt_bytes issuer, bool *ret, struct kt_err *err)
    KT_MUST_CHECK;
void kt_x509_serial_text(const struct kt_x509_revoked *revoked, char ret[KT_X509_SERIAL_TEXT]);

struct kt_x509_crl_wish {
    const struct kt_x509_revoked *at;
    size_t n;
    uint64_t number; /* grows with each list of an issuer */
    int64_t now_ms, life_s;
};
/* PEM into out. */
enum kt_kind kt_x509_crl_make(const struct kt_x509_crl_wish *wish, const struct kt_x509_issuer *issuer,
                              struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;

static inline void kt_x509_issuer_close_at(struct kt_x509_issuer **issuer)
{
    kt_x509_issuer_close(*issuer);
}
