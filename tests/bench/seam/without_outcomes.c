/* tests/bench/seam/without_outcomes.c - linked into a vaultd of the bench alone (see the Makefile): a
 * commit carries no audit outcome and none is copied into the log. What outcomes cost is the
 * difference. Such a vaultd keeps no promise of the audit log's. */
#include "vaultd/core/private.h"

enum kt_kind __wrap_record_outcome(struct request *req, struct kt_err *err);
void __wrap_batch_outcome(struct batch *batch, struct kt_bytes record);
void __wrap_audit_outcome_done(struct audit *audit, struct kt_bytes sealed,
                               const struct commit_result *result);

enum kt_kind __wrap_record_outcome(struct request *req, struct kt_err *err)
{
    (void)req;
    (void)err;
    return KT_OK;
}

void __wrap_batch_outcome(struct batch *batch, struct kt_bytes record)
{
    (void)batch;
    (void)record;
}

void __wrap_audit_outcome_done(struct audit *audit, struct kt_bytes sealed,
                               const struct commit_result *result)
{
    (void)audit;
    (void)sealed;
    (void)result;
}
