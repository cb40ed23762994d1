#include "vaultd/engine/sys.h"

static void rotated(struct request *req, const struct commit_result *result)
{
    barrier_rotate_done(req->core->barrier, result->error == STORE_OK);
}

enum kt_kind sys_rotate(struct request *req, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "rotating the keyring");
    enum kt_kind kind = barrier_rotate(req->core->barrier, req->now_ms, batch, err);
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
