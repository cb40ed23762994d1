/* vaultd/store/lmdb_env.h - the LMDB environment of a data folder: made, checked, opened.
 *
 * What:    store/data.mdb with two named databases. "data": all tables; record = u64 changed, then
 *          the bytes. "head": the head (key "head", vaultd/store/format.h) and before it the
 *          outcomes (key: generation, big-endian; record: the same form, its bytes the fold's
 *          outcomes, each u32 length and bytes). Together, because each commit writes both: one
 *          page less. A new one is made as store.new and renamed when it is whole and synced.
 *          store/reserve holds nothing (vaultd/store/reserve.h).
 *          Flags are LMDB's defaults and MDB_NOTLS: nothing that trades durability for speed.
 * Owner:   one environment per file and process: a second would drop the first one's locks
 *          (lmdb.h, "Caveats"). The folder's lock refuses it. Compacting makes a second file, in
 *          store.compact (vaultd/store/lmdb_compact.h), and lets the two folders change places.
 * Source:  lmdb.h of 0.9.24. Only vaultd/store/lmdb*.c includes this. */
#pragma once

#include <lmdb.h>

#include "vaultd/store/engine.h"
#include "vaultd/store/folder.h"
#include "vaultd/store/reserve.h"

#define LMDB_MAP_BYTES   (UINT64_C(64) * 1024 * 1024 * 1024) /* of address space, not of disk */
#define LMDB_HEAD_KEY    "head"
#define LMDB_OUTCOME_KEY 8u /* bytes; generations stay far below "h", so they sort first */

struct lmdb_file {
    MDB_env *env;
    /* Each commit of this process is one fold, so a transaction's generation is its LMDB number
     * plus this; no read of the head. (A compacted copy begins LMDB's numbers anew; hence the
     * sum.) */
    uint64_t base;
};

struct store_journal;

struct lmdb {
    struct engine engine;
    struct store_folder folder;
    char *path;            /* of the data folder, from the root */
    uint64_t map_bytes;
    /* Written by the store thread alone. Who takes a snapshot's slot before reading it may use what
     * it read until the slot is given back. */
    _Atomic(struct lmdb_file *) file;
    MDB_dbi data, head;    /* the same in every file */
    uint64_t page;
    _Atomic generation committing;
    MDB_txn *fold;
    struct store_reserve reserve;
    int64_t check_readers_at_ms;
    struct store_journal *journal; /* the store thread's; NULL: nobody compacts */
};

/* Fills file, the databases, page and engine.head, .used and .entries, and removes what an earlier
 * compaction left behind. Undoes everything on failure. */
enum kt_kind store_lmdb_env_open(struct lmdb *lmdb, const struct store_config *config,
                                 const struct store_seam *seam, struct kt_err *err) KT_MUST_CHECK;
void store_lmdb_env_close(struct lmdb *lmdb);
/* Bytes in pages that are in use, the transaction's own changes included. */
uint64_t store_lmdb_used(struct lmdb *lmdb, MDB_txn *txn);
uint64_t store_lmdb_entries(struct lmdb *lmdb, MDB_txn *txn);

/* Two folders in a new one that change places, to see whether the file system can do that. */
#define LMDB_TRIAL_A "trial.a"
#define LMDB_TRIAL_B "trial.b"

/* ---- for compacting. Each returns 0, an errno or a code of LMDB's ---- */
/* A new, empty file with the two databases, in the folder `name` that it makes beside the store. */
int store_lmdb_fresh(struct lmdb *lmdb, const char *name, struct lmdb_file **ret);
int store_lmdb_sync_folder(int folder, const char *name);
/* Removes a folder of a store, whatever part of it is there. */
int store_lmdb_remove(int folder, const char *name);
/* In words, with the folder and what to do. */
enum kt_kind store_lmdb_failed(const char *path, int rc, struct kt_err *err);
bool store_lmdb_disk_full(int folder);
