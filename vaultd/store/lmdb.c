/* The LMDB engine: reading and one write transaction at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/failpoint.h"
#include "vaultd/store/journal.h"
#include "vaultd/store/lmdb_compact.h"

#define CHANGED_BYTES    8u
#define READER_CHECK_MS  60000

static struct lmdb *lmdb_of(struct engine *engine)
{
    return (struct lmdb *)(void *)engine; /* its first field */
}

static enum store_error error_of(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return STORE_OK;
    case MDB_NOTFOUND:
        return STORE_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
        return STORE_FULL;
    case ENOMEM:
        return STORE_NO_MEMORY;
    case MDB_READERS_FULL:
        return STORE_BUSY;
    default:
        return STORE_BROKEN;
    }
}

static struct lmdb_file *file_of(struct lmdb *lmdb)
{
    return atomic_load_explicit(&lmdb->file, memory_order_acquire);
}

/* On the store thread: an error, and why, if it will end the store. */
static enum store_error fold_error(struct lmdb *lmdb, const char *doing, int rc)
{
    enum store_error error = error_of(rc);
    if (error == STORE_BROKEN)
        (void)snprintf(lmdb->engine.trouble, sizeof lmdb->engine.trouble, "%s the store: %s", doing,
                       rc > 0 ? kt_errno_text(rc) : mdb_strerror(rc));
    return error;
}

/* LMDB takes what it only reads through a pointer that is not const. */
static MDB_val val(struct kt_bytes bytes)
{
    MDB_val result = {.mv_size = bytes.len};
    memcpy(&result.mv_data, &bytes.at, sizeof result.mv_data);
    return result;
}

static enum store_error fill(MDB_val value, struct kt_bytes key, struct entry *ret)
{
    if (value.mv_size < CHANGED_BYTES)
        return STORE_BROKEN;
    const unsigned char *at = value.mv_data;
    *ret = (struct entry){.key = key,
                          .value = kt_bytes(at + CHANGED_BYTES, value.mv_size - CHANGED_BYTES),
                          .changed = kt_get_u64(at)};
    return STORE_OK;
}

/* ---- reading ---- */

static void view_free(struct snapshot *snapshot)
{
    if (snapshot->spare != NULL)
        mdb_cursor_close(snapshot->spare);
    if (snapshot->view != NULL)
        mdb_txn_abort(snapshot->view);
    snapshot->spare = snapshot->view = NULL;
}

/* LMDB takes the newest transaction's number and then copies its roots from one of two meta pages,
 * which the next commit but one overwrites. A reader that is held up in between for two whole
 * commits would show a later generation than it says. `committing` tells: it is set before a
 * commit writes. */
static enum store_error view_begin(struct snapshot *snapshot)
{
    struct lmdb *lmdb = lmdb_of(snapshot->engine);
    for (;;) {
        const struct lmdb_file *file = file_of(lmdb);
        if (snapshot->view != NULL && mdb_txn_env(snapshot->view) != file->env)
            view_free(snapshot); /* of the file before it was compacted */
        MDB_txn *txn = snapshot->view;
        int rc = txn != NULL ? mdb_txn_renew(txn)
                             : mdb_txn_begin(file->env, NULL, MDB_RDONLY, &txn);
        if (rc != 0)
            return error_of(rc);
        snapshot->view = txn;
        snapshot->at = file->base + mdb_txn_id(txn);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&lmdb->committing, memory_order_relaxed) < snapshot->at + 2)
            return STORE_OK;
        mdb_txn_reset(txn);
    }
}

static void view_end(struct snapshot *snapshot)
{
    mdb_txn_reset(snapshot->view);
}

static enum store_error view_get(struct snapshot *snapshot, struct kt_bytes key,
                                 struct entry *ret)
{
    MDB_val k = val(key), value;
    int rc = mdb_get(snapshot->view, lmdb_of(snapshot->engine)->data, &k, &value);
    return rc == 0 ? fill(value, key, ret) : error_of(rc);
}

/* One cursor on the data is kept in the slot: making one costs more than a short scan. */
static enum store_error scan_open(struct cursor *cursor)
{
    struct snapshot *snapshot = cursor->snapshot;
    struct lmdb *lmdb = lmdb_of(snapshot->engine);
    MDB_cursor *own = NULL;
    int rc;
    if (cursor->space == STORE_DATA && snapshot->spare != NULL) {
        own = snapshot->spare;
        rc = mdb_cursor_renew(snapshot->view, own);
        if (rc == 0)
            snapshot->spare = NULL;
    } else {
        rc = mdb_cursor_open(snapshot->view,
                             cursor->space == STORE_DATA ? lmdb->data : lmdb->head, &own);
    }
    if (rc == 0)
        cursor->own = own;
    return error_of(rc);
}

static enum store_error scan_next(struct cursor *cursor, struct entry *ret)
{
    MDB_val key = val(kt_bytes(cursor->at, cursor->at_len)), value;
    MDB_cursor_op op = cursor->started ? MDB_NEXT : key.mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE;
    int rc = mdb_cursor_get(cursor->own, &key, &value, op);
    if (rc == 0 && cursor->space == STORE_OUTCOMES && key.mv_size != LMDB_OUTCOME_KEY)
        rc = MDB_NOTFOUND; /* the head, behind all of them */
    return rc == 0 ? fill(value, kt_bytes(key.mv_data, key.mv_size), ret) : error_of(rc);
}

static void scan_close(struct cursor *cursor)
{
    struct snapshot *snapshot = cursor->snapshot;
    if (cursor->space == STORE_DATA && snapshot->spare == NULL)
        snapshot->spare = cursor->own;
    else
        mdb_cursor_close(cursor->own);
    cursor->own = NULL;
}

/* ---- the fold ---- */

static enum store_error fold_begin(struct engine *engine)
{
    struct lmdb *lmdb = lmdb_of(engine);
    int64_t now = kt_mono_ms(&kt_system_clock);
    if (now >= lmdb->check_readers_at_ms) {
        int dead = 0;
        (void)mdb_reader_check(file_of(lmdb)->env, &dead); /* a backup tool that was killed */
        lmdb->check_readers_at_ms = now + READER_CHECK_MS;
    }
    int rc = mdb_txn_begin(file_of(lmdb)->env, NULL, 0, &lmdb->fold);
    return fold_error(lmdb, "cannot begin to write", rc);
}

static enum store_error fold_get(struct engine *engine, struct kt_bytes key, struct entry *ret)
{
    struct lmdb *lmdb = lmdb_of(engine);
    MDB_val k = val(key), value;
    int rc = mdb_get(lmdb->fold, lmdb->data, &k, &value);
    if (rc == 0 && fill(value, key, ret) != STORE_OK)
        rc = MDB_CORRUPTED;
    return fold_error(lmdb, "cannot read", rc);
}

static enum store_error fold_put(struct engine *engine, enum store_space space,
                                 struct kt_bytes key, generation changed, struct kt_bytes value)
{
    struct lmdb *lmdb = lmdb_of(engine);
    if (lmdb->journal != NULL && space == STORE_DATA)
        store_journal_note(lmdb->journal, key);
    MDB_val k = val(key), room = {.mv_size = CHANGED_BYTES + value.len};
    int rc = mdb_put(lmdb->fold, space == STORE_DATA ? lmdb->data : lmdb->head, &k, &room,
                     MDB_RESERVE);
    if (rc != 0)
        return fold_error(lmdb, "cannot write", rc);
    unsigned char *at = room.mv_data;
    kt_put_u64(at, changed);
    if (value.len != 0)
        memcpy(at + CHANGED_BYTES, value.at, value.len);
    return STORE_OK;
}

static enum store_error fold_delete(struct engine *engine, struct kt_bytes key)
{
    struct lmdb *lmdb = lmdb_of(engine);
    if (lmdb->journal != NULL)
        store_journal_note(lmdb->journal, key);
    MDB_val k = val(key);
    return fold_error(lmdb, "cannot write", mdb_del(lmdb->fold, lmdb->data, &k, NULL));
}

static enum store_error fold_drop(struct engine *engine, struct kt_bytes upto, unsigned max,
                                  unsigned *ret_dropped)
{
    struct lmdb *lmdb = lmdb_of(engine);
    MDB_cursor *cursor = NULL;
    int rc = mdb_cursor_open(lmdb->fold, lmdb->head, &cursor);
    if (rc != 0)
        return fold_error(lmdb, "cannot write", rc);
    unsigned dropped = 0;
    while (dropped < max) {
        MDB_val key, value;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (rc != 0 || key.mv_size != LMDB_OUTCOME_KEY ||
            memcmp(key.mv_data, upto.at, upto.len) > 0)
            break;
        rc = mdb_cursor_del(cursor, 0);
        if (rc != 0)
            break;
        dropped++;
    }
    mdb_cursor_close(cursor);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return fold_error(lmdb, "cannot write", rc);
    *ret_dropped = dropped;
    return STORE_OK;
}

static uint64_t fold_used(struct engine *engine)
{
    struct lmdb *lmdb = lmdb_of(engine);
    return store_lmdb_used(lmdb, lmdb->fold);
}

static void fold_abort(struct engine *engine)
{
    struct lmdb *lmdb = lmdb_of(engine);
    if (lmdb->journal != NULL)
        store_journal_abort(lmdb->journal);
    mdb_txn_abort(lmdb->fold);
    lmdb->fold = NULL;
}

/* ---- committing ---- */

/* After a failed write of the meta page nothing more can be begun. */
static bool is_dead(struct lmdb *lmdb)
{
    MDB_txn *txn = NULL;
    int rc = ENOMEM;
    for (unsigned i = 0; i < 8 && rc == ENOMEM; i++) /* that says nothing about the file */
        rc = mdb_txn_begin(file_of(lmdb)->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return true;
    mdb_txn_abort(txn);
    return false;
}

/* LMDB reports a short write, which is what a disk that gets full in the middle gives, as EIO. A
 * file that is never linked tells one from the other; quotas count too. */
bool store_lmdb_disk_full(int folder)
{
    struct statvfs fs;
    if (fstatvfs(folder, &fs) == 0 && fs.f_bavail == 0)
        return true;
    kt_autoclose int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOSPC || errno == EDQUOT;
    static const char block[4096];
    for (int i = 0; i < 256; i++) {
        ssize_t n = write(fd, block, sizeof block);
        if (n != (ssize_t)sizeof block)
            return n >= 0 || errno == ENOSPC || errno == EDQUOT;
    }
    return false;
}

/* What a failed commit was. Before the meta page is written nothing of the fold can show, and all
 * pages it wrote are free in the last committed state; so a full disk is no harm. */
static enum store_error commit_error(struct lmdb *lmdb, int rc)
{
    bool full = rc == MDB_MAP_FULL || rc == MDB_TXN_FULL || rc == ENOSPC || rc == EDQUOT ||
                (rc == EIO && store_lmdb_disk_full(lmdb->folder.fd));
    if (!is_dead(lmdb)) {
        if (full)
            return STORE_FULL;
        if (rc == ENOMEM)
            return STORE_NO_MEMORY;
    }
    (void)snprintf(lmdb->engine.trouble, sizeof lmdb->engine.trouble,
                   "cannot write and sync the store: %s",
                   rc > 0 ? kt_errno_text(rc) : mdb_strerror(rc));
    return STORE_UNKNOWN;
}

static enum store_error put_head(struct lmdb *lmdb, const struct store_head *head)
{
    if (file_of(lmdb)->base + mdb_txn_id(lmdb->fold) != head->at) {
        (void)snprintf(lmdb->engine.trouble, sizeof lmdb->engine.trouble,
                       "another process has written to the store");
        return STORE_BROKEN;
    }
    unsigned char record[STORE_HEAD_BYTES];
    store_head_write(head, record);
    MDB_val key = val(kt_str(LMDB_HEAD_KEY)), value = val(kt_bytes(record, sizeof record));
    return fold_error(lmdb, "cannot write", mdb_put(lmdb->fold, lmdb->head, &key, &value, 0));
}

static enum store_error fold_commit(struct engine *engine, const struct store_head *head)
{
    struct lmdb *lmdb = lmdb_of(engine);
    if (head != NULL) {
        enum store_error error = put_head(lmdb, head);
        if (error != STORE_OK) {
            fold_abort(engine);
            return error;
        }
        atomic_store(&lmdb->committing, head->at);
    }
    uint64_t used = store_lmdb_used(lmdb, lmdb->fold);
    uint64_t entries = store_lmdb_entries(lmdb, lmdb->fold);
    int rc = mdb_txn_commit(lmdb->fold);
    lmdb->fold = NULL; /* whatever it returned */
    if (lmdb->journal != NULL)
        (rc == 0 ? store_journal_commit : store_journal_abort)(lmdb->journal);
    if (rc != 0)
        return commit_error(lmdb, rc);
    engine->used = used;
    engine->entries = entries;
    return STORE_OK;
}

/* ---- the reserve ---- */

static bool reserve_take(struct engine *engine)
{
    return store_reserve_take(&lmdb_of(engine)->reserve);
}

static bool reserve_give(struct engine *engine)
{
    return store_reserve_give(&lmdb_of(engine)->reserve);
}

/* ---- the rest ---- */

static uint64_t file_bytes(struct engine *engine)
{
    struct stat st;
    if (fstatat(lmdb_of(engine)->folder.fd, STORE_FOLDER "/data.mdb", &st, 0) != 0)
        return engine->used;
    return (uint64_t)st.st_size;
}

static void close_lmdb(struct engine *engine)
{
    struct lmdb *lmdb = lmdb_of(engine);
    store_lmdb_env_close(lmdb);
    free(lmdb);
}

static const struct engine_kind lmdb_kind = {
    .name = "lmdb",
    .fold_ops = 2000, /* twice as many share the upper pages: a third more tokens expire a second than with 1,000 */
    .fold_bytes = (size_t)4 * 1024 * 1024,
    .fold_drops = 64,
    .ordinary_percent = 90,
    .relief_percent = 100,
    .close = close_lmdb,
    .view_begin = view_begin,
    .view_end = view_end,
    .view_free = view_free,
    .view_get = view_get,
    .scan_open = scan_open,
    .scan_next = scan_next,
    .scan_close = scan_close,
    .fold_begin = fold_begin,
    .fold_get = fold_get,
    .fold_put = fold_put,
    .fold_delete = fold_delete,
    .fold_drop = fold_drop,
    .fold_used = fold_used,
    .fold_commit = fold_commit,
    .fold_abort = fold_abort,
    .reserve_take = reserve_take,
    .reserve_give = reserve_give,
    .file_bytes = file_bytes,
    .compact = store_lmdb_compact,
};

enum kt_kind store_lmdb_open(const struct store_config *config, const struct store_seam *seam,
                             struct engine **ret, struct kt_err *err)
{
    struct lmdb *lmdb = kt_calloc(1, sizeof *lmdb);
    if (lmdb == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening the store");
    lmdb->engine.kind = &lmdb_kind;
    lmdb->reserve.fd = -1;
    lmdb->engine.max_bytes = config->max_bytes != 0 ? config->max_bytes : LMDB_MAP_BYTES;
    enum kt_kind kind = store_lmdb_env_open(lmdb, config, seam, err);
    if (kind != KT_OK) {
        free(lmdb);
        return kind;
    }
    *ret = &lmdb->engine;
    return KT_OK;
}
