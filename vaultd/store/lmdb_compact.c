#include "vaultd/store/lmdb_compact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "lib/failpoint.h"
#include "vaultd/store/fold.h"
#include "vaultd/store/journal.h"

#define PIECE_BYTES   ((size_t)2 * 1024 * 1024)   /* of one transaction of the copy */
#define ROOM_LEFT     (UINT64_C(64) * 1024 * 1024) /* on the disk, for what is written meanwhile */
#define ROOM_LEFT_LOW (UINT64_C(16) * 1024 * 1024) /* where it gives up */
#define LITTLE_BYTES  ((size_t)32 * 1024)          /* of changed keys: so much may wait for writes */
#define ROUNDS_MAX    200u
#define REST_MAX_US   200000

struct compaction {
    struct lmdb *lmdb;
    struct store *store;
    const struct store_compact_watch *watch;
    struct store_compact_state *state;
    struct kt_err *err;
    struct lmdb_file *fresh;
    struct store_reserve reserve; /* the new file's */
    struct store_journal journal;
    struct kt_buf keys;           /* taken from the journal */
    unsigned char at[STORE_KEY_MAX]; /* copied up to and including this key ... */
    size_t at_len;
    bool whole;                   /* ... or everything */
    enum kt_kind switched;        /* what switch_over() came to */
};

/* ---- telling ---- */

static void tell(struct compaction *c, enum store_compact_phase phase)
{
    c->state->phase = phase;
    if (c->watch->report != NULL)
        c->watch->report(c->watch->arg, c->state);
}

static bool stopped(const struct compaction *c)
{
    return c->watch->stop != NULL && atomic_load(c->watch->stop);
}

static enum kt_kind injected(const char *name, struct kt_err *err)
{
    return kt_fail(err, KT_INTERNAL, "failpoint %s", name);
}

static uint64_t room_on_disk(const struct compaction *c)
{
    struct statvfs fs;
    return fstatvfs(c->lmdb->folder.fd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

static enum kt_kind no_room(const struct compaction *c, uint64_t need, uint64_t there,
                            struct kt_err *err)
{
    const uint64_t mib = UINT64_C(1024) * 1024;
    (void)kt_fail(err, KT_FULL,
                  "no room to compact the store: the copy needs %ju MiB on the disk of '%s', %ju MiB "
                  "are free",
                  (uintmax_t)(need / mib + 1), c->lmdb->path, (uintmax_t)(there / mib));
    kt_hint(err, "make room first (df -h %s); free pages of the store are reused without it",
            c->lmdb->path);
    return KT_FULL;
}

static enum kt_kind failed(const struct compaction *c, int rc, struct kt_err *err)
{
    bool full = rc == EIO && store_lmdb_disk_full(c->lmdb->folder.fd);
    enum kt_kind kind = store_lmdb_failed(c->lmdb->path, full ? ENOSPC : rc, err);
    kt_context(err, "compacting");
    return kind;
}

static uint64_t file_size(const struct compaction *c, const char *name)
{
    struct stat st;
    return fstatat(c->lmdb->folder.fd, name, &st, 0) == 0 ? (uint64_t)st.st_size : 0;
}

/* ---- one transaction of the copy ---- */

static MDB_val val(struct kt_bytes bytes)
{
    MDB_val result = {.mv_size = bytes.len};
    memcpy(&result.mv_data, &bytes.at, sizeof result.mv_data);
    return result;
}

/* One key as it is in `from`. */
static int copy_key(MDB_txn *from, MDB_txn *to, MDB_dbi dbi, struct kt_bytes key)
{
    MDB_val k = val(key), value;
    int rc = mdb_get(from, dbi, &k, &value);
    if (rc == 0)
        return mdb_put(to, dbi, &k, &value, 0);
    if (rc != MDB_NOTFOUND)
        return rc;
    rc = mdb_del(to, dbi, &k, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* What changed behind the place that the copy has come to; the copy comes to the rest. */
static int replay(struct compaction *c, MDB_txn *from, MDB_txn *to)
{
    struct kt_reader r = kt_reader(kt_buf_bytes(&c->keys));
    while (r.left != 0) {
        size_t len = kt_read_u8(&r);
        struct kt_bytes key = kt_read_bytes(&r, len);
        if (r.failed)
            return EINVAL;
        if (!c->whole && (c->at_len == 0 || store_key_order(key, kt_bytes(c->at, c->at_len)) > 0))
            continue;
        int rc = copy_key(from, to, c->lmdb->data, key);
        if (rc != 0)
            return rc;
        c->state->replayed++;
    }
    return 0;
}

/* The next PIECE_BYTES. What is not there yet is behind all that is: appended, pages get full. */
static int copy_piece(struct compaction *c, MDB_cursor *from, MDB_txn *to)
{
    MDB_val key = val(kt_bytes(c->at, c->at_len)), value;
    int rc = mdb_cursor_get(from, &key, &value, c->at_len == 0 ? MDB_FIRST : MDB_SET_RANGE);
    if (rc == 0 && c->at_len != 0 &&
        store_key_order(kt_bytes(key.mv_data, key.mv_size), kt_bytes(c->at, c->at_len)) == 0)
        rc = mdb_cursor_get(from, &key, &value, MDB_NEXT);
    size_t bytes = 0;
    while (rc == 0) {
        rc = mdb_put(to, c->lmdb->data, &key, &value, MDB_APPEND);
        if (rc != 0)
            return rc;
        memcpy(c->at, key.mv_data, key.mv_size);
        c->at_len = key.mv_size;
        c->state->entries_done++;
        bytes += key.mv_size + value.mv_size;
        if (bytes >= PIECE_BYTES)
            return 0;
        rc = mdb_cursor_get(from, &key, &value, MDB_NEXT);
    }
    if (rc != MDB_NOTFOUND)
        return rc;
    c->whole = true;
    return 0;
}

/* Outcomes never change: those that went are the oldest, those that came the newest. */
static int drop_old_outcomes(MDB_cursor *from, MDB_cursor *to)
{
    MDB_val oldest, key, value;
    int rc = mdb_cursor_get(from, &oldest, &value, MDB_FIRST);
    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(to, &key, &value, MDB_FIRST)) == 0 &&
           store_key_order(kt_bytes(key.mv_data, key.mv_size),
                   kt_bytes(oldest.mv_data, oldest.mv_size)) < 0) {
        rc = mdb_cursor_del(to, 0);
        if (rc != 0)
            return rc;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The head is behind them and is always written again. */
static int add_new_outcomes(MDB_cursor *from, MDB_cursor *to)
{
    MDB_val key, value, last;
    int rc = mdb_cursor_get(to, &last, &value, MDB_LAST);
    if (rc == 0 && last.mv_size != LMDB_OUTCOME_KEY)
        rc = mdb_cursor_get(to, &last, &value, MDB_PREV);
    unsigned char from_key[LMDB_OUTCOME_KEY] = {0};
    if (rc == 0)
        memcpy(from_key, last.mv_data, sizeof from_key);
    else if (rc != MDB_NOTFOUND)
        return rc;
    key = val(kt_bytes(from_key, sizeof from_key));
    rc = mdb_cursor_get(from, &key, &value, MDB_SET_RANGE);
    while (rc == 0) {
        rc = mdb_cursor_put(to, &key, &value, 0);
        if (rc == 0)
            rc = mdb_cursor_get(from, &key, &value, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int copy_head(struct compaction *c, MDB_txn *from, MDB_txn *to)
{
    MDB_cursor *source = NULL, *target = NULL;
    int rc = mdb_cursor_open(from, c->lmdb->head, &source);
    if (rc == 0)
        rc = mdb_cursor_open(to, c->lmdb->head, &target);
    if (rc == 0)
        rc = drop_old_outcomes(source, target);
    if (rc == 0)
        rc = add_new_outcomes(source, target);
    if (target != NULL)
        mdb_cursor_close(target);
    if (source != NULL)
        mdb_cursor_close(source);
    return rc;
}

/* Changes, outcomes and head, and the next piece. ret_base: what the copy adds to its numbers. */
static int write_copy(struct compaction *c, MDB_txn *from, MDB_txn *to, uint64_t *ret_base)
{
    int rc = replay(c, from, to);
    MDB_cursor *cursor = NULL;
    if (rc == 0 && !c->whole)
        rc = mdb_cursor_open(from, c->lmdb->data, &cursor);
    if (rc == 0 && cursor != NULL)
        rc = copy_piece(c, cursor, to);
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    if (rc == 0)
        rc = copy_head(c, from, to);
    *ret_base = atomic_load(&c->lmdb->file)->base + mdb_txn_id(from) - mdb_txn_id(to);
    return rc;
}

/* One durable transaction: what was told of changes is taken before the old file is looked at. */
static enum kt_kind pass(struct compaction *c, uint64_t *ret_base, struct kt_err *err)
{
    if (!store_journal_take(&c->journal, &c->keys)) {
        (void)kt_fail(err, KT_BUSY, "more was written than the compaction could copy");
        kt_hint(err, "try again when less is written: secretctl operator compact");
        return KT_BUSY;
    }
    MDB_txn *from = NULL, *to = NULL;
    uint64_t base = 0;
    int rc = mdb_txn_begin(atomic_load(&c->lmdb->file)->env, NULL, MDB_RDONLY, &from);
    if (rc == 0)
        rc = mdb_txn_begin(c->fresh->env, NULL, 0, &to);
    if (rc == 0)
        rc = write_copy(c, from, to, &base);
    if (from != NULL)
        mdb_txn_abort(from);
    if (rc == 0)
        rc = mdb_txn_commit(to);
    else if (to != NULL)
        mdb_txn_abort(to);
    if (rc != 0)
        return failed(c, rc, err);
    *ret_base = base;
    return KT_OK;
}

/* ---- the steps ---- */

/* Whether the file system can do what the end needs is better known before the copy. */
static enum kt_kind try_exchange(int folder, const char *path, struct kt_err *err)
{
    static const char *const names[] = {STORE_COMPACT "/" LMDB_TRIAL_A,
                                        STORE_COMPACT "/" LMDB_TRIAL_B};
    bool made = mkdirat(folder, names[0], 0700) == 0 && mkdirat(folder, names[1], 0700) == 0;
    bool can = made && renameat2(folder, names[0], folder, names[1], RENAME_EXCHANGE) == 0;
    enum kt_kind kind = KT_OK;
    if (!made)
        kind = store_lmdb_failed(path, errno, err);
    else if (!can)
        kind = kt_fail(err, KT_PRECONDITION,
                       "the file system of '%s' cannot let two folders change places (%s)", path,
                       kt_errno_text(errno));
    if (made && !can)
        kt_hint(err, "keep the data folder on ext4, xfs, btrfs or another one that knows "
                     "RENAME_EXCHANGE");
    for (size_t i = 0; i < 2; i++)
        (void)unlinkat(folder, names[i], AT_REMOVEDIR);
    return kind;
}

static enum kt_kind prepare(struct compaction *c, struct kt_err *err)
{
    struct store_status status;
    store_status(c->store, &status);
    c->state->entries_total = status.entries;
    c->state->bytes_before = status.bytes_file;
    uint64_t need = status.bytes_used + status.bytes_used / 8 + ROOM_LEFT, there = room_on_disk(c);
    if (there < need)
        return no_room(c, need, there, err);
    int rc = store_lmdb_fresh(c->lmdb, STORE_COMPACT, &c->fresh);
    if (rc != 0)
        return failed(c, rc, err);
    store_reserve_open(c->lmdb->folder.fd, STORE_COMPACT "/reserve", &c->reserve);
    enum kt_kind kind = try_exchange(c->lmdb->folder.fd, c->lmdb->path, err);
    if (kind == KT_OK && KT_FAILPOINT(compact_begun))
        kind = injected("compact_begun", err);
    return kind;
}

static void attach(void *arg)
{
    struct compaction *c = arg;
    c->lmdb->journal = &c->journal;
}

static void detach(void *arg)
{
    struct compaction *c = arg;
    c->lmdb->journal = NULL;
}

static enum kt_kind may_go_on(struct compaction *c, struct kt_err *err)
{
    if (stopped(c))
        return kt_fail(err, KT_GONE, "the compaction was stopped; the store is as it was");
    uint64_t there = room_on_disk(c);
    return there < ROOM_LEFT_LOW ? no_room(c, ROOM_LEFT_LOW, there, err) : KT_OK;
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Longer than the last piece took, so that the disk and a processor are left to those who wait. */
static void rest(int64_t took_us)
{
    int64_t us = took_us * 2 < REST_MAX_US ? took_us * 2 : REST_MAX_US;
    const struct timespec span = {.tv_nsec = us * 1000};
    (void)nanosleep(&span, NULL);
}

static enum kt_kind copy(struct compaction *c, struct kt_err *err)
{
    uint64_t base = 0;
    enum kt_kind kind = KT_OK;
    int64_t took_us = 0;
    while (kind == KT_OK && !c->whole) {
        tell(c, COMPACT_COPYING);
        rest(took_us);
        int64_t begun_us = now_us();
        kind = may_go_on(c, err);
        if (kind == KT_OK)
            kind = pass(c, &base, err);
        took_us = now_us() - begun_us;
        if (kind == KT_OK && KT_FAILPOINT(compact_piece))
            kind = injected("compact_piece", err);
    }
    if (kind == KT_OK && KT_FAILPOINT(compact_copied))
        kind = injected("compact_copied", err);
    return kind;
}

/* Until what one round had to write again is little: the next one has no more. */
static enum kt_kind catch_up(struct compaction *c, struct kt_err *err)
{
    uint64_t base = 0;
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        tell(c, COMPACT_CATCHING_UP);
        enum kt_kind kind = may_go_on(c, err);
        if (kind == KT_OK)
            kind = pass(c, &base, err);
        if (kind != KT_OK)
            return kind;
        if (c->keys.len <= LITTLE_BYTES)
            return KT_OK;
    }
    (void)kt_fail(err, KT_BUSY, "more is being written than the compaction can copy");
    kt_hint(err, "try again when less is written: secretctl operator compact");
    return KT_BUSY;
}

/* Nobody can say which folder a power loss leaves where: both files hold all that was acknowledged so
 * far, and nothing more is. */
static enum kt_kind stop_store(struct compaction *c, const char *what)
{
    char *trouble = c->lmdb->engine.trouble;
    (void)snprintf(trouble, sizeof c->lmdb->engine.trouble, "%s after compacting the store: %s", what,
                   kt_errno_text(errno));
    store_break(c->store, trouble);
    return kt_fail(c->err, KT_UNKNOWN, "%s", trouble);
}

/* The folders have changed places. */
static enum kt_kind use_fresh(struct compaction *c)
{
    struct lmdb *lmdb = c->lmdb;
    if (KT_FAILPOINT(compact_exchanged) || fsync(lmdb->folder.fd) != 0)
        return stop_store(c, "cannot sync the data folder");
    atomic_store(&lmdb->file, c->fresh);
    struct store_reserve old = lmdb->reserve;
    lmdb->reserve = c->reserve;
    c->reserve = old;
    lmdb->journal = NULL;
    MDB_txn *txn = NULL;
    if (mdb_txn_begin(c->fresh->env, NULL, MDB_RDONLY, &txn) == 0) {
        lmdb->engine.used = store_lmdb_used(lmdb, txn);
        atomic_store(&c->store->used, lmdb->engine.used);
        mdb_txn_abort(txn);
    }
    return KT_OK;
}

static bool is_still(int folder, const struct stat *was)
{
    struct stat now;
    return fstatat(folder, STORE_FOLDER, &now, 0) == 0 && now.st_dev == was->st_dev &&
           now.st_ino == was->st_ino;
}

/* A call that says that it failed may have been done on the disk: what it left tells. */
static enum kt_kind exchange(struct compaction *c)
{
    int folder = c->lmdb->folder.fd;
    struct stat was;
    int rc = store_lmdb_sync_folder(folder, STORE_COMPACT);
    if (rc == 0 && fstatat(folder, STORE_FOLDER, &was, 0) != 0)
        rc = errno;
    if (rc != 0)
        return failed(c, rc, c->err);
    if (renameat2(folder, STORE_COMPACT, folder, STORE_FOLDER, RENAME_EXCHANGE) == 0)
        return use_fresh(c);
    rc = errno;
    if (is_still(folder, &was))
        return failed(c, rc, c->err);
    errno = rc;
    return stop_store(c, "the folders cannot change places");
}

/* On the store thread. */
static void switch_over(void *arg)
{
    struct compaction *c = arg;
    int64_t begun = now_us();
    uint64_t base = 0;
    enum kt_kind kind = atomic_load(&c->store->broken)
                            ? kt_fail(c->err, KT_IO, "the store has stopped")
                            : pass(c, &base, c->err);
    if (kind == KT_OK && KT_FAILPOINT(compact_written))
        kind = injected("compact_written", c->err);
    if (kind == KT_OK) {
        c->fresh->base = base;
        kind = exchange(c);
    }
    c->switched = kind;
    c->state->write_wait_us = now_us() - begun;
}

static void leave_old_file(struct snapshot *slot, void *arg)
{
    const struct compaction *c = arg;
    if (slot->view != NULL && mdb_txn_env(slot->view) != c->fresh->env)
        c->lmdb->engine.kind->view_free(slot);
}

/* The new file is in use: whatever happens now, the compaction is done. */
static void retire(struct compaction *c, struct lmdb_file *old)
{
    tell(c, COMPACT_REMOVING);
    (void)KT_FAILPOINT(compact_in_use);
    store_each_slot(c->store->snapshots, leave_old_file, c);
    mdb_env_close(old->env);
    free(old);
    (void)KT_FAILPOINT(compact_removing);
    (void)store_lmdb_remove(c->lmdb->folder.fd, STORE_COMPACT); /* else the next open does it */
    c->state->bytes_after = file_size(c, STORE_FOLDER "/data.mdb");
}

/* After KT_UNKNOWN the folders may have changed places, and who stands where on the disk is for the
 * next open to see. */
static void abandon(struct compaction *c, enum kt_kind why)
{
    if (c->fresh != NULL)
        mdb_env_close(c->fresh->env);
    free(c->fresh);
    if (why != KT_UNKNOWN)
        (void)store_lmdb_remove(c->lmdb->folder.fd, STORE_COMPACT);
}

static enum kt_kind run(struct compaction *c, struct kt_err *err)
{
    enum kt_kind kind = prepare(c, err);
    if (kind != KT_OK)
        return kind;
    store_run(c->store, attach, c);
    kind = copy(c, err);
    if (kind == KT_OK)
        kind = catch_up(c, err);
    if (kind == KT_OK) {
        tell(c, COMPACT_SWITCHING);
        store_run(c->store, switch_over, c);
        kind = c->switched;
    }
    if (kind != KT_OK)
        store_run(c->store, detach, c);
    return kind;
}

enum kt_kind store_lmdb_compact(struct engine *engine, struct store *store,
                                const struct store_compact_watch *watch,
                                struct store_compact_state *state, struct kt_err *err)
{
    struct lmdb *lmdb = (struct lmdb *)(void *)engine; /* its first field */
    struct compaction c = {.lmdb = lmdb,
                           .store = store,
                           .watch = watch,
                           .state = state,
                           .err = err,
                           .reserve = {.fd = -1}};
    store_journal_init(&c.journal);
    kt_buf_init(&c.keys, JOURNAL_BYTES);
    struct lmdb_file *old = atomic_load(&lmdb->file);
    enum kt_kind kind = run(&c, err);
    store_reserve_close(&c.reserve);
    if (kind == KT_OK)
        retire(&c, old);
    else
        abandon(&c, kind);
    kt_buf_free(&c.keys);
    store_journal_free(&c.journal);
    return kind;
}
