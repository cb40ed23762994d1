/* The exchange that ends a compaction, when the system calls around it fail, or come in an order that
 * a power loss would punish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/store_fixture.h"

/* ---- the system calls ---- */

enum exchange { EXCHANGE_WORKS, EXCHANGE_FAILS, EXCHANGE_DOES_IT_AND_FAILS };
static enum exchange exchange;
/* S: the data folder was synced; N: a store's own folder that is not "store" yet; M: one was given that
 * name; X: by an exchange; R: something of store.compact was removed. */
static char events[64];
static size_t n_events;
static struct stat data_folder;

static void note(char event)
{
    if (n_events < sizeof events - 1)
        events[n_events++] = event;
}

int renameat2(int old_folder, const char *old_name, int new_folder, const char *new_name,
              unsigned flags)
{
    bool meant = strcmp(new_name, "store") == 0;
    if (!meant || exchange != EXCHANGE_FAILS) {
        int rc = (int)syscall(SYS_renameat2, old_folder, old_name, new_folder, new_name, flags);
        if (rc == 0 && meant)
            note('X');
        if (rc != 0 || !meant || exchange == EXCHANGE_WORKS)
            return rc;
    }
    errno = EIO;
    return -1;
}

int renameat(int old_folder, const char *old_name, int new_folder, const char *new_name)
{
    int rc = (int)syscall(SYS_renameat2, old_folder, old_name, new_folder, new_name, 0);
    if (rc == 0 && strcmp(new_name, "store") == 0)
        note('M');
    return rc;
}

int fsync(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_dev == data_folder.st_dev && st.st_ino == data_folder.st_ino)
        note('S');
    char self[64], path[256] = "";
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(self, path, sizeof path - 1);
    const char *name = len < 0 ? NULL : strrchr(path, '/');
    if (name != NULL && (strcmp(name, "/store.new") == 0 || strcmp(name, "/store.compact") == 0))
        note('N');
    return (int)syscall(SYS_fsync, fd);
}

int unlinkat(int folder, const char *name, int flags)
{
    int rc = (int)syscall(SYS_unlinkat, folder, name, flags);
    if (rc == 0 && strncmp(name, "store.compact", 13) == 0)
        note('R');
    return rc;
}

/* ---- the tests ---- */

static struct store_fixture fixture;

static void forget_events(void)
{
    memset(events, 0, sizeof events);
    n_events = 0;
}

static int set_up(void **state)
{
    *state = &fixture;
    exchange = EXCHANGE_WORKS;
    data_folder = (struct stat){0}; /* a removed one's number may be given anew */
    forget_events();
    return fixture_init(&fixture, STORE_LMDB) == 0 ? stat(fixture.folder, &data_folder) : -1;
}

static int tear_down(void **state)
{
    exchange = EXCHANGE_WORKS;
    fixture_done(*state);
    return 0;
}

static enum kt_kind compact(struct store_fixture *f, struct kt_err *err)
{
    struct store_compact_state state;
    *err = (struct kt_err){0};
    return store_compact(f->store, NULL, &state, err);
}

static void expect(struct store_fixture *f, const char *key, const char *value)
{
    char got[64];
    assert_int_equal(fixture_get(f, key, got), STORE_OK);
    assert_string_equal(got, value);
}

static void one_that_fails_changes_nothing(void **state)
{
    struct store_fixture *f = *state;
    struct kt_err err;
    assert_int_equal(fixture_put(f, "a", "1"), STORE_OK);
    exchange = EXCHANGE_FAILS;
    assert_int_equal(compact(f, &err), KT_IO);
    exchange = EXCHANGE_WORKS;
    assert_int_equal(fixture_put(f, "b", "2"), STORE_OK);
    assert_int_equal(compact(f, &err), KT_OK);
    fixture_reopen(f);
    expect(f, "a", "1");
    expect(f, "b", "2");
}

/* The disk says that it failed, and it is done: nothing more may go into the old file, which the next
 * start removes. */
static void one_that_fails_and_is_done_ends_the_store(void **state)
{
    struct store_fixture *f = *state;
    struct kt_err err;
    assert_int_equal(fixture_put(f, "a", "1"), STORE_OK);
    exchange = EXCHANGE_DOES_IT_AND_FAILS;
    enum kt_kind kind = compact(f, &err);
    exchange = EXCHANGE_WORKS;
    bool acknowledged = fixture_put(f, "b", "2") == STORE_OK;
    fixture_reopen(f);
    expect(f, "a", "1");
    if (acknowledged)
        expect(f, "b", "2");
    assert_int_equal(kind, KT_UNKNOWN);
    assert_non_null(strstr(err.what, "change places"));
}

/* A process that was killed between the exchange and its sync leaves folders that have changed places
 * in memory alone: the old file may go only when the disk knows. */
static void a_leftover_goes_after_the_sync(void **state)
{
    struct store_fixture *f = *state;
    char path[160];
    assert_int_equal(fixture_put(f, "a", "1"), STORE_OK);
    store_close(f->store);
    f->store = NULL;
    (void)snprintf(path, sizeof path, "%s/store.compact", f->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/store.compact/data.mdb", f->folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    forget_events();
    fixture_reopen(f);
    assert_string_equal(events, "SRR");
    expect(f, "a", "1");
}

/* What is in a folder is on the disk before it is "store", by whichever way; what was "store" goes when
 * the disk knows that it is no more. */
static void names_follow_what_they_name(void **state)
{
    struct store_fixture *f = *state;
    struct kt_err err;
    assert_string_equal(events, "NM"); /* of set_up() */
    assert_int_equal(fixture_put(f, "a", "1"), STORE_OK);
    forget_events();
    assert_int_equal(compact(f, &err), KT_OK);
    assert_non_null(strstr(events, "NXSR")); /* what goes before N is an earlier trial of the exchange */
    expect(f, "a", "1");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_that_fails_changes_nothing),
        T(one_that_fails_and_is_done_ends_the_store),
        T(a_leftover_goes_after_the_sync),
        T(names_follow_what_they_name),
    };
    return cmocka_run_group_tests_name("store_exchange", tests, NULL, NULL);
}
