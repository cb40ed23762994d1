/* vaultd/core/autorotate.h - a new term of the keyring begins by itself: what sys/rotate/config says.
 *
 * What:    When the newest term has sealed so many entries, or is so old, the housekeeper begins the next,
 *          as sys/rotate does. Entries are counted from the last unsealing on.
 * Format:  one record: u8 format (1) ‖ u8 enabled ‖ i64 max operations ‖ i64 interval, s. None: the
 *          settings that Vault begins with.
 * Limits:  Vault's: 1,000,000 to 3,865,470,566 operations, an interval of a day or more.
 * Threads: autorotate_load(), autorotate_save(): in a handler. autorotate_run(): any that may block. */
#pragma once

#include "vaultd/core/core.h"

struct autorotate {
    int64_t max_operations, interval_s; /* interval 0: never for its age */
    bool enabled;
};
enum kt_kind autorotate_load(struct request *req, struct autorotate *ret, generation *ret_changed,
                             struct kt_err *err) KT_MUST_CHECK;
/* KT_INVALID: out of the limits. Into the request's batch, if it is as it was when it was loaded. */
enum kt_kind autorotate_save(struct request *req, const struct autorotate *settings,
                             generation changed, struct kt_err *err) KT_MUST_CHECK;
/* Begins a term, if it is time. *ret_rotated: it did. */
enum kt_kind autorotate_run(struct core *core, bool *ret_rotated, struct kt_err *err) KT_MUST_CHECK;
