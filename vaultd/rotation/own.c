#include "vaultd/rotation/own.h"

#include "vaultd/core/mounts.h"
#include "vaultd/rotation/secret.h"

/* Which credential an account means, and the rights to it. */

bool own_is(const char *driver)
{
    const struct driver_info *info = kt_driver_info(driver);
    return info != NULL && info->inside;
}

enum kt_kind own_rotates(struct request *req, const struct rotation_secret *secret, bool *ret, struct kt_err *err)
{
    struct rotation_target target;
    *ret = false;
    if (!settings_has_target(&secret->settings))
        return KT_OK;
    enum kt_kind kind = target_load(req, secret->settings.target, &target, err);
    *ret = kind == KT_OK && own_is(target.driver);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static const struct own_kind *const kinds[] = {&own_secret_id, &own_token};
#define KINDS (sizeof kinds / sizeof kinds[0])

enum kt_kind own_find(struct request *req, const char *account, struct own_place *ret, struct kt_err *err)
{
    const char *rest = NULL;
    const struct mount *mount = mounts_find(req, account, &rest);
    for (size_t i = 0; mount != NULL && i < KINDS; i++) {
        size_t len = strlen(kinds[i]->below);
        if (strcmp(mount->type, kinds[i]->mount_type) != 0 || strncmp(rest, kinds[i]->below, len) != 0 ||
            rest[len] == '\0' || strchr(rest + len, '/') != NULL)
            continue;
        *ret = (struct own_place){.kind = kinds[i], .mount = mount, .role = rest + len};
        return KT_OK;
    }
    (void)kt_fail(err, KT_INVALID, "'%s' is nothing that this vault makes credentials of", account);
    kt_hint(err, "accounts=auth/approle/role/ROLE for secret ids of that role, accounts=auth/token/roles/ROLE for "
                 "tokens of that one");
    return KT_INVALID;
}

enum kt_kind own_permit(struct request *req, const char *account, struct kt_err *err)
{
    struct own_place place;
    enum kt_kind kind = own_find(req, account, &place, err);
    return kind == KT_OK ? place.kind->permit(req, &place, err) : kind;
}

enum kt_kind own_check(struct request *req, const char *account, int64_t *ret_life_s, struct kt_err *err)
{
    struct own_place place;
    enum kt_kind kind = own_find(req, account, &place, err);
    return kind == KT_OK ? place.kind->check(req, &place, ret_life_s, err) : kind;
}

enum kt_kind own_make(struct request *req, const char *account, const char *text, const char **ret_accessor,
                      struct kt_err *err)
{
    struct own_place place;
    enum kt_kind kind = own_find(req, account, &place, err);
    struct batch *batch = kind == KT_OK ? request_batch(req) : NULL;
    if (kind == KT_OK && batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a credential");
    if (kind == KT_OK) /* its mount is none of the request's */
        mounts_require_same(req, batch);
    return kind == KT_OK ? place.kind->make(req, &place, text, ret_accessor, err) : kind;
}
