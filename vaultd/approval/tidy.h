/* vaultd/approval/tidy.h - what waited for approval too long does not stay.
 *
 * What:    The housekeeper deletes what was sent by requests whose time is over, which may hold values, and
 *          a week later what is known of any that ended. At most APPROVALS_TIDIED at once.
 * Threads: any that may block. */
#pragma once

#include "vaultd/core/core.h"

#define APPROVALS_TIDIED 16u

enum kt_kind approvals_tidy(struct core *core, struct kt_err *err) KT_MUST_CHECK;
