/* vaultd/engine/kv_clear.h - removing what is left of secrets, step by step.
 *
 * What:    A removed mount's names, secrets and settings; a cubbyhole; the records of versions that a
 *          secret no longer has a key for. All are found through names or metadata, so that a step
 *          costs what it removes, whatever is there.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/jobs.h"
#include "vaultd/engine/kv.h"

/* Removes everything below the root of a scope: names, and all records of `table` at their keys.
 * *ret_done: nothing is left. */
enum kt_kind kv_clear(struct job_step *step, enum table table,
                      const unsigned char scope[BARRIER_SCOPE], bool *ret_done, struct kt_err *err)
    KT_MUST_CHECK;

/* JOB_MOUNT: all of a mount. JOB_SECRET: records of versions that have no key any more. */
enum kt_kind kv_mount_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err);
enum kt_kind kv_secret_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err);
/* Puts a JOB_SECRET. */
enum kt_kind kv_leave_job(struct core *core, const struct mount *mount, struct batch *batch,
                          const char *path, struct kt_err *err) KT_MUST_CHECK;
