/* vaultd/engine/share_step.h - a request that brings one key share to a ceremony.
 *
 * What:    The share is looked at and counted against its source, its attempt is recorded, and only then
 *          it is taken (on the desk thread). When there are enough the request's handler runs again and
 *          commits what follows, with its outcome, as every other change.
 * Owner:   the step lies in the request's arena; the share is wiped as soon as it was taken.
 * Threads: as their request. */
#pragma once

#include "vaultd/barrier/ceremony.h"
#include "vaultd/core/core.h"

struct share_step {
    const struct share_step_kind *kind;
    struct ceremony_share share;
    char nonce[CEREMONY_NONCE]; /* the share's */
    bool enough;
};
typedef enum kt_kind share_step_fn(struct request *req, struct share_step *step, struct kt_err *err);
struct share_step_kind {
    enum ceremony_kind which;
    bool verifies;
    share_step_fn *more;   /* says how far it is */
    share_step_fn *enough; /* on the desk: answers, or sets req->defer_again; NULL: always the latter */
    share_step_fn *commit; /* a handler's work: batch and answer */
};

/* The whole handler. */
enum kt_kind share_step_run(struct request *req, const struct share_step_kind *kind,
                            struct kt_err *err) KT_MUST_CHECK;
/* For commit's after_commit: ends the ceremony, or leaves it as it was. */
void share_step_committed(struct request *req, const struct commit_result *result);
