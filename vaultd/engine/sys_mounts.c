#include "lib/duration.h"
#include "vaultd/core/mounts.h"
#include "vaultd/engine/sys.h"
#include "vaultd/policy/policies.h"

#define SYSTEM_TTL_S 2764800 /* 768h */

/* ---- reading ---- */

static void write_options(struct kt_jsonw *w, const struct mount *mount)
{
    kt_jsonw_key(w, "options");
    if (mount->version == NULL) {
        kt_jsonw_null(w);
        return;
    }
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "version", mount->version);
    kt_jsonw_end(w);
}

static void write_info(struct kt_jsonw *w, const struct mount *mount, const char *path)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "accessor", mount->accessor);
    kt_jsonw_key(w, "config");
    kt_jsonw_object(w);
    kt_jsonw_kv_int(w, "default_lease_ttl", mount->default_lease_ttl_s);
    kt_jsonw_kv_bool(w, "force_no_cache", false);
    kt_jsonw_kv_int(w, "max_lease_ttl", mount->max_lease_ttl_s);
    kt_jsonw_end(w);
    kt_jsonw_kv_text(w, "deprecation_status", "supported");
    kt_jsonw_kv_text(w, "description", mount->description);
    kt_jsonw_kv_bool(w, "external_entropy_access", false);
    kt_jsonw_kv_bool(w, "local", mount->local);
    write_options(w, mount);
    if (path != NULL)
        kt_jsonw_kv_text(w, "path", path);
    kt_jsonw_kv_text(w, "plugin_version", "");
    kt_jsonw_kv_text(w, "running_plugin_version", "v" KT_VERSION "+builtin");
    kt_jsonw_kv_text(w, "running_sha256", "");
    kt_jsonw_kv_bool(w, "seal_wrap", mount->seal_wrap);
    kt_jsonw_kv_text(w, "type", mount->type);
    kt_jsonw_kv_text(w, "uuid", mount->uuid);
    kt_jsonw_end(w);
}

static bool is_auth(const struct mount *mount)
{
    return strncmp(mount->path, "auth/", 5) == 0;
}

static void write_table(struct request *req, struct kt_jsonw *w, bool auth)
{
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
    kt_jsonw_object(w);
    for (size_t i = 0; i < n; i++) {
        if (is_auth(all[i]) != auth)
            continue;
        kt_jsonw_key(w, all[i]->path + (auth ? 5 : 0));
        write_info(w, all[i], NULL);
    }
    kt_jsonw_end(w);
}

enum kt_kind sys_mounts_list(struct request *req, struct kt_err *err)
{
    (void)err;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    write_table(req, &w, false);
    return KT_OK;
}

enum kt_kind sys_auth_list(struct request *req, struct kt_err *err)
{
    (void)err;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    write_table(req, &w, true);
    return KT_OK;
}

/* The path parameter as mounts are keyed: no leading slash, one trailing slash. */
static const char *wanted_path(struct request *req)
{
    const char *path = request_param(req, "path");
    size_t len = strlen(path);
    if (len > 0 && path[len - 1] == '/')
        return path;
    return kt_arena_printf(&req->arena, "%s/", path);
}

static const struct mount *exactly(struct request *req, const char *path)
{
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i]->path, path) == 0)
            return all[i];
    return NULL;
}

enum kt_kind sys_mounts_read(struct request *req, struct kt_err *err)
{
    const char *path = wanted_path(req);
    const struct mount *mount = path == NULL ? NULL : exactly(req, path);
    if (mount == NULL || is_auth(mount))
        return kt_fail(err, KT_INVALID, "No secret engine mount at %s", path == NULL ? "" : path);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    write_info(&w, mount, NULL);
    return KT_OK;
}

/* ---- changing ---- */

static enum kt_kind member_of(struct request *req, const char *map, const char *name,
                              const char **ret)
{
    struct kt_json object, value;
    if (request_member(req, map, &object) != KT_OK || !kt_json_member(object, name, &value))
        return KT_NOT_FOUND;
    const char *text = kt_json_type(value) == KT_JSON_STRING
                           ? kt_json_text(value, &req->arena)
                           : kt_arena_text(&req->arena, kt_json_bytes(value));
    if (text == NULL)
        return KT_NO_MEMORY;
    *ret = text;
    return KT_OK;
}

/* "1h", "3600", "system" (back to the system's), "" (unchanged). */
static enum kt_kind parse_ttl(const char *name, const char *text, int64_t *ret, struct kt_err *err)
{
    if (text[0] == '\0')
        return KT_OK;
    if (strcmp(text, "system") == 0) {
        *ret = 0;
        return KT_OK;
    }
    uint64_t ms = 0;
    if (kt_duration_parse(kt_str(text), &ms, NULL) != KT_OK)
        return kt_fail(err, KT_INVALID, "%s is not a duration such as \"1h\"", name);
    *ret = (int64_t)(ms / 1000);
    return KT_OK;
}

static enum kt_kind read_ttls(struct request *req, struct mount_wish *wish, struct kt_err *err)
{
    const char *text = NULL;
    enum kt_kind kind = KT_OK;
    if (member_of(req, "config", "default_lease_ttl", &text) == KT_OK)
        kind = parse_ttl("default_lease_ttl", text, &wish->default_lease_ttl_s, err);
    if (kind == KT_OK && member_of(req, "config", "max_lease_ttl", &text) == KT_OK)
        kind = parse_ttl("max_lease_ttl", text, &wish->max_lease_ttl_s, err);
    return kind;
}

/* "kv" with options.version 2, or its alias "kv-v2". */
static enum kt_kind read_type(struct request *req, struct mount_wish *wish, struct kt_err *err)
{
    enum kt_kind kind = request_string(req, "type", &wish->type, err);
    if (kind == KT_OK && strcmp(wish->type, "plugin") == 0)
        kind = request_string(req, "plugin_name", &wish->type, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && wish->type[0] == '\0'))
        return kt_fail(err, KT_INVALID, "backend type must be specified as a string");
    if (kind != KT_OK)
        return kind;
    (void)member_of(req, "options", "version", &wish->version);
    if (strcmp(wish->type, "kv-v2") == 0) {
        wish->type = "kv";
        wish->version = "2";
    }
    static const char *const once[] = {"system", "token", "cubbyhole", "identity", "rotation",
                                       "fleet"};
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        if (strcmp(wish->type, once[i]) == 0)
            return kt_fail(err, KT_INVALID, "mount type of \"%s\" is not mountable", once[i]);
    if (wish->version != NULL && strcmp(wish->type, "kv") != 0)
        return kt_fail(err, KT_INVALID, "options.version is only for kv");
    return KT_OK;
}

enum kt_kind sys_mounts_write(struct request *req, struct kt_err *err)
{
    struct mount_wish wish = {.path = wanted_path(req), .description = ""};
    if (wish.path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "adding a mount");
    enum kt_kind kind = read_type(req, &wish, err);
    if (kind != KT_OK)
        return kind;
    if (strcmp(wish.type, "kv") == 0 &&
        (wish.version == NULL || strcmp(wish.version, "1") == 0)) {
        (void)kt_fail(err, KT_INVALID, "kv version 1 is not offered by this version");
        kt_hint(err, "mount version 2: {\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
        return KT_INVALID;
    }
    kind = request_string(req, "description", &wish.description, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_bool(req, "local", &wish.local, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_bool(req, "seal_wrap", &wish.seal_wrap, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = read_ttls(req, &wish, err);
    return kind == KT_OK ? mounts_add(req, &wish, err) : kind;
}

enum kt_kind sys_mounts_delete(struct request *req, struct kt_err *err)
{
    const char *path = wanted_path(req);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "removing a mount");
    return mounts_remove(req, path, err);
}

/* ---- tune ---- */

static const struct mount *tuned(struct request *req, struct kt_err *err)
{
    const char *path = wanted_path(req);
    const struct mount *mount = path == NULL ? NULL : exactly(req, path);
    if (mount == NULL)
        (void)kt_fail(err, KT_INVALID, "No secret engine mount at %s", path == NULL ? "" : path);
    return mount;
}

enum kt_kind sys_tune_read(struct request *req, struct kt_err *err)
{
    const struct mount *mount = tuned(req, err);
    if (mount == NULL)
        return KT_INVALID;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "default_lease_ttl",
                    mount->default_lease_ttl_s != 0 ? mount->default_lease_ttl_s : SYSTEM_TTL_S);
    kt_jsonw_kv_text(&w, "description", mount->description);
    kt_jsonw_kv_bool(&w, "force_no_cache", false);
    kt_jsonw_kv_int(&w, "max_lease_ttl",
                    mount->max_lease_ttl_s != 0 ? mount->max_lease_ttl_s : SYSTEM_TTL_S);
    if (mount->version != NULL)
        write_options(&w, mount);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_tune_write(struct request *req, struct kt_err *err)
{
    const struct mount *mount = tuned(req, err);
    if (mount == NULL)
        return KT_INVALID;
    struct mount_wish wish = {.description = mount->description,
                              .default_lease_ttl_s = mount->default_lease_ttl_s,
                              .max_lease_ttl_s = mount->max_lease_ttl_s};
    const char *text = NULL;
    if (member_of(req, "options", "version", &text) == KT_OK && mount->version != NULL &&
        strcmp(text, mount->version) != 0)
        return kt_fail(err, KT_INVALID, "cannot downgrade mount from version %s", mount->version);
    enum kt_kind kind = request_string(req, "description", &wish.description, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    kind = request_string(req, "default_lease_ttl", &text, err);
    if (kind == KT_OK)
        kind = parse_ttl("default_lease_ttl", text, &wish.default_lease_ttl_s, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    kind = request_string(req, "max_lease_ttl", &text, err);
    if (kind == KT_OK)
        kind = parse_ttl("max_lease_ttl", text, &wish.max_lease_ttl_s, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    return mounts_tune(req, mount->path, &wish, err);
}

/* ---- what Vault's command asks first ---- */

bool sys_may_touch(struct request *req, const struct mount *mount)
{
    struct acl *acl = NULL;
    if (req->token == NULL || policies_acl(req->core, req->snapshot, req->token, &acl, NULL) != KT_OK)
        return false;
    bool touches = acl_touches(acl, mount->path);
    acl_unref(acl);
    return touches;
}

enum kt_kind sys_ui_mount(struct request *req, struct kt_err *err)
{
    const char *path = wanted_path(req), *rest = NULL;
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for a mount");
    const struct mount *mount = mounts_find(req, path, &rest);
    if (mount == NULL || !sys_may_touch(req, mount))
        return kt_fail(err, KT_DENIED,
                       "preflight capability check returned 403, please ensure client's policies "
                       "grant access to path \"%s\"",
                       path);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    write_info(&w, mount, is_auth(mount) ? mount->path + 5 : mount->path);
    return KT_OK;
}

enum kt_kind sys_ui_mounts(struct request *req, struct kt_err *err)
{
    (void)err;
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    for (int auth = 1; auth >= 0; auth--) {
        kt_jsonw_key(&w, auth ? "auth" : "secret");
        kt_jsonw_object(&w);
        for (size_t i = 0; i < n; i++) {
            if (is_auth(all[i]) != (auth == 1) || !sys_may_touch(req, all[i]))
                continue;
            kt_jsonw_key(&w, all[i]->path + (auth ? 5 : 0));
            write_info(&w, all[i], NULL);
        }
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    return KT_OK;
}
