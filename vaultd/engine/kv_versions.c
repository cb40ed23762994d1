#include "lib/clock.h"
#include "vaultd/engine/kv_clear.h"
#include "vaultd/engine/kv_handlers.h"
#include "vaultd/engine/kv_record.h"
#include "vaultd/rotation/rotation.h"

#define DESTROY_MAX 60u /* records that the batch itself deletes; the others are a job's */

/* Deleting marks a time, undeleting takes it back, destroying throws the version's key away. */

static enum kt_kind save(struct request *req, struct kv_secret *secret, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing a secret's versions");
    return kv_save(req->core, req->mount, batch, request_param(req, "path"), secret, err);
}

static enum kt_kind refuse_needed(struct request *req, const struct kv_version *v, struct kt_err *err)
{
    char until[KT_TIME_TEXT];
    kt_time_text(v->needed_until_ms, until);
    (void)kt_fail(err, KT_INVALID, "version %u signed certificates that were revoked: until %s lists of them are "
                                   "signed with it", v->number, until);
    kt_hint(err, "which they are: secretctl certificate revoked %s%s", req->mount->path, request_param(req, "path"));
    return KT_INVALID;
}

static enum kt_kind check_not_in_use(struct request *req, const struct kv_secret *secret,
                                     const struct kv_version *v, struct kt_err *err)
{
    if (v->needed_until_ms >= req->now_ms)
        return refuse_needed(req, v, err);
    if (!secret->has_driver)
        return KT_OK;
    return rotation_allows(req, req->mount, request_param(req, "path"), secret, ROTATION_DELETE,
                           v->number, err);
}

static struct kv_version *find(struct kv_secret *secret, int64_t number)
{
    for (size_t i = 0; i < secret->n_versions; i++)
        if ((int64_t)secret->versions[i].number == number)
            return &secret->versions[i];
    return NULL;
}

/* One that is over by its time may not be so once the clock is set back. */
static void mark_deleted(const struct kv_secret *secret, struct kv_version *version, int64_t now_ms)
{
    if (!kv_version_deleted(secret, version, now_ms))
        version->deletion_ms = now_ms;
    version->deleted = true;
}

enum kt_kind kv_delete_latest(struct request *req, struct kt_err *err)
{
    struct kv_secret *secret = NULL;
    enum kt_kind kind = kv_load_named(req, &secret, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    struct kv_version *v = find(secret, secret->current);
    if (v == NULL || v->slot == 0 || v->deleted)
        return KT_OK;
    kind = check_not_in_use(req, secret, v, err);
    if (kind != KT_OK)
        return kind;
    mark_deleted(secret, v, req->now_ms);
    return save(req, secret, err);
}

typedef enum kt_kind version_fn(struct request *req, struct kv_secret *secret,
                                struct kv_version *version, unsigned *changed, struct kt_err *err);

/* none: what is said when the request names no version. */
static enum kt_kind each_version(struct request *req, version_fn *fn, const char *none, struct kt_err *err)
{
    int64_t *numbers = NULL;
    size_t n = 0;
    enum kt_kind kind = request_int_list(req, "versions", &numbers, &n, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && n == 0))
        return kt_fail(err, KT_INVALID, "%s", none);
    struct kv_secret *secret = NULL;
    if (kind == KT_OK)
        kind = kv_load_named(req, &secret, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    unsigned changed = 0;
    for (size_t i = 0; kind == KT_OK && i < n; i++) {
        struct kv_version *v = find(secret, numbers[i]);
        if (v != NULL)
            kind = fn(req, secret, v, &changed, err);
    }
    return kind == KT_OK && changed > 0 ? save(req, secret, err) : kind;
}

static enum kt_kind delete_one(struct request *req, struct kv_secret *secret,
                               struct kv_version *version, unsigned *changed, struct kt_err *err)
{
    if (version->slot == 0 || version->deleted)
        return KT_OK;
    enum kt_kind kind = check_not_in_use(req, secret, version, err);
    if (kind != KT_OK)
        return kind;
    mark_deleted(secret, version, req->now_ms);
    ++*changed;
    return KT_OK;
}

/* With "delete_version_after" its time begins anew. */
static enum kt_kind undelete_one(struct request *req, struct kv_secret *secret,
                                 struct kv_version *version, unsigned *changed, struct kt_err *err)
{
    if (!version->destroyed && version->slot == 0)
        request_warn(req, "Version %u stays deleted: it was deleted before the secret was brought here, and "
                          "its value did not come along.", version->number);
    if (version->slot == 0)
        return KT_OK;
    struct kv_settings settings;
    enum kt_kind kind =
        kv_settings_load(req->core, req->mount, req->snapshot, &settings, NULL, err);
    if (kind != KT_OK)
        return kind;
    int64_t deletion_ms = kv_deletion_time(secret, &settings, req->now_ms);
    *changed += version->deletion_ms != deletion_ms || version->deleted;
    version->deletion_ms = deletion_ms;
    version->deleted = false;
    return KT_OK;
}

static enum kt_kind destroy_one(struct request *req, struct kv_secret *secret,
                                struct kv_version *version, unsigned *changed, struct kt_err *err)
{
    if (version->destroyed)
        return KT_OK;
    uint32_t slot = version->slot;
    enum kt_kind kind = check_not_in_use(req, secret, version, err);
    if (kind == KT_OK)
        kind = kv_forget(version, err);
    if (kind != KT_OK)
        return kind;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "destroying versions");
    const char *path = request_param(req, "path");
    if (slot == 0) {
        /* there is no record to delete */
    } else if (*changed < DESTROY_MAX) {
        unsigned char key[KV_KEY];
        kv_key(req->core, req->mount, path, slot, key);
        batch_delete(batch, kt_bytes(key, sizeof key));
    } else if (*changed == DESTROY_MAX) {
        kind = kv_leave_job(req->core, req->mount, batch, path, err);
    }
    ++*changed;
    return kind;
}

#define NO_VERSION "No version number provided" /* Vault's texts, of destroying one with a small letter */

enum kt_kind kv_delete_versions(struct request *req, struct kt_err *err)
{
    return each_version(req, delete_one, NO_VERSION, err);
}

enum kt_kind kv_undelete(struct request *req, struct kt_err *err)
{
    return each_version(req, undelete_one, NO_VERSION, err);
}

enum kt_kind kv_destroy_versions(struct request *req, struct kt_err *err)
{
    return each_version(req, destroy_one, "no version number provided", err);
}
