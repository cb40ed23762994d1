/* sys/auth: the ways to log in, which are mounts below auth/. Their own routes, for whoever opens a way in
 * needs more than who mounts a secrets engine. */
#include "vaultd/core/mounts.h"
#include "vaultd/engine/sys.h"
#include "vaultd/engine/sys_mount.h"

const char *mount_wanted_auth(struct request *req)
{
    const char *path = mount_wanted(req);
    return path == NULL ? NULL : kt_arena_printf(&req->arena, "auth/%s", path);
}

enum kt_kind sys_auth_read(struct request *req, struct kt_err *err)
{
    const char *path = mount_wanted_auth(req);
    const struct mount *mount = path == NULL ? NULL : mount_exactly(req, path);
    if (mount == NULL)
        return kt_fail(err, KT_INVALID, "No auth engine at %s", path == NULL ? "" : path + 5);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    mount_write_info(&w, mount, NULL);
    return KT_OK;
}

enum kt_kind sys_auth_write(struct request *req, struct kt_err *err)
{
    const char *path = mount_wanted_auth(req);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "enabling a way to log in");
    return sys_mount_enable(req, path, err);
}

enum kt_kind sys_auth_delete(struct request *req, struct kt_err *err)
{
    const char *path = mount_wanted_auth(req);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "disabling a way to log in");
    if (strcmp(path, "auth/token/") == 0)
        return kt_fail(err, KT_INVALID, "token credential backend cannot be disabled");
    return mounts_remove(req, path, err);
}
