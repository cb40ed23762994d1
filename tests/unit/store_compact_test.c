/* Compacting the store's file: nothing is lost or comes back, reads and writes go on, what is not
 * there any more is not in the file; stopped, failing and interrupted at each step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sched.h>
#include <unistd.h>

#include "lib/failpoint.h"
#include "lib/secret.h"
#include "tests/support/store_fixture.h"
#include "vaultd/store/lmdb_env.h"

#define KEYS 800u
#define VALUE 3000u

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

static void key_text(unsigned i, char out[32])
{
    (void)snprintf(out, 32, "k%05u", i);
}

/* A value that says which writing of which key it is. */
static void fill_value(unsigned i, unsigned version, char out[VALUE])
{
    memset(out, 'a' + (int)(version % 26), VALUE);
    (void)snprintf(out, 40, "%05u.%08u", i, version);
    out[39] = '-';
}

static struct batch *put_one(unsigned i, unsigned version)
{
    char key[32], value[VALUE];
    key_text(i, key);
    fill_value(i, version, value);
    struct batch *batch = batch_new();
    batch_put(batch, kt_str(key), kt_bytes(value, sizeof value));
    return batch;
}

static void put(struct store_fixture *f, unsigned i, unsigned version)
{
    assert_int_equal(fixture_commit(f, put_one(i, version)).error, STORE_OK);
}

static void remove_one(struct store_fixture *f, unsigned i)
{
    char key[32];
    key_text(i, key);
    struct batch *batch = batch_new();
    batch_delete(batch, kt_str(key));
    assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
}

/* 0: absent. */
static unsigned version_of(struct store_fixture *f, unsigned i)
{
    char key[32], want[VALUE];
    key_text(i, key);
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_begin(f->store, &snapshot), STORE_OK);
    struct entry entry;
    enum store_error error = snapshot_get(snapshot, kt_str(key), &entry);
    unsigned version = 0;
    if (error == STORE_OK) {
        assert_int_equal(entry.value.len, VALUE);
        version = (unsigned)strtoul((const char *)entry.value.at + 6, NULL, 10);
        fill_value(i, version, want);
        assert_memory_equal(entry.value.at, want, VALUE);
    } else {
        assert_int_equal(error, STORE_NOT_FOUND);
    }
    snapshot_end(snapshot);
    return version;
}

static uint64_t file_bytes(struct store_fixture *f)
{
    struct store_status status;
    store_status(f->store, &status);
    return status.bytes_file;
}

static bool is_there(struct store_fixture *f, const char *name)
{
    char path[160];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", f->folder, name);
    return stat(path, &st) == 0;
}

static char *read_file(struct store_fixture *f, size_t *ret_len)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/store/data.mdb", f->folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    char *bytes = malloc((size_t)st.st_size);
    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
    (void)close(fd);
    *ret_len = (size_t)st.st_size;
    return bytes;
}

static void compact(struct store_fixture *f, struct store_compact_state *state)
{
    struct kt_err err = {0};
    if (store_compact(f->store, NULL, state, &err) != KT_OK)
        fail_msg("%s", err.what);
    assert_false(is_there(f, "store.compact"));
    assert_int_equal(state->phase, COMPACT_DONE);
}

/* ---- what is in the new file ---- */

/* How many values are in the file that the_deleted_is_not_in_it() deleted or overwrote. Each value has
 * "KEY.VERSION" in front, so one look at each dot that has digits around it finds them all. */
static unsigned gone_in_file(struct store_fixture *f)
{
    size_t len = 0;
    unsigned n = 0;
    char *bytes = read_file(f, &len);
    for (char *at = bytes; (at = memchr(at, '.', (size_t)(bytes + len - at))) != NULL; at++) {
        unsigned key = 0;
        if (at - bytes >= 5 && bytes + len - at > 9 && memcmp(at, ".00000001", 9) == 0 &&
            sscanf(at - 5, "%5u", &key) == 1 && key < KEYS && key % 4 != 3)
            n++;
    }
    free(bytes);
    return n;
}

static void the_deleted_is_not_in_it(void **state)
{
    struct store_fixture *f = *state;
    for (unsigned i = 0; i < KEYS; i++)
        put(f, i, 1);
    for (unsigned i = 0; i < KEYS; i += 2)
        remove_one(f, i);
    for (unsigned i = 1; i < KEYS; i += 4)
        put(f, i, 2);
    uint64_t before = file_bytes(f);
    generation at = fixture_head(f);
    /* The positive control: before, what was deleted and overwritten is in the file. */
    assert_true(gone_in_file(f) > 0);
    struct store_compact_state done;
    compact(f, &done);
    assert_int_equal(gone_in_file(f), 0);
    assert_true(done.bytes_before == before && done.bytes_after < before * 2 / 3);
    assert_int_equal(done.bytes_after, file_bytes(f));
    assert_int_equal(done.entries_done, KEYS / 2);
    assert_int_equal(fixture_head(f), at);
    for (unsigned again = 0; again < 2; again++) {
        for (unsigned i = 0; i < KEYS; i++)
            assert_int_equal(version_of(f, i), i % 2 == 0 ? 0 : i % 4 == 1 ? 2 : 1);
        fixture_reopen(f);
        assert_int_equal(fixture_head(f), at);
    }
    put(f, 0, 3);
    assert_int_equal(fixture_head(f), at + 1);
    assert_int_equal(version_of(f, 0), 3);
}

static void an_empty_one(void **state)
{
    struct store_fixture *f = *state;
    struct store_compact_state done;
    compact(f, &done);
    put(f, 1, 1);
    compact(f, &done);
    compact(f, &done);
    assert_int_equal(version_of(f, 1), 1);
    fixture_reopen(f);
    assert_int_equal(version_of(f, 1), 1);
}

static unsigned n_outcomes;
static void count_outcome(void *arg, generation at, unsigned place, struct kt_bytes record)
{
    (void)arg;
    (void)at;
    (void)place;
    assert_int_equal(record.len, 7);
    n_outcomes++;
}

static struct batch *with_outcome(unsigned i)
{
    struct batch *batch = put_one(i, i + 1);
    batch_outcome(batch, kt_str("outcome"));
    return batch;
}

static void outcomes_and_conditions_stay(void **state)
{
    struct store_fixture *f = *state;
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(fixture_commit(f, with_outcome(i)).error, STORE_OK);
    generation at = fixture_head(f);
    store_outcomes_synced(f->store, at - 10);
    struct store_compact_state done;
    compact(f, &done);
    n_outcomes = 0;
    assert_int_equal(store_outcomes(f->store, at - 10, count_outcome, NULL), STORE_OK);
    assert_int_equal(n_outcomes, 10);
    struct batch *batch = put_one(3, 9);
    char key[32];
    key_text(3, key);
    batch_require(batch, KEY_CHANGED_AT, kt_str(key), at - 30 + 4);
    assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    fixture_reopen(f);
    n_outcomes = 0;
    assert_int_equal(store_outcomes(f->store, at - 10, count_outcome, NULL), STORE_OK);
    assert_int_equal(n_outcomes, 10);
}

/* ---- while others read and write ---- */

struct load {
    struct store_fixture *f;
    atomic_bool stop;
    unsigned seed;
    unsigned versions[KEYS]; /* the last that was acknowledged, of a writer's own keys; 0: deleted */
    atomic_uint writes;
};

static void *write_on(void *arg)
{
    struct load *load = arg;
    unsigned version = 10;
    while (!atomic_load(&load->stop)) {
        unsigned i = (unsigned)rand_r(&load->seed) % KEYS;
        if (rand_r(&load->seed) % 4 == 0) {
            char key[32];
            key_text(i, key);
            struct batch *batch = batch_new();
            batch_delete(batch, kt_str(key));
            if (fixture_commit(load->f, batch).error != STORE_OK)
                break;
            load->versions[i] = 0;
        } else {
            if (fixture_commit(load->f, put_one(i, ++version)).error != STORE_OK)
                break;
            load->versions[i] = version;
        }
        atomic_fetch_add(&load->writes, 1);
    }
    return NULL;
}

/* Each snapshot is whole, and the generations that one thread sees never go back. */
static void *read_on(void *arg)
{
    struct load *load = arg;
    generation last = 0;
    while (!atomic_load(&load->stop)) {
        struct snapshot *snapshot = NULL;
        if (snapshot_begin(load->f->store, &snapshot) != STORE_OK)
            break;
        if (snapshot_generation(snapshot) < last)
            break;
        last = snapshot_generation(snapshot);
        struct cursor *cursor = NULL;
        struct entry entry;
        if (cursor_open(snapshot, kt_str("k"), kt_bytes(NULL, 0), &cursor) != STORE_OK)
            break;
        bool sound = true;
        while (cursor_next(cursor, &entry) == STORE_OK)
            sound = sound && entry.value.len == VALUE && entry.changed <= last &&
                    memcmp(entry.key.at + 1, entry.value.at, 5) == 0;
        cursor_close(cursor);
        snapshot_end(snapshot);
        if (!sound)
            break;
        atomic_fetch_add(&load->writes, 1);
    }
    return atomic_load(&load->stop) ? NULL : arg;
}

static void nothing_is_lost_under_load(void **state)
{
    struct store_fixture *f = *state;
    struct load *writer = calloc(1, sizeof *writer), *readers = calloc(2, sizeof *readers);
    assert_true(writer != NULL && readers != NULL);
    for (unsigned i = 0; i < KEYS; i++) {
        put(f, i, 1);
        writer->versions[i] = 1;
    }
    pthread_t write_thread, read_threads[2];
    writer->f = f;
    writer->seed = 7;
    assert_int_equal(pthread_create(&write_thread, NULL, write_on, writer), 0);
    for (unsigned i = 0; i < 2; i++) {
        readers[i].f = f;
        assert_int_equal(pthread_create(&read_threads[i], NULL, read_on, &readers[i]), 0);
    }
    while (atomic_load(&writer->writes) == 0 || atomic_load(&readers[0].writes) == 0 ||
           atomic_load(&readers[1].writes) == 0)
        (void)sched_yield(); /* a busy machine begins with them late */
    uint64_t replayed = 0;
    for (unsigned round = 0; round < 6 || (replayed == 0 && round < 100); round++) {
        struct store_compact_state done;
        compact(f, &done);
        replayed += done.replayed;
    }
    atomic_store(&writer->stop, true);
    assert_int_equal(pthread_join(write_thread, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        void *wrong = NULL;
        atomic_store(&readers[i].stop, true);
        assert_int_equal(pthread_join(read_threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_true(replayed > 0);
    for (unsigned again = 0; again < 2; again++) {
        for (unsigned i = 0; i < KEYS; i++)
            assert_int_equal(version_of(f, i), writer->versions[i]);
        fixture_reopen(f);
    }
    free(writer);
    free(readers);
}

struct holder {
    struct store_fixture *f;
    sem_t begun, end;
    unsigned seen;
};

/* A snapshot that is open before the files change places, and read after it. */
static void *hold_snapshot(void *arg)
{
    struct holder *h = arg;
    struct snapshot *snapshot = NULL;
    struct entry entry;
    if (snapshot_begin(h->f->store, &snapshot) != STORE_OK)
        return arg;
    (void)sem_post(&h->begun);
    while (sem_wait(&h->end) != 0)
        ;
    char key[32];
    key_text(5, key);
    if (snapshot_get(snapshot, kt_str(key), &entry) == STORE_OK)
        h->seen = (unsigned)strtoul((const char *)entry.value.at + 6, NULL, 10);
    snapshot_end(snapshot);
    return NULL;
}

static void when_removing(void *arg, const struct store_compact_state *state)
{
    struct holder *h = arg;
    if (state->phase != COMPACT_REMOVING)
        return;
    put(h->f, 5, 2); /* goes on, into the new file, while the old one is read */
    assert_int_equal(version_of(h->f, 5), 2);
    (void)sem_post(&h->end);
}

static void a_reader_of_the_old_file_finishes_on_it(void **state)
{
    struct holder h = {.f = *state};
    (void)sem_init(&h.begun, 0, 0);
    (void)sem_init(&h.end, 0, 0);
    put(h.f, 5, 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_snapshot, &h), 0);
    while (sem_wait(&h.begun) != 0)
        ;
    const struct store_compact_watch watch = {.report = when_removing, .arg = &h};
    struct store_compact_state done;
    struct kt_err err = {0};
    assert_int_equal(store_compact(h.f->store, &watch, &done, &err), KT_OK);
    void *wrong = NULL;
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    assert_int_equal(h.seen, 1);
    assert_int_equal(version_of(h.f, 5), 2);
    (void)sem_destroy(&h.begun);
    (void)sem_destroy(&h.end);
}

/* What changes right at the place that the copy has come to is neither missed nor copied twice. */
static void change_the_edge(void *arg, const struct store_compact_state *state)
{
    unsigned *edge = arg;
    if (state->phase != COMPACT_COPYING || state->entries_done == 0 ||
        state->entries_done == state->entries_total || *edge != 0)
        return;
    *edge = (unsigned)state->entries_done - 1;
    put(&fixture, *edge, 2);
    put(&fixture, *edge + 1, 2);
    remove_one(&fixture, *edge - 1);
    remove_one(&fixture, *edge + 2);
}

static void changes_at_the_edge_count(void **state)
{
    struct store_fixture *f = *state;
    unsigned edge = 0;
    for (unsigned i = 0; i < KEYS; i++)
        put(f, i, 1);
    const struct store_compact_watch watch = {.report = change_the_edge, .arg = &edge};
    struct store_compact_state done;
    struct kt_err err = {0};
    assert_int_equal(store_compact(f->store, &watch, &done, &err), KT_OK);
    assert_true(edge > 2 && edge < KEYS - 3);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(version_of(f, i), i == edge || i == edge + 1   ? 2
                                           : i + 1 == edge || i == edge + 2 ? 0
                                                                            : 1);
}

/* ---- given up ---- */

struct stopper {
    struct store_fixture *f;
    enum store_compact_phase at;
    atomic_bool stop;
    bool busy_seen;
};

static void stop_at(void *arg, const struct store_compact_state *state)
{
    struct stopper *s = arg;
    struct store_compact_state other;
    if (state->phase != s->at)
        return;
    atomic_store(&s->stop, true);
    s->busy_seen = store_compact(s->f->store, NULL, &other, NULL) == KT_BUSY;
}

static void it_can_be_stopped(void **state)
{
    struct store_fixture *f = *state;
    for (unsigned i = 0; i < KEYS; i++)
        put(f, i, 1);
    static const enum store_compact_phase phases[] = {COMPACT_COPYING, COMPACT_CATCHING_UP};
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        struct stopper s = {.f = f, .at = phases[i]};
        const struct store_compact_watch watch = {.report = stop_at, .arg = &s, .stop = &s.stop};
        struct store_compact_state done;
        struct kt_err err = {0};
        assert_int_equal(store_compact(f->store, &watch, &done, &err), KT_GONE);
        assert_true(s.busy_seen);
        assert_false(is_there(f, "store.compact"));
        put(f, 1, 2 + (unsigned)i);
        assert_int_equal(version_of(f, 1), 2 + i);
    }
    struct store_compact_state done;
    compact(f, &done);
    assert_int_equal(version_of(f, 1), 3);
}

static void what_was_left_behind_is_removed(void **state)
{
    struct store_fixture *f = *state;
    put(f, 1, 1);
    store_close(f->store);
    f->store = NULL;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/store.compact", f->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/store.compact/data.mdb", f->folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "half", 4), 4);
    (void)close(fd);
    (void)snprintf(path, sizeof path, "%s/store.compact/" LMDB_TRIAL_B, f->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    fixture_reopen(f);
    assert_false(is_there(f, "store.compact"));
    assert_int_equal(version_of(f, 1), 1);
}

static void memory_has_nothing_to_compact(void **state)
{
    (void)state;
    struct store_fixture f;
    assert_int_equal(fixture_init(&f, STORE_INMEM), 0);
    struct store_compact_state done;
    struct kt_err err = {0};
    assert_int_equal(store_compact(f.store, NULL, &done, &err), KT_PRECONDITION);
    fixture_done(&f);
}

/* ---- a disk without room: a mount of its own ---- */

static bool enter_mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Somebody else takes the room while the copy is made. */
static void take_the_room(void *arg, const struct store_compact_state *state)
{
    const int *fd = arg;
    if (state->phase == COMPACT_COPYING && state->entries_done > 0)
        for (off_t size = 95 << 20; size > 0 && posix_fallocate(*fd, 0, size) != 0; size -= 1 << 20)
            ;
}

static int on_a_small_disk(const char *folder)
{
    if (!enter_mounts() || mount("tmpfs", folder, "tmpfs", 0, "size=96m,mode=0700") != 0)
        return 77;
    struct store_fixture f = {.config = {.engine = STORE_LMDB, .path = folder}};
    (void)snprintf(f.folder, sizeof f.folder, "%s", folder);
    struct kt_err err = {0};
    if (store_open_seamed(&f.config, &f.seam, &f.store, &err) != KT_OK)
        return 1;
    for (unsigned i = 0; i < KEYS; i++)
        put(&f, i, 1);
    char path[160];
    (void)snprintf(path, sizeof path, "%s/filler", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, 30 << 20) != 0)
        return 2;
    struct store_compact_state done;
    if (store_compact(f.store, NULL, &done, &err) != KT_FULL || strstr(err.what, "MiB") == NULL ||
        err.hint[0] == '\0')
        return 3;
    if (is_there(&f, "store.compact"))
        return 4;
    put(&f, 1, 2);
    if (version_of(&f, 1) != 2)
        return 5;
    const struct store_compact_watch watch = {.report = take_the_room, .arg = &fd};
    if (ftruncate(fd, 0) != 0 || store_compact(f.store, &watch, &done, &err) != KT_FULL ||
        is_there(&f, "store.compact"))
        return 8;
    if (ftruncate(fd, 0) != 0)
        return 9;
    put(&f, 3, 2);
    if (version_of(&f, 3) != 2 || store_compact(f.store, NULL, &done, &err) != KT_OK)
        return 6;
    if (version_of(&f, 1) != 2 || version_of(&f, 2) != 1)
        return 7;
    store_close(f.store);
    (void)close(fd);
    return 0;
}

static void room_is_asked_for_first(void **state)
{
    (void)state;
    char folder[64];
    assert_int_equal(folder_make(folder), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(on_a_small_disk(folder));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    folder_remove(folder);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

#ifdef KT_FAULT
/* Whatever allocation fails, the store is whole; and one compaction without a failure goes through. */
static void each_allocation_may_fail(void **state)
{
    struct store_fixture *f = *state;
    for (unsigned i = 0; i < 40; i++)
        put(f, i, 1);
    unsigned failed = 0;
    for (unsigned long nth = 1;; nth++) {
        struct store_compact_state done;
        struct kt_err err = {0};
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = store_compact(f->store, NULL, &done, &err);
        unsigned long made = kt_fail_allocation(0);
        assert_false(is_there(f, "store.compact"));
        put(f, 1, 2 + (unsigned)nth);
        assert_int_equal(version_of(f, 1), 2 + nth);
        assert_int_equal(version_of(f, 2), 1);
        failed += kind != KT_OK;
        if (made < nth)
            break;
    }
    assert_true(failed > 0);
    fixture_reopen(f);
    assert_int_equal(version_of(f, 2), 1);
}
#endif

/* ---- ages ---- */

static void older_batches_are_refused(void **state)
{
    struct store_fixture *f = *state;
    struct batch *batch = put_one(1, 1);
    batch_age(batch, 2);
    batch_age(batch, 3);
    assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    store_refuse_older(f->store, 3);
    batch = put_one(1, 2);
    batch_age(batch, 3);
    batch_age(batch, 2);
    assert_int_equal(fixture_commit(f, batch).error, STORE_CONFLICT);
    batch = put_one(1, 3);
    batch_age(batch, 3);
    assert_int_equal(fixture_commit(f, batch).error, STORE_OK);
    put(f, 2, 4); /* of no age */
    assert_int_equal(version_of(f, 1), 3);
}

int main(void)
{
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_deleted_is_not_in_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outcomes_and_conditions_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_lost_under_load, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_of_the_old_file_finishes_on_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_at_the_edge_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_can_be_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_left_behind_is_removed, set_up, tear_down),
        cmocka_unit_test(memory_has_nothing_to_compact),
        cmocka_unit_test(room_is_asked_for_first),
        cmocka_unit_test_setup_teardown(older_batches_are_refused, set_up, tear_down),
#ifdef KT_FAULT
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, set_up, tear_down),
#endif
    };
    return cmocka_run_group_tests_name("store, compacting", tests, NULL, NULL);
}
