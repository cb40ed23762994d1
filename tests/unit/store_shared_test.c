/* Somebody else has the store open (a backup tool, mdb_stat) while vaultd is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/secret.h"
#include "tests/support/folder.h"
#include "vaultd/store/store.h"

/* In lock.mdb: magic, format, the readers' mutex, then the number of the last commit (mdb.c,
 * MDB_txbody). */
#define TXNID_AT (8 + sizeof(pthread_mutex_t))

struct fixture {
    char folder[64], store[80];
    pid_t other;
};

static struct store *open_store(const struct fixture *f)
{
    struct kt_err err = {0};
    struct store *store = NULL;
    const struct store_config config = {.engine = STORE_LMDB, .path = f->folder};
    if (store_open(&config, &store, &err) != KT_OK)
        fail_msg("%s (%s)", err.what, err.hint);
    return store;
}

static void note(void *arg, const struct commit_result *result)
{
    *(struct commit_result *)arg = *result;
}

/* One commit, and the end of the store. */
static struct commit_result commit_once(struct store *store, const char *key)
{
    struct commit_result result = {.error = STORE_UNKNOWN};
    struct batch *batch = batch_new();
    assert_non_null(batch);
    batch_put(batch, kt_str(key), kt_str("value"));
    store_commit(store, batch, note, &result);
    store_close(store);
    return result;
}

static MDB_env *open_env(const struct fixture *f, unsigned flags)
{
    MDB_env *env = NULL;
    if (mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, 4) != 0 ||
        mdb_env_open(env, f->store, MDB_NOTLS | flags, 0600) != 0)
        _exit(1);
    return env;
}

static void have_it_open(struct fixture *f)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    f->other = fork();
    if (f->other == 0) {
        (void)open_env(f, MDB_RDONLY);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

/* As killed between the write of a commit's last page and the note of it in the lock file, with the
 * writers' lock in hand. */
static void killed_in_commit(const struct fixture *f)
{
    pid_t writer = fork();
    if (writer == 0) {
        MDB_env *env = open_env(f, 0);
        MDB_txn *txn = NULL;
        char path[100];
        (void)snprintf(path, sizeof path, "%s/lock.mdb", f->store);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        void *map =
            fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED || mdb_txn_begin(env, NULL, 0, &txn) != 0)
            _exit(1);
        uint64_t last = 0;
        memcpy(&last, (unsigned char *)map + TXNID_AT, sizeof last);
        if (last + 1 != mdb_txn_id(txn))
            _exit(2);
        last--;
        memcpy((unsigned char *)map + TXNID_AT, &last, sizeof last);
        (void)raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the writer ended with status %x", (unsigned)status);
}

static int make_folder(void **state)
{
    static struct fixture f;
    assert_int_equal(folder_make(f.folder), 0);
    (void)snprintf(f.store, sizeof f.store, "%s/store", f.folder);
    *state = &f;
    return 0;
}

static int remove_folder(void **state)
{
    struct fixture *f = *state;
    if (f->other > 0) {
        (void)kill(f->other, SIGKILL);
        (void)waitpid(f->other, NULL, 0);
    }
    folder_remove(f->folder);
    return 0;
}

static void the_last_commit_is_seen(void **state)
{
    struct fixture *f = *state;
    struct commit_result first = commit_once(open_store(f), "a"),
                         second = commit_once(open_store(f), "b");
    assert_int_equal(first.error, STORE_OK);
    assert_int_equal(second.at, first.at + 1);
    have_it_open(f);
    killed_in_commit(f);
    struct store *store = open_store(f);
    struct snapshot *snapshot = NULL;
    struct entry entry;
    assert_int_equal(snapshot_begin(store, &snapshot), STORE_OK);
    assert_int_equal(snapshot_generation(snapshot), second.at);
    assert_int_equal(snapshot_get(snapshot, kt_str("b"), &entry), STORE_OK);
    snapshot_end(snapshot);
    struct commit_result third = commit_once(store, "c");
    assert_int_equal(third.error, STORE_OK);
    assert_int_equal(third.at, second.at + 1);
}

int main(void)
{
    kt_log_set_level(KT_LOG_ERROR);
    struct kt_err err = {0};
    if (kt_secret_init(&err) != KT_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_last_commit_is_seen, make_folder, remove_folder),
    };
    return cmocka_run_group_tests_name("store_shared", tests, NULL, NULL);
}
