/* What only the LMDB engine has: a folder, a lock, a file with a format, a disk that gets full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <fcntl.h>
#include <lmdb.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/failpoint.h"
#include "lib/secret.h"
#include "tests/support/store_fixture.h"
#include "vaultd/store/folder.h"

static struct store_fixture fixture;

static int set_up(void **state)
{
    *state = &fixture;
    return fixture_init(&fixture, STORE_LMDB);
}

static int tear_down(void **state)
{
    fixture_done(*state);
    return 0;
}

static void path_of(const struct store_fixture *f, const char *name, char out[160])
{
    (void)snprintf(out, 160, "%s/%s", f->folder, name);
}

/* Closes the store, lets `change` do its work, and expects the next open to be refused with both
 * texts in its message or hint; then opens a fresh place. */
static void expect_refusal(struct store_fixture *f, void (*change)(struct store_fixture *f),
                           enum kt_kind want, const char *text, const char *hint)
{
    assert_int_equal(fixture_put(f, "\x01k", "x"), STORE_OK);
    store_close(f->store);
    f->store = NULL;
    change(f);
    struct kt_err err = {0};
    enum kt_kind kind = store_open_seamed(&f->config, &f->seam, &f->store, &err);
    if (kind != want || strstr(err.what, text) == NULL || strstr(err.hint, hint) == NULL)
        fail_msg("%s, '%s', hint '%s'", kt_kind_name(kind), err.what, err.hint);
    assert_null(f->store);
    (void)chmod(f->folder, 0700);
    fixture_reset(f);
}

/* ---- refused at open ---- */

static void remove_folder(struct store_fixture *f)
{
    folder_remove(f->folder);
}
static void put_a_file_there(struct store_fixture *f)
{
    folder_remove(f->folder);
    int fd = open(f->folder, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}
static void open_the_folder(struct store_fixture *f)
{
    assert_int_equal(chmod(f->folder, 0750), 0);
}
static void open_the_file(struct store_fixture *f)
{
    char path[160];
    path_of(f, "store/data.mdb", path);
    assert_int_equal(chmod(path, 0604), 0);
}
static void give_it_away(struct store_fixture *f)
{
    assert_int_equal(chown(f->folder, 12345, 12345), 0);
}
static void link_the_store(struct store_fixture *f)
{
    char path[160], other[160];
    path_of(f, "store", path);
    path_of(f, "elsewhere", other);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
}
static void lose_the_file(struct store_fixture *f)
{
    char path[160];
    path_of(f, "store/data.mdb", path);
    assert_int_equal(unlink(path), 0);
}
static void overwrite(struct store_fixture *f, off_t at, size_t len)
{
    static const unsigned char junk[4096] = {0x55};
    char path[160];
    path_of(f, "store/data.mdb", path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, junk, len, at), len);
    (void)close(fd);
}
static void spoil_the_meta_page(struct store_fixture *f)
{
    overwrite(f, 0, 64);
}
static void fill_and_cut_off(struct store_fixture *f)
{
    char path[160];
    path_of(f, "store/data.mdb", path);
    assert_int_equal(truncate(path, 16384), 0);
}

/* Reaches under the store while it is closed. */
static void rewrite_head(struct store_fixture *f, const void *record, size_t len)
{
    char path[160];
    path_of(f, "store", path);
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi = 0;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOTLS, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "head", 0, &dbi), 0);
    char name[] = "head";
    MDB_val key = {4, name}, value = {len, (void *)(uintptr_t)record};
    if (record == NULL)
        assert_int_equal(mdb_del(txn, dbi, &key, NULL), 0);
    else
        assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}
static void write_format_7(struct store_fixture *f)
{
    static const unsigned char record[200] = {7, 0, 0, 0, 1, 2, 3};
    rewrite_head(f, record, sizeof record);
}
static void write_short_head(struct store_fixture *f)
{
    static const unsigned char record[50] = {1};
    rewrite_head(f, record, sizeof record);
}
static void write_tiny_head(struct store_fixture *f)
{
    rewrite_head(f, "ab", 2);
}
static void lose_the_head(struct store_fixture *f)
{
    rewrite_head(f, NULL, 0);
}

static const struct refusal_row {
    const char *name;
    void (*change)(struct store_fixture *f);
    enum kt_kind kind;
    const char *text, *hint;
} refusal_rows[] = {
    {"missing", remove_folder, KT_IO, "No such file", "install -d -m 0700"},
    {"not a folder", put_a_file_there, KT_PRECONDITION, "not a folder", "storage.path"},
    {"folder open to others", open_the_folder, KT_PRECONDITION, "mode 0750", "chmod go="},
    {"file open to others", open_the_file, KT_PRECONDITION, "data.mdb' has mode 0604", "chmod go="},
    {"not ours", give_it_away, KT_PRECONDITION, "belongs to user 12345", "chown"},
    {"store is a link", link_the_store, KT_PRECONDITION, "not a folder", "move it away"},
    {"file gone", lose_the_file, KT_CORRUPT, "data.mdb is missing", "backup"},
    {"file spoilt", spoil_the_meta_page, KT_CORRUPT, "not what we wrote", "backup"},
    {"newer format", write_format_7, KT_PRECONDITION, "format 7, written by a newer Keyturn",
     "newer vaultd"},
    {"head too short", write_short_head, KT_CORRUPT, "head record (format 1) is damaged", "backup"},
    {"head without a number", write_tiny_head, KT_CORRUPT, "damaged (2 bytes)", "backup"},
    {"head gone", lose_the_head, KT_CORRUPT, "no head record", "backup"},
};

static void refused_with_a_message(void **state)
{
    struct store_fixture *f = *state;
    for (size_t i = 0; i < sizeof refusal_rows / sizeof refusal_rows[0]; i++) {
        const struct refusal_row *row = &refusal_rows[i];
        if (row->change == give_it_away && geteuid() != 0)
            continue; /* only root can give a folder away */
        print_message("    %s\n", row->name);
        expect_refusal(f, row->change, row->kind, row->text, row->hint);
    }
    struct store_config nowhere = {.engine = STORE_LMDB};
    struct store *store = NULL;
    struct kt_err err = {0};
    assert_int_equal(store_open(&nowhere, &store, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "needs a path"));
}

static void cut_off_file_is_named(void **state)
{
    struct store_fixture *f = *state;
    static unsigned char value[512 * 1024];
    for (unsigned i = 0; i < 4; i++) {
        struct batch *batch = batch_new();
        batch_put(batch, kt_bytes((const char[]){1, (char)('0' + i)}, 2),
                  kt_bytes(value, sizeof value));
        assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    }
    expect_refusal(f, fill_and_cut_off, KT_CORRUPT, "was cut off", "backup");
}

static void network_file_systems_have_names(void **state)
{
    (void)state;
    assert_string_equal(store_folder_foreign(0x6969), "NFS");
    assert_string_equal(store_folder_foreign(0x65735546), "FUSE");
    /* As a signed long has it. */
    assert_string_equal(store_folder_foreign(0xffffffffff534d42), "CIFS");
    assert_null(store_folder_foreign(0xef53));     /* ext4 */
    assert_null(store_folder_foreign(0x01021994)); /* tmpfs */
}

static void another_process_is_refused(void **state)
{
    struct store_fixture *f = *state;
    int pipe_fd[2];
    assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *store = NULL;
        struct kt_err err = {0};
        struct store_config config = {.engine = STORE_LMDB, .path = f->folder};
        enum kt_kind kind = store_open(&config, &store, &err);
        ssize_t n = write(pipe_fd[1], err.what, strlen(err.what));
        _exit(kind == KT_BUSY && n > 0 ? 0 : 1);
    }
    (void)close(pipe_fd[1]);
    char text[400] = "", want[64];
    ssize_t n = read(pipe_fd[0], text, sizeof text - 1);
    (void)close(pipe_fd[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(n > 0);
    (void)snprintf(want, sizeof want, "another vaultd (process %d)", (int)getpid());
    assert_non_null(strstr(text, want));
    assert_int_equal(fixture_put(f, "\x01k", "x"), STORE_OK);
}

/* ---- what lies in the folder ---- */

static void nobody_else_may_read(void **state)
{
    struct store_fixture *f = *state;
    mode_t old = umask(0);
    fixture_reset(f);
    (void)umask(old);
    static const struct {
        const char *name;
        mode_t mode;
    } rows[] = {{"store", 0700}, {"store/data.mdb", 0600}, {"store/lock.mdb", 0600},
                {"vaultd.lock", 0600}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[160];
        struct stat st;
        path_of(f, rows[i].name, path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, rows[i].mode);
    }
}

/* A crash while the first start made the store leaves store.new; the next start begins anew. */
static void half_made_store_is_made_again(void **state)
{
    struct store_fixture *f = *state;
    store_close(f->store);
    char store[160], newborn[160];
    path_of(f, "store", store);
    path_of(f, "store.new", newborn);
    assert_int_equal(rename(store, newborn), 0);
    path_of(f, "store.new/data.mdb", store);
    assert_int_equal(truncate(store, 8192), 0);
    f->store = NULL;
    struct kt_err err = {0};
    assert_int_equal(store_open_seamed(&f->config, &f->seam, &f->store, &err), KT_OK);
    assert_int_equal(fixture_head(f), 0);
    assert_int_equal(access(newborn, F_OK), -1);
}

/* The last pages of a transaction that LMDB took and gave back are never written. */
static void a_little_short_is_no_damage(void **state)
{
    struct store_fixture *f = *state;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(fixture_put(f, "\x01k", "x"), STORE_OK);
    store_close(f->store);
    char path[160];
    struct stat before, after;
    path_of(f, "store/data.mdb", path);
    assert_int_equal(stat(path, &before), 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, before.st_size - 4096), 0);
    (void)close(fd);
    f->store = NULL;
    struct kt_err err = {0};
    assert_int_equal(store_open_seamed(&f->config, &f->seam, &f->store, &err), KT_OK);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
}

/* ---- formats ---- */

/* Format 0, which never was: number, generation, history backwards. */
static bool read_0(struct kt_bytes record, struct store_head *ret)
{
    if (record.len != 28)
        return false;
    *ret = (struct store_head){.at = kt_get_u64(record.at + 4)};
    for (size_t i = 0; i < 16; i++)
        ret->history[i] = record.at[27 - i];
    return true;
}

static void an_older_format_is_read(void **state)
{
    struct store_fixture *f = *state;
    assert_int_equal(store_formats_count, 1);
    assert_int_equal(store_formats[0].number, STORE_FORMAT);
    const struct store_format formats[] = {{0, read_0}, store_formats[0]};
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(fixture_put(f, "\x01k", "x"), STORE_OK);
    store_close(f->store);
    unsigned char record[28] = {0};
    kt_put_u64(record + 4, 9);
    for (size_t i = 0; i < 16; i++)
        record[27 - i] = (unsigned char)(i + 1);
    rewrite_head(f, record, sizeof record);
    f->seam.formats = formats;
    f->seam.n_formats = 2;
    struct kt_err err = {0};
    f->store = NULL;
    assert_int_equal(store_open_seamed(&f->config, &f->seam, &f->store, &err), KT_OK);
    assert_int_equal(fixture_head(f), 9);
    struct batch *batch = batch_new();
    batch_require(batch, KEY_CHANGED_AT, kt_str("\x01k"), 9);
    batch_put(batch, kt_str("\x01k"), kt_str("y"));
    assert_int_equal(fixture_commit(f, batch).at, 10);
    /* The fold wrote the head anew: without the reader of format 0 it opens, too. */
    f->seam.formats = NULL;
    fixture_reopen(f);
    unsigned char history[16];
    generation at = 0;
    store_head(f->store, NULL, &at, history);
    assert_int_equal(at, 10);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(history[i], i + 1);
}

/* ---- full ---- */

/* The map is the limit, so that LMDB and not our own account says no, in the middle of a fold. */
static void what_fits_gets_through(void **state)
{
    struct store_fixture *f = *state;
    f->seam.map_bytes = 1024 * 1024;
    fixture_reset(f);
    static unsigned char big[600 * 1024], half[480 * 1024];
    struct fixture_wait waits[6] = {0};
    fixture_hold(f);
    for (size_t i = 0; i < 6; i++) {
        struct batch *batch = batch_new();
        bool is_big = i == 0 || i == 4;
        char key[] = {1, (char)('0' + i)};
        if (i == 2)
            batch_relief(batch);
        if (i == 5)
            batch_require(batch, KEY_PRESENT, kt_bytes((const char[]){1, '2'}, 2), 0);
        batch_put(batch, kt_bytes(key, 2),
                  i == 2 ? kt_bytes(half, sizeof half)
                         : is_big ? kt_bytes(big, sizeof big) : kt_str("small"));
        fixture_submit(f, batch, &waits[i]);
    }
    fixture_release(f);
    for (size_t i = 0; i < 6; i++)
        fixture_wait(&waits[i]);
    /* Relief first; what stood before it is given up so that the order stays; the rest alone. */
    static const enum store_error want[] = {STORE_FULL, STORE_FULL, STORE_OK,
                                            STORE_OK,   STORE_FULL, STORE_OK};
    for (size_t i = 0; i < 6; i++)
        if (waits[i].result.error != want[i])
            fail_msg("%zu: %s", i, store_error_text(waits[i].result.error));
    assert_true(waits[2].result.at < waits[3].result.at);
    assert_int_equal(fixture_get(f, "\x01" "3", NULL), STORE_OK);
    assert_int_equal(fixture_get(f, "\x01" "0", NULL), STORE_NOT_FOUND);
    f->seam.map_bytes = 0;
}

/* A tmpfs of its own for this process; skips where mounting is not possible. */
static void mount_over(const char *folder, const char *size)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, size) != 0) {
        print_message("    not tried: this process may not mount\n");
        skip();
    }
    assert_int_equal(chmod(folder, 0700), 0);
}

static void fill_rest(const char *folder, const char *name, size_t keep)
{
    static const char block[4096];
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    off_t size = 0;
    while (write(fd, block, sizeof block) == (ssize_t)sizeof block)
        size += (off_t)sizeof block;
    if (keep != 0)
        assert_int_equal(ftruncate(fd, size - (off_t)keep), 0);
    (void)close(fd);
}

static void full_disk(void **state)
{
    struct store_fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    mount_over(f->folder, "size=7m"); /* of which 4 are the reserve */
    struct kt_err err = {0};
    fill_rest(f->folder, "filler", 0);
    assert_int_equal(store_open_seamed(&f->config, &f->seam, &f->store, &err), KT_FULL);
    assert_non_null(strstr(err.what, "is full"));
    assert_non_null(strstr(err.hint, "df "));
    char path[160];
    path_of(f, "filler", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(store_open_seamed(&f->config, &f->seam, &f->store, &err), KT_OK);

    static unsigned char big[400 * 1024];
    assert_int_equal(fixture_put(f, "\x01first", "1"), STORE_OK);
    fill_rest(f->folder, "filler", 160 * 1024);
    struct fixture_wait waits[3] = {0};
    fixture_hold(f);
    for (size_t i = 0; i < 3; i++) {
        struct batch *batch = batch_new();
        batch_put(batch, kt_bytes((const char[]){1, (char)('0' + i)}, 2),
                  i == 1 ? kt_bytes(big, sizeof big) : kt_str("small"));
        fixture_submit(f, batch, &waits[i]);
    }
    fixture_release(f);
    for (size_t i = 0; i < 3; i++)
        fixture_wait(&waits[i]);
    assert_int_equal(waits[1].result.error, STORE_FULL);
    /* LMDB leaves what it had written of the failed commit in the file, so there may be no room for
     * the small ones either; but nothing is unknown, and reads go on. */
    for (size_t i = 0; i < 3; i += 2)
        assert_true(waits[i].result.error == STORE_OK || waits[i].result.error == STORE_FULL);
    assert_int_equal(fixture_get(f, "\x01first", NULL), STORE_OK);
    assert_int_equal(unlink(path), 0);
    struct batch *batch = batch_new();
    batch_put(batch, kt_str("\x01" "1"), kt_bytes(big, sizeof big));
    assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    fixture_reopen(f);
    assert_int_equal(fixture_get(f, "\x01first", NULL), STORE_OK);
    assert_int_equal(fixture_get(f, "\x01" "1", NULL), STORE_OK);

    store_close(f->store);
    f->store = NULL;
    assert_int_equal(mount(NULL, f->folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(store_open_seamed(&f->config, &f->seam, &f->store, &err), KT_PRECONDITION);
    assert_non_null(strstr(err.what, "read-only"));
    assert_int_equal(umount(f->folder), 0);
}

/* Nothing at all is left on the disk: deleting and revoking go on from the reserve, all others wait
 * until it could be filled again. */
static void relief_on_a_full_disk(void **state)
{
    struct store_fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    mount_over(f->folder, "size=7m");
    struct kt_err err = {0};
    assert_int_equal(store_open_seamed(&f->config, &f->seam, &f->store, &err), KT_OK);
    static unsigned char value[2000];
    for (unsigned i = 0; i < 200; i++) {
        char key[16];
        int n = snprintf(key, sizeof key, "\x01%03u", i);
        struct batch *batch = batch_new();
        batch_put(batch, kt_bytes(key, (size_t)n), kt_bytes(value, sizeof value));
        assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    }
    fill_rest(f->folder, "filler", 0);
    enum store_error error = STORE_OK;
    for (unsigned i = 0; i < 400 && error == STORE_OK; i++)
        error = fixture_put(f, "\x01more", "x"); /* pages that were freed before are used up */
    static unsigned char big[64 * 1024];
    struct batch *batch = batch_new();
    batch_put(batch, kt_str("\x01" "big"), kt_bytes(big, sizeof big));
    assert_int_equal(fixture_commit(f, batch).error, STORE_FULL);
    for (unsigned i = 0; i < 200; i++) {
        char key[16];
        int n = snprintf(key, sizeof key, "\x01%03u", i);
        batch = batch_new();
        batch_delete(batch, kt_bytes(key, (size_t)n));
        if (i % 2 != 0) { /* as revoking a token does */
            batch_put(batch, kt_str("\x02revoked"), kt_bytes(key, (size_t)n));
            batch_relief(batch);
        }
        error = fixture_commit(f, batch).error;
        if (error != STORE_OK)
            fail_msg("relief %u: %s", i, store_error_text(error));
    }
    char path[160];
    path_of(f, "filler", path);
    assert_int_equal(unlink(path), 0);
    batch = batch_new();
    batch_put(batch, kt_str("\x01" "big"), kt_bytes(big, sizeof big));
    assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    fixture_reopen(f);
    assert_int_equal(fixture_get(f, "\x01" "007", NULL), STORE_NOT_FOUND);
    assert_int_equal(fixture_get(f, "\x01" "big", NULL), STORE_OK);
}

/* ---- out of memory ---- */

#ifdef KT_FAULT
static enum store_error open_put_get(struct store_fixture *f, unsigned long nth)
{
    (void)kt_fail_allocation(nth);
    struct kt_err err = {0};
    if (store_open_seamed(&f->config, &f->seam, &f->store, &err) != KT_OK) {
        f->store = NULL;
        return err.kind == KT_NO_MEMORY ? STORE_BUSY : STORE_BROKEN;
    }
    struct batch *batch = batch_new();
    if (batch == NULL)
        return STORE_BUSY;
    batch_put(batch, kt_str("\x01k"), kt_str("x"));
    batch_outcome(batch, kt_str("o"));
    enum store_error error = fixture_commit(f, batch).error;
    struct snapshot *snapshot = NULL;
    if (error == STORE_OK)
        error = snapshot_begin(f->store, &snapshot);
    struct cursor *first = NULL, *second = NULL;
    if (error == STORE_OK)
        error = cursor_open(snapshot, kt_str("\x01"), kt_str(""), &first);
    if (error == STORE_OK)
        error = cursor_open(snapshot, kt_str("\x01"), kt_str(""), &second);
    cursor_close(first);
    cursor_close(second);
    snapshot_end(snapshot);
    return error;
}

static void each_allocation_may_fail(void **state)
{
    struct store_fixture *f = *state;
    store_close(f->store);
    unsigned long failed = 0;
    for (int engine = 0; engine < 2; engine++) {
        f->config.engine = engine == 0 ? STORE_LMDB : STORE_INMEM;
        for (unsigned long nth = 1;; nth++) {
            f->store = NULL;
            enum store_error error = open_put_get(f, nth);
            (void)kt_fail_allocation(0);
            store_close(f->store);
            if (error == STORE_OK)
                break;
            if (error != STORE_BUSY && error != STORE_NO_MEMORY)
                fail_msg("allocation %lu: %s", nth, store_error_text(error));
            failed++;
            assert_true(nth < 100);
        }
    }
    assert_true(failed > 8);
    f->config.engine = STORE_LMDB;
    f->store = NULL;
    struct kt_err err = {0};
    assert_int_equal(store_open_seamed(&f->config, &f->seam, &f->store, &err), KT_OK);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refused_with_a_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_off_file_is_named, set_up, tear_down),
        cmocka_unit_test(network_file_systems_have_names),
        cmocka_unit_test_setup_teardown(another_process_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_else_may_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_made_store_is_made_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_little_short_is_no_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_format_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fits_gets_through, set_up, tear_down),
#ifdef KT_FAULT
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(relief_on_a_full_disk, set_up, tear_down),
    };
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    return cmocka_run_group_tests_name("store_lmdb", tests, NULL, NULL);
}
