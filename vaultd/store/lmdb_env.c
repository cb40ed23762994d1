#include "vaultd/store/lmdb_env.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/random.h"

#define DATA_FILE STORE_FOLDER "/data.mdb"
#define LOCK_FILE STORE_FOLDER "/lock.mdb"
#define RESERVE_FILE STORE_FOLDER "/reserve"
#define LOCK_BYTES 65536 /* room for 1,000 readers */
/* LMDB never writes the last pages of a transaction that it took and gave back, so a sound file may
 * be a little shorter than its own count says. */
#define SLACK_BYTES (UINT64_C(1024) * 1024)

static const char *const database_names[] = {"data", "head"};

static enum kt_kind damaged(const char *path, const char *how, struct kt_err *err)
{
    (void)kt_fail(err, KT_CORRUPT, "the store in '%s' is damaged: %s", path, how);
    kt_hint(err, "keep the folder as it is and restore the newest backup into another one");
    return KT_CORRUPT;
}

/* ---- what LMDB says at open, in words ---- */

enum kt_kind store_lmdb_failed(const char *path, int rc, struct kt_err *err)
{
    switch (rc) {
    case ENOSPC:
    case EDQUOT:
        (void)kt_fail(err, KT_FULL, "the disk of the data folder '%s' is full", path);
        kt_hint(err, "make room: df -h %s; df -i %s", path, path);
        return KT_FULL;
    case ENOMEM:
        (void)kt_fail(err, KT_NO_MEMORY,
                      "cannot reserve address space for the store's map (64 GiB or max_bytes)");
        kt_hint(err, "lift the limit of address space: LimitAS=infinity, ulimit -v unlimited");
        return KT_NO_MEMORY;
    case EAGAIN:
        (void)kt_fail(err, KT_IO, "cannot map the store in '%s': locked memory does not suffice",
                      path);
        kt_hint(err, "the process must not lock all its memory (mlockall)");
        return KT_IO;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_NOTFOUND:
    case MDB_INCOMPATIBLE:
        return damaged(path, "data.mdb is not what we wrote", err);
    case MDB_VERSION_MISMATCH:
        (void)kt_fail(err, KT_PRECONDITION, "the store in '%s' was written by another version of "
                                            "LMDB than 0.9",
                      path);
        kt_hint(err, "install the liblmdb that the older vaultd was run with");
        return KT_PRECONDITION;
    default:
        errno = rc > 0 ? rc : 0;
        return kt_fail(err, KT_IO, "cannot use the store in '%s'%s%s", path, rc > 0 ? "" : ": ",
                       rc > 0 ? "" : mdb_strerror(rc));
    }
}

/* ---- the environment ---- */

static bool larger_than_memory(int folder)
{
    struct stat st;
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return fstatat(folder, DATA_FILE, &st, 0) == 0 && pages > 0 && size > 0 &&
           st.st_size / size > pages;
}

/* LMDB makes the lock file sparse and maps it: on a full disk the first touch of a page would be a
 * SIGBUS. So its blocks are taken before. Never while it is open: closing any descriptor of it
 * drops LMDB's locks. */
static int reserve_lock_file(int folder, const char *name)
{
    kt_autoclose int fd = openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    return posix_fallocate(fd, 0, LOCK_BYTES);
}

static int open_env(const char *path, uint64_t map_bytes, unsigned flags, MDB_env **ret)
{
    MDB_env *env = NULL;
    int rc = mdb_env_create(&env);
    if (rc != 0)
        return rc;
    rc = mdb_env_set_maxdbs(env, 4);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(env, STORE_SNAPSHOTS + 64);
    if (rc == 0)
        rc = mdb_env_set_mapsize(env, map_bytes);
    if (rc == 0)
        rc = mdb_env_open(env, path, MDB_NOTLS | flags, 0600);
    if (rc != 0) {
        mdb_env_close(env);
        return rc;
    }
    *ret = env;
    return 0;
}

static bool join(char out[PATH_MAX], const char *path, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", path, name);
    return n > 0 && n < PATH_MAX;
}

/* ---- a new store ---- */

int store_lmdb_remove(int folder, const char *name)
{
    static const struct {
        const char *name;
        int flags;
    } parts[] = {{"data.mdb", 0},
                 {"lock.mdb", 0},
                 {"reserve", 0},
                 {LMDB_TRIAL_A, AT_REMOVEDIR},
                 {LMDB_TRIAL_B, AT_REMOVEDIR}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/%s", name, parts[i].name);
        if (unlinkat(folder, path, parts[i].flags) != 0 && errno != ENOENT && errno != ENOTDIR)
            return errno;
    }
    return unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

/* The last one created is "head". */
static int create_databases(MDB_txn *txn, MDB_dbi dbis[2])
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof database_names / sizeof database_names[0]; i++)
        rc = mdb_dbi_open(txn, database_names[i], MDB_CREATE, &dbis[i]);
    return rc;
}

static int write_first_head(MDB_env *env)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    MDB_dbi dbis[2] = {0};
    if (rc == 0)
        rc = create_databases(txn, dbis);
    if (rc == 0) {
        struct store_head head = {0};
        kt_random(head.history, sizeof head.history);
        unsigned char record[STORE_HEAD_BYTES];
        store_head_write(&head, record);
        char name[] = LMDB_HEAD_KEY;
        MDB_val key = {sizeof name - 1, name}, value = {sizeof record, record};
        rc = mdb_put(txn, dbis[1], &key, &value, 0);
    }
    if (rc == 0)
        return mdb_txn_commit(txn);
    if (txn != NULL)
        mdb_txn_abort(txn);
    return rc;
}

int store_lmdb_sync_folder(int folder, const char *name)
{
    kt_autoclose int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    return fsync(fd) == 0 ? 0 : errno;
}

/* An empty environment in a folder of its own; whatever stood there goes. */
static int make_env(int folder, const char *path, const char *name, uint64_t map_bytes,
                    unsigned flags, MDB_env **ret)
{
    char full[PATH_MAX], lock_file[64];
    if (!join(full, path, name))
        return ENAMETOOLONG;
    (void)snprintf(lock_file, sizeof lock_file, "%s/lock.mdb", name);
    int rc = store_lmdb_remove(folder, name);
    if (rc == 0)
        rc = mkdirat(folder, name, 0700) == 0 ? 0 : errno;
    if (rc == 0)
        rc = reserve_lock_file(folder, lock_file);
    return rc == 0 ? open_env(full, map_bytes, flags, ret) : rc;
}

/* Nothing of it counts before the rename, so a crash in here leaves what the next start removes. */
static int make_store(int folder, const char *path)
{
    MDB_env *env = NULL;
    int rc = make_env(folder, path, STORE_NEWBORN, LMDB_MAP_BYTES, 0, &env);
    if (rc == 0)
        rc = write_first_head(env);
    if (env != NULL)
        mdb_env_close(env);
    if (rc == 0)
        rc = store_lmdb_sync_folder(folder, STORE_NEWBORN);
    if (rc == 0)
        rc = renameat(folder, STORE_NEWBORN, folder, STORE_FOLDER) == 0 ? 0 : errno;
    if (rc != 0)
        (void)store_lmdb_remove(folder, STORE_NEWBORN); /* the next start tries again */
    return rc;
}

/* ---- a second file, for the compacted copy ---- */

static int open_fresh_databases(struct lmdb *lmdb, MDB_env *env)
{
    MDB_txn *txn = NULL;
    MDB_dbi dbis[2] = {0};
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = create_databases(txn, dbis);
    /* Handles are numbers in the order of opening; everybody uses one pair of them for both files. */
    if (rc == 0 && (dbis[0] != lmdb->data || dbis[1] != lmdb->head))
        rc = MDB_INCOMPATIBLE;
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

int store_lmdb_fresh(struct lmdb *lmdb, const char *name, struct lmdb_file **ret)
{
    struct lmdb_file *file = kt_calloc(1, sizeof *file);
    if (file == NULL)
        return ENOMEM;
    int rc = make_env(lmdb->folder.fd, lmdb->path, name, lmdb->map_bytes,
                      larger_than_memory(lmdb->folder.fd) ? MDB_NORDAHEAD : 0, &file->env);
    if (rc == 0)
        rc = open_fresh_databases(lmdb, file->env);
    if (rc != 0) {
        if (file->env != NULL)
            mdb_env_close(file->env);
        free(file);
        return rc;
    }
    *ret = file;
    return 0;
}

static enum kt_kind find_or_make(const struct store_folder *folder, const char *path,
                                 struct kt_err *err)
{
    enum kt_kind kind = store_folder_check(folder, path, STORE_FOLDER, true, err);
    if (kind == KT_NOT_FOUND) {
        int rc = make_store(folder->fd, path);
        if (rc != 0)
            return store_lmdb_failed(path, rc, err);
        kind = store_folder_check(folder, path, STORE_FOLDER, true, err);
    }
    if (kind != KT_OK)
        return kind;
    kind = store_folder_check(folder, path, DATA_FILE, false, err);
    if (kind == KT_NOT_FOUND)
        return damaged(path, "store/data.mdb is missing", err);
    if (kind != KT_OK)
        return kind;
    kind = store_folder_check(folder, path, LOCK_FILE, false, err);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* ---- an old one ---- */

/* A page behind the end of the file would be a SIGBUS; a page of zeroes is an error. */
static enum kt_kind check_length(struct lmdb *lmdb, const char *path, struct kt_err *err)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_filehandle_t fd = -1;
    MDB_env *env = atomic_load(&lmdb->file)->env;
    int rc = mdb_env_info(env, &info);
    if (rc == 0)
        rc = mdb_env_stat(env, &stat);
    if (rc == 0)
        rc = mdb_env_get_fd(env, &fd);
    if (rc != 0)
        return store_lmdb_failed(path, rc, err);
    lmdb->page = stat.ms_psize;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot look at '%s/" DATA_FILE "'", path);
    uint64_t size = (uint64_t)st.st_size, need = ((uint64_t)info.me_last_pgno + 1) * lmdb->page;
    if (size >= need)
        return KT_OK;
    if (need - size > SLACK_BYTES) {
        (void)kt_fail(err, KT_CORRUPT,
                      "'%s/" DATA_FILE "' was cut off: it has %ju bytes of at least %ju", path,
                      (uintmax_t)size, (uintmax_t)need);
        kt_hint(err, "keep the folder as it is and restore the newest backup into another one");
        return KT_CORRUPT;
    }
    if (ftruncate(fd, (off_t)need) != 0)
        return kt_fail(err, KT_IO, "cannot extend '%s/" DATA_FILE "'", path);
    return KT_OK;
}

uint64_t store_lmdb_used(struct lmdb *lmdb, MDB_txn *txn)
{
    /* 0 and 1 are LMDB's own: the free list and the list of databases. */
    const MDB_dbi all[] = {0, 1, lmdb->data, lmdb->head};
    uint64_t pages = 2;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        MDB_stat stat;
        if (mdb_stat(txn, all[i], &stat) == 0)
            pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    return pages * lmdb->page;
}

uint64_t store_lmdb_entries(struct lmdb *lmdb, MDB_txn *txn)
{
    MDB_stat stat;
    return mdb_stat(txn, lmdb->data, &stat) == 0 ? stat.ms_entries : 0;
}

static enum kt_kind read_head(struct lmdb *lmdb, MDB_txn *txn, const char *path,
                              const struct store_seam *seam, struct kt_err *err)
{
    char name[] = LMDB_HEAD_KEY;
    MDB_val key = {sizeof name - 1, name}, value;
    int rc = mdb_get(txn, lmdb->head, &key, &value);
    if (rc == MDB_NOTFOUND)
        return damaged(path, "it has no head record", err);
    if (rc != 0)
        return store_lmdb_failed(path, rc, err);
    bool own_formats = seam->formats != NULL;
    return store_head_read(kt_bytes(value.mv_data, value.mv_size),
                           own_formats ? seam->formats : store_formats,
                           own_formats ? seam->n_formats : store_formats_count,
                           &lmdb->engine.head, err);
}

/* A vaultd that was killed after it wrote a commit's last page and before it said so in the lock file
 * leaves the commit invisible to readers, if somebody else (a backup tool) has the store open and so
 * keeps that file from being made anew. Whoever takes the writers' lock next sets it right. */
static int see_last_commit(MDB_env *env)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc == 0)
        mdb_txn_abort(txn);
    return rc;
}

static enum kt_kind open_databases(struct lmdb *lmdb, const char *path,
                                   const struct store_seam *seam, struct kt_err *err)
{
    MDB_txn *txn = NULL;
    struct lmdb_file *file = atomic_load(&lmdb->file);
    int rc = see_last_commit(file->env);
    if (rc == 0)
        rc = mdb_txn_begin(file->env, NULL, MDB_RDONLY, &txn);
    MDB_dbi *const dbis[] = {&lmdb->data, &lmdb->head};
    for (size_t i = 0; rc == 0 && i < sizeof dbis / sizeof dbis[0]; i++)
        rc = mdb_dbi_open(txn, database_names[i], 0, dbis[i]);
    enum kt_kind kind = rc == 0 ? read_head(lmdb, txn, path, seam, err)
                                : store_lmdb_failed(path, rc, err);
    if (kind != KT_OK) {
        if (txn != NULL)
            mdb_txn_abort(txn);
        return kind;
    }
    file->base = lmdb->engine.head.at - mdb_txn_id(txn);
    lmdb->engine.used = store_lmdb_used(lmdb, txn);
    lmdb->engine.entries = store_lmdb_entries(lmdb, txn);
    rc = mdb_txn_commit(txn); /* the handles stay */
    return rc == 0 ? KT_OK : store_lmdb_failed(path, rc, err);
}

/* A compaction that did not end: the folder of that name is never the valid one, once the disk knows
 * what a process that was killed before its sync saw. */
static enum kt_kind remove_leftover(struct lmdb *lmdb, struct kt_err *err)
{
    int rc = store_lmdb_remove(lmdb->folder.fd, STORE_COMPACT);
    if (rc == 0)
        return KT_OK;
    errno = rc;
    (void)kt_fail(err, KT_IO, "cannot remove '%s/" STORE_COMPACT "', which an interrupted "
                              "compaction left behind", lmdb->path);
    kt_hint(err, "the store is whole without it: remove the folder by hand");
    return KT_IO;
}

static int open_file(struct lmdb *lmdb, struct lmdb_file *file)
{
    char full[PATH_MAX];
    if (!join(full, lmdb->path, STORE_FOLDER))
        return ENAMETOOLONG;
    int rc = reserve_lock_file(lmdb->folder.fd, LOCK_FILE);
    return rc != 0 ? rc
                   : open_env(full, lmdb->map_bytes,
                              larger_than_memory(lmdb->folder.fd) ? MDB_NORDAHEAD : 0, &file->env);
}

static enum kt_kind open_and_check(struct lmdb *lmdb, const char *path,
                                   const struct store_seam *seam, struct kt_err *err)
{
    uint64_t map = lmdb->engine.max_bytes > LMDB_MAP_BYTES ? lmdb->engine.max_bytes
                                                           : LMDB_MAP_BYTES;
    lmdb->map_bytes = seam->map_bytes != 0 ? seam->map_bytes : map;
    lmdb->path = realpath(path, NULL);
    struct lmdb_file *file = kt_calloc(1, sizeof *file);
    if (lmdb->path == NULL || file == NULL) {
        free(file);
        return kt_fail(err, KT_NO_MEMORY, "opening the store");
    }
    int rc = open_file(lmdb, file);
    if (rc != 0) {
        free(file);
        return store_lmdb_failed(path, rc, err);
    }
    atomic_store(&lmdb->file, file);
    enum kt_kind kind = check_length(lmdb, path, err);
    if (kind == KT_OK)
        kind = open_databases(lmdb, path, seam, err);
    if (kind != KT_OK)
        return kind;
    int dead = 0;
    (void)mdb_reader_check(file->env, &dead); /* readers of a process that was killed */
    /* Also when nothing was made: a start that made it may have ended before its sync. */
    if (fsync(lmdb->folder.fd) != 0)
        return kt_fail(err, KT_IO, "cannot sync the data folder '%s'", path);
    return remove_leftover(lmdb, err);
}

enum kt_kind store_lmdb_env_open(struct lmdb *lmdb, const struct store_config *config,
                                 const struct store_seam *seam, struct kt_err *err)
{
    enum kt_kind kind = store_folder_open(config->path, &lmdb->folder, err);
    if (kind != KT_OK)
        return kind;
    kind = find_or_make(&lmdb->folder, config->path, err);
    if (kind == KT_OK)
        kind = open_and_check(lmdb, config->path, seam, err);
    if (kind == KT_OK)
        store_reserve_open(lmdb->folder.fd, RESERVE_FILE, &lmdb->reserve);
    if (kind != KT_OK)
        store_lmdb_env_close(lmdb);
    return kind;
}

void store_lmdb_env_close(struct lmdb *lmdb)
{
    struct lmdb_file *file = atomic_exchange(&lmdb->file, NULL);
    if (file != NULL)
        mdb_env_close(file->env);
    free(file);
    free(lmdb->path);
    lmdb->path = NULL;
    store_reserve_close(&lmdb->reserve);
    store_folder_close(&lmdb->folder);
}
