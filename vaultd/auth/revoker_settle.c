#include "vaultd/auth/revoker_own.h"

#define LANES     8u
#define EACH_LANE 16u /* times LEASED_COSTS: what a batch holds */

/* One flight's end, into the request's batch. A lease that is not there any more was forced. */
static enum kt_kind settle_one(struct request *req, const struct flight *flight, struct kt_err *err)
{
    struct leased lease;
    enum kt_kind kind = leased_load(req->core, req->snapshot, flight->key, &req->arena, &lease, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    if (flight->kind == KT_OK) {
        leased_drop(req->batch, &lease);
        return KT_OK;
    }
    return leased_failed(req->core, req->batch, &lease, flight->why, req->now_ms, err);
}

static enum kt_kind settle(struct request *req, struct kt_err *err)
{
    const struct settling *settling = req->handler_data;
    if (request_batch(req) == NULL)
        return kt_fail(err, KT_NO_MEMORY, "ending leases");
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < settling->n && kind == KT_OK; i++)
        kind = settle_one(req, &settling->at[i], err);
    return kind;
}

enum kt_kind revoker_settle(struct core *core, struct flight *done, size_t n, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    while (n > 0 && kind == KT_OK) {
        struct settling lanes[LANES];
        struct internal_request requests[LANES];
        size_t used = 0;
        for (; used < LANES && n > 0; used++) {
            size_t each = n < EACH_LANE ? n : EACH_LANE;
            lanes[used] = (struct settling){done, each};
            requests[used] = (struct internal_request){.path = "sys/leases/revoked", .fn = settle, .arg = &lanes[used]};
            done += each;
            n -= each;
        }
        request_internal_all(core, requests, used);
        for (size_t i = 0; i < used && kind == KT_OK; i++) {
            kind = requests[i].kind;
            if (kind != KT_OK && err != NULL)
                *err = requests[i].err;
        }
    }
    return kind;
}
