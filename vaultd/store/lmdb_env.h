/* vaultd/store/lmdb_env.h - the LMDB environment of a data folder: made, checked, opened.
 *
 * What:    store/data.mdb with two named databases. "data": all tables; record = u64 changed, then
 *          the bytes. "head": the head (key "head", vaultd/store/format.h) and before it the
 *          outcomes (key: generation, big-endian; record: the same form, its bytes the fold's
 *          outcomes, each u32 length and bytes). Together, because each commit writes both: one
 *          page less. A new one is made as store.new and renamed when it is whole and synced.
 *          store/reserve holds nothing (vaultd/store/reserve.h).
 *          Flags are LMDB's defaults and MDB_NOTLS: nothing that trades durability for speed.
 * Owner:   one environment per folder and process: a second would drop the first one's locks
 *          (lmdb.h, "Caveats"). The folder's lock refuses it.
 * Source:  lmdb.h of 0.9.24. Only vaultd/store/lmdb*.c includes this. */
#pragma once

#include <lmdb.h>

#include "vaultd/store/engine.h"
#include "vaultd/store/folder.h"
#include "vaultd/store/reserve.h"

#define LMDB_MAP_BYTES   (UINT64_C(64) * 1024 * 1024 * 1024) /* of address space, not of disk */
#define LMDB_HEAD_KEY    "head"
#define LMDB_OUTCOME_KEY 8u /* bytes; generations stay far below "h", so they sort first */

struct lmdb {
    struct engine engine;
    struct store_folder folder;
    MDB_env *env;
    MDB_dbi data, head;
    uint64_t page;
    /* Each commit of this process is one fold, so a transaction's generation is its LMDB number
     * plus this; no read of the head. (A compacting copy begins LMDB's numbers anew; hence the
     * sum.) */
    uint64_t base;
    _Atomic generation committing;
    MDB_txn *fold;
    struct store_reserve reserve;
    int64_t check_readers_at_ms;
};

/* Fills env, the databases, page, base and engine.head and .used. Undoes everything on failure. */
enum kt_kind store_lmdb_env_open(struct lmdb *lmdb, const struct store_config *config,
                                 const struct store_seam *seam, struct kt_err *err) KT_MUST_CHECK;
void store_lmdb_env_close(struct lmdb *lmdb);
/* Bytes in pages that are in use, the transaction's own changes included. */
uint64_t store_lmdb_used(struct lmdb *lmdb, MDB_txn *txn);
