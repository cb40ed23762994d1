/* vaultd/core/key_set.h - since when the key shares that open the vault are what they are.
 *
 * What:    The seal record names the set of shares and has no time of it; the commit that makes a set the vault's, at the
 *          beginning or by a rekey, writes the time beside it. Where there is none, or one of another set (the vault is
 *          older than this, or data were put together from two copies), the time is not known.
 * Format:  TABLE_CONFIG, name "key-set": u8 format (1) ‖ field the set's id, as barrier_status() has it ‖ i64 ms.
 * Threads: any thread with the barrier entered; key_set_put(): while it is being initialised, too. */
#pragma once

#include "vaultd/core/core.h"

/* Into the batch that makes this set the vault's. */
enum kt_kind key_set_put(struct core *core, struct batch *batch, const char *id, int64_t now_ms,
                         struct kt_err *err) KT_MUST_CHECK;
/* *ret_ms of the set that opens the vault now; 0: not known. */
enum kt_kind key_set_made(struct request *req, const char *id, int64_t *ret_ms, struct kt_err *err) KT_MUST_CHECK;
