#include "lib/num.h"
#include "vaultd/auth/token_ttl.h"
#include "vaultd/core/mounts.h"
#include "vaultd/engine/sys.h"
#include "vaultd/engine/sys_mount.h"

_Static_assert(MOUNT_LEASE_SYSTEM_S == TOKEN_TTL_SYSTEM_S, "one system, one default");

static const struct mount *tuned(struct request *req, struct kt_err *err)
{
    const char *path = mount_wanted(req);
    const struct mount *mount = path == NULL ? NULL : mount_exactly(req, path);
    if (mount == NULL)
        (void)kt_fail(err, KT_INVALID, "No secret engine mount at %s", path == NULL ? "" : path);
    return mount;
}

static const struct mount *tuned_auth(struct request *req, struct kt_err *err)
{
    const char *path = mount_wanted_auth(req);
    const struct mount *mount = path == NULL ? NULL : mount_exactly(req, path);
    if (mount == NULL)
        (void)kt_fail(err, KT_INVALID, "No auth engine at %s", path == NULL ? "" : path + 5);
    return mount;
}

static enum kt_kind show(struct request *req, const struct mount *mount)
{
    if (mount == NULL)
        return KT_INVALID;
    const struct mount_lease_ttl ttl = mount_lease_ttl(mount);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "default_lease_ttl", ttl.default_s);
    kt_jsonw_kv_text(&w, "description", mount->description);
    kt_jsonw_kv_bool(&w, "force_no_cache", mount->force_no_cache);
    kt_jsonw_kv_int(&w, "max_lease_ttl", ttl.max_s);
    mount_write_set(&w, mount);
    if (mount->version != NULL)
        mount_write_options(&w, mount);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_tune_read(struct request *req, struct kt_err *err)
{
    return show(req, tuned(req, err));
}

enum kt_kind sys_auth_tune_read(struct request *req, struct kt_err *err)
{
    return show(req, tuned_auth(req, err));
}

/* Of what is there and of what is wished: a mount of KV that says no version has version 1. */
static int64_t version_number(const char *text)
{
    int64_t number = 0;
    if (text == NULL)
        return 1;
    return kt_i64_parse(kt_str(text), 0, INT64_MAX, &number) ? number : -1;
}

/* Policies name whole paths, and those of version 2 begin otherwise: a deny on MOUNT/x stops denying. So who
 * may change a mount's settings may not do this by that alone. */
static enum kt_kind check_sudo(const struct request *req, struct kt_err *err)
{
    if (req->sudo)
        return KT_OK;
    (void)kt_fail(err, KT_DENIED, "upgrading a mount to version 2 needs \"sudo\" on this path: policies do not "
                                  "follow it, and a deny on a path in it would deny nothing any more");
    kt_hint(err, "have it done by somebody with sudo, after the policies: secretctl policy lint");
    return KT_DENIED;
}

/* A mount of version 1 keeps its secrets as version 2 keeps a first version: so it is upgraded when the
 * table says so, and nobody waits. There is no way back: what has two versions has no one value. */
static enum kt_kind read_version(struct request *req, struct mount *wish, struct kt_err *err)
{
    const char *wanted = NULL;
    enum kt_kind kind = mount_read_version(req, &wanted, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    if (strcmp(wish->type, "kv") != 0)
        return kt_fail(err, KT_INVALID, "options.version is only for kv");
    int64_t before = version_number(wish->version), after = version_number(wanted);
    if (after < 1 || after > 2)
        return kt_fail(err, KT_INVALID, "options.version must be 1 or 2");
    if (after < before)
        return kt_fail(err, KT_INVALID, "cannot downgrade mount from version %lld",
                       (long long)before);
    if (after > before && check_sudo(req, err) != KT_OK)
        return KT_DENIED;
    if (after > before) {
        request_warn(req, "Upgrading mount from version %lld to version %lld. It is done: each secret "
                          "is the first version of itself, and is read below data/.",
                     (long long)before, (long long)after);
        request_warn(req, "Policies do not follow it: paths in it now begin with data/ or metadata/; a "
                          "deny that does not say so denies nothing. sys/policies/lint finds them.");
    }
    wish->version = after == 2 ? "2" : "1";
    return KT_OK;
}

static bool same_list(const struct string_list *a, const struct string_list *b)
{
    for (size_t i = 0; i < a->n && a->n == b->n; i++)
        if (strcmp(a->at[i], b->at[i]) != 0)
            return false;
    return a->n == b->n;
}

/* What sys/auth/PATH/tune wants sudo for is no less under the mount's other path: a list can put passwords
 * into the audit log in clear, a life time keeps tokens alive. */
static enum kt_kind check_auth(const struct request *req, const struct mount *old, const struct mount *wish,
                               struct kt_err *err)
{
    bool same = old->default_lease_ttl_s == wish->default_lease_ttl_s &&
                old->max_lease_ttl_s == wish->max_lease_ttl_s && strcmp(old->token_type, wish->token_type) == 0 &&
                strcmp(old->listing_visibility, wish->listing_visibility) == 0;
    for (size_t i = 0; i < MOUNT_LISTS; i++)
        same = same && same_list(&old->lists[i], &wish->lists[i]);
    if (same || req->sudo || strncmp(old->path, "auth/", 5) != 0)
        return KT_OK;
    (void)kt_fail(err, KT_DENIED, "changing more than the description of a way to log in needs \"sudo\" on this path");
    kt_hint(err, "have it done by somebody with sudo: secretctl auth tune");
    return KT_DENIED;
}

static enum kt_kind change(struct request *req, const struct mount *mount, struct kt_err *err)
{
    if (mount == NULL)
        return KT_INVALID;
    struct mount wish = *mount;
    enum kt_kind kind = mount_read_description(req, &wish, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = mount_read_settings(req, &wish, err);
    if (kind == KT_OK)
        kind = read_version(req, &wish, err);
    if (kind == KT_OK)
        kind = check_auth(req, mount, &wish, err);
    return kind == KT_OK ? mounts_tune(req, &wish, err) : kind;
}

enum kt_kind sys_tune_write(struct request *req, struct kt_err *err)
{
    return change(req, tuned(req, err), err);
}

enum kt_kind sys_auth_tune_write(struct request *req, struct kt_err *err)
{
    return change(req, tuned_auth(req, err), err);
}
