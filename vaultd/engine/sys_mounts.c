#include "vaultd/core/mounts.h"
#include "vaultd/engine/sys.h"
#include "vaultd/engine/sys_mount.h"

/* ---- reading ---- */

static void write_table(struct request *req, struct kt_jsonw *w, bool auth)
{
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
    kt_jsonw_object(w);
    for (size_t i = 0; i < n; i++) {
        if (mount_is_auth(all[i]) != auth)
            continue;
        kt_jsonw_key(w, mount_short_path(all[i]));
        mount_write_info(w, all[i], NULL);
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

enum kt_kind sys_mounts_read(struct request *req, struct kt_err *err)
{
    const char *path = mount_wanted(req);
    const struct mount *mount = path == NULL ? NULL : mount_exactly(req, path);
    if (mount == NULL || mount_is_auth(mount))
        return kt_fail(err, KT_INVALID, "No secret engine mount at %s", path == NULL ? "" : path);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    mount_write_info(&w, mount, NULL);
    return KT_OK;
}

/* ---- changing ---- */

/* Other names of a type, and the version that they imply. */
static const struct {
    const char *alias, *type, *version;
} aliases[] = {
    {"generic", "kv", NULL},
    {"kv-v1", "kv", "1"},
    {"kv-v2", "kv", "2"},
};

static enum kt_kind check_type(const struct mount *wish, struct kt_err *err)
{
    static const char *const once[] = {"system", "token", "cubbyhole", "identity", "rotation",
                                       "fleet"};
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        if (strcmp(wish->type, once[i]) == 0)
            return kt_fail(err, KT_INVALID, "mount type of \"%s\" is not mountable", once[i]);
    if (wish->version != NULL && strcmp(wish->type, "kv") != 0)
        return kt_fail(err, KT_INVALID, "options.version is only for kv");
    return KT_OK;
}

static enum kt_kind read_type(struct request *req, struct mount *wish, struct kt_err *err)
{
    enum kt_kind kind = request_string(req, "type", &wish->type, err);
    if (kind == KT_OK && strcmp(wish->type, "plugin") == 0)
        kind = request_string(req, "plugin_name", &wish->type, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && wish->type[0] == '\0'))
        return kt_fail(err, KT_INVALID, "backend type must be specified as a string");
    if (kind == KT_OK)
        kind = mount_read_version(req, &wish->version, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcmp(wish->type, aliases[i].alias) == 0) {
            wish->type = aliases[i].type;
            wish->version = aliases[i].version != NULL ? aliases[i].version : wish->version;
        }
    return check_type(wish, err);
}

/* The settings of a new mount stand one level deeper than those of a tuned one. */
static enum kt_kind read_config(struct request *req, struct mount *wish, struct kt_err *err)
{
    const struct kt_json whole = req->data;
    struct kt_json config;
    if (request_member(req, "config", &config) != KT_OK || kt_json_type(config) == KT_JSON_NULL)
        return KT_OK;
    if (kt_json_type(config) != KT_JSON_OBJECT)
        return kt_fail(err, KT_INVALID, "\"config\" must be an object");
    req->data = config;
    enum kt_kind kind = mount_read_settings(req, wish, err);
    req->data = whole;
    return kind;
}

enum kt_kind sys_mount_enable(struct request *req, const char *path, struct kt_err *err)
{
    struct mount wish = {.path = path,
                         .description = "",
                         .listing_visibility = "",
                         .token_type = ""};
    enum kt_kind kind = read_type(req, &wish, err);
    if (kind == KT_OK)
        kind = mount_read_description(req, &wish, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_bool(req, "local", &wish.local, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_bool(req, "seal_wrap", &wish.seal_wrap, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = read_config(req, &wish, err);
    return kind == KT_OK ? mounts_add(req, &wish, err) : kind;
}

/* Below auth/ the routes of sys/auth ask for more. */
static bool is_auth(const char *path)
{
    return strncmp(path, "auth/", 5) == 0;
}

enum kt_kind sys_mounts_write(struct request *req, struct kt_err *err)
{
    const char *path = mount_wanted(req);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "adding a mount");
    if (is_auth(path))
        return kt_fail(err, KT_INVALID, "cannot mount under existing mount \"auth/\"");
    return sys_mount_enable(req, path, err);
}

enum kt_kind sys_mounts_delete(struct request *req, struct kt_err *err)
{
    const char *path = mount_wanted(req);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "removing a mount");
    if (is_auth(path))
        return kt_fail(err, KT_INVALID, "cannot unmount \"%s\"", path);
    return mounts_remove(req, path, err);
}
