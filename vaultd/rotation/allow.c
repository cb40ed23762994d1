#include "vaultd/core/rows.h"
#include "vaultd/rotation/names.h"
#include "vaultd/rotation/rotation.h"
#include "vaultd/rotation/run.h"

/* What people may not do to a secret behind its rotation's back. */

static enum kt_kind refuse(const char *what, const struct rotation_secret *secret,
                           struct kt_err *err)
{
    char id[RUN_ID_TEXT];
    run_id_text(secret->run, id);
    (void)kt_fail(err, KT_INVALID, "KT-R-005 %s while run %s of '%s' is under way", what, id,
                  secret->name);
    kt_hint(err, "wait for it (secretctl run watch %s), or go back first: secretctl run cancel %s",
            id, id);
    return KT_INVALID;
}

static enum kt_kind refuse_delete(const struct rotation_secret *secret, const struct kv_secret *kv,
                                  uint32_t version, struct kt_err *err)
{
    const struct kv_version *v = kv_version(kv, version);
    if (v == NULL || !kv_in_use(kv, v))
        return KT_OK;
    if (secret->active)
        return refuse("the version cannot be deleted", secret, err);
    (void)kt_fail(err, KT_INVALID, "KT-R-005 version %u may be the one that the target accepts",
                  version);
    if (version != kv->current) {
        kt_hint(err, "no run is about it any more, as where one was given up: to let it go end the rotation: secretctl "
                     "schedule remove %s",
                secret->name);
        return KT_INVALID;
    }
    kt_hint(err, "rotate it away first (secretctl rotate %s), or end its rotation: secretctl "
                 "schedule remove %s",
            secret->name, secret->name);
    return KT_INVALID;
}

/* No run may start between this look and the commit: it would rotate another version than is there. */
static enum kt_kind allow_write(struct request *req, const struct rotation_secret *secret,
                                struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct batch *batch = request_batch(req);
    if (secret->active)
        return refuse("the secret cannot be written", secret, err);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "asking a secret's rotation");
    secret_key(req->core, secret->mount->scope, secret->path, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), secret->changed);
    request_warn(req, "the target was not told: this value is tested by the next rotation");
    return KT_OK;
}

enum kt_kind rotation_allows(struct request *req, const struct mount *mount, const char *path,
                             const struct kv_secret *secret, enum rotation_change change,
                             uint32_t version, struct kt_err *err)
{
    const char *name = kt_arena_printf(&req->arena, "%s%s", mount->path, path);
    if (name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "asking a secret's rotation");
    struct rotation_secret rotation;
    enum kt_kind kind = secret_load(req, name, &rotation, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    switch (change) {
    case ROTATION_WRITE:
        return allow_write(req, &rotation, err);
    case ROTATION_DELETE:
        return refuse_delete(&rotation, secret, version, err);
    case ROTATION_METADATA:
        if (rotation.active)
            return refuse("the secret cannot be removed", &rotation, err);
        (void)kt_fail(err, KT_INVALID, "KT-R-005 '%s' is rotated by the vault", name);
        kt_hint(err, "end its rotation first: secretctl schedule remove %s", name);
        return KT_INVALID;
    }
    return KT_OK;
}

enum kt_kind rotation_in_mount(struct request *req, const struct mount *mount, bool *ret, struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    struct rows rows;
    secrets_prefix(req->core, mount->scope, prefix);
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "looking for what is rotated");
    *ret = rows_next(&rows);
    return rows_end(&rows, KT_OK, err);
}
