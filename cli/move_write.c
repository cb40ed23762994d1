/* cli/move_write.c - see cli/move_write.h. */
#include "cli/move_write.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/jsonw.h"

#define PATH_MAX_LEN (KT_API_PATH_MAX + 512u)
#define BODY_MAX     ((size_t)64 * 1024)

static bool has(struct kt_json list, const char *name)
{
    struct kt_json_iter it = kt_json_iter(list);
    while (kt_json_next(&it))
        if (kt_json_is(it.value, name))
            return true;
    return false;
}

static enum kt_kind capabilities(struct kt_api *api, const char *path, struct kt_api_reply *reply, struct kt_json *ret,
                                 struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "paths");
    kt_jsonw_array(&w);
    kt_jsonw_text(&w, path);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    *ret = (struct kt_json){0};
    if (!kt_buf_ok(&body))
        return kt_fail(err, KT_NO_MEMORY, "asking for capabilities");
    enum kt_kind kind = move_post(api, kt_buf_bytes(&body), reply, err, "sys/capabilities-self");
    if (kind == KT_OK && !kt_json_member(reply->data, "capabilities", ret))
        return kt_fail(err, KT_CORRUPT, "the answer has no \"capabilities\"");
    return kind;
}

static enum kt_kind may(struct kt_api *api, const char *path, const char *what, unsigned flags, struct kt_err *err)
{
    bool sudo = (flags & MOVE_SUDO) != 0, either = (flags & MOVE_EITHER) != 0;
    struct kt_json list = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    enum kt_kind kind = capabilities(api, path, &reply, &list, err);
    if (kind != KT_OK)
        return kind;
    if (has(list, "root") || ((has(list, what) || (either && has(list, "create"))) && (!sudo || has(list, "sudo"))))
        return KT_OK;
    (void)kt_fail(err, KT_DENIED, "permission denied");
    kt_hint(err, "a policy has to grant %s%s on %s", what, sudo ? " and sudo" : "", path);
    return KT_DENIED;
}

enum kt_kind move_write(const struct move_run *run, struct kt_api *api, unsigned flags, struct kt_bytes body,
                        struct kt_err *err, const char *format, ...)
{
    char path[PATH_MAX_LEN];
    va_list args;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    va_start(args, format);
    int n = vsnprintf(path, sizeof path, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof path)
        return kt_fail(err, KT_INVALID, "the path is too long");
    if (run->dry)
        return may(api, path, (flags & MOVE_MAKES) != 0 ? "create" : "update", flags, err);
    struct kt_api_request request = {.method = "POST", .path = path, .body = body};
    enum kt_kind kind = move_call(api, &request, &reply, err);
    if (kind == KT_UNKNOWN && (flags & MOVE_AGAIN) != 0)
        kind = move_call(api, &request, &reply, err);
    return kind;
}

enum kt_kind move_remove(const struct move_run *run, struct kt_api *api, const char *path, struct kt_err *err)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (run->dry)
        return may(api, path, "delete", 0, err);
    struct kt_api_request request = {.method = "DELETE", .path = path};
    return move_call(api, &request, &reply, err);
}

/* ---- what would be there ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum kt_kind move_will(struct move_run *run, const char *kind_of, const char *id, struct kt_err *err)
{
    char *key = NULL;
    if (!run->dry || move_would(run, kind_of, id))
        return KT_OK;
    if (asprintf(&key, "%s/%s", kind_of, id) < 0)
        return kt_fail(err, KT_NO_MEMORY, "keeping what would be there");
    if (tsearch(key, &run->coming, by_text) != NULL)
        return KT_OK;
    free(key);
    return kt_fail(err, KT_NO_MEMORY, "keeping what would be there");
}

bool move_would(const struct move_run *run, const char *kind_of, const char *id)
{
    char key[PATH_MAX_LEN];
    int n = snprintf(key, sizeof key, "%s/%s", kind_of, id);
    return n > 0 && (size_t)n < sizeof key && tfind(key, &run->coming, by_text) != NULL;
}
