#include "vaultd/auth/cert_crl.h"

#include "lib/cleanup.h"
#include "vaultd/auth/cert_settings.h"
#include "vaultd/barrier/format.h"
#include "vaultd/core/engine.h"

#define FORMAT 1u
#define DER_HERE ((size_t)32 * 1024) /* read on the carrier's thread: a millisecond or two */

/* ---- the record ---- */

struct crl_record {
    struct kt_bytes issuer, der; /* the record's */
};

static void read_1(struct kt_reader *r, void *ret)
{
    struct crl_record *crl = ret;
    (void)kt_read_field(r);
    crl->issuer = kt_read_bytes(r, X509_HASH);
    crl->der = kt_read_field(r);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

static enum kt_kind read_record(struct kt_bytes record, struct crl_record *ret, struct kt_err *err)
{
    return FORMAT_READ("a revocation list", record, readers, ret, err);
}

/* ---- asking them ---- */

/* Of a path: what the lists say of each of its certificates. */
struct asking {
    const struct x509_path *path;
    unsigned char issuer[X509_CHAIN_MAX + 1][X509_HASH];
    bool signed_[X509_CHAIN_MAX + 1], unsigned_[X509_CHAIN_MAX + 1];
    bool revoked, stale, aside;
};

/* Who issued it, if that is known: the next one, or itself. */
static struct kt_bytes issuer_of(const struct asking *ask, size_t i, const unsigned char subject[X509_HASH])
{
    if (i + 1 < ask->path->n)
        return ask->path->at[i + 1];
    return memcmp(subject, ask->issuer[i], X509_HASH) == 0 ? ask->path->at[i] : kt_bytes(NULL, 0);
}

static enum kt_kind ask_one(struct request *req, struct gnutls_x509_crl_int *crl, struct asking *ask,
                            size_t i, struct kt_err *err)
{
    struct x509_facts facts;
    enum x509_ruling ruling = X509_NOT_CONCERNED;
    enum kt_kind kind = x509_read(ask->path->at[i], &req->arena, &facts, err);
    if (kind == KT_OK)
        kind = x509_crl_ask(crl, facts.der, issuer_of(ask, i, facts.subject), req->now_ms, &ruling, err);
    if (kind != KT_OK)
        return kind;
    ask->signed_[i] = ask->signed_[i] || ruling > X509_NOT_SIGNED;
    ask->unsigned_[i] = ask->unsigned_[i] || ruling == X509_NOT_SIGNED;
    ask->stale = ask->stale || ruling == X509_STALE;
    ask->revoked = ask->revoked || ruling == X509_REVOKED;
    return KT_OK;
}

static bool concerns(const struct crl_record *crl, const struct asking *ask)
{
    for (size_t i = 0; i < ask->path->n; i++)
        if (memcmp(crl->issuer.at, ask->issuer[i], X509_HASH) == 0)
            return true;
    return false;
}

static enum kt_kind look(struct request *req, struct kt_bytes record, void *arg, struct kt_err *err)
{
    struct asking *ask = arg;
    struct crl_record stored = {.der = {0}};
    KT_AUTO(x509_crl_close) struct gnutls_x509_crl_int *crl = NULL;
    enum kt_kind kind = ask->aside ? KT_OK : read_record(record, &stored, err);
    if (kind != KT_OK || ask->aside || !concerns(&stored, ask))
        return kind;
    ask->aside = stored.der.len > DER_HERE && request_aside(req);
    if (ask->aside)
        return KT_OK;
    kind = x509_crl_open(stored.der, &crl, err);
    for (size_t i = 0; kind == KT_OK && i < ask->path->n; i++)
        if (memcmp(stored.issuer.at, ask->issuer[i], X509_HASH) == 0)
            kind = ask_one(req, crl, ask, i, err);
    return kind;
}

static enum kt_kind rule(const struct asking *ask, struct kt_err *err)
{
    if (ask->revoked)
        return kt_fail(err, KT_DENIED, "the certificate is revoked");
    bool forged = false;
    for (size_t i = 0; i < ask->path->n; i++)
        forged = forged || (ask->unsigned_[i] && !ask->signed_[i]);
    if (!forged && !ask->stale)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID,
                  ask->stale ? "the revocation list of the certificate's authority is out of date"
                             : "the revocation list of the certificate's authority is not signed by it");
    kt_hint(err, "whoever runs the vault writes the authority's newest list to crls/NAME");
    return KT_INVALID;
}

enum kt_kind cert_crl_check(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                            const struct x509_path *path, bool *ret_aside, struct kt_err *err)
{
    struct asking ask = {.path = path};
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < path->n; i++) {
        struct x509_facts facts;
        kind = x509_read(path->at[i], &req->arena, &facts, err);
        memcpy(ask.issuer[i], facts.issuer, X509_HASH);
    }
    if (kind == KT_OK)
        kind = named_each(req, scope, NAMED_CRLS, look, &ask, ret_aside, err);
    *ret_aside = *ret_aside || ask.aside;
    return kind == KT_OK && !*ret_aside ? rule(&ask, err) : kind;
}

/* ---- routes ---- */

enum kt_kind cert_crl_list(struct request *req, struct kt_err *err)
{
    return named_list(req, req->mount->scope, NAMED_CRLS, err);
}

static enum kt_kind get(struct request *req, struct named *which, struct crl_record *ret,
                        generation *ret_changed, struct kt_err *err)
{
    struct kt_bytes record = {0};
    *which = (struct named){req->mount->scope, NULL, NAMED_CRLS};
    *ret_changed = 0;
    enum kt_kind kind = named_param(req, "name", &which->name, err);
    if (kind != KT_OK)
        return kind;
    kind = named_get(req, which, &record, ret_changed, err);
    return kind == KT_OK ? read_record(record, ret, err) : kind;
}

enum kt_kind cert_crl_read(struct request *req, struct kt_err *err)
{
    struct named which;
    struct crl_record crl;
    generation changed = 0;
    enum kt_kind kind = get(req, &which, &crl, &changed, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kind = x509_crl_show(crl.der, &req->arena, &w, err);
    kt_jsonw_end(&w);
    return kind;
}

static enum kt_kind read_list(struct request *req, struct x509_crl *ret, struct kt_err *err)
{
    const char *text = "", *url = "";
    enum kt_kind kind = request_string(req, "url", &url, err);
    if (kind == KT_OK && url[0] != '\0') {
        (void)kt_fail(err, KT_INVALID, "\"url\": lists are not fetched here");
        kt_hint(err, "fetch it with a timer of the host, and write it as \"crl\"");
        return KT_INVALID;
    }
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_string(req, "crl", &text, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && text[0] == '\0'))
        return kt_fail(err, KT_INVALID, "missing crl");
    if (kind == KT_OK)
        kind = x509_crl_read(kt_str(text), &req->arena, ret, err);
    if (kind == KT_OK && req->now_ms >= ret->until_ms)
        request_warn(req, "the list is out of date: no certificate of its issuer is taken until a newer one "
                          "is written");
    return kind;
}

enum kt_kind cert_crl_write(struct request *req, struct kt_err *err)
{
    struct named which;
    struct crl_record old;
    struct x509_crl crl;
    generation changed = 0;
    enum kt_kind kind = get(req, &which, &old, &changed, err);
    if (kind != KT_OK && (kind != KT_NOT_FOUND || which.name == NULL))
        return kind;
    kind = read_list(req, &crl, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAMED_RECORD_MAX);
    named_begin(&record, FORMAT, which.name);
    kt_buf_add(&record, crl.issuer, X509_HASH);
    kt_buf_add_field(&record, crl.der);
    kind = named_put(req, &which, changed, &record, err);
    return kind == KT_OK ? cert_settings_crl_changed(req, err) : kind;
}

enum kt_kind cert_crl_delete(struct request *req, struct kt_err *err)
{
    struct named which;
    struct crl_record crl;
    generation changed = 0;
    enum kt_kind kind = get(req, &which, &crl, &changed, err);
    if (kind == KT_NOT_FOUND && which.name != NULL)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    kind = named_delete(req, &which, changed, err);
    return kind == KT_OK ? cert_settings_crl_changed(req, err) : kind;
}
