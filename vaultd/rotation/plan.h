/* vaultd/rotation/plan.h - from a run to the driver steps that it needs next, and back.
 *
 * Threads: any thread with the barrier entered; a job holds copies and outlives the request. */
#pragma once

#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/work.h"

/* The caller owns *ret. KT_NOT_FOUND: a version that is needed is gone. */
enum kt_kind plan_job(const struct work *w, enum job_kind kind, struct job **ret,
                      struct kt_err *err) KT_MUST_CHECK;
/* Whether the job's probes may be made now; else *ret_ms (steady) says when. */
bool plan_allowed(const struct work *w, enum job_kind kind, int64_t now_ms, int64_t *ret_ms);
/* Does the target accept the current version? The account is that of `slot`; settled by truth.h. */
enum kt_kind plan_truth(struct request *req, const struct rotation_secret *secret,
                        struct kv_secret *kv, const struct rotation_target *target, uint32_t slot,
                        struct job **ret, struct kt_err *err) KT_MUST_CHECK;
/* A person's check of a target: the administrative login, and a wrong password. */
enum kt_kind plan_check(struct request *req, const struct rotation_target *target,
                        const unsigned char id[RUN_ID], struct job **ret, struct kt_err *err)
    KT_MUST_CHECK;

/* settle.c: what a finished job means; moves the run and puts everything into the batch. */
enum kt_kind job_settle(struct work *w, const struct job *job, int64_t now_ms,
                        struct kt_err *err) KT_MUST_CHECK;
