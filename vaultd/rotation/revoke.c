#include "vaultd/core/request.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/revoked.h"

/* The route that revokes. */

#define DROPPED_MOST 32u /* a batch holds 100 changes */

static enum kt_kind choose_version(struct request *req, const struct rotation_secret *secret,
                                   const struct kv_version **ret, struct kt_err *err)
{
    struct kv_secret *kv = NULL;
    int64_t number = 0;
    enum kt_kind kind = kv_load(req->core, secret->mount, req->snapshot, &req->arena, secret->path, &kv, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "'%s' has no version", secret->name);
    if (kind == KT_OK)
        kind = request_int(req, "version", &number, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (kind == KT_NOT_FOUND)
        number = kv->current;
    if (number < 1 || number > UINT32_MAX || kv_version(kv, (uint32_t)number) == NULL)
        return kt_fail(err, KT_INVALID, "'%s' has no version %lld", secret->name, (long long)number);
    *ret = kv_version(kv, (uint32_t)number);
    return KT_OK;
}

static void wake_after(struct request *req, const struct commit_result *result)
{
    if (result->error == STORE_OK)
        rotation_wake(req->core->rotation);
}

/* What is there already: what has ended makes room, the same certificate keeps its time, lists are due now. */
static enum kt_kind look_around(struct request *req, const char *issuer, struct revoked *row, struct kt_jsonw *w,
                                unsigned *lists, struct kt_err *err)
{
    struct revoked *rows = NULL;
    size_t n = 0, stand = 0, dropped = 0;
    enum kt_kind kind = revoked_load(req, issuer, &rows, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++) {
        bool same = !rows[i].list && rows[i].ssh == row->ssh && strcmp(rows[i].serial, row->serial) == 0;
        bool ended = !rows[i].list && !same && rows[i].until_ms < req->now_ms;
        if (same) {
            row->revoked_ms = rows[i].revoked_ms;
            request_warn(req, "it was revoked before, by %s: that time stays, the reason is the new one", rows[i].by);
        } else if (rows[i].list) {
            bool stirred = false;
            kind = revoked_stir(req, issuer, rows[i].name, &stirred, err);
            if (stirred)
                kt_jsonw_text(w, rows[i].name);
            *lists += stirred;
        } else if (ended && dropped < DROPPED_MOST) {
            kind = revoked_drop(req, issuer, &rows[i], err);
            dropped++;
        }
        stand += !rows[i].list && !same && !ended;
    }
    if (kind == KT_OK && stand >= REVOKED_MOST)
        return kt_fail(err, KT_INVALID, "%u certificates of '%s' are revoked already: make a new authority",
                       REVOKED_MOST, issuer);
    return kind;
}

/* The lists to come are signed with the key that signed the certificate. */
static enum kt_kind keep_signer(struct request *req, const char *issuer, const struct revoked *row, struct kt_err *err)
{
    const struct mount *mount = NULL;
    const char *path = NULL;
    struct kv_secret *kv = NULL;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "revoking a certificate");
    enum kt_kind kind = secret_place(req, issuer, &mount, &path, err);
    if (kind == KT_OK)
        kind = kv_load(req->core, mount, req->snapshot, &req->arena, path, &kv, err);
    for (size_t i = 0; kind == KT_OK && i < kv->n_versions; i++) {
        struct kv_version *v = &kv->versions[i];
        if (v->number != row->signer || v->needed_until_ms >= row->until_ms)
            continue;
        v->needed_until_ms = row->until_ms;
        kind = kv_save(req->core, mount, batch, path, kv, err);
    }
    return kind;
}

static enum kt_kind revoke(struct request *req, const struct rotation_secret *secret,
                           const struct kv_version *version, struct kt_err *err)
{
    const char *issuer = secret->settings.gen_issuer;
    unsigned lists = 0;
    struct revoked row = {.name = secret->name,
                          .serial = "",
                          .authority = "",
                          .version = version->number,
                          .revoked_ms = req->now_ms,
                          .by = "",
                          .reason = ""};
    enum kt_kind kind = revoke_read(req, secret, version, &row, err);
    if (kind == KT_OK)
        kind = run_who(req, &row.by, err);
    if (kind == KT_OK)
        kind = run_reason(req, &row.reason, err);
    if (kind != KT_OK)
        return kind;
    if (row.until_ms < req->now_ms)
        return kt_fail(err, KT_INVALID, "that certificate has ended: nobody accepts it");
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "serial_number", row.serial);
    kt_jsonw_kv_text(&w, "issuer", issuer);
    kt_jsonw_kv_int(&w, "version", version->number);
    kt_jsonw_key(&w, "lists");
    kt_jsonw_array(&w);
    kind = look_around(req, issuer, &row, &w, &lists, err);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    if (kind == KT_OK && lists == 0)
        request_warn(req, "no secret holds a list of %s, so nobody is told: secretctl schedule set SECRET "
                          "generator.type=%s generator.issuer=%s", issuer, row.ssh ? "ssh-krl" : "x509-crl", issuer);
    if (kind == KT_OK && !row.ssh)
        kind = keep_signer(req, issuer, &row, err);
    return kind == KT_OK ? revoked_put(req, issuer, &row, err) : kind;
}

enum kt_kind revoke_write(struct request *req, struct kt_err *err)
{
    struct rotation_secret secret;
    const struct kv_version *version = NULL;
    enum kt_kind kind = secret_load_rotated(req, &secret, err);
    if (kind == KT_OK)
        kind = choose_version(req, &secret, &version, err);
    req->after_commit = wake_after;
    return kind == KT_OK ? revoke(req, &secret, version, err) : kind;
}
