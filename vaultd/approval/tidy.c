#include "vaultd/approval/tidy.h"

#include "vaultd/approval/approvals.h"

/* How many one commit tidied, and told people of; how many cannot be read. */
struct tidied {
    unsigned done, told, damaged;
};

/* What was sent goes as soon as nobody can carry it out, what is known of it later. */
static enum kt_kind tidy_one(struct request *req, const struct approval *one, struct tidied *tidied, struct kt_err *err)
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
    tidied->done++;
    /* It is there until its time is seen to be over: once. */
    if (found != STORE_OK || one->state != APPROVAL_WAITING)
        return KT_OK;
    tidied->told++;
    return approval_tell_expired(req, one, err);
}

static bool is_full(const struct tidied *tidied)
{
    return tidied->done == APPROVALS_TIDIED || tidied->told == APPROVALS_TOLD;
}

static enum kt_kind tidy(struct request *req, struct kt_err *err)
{
    struct tidied *tidied = req->handler_data;
    struct approval_list all;
    *tidied = (struct tidied){0};
    enum kt_kind kind = approvals_all(req, &all, err);
    for (size_t i = 0; kind == KT_OK && i < all.n && !is_full(tidied); i++)
        kind = tidy_one(req, &all.at[i], tidied, err);
    tidied->damaged = all.damaged;
    return kind;
}

enum kt_kind approvals_tidy(struct core *core, unsigned *ret_damaged, struct kt_err *err)
{
    struct tidied tidied = {.done = APPROVALS_TIDIED};
    enum kt_kind kind = KT_OK;
    for (unsigned i = 0; kind == KT_OK && is_full(&tidied) && i < APPROVALS_TIDYINGS; i++)
        kind = request_internal(core, "sys/approvals/tidy", tidy, &tidied, err);
    *ret_damaged = tidied.damaged;
    return kind;
}
