/* cli/move_put.c - see cli/move_put.h. */
#include "cli/move_put.h"

#include "cli/cli.h"
#include "cli/move_write.h"
#include "lib/jsonw.h"

#define BODY_MAX ((size_t)4 * 1024 * 1024)

bool move_put_place(struct move_run *run, const char *path, struct kt_api_mount *ret)
{
    struct kt_err err = {0};
    enum kt_kind kind = kt_api_mount_of(run->destination, path, ret, &err);
    if (kind == KT_OK)
        return true;
    if (kind == KT_DENIED && strstr(err.what, "invalid token") == NULL) {
        (void)kt_fail(&err, kind, "there is no KV mount for '%.200s' that this token may see", path);
        kt_hint(&err, "secretctl secrets list; secretctl secrets enable -path=NAME kv-v2");
    }
    (void)cli_fail(run->cli, &err);
    run->cli->exit_code = cli_remote_code(run->cli);
    return false;
}

/* What is there now, and the version to replace. KT_NOT_FOUND: nothing, or it is deleted. */
static enum kt_kind current(struct move_run *run, const struct kt_api_mount *mount, const char *inside,
                            struct kt_api_reply *reply, struct kt_json *ret_data, int64_t *ret_version,
                            struct kt_err *err)
{
    struct kt_json metadata = {0};
    *ret_version = 0;
    enum kt_kind kind = move_get(run->destination, reply, err, "%s%s%s", mount->path,
                                 mount->version == 2 ? "data/" : "", inside);
    *ret_data = reply->data;
    if (mount->version != 2)
        return kind;
    if (kt_json_member(reply->data, "metadata", &metadata))
        (void)kt_api_i64(metadata, "version", ret_version);
    if (kind == KT_OK && !kt_json_member(reply->data, "data", ret_data))
        return kt_fail(err, KT_CORRUPT, "the answer has no \"data\"");
    return kind;
}

static enum kt_kind write_value(struct move_run *run, const struct kt_api_mount *mount, const char *inside,
                                struct kt_bytes object, int64_t version, struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    if (mount->version != 2)
        return move_write(run, run->destination, MOVE_EITHER, object, err, "%s%s", mount->path, inside);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "options");
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "cas", version);
    kt_jsonw_end(&w);
    kt_jsonw_kv_raw(&w, "data", object);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&body))
        return kt_fail(err, KT_TOO_LARGE, "it is too large for a secret");
    return move_write(run, run->destination, MOVE_EITHER, kt_buf_bytes(&body), err, "%sdata/%s", mount->path, inside);
}

static enum kt_kind put(struct move_run *run, const struct kt_api_mount *mount, const char *inside,
                        struct kt_bytes object, bool *ret_wrote, struct kt_err *err)
{
    struct kt_json data = {0};
    int64_t version = 0;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    enum kt_kind kind = current(run, mount, inside, &reply, &data, &version, err);
    if (kind == KT_OK && kt_json_equal(data, kt_json_value(object)))
        return KT_OK;
    if (kind == KT_OK && !run->replace) {
        (void)kt_fail(err, KT_CONFLICT, "another value is there already");
        kt_hint(err, mount->version == 2 ? "-replace makes this one the newest version" : "-replace writes over it");
        return KT_CONFLICT;
    }
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    *ret_wrote = true;
    return write_value(run, mount, inside, object, version, err);
}

void move_put(struct move_run *run, const struct kt_api_mount *mount, const char *path, struct kt_bytes object)
{
    struct kt_err err = {0};
    bool wrote = false;
    size_t len = strlen(mount->path);
    if (move_stopped(run))
        return;
    enum kt_kind kind = strncmp(path, mount->path, len) == 0 && path[len] != '\0'
                            ? put(run, mount, path + len, object, &wrote, &err)
                            : kt_fail(&err, KT_INVALID, "it is not inside the mount %s", mount->path);
    if (kind == KT_UNKNOWN) /* what is there tells whether it was done */
        kind = put(run, mount, path + len, object, &wrote, &err);
    if (kind != KT_OK)
        move_refused(run, path, &err);
    else
        move_add(run, wrote ? MOVE_TAKEN : MOVE_SAME, 1);
}
