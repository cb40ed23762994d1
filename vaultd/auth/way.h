/* vaultd/auth/way.h - what is left of a way to log in that was disabled: the tokens that came in through
 * it, which are refused already, and its users and roles. A job ends them bit by bit.
 *
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/jobs.h"

/* JOB_WAY, JOB_ROLE. */
enum kt_kind way_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err);
enum kt_kind way_role_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err);
/* Deletes rows with a prefix as long as there is room; *ret_all: none is left. */
enum kt_kind way_clear_rows(struct job_step *step, struct kt_bytes prefix, bool *ret_all,
                            struct kt_err *err) KT_MUST_CHECK;
