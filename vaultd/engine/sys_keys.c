#include "vaultd/engine/sys.h"

#include "lib/duration.h"
#include "vaultd/core/autorotate.h"

static void rotated(struct request *req, const struct commit_result *result)
{
    barrier_rotate_done(req->core->barrier, req->staged, result->error == STORE_OK);
}

enum kt_kind sys_rotate(struct request *req, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "rotating the keyring");
    enum kt_kind kind = barrier_rotate(req->core->barrier, req->now_ms, batch, &req->staged, err);
    if (kind == KT_OK)
        req->after_commit = rotated;
    return kind;
}

enum kt_kind sys_key_status(struct request *req, struct kt_err *err)
{
    (void)err;
    struct barrier_status s;
    barrier_status(req->core->barrier, &s);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "encryptions", (int64_t)s.encryptions);
    kt_jsonw_kv_time(&w, "install_time", s.term_installed_ms);
    kt_jsonw_kv_int(&w, "term", s.term);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_rotate_config_read(struct request *req, struct kt_err *err)
{
    struct autorotate settings;
    generation changed = 0;
    enum kt_kind kind = autorotate_load(req, &settings, &changed, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "enabled", settings.enabled);
    if (settings.interval_s == 0) {
        kt_jsonw_kv_int(&w, "interval", 0);
    } else {
        char text[KT_DURATION_TEXT];
        kt_duration_text((uint64_t)settings.interval_s * 1000, text);
        kt_jsonw_kv_text(&w, "interval", text);
    }
    kt_jsonw_kv_int(&w, "max_operations", settings.max_operations);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_rotate_config_write(struct request *req, struct kt_err *err)
{
    struct autorotate settings;
    generation changed = 0;
    enum kt_kind kind = autorotate_load(req, &settings, &changed, err);
    if (kind != KT_OK)
        return kind;
    enum kt_kind kinds[] = {request_int(req, "max_operations", &settings.max_operations, err),
                            request_duration_s(req, "interval", &settings.interval_s, err),
                            request_bool(req, "enabled", &settings.enabled, err)};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i] != KT_OK && kinds[i] != KT_NOT_FOUND)
            return kinds[i];
    return autorotate_save(req, &settings, changed, err);
}
