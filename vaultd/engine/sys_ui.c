/* What Vault's command and its browser interface ask before they ask for something: which mount a path is
 * in, what a token can reach, what it may do there. */
#include "vaultd/core/mounts.h"
#include "vaultd/engine/sys.h"
#include "vaultd/engine/sys_mount.h"
#include "vaultd/policy/policies.h"
#include "vaultd/policy/rule.h"

enum kt_kind sys_acl_of(struct request *req, struct acl **ret, struct kt_err *err)
{
    *ret = NULL;
    return req->token == NULL ? KT_OK
                              : policies_acl(req->core, req->snapshot, req->token, ret, err);
}

enum kt_kind sys_ui_mount(struct request *req, struct kt_err *err)
{
    const char *path = mount_wanted(req), *rest = NULL;
    struct acl *acl = NULL;
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for a mount");
    enum kt_kind kind = sys_acl_of(req, &acl, err);
    if (kind != KT_OK)
        return kind;
    const struct mount *mount = mounts_find(req, path, &rest);
    bool touches = mount != NULL && acl != NULL && acl_touches(acl, mount->path);
    acl_unref(acl);
    /* Whether it is there is not told to whom it is none of their business. */
    if (!touches)
        return kt_fail(err, KT_DENIED,
                       "preflight capability check returned 403, please ensure client's policies "
                       "grant access to path \"%s\"",
                       path);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    mount_write_info(&w, mount, mount_short_path(mount));
    return KT_OK;
}

/* What a login form shows to who has no token yet. */
static void write_public(struct kt_jsonw *w, const struct mount *mount)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "description", mount->description);
    mount_write_options(w, mount);
    kt_jsonw_kv_text(w, "type", mount->type);
    kt_jsonw_end(w);
}

static void write_kind(struct request *req, struct kt_jsonw *w, const struct acl *acl, bool auth)
{
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
    kt_jsonw_key(w, auth ? "auth" : "secret");
    kt_jsonw_object(w);
    for (size_t i = 0; i < n; i++) {
        bool unauth = strcmp(all[i]->listing_visibility, "unauth") == 0;
        bool seen = unauth || (acl != NULL && acl_touches(acl, all[i]->path));
        if (mount_is_auth(all[i]) != auth || !seen)
            continue;
        kt_jsonw_key(w, mount_short_path(all[i]));
        if (acl != NULL)
            mount_write_info(w, all[i], NULL);
        else
            write_public(w, all[i]);
    }
    kt_jsonw_end(w);
}

enum kt_kind sys_ui_mounts(struct request *req, struct kt_err *err)
{
    struct acl *acl = NULL;
    enum kt_kind kind = sys_acl_of(req, &acl, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    write_kind(req, &w, acl, true);
    write_kind(req, &w, acl, false);
    kt_jsonw_end(&w);
    acl_unref(acl);
    return KT_OK;
}

/* They have no path that could be shown. */
static void warn_of_unfilled(struct request *req, const struct acl *acl)
{
    const struct rule *const *unfilled = NULL;
    size_t n = acl_unfilled(acl, &unfilled);
    for (size_t i = 0; i < n; i++)
        request_warn(req,
                     "policy %s denies \"%s\", which cannot be filled in for this token: every path that "
                     "it could be is refused, whatever stands here",
                     unfilled[i]->policy, unfilled[i]->pattern);
}

enum kt_kind sys_ui_acl(struct request *req, struct kt_err *err)
{
    struct acl *acl = NULL;
    enum kt_kind kind = sys_acl_of(req, &acl, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kind = acl_show(acl, &req->arena, &w, err);
    if (kind == KT_OK)
        warn_of_unfilled(req, acl);
    acl_unref(acl);
    return kind;
}
