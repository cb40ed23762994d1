#include "vaultd/engine/share_step.h"

#include <sodium.h>
#include <stdio.h>

#include "vaultd/engine/key_shares.h"

static enum kt_kind take(struct request *req, struct kt_err *err)
{
    struct share_step *step = req->handler_data;
    enum kt_kind kind = ceremony_add(req->core->barrier, step->kind->which, &step->share,
                                     &step->enough, err);
    sodium_memzero(step->share.bytes, sizeof step->share.bytes);
    if (kind != KT_OK)
        return kind;
    if (!step->enough)
        return step->kind->more(req, step, err);
    core_shares_proved(req->core);
    if (step->kind->enough != NULL)
        return step->kind->enough(req, step, err);
    req->defer_again = true;
    return KT_OK;
}

/* Shares prove themselves only together: until then who brought them counts. */
static enum gather_from bringer(const struct request *req)
{
    if (req->sudo || (req->origin == ORIGIN_UNIX && req->peer_uid == 0))
        return GATHER_TRUSTED;
    return req->token != NULL || req->origin == ORIGIN_UNIX ? GATHER_KNOWN : GATHER_STRANGER;
}

static enum kt_kind read_step(struct request *req, struct share_step *step, struct kt_err *err)
{
    const char *nonce = "";
    enum kt_kind kind = request_string(req, "nonce", &nonce, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    step->share.nonce = nonce;
    step->share.from = bringer(req);
    step->share.verifies = step->kind->verifies;
    kind = share_read(req, step->share.bytes, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "'key' must be specified in request body as JSON");
    return kind;
}

static enum kt_kind begin(struct request *req, const struct share_step_kind *kind_of,
                          struct kt_err *err)
{
    struct share_step *step = kt_arena_take(&req->arena, sizeof *step);
    /* Before a share is taken that may be the last. */
    if (step == NULL || !shares_reserve(req, SHAMIR_SHARES_MAX))
        return kt_fail(err, KT_NO_MEMORY, "taking a key share");
    step->kind = kind_of;
    enum kt_kind kind = read_step(req, step, err);
    if (kind == KT_OK)
        kind = ceremony_expects(req->core->barrier, kind_of->which, &step->share, err);
    if (kind == KT_OK)
        kind = core_unseal_admit(req, err);
    if (kind != KT_OK) {
        sodium_memzero(step->share.bytes, sizeof step->share.bytes);
        return kind;
    }
    (void)snprintf(step->nonce, sizeof step->nonce, "%s", step->share.nonce);
    req->handler_data = step;
    req->defer = take;
    return KT_OK;
}

enum kt_kind share_step_run(struct request *req, const struct share_step_kind *kind,
                            struct kt_err *err)
{
    struct share_step *step = req->handler_data;
    return step == NULL ? begin(req, kind, err) : kind->commit(req, step, err);
}

void share_step_committed(struct request *req, const struct commit_result *result)
{
    const struct share_step *step = req->handler_data;
    ceremony_done(req->core->barrier, step->kind->which, step->nonce, result->error == STORE_OK);
}
