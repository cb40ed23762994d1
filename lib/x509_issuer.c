#include "lib/x509_own.h"

#include <sodium.h>

#include "lib/failpoint.h"
#include "lib/tls_key.h"

/* Who signs. */

void kt_x509_datum_drop(gnutls_datum_t *datum)
{
    if (datum->data == NULL)
        return;
    sodium_memzero(datum->data, datum->size);
    gnutls_free(datum->data);
    datum->data = NULL;
}

gnutls_datum_t kt_x509_datum_of(struct kt_bytes bytes)
{
    void *at = (void *)(uintptr_t)bytes.at; // NOLINT(performance-no-int-to-ptr)
    return (gnutls_datum_t){at, (unsigned)bytes.len};
}

enum kt_kind kt_x509_refuse(int code, const char *doing, struct kt_err *err)
{
    return code == GNUTLS_E_MEMORY_ERROR ? kt_fail(err, KT_NO_MEMORY, "%s", doing)
                                         : kt_fail(err, KT_INVALID, "%s: %s", doing, gnutls_strerror(code));
}

enum kt_kind kt_x509_key_read(struct kt_bytes pem, gnutls_privkey_t *ret, const char *doing, struct kt_err *err)
{
    KT_AUTO(x509_key_drop) gnutls_x509_privkey_t key = NULL;
    gnutls_datum_t datum = kt_x509_datum_of(pem);
    int code = gnutls_x509_privkey_init(&key);
    if (code == 0)
        code = gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code == 0)
        code = gnutls_privkey_init(ret);
    if (code == 0)
        code = gnutls_privkey_import_x509(*ret, key, GNUTLS_PRIVKEY_IMPORT_COPY);
    return code == 0 ? KT_OK : kt_x509_refuse(code, doing, err);
}

static enum kt_kind read_above(struct kt_bytes pem, struct kt_x509_issuer *issuer, struct kt_err *err)
{
    gnutls_datum_t datum = kt_x509_datum_of(pem);
    unsigned n = CRT_ALL_MAX;
    if (pem.len == 0)
        return KT_OK;
    int code = gnutls_x509_crt_list_import(issuer->above, &n, &datum, GNUTLS_X509_FMT_PEM,
                                           GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED |
                                               GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
    if (code < 0)
        return kt_x509_refuse(code, "reading the issuer's chain", err);
    issuer->n_above = (unsigned)code;
    return KT_OK;
}

bool kt_x509_same_key(gnutls_pubkey_t key, gnutls_x509_crt_t crt, int *ret_code)
{
    unsigned char a[KEY_ID_MAX], b[KEY_ID_MAX];
    size_t a_len = sizeof a, b_len = sizeof b;
    *ret_code = gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, a, &a_len);
    if (*ret_code == 0)
        *ret_code = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, b, &b_len);
    return *ret_code == 0 && a_len == b_len && memcmp(a, b, a_len) == 0;
}

static enum kt_kind check_issuer(struct kt_x509_issuer *issuer, struct kt_err *err)
{
    KT_AUTO(pubkey_drop) gnutls_pubkey_t mine = NULL;
    unsigned usage = 0, critical = 0;
    int code = gnutls_pubkey_init(&mine);
    if (code == 0)
        code = gnutls_pubkey_import_privkey(mine, issuer->key, 0, 0);
    bool same = code == 0 && kt_x509_same_key(mine, issuer->crt, &code);
    if (code != 0)
        return kt_x509_refuse(code, "comparing the issuer's key with its certificate", err);
    if (!same)
        return kt_fail(err, KT_INVALID, "the issuer's private_key is not that of its certificate");
    if (gnutls_x509_crt_get_basic_constraints(issuer->crt, NULL, NULL, NULL) < 0 ||
        gnutls_x509_crt_get_ca_status(issuer->crt, &critical) != 1)
        return kt_fail(err, KT_INVALID, "the issuer's certificate is none of an authority");
    if (gnutls_x509_crt_get_key_usage(issuer->crt, &usage, &critical) == 0 &&
        (usage & GNUTLS_KEY_KEY_CERT_SIGN) == 0)
        return kt_fail(err, KT_INVALID, "the issuer's certificate does not allow it to sign certificates");
    if (!kt_tls_key_fits(issuer->crt))
        return kt_fail(err, KT_INVALID, "the issuer's key is none that is taken, or too large");
    issuer->self = gnutls_x509_crt_check_issuer(issuer->crt, issuer->crt) != 0;
    if (issuer->n_above > 0 && gnutls_x509_crt_check_issuer(issuer->crt, issuer->above[0]) == 0)
        return kt_fail(err, KT_INVALID, "the issuer's chain does not begin with who signed its certificate");
    return KT_OK;
}

enum kt_kind kt_x509_issuer_open(struct kt_bytes key, struct kt_bytes certificate, struct kt_bytes chain,
                                 struct kt_x509_issuer **ret, struct kt_err *err)
{
    if (key.len > KT_X509_PEM_MAX || certificate.len > KT_X509_PEM_MAX || chain.len > KT_X509_PEM_MAX)
        return kt_fail(err, KT_INVALID, "a text of the issuer is longer than %u bytes", KT_X509_PEM_MAX);
    KT_AUTO(kt_x509_issuer_close_at) struct kt_x509_issuer *issuer = kt_calloc(1, sizeof *issuer);
    if (issuer == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening an issuer");
    gnutls_datum_t datum = kt_x509_datum_of(certificate);
    int code = gnutls_x509_crt_init(&issuer->crt);
    if (code == 0)
        code = gnutls_x509_crt_import(issuer->crt, &datum, GNUTLS_X509_FMT_PEM);
    if (code != 0)
        return kt_x509_refuse(code, "reading the issuer's certificate", err);
    enum kt_kind kind = kt_x509_key_read(key, &issuer->key, "reading the issuer's private_key", err);
    if (kind == KT_OK)
        kind = read_above(chain, issuer, err);
    if (kind == KT_OK)
        kind = check_issuer(issuer, err);
    if (kind == KT_OK)
        *ret = KT_TAKE(issuer);
    return kind;
}

void kt_x509_issuer_close(struct kt_x509_issuer *issuer)
{
    if (issuer == NULL)
        return;
    key_drop(&issuer->key);
    crt_drop(&issuer->crt);
    for (unsigned i = 0; i < issuer->n_above; i++)
        crt_drop(&issuer->above[i]);
    free(issuer);
}

int kt_x509_key_id_of(const struct kt_x509_issuer *issuer, unsigned char id[KEY_ID_MAX], size_t *len)
{
    *len = KEY_ID_MAX;
    int code = gnutls_x509_crt_get_subject_key_id(issuer->crt, id, len, NULL);
    if (code != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return code;
    *len = KEY_ID_MAX; /* an authority that was made elsewhere */
    return gnutls_x509_crt_get_key_id(issuer->crt, 0, id, len);
}

gnutls_digest_algorithm_t kt_x509_digest_for(gnutls_x509_crt_t crt, gnutls_pubkey_t own)
{
    KT_AUTO(pubkey_drop) gnutls_pubkey_t key = NULL;
    gnutls_digest_algorithm_t digest = GNUTLS_DIG_SHA256;
    if (own != NULL)
        (void)gnutls_pubkey_get_preferred_hash_algorithm(own, &digest, NULL);
    else if (gnutls_pubkey_init(&key) == 0 && gnutls_pubkey_import_x509(key, crt, 0) == 0)
        (void)gnutls_pubkey_get_preferred_hash_algorithm(key, &digest, NULL);
    return digest;
}

int64_t kt_x509_issuer_until_ms(const struct kt_x509_issuer *issuer)
{
    return (int64_t)gnutls_x509_crt_get_expiration_time(issuer->crt) * 1000;
}
