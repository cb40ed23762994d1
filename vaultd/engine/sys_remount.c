#include "vaultd/core/mounts.h"
#include "vaultd/engine/sys.h"
#include "vaultd/fleet/fleet.h"

/* A path in the body, as mounts are keyed: no leading slash, one trailing slash. */
static enum kt_kind read_path(struct request *req, const char *name, const char **ret,
                              struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, name, &text, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    text += strspn(text, "/");
    size_t len = strlen(text);
    if (len == 0)
        return kt_fail(err, KT_INVALID, "both 'from' and 'to' path must be specified as a string");
    *ret = text[len - 1] == '/' ? text : kt_arena_printf(&req->arena, "%s/", text);
    return *ret == NULL ? kt_fail(err, KT_NO_MEMORY, "moving a mount") : KT_OK;
}

/* Agents ask for secrets by the name that their files have: they would look in the old place. */
static enum kt_kind check_not_used(struct request *req, const char *from, struct kt_err *err)
{
    const char *host = NULL;
    enum kt_kind kind = fleet_host_below(req, from, &host, err);
    if (kind != KT_OK || host == NULL)
        return kind;
    (void)kt_fail(err, KT_INVALID, "services on host \"%s\" use secrets in \"%s\" by this name", host,
                  from);
    kt_hint(err, "take them out first: DELETE fleet/consumers/HOST/SECRET; which: secretctl consumer "
                 "list HOST");
    return KT_INVALID;
}

enum kt_kind sys_remount(struct request *req, struct kt_err *err)
{
    const char *from = NULL, *to = NULL, *id = NULL;
    enum kt_kind kind = read_path(req, "from", &from, err);
    if (kind == KT_OK)
        kind = read_path(req, "to", &to, err);
    if (kind == KT_OK)
        kind = mounts_move(req, from, to, &id, err);
    if (kind == KT_OK)
        kind = check_not_used(req, from, err);
    if (kind != KT_OK)
        return kind;
    request_warn(req, "The move is done. Policies do not follow it: those that name paths below the old "
                      "path grant nothing here any more, those that name paths below the new one do now.");
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "migration_id", id);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_remount_status(struct request *req, struct kt_err *err)
{
    const struct mount_move *move = mounts_moved(req, request_param(req, "id"));
    if (move == NULL)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "migration_id", move->id);
    kt_jsonw_key(&w, "migration_info");
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "source_mount", move->from);
    kt_jsonw_kv_text(&w, "status", "success");
    kt_jsonw_kv_text(&w, "target_mount", move->to);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}
