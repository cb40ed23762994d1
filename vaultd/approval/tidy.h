/* vaultd/approval/tidy.h - what waited for approval too long does not stay.
 *
 * What:    The housekeeper deletes what was sent by requests whose time is over, which may hold values, and
 *          a week later what is known of any that ended. People are told of what nobody carried out in
 *          time. At most APPROVALS_TIDIED in a commit, as many commits as there may be requests.
 * Threads: any that may block. */
#pragma once

#include "vaultd/core/core.h"

#define APPROVALS_TIDIED   16u
#define APPROVALS_TOLD     8u /* in a commit: a message of each channel is one of its 100 operations */
#define APPROVALS_TIDYINGS 256u

/* *ret_damaged: how many cannot be read, and stay. */
enum kt_kind approvals_tidy(struct core *core, unsigned *ret_damaged, struct kt_err *err) KT_MUST_CHECK;
