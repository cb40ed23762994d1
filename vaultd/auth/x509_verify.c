/* The path from a client's certificate to an anchor is built here, so that it is known of whom it consists
 * (each of them may be revoked or expired); GnuTLS judges exactly that path. */
#include <sodium.h>

#include "vaultd/auth/x509_own.h"

/* Time is looked at here, by the caller's clock; revocation by the caller. */
#define FLAGS                                                                                      \
    (GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_CRL_CHECKS |                        \
     GNUTLS_VERIFY_DO_NOT_ALLOW_X509_V1_CA_CRT)
#define JUDGING                                                                                    \
    (FLAGS | GNUTLS_VERIFY_DO_NOT_ALLOW_SAME | GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM))

struct heap_of {
    gnutls_x509_crt_t at[X509_CHAIN_MAX + X509_ANCHORS_MAX];
    size_t n;
};

static void drop_all(struct heap_of *all)
{
    for (size_t i = 0; i < all->n; i++)
        x509_drop(&all->at[i]);
}

static enum kt_kind import_all(struct heap_of *all, const struct kt_bytes *der, size_t n, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < n; i++) {
        all->at[all->n] = NULL;
        kind = x509_import(der[i], &all->at[all->n++], err);
    }
    return kind;
}

static enum kt_kind refuse(struct kt_err *err)
{
    return kt_fail(err, KT_DENIED, "the certificate is not vouched for");
}

static bool issued(gnutls_x509_crt_t cert, gnutls_x509_crt_t issuer)
{
    unsigned status = 0;
    return gnutls_x509_crt_check_issuer(cert, issuer) == 1 &&
           gnutls_x509_crt_verify(cert, &issuer, 1, FLAGS, &status) == 0 && status == 0;
}

static bool is_valid(gnutls_x509_crt_t cert, int64_t now_ms)
{
    return now_ms >= (int64_t)gnutls_x509_crt_get_activation_time(cert) * 1000 &&
           now_ms < (int64_t)gnutls_x509_crt_get_expiration_time(cert) * 1000;
}

/* Places in `all`: a chain's n, behind them the anchors. */
struct route_up {
    size_t at[X509_CHAIN_MAX + 1];
    size_t n;
};

/* From the last one up: an anchor if there is one, else one that the client sent along. Whoever is not valid now is
 * passed by: an authority that was renewed with its key stands beside its old certificate. */
static bool climb(const struct heap_of *all, size_t n, int64_t now_ms, struct route_up *up)
{
    bool used[X509_CHAIN_MAX] = {true};
    *up = (struct route_up){.n = 1};
    while (up->n <= n) {
        gnutls_x509_crt_t last = all->at[up->at[up->n - 1]];
        for (size_t i = n; i < all->n; i++)
            if (is_valid(all->at[i], now_ms) && issued(last, all->at[i])) {
                up->at[up->n++] = i;
                return true;
            }
        size_t next = 1;
        while (next < n &&
               (used[next] || !is_valid(all->at[next], now_ms) || !issued(last, all->at[next])))
            next++;
        if (next >= n)
            return false;
        used[next] = true;
        up->at[up->n++] = next;
    }
    return false;
}

static enum kt_kind judge(const struct heap_of *all, const struct route_up *up, struct kt_err *err)
{
    gnutls_x509_trust_list_t trust = NULL;
    gnutls_x509_crt_t path[X509_CHAIN_MAX], anchor = all->at[up->at[up->n - 1]];
    unsigned status = ~0u, n = (unsigned)up->n - 1;
    static unsigned char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT; /* not const in the library's type */
    gnutls_typed_vdata_st data = {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = purpose, .size = 0};
    for (unsigned i = 0; i < n; i++)
        path[i] = all->at[up->at[i]];
    int code = gnutls_x509_trust_list_init(&trust, 0);
    if (code != 0)
        return x509_fail(code, "verifying a certificate", err);
    if (gnutls_x509_trust_list_add_cas(trust, &anchor, 1, 0) != 1)
        code = GNUTLS_E_MEMORY_ERROR;
    if (code == 0)
        code = gnutls_x509_trust_list_verify_crt2(trust, path, n, &data, 1, JUDGING, &status, NULL);
    gnutls_x509_trust_list_deinit(trust, 0);
    if (code == GNUTLS_E_MEMORY_ERROR)
        return x509_fail(code, "verifying a certificate", err);
    return code == 0 && status == 0 ? KT_OK : refuse(err);
}

enum kt_kind x509_verify(const struct kt_bytes *chain, size_t n, const struct kt_bytes *anchors,
                         size_t n_anchors, int64_t now_ms, struct x509_path *ret, struct kt_err *err)
{
    KT_AUTO(drop_all) struct heap_of all = {.n = 0};
    struct route_up up;
    *ret = (struct x509_path){.n = 0};
    if (n == 0 || n > X509_CHAIN_MAX || n_anchors == 0 || n_anchors > X509_ANCHORS_MAX)
        return refuse(err);
    for (size_t i = 0; i < n_anchors; i++)
        if (kt_bytes_equal(chain[0], anchors[i]))
            return refuse(err);
    enum kt_kind kind = import_all(&all, chain, n, err);
    if (kind == KT_OK)
        kind = import_all(&all, anchors, n_anchors, err);
    if (kind == KT_OK && !climb(&all, n, now_ms, &up))
        kind = refuse(err);
    if (kind == KT_OK)
        kind = judge(&all, &up, err);
    for (size_t i = 0; kind == KT_OK && i < up.n; i++) {
        if (!is_valid(all.at[up.at[i]], now_ms))
            kind = refuse(err);
        ret->at[ret->n++] = up.at[i] < n ? chain[up.at[i]] : anchors[up.at[i] - n];
    }
    return kind;
}

bool x509_pinned(const struct x509_facts *facts, struct kt_bytes der, int64_t now_ms)
{
    unsigned char print[X509_HASH];
    x509_hash(der, print);
    return sodium_memcmp(print, facts->print, X509_HASH) == 0 && facts->der.len == der.len &&
           sodium_memcmp(facts->der.at, der.at, der.len) == 0 && now_ms >= facts->from_ms &&
           now_ms < facts->until_ms && facts->for_clients && !facts->weak;
}
