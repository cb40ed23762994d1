#include "vaultd/rotation/issue.h"

/* The secret that signs. */

#define VALUE_MAX ((size_t)1024 * 1024)

enum kt_kind issuer_permit(struct request *req, const char *name, bool authority, struct kt_err *err)
{
    const char *path = kt_arena_printf(&req->arena, "rotation/%s/%s", authority ? "authorities" : "issuers", name);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "asking the policies");
    return request_also(req, OP_UPDATE, path, err);
}

static enum kt_kind take(struct request *req, struct kt_json object, const char *name,
                         struct kt_bytes *ret, struct kt_err *err)
{
    struct kt_json value = {0};
    *ret = kt_bytes(NULL, 0);
    if (!kt_json_member(object, name, &value) || kt_json_type(value) != KT_JSON_STRING)
        return KT_OK;
    const char *text = kt_json_text(value, &req->arena);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading an issuer");
    *ret = kt_str(text);
    return KT_OK;
}

/* The chain's root stands in a member of its own. */
static enum kt_kind join_root(struct request *req, struct kt_json object, struct issuer *issuer,
                              struct kt_err *err)
{
    struct kt_bytes root;
    enum kt_kind kind = take(req, object, "root_certificate", &root, err);
    if (kind != KT_OK || root.len == 0)
        return kind;
    const char *both = kt_arena_printf(&req->arena, "%.*s\n%s", (int)issuer->chain.len,
                                       (const char *)issuer->chain.at, (const char *)root.at);
    if (both == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading an issuer");
    issuer->chain = kt_str(both);
    return KT_OK;
}

/* What is no text is no key either, but somebody meant it for one. */
static enum kt_kind take_key(struct request *req, struct kt_json object, struct issuer *issuer, struct kt_err *err)
{
    struct kt_json value = {0};
    if (kt_json_member(object, "private_key", &value) && kt_json_type(value) != KT_JSON_NULL &&
        kt_json_type(value) != KT_JSON_STRING)
        return kt_fail(err, KT_INVALID, "its private_key is no text");
    return take(req, object, "private_key", &issuer->key, err);
}

/* Without a key ret->key is empty. */
static enum kt_kind read_version(struct request *req, const struct rotation_secret *place,
                                 const struct kv_version *version, struct issuer *ret,
                                 struct kt_err *err)
{
    kt_autobuf struct kt_buf value;
    kt_buf_init(&value, VALUE_MAX);
    enum kt_kind kind =
        kv_value(req->core, place->mount, req->snapshot, place->path, version, &value, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "version %u of the issuer '%s' is gone",
                       version == NULL ? 0 : version->number, ret->name);
    if (kind != KT_OK)
        return kind;
    struct kt_json object = kt_json_value(kt_buf_bytes(&value));
    ret->version = version->number;
    kind = take_key(req, object, ret, err);
    if (kind == KT_OK)
        kind = take(req, object, "certificate", &ret->certificate, err);
    if (kind == KT_OK)
        kind = take(req, object, "ca_chain", &ret->chain, err);
    if (kind == KT_OK)
        kind = join_root(req, object, ret, err);
    return kind;
}

static const struct kv_version *before(const struct request *req, const struct kv_secret *kv,
                                       const struct kv_version *now)
{
    const struct kv_version *found = NULL;
    for (size_t i = 0; i < kv->n_versions; i++) {
        const struct kv_version *v = &kv->versions[i];
        if (v->number < now->number && !kv_version_deleted(kv, v, req->now_ms))
            found = v;
    }
    return found;
}

/* A new authority is shown to those who will have to trust it before it signs. */
static const struct kv_version *signing(struct request *req, const struct rotation_secret *place,
                                        const struct kv_secret *kv)
{
    const struct kv_version *now = kv_version(kv, kv->current);
    int64_t wait_ms = place->settings.propagation_s * 1000;
    if (now == NULL || now->created_ms + wait_ms <= req->now_ms)
        return now;
    const struct kv_version *old = before(req, kv, now);
    return old == NULL ? now : old;
}

static enum kt_kind find(struct request *req, const char *name, struct rotation_secret *ret,
                         struct kv_secret **ret_kv, struct kt_err *err)
{
    enum kt_kind kind = secret_load(req, name, ret, err);
    if (kind == KT_OK || (kind == KT_NOT_FOUND && ret->mount != NULL))
        kind = kv_load(req->core, ret->mount, req->snapshot, &req->arena, ret->path, ret_kv, err);
    if (kind != KT_NOT_FOUND && (kind != KT_OK || (*ret_kv)->current != 0))
        return kind;
    (void)kt_fail(err, KT_INVALID, "the issuer '%s' has no version to sign with", name);
    kt_hint(err, "make it first: secretctl schedule set %s generator.type=x509-ca, then secretctl rotate %s", name,
            name);
    return KT_INVALID;
}

enum kt_kind issuer_load(struct request *req, const char *name, struct issuer *ret, struct kt_err *err)
{
    struct rotation_secret place = {.mount = NULL};
    struct kv_secret *kv = NULL;
    *ret = (struct issuer){.name = name};
    enum kt_kind kind = find(req, name, &place, &kv, err);
    if (kind == KT_OK)
        kind = read_version(req, &place, signing(req, &place, kv), ret, err);
    if (kind != KT_OK || ret->key.len > 0)
        return kind;
    return kt_fail(err, KT_INVALID, "version %u of the issuer '%s' has no text member \"private_key\"",
                   ret->version, ret->name);
}

/* It stands in the way of all the others: whoever reads of it has to know which one. */
static enum kt_kind name_version(const struct issuer *issuer, enum kt_kind kind, struct kt_err *err)
{
    if (kind != KT_INVALID)
        return kind;
    kt_context(err, "version %u of the issuer '%s'", issuer->version, issuer->name);
    if (err != NULL && err->hint[0] == '\0')
        kt_hint(err, "if it never signed anything: secretctl kv delete -versions=%u %s", issuer->version, issuer->name);
    return kind;
}

enum kt_kind issuer_each(struct request *req, const char *name, issuer_visit *visit, void *arg,
                         struct kt_err *err)
{
    struct rotation_secret place = {.mount = NULL};
    struct kv_secret *kv = NULL;
    enum kt_kind kind = find(req, name, &place, &kv, err);
    for (size_t i = 0; kind == KT_OK && i < kv->n_versions; i++) {
        struct issuer issuer = {.name = name};
        const struct kv_version *v = &kv->versions[i];
        if (kv_version_deleted(kv, v, req->now_ms))
            continue;
        kind = read_version(req, &place, v, &issuer, err);
        if (kind == KT_OK && issuer.key.len > 0)
            kind = visit(arg, &issuer, err);
        kind = name_version(&issuer, kind, err);
    }
    return kind;
}
