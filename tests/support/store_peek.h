/* tests/support/store_peek.h - what would the store hold if vaultd died now?
 *
 * What:    Looks into a data folder beside the vaultd that has it open. LMDB copies what is
 *          committed (its readers see a transaction only once it is synced); the copy is opened as
 *          vaultd would open it after a crash and unsealed with key shares. Asks no vaultd, so it
 *          leaves no trace in ledger or audit log.
 * Owner:   store_peek_open() .. store_peek_close(). Shares are hexadecimal texts, as many as the
 *          threshold wants.
 * Threads: one thread at a time. Not in the process that has the store open itself. */
#pragma once

#include "lib/buf.h"
#include "vaultd/barrier/barrier.h"

struct store_peek;

enum kt_kind store_peek_open(const char *data_folder, const char *const *shares, size_t n_shares,
                             struct store_peek **ret, struct kt_err *err) KT_MUST_CHECK;
void store_peek_close(struct store_peek *peek);
/* One secret of the mount with this scope (its "uuid" in GET sys/mounts), as one JSON object:
 * {generation, current, pending, previous, versions: [{number, destroyed, accepted_maybe,
 * dead_proven, data}]}. KT_NOT_FOUND: no such secret. */
enum kt_kind store_peek_secret(struct store_peek *peek, const unsigned char scope[BARRIER_SCOPE],
                               const char *path, struct kt_buf *out,
                               struct kt_err *err) KT_MUST_CHECK;
