/* vaultd/rotation/zombies.h - credentials that should be dead, and of which nobody has seen that they are.
 *
 * What:    Runs that are ending a credential (the old one; going back, the new one), or froze while they did.
 *          A run is not done while one lives, so what is in this list stays in it until it is proven dead.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"

struct run;
/* Since when the run is ending the old credential; KT_NOT_FOUND, no text: it never said so. */
enum kt_kind zombie_since(struct request *req, const struct run *run, int64_t *ret_ms, struct kt_err *err)
    KT_MUST_CHECK;

/* Route. */
enum kt_kind zombies_list(struct request *req, struct kt_err *err);
