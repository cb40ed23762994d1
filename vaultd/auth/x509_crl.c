/* Revocation lists (vaultd/auth/x509.h). */
#include "vaultd/auth/x509_own.h"

#define SERIAL_MAX 64u
/* What GnuTLS says of a list's times by a clock of its own, whatever the flags are. */
#define BY_ITS_CLOCK                                                                               \
    ((unsigned)GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE |                                      \
     (unsigned)GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED)

void x509_crl_close(gnutls_x509_crl_t *crl)
{
    if (*crl != NULL)
        gnutls_x509_crl_deinit(*crl);
    *crl = NULL;
}

enum kt_kind x509_crl_open(struct kt_bytes der, gnutls_x509_crl_t *ret, struct kt_err *err)
{
    gnutls_datum_t datum = x509_datum(der);
    int code = gnutls_x509_crl_init(ret);
    if (code == 0)
        code = gnutls_x509_crl_import(*ret, &datum, GNUTLS_X509_FMT_DER);
    return code == 0 ? KT_OK : x509_fail(code, "failed to parse CRL", err);
}

static enum kt_kind issuer_of(gnutls_x509_crl_t crl, unsigned char out[X509_HASH], struct kt_err *err)
{
    KT_AUTO(x509_wipe) gnutls_datum_t issuer = {0};
    int code = gnutls_x509_crl_get_raw_issuer_dn(crl, &issuer);
    if (code != 0)
        return x509_fail(code, "reading a CRL's issuer", err);
    x509_hash(kt_bytes(issuer.data, issuer.size), out);
    return KT_OK;
}

/* A critical one (RFC 5280, 5.2: changes to another list, parts of one, lists for others) alters what it
 * means that a number is not in it. */
static enum kt_kind check_extensions(gnutls_x509_crl_t crl, struct kt_err *err)
{
    for (unsigned i = 0;; i++) {
        char oid[X509_OID_MAX];
        size_t len = sizeof oid;
        unsigned critical = 0;
        int code = gnutls_x509_crl_get_extension_info(crl, i, oid, &len, &critical);
        if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return KT_OK;
        if (code != 0)
            return x509_fail(code, "reading a CRL's extensions", err);
        if (critical == 0)
            continue;
        (void)kt_fail(err, KT_INVALID, "the CRL has the critical extension %.*s", (int)len, oid);
        kt_hint(err, "only whole lists, of all certificates of their issuer, are understood");
        return KT_INVALID;
    }
}

static enum kt_kind facts_of(gnutls_x509_crl_t crl, struct x509_crl *ret, struct kt_err *err)
{
    time_t from = gnutls_x509_crl_get_this_update(crl), until = gnutls_x509_crl_get_next_update(crl);
    int n = gnutls_x509_crl_get_crt_count(crl);
    if (from == (time_t)-1 || until == (time_t)-1)
        return kt_fail(err, KT_INVALID, "the CRL does not say when the next one comes");
    ret->until_ms = (int64_t)until * 1000;
    ret->n = n > 0 ? (size_t)n : 0;
    enum kt_kind kind = check_extensions(crl, err);
    return kind == KT_OK ? issuer_of(crl, ret->issuer, err) : kind;
}

enum kt_kind x509_crl_read(struct kt_bytes text, struct kt_arena *arena, struct x509_crl *ret,
                           struct kt_err *err)
{
    KT_AUTO(x509_crl_close) gnutls_x509_crl_t crl = NULL;
    KT_AUTO(x509_wipe) gnutls_datum_t der = {0};
    gnutls_datum_t datum = x509_datum(text);
    bool is_pem = text.len > 0 && text.at[0] != 0x30; /* DER begins with a SEQUENCE */
    *ret = (struct x509_crl){.n = 0};
    int code = gnutls_x509_crl_init(&crl);
    if (code == 0)
        code = gnutls_x509_crl_import(crl, &datum, is_pem ? GNUTLS_X509_FMT_PEM : GNUTLS_X509_FMT_DER);
    if (code == 0)
        code = gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_DER, &der);
    if (code != 0)
        return x509_fail(code, "failed to parse CRL", err);
    char *copy = kt_arena_text(arena, kt_bytes(der.data, der.size));
    ret->der = kt_bytes(copy, der.size);
    return copy == NULL ? kt_fail(err, KT_NO_MEMORY, "reading a CRL") : facts_of(crl, ret, err);
}

static void drop_iter(gnutls_x509_crl_iter_t *iter)
{
    if (*iter != NULL)
        gnutls_x509_crl_iter_deinit(*iter);
}

enum kt_kind x509_crl_show(struct kt_bytes der, struct kt_arena *arena, struct kt_jsonw *w, struct kt_err *err)
{
    KT_AUTO(x509_crl_close) gnutls_x509_crl_t crl = NULL;
    KT_AUTO(drop_iter) gnutls_x509_crl_iter_t iter = NULL;
    enum kt_kind kind = x509_crl_open(der, &crl, err);
    kt_jsonw_key(w, "serials");
    kt_jsonw_object(w);
    while (kind == KT_OK) {
        unsigned char serial[SERIAL_MAX];
        size_t len = sizeof serial;
        int code = gnutls_x509_crl_iter_crt_serial(crl, &iter, serial, &len, NULL);
        if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            break;
        const char *text = code == 0 ? x509_decimal(kt_bytes(serial, len), arena) : NULL;
        if (text == NULL) {
            kind = code != 0 ? x509_fail(code, "reading a CRL", err)
                             : kt_fail(err, KT_NO_MEMORY, "reading a CRL");
            break;
        }
        kt_jsonw_key(w, text);
        kt_jsonw_object(w);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
    return kind;
}

/* ---- asking ---- */

static enum kt_kind is_issuers(gnutls_x509_crl_t crl, gnutls_x509_crt_t cert, bool *ret, struct kt_err *err)
{
    KT_AUTO(x509_wipe) gnutls_datum_t name = {0};
    unsigned char of_crl[X509_HASH], of_cert[X509_HASH];
    int code = gnutls_x509_crt_get_raw_issuer_dn(cert, &name);
    if (code != 0)
        return x509_fail(code, "reading a certificate's issuer", err);
    x509_hash(kt_bytes(name.data, name.size), of_cert);
    enum kt_kind kind = issuer_of(crl, of_crl, err);
    *ret = kind == KT_OK && memcmp(of_crl, of_cert, X509_HASH) == 0;
    return kind;
}

static enum kt_kind is_signed(gnutls_x509_crl_t crl, struct kt_bytes issuer, bool *ret, struct kt_err *err)
{
    KT_AUTO(x509_drop) gnutls_x509_crt_t by = NULL;
    unsigned status = ~0u;
    *ret = true;
    if (issuer.len == 0)
        return KT_OK;
    enum kt_kind kind = x509_import(issuer, &by, err);
    if (kind != KT_OK)
        return kind;
    int code = gnutls_x509_crl_verify(crl, &by, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status);
    if (code == GNUTLS_E_MEMORY_ERROR)
        return x509_fail(code, "verifying a CRL", err);
    bool timely = (status & BY_ITS_CLOCK) == 0;
    status &= ~(BY_ITS_CLOCK | (timely ? 0u : (unsigned)GNUTLS_CERT_INVALID)); /* the sum of all */
    *ret = code == 0 && status == 0;
    return KT_OK;
}

enum kt_kind x509_crl_ask(gnutls_x509_crl_t crl, struct kt_bytes der, struct kt_bytes issuer,
                          int64_t now_ms, enum x509_ruling *ret, struct kt_err *err)
{
    KT_AUTO(x509_drop) gnutls_x509_crt_t cert = NULL;
    bool concerned = false, signed_by = false;
    *ret = X509_NOT_CONCERNED;
    enum kt_kind kind = x509_import(der, &cert, err);
    if (kind == KT_OK)
        kind = is_issuers(crl, cert, &concerned, err);
    if (kind != KT_OK || !concerned)
        return kind;
    kind = is_signed(crl, issuer, &signed_by, err);
    if (kind != KT_OK)
        return kind;
    if (!signed_by) {
        *ret = X509_NOT_SIGNED;
        return KT_OK;
    }
    int listed = gnutls_x509_crt_check_revocation(cert, &crl, 1);
    if (listed < 0)
        return x509_fail(listed, "asking a CRL", err);
    time_t next = gnutls_x509_crl_get_next_update(crl);
    *ret = listed > 0                          ? X509_REVOKED
           : now_ms >= (int64_t)next * 1000    ? X509_STALE
                                               : X509_NOT_REVOKED;
    return KT_OK;
}
