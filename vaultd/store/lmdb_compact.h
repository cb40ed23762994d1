/* vaultd/store/lmdb_compact.h - the store's file written anew, without what is not there any more.
 *
 * What:    1. store.compact/ is made beside store/ with an empty file. From here on the keys that
 *             folds change are noted (vaultd/store/journal.h).
 *          2. The data are copied in the order of their keys, a few MiB a transaction, each from a
 *             reader of its own, so that no page of the old file is kept from reuse for long. Before
 *             each piece, what was changed behind it is written again.
 *          3. What was changed since is written again, until little is left.
 *          4. On the store thread, between two folds: the rest, the outcomes and the head; a durable
 *             commit; then the two folders change places in one system call (renameat2(2),
 *             RENAME_EXCHANGE), the data folder is synced, and new snapshots and folds use the new
 *             file. This is what writes wait for.
 *          5. When the last reader of the old file has ended, it is closed and removed.
 *          What copies by keys leaves nothing behind that was deleted before: a page is written from
 *          entries that are there, into memory that LMDB has zeroed.
 * Crash:   before the exchange "store" is the old file, after it the new one, and both hold all that
 *          was acknowledged: nothing is acknowledged in between. "store.compact" is removed at the
 *          next open, whichever it is.
 * Owner, threads, errors: as store_compact() says (vaultd/store/store.h). KT_UNKNOWN: nobody can say
 *          whether the folders have changed places on the disk; the store has stopped.
 * Source:  lmdb.h of 0.9.24; renameat2(2). Only vaultd/store/lmdb*.c includes this. */
#pragma once

#include "vaultd/store/lmdb_env.h"

enum kt_kind store_lmdb_compact(struct engine *engine, struct store *store,
                                const struct store_compact_watch *watch,
                                struct store_compact_state *state, struct kt_err *err)
    KT_MUST_CHECK;
