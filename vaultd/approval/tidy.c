#include "vaultd/approval/tidy.h"

#include "vaultd/approval/approvals.h"

/* What was sent goes as soon as nobody can carry it out, what is known of it later. */
static enum kt_kind tidy_one(struct request *req, const struct approval *one, unsigned *done, struct kt_err *err)
{
    unsigned char key[APPROVAL_KEY], id[KT_UUID_BYTES];
    struct entry entry;
    int64_t ended_ms = one->ended_ms != 0 ? one->ended_ms : one->expires_ms;
    bool forgotten = ended_ms + APPROVAL_KEPT_MS < req->now_ms;
    if (approval_waits(one, req->now_ms) || !kt_uuid_parse(kt_str(one->id), id))
        return KT_OK;
    approval_key(id, 1, key);
    enum store_error found = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry);
    if (found != STORE_OK && found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "reading what waits for approval");
    if (!forgotten && found == STORE_NOT_FOUND)
        return KT_OK;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "tidying what waited for approval");
    if (forgotten)
        approval_remove(batch, one);
    else
        batch_delete(batch, kt_bytes(key, sizeof key));
    (*done)++;
    return KT_OK;
}

static enum kt_kind tidy(struct request *req, struct kt_err *err)
{
    struct approval_list all;
    unsigned done = 0;
    enum kt_kind kind = approvals_all(req, &all, err);
    for (size_t i = 0; kind == KT_OK && i < all.n && done < APPROVALS_TIDIED; i++)
        kind = tidy_one(req, &all.at[i], &done, err);
    return kind;
}

enum kt_kind approvals_tidy(struct core *core, struct kt_err *err)
{
    return request_internal(core, "sys/approvals/tidy", tidy, NULL, err);
}
