/* Seals that open by themselves: sys/seals. What they are is vaultd/barrier/seals.h. */
#include "vaultd/engine/sys.h"

#include "lib/uuid.h"
#include "vaultd/barrier/seals.h"
#include "vaultd/core/autounseal.h"

enum kt_kind sys_seals_read(struct request *req, struct kt_err *err)
{
    (void)err;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    autounseal_write(req->core, &w);
    kt_jsonw_end(&w);
    return KT_OK;
}

static void changed(struct request *req, const struct commit_result *result)
{
    bool done = result->error == STORE_OK;
    barrier_seals_changed(req->core->barrier, done ? req->handler_data : NULL);
    if (done)
        autounseal_forget(req->core, request_param(req, "name"));
}

struct seal_change {
    const char *name;
    struct batch *batch;
    struct seal_record *record; /* as it is to be; outlives the commit */
};

static enum kt_kind begin(struct request *req, struct seal_change *ret, struct kt_err *err)
{
    *ret = (struct seal_change){request_param(req, "name"), request_batch(req),
                           kt_arena_take(&req->arena, sizeof *ret->record)};
    if (ret->batch == NULL || ret->record == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing the seals");
    req->handler_data = ret->record;
    if (kt_credential_name_ok(ret->name))
        return KT_OK;
    return kt_fail(err, KT_INVALID,
                   "a credential's name is 1 to %u letters, digits, '-', '_' and '.', which is not the first",
                   KT_CREDENTIAL_NAME - 1);
}

static void write_made(struct request *req, const struct seal_more *made)
{
    char id[KT_UUID_TEXT];
    kt_uuid_text(made->id, id);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "type", "credential");
    kt_jsonw_kv_text(&w, "name", made->name);
    kt_jsonw_kv_text(&w, "id", id);
    kt_jsonw_kv_time(&w, "made", made->made_ms);
    kt_jsonw_end(&w);
}

/* What is wrong with the credential is the request's fault, not its path's or its token's. */
static enum kt_kind read_key(struct request *req, const char *name, struct kt_secret **ret, struct kt_err *err)
{
    enum kt_kind kind = autounseal_read(req->core, name, ret, err);
    return kind == KT_NOT_FOUND || kind == KT_DENIED ? (err->kind = KT_INVALID) : kind;
}

enum kt_kind sys_seals_write(struct request *req, struct kt_err *err)
{
    struct seal_change change;
    kt_autosecret struct kt_secret *key = NULL;
    enum kt_kind kind = begin(req, &change, err);
    if (kind == KT_OK)
        kind = read_key(req, change.name, &key, err);
    if (kind == KT_OK)
        kind = barrier_seal_put(req->core->barrier, req->snapshot, change.name, key, req->now_ms, change.batch,
                                change.record, err);
    if (kind != KT_OK)
        return kind;
    req->after_commit = changed;
    const struct seal_more *made = seal_record_find(change.record, change.name);
    if (made->made_ms < req->now_ms)
        request_warn(req, "the credential is the one that it had: the seal stays as old as it was");
    write_made(req, made);
    return KT_OK;
}

enum kt_kind sys_seals_delete(struct request *req, struct kt_err *err)
{
    struct seal_change change;
    enum kt_kind kind = begin(req, &change, err);
    if (kind == KT_OK)
        kind = barrier_seal_drop(req->snapshot, change.name, change.batch, change.record, err);
    if (kind == KT_OK)
        req->after_commit = changed;
    return kind;
}
